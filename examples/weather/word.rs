//! Names and temperatures, many bytes at a time and without branches that depend on them.

use wide::u8x16;

/// Most bytes of a name in a key.
pub const KEY_LEN: usize = 16;

/// A name of at most 16 bytes, then a semicolon if it has fewer, then zeros.
pub type Key = [u64; 2];

/// Bytes that [`name`] and what follows it look at: a key, the semicolon behind it, a word of the temperature.
pub const WINDOW: usize = 32;

/// By length of a name: the bytes of its key, with the semicolon.
const MASKS: [Key; KEY_LEN + 1] = {
    let mut masks = [[!0; 2]; KEY_LEN + 1];
    let mut len = 0;
    while len < KEY_LEN {
        let bits = u128::MAX >> (8 * (KEY_LEN - 1 - len));
        masks[len] = [bits as u64, (bits >> 64) as u64];
        len += 1;
    }
    masks
};

/// Key and length of the name at the beginning of a window, and the word behind its semicolon. `None` for a
/// name that is too long for a key.
#[inline(always)]
pub fn name(window: &[u8; WINDOW]) -> Option<(Key, usize, u64)> {
    let (name, _) = window.split_first_chunk::<KEY_LEN>()?;
    let len = semicolon(name);
    if window[len] != b';' {
        return None;
    }
    let word = |at: usize| window[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mask = MASKS[len];
    Some(([word(0) & mask[0], word(8) & mask[1]], len, word(len + 1)))
}

/// Place of the first semicolon; 16 if there is none.
#[inline(always)]
fn semicolon(bytes: &[u8; KEY_LEN]) -> usize {
    let equal = u8x16::new(*bytes).simd_eq(u8x16::splat(b';'));
    (equal.to_bitmask() | 1 << KEY_LEN).trailing_zeros() as usize
}

/// The key of a name of at most 16 bytes.
pub fn key_of(name: &[u8]) -> Key {
    let mut bytes = [0; KEY_LEN];
    bytes[..name.len()].copy_from_slice(name);
    if let Some(next) = bytes.get_mut(name.len()) {
        *next = b';';
    }
    let bytes = u128::from_le_bytes(bytes);
    [bytes as u64, (bytes >> 64) as u64]
}

/// The bytes of a key.
pub fn bytes_of(key: &Key) -> [u8; KEY_LEN] {
    (u128::from(key[0]) | u128::from(key[1]) << 64).to_le_bytes()
}

/// Temperature and length of a line's end, `-12.3\n` or shorter, in the word that begins with it.
#[inline(always)]
pub fn temperature(word: u64) -> Option<(i16, usize)> {
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
