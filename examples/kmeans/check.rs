//! What must hold of a result, computed by the plainest means: every distance from its definition.

use crate::block::f64_of;
use crate::lloyd::{Cloud, Fit};
use crate::points::spread;
use common::{Meter, Result};
use phalanx::Pool;
use phalanx_kernels::random::Draw;

/// Points whose labels are looked at, evenly spaced.
const SAMPLE: usize = 10_000;

/// Returns the number of points looked at.
///
/// # Errors
/// One line on what is wrong.
pub fn check<T: Draw, const LANES: usize>(
    pool: &Pool,
    cloud: &Cloud<'_, T, LANES>,
    fit: &Fit,
) -> Result<usize> {
    if let Some(rise) = fit.inertia.windows(2).position(|pair| pair[1] > pair[0] + cloud.slack()) {
        return Err(format!("the inertia rose in iteration {rise}: {:?}", &fit.inertia[rise..][..2]).into());
    }
    let rows = cloud.points.view().nrows();
    if fit.sizes.iter().sum::<u64>() != rows as u64 {
        return Err(format!("clusters of {:?} points hold not all of {rows}", fit.sizes).into());
    }
    let (sample, centroids) = (spread(pool, cloud.points, SAMPLE)?, cloud.centroids(fit));
    let meter = Meter::new("check", 0);
    let labels = Cloud::<T, LANES>::new(pool, &sample, &meter)?.labels(pool, fit)?;
    let mut inertia = 0.0;
    for ((row, point), label) in sample.view().outer_iter().enumerate().zip(labels.as_slice()) {
        let centroids = centroids.chunks_exact(point.len());
        let squares: Vec<f64> = centroids
            .map(|c| point.iter().zip(c).map(|(x, c)| (f64_of(*x) - f64_of(*c)).powi(2)).sum())
            .collect();
        let (least, got) = (squares.iter().copied().fold(f64::INFINITY, f64::min), squares[*label as usize]);
        // Both distances are differences of squares as large as those from the origin.
        if got > least + cloud.slack() / rows as f64 * 16.0 {
            return Err(format!(
                "sampled point {row} joined centroid {label}, whose square is {got}, not {least}"
            )
            .into());
        }
        inertia += got;
    }
    let (mine, all) = (fit.inertia[fit.inertia.len() - 1], sample.view().nrows() == rows);
    if all && (inertia - mine).abs() > 1e-6 * inertia + cloud.slack() {
        return Err(format!("the inertia is {mine}, but one by one the points have {inertia}").into());
    }
    Ok(sample.view().nrows())
}
