//! From bytes to rows: the fields of CSV records (RFC 4180), and numbers in them.

use memchr::memchr3_iter;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What is wrong, and where: bytes from the start of the text that was read.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("byte {at}: {why}")]
pub struct Wrong {
    pub at: usize,
    pub why: String,
}

/// A field as it stands in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field<'a> {
    raw: &'a [u8],
    is_quoted: bool,
}

impl<'a> Field<'a> {
    /// The field's text: without the quotes around it, and with one for each two inside.
    pub fn text(self) -> Cow<'a, [u8]> {
        if !self.is_quoted {
            return Cow::Borrowed(self.raw);
        }
        let inner = &self.raw[1..self.raw.len() - 1];
        if !inner.contains(&b'"') {
            return Cow::Borrowed(inner);
        }
        let mut text = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            text.push(*byte);
            if *byte == b'"' {
                bytes.next();
            }
        }
        Cow::Owned(text)
    }
}

/// Calls `take` with fields number `wanted` of every record, each of which must have `columns` fields. Empty
/// lines are no records.
pub fn each_row<'a, const N: usize>(
    text: &'a [u8],
    columns: usize,
    wanted: [usize; N],
    mut take: impl FnMut([Field<'a>; N]) -> Result<(), String>,
) -> Result<(), Wrong> {
    let mut fields = [Field::default(); N];
    let (mut record, mut start, mut index) = (0, 0, 0);
    // Whether the field has quotes, and whether `at` is between them.
    let (mut is_quoted, mut is_inside) = (false, false);
    let wrong = |at: usize, why: &str| Wrong { at, why: why.to_owned() };
    let last = (text.last().is_some_and(|byte| *byte != b'\n')).then_some(text.len());
    for at in memchr3_iter(b',', b'\n', b'"', text).chain(last) {
        let byte = text.get(at).copied().unwrap_or(b'\n');
        if byte == b'"' {
            let is_second = is_quoted && text[at - 1] == b'"';
            if !is_inside && at != start && !is_second {
                return Err(wrong(record, "a quote in a field that does not begin with one"));
            }
            (is_quoted, is_inside) = (true, !is_inside);
            continue;
        }
        if is_inside {
            continue;
        }
        let is_return = byte == b'\n' && at > start && text[at - 1] == b'\r';
        let raw = &text[start..at - usize::from(is_return)];
        if is_quoted && raw.last() != Some(&b'"') {
            return Err(wrong(record, "text behind a closing quote"));
        }
        for (field, wanted) in fields.iter_mut().zip(wanted) {
            if index == wanted {
                *field = Field { raw, is_quoted };
            }
        }
        (index, start) = (index + 1, at + 1);
        let is_empty = index == 1 && raw.is_empty();
        is_quoted = false;
        if byte == b',' {
            continue;
        }
        if !is_empty {
            if index != columns {
                let why = format!("{index} fields, where the header has {columns}");
                return Err(wrong(record, &why));
            }
            take(fields).map_err(|why| Wrong { at: record, why })?;
        }
        (record, index) = (at + 1, 0);
    }
    if is_inside { Err(wrong(record, "a quote that is never closed")) } else { Ok(()) }
}

/// Reads a finite number.
///
/// Up to 15 digits with a point among them are a whole number over a power of ten, both exact in float64, so
/// the quotient is rounded once, and correctly (Clinger, 1990). The rest is for the standard library.
pub fn number(text: &[u8]) -> Option<f64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut whole, mut point) = (0_u64, None);
    for (i, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => whole = whole.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'.' if point.is_none() => point = Some(i),
            _ => return by_the_library(text),
        }
    }
    let places = point.map_or(0, |point| digits.len() - point - 1);
    if digits.len() > 15 || digits.len() == usize::from(point.is_some()) {
        return by_the_library(text);
    }
    let size = whole as f64 / POWERS[places];
    Some(if is_negative { -size } else { size })
}

const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The same by the standard library alone.
pub fn by_the_library(text: &[u8]) -> Option<f64> {
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    f64::is_finite(number).then_some(number)
}
