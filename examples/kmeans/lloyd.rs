//! Lloyd's method: each point joins its nearest centroid, each centroid moves to the mean of its points,
//! until they no longer move.
//!
//! A pass over the points is one launch. It leaves the sum and the number of the points of each cluster,
//! added in float64 in a tree that depends on their number only. The inertia, the sum of the squared
//! distances of all points from their centroids, follows from these sums; no second look at the points is
//! needed.

use crate::block::{f64_of, row_len, with_nearest, write_row};
use common::{Meter, Result, refuse};
use ndarray::Ix2;
use phalanx::launch::Progress;
use phalanx::{Launch, Pool, SharedArray};
use phalanx_kernels::random::Draw;
use std::cell::Cell;

/// Points, and what is known of them before any centroid.
pub struct Cloud<'a, T, const LANES: usize> {
    pub points: &'a SharedArray<T, Ix2>,
    /// All coordinates are taken from here: the first point.
    origin: SharedArray<T>,
    /// The sum of the squared distances of all points from the origin.
    square: f64,
    /// The mean over the axes of their variance.
    pub variance: f64,
    meter: &'a Meter,
}

/// Centroids, what a pass found, and how it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Row by row, taken from the origin.
    centroids: Vec<f64>,
    /// Points of each.
    pub sizes: Vec<u64>,
    /// The inertia of each pass; the last is that of the centroids.
    pub inertia: Vec<f64>,
    /// Whether the centroids moved less than was asked for.
    pub settled: bool,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// Moves of the centroids at most.
    pub iterations: usize,
    /// The sum of the squares of the centroids' ways in one move, in units of the variance.
    pub tolerance: f64,
}

impl<'a, T: Draw, const LANES: usize> Cloud<'a, T, LANES> {
    /// Looks at all points once.
    pub fn new(pool: &Pool, points: &'a SharedArray<T, Ix2>, meter: &'a Meter) -> Result<Self> {
        let (rows, dims) = points.view().dim();
        if rows == 0 || dims == 0 {
            return Err(refuse(format!("there are no points in an array of shape ({rows}, {dims})")));
        }
        let origin = pool.from_slice(&points.as_slice()[..dims])?;
        let mut sums = pool.zeros::<f64>(2 * dims)?;
        let mut cloud = Cloud { points, origin, square: 0.0, variance: 0.0, meter };
        cloud.pass(pool, |launch| {
            let operands = (points.split(), cloud.origin.whole(), sums.reduce(0.0, |a, b| a + b));
            Ok(launch.for_each(operands, |(rows, origin, sums)| {
                let (sums, squares) = sums.split_at_mut(origin.len());
                for row in rows.to_slice().unwrap_or_default().chunks_exact(origin.len()) {
                    for (((x, zero), sum), square) in
                        row.iter().zip(origin).zip(&mut *sums).zip(&mut *squares)
                    {
                        let x = f64_of(*x) - f64_of(*zero);
                        *sum += x;
                        *square += x * x;
                    }
                }
            })?)
        })?;
        let (sums, squares) = sums.as_slice().split_at(dims);
        let (n, square) = (rows as f64, squares.iter().sum::<f64>());
        if !square.is_finite() {
            return Err(refuse("some coordinates are NaN, infinite, or too large to be squared"));
        }
        let variance = square / n - sums.iter().map(|sum| (sum / n).powi(2)).sum::<f64>();
        (cloud.square, cloud.variance) = (square, variance.max(0.0) / dims as f64);
        Ok(cloud)
    }

    /// Moves the centroids from `start`, which are points row by row, until they have settled.
    pub fn fit(&self, pool: &Pool, start: &[T], until: Until) -> Result<Fit> {
        let dims = self.origin.len();
        let origin = self.origin.as_slice().iter().cycle();
        let centroids = start.iter().zip(origin).map(|(x, zero)| f64_of(*x) - f64_of(*zero));
        let mut fit = Fit { centroids: centroids.collect(), sizes: vec![], inertia: vec![], settled: false };
        loop {
            let sums = self.sums(pool, &fit)?;
            let clusters = || sums.chunks_exact(row_len(dims));
            fit.sizes = clusters().map(|sum| sum[0] as u64).collect();
            fit.inertia.push(self.inertia(&fit, &sums));
            if fit.settled || fit.inertia.len() > until.iterations {
                return Ok(fit);
            }
            let mut way = 0.0;
            for (centroid, sum) in fit.centroids.chunks_exact_mut(dims).zip(clusters()) {
                // A centroid without points stays where it is.
                for (c, x) in centroid.iter_mut().zip(&sum[1..]).filter(|_| sum[0] > 0.0) {
                    way += (x / sum[0] - *c).powi(2);
                    *c = x / sum[0];
                }
            }
            fit.settled = way <= until.tolerance * self.variance;
        }
    }

    /// One pass: the number of the points nearest to each centroid, and their sum.
    fn sums(&self, pool: &Pool, fit: &Fit) -> Result<Vec<f64>> {
        let table = self.table(pool, fit)?;
        let mut sums = pool.zeros::<f64>(table.len())?;
        self.pass(pool, |launch| {
            let (points, origin) = (self.points.split(), self.origin.whole());
            let operands = (points, origin, table.whole(), sums.reduce(0.0, |a, b| a + b));
            Ok(launch.for_each(operands, |(rows, origin, table, sums)| {
                let zeros: Vec<f64> = origin.iter().map(|x| f64_of(*x)).collect();
                with_nearest::<T, LANES>(
                    rows.to_slice().unwrap_or_default(),
                    origin,
                    table,
                    #[inline(always)]
                    |row, label| {
                        let sum = &mut sums[label * row_len(row.len())..][..row_len(row.len())];
                        sum[0] += 1.0;
                        for ((sum, x), zero) in sum[1..].iter_mut().zip(row).zip(&zeros) {
                            *sum += f64_of(*x) - zero;
                        }
                    },
                );
            })?)
        })?;
        Ok(sums.as_slice().to_vec())
    }

    /// The number of each point's nearest centroid.
    pub fn labels(&self, pool: &Pool, fit: &Fit) -> Result<SharedArray<u32>> {
        let table = self.table(pool, fit)?;
        let mut labels = pool.zeros::<u32>(self.points.view().nrows())?;
        self.pass(pool, |launch| {
            let operands = (labels.split_out(), self.points.split(), self.origin.whole(), table.whole());
            Ok(launch.for_each(operands, |(labels, rows, origin, table)| {
                let mut labels = labels.iter_mut();
                with_nearest::<T, LANES>(
                    rows.to_slice().unwrap_or_default(),
                    origin,
                    table,
                    #[inline(always)]
                    |_, label| labels.next().into_iter().for_each(|to| *to = label as u32),
                );
            })?)
        })?;
        Ok(labels)
    }

    /// The centroids as points.
    pub fn centroids(&self, fit: &Fit) -> Vec<T> {
        let origin = self.origin.as_slice().iter().cycle();
        fit.centroids.iter().zip(origin).map(|(x, zero)| T::from_f64(x + f64_of(*zero))).collect()
    }

    fn table(&self, pool: &Pool, fit: &Fit) -> Result<SharedArray<T>> {
        let dims = self.origin.len();
        let mut table = pool.zeros(fit.centroids.len() / dims * row_len(dims))?;
        let rows = table.as_mut_slice().chunks_exact_mut(row_len(dims));
        rows.zip(fit.centroids.chunks_exact(dims)).for_each(|(row, centroid)| write_row(row, centroid));
        Ok(table)
    }

    /// Sum over all points of |x - c|^2 = |x|^2 - 2 x c + |c|^2.
    fn inertia(&self, fit: &Fit, sums: &[f64]) -> f64 {
        let dims = self.origin.len();
        let clusters = fit.centroids.chunks_exact(dims).zip(sums.chunks_exact(row_len(dims)));
        let change = clusters.map(|(centroid, sum)| {
            centroid.iter().zip(&sum[1..]).map(|(c, x)| c * (sum[0] * c - 2.0 * x)).sum::<f64>()
        });
        (self.square + change.sum::<f64>()).max(0.0)
    }

    /// By how much rounding can raise the inertia: a point whose distances from two centroids are the same
    /// but for the last digit of `T` may join either.
    pub fn slack(&self) -> f64 {
        4.0 * f64_of(T::epsilon()) * self.square
    }

    /// Runs a launch over all points, with progress.
    fn pass(&self, pool: &Pool, work: impl FnOnce(Launch<'_>) -> Result<()>) -> Result<()> {
        let (rows, bytes) = (self.points.view().nrows() as u64, self.points.len_bytes() as u64);
        let done = Cell::new(0);
        let advance = |to: u64| self.meter.advance(to.saturating_sub(done.replace(to)));
        let tell = |progress: Progress| advance(progress.done as u64 * (bytes / rows.max(1)));
        self.meter.pass(bytes);
        work(pool.launch().progress(&tell))?;
        advance(bytes);
        Ok(())
    }
}
