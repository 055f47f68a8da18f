//! Points in a plane, in the colours of their clusters.

use crate::block::f64_of;
use crate::lloyd::{Cloud, Fit};
use crate::points::spread;
use common::picture::{colour, write_rgb};
use common::{Meter, Result};
use phalanx::Pool;
use phalanx_kernels::random::Draw;
use std::path::Path;

const SIDE: usize = 480;
/// Points drawn at most.
const DRAWN: usize = 100_000;

/// Draws points of two coordinates: evenly spaced points as dots, the centroids as white squares.
pub fn draw<T: Draw, const LANES: usize>(
    pool: &Pool,
    cloud: &Cloud<'_, T, LANES>,
    fit: &Fit,
    path: &Path,
) -> Result<()> {
    let (sample, meter) = (spread(pool, cloud.points, DRAWN)?, Meter::new("picture", 0));
    let labels = Cloud::<T, LANES>::new(pool, &sample, &meter)?.labels(pool, fit)?;
    let axes = [0, 1].map(|axis| {
        let column = sample.view().column(axis).map(|x| f64_of(*x));
        let (low, high) =
            column.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
        (low, (high - low).max(f64::MIN_POSITIVE))
    });
    let place = |point: &[T]| {
        let [x, y] = [0, 1].map(|axis| {
            let (low, width) = axes[axis];
            ((f64_of(point[axis]) - low) / width * (SIDE - 1) as f64).clamp(0.0, (SIDE - 1) as f64) as usize
        });
        (x, SIDE - 1 - y)
    };
    let mut rgb = vec![16; 3 * SIDE * SIDE];
    let mut dot = |(x, y): (usize, usize), colour: [u8; 3]| {
        rgb[3 * (y * SIDE + x)..][..3].copy_from_slice(&colour);
    };
    let clusters = fit.sizes.len();
    for (point, label) in sample.as_slice().chunks_exact(2).zip(labels.as_slice()) {
        // Neighbouring numbers far apart on the scale.
        let shade = (*label as f64 * 0.618_034).fract() * 0.85 + 0.15;
        dot(place(point), colour(if clusters == 1 { 0.6 } else { shade }));
    }
    for centroid in cloud.centroids(fit).chunks_exact(2) {
        let (x, y) = place(centroid);
        for i in 0..49 {
            let (dx, dy) = (i % 7, i / 7);
            let edge = [0, 6].contains(&dx) || [0, 6].contains(&dy);
            let at = ((x + dx).saturating_sub(3).min(SIDE - 1), (y + dy).saturating_sub(3).min(SIDE - 1));
            dot(at, if edge { [0; 3] } else { [255; 3] });
        }
    }
    write_rgb(path, SIDE, SIDE, &rgb)
}
