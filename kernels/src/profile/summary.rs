//! The first pass over 32- and 64-bit elements: moments, extremes with positions, and a table of bins.
//!
//! 8 to 16 bytes of cache traffic and about one table increment per element. A block of elements that fits
//! the L1 cache is read three times: for sums and extremes, for bin numbers, and (the numbers) for counting.
//! Splitting the work this way lets the first two loops use vectors; only the counting is scalar.
#![deny(clippy::arithmetic_side_effects)]

use super::grid::{Keyed, Plan, TABLE};
use crate::simd::vectorized;
use bytemuck::{Pod, Zeroable};

/// Elements handled at once; 2048 of 8 bytes are a third of a 48 KiB L1 cache.
const BLOCK: usize = 2048;
/// Independent sums per block: enough to hide the latency of an addition, few enough for the registers of
/// AVX2.
const LANES: usize = 8;
/// Stands for "no such position".
pub const NOWHERE: u64 = u64::MAX;

/// Count, sums about the plan's centre and extremes of some elements. Plain data of fixed size; all-zero is
/// not empty.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Summary {
    /// Number of elements read, NaN included.
    pub count: u64,
    /// Sum of `x - centre`, in the plan's [unit](Plan::unit).
    pub sum: f64,
    /// Sum of `(x - centre)^2`, in the square of that unit.
    pub square: f64,
    /// Key of the smallest value; meaningless while `argmin` is `NOWHERE`.
    pub min: u64,
    /// Key of the largest value.
    pub max: u64,
    /// Position of the first smallest value.
    pub argmin: u64,
    /// Position of the first largest value.
    pub argmax: u64,
}

impl Summary {
    /// The summary of no elements: the identity of `combine`.
    pub const EMPTY: Self =
        Self { count: 0, sum: 0.0, square: 0.0, min: u64::MAX, max: 0, argmin: NOWHERE, argmax: NOWHERE };

    /// Returns the summary of two sets of elements taken together. Of equal values (of equal key) the lower
    /// position is kept.
    pub fn combine<T: Keyed>(a: Self, b: Self) -> Self {
        let pick = |(ka, pa): (u64, u64), (kb, pb): (u64, u64), below: fn(T, T) -> bool| {
            if pa == NOWHERE || pb == NOWHERE {
                return if pa == NOWHERE { (kb, pb) } else { (ka, pa) };
            }
            let (va, vb) = (T::from_key(ka), T::from_key(kb));
            if below(vb, va) || (!below(va, vb) && pb < pa) { (kb, pb) } else { (ka, pa) }
        };
        let (min, argmin) = pick((a.min, a.argmin), (b.min, b.argmin), |x, y| x < y);
        let (max, argmax) = pick((a.max, a.argmax), (b.max, b.argmax), |x, y| x > y);
        let (sum, square) = (a.sum + b.sum, a.square + b.square);
        Self { count: a.count.wrapping_add(b.count), sum, square, min, max, argmin, argmax }
    }
}

/// Reads a chunk whose first element has position `first`, adds to the table of bins and returns its summary.
/// This is the body of [`summarise`](super::summarise).
///
/// The bits of the result depend on the chunk, its position and the plan only. Counts wrap around; a position
/// too large for a `u64` is [`NOWHERE`].
///
/// # Panics
/// If the chunk has 2^32 elements or more, or if the length of the table is not [`TABLE`].
pub fn summarise_slice<T: Keyed>(chunk: &[T], first: u64, plan: &Plan, table: &mut [u64]) -> Summary {
    vectorized(
        #[inline(always)]
        || summarise_body(chunk, first, plan, table),
    )
}

#[inline(always)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "places in a chunk of fewer than 2^32 elements, which is asserted"
)]
fn summarise_body<T: Keyed>(chunk: &[T], first: u64, plan: &Plan, table: &mut [u64]) -> Summary {
    assert!(u32::try_from(chunk.len()).is_ok() && table.len() == TABLE);
    let (grid, unit) = (T::grid(plan), plan.unit());
    let scale = 1.0 / unit;
    let mut total = Summary { count: chunk.len() as u64, ..Summary::EMPTY };
    let (mut low, mut high) = (T::HIGHEST, T::LOWEST);
    // Two tables in turn, so that neighbours of one bin do not wait for each other's increment.
    let mut counts = vec![[0u32; 2]; 1 << 14];
    let counts: &mut [[u32; 2]; 1 << 14] =
        counts.as_mut_slice().try_into().unwrap_or_else(|_| unreachable!());
    let mut numbers = [0u16; BLOCK];
    for (index, block) in chunk.chunks(BLOCK).enumerate() {
        let sums = if unit == 1.0 {
            block_sums(
                block,
                #[inline(always)]
                |x: T| x.to_f64() - plan.centre,
            )
        } else {
            block_sums(
                block,
                #[inline(always)]
                |x: T| x.to_f64() * scale - plan.centre * scale,
            )
        };
        total.sum += sums.sum;
        total.square += sums.square;
        let position = |value: T| {
            let at = block.iter().position(|&x| x == value)?;
            Some((block[at].key(), first.saturating_add((index * BLOCK + at) as u64)))
        };
        if (sums.min < low || total.argmin == NOWHERE)
            && let Some((key, at)) = position(sums.min)
        {
            (low, total.min, total.argmin) = (sums.min, key, at);
        }
        if (sums.max > high || total.argmax == NOWHERE)
            && let Some((key, at)) = position(sums.max)
        {
            (high, total.max, total.argmax) = (sums.max, key, at);
        }
        if sums.min == sums.max && block.iter().all(|&x| x == sums.min) {
            // Runs of one value are common (fill values, zeros), and the slowest to count one by one.
            counts[sums.min.bin(grid) & 0x3fff][0] += block.len() as u32;
            continue;
        }
        number_block(block, grid, &mut numbers);
        count_block(&numbers[..block.len()], counts);
    }
    for (sum, pair) in table.iter_mut().zip(counts.iter()) {
        *sum = sum.wrapping_add(u64::from(pair[0]) + u64::from(pair[1]));
    }
    total
}

/// The bin numbers of a block.
#[inline(always)]
fn number_block<T: Keyed>(block: &[T], grid: T::Grid, numbers: &mut [u16; BLOCK]) {
    for (number, x) in numbers.iter_mut().zip(block) {
        *number = x.bin(grid) as u16;
    }
}
/// Counts the bin numbers of a block; not a function of the element type, so it exists once.
#[inline(never)]
#[expect(clippy::arithmetic_side_effects, reason = "counts of a chunk of fewer than 2^32 elements")]
fn count_block(numbers: &[u16], counts: &mut [[u32; 2]; 1 << 14]) {
    let (pairs, rest) = numbers.as_chunks::<2>();
    for pair in pairs {
        counts[usize::from(pair[0]) & 0x3fff][0] += 1;
        counts[usize::from(pair[1]) & 0x3fff][1] += 1;
    }
    for &number in rest {
        counts[usize::from(number) & 0x3fff][0] += 1;
    }
}

struct Sums<T> {
    sum: f64,
    square: f64,
    min: T,
    max: T,
}

/// Sums and extremes of a block. Two loops, because one loop with both needs more registers than there are;
/// the folding of lanes is kept out of line, because its shape otherwise leaks into the loops as shuffles.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "lanes of a block")]
fn block_sums<T: Keyed>(block: &[T], from_centre: impl Fn(T) -> f64) -> Sums<T> {
    let (groups, rest) = block.as_chunks::<LANES>();
    let (mut sum, mut square) = ([0.0f64; LANES], [0.0f64; LANES]);
    for group in groups {
        for lane in 0..LANES {
            let d = if group[lane].is_unordered() { 0.0 } else { from_centre(group[lane]) };
            sum[lane] += d;
            square[lane] += d * d;
        }
    }
    let (mut sum, mut square) = (tree(&sum), tree(&square));
    let (groups, _) = block.as_chunks::<{ 4 * LANES }>();
    let (mut min, mut max) = ([T::HIGHEST; 4 * LANES], [T::LOWEST; 4 * LANES]);
    for group in groups {
        for lane in 0..4 * LANES {
            min[lane] = lower(group[lane], min[lane]);
            max[lane] = higher(group[lane], max[lane]);
        }
    }
    let (mut min, mut max) = extremes(&min, &max);
    for &x in rest {
        let d = if x.is_unordered() { 0.0 } else { from_centre(x) };
        sum += d;
        square += d * d;
    }
    for &x in &block[groups.len() * 4 * LANES..] {
        (min, max) = (lower(x, min), higher(x, max));
    }
    Sums { sum, square, min, max }
}

#[inline(always)]
fn lower<T: Keyed>(x: T, than: T) -> T {
    if x < than { x } else { than }
}

#[inline(always)]
fn higher<T: Keyed>(x: T, than: T) -> T {
    if x > than { x } else { than }
}

#[inline(never)]
fn tree(v: &[f64; LANES]) -> f64 {
    ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]))
}

#[inline(never)]
fn extremes<T: Keyed>(min: &[T; 4 * LANES], max: &[T; 4 * LANES]) -> (T, T) {
    (min.iter().fold(T::HIGHEST, |a, &b| lower(b, a)), max.iter().fold(T::LOWEST, |a, &b| higher(b, a)))
}
