//! One line, `station;temperature`: the full grammar, byte by byte, and what is wrong with a line that breaks
//! it. The scan of whole parts in `table` reads common lines by a shorter way and asks here for all others.

use serde::{Deserialize, Serialize};

/// Most bytes of a station's name.
pub const LONGEST_NAME: usize = 100;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    /// It ends without a semicolon.
    #[error("there is no ';' between a station and a temperature")]
    NoSemicolon,
    /// It begins with a semicolon.
    #[error("the station has no name")]
    NoName,
    /// A name longer than [`LONGEST_NAME`].
    #[error("the station's name is longer than 100 bytes")]
    LongName,
    /// A name that is not UTF-8.
    #[error("the station's name is not UTF-8")]
    NotUtf8,
    /// The rest of the line is no temperature.
    #[error("the temperature is not a number from -99.9 to 99.9 with one decimal")]
    Temperature,
}

/// A bad line: where it begins in the bytes that were scanned, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the line at byte {at}: {fault}")]
pub struct BadLine {
    /// Offset of its first byte.
    pub at: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// The parts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Name of the station, from one to [`LONGEST_NAME`] bytes of UTF-8.
    pub name: &'a [u8],
    /// Temperature in tenths of a degree.
    pub tenths: i16,
    /// Bytes up to the next line.
    pub len: usize,
}

/// Reads the line at the beginning of `text`; the last line of a file may lack its newline.
///
/// The name may be no UTF-8: that is checked once for each station, by [`checked_name`].
pub fn read(text: &[u8]) -> Result<Line<'_>, Fault> {
    let longest = &text[..text.len().min(LONGEST_NAME + 1)];
    let end = memchr::memchr2(b';', b'\n', longest);
    let name = match end {
        Some(0) if text[0] == b';' => return Err(Fault::NoName),
        Some(end) if text[end] == b';' => &text[..end],
        None if text.len() > LONGEST_NAME => return Err(Fault::LongName),
        _ => return Err(Fault::NoSemicolon),
    };
    let rest = &text[name.len() + 1..];
    // The longest are "-99.9\r\n".
    let number = rest.iter().take(7).position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let line_end = name.len() + 1 + number;
    let number = rest[..number].strip_suffix(b"\r").unwrap_or(&rest[..number]);
    Ok(Line { name, tenths: tenths(number).ok_or(Fault::Temperature)?, len: text.len().min(line_end + 1) })
}

/// A temperature in tenths: a minus sign or none, one or two digits, a point, one digit.
fn tenths(number: &[u8]) -> Option<i16> {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    let size = match *digits {
        [ones, b'.', tenths] => 10 * digit(ones)? + digit(tenths)?,
        [tens, ones, b'.', tenths] => 100 * digit(tens)? + 10 * digit(ones)? + digit(tenths)?,
        _ => return None,
    };
    Some(if digits.len() < number.len() { -size } else { size })
}

/// What stands before a semicolon as the name of a station.
pub fn checked_name(name: &[u8]) -> Result<&str, Fault> {
    if name.is_empty() {
        Err(Fault::NoName)
    } else if name.contains(&b'\n') {
        // The semicolon is that of a later line.
        Err(Fault::NoSemicolon)
    } else {
        std::str::from_utf8(name).map_err(|_| Fault::NotUtf8)
    }
}

/// The first bad line of `text`, which begins with a line.
pub fn first_bad(text: &[u8]) -> Option<BadLine> {
    let mut at = 0;
    while at < text.len() {
        match read(&text[at..]).and_then(|line| checked_name(line.name).map(|_| line.len)) {
            Ok(len) => at += len,
            Err(fault) => return Some(BadLine { at, fault }),
        }
    }
    None
}
