//! k-means++: the first centroids are points, each taken with a chance that grows with the square of its
//! distance from those taken before (Arthur and Vassilvitskii, 2007).

use crate::block::lower_to_distance;
use crate::points::{below, spread};
use common::{Result, refuse};
use ndarray::Ix2;
use phalanx::{Pool, SharedArray};
use phalanx_kernels::random::Draw;
use phalanx_kernels::scan::inclusive_sum;

/// Points that seeds are taken from at most, evenly spread over the file: a pass per seed over all of a file
/// that is larger than memory would take longer than the rest of the run.
const SAMPLE: usize = 1 << 18;

/// Takes `count` points as seeds, one after the other.
pub fn choose<T: Draw, const LANES: usize>(
    pool: &Pool,
    points: &SharedArray<T, Ix2>,
    count: usize,
    seed: u64,
) -> Result<Vec<T>> {
    let sample = spread(pool, points, SAMPLE)?;
    let (rows, dims) = sample.view().dim();
    let mut seeds = Vec::with_capacity(count * dims);
    let mut square = pool.from_fn(rows, |_| f64::INFINITY)?;
    let (mut sums, mut centre) = (pool.zeros::<f64>(rows)?, pool.zeros::<T>(dims)?);
    let mut taken = below(seed, 0, rows);
    for number in 1..=count {
        let point = &sample.as_slice()[taken * dims..][..dims];
        seeds.extend_from_slice(point);
        centre.as_mut_slice().copy_from_slice(point);
        let operands = (square.split_mut(), sample.split(), centre.whole());
        pool.for_each(operands, |(square, rows, centre)| {
            lower_to_distance::<T, LANES>(square, rows.to_slice().unwrap_or_default(), centre);
        })?;
        inclusive_sum(pool, &mut sums, &square)?;
        let sums = sums.as_slice();
        let total = sums[rows - 1];
        if number < count && total <= 0.0 {
            return Err(refuse(format!("only {number} different points were found for {count} clusters")));
        }
        let mark = below(seed, number as u64, 1 << 53) as f64 / (1u64 << 53) as f64 * total;
        taken = sums.partition_point(|sum| *sum <= mark).min(rows - 1);
    }
    Ok(seeds)
}
