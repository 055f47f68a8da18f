//! The pass over 8- and 16-bit elements: how often each of the 256 or 65,536 possible values occurs.
//! Everything but the positions of the extremes follows from that, exactly.
#![deny(clippy::arithmetic_side_effects)]

use super::summary::NOWHERE;
use bytemuck::{Pod, Zeroable};
#[cfg(feature = "half")]
use half::f16;
use phalanx::Element;

mod sealed {
    pub trait Sealed {}
}

/// A type with few enough values to count each: integers of 8 and 16 bits, and `f16` with the feature `half`.
/// Sealed.
pub trait Small: Element + sealed::Sealed {
    /// Number of codes.
    const CODES: usize;
    /// Returns a number that is ordered like the values. Codes of NaN lie outside those of all values; both
    /// zeros share one code.
    fn code(self) -> usize;
    /// Returns the value with this code, `None` for NaN.
    fn value(code: usize) -> Option<f64>;
    /// Returns the difference as NumPy computes it between the two neighbours of a percentile.
    fn gap(a: f64, b: f64) -> f64 {
        b - a
    }
    /// Whether values are whole numbers.
    const WHOLE: bool = true;
}

macro_rules! small_integer {
    ($t:ident, $u:ident, $flip:expr) => {
        impl sealed::Sealed for $t {}
        impl Small for $t {
            const CODES: usize = 1 << $u::BITS;
            #[inline(always)]
            fn code(self) -> usize {
                usize::from(self as $u ^ $flip)
            }
            fn value(code: usize) -> Option<f64> {
                Some(f64::from((code as $u ^ $flip) as $t))
            }
        }
    };
}
small_integer!(i8, u8, 1 << 7);
small_integer!(u8, u8, 0);
small_integer!(i16, u16, 1 << 15);
small_integer!(u16, u16, 0);

#[cfg(feature = "half")]
impl sealed::Sealed for f16 {}
#[cfg(feature = "half")]
impl Small for f16 {
    const CODES: usize = 1 << 16;
    const WHOLE: bool = false;
    #[inline(always)]
    fn code(self) -> usize {
        let bits = if self.to_bits() == 1 << 15 { 0 } else { self.to_bits() };
        usize::from(if bits >> 15 == 0 { bits | 1 << 15 } else { !bits })
    }
    fn value(code: usize) -> Option<f64> {
        let code = code as u16;
        let value = f16::from_bits(if code >> 15 == 0 { !code } else { code & !(1 << 15) });
        (!value.is_nan()).then(|| value.to_f64())
    }
    fn gap(a: f64, b: f64) -> f64 {
        f16::from_f64(b - a).to_f64()
    }
}

/// The extremes and their positions. Plain data of fixed size; all-zero is not empty.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Extremes {
    /// Code of the smallest value; meaningless while `argmin` is `NOWHERE`.
    pub min: u64,
    /// Code of the largest value.
    pub max: u64,
    /// Position of the first smallest value.
    pub argmin: u64,
    /// Position of the first largest value.
    pub argmax: u64,
}

impl Extremes {
    /// The extremes of no elements: the identity of `combine`.
    pub const EMPTY: Self = Self { min: u64::MAX, max: 0, argmin: NOWHERE, argmax: NOWHERE };

    /// Returns the extremes of two sets of elements taken together.
    pub fn combine(a: Self, b: Self) -> Self {
        let (min, argmin) = (a.min, a.argmin).min((b.min, b.argmin));
        let higher = match a.max.cmp(&b.max) {
            std::cmp::Ordering::Equal => a.argmax < b.argmax,
            order => order.is_gt(),
        };
        let top = if (higher || b.argmax == NOWHERE) && a.argmax != NOWHERE { a } else { b };
        Self { min, argmin, max: top.max, argmax: top.argmax }
    }
}

/// Reads a chunk whose first element has position `first`, adds to the counts of all codes and returns the
/// extremes. This is the body of [`tally`](super::tally). Counts wrap around; a position too large for a
/// `u64` is [`NOWHERE`].
///
/// # Panics
/// If the chunk has 2^32 elements or more, or if the length of the table is not the number of codes.
pub fn tally_slice<T: Small>(chunk: &[T], first: u64, table: &mut [u64]) -> Extremes {
    assert!(u32::try_from(chunk.len()).is_ok() && table.len() == T::CODES);
    let counts = if T::CODES == 256 { tally_in::<T, 256, 8>(chunk) } else { tally_in::<T, 65536, 2>(chunk) };
    let seen = |&code: &usize| counts[code] > 0 && T::value(code).is_some();
    let mut extremes = Extremes::EMPTY;
    let place = |code: usize| {
        chunk.iter().position(|x| x.code() == code).map_or(NOWHERE, |at| first.saturating_add(at as u64))
    };
    if let (Some(min), Some(max)) = ((0..T::CODES).find(seen), (0..T::CODES).rev().find(seen)) {
        extremes = Extremes { min: min as u64, max: max as u64, argmin: place(min), argmax: place(max) };
    }
    for (sum, count) in table.iter_mut().zip(counts) {
        *sum = sum.wrapping_add(u64::from(count));
    }
    extremes
}

/// Counts in `WAYS` tables in turn, so that runs of one value do not wait for each other's increments.
#[inline(always)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "counts of a chunk of fewer than 2^32 elements, which is asserted"
)]
fn tally_in<T: Small, const CODES: usize, const WAYS: usize>(chunk: &[T]) -> Vec<u32> {
    let mut tables = vec![[0u32; CODES]; WAYS];
    let ways: &mut [[u32; CODES]; WAYS] = tables.as_mut_slice().try_into().unwrap_or_else(|_| unreachable!());
    let (groups, rest) = chunk.as_chunks::<WAYS>();
    for group in groups {
        for way in 0..WAYS {
            ways[way][group[way].code() & (CODES - 1)] += 1;
        }
    }
    for x in rest {
        ways[0][x.code() & (CODES - 1)] += 1;
    }
    (0..CODES).map(|code| ways.iter().map(|table| table[code]).sum()).collect()
}
