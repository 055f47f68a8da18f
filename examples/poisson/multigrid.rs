//! Conjugate gradients with a multigrid preconditioner: an iteration costs more than with Jacobi's, and there
//! are far fewer of them, as few on a fine grid as on a coarse one.
//!
//! ```text
//! cycle(level):  u = w f / diagonal                   one step of damped Jacobi from zero
//!                coarse f = restricted (f - A u)
//!                cycle(coarse level)
//!                u += interpolated coarse u
//!                u += w (f - A u) / diagonal          the same step, so that all of it is symmetric
//! ```
//!
//! A level has half as many points along each axis as the one before, at their own places: none need be one
//! of the finer grid, so any number of points will do. Values are interpolated linearly along each axis;
//! restricting is the transpose of that. After Trottenberg, Oosterlee, Schueller, *Multigrid*, 2001, sections
//! 2.4 and 7.8. Each step is a launch, over arrays in a list as long as there are levels.

use crate::grid::{Grid, dot};
use crate::solve::Solved;
use common::Result;
use ndarray::{ArrayView3, ArrayViewMut3, Ix3};
use phalanx::{Edge, Pool, SharedArray};
use std::ops::Range;

/// What a step of Jacobi's is multiplied by: best for what is rough, with six neighbours.
const DAMPING: f64 = 6.0 / 7.0;
/// Points along an axis of a grid that has no coarser one,
const COARSEST: usize = 3;
/// on which so many steps solve the equations well enough.
const STEPS: usize = 16;

/// The equations of a grid, A u = f, and what is left of them, r = f - A u.
struct Level {
    grid: Grid,
    u: SharedArray<f64, Ix3>,
    f: SharedArray<f64, Ix3>,
    r: SharedArray<f64, Ix3>,
}

/// Iterates until the residual is `tolerance` times `f`, or `most` iterations are made.
pub fn solve(
    pool: &Pool,
    grid: Grid,
    f: &SharedArray<f64, Ix3>,
    tolerance: f64,
    most: usize,
) -> Result<Solved> {
    let mut levels = levels(pool, grid)?;
    let vector = || pool.zeros_nd((grid.0, grid.0, grid.0));
    let (mut x, mut p, mut history) = (vector()?, vector()?, Vec::new());
    phalanx::azip!(pool, (r in levels[0].f.split_out(), &f in f.split()) { *r = f })?;
    let ff = inner(pool, f, f)?;
    cycle(pool, &mut levels)?;
    phalanx::azip!(pool, (p in p.split_out(), &z in levels[0].u.split()) { *p = z })?;
    let mut rz = inner(pool, &levels[0].f, &levels[0].u)?;
    while history.len() < most {
        // Between cycles the finest level's `r` is free for A p, `f` is the residual and `u` what the cycle
        // made of it.
        let Level { r: q, f: r, .. } = &mut levels[0];
        let alpha = rz / product(pool, grid, &p, q)?;
        phalanx::azip!(pool, [alpha], (x in x.split_mut(), &p in p.split()) { *x += alpha * p })?;
        phalanx::azip!(pool, [alpha], (r in r.split_mut(), &q in q.split()) { *r -= alpha * q })?;
        let residual = (inner(pool, r, r)? / ff).sqrt();
        history.push(residual);
        if residual <= tolerance || residual.is_nan() {
            break;
        }
        cycle(pool, &mut levels)?;
        let new = inner(pool, &levels[0].f, &levels[0].u)?;
        let beta = new / rz;
        phalanx::azip!(pool, [beta], (p in p.split_mut(), &z in levels[0].u.split()) { *p = z + beta * *p })?;
        rz = new;
    }
    Ok(Solved { x, history })
}

/// All grids, the finest first.
fn levels(pool: &Pool, finest: Grid) -> Result<Vec<Level>> {
    let mut levels = Vec::new();
    let mut n = finest.0;
    loop {
        let vector = || pool.zeros_nd((n, n, n));
        levels.push(Level { grid: Grid(n), u: vector()?, f: vector()?, r: vector()? });
        if n <= COARSEST {
            return Ok(levels);
        }
        n /= 2;
    }
}

/// Sets the first level's `u` to about the solution for its `f`.
fn cycle(pool: &Pool, levels: &mut [Level]) -> Result<()> {
    let Some((fine, coarser)) = levels.split_first_mut() else { return Ok(()) };
    begin(pool, fine)?;
    let Some(coarse) = coarser.first_mut() else {
        return (0..STEPS).try_for_each(|_| step(pool, fine));
    };
    residual(pool, fine)?;
    restrict(pool, fine, coarse)?;
    cycle(pool, coarser)?;
    interpolate(pool, &coarser[0], fine)?;
    step(pool, fine)
}

/// A step of Jacobi's from zero.
fn begin(pool: &Pool, level: &mut Level) -> Result<()> {
    let n = level.grid.0;
    Ok(pool.for_each((0..n, level.u.split_out(), level.f.split(), n), |(planes, mut u, f, n)| {
        for ((i, mut u), f) in planes.zip(u.outer_iter_mut()).zip(f.outer_iter()) {
            let factor = DAMPING / Grid(n).plane(i).diagonal();
            u.zip_mut_with(&f, |u, f| *u = factor * f);
        }
    })?)
}

/// A step of Jacobi's.
fn step(pool: &Pool, level: &mut Level) -> Result<()> {
    residual(pool, level)?;
    let n = level.grid.0;
    Ok(pool.for_each((0..n, level.u.split_mut(), level.r.split(), n), |(planes, mut u, r, n)| {
        for ((i, mut u), r) in planes.zip(u.outer_iter_mut()).zip(r.outer_iter()) {
            let factor = DAMPING / Grid(n).plane(i).diagonal();
            u.zip_mut_with(&r, |u, r| *u += factor * r);
        }
    })?)
}

/// r = f - A u.
fn residual(pool: &Pool, Level { grid, u, f, r }: &mut Level) -> Result<()> {
    let operands = (0..grid.0, r.split_out(), u.halo(1, Edge::Fill(0.0)), f.split(), grid.0);
    Ok(pool.for_each(operands, |(planes, mut r, u, f, n)| {
        Grid(n).apply(planes.start, &mut r, &u);
        r.zip_mut_with(&f, |r, f| *r = f - *r);
    })?)
}

/// q = A p. Returns (p, q).
fn product(pool: &Pool, grid: Grid, p: &SharedArray<f64, Ix3>, q: &mut SharedArray<f64, Ix3>) -> Result<f64> {
    let operands = (0..grid.0, q.split_out(), p.halo(1, Edge::Fill(0.0)), grid.0);
    let multiply =
        |(planes, mut q, p, n): (Range<usize>, ArrayViewMut3<'_, f64>, ArrayView3<'_, f64>, usize)| {
            Grid(n).apply(planes.start, &mut q, &p)
        };
    Ok(pool.reduce(operands, 0.0, multiply, |a, b| a + b)?)
}

fn inner(pool: &Pool, a: &SharedArray<f64, Ix3>, b: &SharedArray<f64, Ix3>) -> Result<f64> {
    let of_part = |(a, b): (ArrayView3<'_, f64>, ArrayView3<'_, f64>)| {
        dot(a.as_slice().unwrap_or_default(), b.as_slice().unwrap_or_default())
    };
    Ok(pool.reduce((a.split(), b.split()), 0.0, of_part, |a, b| a + b)?)
}

/// Two grids along an axis.
#[derive(Clone, Copy)]
struct Axis {
    fine: usize,
    coarse: usize,
}

impl Axis {
    /// Where a fine point lies, as a number of coarse points: between -1 and `coarse`, which are the faces.
    fn place(self, fine: usize) -> f64 {
        ((fine + 1) * (self.coarse + 1)) as f64 / (self.fine + 1) as f64 - 1.0
    }

    /// What a coarse point is for a fine one: 1 at the same place, 0 from the next coarse point on.
    fn weight(self, fine: usize, coarse: usize) -> f64 {
        (1.0 - (self.place(fine) - coarse as f64).abs()).max(0.0)
    }

    /// The fine points for which a coarse one is anything.
    fn fine_near(self, coarse: usize) -> Range<usize> {
        let (steps, more) = (self.coarse + 1, self.fine + 1);
        coarse * more / steps..(((coarse + 2) * more).div_ceil(steps) - 1).min(self.fine)
    }

    /// The coarse points that are anything for a fine one: one or two.
    fn coarse_near(self, fine: usize) -> Range<usize> {
        let above = (self.place(fine) + 1.0) as usize;
        above.saturating_sub(1)..(above + 1).min(self.coarse)
    }
}

/// Each coarse point has what lies around it, by the weights of the interpolation.
fn restrict(pool: &Pool, fine: &Level, coarse: &mut Level) -> Result<()> {
    let [n, m] = [fine.grid.0, coarse.grid.0];
    let operands = (0..m, coarse.f.split_out(), fine.r.whole(), [n, m]);
    Ok(pool.for_each(operands, |(planes, mut f, r, [n, m])| {
        let axis = Axis { fine: n, coarse: m };
        // A coarse point stands for more of the cube.
        let scale = ((m + 1) as f64 / (n + 1) as f64).powi(3);
        let mut line = vec![0.0; n];
        for (ci, mut plane) in planes.zip(f.outer_iter_mut()) {
            for (cj, mut out) in plane.outer_iter_mut().enumerate() {
                line.fill(0.0);
                for (i, j) in axis.fine_near(ci).flat_map(|i| axis.fine_near(cj).map(move |j| (i, j))) {
                    let weight = scale * axis.weight(i, ci) * axis.weight(j, cj);
                    let from = &r.as_slice().unwrap_or_default()[(i * n + j) * n..][..n];
                    line.iter_mut().zip(from).for_each(|(sum, r)| *sum += weight * r);
                }
                for (ck, out) in out.iter_mut().enumerate() {
                    *out = axis.fine_near(ck).map(|k| axis.weight(k, ck) * line[k]).sum();
                }
            }
        }
    })?)
}

/// Adds the coarse `u`, interpolated, to the fine one.
fn interpolate(pool: &Pool, coarse: &Level, fine: &mut Level) -> Result<()> {
    let [n, m] = [fine.grid.0, coarse.grid.0];
    let operands = (0..n, fine.u.split_mut(), coarse.u.whole(), [n, m]);
    Ok(pool.for_each(operands, |(planes, mut u, from, [n, m])| {
        let axis = Axis { fine: n, coarse: m };
        // With the faces, where all is zero.
        let mut line = vec![0.0; m + 2];
        let places: Vec<(usize, f64)> =
            (0..n).map(|k| axis.place(k) + 1.0).map(|place| (place as usize, place.fract())).collect();
        for (i, mut plane) in planes.zip(u.outer_iter_mut()) {
            for (j, mut out) in plane.outer_iter_mut().enumerate() {
                line.fill(0.0);
                for (ci, cj) in axis.coarse_near(i).flat_map(|ci| axis.coarse_near(j).map(move |cj| (ci, cj)))
                {
                    let weight = axis.weight(i, ci) * axis.weight(j, cj);
                    let from = &from.as_slice().unwrap_or_default()[(ci * m + cj) * m..][..m];
                    line[1..].iter_mut().zip(from).for_each(|(sum, u)| *sum += weight * u);
                }
                for (out, (below, part)) in out.iter_mut().zip(&places) {
                    *out += (1.0 - part) * line[*below] + part * line[below + 1];
                }
            }
        }
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::Backend;

    fn noise(pool: &Pool, n: usize, seed: u64) -> SharedArray<f64, Ix3> {
        let mut array = pool.zeros_nd((n, n, n)).unwrap();
        for (at, x) in (0..).zip(array.as_mut_slice()) {
            *x = (common::random(seed, at) >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        }
        array
    }

    /// What conjugate gradients need of a preconditioner: (a, M b) = (M a, b), and (a, M a) > 0.
    #[test]
    fn a_cycle_is_symmetric_and_positive() {
        let pool = Pool::builder().workers(2).backend(Backend::Threads).build().unwrap();
        for n in [1, 3, 4, 7, 10, 17] {
            let cycled = |a: &SharedArray<f64, Ix3>| {
                let mut levels = levels(&pool, Grid(n)).unwrap();
                levels[0].f.as_mut_slice().copy_from_slice(a.as_slice());
                cycle(&pool, &mut levels).unwrap();
                levels.swap_remove(0).u
            };
            let (a, b) = (noise(&pool, n, 1), noise(&pool, n, 2));
            let (ma, mb) = (cycled(&a), cycled(&b));
            let inner = |a: &SharedArray<f64, Ix3>, b: &SharedArray<f64, Ix3>| inner(&pool, a, b).unwrap();
            let (left, right, size) = (inner(&a, &mb), inner(&ma, &b), inner(&a, &ma));
            assert!(size > 0.0, "{n}");
            assert!((left - right).abs() <= 1e-12 * size, "{n}: {left} and {right}, of {size}");
        }
    }

    #[test]
    fn iterations_do_not_grow_with_the_grid() {
        let pool = Pool::builder().workers(2).backend(Backend::Threads).build().unwrap();
        let iterations = |n| {
            let f = crate::right_side(&pool, Grid(n)).unwrap();
            solve(&pool, Grid(n), &f, 1e-8, 100).unwrap().history.len()
        };
        let found = [12, 25, 40].map(iterations);
        assert!(found.iter().all(|count| (3..=20).contains(count)), "{found:?}");
    }

    #[test]
    fn points_near_each_other_are_those_with_a_weight() {
        for (fine, coarse) in [(4, 2), (5, 2), (7, 3), (64, 32), (65, 32)] {
            let axis = Axis { fine, coarse };
            for (f, c) in (0..fine).flat_map(|f| (0..coarse).map(move |c| (f, c))) {
                let is_near = axis.weight(f, c) > 1e-12;
                assert!(!is_near || axis.fine_near(c).contains(&f) && axis.coarse_near(f).contains(&c));
            }
            // Inside, a fine point is all made of its neighbours.
            let weights = |f| axis.coarse_near(f).map(|c| axis.weight(f, c)).sum::<f64>();
            assert!((fine / 4..fine / 2).all(|f| coarse < 3 || (weights(f) - 1.0).abs() < 1e-12));
        }
    }
}
