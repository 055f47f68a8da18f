//! The body of all stencils: weighted sums of rows.
//!
//! ```text
//! for each row of the result:
//!     find the row of the input that each tap reads (1)
//!     for strips of the row (2):
//!         for groups of up to 9 taps (3):
//!             strip = (strip +) sum of weight * shifted row
//!         element by element: the ends of the row, where some taps leave it
//!         if the result is far longer than the caches: copy the strip out past them (4)
//! ```
//!
//! 1. Boundaries of the outer axes are settled once a row, not once an element.
//! 2. A strip stays in the first-level cache while several groups of taps are added to it.
//! 3. The number of taps of a group is known to the compiler, so weights and sums stay in registers.
//! 4. A strip is then computed in a buffer. See `past`.

use super::Boundary;
use super::past::{copy_past_caches, fence};
use crate::number::Real;
use crate::store::{CACHED, Way};
use std::ops::Range;

/// Elements of a strip: 4 KiB of float64.
pub(super) const STRIP: usize = 512;
/// Bytes of the rows of four planes that are to stay in the second-level cache.
pub(super) const BLOCK_BYTES: usize = 512 << 10;

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
    pub(super) way: Way,
}

/// How rows are written: the way, and room for a strip.
pub(super) struct Out<T> {
    way: Way,
    strip: [T; STRIP],
}

impl<T: Real> Out<T> {
    pub(super) fn new(way: Way) -> Out<T> {
        Out { way, strip: [T::ZERO; STRIP] }
    }

    /// Writes `row` by `part(where in the row, strip)`. Dropping `self` makes it visible to others.
    #[inline(always)]
    pub(super) fn write(&mut self, row: &mut [T], mut part: impl FnMut(Range<usize>, &mut [T])) {
        for start in (0..row.len()).step_by(STRIP) {
            let place = start..row.len().min(start + STRIP);
            let to = &mut row[place.clone()];
            if self.way == CACHED {
                part(place, to);
            } else {
                let strip = &mut self.strip[..to.len()];
                part(place, strip);
                copy_past_caches(to, strip);
            }
        }
    }
}

/// After the last row, and where a row's making unwinds.
impl<T> Drop for Out<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.way != CACHED {
            fence();
        }
    }
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
        let taps = self.offsets.iter().zip(self.weights);
        let mut lines: Vec<Line<'_, T>> = taps
            .map(|(offset, weight)| Line { row: &[], shift: offset[2] as isize, weight: *weight })
            .collect();
        let (ends, inside) = (ends_of(&lines, width), Inside::of(self));
        let mut to = Out::new(self.way);
        // Blocks of rows are done plane after plane: what a plane reads of its neighbours is still in the
        // cache then.
        let block = (BLOCK_BYTES / (4 * width * size_of::<T>())).max(8);
        for top in (0..middle).step_by(block) {
            for plane in rows.start / middle..rows.end.div_ceil(middle) {
                let first = (plane * middle + top).max(rows.start);
                let last = (plane * middle + middle.min(top + block)).min(rows.end);
                let together = self.together(first..last, &inside, ends);
                for row in (first..together.start).chain(together.end..last) {
                    self.point(&mut lines, row, &inside, &beyond);
                    let start = (row - rows.start) * width;
                    sum_lines(&lines, ends, self.boundary, &mut to, &mut out[start..start + width]);
                }
                if !together.is_empty() {
                    self.point_at(&mut lines, together.clone());
                    let out =
                        &mut out[(together.start - rows.start) * width..(together.end - rows.start) * width];
                    sum_rows(&lines, ends, self.boundary, width, out);
                }
            }
        }
    }

    /// Those of neighbouring rows of a plane that can be summed as one long row: no tap leaves the outer axes,
    /// nor a row by more than to the next one, and results are not copied past the caches, where the ends of
    /// rows would be written twice.
    #[inline(always)]
    fn together(&self, rows: Range<usize>, inside: &Inside, (low, high): (usize, usize)) -> Range<usize> {
        let middle = self.shape[1];
        let plane = rows.start / middle;
        if self.way != CACHED || low >= high || !inside.planes.contains(&plane) {
            return rows.end..rows.end;
        }
        let first = rows.start.max(plane * middle + inside.rows.start).min(rows.end);
        first..rows.end.min(plane * middle + inside.rows.end).max(first)
    }

    /// Points every line at what its tap reads for these rows, one after the other.
    #[inline(always)]
    fn point_at<'b>(&self, lines: &mut [Line<'b, T>], rows: Range<usize>)
    where
        'a: 'b,
    {
        let [_, middle, width] = self.shape;
        for (line, offset) in lines.iter_mut().zip(self.offsets) {
            let first = rows.start as isize + offset[0] as isize * middle as isize + offset[1] as isize;
            line.row = &self.input[first as usize * width..][..rows.len() * width];
        }
    }

    /// Points every line at what its tap reads for `row`.
    #[inline(always)]
    fn point<'b>(&self, lines: &mut [Line<'b, T>], row: usize, inside: &Inside, beyond: &'b [T])
    where
        'a: 'b,
    {
        let [_, middle, width] = self.shape;
        let (i, j) = (row / middle, row % middle);
        if inside.planes.contains(&i) && inside.rows.contains(&j) {
            for (line, offset) in lines.iter_mut().zip(self.offsets) {
                let row = row as isize + offset[0] as isize * middle as isize + offset[1] as isize;
                line.row = &self.input[row as usize * width..][..width];
            }
        } else {
            for (line, offset) in lines.iter_mut().zip(self.offsets) {
                line.row = self.row(i, j, offset, beyond);
            }
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

/// Planes and rows for which no tap leaves the outer axes.
struct Inside {
    planes: Range<usize>,
    rows: Range<usize>,
}

impl Inside {
    fn of<T>(sweep: &Sweep<'_, T>) -> Inside {
        let inside = |axis: usize| {
            let offsets = || sweep.offsets.iter().map(|offset| offset[axis]);
            let low = offsets().min().unwrap_or(0).min(0).unsigned_abs() as usize;
            let high = offsets().max().unwrap_or(0).max(0) as usize;
            low..sweep.shape[axis].saturating_sub(high)
        };
        Inside { planes: inside(0), rows: inside(1) }
    }
}

/// Where, in rows of `width`, the places begin and end for which no line leaves the row.
pub(super) fn ends_of<T>(lines: &[Line<'_, T>], width: usize) -> (usize, usize) {
    let shifts = || lines.iter().map(|line| line.shift);
    let low = shifts().min().unwrap_or(0).min(0).unsigned_abs().min(width);
    let high = width.saturating_sub(shifts().max().unwrap_or(0).max(0).unsigned_abs());
    (low, high.max(low))
}

/// Writes the weighted sum of shifted rows, all as long as `out`, for which [`ends_of`] was asked.
#[inline(always)]
pub(super) fn sum_lines<T: Real>(
    lines: &[Line<'_, T>],
    (low, high): (usize, usize),
    boundary: Boundary<T>,
    to: &mut Out<T>,
    out: &mut [T],
) {
    let width = out.len();
    to.write(
        out,
        #[inline(always)]
        |place, strip| {
            let (first, last) = (place.start.max(low).min(place.end), place.end.min(high).max(place.start));
            if first < last {
                sum_strip(lines, first, &mut strip[first - place.start..last - place.start]);
            }
            for at in place.start..place.end.min(low) {
                strip[at - place.start] = sum_at(lines, boundary, 0, at, width);
            }
            for at in place.start.max(high)..place.end {
                strip[at - place.start] = sum_at(lines, boundary, 0, at, width);
            }
        },
    );
}

/// As [`sum_lines`], for rows of `width` elements that lie one after the other, in all lines and in `out`: all of
/// them are summed as one long row, and then their ends anew, each from its own row.
#[inline(always)]
fn sum_rows<T: Real>(
    lines: &[Line<'_, T>],
    (low, high): (usize, usize),
    boundary: Boundary<T>,
    width: usize,
    out: &mut [T],
) {
    let end = out.len() - (width - high);
    for start in (low..end).step_by(STRIP) {
        sum_strip(lines, start, &mut out[start..end.min(start + STRIP)]);
    }
    for first in (0..out.len()).step_by(width) {
        for at in (0..low).chain(high..width) {
            out[first + at] = sum_at(lines, boundary, first, at, width);
        }
    }
}

/// The sum at one place near an end of the row that begins at `first` in every line.
#[inline(always)]
fn sum_at<T: Real>(lines: &[Line<'_, T>], boundary: Boundary<T>, first: usize, at: usize, width: usize) -> T {
    let mut sum = T::ZERO;
    for (tap, line) in lines.iter().enumerate() {
        let place = at.wrapping_add_signed(line.shift);
        let value = if place < width {
            line.row[first + place]
        } else {
            beyond_end(line.row, boundary, first, at as isize + line.shift, width)
        };
        let term = line.weight * value;
        sum = if tap == 0 { term } else { sum + term };
    }
    sum
}

/// What stands beyond an end of the row that begins at `first`.
fn beyond_end<T: Real>(row: &[T], boundary: Boundary<T>, first: usize, place: isize, width: usize) -> T {
    boundary.source(place, width).map_or(boundary.value(), |place| row[first + place])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PAST_CACHES;
    use crate::testing::Dice;

    #[test]
    fn rows_around_the_length_of_a_strip_are_the_same_through_and_past_the_caches() {
        let offsets = [[0, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -3], [0, 0, 2]];
        for width in [1, 2, 5, 511, 512, 513, 514, 515, 1024, 1027] {
            let mut dice = Dice(width as u64);
            let (input, weights) = (dice.units(3 * width), dice.units(5));
            for boundary in [Boundary::Reflect, Boundary::Constant(0.25)] {
                let shape = [1, 3, width];
                let sweep = Sweep {
                    input: &input,
                    shape,
                    offsets: &offsets,
                    weights: &weights,
                    boundary,
                    way: CACHED,
                };
                let want = naive(&sweep);
                for way in [CACHED, PAST_CACHES] {
                    let mut out = vec![0.0; 3 * width];
                    Sweep { way, ..sweep }.run(0..3, &mut out);
                    assert_eq!(out, want, "width {width}, {boundary:?}");
                }
            }
        }
    }

    #[test]
    fn more_taps_than_a_group_and_none() {
        let input = Dice(3).units(700);
        let offsets: Vec<Offset> = (-12..=12).map(|shift| [0, 0, shift]).collect();
        let weights = Dice(4).units(25);
        for taps in [0, 1, 9, 10, 18, 25] {
            let (offsets, weights) = (&offsets[..taps], &weights[..taps]);
            let boundary = Boundary::Wrap;
            let sweep = Sweep { input: &input, shape: [1, 1, 700], offsets, weights, boundary, way: CACHED };
            let mut out = vec![1.0; 700];
            sweep.run(0..1, &mut out);
            assert_eq!(out, naive(&sweep));
        }
    }
}
