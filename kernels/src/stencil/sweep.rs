//! The body of all stencils: weighted sums of rows.
//!
//! ```text
//! for each row of the result:
//!     find the row of the input that each tap reads (1)
//!     for strips of the row away from its ends (2):
//!         for groups of up to 9 taps (3):
//!             strip = (strip +) sum of weight * shifted row
//!     element by element: the ends, where some taps leave the row
//! ```
//!
//! 1. Boundaries of the outer axes are settled once a row, not once an element.
//! 2. A strip stays in the first-level cache while several groups of taps are added to it.
//! 3. The number of taps of a group is known to the compiler, so weights and sums stay in registers.

use super::Boundary;
use crate::number::Real;
use std::ops::Range;

/// Elements of a strip: 4 KiB of float64.
const STRIP: usize = 512;

/// One neighbour: its offset along three axes, the last along the row.
pub(super) type Offset = [i64; 3];

/// An array of three axes as the taps see it (a matrix has a first axis of length 1), and what they do.
#[derive(Clone, Copy)]
pub(super) struct Sweep<'a, T> {
    pub(super) input: &'a [T],
    pub(super) shape: [usize; 3],
    pub(super) offsets: &'a [Offset],
    pub(super) weights: &'a [T],
    pub(super) boundary: Boundary<T>,
}

/// What one tap reads in one row.
#[derive(Clone, Copy)]
pub(super) struct Line<'a, T> {
    pub(super) row: &'a [T],
    pub(super) shift: isize,
    pub(super) weight: T,
}

impl<'a, T: Real> Sweep<'a, T> {
    /// Writes rows `rows` of the result, counted over both outer axes, to `out`.
    #[inline(always)]
    pub(super) fn run(&self, rows: Range<usize>, out: &mut [T]) {
        let [_, middle, width] = self.shape;
        if width == 0 || middle == 0 {
            return;
        }
        let beyond = self.row_beyond();
        let mut lines = Vec::with_capacity(self.offsets.len());
        for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
            lines.clear();
            for (offset, weight) in self.offsets.iter().zip(self.weights) {
                let row = self.row(row / middle, row % middle, offset, &beyond);
                lines.push(Line { row, shift: offset[2] as isize, weight: *weight });
            }
            sum_lines(&lines, self.boundary, out);
        }
    }

    /// A row of the constant beyond the border.
    fn row_beyond(&self) -> Vec<T> {
        match self.boundary {
            Boundary::Constant(value) => vec![value; self.shape[2]],
            _ => Vec::new(),
        }
    }

    /// The row that a tap reads for row `(i, j)`.
    #[inline(always)]
    fn row<'b>(&self, i: usize, j: usize, offset: &Offset, beyond: &'b [T]) -> &'b [T]
    where
        'a: 'b,
    {
        let [height, middle, width] = self.shape;
        let i = self.boundary.source(i as isize + offset[0] as isize, height);
        let j = self.boundary.source(j as isize + offset[1] as isize, middle);
        match (i, j) {
            (Some(i), Some(j)) => &self.input[(i * middle + j) * width..][..width],
            _ => beyond,
        }
    }
}

/// Writes the weighted sum of shifted rows, all as long as `out`.
#[inline(always)]
pub(super) fn sum_lines<T: Real>(lines: &[Line<'_, T>], boundary: Boundary<T>, out: &mut [T]) {
    let width = out.len();
    let leftmost = lines.iter().map(|line| line.shift).min().unwrap_or(0).min(0);
    let rightmost = lines.iter().map(|line| line.shift).max().unwrap_or(0).max(0);
    let low = leftmost.unsigned_abs().min(width);
    let high = width.saturating_sub(rightmost.unsigned_abs()).max(low);
    for start in (low..high).step_by(STRIP) {
        let strip = start..high.min(start + STRIP);
        sum_strip(lines, strip.start, &mut out[strip]);
    }
    for at in (0..low).chain(high..width) {
        out[at] = sum_at(lines, boundary, at, width);
    }
}

/// The sum at one place near an end of the row.
#[inline(always)]
fn sum_at<T: Real>(lines: &[Line<'_, T>], boundary: Boundary<T>, at: usize, width: usize) -> T {
    let value = |line: &Line<'_, T>| {
        let place = boundary.source(at as isize + line.shift, width);
        line.weight * place.map_or(boundary.value(), |place| line.row[place])
    };
    let mut terms = lines.iter().map(value);
    let first = terms.next().unwrap_or(T::ZERO);
    terms.fold(first, |sum, term| sum + term)
}

/// The sums from `start` on, where every shifted row has an element.
#[inline(always)]
fn sum_strip<T: Real>(lines: &[Line<'_, T>], start: usize, out: &mut [T]) {
    let len = out.len();
    for (index, group) in lines.chunks(9).enumerate() {
        let fresh = index == 0;
        macro_rules! groups { ($($n:literal)*) => { match group.len() {
            $( $n => {
                let rows: [&[T]; $n] = std::array::from_fn(|tap| {
                    let line = &group[tap];
                    &line.row[(start as isize + line.shift) as usize..][..len]
                });
                let weights: [T; $n] = std::array::from_fn(|tap| group[tap].weight);
                if fresh { sum_group::<T, $n, true>(rows, weights, out) } else { sum_group::<T, $n, false>(rows, weights, out) }
            } )*
            _ => {}
        } } }
        groups!(1 2 3 4 5 6 7 8 9);
    }
    if lines.is_empty() {
        out.fill(T::ZERO);
    }
}

/// Sets `out`, or adds to it, the weighted sum of `N` rows.
#[inline(always)]
pub(super) fn sum_group<T: Real, const N: usize, const FRESH: bool>(
    rows: [&[T]; N],
    weights: [T; N],
    out: &mut [T],
) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (at, out) in out.iter_mut().enumerate() {
        let first = weights[0] * rows[0][at];
        let mut sum = if FRESH { first } else { *out + first };
        for tap in 1..N {
            sum = sum + weights[tap] * rows[tap][at];
        }
        *out = sum;
    }
}

/// The naive twin: element by element, one tap after the other.
#[cfg(test)]
pub(super) fn naive<T: Real>(sweep: &Sweep<'_, T>) -> Vec<T> {
    let [height, middle, width] = sweep.shape;
    let mut out = Vec::new();
    for (i, j, k) in ndarray::indices((height, middle, width)) {
        let mut sum = None;
        for (offset, weight) in sweep.offsets.iter().zip(sweep.weights) {
            let place = |at: usize, axis: usize| {
                sweep.boundary.source(at as isize + offset[axis] as isize, sweep.shape[axis])
            };
            let value = match (place(i, 0), place(j, 1), place(k, 2)) {
                (Some(i), Some(j), Some(k)) => sweep.input[(i * middle + j) * width + k],
                _ => sweep.boundary.value(),
            };
            let term = *weight * value;
            sum = Some(sum.map_or(term, |sum: T| sum + term));
        }
        out.push(sum.unwrap_or(T::ZERO));
    }
    out
}
