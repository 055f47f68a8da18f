//! The two sweeps of a V-cycle, over some planes of one level, and the bottom of the cycle.
//!
//! Memory is what MG waits for, so operators that follow each other are applied plane by plane while their
//! data are in the cache: going down, the residual and its projection; going up, interpolation, residual and
//! smoothing. A sweep reads the level's values and writes only its result, and what it needs of its
//! neighbours' planes it computes itself (two planes on each side). Large planes are cut into bands of rows,
//! for the same reason and in the same way.
//!
//! | sweep | bytes per point of the level, beside the coarse one's eighth |
//! |---|---|
//! | down, finest level | 16 (u, right-hand side) |
//! | up, finest level | 32 (u, right-hand side, new u and the line that a store reads first) |

use super::stencil::{self, Lines, Plane};
use crate::npb::simd::multiversion;
use std::ops::Range;

/// Bytes of the six planes (three of values, three of residuals) that a sweep keeps in the cache: half of a
/// second-level cache of 2 MiB.
const BAND_BYTES: usize = 1 << 20;

/// Buffers of one thread.
pub struct Scratch {
    values: [Vec<f64>; 3],
    residuals: [Vec<f64>; 3],
    lines: Lines,
}

impl Scratch {
    /// For levels of up to `side` points per direction.
    pub fn new(side: usize) -> Scratch {
        let len = |side: usize| if band_rows(side) < side { band_rows(side) + 4 } else { side } * side;
        let most = (1..=side.ilog2()).map(|level| len(1 << level)).max().unwrap_or(0);
        let plane = || vec![0.0; most];
        Scratch {
            values: [plane(), plane(), plane()],
            residuals: [plane(), plane(), plane()],
            lines: Lines::new(side),
        }
    }
}

/// Rows of a band: all, or a power of two.
fn band_rows(side: usize) -> usize {
    let fits = BAND_BYTES / (6 * side * size_of::<f64>());
    if fits >= side { side } else { (1 << fits.max(8).ilog2()).min(side) }
}

/// Rows `rows` of planes, kept with `more` rows on each side; a band of all rows has none and wraps.
struct Band {
    rows: Range<isize>,
    side: usize,
    whole: bool,
}

impl Band {
    fn all(side: usize) -> impl Iterator<Item = Band> {
        let height = band_rows(side);
        (0..side / height).map(move |band| Band {
            rows: (band * height) as isize..((band + 1) * height) as isize,
            side,
            whole: height == side,
        })
    }

    /// The rows that are kept where `below` and `above` are wanted beyond the band's ends.
    #[inline(always)]
    fn kept(&self, below: isize, above: isize) -> Range<isize> {
        if self.whole { self.rows.clone() } else { self.rows.start - below..self.rows.end + above }
    }

    /// A buffer with `below` rows before the band.
    #[inline(always)]
    fn plane<'a>(&self, data: &'a [f64], below: isize) -> Plane<'a> {
        if self.whole {
            Plane::whole(data, self.side)
        } else {
            Plane::band(data, self.side, self.rows.start - below)
        }
    }
}

/// Plane `index` of a periodic grid.
#[inline(always)]
fn plane(grid: &[f64], side: usize, index: isize) -> Plane<'_> {
    let area = side * side;
    let at = (index & (side as isize - 1)) as usize * area;
    Plane::whole(&grid[at..at + area], side)
}

/// Three neighbouring planes.
#[inline(always)]
fn planes(grid: &[f64], side: usize, middle: isize) -> [Plane<'_>; 3] {
    [plane(grid, side, middle - 1), plane(grid, side, middle), plane(grid, side, middle + 1)]
}

/// The place of plane `index` in a ring of three.
#[inline(always)]
fn slot(index: isize) -> usize {
    index.rem_euclid(3) as usize
}

/// Where the residuals of a level come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// They are there.
    Given(&'a [f64]),
    /// Right-hand side and values.
    Of(&'a [f64], &'a [f64]),
}

/// What an ascent reads.
#[derive(Clone, Copy)]
pub struct Ascent<'a> {
    /// Points per direction.
    pub side: usize,
    /// The level's right-hand side.
    pub rhs: &'a [f64],
    /// Values of the next coarser level.
    pub coarse: &'a [f64],
    /// The level's values before; none are zeros.
    pub old: Option<&'a [f64]>,
    /// Of the smoother.
    pub weights: [f64; 3],
}

multiversion! {
    /// The residuals of a level of `side` points projected to planes `coarse` of the next coarser level, into
    /// `out`. Returns the sum of squares of the residuals in the fine planes that belong to these, where they
    /// are computed here.
    pub fn descend(side: usize, source: Source<'_>, coarse: Range<usize>, out: &mut [f64], scratch: &mut Scratch) -> f64 {
        match source {
            Source::Given(fine) => {
                project_given(side, fine, coarse, out, &mut scratch.lines);
                0.0
            }
            Source::Of(rhs, values) => {
                Band::all(side).map(|band| descend_band(&band, [rhs, values], coarse.clone(), out, scratch)).sum()
            }
        }
    }

    /// The values of planes `wanted` of a level after correction from the next coarser level and smoothing,
    /// into `out`.
    pub fn ascend(level: Ascent<'_>, wanted: Range<usize>, out: &mut [f64], scratch: &mut Scratch) {
        for band in Band::all(level.side) {
            ascend_band(&band, level, wanted.clone(), out, scratch);
        }
    }

    /// The sum of squares of the residuals of right-hand side and values in planes `wanted`.
    pub fn norm(side: usize, of: [&[f64]; 2], wanted: Range<usize>, scratch: &mut Scratch) -> f64 {
        let ([rhs, values], mut sum) = (of, 0.0);
        for p in wanted {
            let p = p as isize;
            for j in 0..side as isize {
                let out = &mut scratch.residuals[0][..side];
                stencil::residual(out, plane(rhs, side, p).row(j), planes(values, side, p), j, &mut scratch.lines);
                sum += stencil::squares(out);
            }
        }
        sum
    }

    /// One step of smoothing from zeros.
    pub fn smooth_from_zeros(side: usize, rhs: &[f64], weights: [f64; 3], out: &mut [f64], lines: &mut Lines) {
        let zeros = vec![0.0; side];
        for p in 0..side {
            for j in 0..side {
                let row = &mut out[(p * side + j) * side..][..side];
                stencil::smooth(row, &zeros, planes(rhs, side, p as isize), j as isize, weights, lines);
            }
        }
    }
}

#[inline(always)]
fn project_given(side: usize, fine: &[f64], coarse: Range<usize>, out: &mut [f64], lines: &mut Lines) {
    let half = side / 2;
    for (out, c) in out.chunks_exact_mut(half * half).zip(coarse) {
        for (j, out) in out.chunks_exact_mut(half).enumerate() {
            stencil::project(out, planes(fine, side, 2 * c as isize + 1), j as isize, lines);
        }
    }
}

#[inline(always)]
fn descend_band(
    band: &Band,
    [rhs, values]: [&[f64]; 2],
    coarse: Range<usize>,
    out: &mut [f64],
    scratch: &mut Scratch,
) -> f64 {
    let (side, half) = (band.side, band.side / 2);
    let (first, last) = (2 * coarse.start as isize, 2 * coarse.end as isize);
    let Scratch { residuals, lines, .. } = scratch;
    let mut sum = 0.0;
    for p in first..=last {
        let ring = &mut residuals[slot(p)];
        for (row, j) in ring.chunks_exact_mut(side).zip(band.kept(0, 1)) {
            stencil::residual(row, plane(rhs, side, p).row(j), planes(values, side, p), j, lines);
            if p < last && j < band.rows.end {
                sum += stencil::squares(row);
            }
        }
        if p % 2 != 0 || p == first {
            continue;
        }
        let fine = [p - 2, p - 1, p].map(|p| band.plane(&residuals[slot(p)], 0));
        let at = ((p - first) / 2 - 1) as usize * half * half;
        for j in band.rows.start / 2..band.rows.end / 2 {
            let out = &mut out[at + j as usize * half..][..half];
            stencil::project(out, fine, j, lines);
        }
    }
    sum
}

/// The fine values of one plane: interpolated, and added to the old ones where there are such.
#[inline(always)]
fn corrected(band: &Band, p: isize, coarse: &[f64], old: Option<&[f64]>, out: &mut [f64], lines: &mut Lines) {
    let (side, half) = (band.side, band.side / 2);
    let (low, high) = if p & 1 == 1 { ((p - 1) / 2, (p - 1) / 2) } else { (p / 2 - 1, p / 2) };
    let between = [plane(coarse, half, low), plane(coarse, half, high)];
    for (out, j) in out.chunks_exact_mut(side).zip(band.kept(2, 2)) {
        stencil::interpolate(out, old.map(|old| plane(old, side, p).row(j)), between, j, lines);
    }
}

#[inline(always)]
fn ascend_band(band: &Band, level: Ascent<'_>, wanted: Range<usize>, out: &mut [f64], scratch: &mut Scratch) {
    if wanted.is_empty() {
        return;
    }
    let Ascent { side, rhs, coarse, old, weights } = level;
    let (first, end) = (wanted.start as isize, wanted.end as isize);
    let Scratch { values, residuals, lines } = scratch;
    // Plane p of values, p - 1 of residuals, p - 2 of the result.
    for p in first - 2..end + 2 {
        corrected(band, p, coarse, old, &mut values[slot(p)], lines);
        if p < first {
            continue;
        }
        let near = [p - 2, p - 1, p].map(|p| band.plane(&values[slot(p)], 2));
        for (row, j) in residuals[slot(p - 1)].chunks_exact_mut(side).zip(band.kept(1, 1)) {
            stencil::residual(row, plane(rhs, side, p - 1).row(j), near, j, lines);
        }
        if p < first + 2 {
            continue;
        }
        let near = [p - 3, p - 2, p - 1].map(|p| band.plane(&residuals[slot(p)], 1));
        let own = band.plane(&values[slot(p - 2)], 2);
        for j in band.rows.clone() {
            let at = ((p - 2 - first) as usize * side + j as usize) * side;
            stencil::smooth(&mut out[at..at + side], own.row(j), near, j, weights, lines);
        }
    }
}

/// The bottom of the cycle: levels so small that meeting costs more than computing. Each thread or rank
/// computes all of them for itself.
pub struct Bottom {
    /// From the coarsest level (2 points per direction) up: residuals and values.
    levels: Vec<[Vec<f64>; 2]>,
    weights: [f64; 3],
    scratch: Scratch,
}

impl Bottom {
    /// For levels of up to `side` points per direction.
    pub fn new(side: usize, weights: [f64; 3]) -> Bottom {
        let levels = (1..=side.ilog2()).map(|level| {
            let len = 1 << (3 * level);
            [vec![0.0; len], vec![0.0; len]]
        });
        Bottom { levels: levels.collect(), weights, scratch: Scratch::new(side) }
    }

    /// The values of the largest level for these residuals.
    pub fn solve(&mut self, residuals: &[f64]) -> &[f64] {
        let top = self.levels.len() - 1;
        self.levels[top][0].copy_from_slice(residuals);
        for level in (1..=top).rev() {
            let (low, high) = self.levels.split_at_mut(level);
            let half = 1 << level;
            descend(2 * half, Source::Given(&high[0][0]), 0..half, &mut low[level - 1][0], &mut self.scratch);
        }
        let [rhs, values] = &mut self.levels[0];
        smooth_from_zeros(2, rhs, self.weights, values, &mut self.scratch.lines);
        for level in 1..=top {
            let (low, high) = self.levels.split_at_mut(level);
            let ([rhs, values], side) = (&mut high[0], 2 << level);
            let coarse = &low[level - 1][1];
            let ascent = Ascent { side, rhs, coarse, old: None, weights: self.weights };
            ascend(ascent, 0..side, values, &mut self.scratch);
        }
        &self.levels[top][1]
    }
}
