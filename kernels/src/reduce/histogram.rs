//! Counts of values: in bins of equal width, and of each small integer.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::number::{Integer, Number};
use crate::simd::vectorized;
use phalanx::{Launch, Pool, SharedArray};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

/// Elements whose bins are computed, by vectors, before they are counted, one by one.
const BLOCK: usize = 2048;
/// Tables in turn, so that neighbours of one bin do not wait for each other's increment.
const WAYS: usize = 4;
/// Bins up to which a chunk counts in tables of its own: 32 KiB of them.
const MOST_OWN: usize = 2048;
/// Elements of unsigned types below this are counted without asking for the largest first.
const NARROW: u32 = 1 << 16;
/// Bins up to which each part of the array has a table of its own; above, all workers count in one,
/// atomically.
const MOST_PARTED: usize = 1 << 17;

/// Counts for which memory is asked for beforehand.
const MANY: usize = 1 << 20;

/// Counts by bins of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Elements in each bin.
    pub counts: Vec<u64>,
    /// Edges of the bins, one more than there are bins: bin `i` holds `edges[i] <= x < edges[i + 1]`, and the
    /// last bin also its upper edge.
    pub edges: Vec<f64>,
}

/// A grid of bins as kernels need it; its borders are those of `numpy.linspace`.
#[derive(Clone, Copy)]
struct Grid {
    low: f64,
    high: f64,
    step: f64,
    scale: f64,
    bins: usize,
}

impl Grid {
    fn new(range: Range<f64>, bins: usize) -> Grid {
        let width = range.end - range.start;
        Grid {
            low: range.start,
            high: range.end,
            step: width / bins as f64,
            scale: bins as f64 / width,
            bins,
        }
    }

    /// As numbers, for a launch.
    fn numbers(&self) -> [f64; 4] {
        [self.low, self.high, self.step, self.scale]
    }

    /// All borders, which must ascend.
    #[expect(clippy::arithmetic_side_effects, reason = "at most 2^31 bins, says `histogram`")]
    fn edges(&self) -> Result<Vec<f64>, KernelError> {
        if self.bins > MANY {
            // Asked for, so that too many are an error.
            drop((SharedArray::<f64>::zeros(self.bins + 1)?, SharedArray::<u64>::zeros(self.bins + 1)?));
        }
        let mut edges: Vec<f64> = (0..=self.bins).map(|index| self.edge(index as f64)).collect();
        edges[self.bins] = self.high;
        if self.scale.is_finite() && edges.is_sorted_by(|low, high| low < high) {
            return Ok(edges);
        }
        let why = format!(
            "{:?} to {:?} cannot be cut into {} bins of more than nothing; take fewer, or scale the values",
            self.low, self.high, self.bins
        );
        Err(KernelError::argument("range", why))
    }

    #[inline(always)]
    fn edge(&self, index: f64) -> f64 {
        index * self.step + self.low
    }

    /// The bin of a value, `bins` for those outside and NaN.
    ///
    /// A multiplication guesses the bin, and the borders left and right of it correct the guess, so that what
    /// counts are the borders as rounded.
    #[inline(always)]
    #[expect(clippy::arithmetic_side_effects, reason = "one bin at least, says `histogram`")]
    fn bin(&self, x: f64) -> u32 {
        let last = (self.bins - 1) as f64;
        let guess = ((x - self.low) * self.scale).floor();
        let guess = if guess < last { guess } else { last };
        let guess = if guess > 0.0 { guess } else { 0.0 };
        let down = if x < self.edge(guess) { 1.0 } else { 0.0 };
        let up = if x >= self.edge(guess + 1.0) && guess < last { 1.0 } else { 0.0 };
        let inside = x >= self.low && x <= self.high;
        let bin = if inside { guess - down + up } else { self.bins as f64 };
        // Whole numbers below 2^32 stand in the low bits after adding 2^52: a conversion that every vector
        // unit knows.
        (bin + 4_503_599_627_370_496.0).to_bits() as u32
    }
}

/// Counts elements in `bins` bins of equal width over a range.
///
/// Like `numpy.histogram(x, bins, range)`: edges are `linspace(range.start, range.end, bins + 1)`, the last
/// bin includes its upper edge, and NaN and elements outside the range are not counted. Elements are compared
/// as float64.
///
/// Cost: every element read once, with about six operations and one increment of a counter.
///
/// # Errors
/// `Argument` if the range is empty, reversed or not finite, or if there are no bins, more than 2^31, or more
/// than the range has distinct numbers for edges; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = [0.5, 1.0, f64::NAN, 3.0, -1.0];
/// let h = phalanx_kernels::reduce::histogram(&pool, &x, 3, 0.0..3.0)?;
/// assert_eq!((h.counts, h.edges), (vec![1, 1, 1], vec![0.0, 1.0, 2.0, 3.0]));
/// # Ok(())
/// # }
/// ```
#[expect(
    clippy::arithmetic_side_effects,
    reason = "at most 2^31 bins, says the check, and counts of elements in memory"
)]
pub fn histogram<T: Number>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    bins: usize,
    range: Range<f64>,
) -> Result<Histogram, KernelError> {
    if bins == 0 || bins > 1 << 31 {
        return Err(KernelError::argument("bins", format!("{bins} is no number of bins from 1 to 2^31")));
    }
    if !(range.end - range.start).is_finite() || range.start >= range.end {
        let why = format!(
            "{:?} to {:?} is no range: give finite borders, the lower one first, with a finite distance",
            range.start, range.end
        );
        return Err(KernelError::argument("range", why));
    }
    let grid = Grid::new(range, bins);
    let edges = grid.edges()?;
    // One counter more, for what lies outside.
    let mut counts = if is_inline(x.len()) {
        let mut counts = vec![0; bins + 1];
        count_in_bins(&x.elements(), &grid, &mut counts);
        counts
    } else {
        let x = x.share(pool)?;
        let mut counts = SharedArray::<u64>::zeros(bins + 1)?;
        let launch = counting(pool, x.len());
        if bins < MOST_PARTED {
            let operands = (x.split_flat(), grid.numbers(), bins, counts.reduce(0, |a, b| a + b));
            launch.for_each(operands, |(x, grid, bins, counts)| {
                count_in_bins(x, &unpack(grid, bins), counts);
            })?;
        } else {
            let operands = (x.split_flat(), grid.numbers(), bins, counts.atomic());
            // Counts cannot be taken back, so a lost chunk is not run again.
            launch.retry(0).for_each(operands, |(x, grid, bins, counts)| {
                let grid = unpack(grid, bins);
                for x in x {
                    counts[grid.bin(x.to_f64()) as usize].fetch_add(1, Relaxed);
                }
            })?;
        }
        counts.to_vec()
    };
    counts.truncate(bins);
    Ok(Histogram { counts, edges })
}

fn unpack([low, high, step, scale]: [f64; 4], bins: usize) -> Grid {
    Grid { low, high, step, scale, bins }
}

/// Counts how often each value from 0 on occurs: `counts[v]` elements equal `v`.
///
/// Like `numpy.bincount(x, minlength)`: there is one count more than the largest value, and at least
/// `min_len` counts.
///
/// Cost: every element read once, with one increment of a counter. Types that are signed or wider than 16
/// bits are read twice, since the largest element must be found first.
///
/// # Errors
/// `Argument` if an element is negative; `Memory`, also if the largest element needs more counts than memory
/// can hold; `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// assert_eq!(phalanx_kernels::reduce::bincount(&pool, &[1, 1, 5], 0)?.as_slice(), [0, 2, 0, 0, 0, 1]);
/// # Ok(())
/// # }
/// ```
#[expect(clippy::arithmetic_side_effects, reason = "a narrow type has 2^16 values, and `last` is a place")]
pub fn bincount<T: Integer>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    min_len: usize,
) -> Result<SharedArray<u64>, KernelError> {
    // What no element of a narrow type can exceed need not be looked for.
    let narrow = T::LOWEST == T::ZERO && T::HIGHEST.to_f64() < f64::from(NARROW);
    let mut len = min_len;
    if narrow {
        len = len.max(T::HIGHEST.to_word() as usize + 1);
    } else if !x.is_empty() {
        let [low, high] = super::extreme::range(pool, x)?;
        if low < T::ZERO {
            let why = format!("element {low} is negative, and only counts of values from 0 on are kept");
            return Err(KernelError::argument("x", why));
        }
        len = len.max((high.to_word() as usize).saturating_add(1));
    }
    let counts = count_up_to(pool, x, len)?;
    if narrow {
        let used = counts.as_slice().iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        return Ok(SharedArray::from_slice(&counts.as_slice()[..used.max(min_len)])?);
    }
    Ok(counts)
}

/// Counts values below `len`.
#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn count_up_to<T: Integer>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    len: usize,
) -> Result<SharedArray<u64>, KernelError> {
    let mut counts = SharedArray::<u64>::zeros(len)?;
    if is_inline(x.len()) {
        let own = counts.as_mut_slice();
        x.elements().iter().for_each(|x| own[x.to_word() as usize] += 1);
        return Ok(counts);
    }
    let x = x.share(pool)?;
    let launch = counting(pool, x.len());
    if len <= MOST_PARTED {
        let operands = (x.split_flat(), counts.reduce(0, |a, b| a + b));
        launch.for_each(operands, |(x, counts)| count_values(x, counts))?;
    } else {
        // Counts cannot be taken back, so a lost chunk is not run again.
        launch.retry(0).for_each((x.split_flat(), counts.atomic()), |(x, counts)| {
            for x in x {
                counts[x.to_word() as usize].fetch_add(1, Relaxed);
            }
        })?;
    }
    Ok(counts)
}

/// A launch with chunks that are long against tables of counts; they depend on the length only.
fn counting(pool: &Pool, len: usize) -> Launch<'_> {
    repeatable(pool).chunk((len / 64).clamp(1 << 15, 1 << 18).max(len >> 15))
}

fn count_in_bins<T: Number>(x: &[T], grid: &Grid, counts: &mut [u64]) {
    let mut numbers = [0u32; BLOCK];
    count_blocks(x, counts, |block, count| {
        let numbers = &mut numbers[..block.len()];
        vectorized(
            #[inline(always)]
            || numbers.iter_mut().zip(block).for_each(|(number, x)| *number = grid.bin(x.to_f64())),
        );
        count(numbers);
    });
}

#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn count_values<T: Integer>(x: &[T], counts: &mut [u64]) {
    if counts.len() > MOST_OWN || x.len() < 4 * counts.len() {
        x.iter().for_each(|x| counts[x.to_word() as usize] += 1);
        return;
    }
    let mut ways = vec![[0u32; WAYS]; counts.len()];
    count_in_turn(x, &mut ways);
    add_ways(counts, &ways);
}

/// Counts block by block: `number` passes the bins of a block to the function that it receives.
#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn count_blocks<T>(x: &[T], counts: &mut [u64], mut number: impl FnMut(&[T], &mut dyn FnMut(&[u32]))) {
    if counts.len() > MOST_OWN || x.len() < 4 * counts.len() {
        for block in x.chunks(BLOCK) {
            number(block, &mut |numbers| numbers.iter().for_each(|&bin| counts[bin as usize] += 1));
        }
        return;
    }
    let mut ways = vec![[0u32; WAYS]; counts.len()];
    for block in x.chunks(BLOCK) {
        number(block, &mut |numbers| count_in_turn(numbers, &mut ways));
    }
    add_ways(counts, &ways);
}

#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn add_ways(counts: &mut [u64], ways: &[[u32; WAYS]]) {
    for (sum, ways) in counts.iter_mut().zip(ways) {
        *sum += ways.iter().map(|&count| u64::from(count)).sum::<u64>();
    }
}

#[inline(never)]
#[expect(clippy::arithmetic_side_effects, reason = "counts of a chunk of fewer than 2^32 elements")]
fn count_in_turn<T: Integer>(numbers: &[T], ways: &mut [[u32; WAYS]]) {
    let (groups, rest) = numbers.as_chunks::<WAYS>();
    for group in groups {
        for way in 0..WAYS {
            ways[group[way].to_word() as usize][way] += 1;
        }
    }
    for bin in rest {
        ways[bin.to_word() as usize][0] += 1;
    }
}
