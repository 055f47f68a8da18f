//! Text to edges: `from<TAB>to` lines, `#` comments, mapped, or unpacked from gzip first.

use common::{Meter, Result, map_bytes, refuse};
use flate2::read::MultiGzDecoder;
use phalanx::{Pool, SharedArray, TryError};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Bytes of text that are parsed as one part, about.
const PART: usize = 1 << 20;
/// A slot that no edge fills: sorts after all edges, since no page has this number.
pub const UNUSED: u64 = u64::MAX;

/// Edges as they stand in the text.
pub struct Edges {
    /// Each `to << 32 | from`, with [`UNUSED`] slots between them where the text has other lines.
    pub words: SharedArray<u64>,
    /// The highest page number, plus 1.
    pub pages: usize,
    /// Bytes of text.
    pub bytes: usize,
}

/// Reads a file that nobody changes meanwhile.
pub fn read(pool: &Pool, path: &Path) -> Result<Edges> {
    if !is_packed(path) {
        return parse(pool, path, path);
    }
    // One gzip stream cannot be unpacked in parallel; its text can be parsed so once it is there.
    let fails = |error: std::io::Error| refuse(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(fails)?;
    // A file without a name, of which nothing is left however the program ends.
    let mut unpacked = tempfile::tempfile()?;
    let mut text = MultiGzDecoder::new(std::io::BufReader::with_capacity(1 << 16, file));
    std::io::copy(&mut text, &mut unpacked).map_err(fails)?;
    parse(pool, Path::new(&format!("/proc/self/fd/{}", unpacked.as_raw_fd())), path)
}

/// Whether the name says that it is gzip.
pub fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "gz")
}

/// Reads the text at `path`, which the user calls `name`.
fn parse(pool: &Pool, path: &Path, name: &Path) -> Result<Edges> {
    let Some(text) = map_bytes(path)? else { return Err(refuse(format!("{} is empty", name.display()))) };
    let meter = Meter::new("read", 2 * text.len() as u64);
    let cuts = cuts(text.as_slice());
    let mut lines = pool.zeros::<u64>(cuts.len() - 1)?;
    pool.for_each((lines.split_out(), text.split_at(&cuts)), |(lines, text)| {
        lines[0] = text.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    })?;
    meter.advance(text.len() as u64);
    let mut slots = vec![0];
    for lines in lines.as_slice() {
        slots.push(slots[slots.len() - 1] + *lines as usize);
    }
    let mut words = pool.zeros::<u64>(slots[slots.len() - 1])?;
    let operands = (words.split_at_mut(&slots), text.split_at(&cuts));
    let highest = pool.try_reduce(operands, 0, |(words, text)| parse_part(text, words), u64::max);
    let highest = highest.map_err(|error| match error {
        TryError::Kernel { error, .. } => refuse(format!("{}: {error}", name.display())),
        other => other.into(),
    })?;
    Ok(Edges { words, pages: highest as usize, bytes: text.len() })
}

/// Where parts begin: the first, and each after the end of a line.
pub fn cuts(text: &[u8]) -> Vec<usize> {
    let mut cuts = vec![0];
    for part in 1..text.len().div_ceil(PART) {
        let line = memchr::memchr(b'\n', &text[part * PART..]);
        let cut = line.map_or(text.len(), |length| part * PART + length + 1);
        cuts.push(cut.max(cuts[part - 1]));
    }
    cuts.push(text.len());
    cuts
}

/// Fills `words` with the edges of whole lines. Returns the highest page number, plus 1.
pub fn parse_part(text: &[u8], words: &mut [u64]) -> std::result::Result<u64, String> {
    let (mut at, mut filled, mut highest) = (0, 0, 0);
    while at < text.len() {
        if text[at] == b'#' {
            at += memchr::memchr(b'\n', &text[at..]).unwrap_or(text.len() - at);
        } else if text[at].is_ascii_whitespace() {
            at += 1;
        } else {
            let line = at;
            let (Some(from), Some(to)) = (number(text, &mut at), number(text, &mut at)) else {
                let end = memchr::memchr(b'\n', &text[line..]).unwrap_or(text.len() - line).min(60);
                let line = String::from_utf8_lossy(&text[line..][..end]);
                return Err(format!("{line:?} is no edge; give two page numbers below 4294967295"));
            };
            words[filled] = to << 32 | from;
            filled += 1;
            highest = highest.max(from + 1).max(to + 1);
        }
    }
    words[filled..].fill(UNUSED);
    Ok(highest)
}

/// The page number at `at`, and the blanks after it; `None` if there is none, or it is not followed by a
/// blank, a line's end or the end.
#[inline]
fn number(text: &[u8], at: &mut usize) -> Option<u64> {
    let start = *at;
    let mut value = 0;
    while let Some(digit) = text.get(*at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        value = value * 10 + u64::from(digit);
        *at += 1;
    }
    let digits = *at - start;
    while let Some(b' ' | b'\t' | b'\r') = text.get(*at) {
        *at += 1;
    }
    let ends = text.get(*at).is_none_or(|byte| *byte == b'\n' || *at > start + digits);
    (ends && (1..=10).contains(&digits) && value < u64::from(u32::MAX)).then_some(value)
}
