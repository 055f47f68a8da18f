//! Headers that this library writes.
#![deny(clippy::arithmetic_side_effects)]

use super::{DATA_ALIGN, DType, MAGIC};

/// The header of a row-major array, padded so that the data begins at a multiple of [`DATA_ALIGN`].
///
/// Version 1.0, whose text may have 65,535 bytes; a shape of many axes that needs more gets version 2.0.
#[expect(clippy::arithmetic_side_effects, reason = "a text in memory, and a few bytes")]
pub(crate) fn header_bytes(dtype: &DType, shape: &[usize]) -> Vec<u8> {
    let axes: String = shape.iter().map(|n| format!("{n}, ")).collect();
    // One axis keeps its comma, as Python prints `(5,)`.
    let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({axes}), }}", dtype.descr());
    let total = |preamble: usize| (preamble + text.len() + 1).next_multiple_of(DATA_ALIGN);
    let (version, preamble) = if total(10) - 10 <= usize::from(u16::MAX) { (1, 10) } else { (2, 12) };
    let total = total(preamble);
    let text_len = total - preamble;
    let mut bytes = Vec::with_capacity(total);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[version, 0]);
    bytes.extend_from_slice(&(text_len as u32).to_le_bytes()[..preamble - 8]);
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(total - 1, b' ');
    bytes.push(b'\n');
    bytes
}
