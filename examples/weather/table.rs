//! The scan: sums up lines in an open-addressing table, eight bytes at a time.
//!
//! A line whose name has at most 16 bytes and which ends with a plain newline is read without branches that
//! depend on its contents: the bytes up to the semicolon are the key, masked out of two words, and the
//! temperature is checked and computed within one. Every other line goes by `line::read`. Four places of a
//! part are scanned in turn, so that the processor works on four lines at once: each needs the length of the
//! one before it.

use crate::line::{self, BadLine, Fault};
use crate::totals::{Summary, Totals};
use rustc_hash::FxHashMap;

/// Lines scanned in turn.
const LANES: usize = 4;
/// Bytes looked at for one line: the longest name of a key, the semicolon, and a word with the temperature.
const WINDOW: usize = 32;

/// A name of at most 16 bytes with its semicolon, then zeros.
type Key = [u64; 2];

/// No name: after the first semicolon, a key has zeros only.
const VACANT: Key = [u64::from_le_bytes(*b";;;;;;;;"), 0];

/// A station in a cell of its own, half a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Cell {
    key: Key,
    sum: i64,
    count: u32,
    min: i16,
    max: i16,
}

impl Cell {
    const EMPTY: Cell = Cell { key: VACANT, sum: 0, count: 0, min: i16::MAX, max: i16::MIN };

    #[inline(always)]
    fn add(&mut self, tenths: i16) {
        self.sum += i64::from(tenths);
        self.count += 1;
        self.min = self.min.min(tenths);
        self.max = self.max.max(tenths);
    }
}

/// Most bytes of lines that a table may take in: a cell counts up to 2^32 lines of at least 6 bytes.
pub const LARGEST_PART: usize = 6 << 32;

/// Sums of the stations of some lines.
pub struct Table {
    /// A power of two of cells, at most a quarter of them occupied.
    cells: Vec<Cell>,
    occupied: usize,
    /// Stations with names longer than a key.
    long: FxHashMap<Vec<u8>, Summary>,
}

impl Table {
    /// Without any station.
    pub fn new() -> Table {
        Table { cells: vec![Cell::EMPTY; 4096], occupied: 0, long: FxHashMap::default() }
    }

    /// Adds the lines of a text, which begins and ends with whole lines. Its last newline may be missing.
    ///
    /// # Errors
    /// The first bad line. The table then holds some of the others.
    pub fn scan(&mut self, text: &[u8]) -> Result<(), BadLine> {
        let outcome = self.scan_lanes(text);
        // The lane that met a bad line first need not have met the first one.
        outcome.map_err(|bad| line::first_bad(text).unwrap_or(bad))
    }

    fn scan_lanes(&mut self, text: &[u8]) -> Result<(), BadLine> {
        let cuts = cuts(text, LANES);
        let mut at: [usize; LANES] = std::array::from_fn(|lane| cuts[lane]);
        let ends: [usize; LANES] = std::array::from_fn(|lane| cuts[lane + 1]);
        while (0..LANES).all(|lane| at[lane] < ends[lane]) {
            for at in &mut at {
                *at += self.line(text, *at)?;
            }
        }
        for (mut at, end) in at.into_iter().zip(ends) {
            while at < end {
                at += self.line(text, at)?;
            }
        }
        Ok(())
    }

    /// Adds the line that begins at `at` and returns its length.
    #[inline(always)]
    fn line(&mut self, text: &[u8], at: usize) -> Result<usize, BadLine> {
        if let Some((key, name_len, number)) = text.get(at..).and_then(short_name)
            && let Some((tenths, len)) = temperature(number)
        {
            let mut place = self.home(&key);
            if self.cells[place].key != key {
                place = self.find_cold(&key, name_len, place).map_err(|fault| BadLine { at, fault })?;
            }
            self.cells[place].add(tenths);
            return Ok(name_len + 1 + len);
        }
        self.line_cold(&text[at..]).map_err(|fault| BadLine { at, fault })
    }

    /// The same for a line of any kind.
    #[cold]
    #[inline(never)]
    fn line_cold(&mut self, text: &[u8]) -> Result<usize, Fault> {
        let line = line::read(text)?;
        if line.name.len() <= size_of::<Key>() {
            let key = key_of(line.name);
            let place = self.find_cold(&key, line.name.len(), self.home(&key))?;
            self.cells[place].add(line.tenths);
        } else if let Some(summary) = self.long.get_mut(line.name) {
            summary.add(&Summary::of(line.tenths));
        } else {
            line::checked_name(line.name)?;
            self.long.insert(line.name.to_vec(), Summary::of(line.tenths));
        }
        Ok(line.len)
    }

    /// Where the search for a key begins.
    #[inline(always)]
    fn home(&self, key: &Key) -> usize {
        let mixed = (key[0] ^ key[1].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.cells.len() - 1)
    }

    /// The cell of a key whose search begins at `place`; a new station gets one if its name is valid.
    #[cold]
    #[inline(never)]
    fn find_cold(&mut self, key: &Key, name_len: usize, mut place: usize) -> Result<usize, Fault> {
        let last = self.cells.len() - 1;
        while self.cells[place].key != *key {
            if self.cells[place].key == VACANT {
                return self.occupy(key, name_len, place);
            }
            place = (place + 1) & last;
        }
        Ok(place)
    }

    fn occupy(&mut self, key: &Key, name_len: usize, place: usize) -> Result<usize, Fault> {
        let bytes = bytes_of(key);
        let name = &bytes[..name_len];
        if name.is_empty() {
            return Err(Fault::NoName);
        } else if name.contains(&b'\n') {
            // The semicolon is that of a later line.
            return Err(Fault::NoSemicolon);
        }
        line::checked_name(name)?;
        self.cells[place].key = *key;
        self.occupied += 1;
        if 4 * self.occupied <= self.cells.len() {
            return Ok(place);
        }
        self.grow();
        self.find_cold(key, name_len, self.home(key))
    }

    fn grow(&mut self) {
        let empty = vec![Cell::EMPTY; 4 * self.cells.len()];
        let old = std::mem::replace(&mut self.cells, empty);
        for cell in old.into_iter().filter(|cell| cell.key != VACANT) {
            let mut place = self.home(&cell.key);
            while self.cells[place].key != VACANT {
                place = (place + 1) & (self.cells.len() - 1);
            }
            self.cells[place] = cell;
        }
    }

    /// Adds all stations to `totals`.
    pub fn add_to(self, totals: &mut Totals) {
        for cell in self.cells.iter().filter(|cell| cell.count > 0) {
            let bytes = bytes_of(&cell.key);
            let name = bytes.split(|&byte| byte == b';').next().unwrap_or(&bytes);
            let summary = Summary { min: cell.min, max: cell.max, sum: cell.sum, count: cell.count.into() };
            totals.add(&String::from_utf8_lossy(name), &summary);
        }
        for (name, summary) in &self.long {
            totals.add(&String::from_utf8_lossy(name), summary);
        }
    }
}

/// Offsets of about equal parts of a text: each begins and ends with whole lines. Some may be empty.
pub fn cuts(text: &[u8], parts: usize) -> Vec<usize> {
    let mut cuts = vec![0];
    for part in 1..parts {
        let near = (text.len() as u128 * part as u128 / parts as u128) as usize;
        let near = near.max(cuts[part - 1]);
        // Cutting after the newline at or behind this place; a line that begins right here may be cut off too.
        let cut = match near {
            0 => 0,
            _ => text[near - 1..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| near + end),
        };
        cuts.push(cut);
    }
    cuts.push(text.len());
    cuts
}

/// Bytes equal to a semicolon, by their highest bits. Those below the first set bit are right; above it, a
/// borrow may have set more.
#[inline(always)]
fn semicolons(word: u64) -> u64 {
    let zero_where = word ^ 0x3b3b_3b3b_3b3b_3b3b;
    zero_where.wrapping_sub(0x0101_0101_0101_0101) & !zero_where & 0x8080_8080_8080_8080
}

/// All bits up to and with the lowest set one; all if none is set.
#[inline(always)]
fn up_to_lowest(bits: u64) -> u64 {
    bits ^ bits.wrapping_sub(1)
}

/// Key and length of a name of at most 16 bytes, and the word behind its semicolon.
#[inline(always)]
fn short_name(text: &[u8]) -> Option<(Key, usize, u64)> {
    let window = text.first_chunk::<WINDOW>()?;
    let [low, high] = [word(window, 0), word(window, 8)];
    let [in_low, in_high] = [low, high].map(semicolons);
    let key_low = low & up_to_lowest(in_low);
    let rest = if in_low == 0 { up_to_lowest(in_high) } else { 0 };
    let key = [key_low, high & rest];
    let from_high = 8 + in_high.trailing_zeros() as usize / 8;
    let len = if in_low == 0 { from_high } else { in_low.trailing_zeros() as usize / 8 };
    // Without a semicolon in either word, the name has 16 bytes or is none for a key.
    (window[len] == b';').then(|| (key, len, word(window, len + 1)))
}

#[inline(always)]
fn word(window: &[u8; WINDOW], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&window[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// The key of a name of at most 16 bytes.
fn key_of(name: &[u8]) -> Key {
    let mut bytes = [0; 17];
    bytes[..name.len()].copy_from_slice(name);
    bytes[name.len()] = b';';
    let bytes = u128::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 16]));
    [bytes as u64, (bytes >> 64) as u64]
}

fn bytes_of(key: &Key) -> [u8; 16] {
    (u128::from(key[0]) | u128::from(key[1]) << 64).to_le_bytes()
}

/// Temperature and length of a line's end, `-12.3\n` or shorter, in the word that begins with it.
#[inline(always)]
fn temperature(word: u64) -> Option<(i16, usize)> {
    let negative = u64::from(word as u8 == b'-');
    let digits = word >> (8 * negative);
    // Moved by a byte where a digit is missing, and a zero put in its place.
    let short = u64::from((digits >> 8) as u8 == b'.');
    let digits = digits << (8 * short) | short * u64::from(b'0');
    // What is left of "00.0\n": the digits' values, and zeros.
    let values = digits ^ u64::from_le_bytes(*b"00.0\n\0\0\0");
    let not_digits = (values | (values & 0x0f0f_0f0f).wrapping_add(0x0600_0606)) & 0xff_f0ff_f0f0;
    if not_digits != 0 {
        return None;
    }
    // Hundreds of tenths in byte 0, tens in byte 1, ones in byte 3: their sum appears from bit 24 on.
    let sum = (values & 0x0f00_0f0f).wrapping_mul(100 << 24 | 10 << 16 | 1) >> 24 & 0x3ff;
    let sign = (negative as i16).wrapping_neg();
    Some(((sum as i16 ^ sign) - sign, (5 + negative - short) as usize))
}
