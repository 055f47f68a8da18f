//! Names and temperatures, many bytes at a time and without branches that depend on them.

use crate::line::{LONGEST_NAME, Line};
use wide::u8x16;

/// A name of at most 15 bytes, a semicolon, then zeros: the bytes as a number, the first one lowest.
pub type Key = u128;

/// Bytes of a key.
const KEY_LEN: usize = size_of::<Key>();

/// Most bytes of a name in a key.
pub const LONGEST: usize = KEY_LEN - 1;

/// Bytes that [`name`] looks at: a key, and a word that begins at its last byte or before.
pub const WINDOW: usize = 32;

/// By the length of a name, the bytes of its key.
const MASKS: [Key; KEY_LEN] = {
    let mut masks = [0; KEY_LEN];
    let mut len = 0;
    while len < KEY_LEN {
        masks[len] = Key::MAX >> (8 * (LONGEST - len));
        len += 1;
    }
    masks
};

/// Key and length of the name at the beginning of a window, and the word behind its semicolon. `None` for a
/// name that is too long for a key.
#[inline(always)]
pub fn name(window: &[u8; WINDOW]) -> Option<(Key, usize, u64)> {
    let (bytes, _) = window.split_first_chunk::<KEY_LEN>()?;
    let semicolons = u8x16::new(*bytes).simd_eq(u8x16::splat(b';')).to_bitmask();
    if semicolons == 0 {
        return None;
    }
    // Modulo a power of two, for the compiler to see that the masks reach.
    let len = semicolons.trailing_zeros() as usize % KEY_LEN;
    let (number, _) = window[len + 1..].split_first_chunk()?;
    Some((Key::from_le_bytes(*bytes) & MASKS[len], len, u64::from_le_bytes(*number)))
}

/// The line at the beginning of `text` with a name of any length, as `line::read` returns it. `None` if it is
/// bad, ends otherwise than with a newline, or is among the last bytes.
///
/// The name is what stands before the first semicolon: unless it is known, it must be checked.
pub fn line(text: &[u8]) -> Option<Line<'_>> {
    let end = memchr::memchr(b';', &text[..text.len().min(LONGEST_NAME + 1)])?;
    let (tenths, len) = temperature(u64::from_le_bytes(*text[end + 1..].first_chunk()?))?;
    Some(Line { name: &text[..end], tenths, len: end + 1 + len })
}

/// The key of a name of at most [`LONGEST`] bytes.
pub fn key_of(name: &[u8]) -> Key {
    let mut bytes = [0; KEY_LEN];
    bytes[..name.len()].copy_from_slice(name);
    bytes[name.len()] = b';';
    Key::from_le_bytes(bytes)
}

/// The name in the bytes of a key.
pub fn name_in(bytes: &[u8; KEY_LEN]) -> &[u8] {
    &bytes[..bytes.iter().position(|&byte| byte == b';').unwrap_or(KEY_LEN)]
}

/// Bits 4 of the bytes that may hold the point. They are set in digits, and clear in a point.
const POINTS: u32 = 0x1010_1000;

/// What a line's end is compared with, by the place of its point's bit 4 and whether it has a minus sign. It
/// is aligned so that the point is in byte 3: `00.0\n` from byte 1 on, where the first digit may be a minus
/// sign or missing, or follow one.
const PATTERNS: [u64; 32] = {
    let mut patterns = [!0; 32];
    patterns[12] = u64::from_le_bytes(*b"\0\x000.0\n\0\0");
    patterns[20] = u64::from_le_bytes(*b"\x0000.0\n\0\0");
    patterns[20 + 1] = u64::from_le_bytes(*b"\0-0.0\n\0\0");
    patterns[28 + 1] = u64::from_le_bytes(*b"-00.0\n\0\0");
    patterns
};

/// Temperature in tenths and length of a line's end, `-12.3\n` or shorter, in the word that begins with it.
#[inline(always)]
pub fn temperature(word: u64) -> Option<(i16, usize)> {
    let point = (!(word as u32) & POINTS).trailing_zeros();
    let is_negative = word as u8 == b'-';
    let aligned = word.wrapping_shl(point ^ 28);
    // The values of the digits, tens in byte 1, and zeros in the other bytes up to the newline.
    let values = aligned ^ PATTERNS[(point as usize | usize::from(is_negative)) % PATTERNS.len()];
    if (values | values.wrapping_add(0x06_0006_0600)) & 0xfff0_fff0_f0ff != 0 {
        return None;
    }
    // Tens of degrees times 100 and so on: their sum appears in byte 4.
    let sum = values.wrapping_mul(100 << 24 | 10 << 16 | 1) >> 32 & 0x3ff;
    let tenths = if is_negative { -(sum as i16) } else { sum as i16 };
    Some((tenths, point as usize / 8 + 3))
}
