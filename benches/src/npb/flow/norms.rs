//! Root mean squares over the grid, and their comparison with official values.

use super::equations::{Five, exact};
use super::grid::Grid;
use super::problem::Found;
use crate::npb::verification::{Check, Norms};

/// Five zeros, or sums so far.
pub fn add(mut a: Five, b: Five) -> Five {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

/// The sum of squares of what differs from the exact solution in slab `y`: at all its points, those of the
/// border included, where the difference is rounding.
pub fn error_squares(grid: Grid, y: usize, u: &[f64]) -> Five {
    let mut sums = [0.0; 5];
    for z in 0..grid.side {
        let row = &u[z * grid.row()..];
        for x in 0..grid.side {
            for (m, exact) in exact(grid.place([x, y, z])).into_iter().enumerate() {
                sums[m] += (row[m * grid.pitch() + x] - exact).powi(2);
            }
        }
    }
    sums
}

/// The sum of squares of the right-hand sides in a plane, inside its border.
pub fn residual_squares(grid: Grid, plane: &[f64]) -> Five {
    let mut sums = [0.0; 5];
    for y in 1..grid.side - 1 {
        let row = &plane[y * grid.row()..];
        for (m, sum) in sums.iter_mut().enumerate() {
            *sum += row[m * grid.pitch()..][1..grid.side - 1].iter().map(|r| r * r).sum::<f64>();
        }
    }
    sums
}

/// Both root mean squares compared with the official values, if there are any.
pub fn checks(grid: Grid, found: &Found, official: Option<Norms>) -> Vec<Check> {
    let Some(official) = official else { return Vec::new() };
    let mut checks = Vec::new();
    let pairs = [("residual", found.residual, official.residual), ("error", found.error, official.error)];
    for (what, sums, official) in pairs {
        for (m, (sum, official)) in sums.into_iter().zip(official).enumerate() {
            let norm = (sum / grid.interior()).sqrt();
            checks.push(Check::relative(&format!("{what} {}", m + 1), norm, official, 1e-8));
        }
    }
    checks
}
