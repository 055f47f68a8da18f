//! All statistics of a dataset in two or three passes, even if it is larger than memory.
//!
//! The kernels of [`reduce`](crate::reduce) read an array once for each statistic. These compute many
//! statistics in one pass, for programs whose speed is limited by reading:
//!
//! | kernel | returns | cost besides reading `x` once |
//! |---|---|---|
//! | [`summarise`] | count, sums, extremes with positions, 8192 bins | 10 flops, 1 increment per element |
//! | [`refine`] | counts, extremes in 512 cells of up to 14 intervals | 2 comparisons per element, interval |
//! | [`gather`] | all values inside up to 14 intervals | 2 comparisons per element, interval |
//! | [`tally`] | counts of each value of a small type, positions of extremes | 1 increment per element |
//!
//! Exact percentiles of an array of any length take three steps: [`summarise`] counts in bins, which
//! determines the bin of each rank; [`refine`] narrows bins that hold many values; [`gather`] collects bins
//! that hold few. The program `stats` does that.
//!
//! These kernels take a launch, so that the caller can set progress, time limits and cancellation; they set
//! chunk sizes and retries themselves. Results have the same bits for every number of workers. NaNs are
//! counted, but ignored in sums and extremes, as in NumPy's `nanmean`.
#![deny(clippy::arithmetic_side_effects)]

mod grid;
mod interval;
mod summary;
mod tally;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests;

pub use grid::{ABOVE, BELOW, BINS, Keyed, NAN, Plan, TABLE, keys_of_bins};
pub use interval::{CELLS, Cell, Intervals, MOST_INTERVALS, gather_slice, refine_slice};
pub use summary::{NOWHERE, Summary, summarise_slice};
pub use tally::{Extremes, Small, tally_slice};

use crate::error::{KernelError, check_shape};
use phalanx::{Launch, PerWorker, SharedArray, Val};
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of a chunk at least: large against the table of bins that is cleared for each.
const LEAST_CHUNK: usize = 256 << 10;
/// Bytes of a chunk at most. A leaf holds a table of 64 KiB, so leaves take 0.4% of the data or less.
const MOST_CHUNK: usize = 16 << 20;
/// Chunks that smaller data is cut into, so that workers end together.
const CHUNKS: usize = 64;
/// Chunks run again if their workers die: a killed worker costs time, not the result.
const RETRIES: u32 = 3;

/// The launch with chunks of a size that depends on the data's length only.
#[expect(clippy::arithmetic_side_effects, reason = "elements of these types have a size")]
fn cut<'p, T>(launch: Launch<'p>, x: &SharedArray<T>) -> Launch<'p> {
    let bytes = (x.len_bytes() / CHUNKS).clamp(LEAST_CHUNK, MOST_CHUNK).next_multiple_of(4096);
    launch.chunk(bytes / size_of::<T>())
}

/// Computes count, sums, extremes with their positions, and counts in the bins of the plan's grid, in one
/// pass.
///
/// Returns the summary and a table of [`TABLE`] counts: bin [`BELOW`] counts the values below the grid, bins
/// 1 to [`BINS`] those in it, [`ABOVE`] those above and [`NAN`] the NaNs.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::profile::{Keyed, Plan, summarise};
///
/// let x = pool.from_fn(100_000, |i| (i % 1000) as f64)?;
/// let (low_key, exponent) = f64::plan_grid(0.0, 999.0);
/// let (summary, table) = summarise(pool.launch(), &x, &Plan { centre: 500.0, low_key, exponent })?;
/// assert_eq!((summary.count, summary.argmax), (100_000, 999));
/// assert_eq!(summary.sum, -50_000.0, "of distances from the centre");
/// assert_eq!(table.iter().sum::<u64>(), 100_000);
/// # Ok(())
/// # }
/// ```
pub fn summarise<T: Keyed>(
    launch: Launch<'_>,
    x: &SharedArray<T>,
    plan: &Plan,
) -> Result<(Summary, Vec<u64>), KernelError> {
    let mut table = SharedArray::<u64>::zeros(TABLE)?;
    let summary = cut(launch, x).retry(RETRIES).reduce(
        (x.split(), 0..x.len(), Val(*plan), table.reduce(0, u64::wrapping_add)),
        Summary::EMPTY,
        |(chunk, at, plan, table)| summarise_slice(chunk, at.start as u64, &plan, table),
        Summary::combine::<T>,
    )?;
    Ok((summary, table.to_vec()))
}

/// Counts the values inside some intervals of keys, in [`CELLS`] cells for each, with each cell's smallest
/// and largest key.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::profile::{Intervals, Keyed, MOST_INTERVALS, refine};
///
/// let x = pool.from_fn(100_000, |i| i as u32)?;
/// let mut wanted = Intervals { len: 1, low: [0; MOST_INTERVALS], high: [0; MOST_INTERVALS] };
/// (wanted.low[0], wanted.high[0]) = (5000u32.key(), 5511u32.key());
/// let cells = refine(pool.launch(), &x, &wanted)?;
/// assert!(cells.iter().all(|cell| cell.count == 1));
/// # Ok(())
/// # }
/// ```
#[expect(clippy::arithmetic_side_effects, reason = "14 intervals at most, says the check")]
pub fn refine<T: Keyed>(
    launch: Launch<'_>,
    x: &SharedArray<T>,
    wanted: &Intervals,
) -> Result<Vec<Cell>, KernelError> {
    let wanted = wanted.checked()?;
    let mut cells = SharedArray::<Cell>::zeros(CELLS * wanted.len as usize)?;
    cells.fill(Cell::EMPTY);
    cut(launch, x).retry(RETRIES).for_each(
        (x.split(), Val(wanted), cells.reduce(Cell::EMPTY, Cell::combine)),
        |(chunk, wanted, cells)| refine_slice(chunk, &wanted, cells),
    )?;
    Ok(cells.to_vec())
}

/// Collects the keys of all values inside some intervals, in any order. The caller must know how many there
/// are.
///
/// If a worker dies, the call fails, since it is unknown which keys the worker had delivered.
///
/// # Errors
/// `Shape` if the number of keys found is not `expected`; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::profile::{Intervals, Keyed, MOST_INTERVALS, gather};
///
/// let x = pool.from_fn(100_000, |i| i as f64)?;
/// let mut wanted = Intervals { len: 1, low: [0; MOST_INTERVALS], high: [0; MOST_INTERVALS] };
/// (wanted.low[0], wanted.high[0]) = (7.0.key(), 8.5.key());
/// let mut found: Vec<f64> = gather(pool.launch(), &x, &wanted, 2)?.into_iter().map(f64::from_key).collect();
/// found.sort_by(f64::total_cmp);
/// assert_eq!(found, [7.0, 8.0]);
/// # Ok(())
/// # }
/// ```
pub fn gather<T: Keyed>(
    launch: Launch<'_>,
    x: &SharedArray<T>,
    wanted: &Intervals,
    expected: usize,
) -> Result<Vec<u64>, KernelError> {
    let wanted = wanted.checked()?;
    // Each worker collects a chunk's keys in a buffer of its own, then takes room for all of them at once.
    let own = PerWorker::scratch(|_rank| Vec::<u64>::new());
    let mut keys = SharedArray::<u64>::zeros(expected)?;
    let mut used = SharedArray::<u64>::zeros(1)?;
    cut(launch, x).for_each(
        (x.split(), Val(wanted), &own, keys.atomic(), used.atomic()),
        |(chunk, wanted, own, keys, used)| {
            own.clear();
            gather_slice(chunk, &wanted, own);
            let first = used[0].fetch_add(own.len() as u64, Relaxed) as usize;
            for (place, key) in keys.iter().skip(first).zip(own.iter()) {
                place.store(*key, Relaxed);
            }
        },
    )?;
    check_shape("the values inside the intervals", &[expected], &[used.as_slice()[0] as usize])?;
    Ok(keys.to_vec())
}

/// Counts how often each value of an 8- or 16-bit type occurs, by its code, and finds the first positions of
/// the extremes.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::profile::{Small, tally};
///
/// let x = pool.from_fn(100_000, |i| (i % 100) as i8)?;
/// let (counts, extremes) = tally(pool.launch(), &x)?;
/// assert_eq!((counts[7i8.code()], extremes.argmax), (1000, 99));
/// # Ok(())
/// # }
/// ```
pub fn tally<T: Small>(launch: Launch<'_>, x: &SharedArray<T>) -> Result<(Vec<u64>, Extremes), KernelError> {
    let mut table = SharedArray::<u64>::zeros(T::CODES)?;
    let extremes = cut(launch, x).retry(RETRIES).reduce(
        (x.split(), 0..x.len(), table.reduce(0, u64::wrapping_add)),
        Extremes::EMPTY,
        |(chunk, at, table)| tally_slice(chunk, at.start as u64, table),
        Extremes::combine,
    )?;
    Ok((table.to_vec(), extremes))
}
