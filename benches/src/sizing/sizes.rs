//! Which sizes are measured, and which of them is right. Pure functions.

use super::fit::Point;
use super::workload::Chunks;

/// Up to so many cores, every number of workers is measured.
const EVERY: usize = 16;
/// A chunk is at least this share of all units: smaller ones are all overhead.
const MOST_CHUNKS: usize = 1 << 14;
/// Steps between chunk sizes, as a power of two.
const STEP: usize = 4;

/// Pool sizes for so many cores: each of few; of more, the powers of two and all of them.
pub fn pool_sizes(cores: usize) -> Vec<usize> {
    if cores <= EVERY {
        return (1..=cores.max(1)).collect();
    }
    let powers = std::iter::successors(Some(1), |size| Some(size * 2));
    let mut sizes: Vec<usize> = powers.take_while(|size| *size < cores).collect();
    sizes.push(cores);
    sizes
}

/// Chunk sizes for so many units and workers: powers of four, one chunk for each worker, and the engine's
/// own.
pub fn chunk_sizes(units: usize, workers: usize, own: Option<usize>, chunks: Chunks) -> Vec<usize> {
    let share = units.div_ceil(workers.max(1)).max(1);
    let least = match chunks {
        Chunks::Launch { .. } => units.div_ceil(MOST_CHUNKS).next_power_of_two(),
        Chunks::Tasks | Chunks::Kernel => 1,
    };
    let powers = std::iter::successors(Some(least), |size| size.checked_mul(STEP));
    let mut sizes: Vec<usize> = powers.take_while(|size| *size < share).collect();
    sizes.extend(own.filter(|own| (1..=units).contains(own)));
    sizes.push(share);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// The smallest size whose time is within `share` of the best, and the best.
pub fn smallest_within(points: &[Point], share: f64) -> Option<(usize, usize)> {
    let known = || points.iter().filter(|point| point.seconds > 0.0 && point.seconds.is_finite());
    let best = known().min_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    let near = known().filter(|point| point.seconds <= best.seconds * (1.0 + share));
    Some((near.map(|point| point.size).min()?, best.size))
}

/// The first and the last size of the unbroken run around the best whose times are within `share` of it.
pub fn flat_range(points: &[Point], share: f64) -> Option<(usize, usize)> {
    let mut sorted = points.to_vec();
    sorted.retain(|point| point.seconds > 0.0 && point.seconds.is_finite());
    sorted.sort_by_key(|point| point.size);
    let best = (0..sorted.len()).min_by(|a, b| sorted[*a].seconds.total_cmp(&sorted[*b].seconds))?;
    let near = |point: &Point| point.seconds <= sorted[best].seconds * (1.0 + share);
    let low = sorted[..best].iter().rev().take_while(|point| near(point)).count();
    let high = sorted[best + 1..].iter().take_while(|point| near(point)).count();
    Some((sorted[best - low].size, sorted[best + high].size))
}

/// The measured size nearest to the geometric middle of a range: as far as can be from both its ends. Of two
/// as near, the smaller: it balances better.
pub fn middle(points: &[Point], (low, high): (usize, usize)) -> Option<usize> {
    let inside = points.iter().map(|point| point.size).filter(|size| (low..=high).contains(size));
    // How many times the larger of the middle's square and the size's is the other.
    let far = |size: usize| {
        let (square, middle) = ((size as f64).powi(2), low as f64 * high as f64);
        (square / middle).max(middle / square)
    };
    inside.min_by(|a, b| far(*a).total_cmp(&far(*b)).then(a.cmp(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(times: &[(usize, f64)]) -> Vec<Point> {
        times.iter().map(|(size, seconds)| Point { size: *size, seconds: *seconds }).collect()
    }

    #[test]
    fn few_cores_have_every_size_and_many_have_powers_of_two() {
        assert_eq!(pool_sizes(0), [1]);
        assert_eq!(pool_sizes(2), [1, 2]);
        assert_eq!(pool_sizes(16).len(), 16);
        assert_eq!(pool_sizes(17), [1, 2, 4, 8, 16, 17]);
        assert_eq!(pool_sizes(64), [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(pool_sizes(96), [1, 2, 4, 8, 16, 32, 64, 96]);
    }

    #[test]
    fn chunks_reach_from_many_to_one_for_each_worker() {
        let launch = Chunks::Launch { elements: 1 };
        let sizes = chunk_sizes(1 << 20, 4, Some(10_000), launch);
        assert_eq!(sizes, [64, 256, 1024, 4096, 10_000, 16_384, 65_536, 262_144]);
        assert_eq!(chunk_sizes(1000, 3, None, Chunks::Tasks), [1, 4, 16, 64, 256, 334]);
        assert_eq!(chunk_sizes(1, 8, Some(1), launch), [1]);
        assert_eq!(chunk_sizes(0, 8, Some(0), launch), [1]);
        assert_eq!(chunk_sizes(10, 1, Some(1000), launch), [1, 4, 10], "what is longer than all is left out");
    }

    #[test]
    fn the_smallest_size_near_the_best_is_recommended() {
        let curve = points(&[(1, 8.0), (2, 4.2), (4, 2.08), (8, 2.0), (16, 2.4)]);
        assert_eq!(smallest_within(&curve, 0.05), Some((4, 8)));
        assert_eq!(smallest_within(&curve, 0.0), Some((8, 8)));
        assert_eq!(smallest_within(&points(&[(3, 1.0)]), 0.05), Some((3, 3)));
        assert_eq!(smallest_within(&points(&[(1, 1.0), (2, 1.01)]), 0.05), Some((1, 1)));
        assert_eq!(smallest_within(&points(&[(1, f64::NAN)]), 0.05), None);
        assert_eq!(smallest_within(&[], 0.05), None);
    }

    #[test]
    fn the_flat_part_is_unbroken_and_its_middle_is_taken() {
        let curve = points(&[(1, 9.0), (4, 1.03), (16, 1.0), (64, 1.04), (256, 1.5), (1024, 1.01)]);
        assert_eq!(flat_range(&curve, 0.05), Some((4, 64)));
        assert_eq!(middle(&curve, (4, 64)), Some(16));
        assert_eq!(middle(&curve, (4, 16)), Some(4));
        assert_eq!(flat_range(&curve, 0.0), Some((16, 16)));
        assert_eq!(flat_range(&[], 0.05), None);
        assert_eq!(middle(&curve, (5, 6)), None);
    }
}
