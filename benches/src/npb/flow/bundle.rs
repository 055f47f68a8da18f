//! Lines side by side: taken out of the arrays into vectors, and put back.

use super::equations::Axis;
use super::grid::{Grid, WIDTH};
use pulp::Simd;

/// Five vectors of each point of a line.
pub type Line<S> = [[<S as Simd>::f64s; 5]];

/// Room for lines, of one thread.
pub struct Bundle {
    /// Quantities.
    pub u: Vec<f64>,
    /// Right-hand sides.
    pub rhs: Vec<f64>,
    /// What a method keeps between elimination and substitution: up to 25 vectors per point.
    pub spare: Vec<f64>,
}

impl Bundle {
    /// For lines of this grid.
    pub fn new(grid: Grid) -> Bundle {
        let vectors = |count: usize| vec![0.0; grid.side * count * WIDTH];
        Bundle { u: vectors(5), rhs: vectors(5), spare: vectors(25) }
    }
}

/// The first `len` points as vectors.
#[inline(always)]
pub fn line<S: Simd>(numbers: &[f64], len: usize) -> &Line<S> {
    &S::as_simd_f64s(numbers).0.as_chunks().0[..len]
}

/// As [`line()`], for writing.
#[inline(always)]
pub fn line_mut<S: Simd>(numbers: &mut [f64], len: usize) -> &mut Line<S> {
    &mut S::as_mut_simd_f64s(numbers).0.as_chunks_mut().0[..len]
}

/// Lines across the rows of an array, as many as a vector has numbers.
#[derive(Clone, Copy)]
pub struct Across {
    /// Where the first point of the first line is.
    pub start: usize,
    /// Elements from a point to the next.
    pub stride: usize,
    /// Elements from a quantity to the next.
    pub pitch: usize,
    /// The order of quantities in the bundle.
    pub order: [usize; 5],
}

impl Across {
    /// Copies lines into a bundle.
    #[inline(always)]
    pub fn gather<S: Simd>(self, from: &[f64], to: &mut Line<S>) {
        for (point, five) in to.iter_mut().enumerate() {
            let from = &from[self.start + point * self.stride..];
            for m in 0..5 {
                let from = &from[self.order[m] * self.pitch..][..S::F64_LANES];
                five[m] = S::as_simd_f64s(from).0[0];
            }
        }
    }

    /// Copies the points inside the border back.
    #[inline(always)]
    pub fn scatter<S: Simd>(self, from: &Line<S>, to: &mut [f64]) {
        for point in 1..from.len() - 1 {
            let to = &mut to[self.start + point * self.stride..];
            for m in 0..5 {
                let to = &mut to[self.order[m] * self.pitch..][..S::F64_LANES];
                S::as_mut_simd_f64s(to).0[0] = from[point][m];
            }
        }
    }
}

/// Lines along rows: neighbouring rows, whose numbers change places to lie side by side.
#[derive(Clone, Copy)]
pub struct Along {
    /// Where the first row is.
    pub start: usize,
    /// Elements from a row to the next.
    pub stride: usize,
    /// Elements from a quantity to the next.
    pub pitch: usize,
    /// Rows that there are; the bundle's other lines repeat the last.
    pub count: usize,
}

impl Along {
    /// Copies rows into a bundle of `lanes` lines.
    #[inline(always)]
    pub fn gather(self, lanes: usize, from: &[f64], to: &mut [f64], len: usize) {
        for lane in 0..lanes {
            let row = &from[self.start + lane.min(self.count - 1) * self.stride..][..5 * self.pitch];
            for m in 0..5 {
                let row = &row[m * self.pitch..][..len];
                for (value, to) in row.iter().zip(to[m * lanes + lane..].iter_mut().step_by(5 * lanes)) {
                    *to = *value;
                }
            }
        }
    }

    /// Copies lines back, the first `count` of them, with zeros at the border and behind it.
    #[inline(always)]
    pub fn scatter(self, lanes: usize, from: &[f64], to: &mut [f64], len: usize) {
        for lane in 0..lanes.min(self.count) {
            let row = &mut to[self.start + lane * self.stride..][..5 * self.pitch];
            for m in 0..5 {
                let row = &mut row[m * self.pitch..][..self.pitch];
                for (value, to) in from[m * lanes + lane..].iter().step_by(5 * lanes).zip(&mut row[..len]) {
                    *to = *value;
                }
                row[0] = 0.0;
                row[len - 1..].fill(0.0);
            }
        }
    }
}

/// Lines along y in plane `z` of an array ordered y, z, and along z in slab `y` of one ordered z, y.
#[inline(always)]
pub fn across(grid: Grid, axis: Axis, sheet: usize, first: usize) -> Across {
    Across {
        start: sheet * grid.row() + first,
        stride: grid.sheet(),
        pitch: grid.pitch(),
        order: axis.order(),
    }
}

/// Lines across the rows of one sheet.
#[inline(always)]
pub fn within(grid: Grid, axis: Axis, first: usize) -> Across {
    Across { start: first, stride: grid.row(), pitch: grid.pitch(), order: axis.order() }
}
