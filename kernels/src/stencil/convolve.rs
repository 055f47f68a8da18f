//! Convolutions of matrices.
#![deny(clippy::arithmetic_side_effects)]

use super::Boundary;
use super::past::way_of_one;
use super::star::{Taps, check_odd, chunk_rows};
use super::sweep::{Line, Out, ends_of, sum_lines};
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::number::Real;
use crate::simd::vectorized;
use crate::store::{CACHED, Way};
use ndarray::Ix2;
use phalanx::{Pool, SharedArray};
use std::ops::Range;

/// Convolves a matrix with a small matrix `kernel`, of odd height `2 r + 1` and odd width `2 s + 1`, whose
/// middle is its origin.
///
/// The result is the sum over `u` and `v` of `kernel[r + u][s + v] * a[i - u][j - v]`: the kernel is
/// mirrored, as in `scipy.ndimage.convolve`. Cost: two operations per element and kernel element; if the
/// kernel is a product of a column and a row, [`convolve_separable`] needs far fewer.
///
/// # Errors
/// `Shape` if `out` does not have the shape of `a`; `Argument` if the height or width of the kernel is even;
/// `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, convolve_2d};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((300, 200), |(i, j)| if (i, j) == (50, 60) { 1.0f32 } else { 0.0 })?;
/// let kernel = ndarray::array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];
/// let mut out = pool.zeros_nd((300, 200))?;
/// convolve_2d(&pool, &a, &kernel, Boundary::Reflect, &mut out)?;
/// assert_eq!(out.view().slice(ndarray::s![49..52, 59..62]), kernel);
/// # Ok(())
/// # }
/// ```
#[expect(
    clippy::arithmetic_side_effects,
    reason = "places in a kernel that has elements; an axis is no longer than an isize"
)]
pub fn convolve_2d<T: Real>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    kernel: &impl Input<Elem = T, Dim = Ix2>,
    boundary: Boundary<T>,
    out: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    let kernel = kernel.view();
    check_odd("the height of a kernel of a convolution", kernel.nrows())?;
    check_odd("the width of a kernel of a convolution", kernel.ncols())?;
    let (r, s) = (kernel.nrows() / 2, kernel.ncols() / 2);
    let place = |tap: usize| (tap / kernel.ncols(), tap % kernel.ncols());
    let offset = |tap| {
        let (u, v) = place(tap);
        [0, r as i64 - u as i64, s as i64 - v as i64]
    };
    // More taps than memory holds are an error: a view may repeat one element without end.
    Taps::from_fn(kernel.len(), offset, |tap| kernel[place(tap)])?.apply(pool, a, boundary, out)
}

/// Convolves a matrix with the product of a column (along the first axis) and a row (along the second), both
/// of odd length.
///
/// The result is that of [`convolve_2d`] with `kernel[u][v] = column[u] * row[v]`, up to rounding: the matrix
/// is convolved along the rows, then along the columns. Sums along the rows can overflow or underflow even if
/// the result would not. A convolved row stays in the cache until the columns have used it. Cost: two
/// operations per element and element of `column` and `row`.
///
/// # Errors
/// The same as those of [`convolve_2d`].
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, convolve_separable};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((300, 200), |(i, j)| (i + j) as f64)?;
/// let mut out = pool.zeros_nd((300, 200))?;
/// convolve_separable(&pool, &a, &[0.25, 0.5, 0.25], &[0.25, 0.5, 0.25], Boundary::Nearest, &mut out)?;
/// assert_eq!(out.view()[(100, 100)], 200.0);
/// # Ok(())
/// # }
/// ```
#[expect(clippy::arithmetic_side_effects, reason = "the bytes of an array in memory")]
pub fn convolve_separable<T: Real>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    column: &[T],
    row: &[T],
    boundary: Boundary<T>,
    out: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    check_shape("the result of a convolution", &a.shape(), out.shape())?;
    check_odd("the column of a separable convolution", column.len())?;
    check_odd("the row of a separable convolution", row.len())?;
    let (height, width) = out.dim();
    if out.is_empty() {
        return Ok(());
    }
    // Rows that every worker keeps, asked for so that too many are an error here.
    drop(SharedArray::<T, _>::zeros((column.len(), width))?);
    if is_inline(out.len()) {
        let input = a.elements();
        let pass = Separable { input: &input, height, width, column, row, boundary, way: CACHED };
        pass.run(0..height, out.as_mut_slice());
        return Ok(());
    }
    let a = a.share(pool)?;
    let weights = (SharedArray::from_slice(column)?, SharedArray::from_slice(row)?);
    // Rows beyond the ends are not only read, but summed twice.
    let chunk = chunk_rows(height, column.len() / 2, pool.workers(), 2);
    let travelling = (boundary.to_wire(), way_of_one(2 * out.len_bytes()));
    let operands = (out.split_out(), 0..height, a.whole(), weights.0.whole(), weights.1.whole(), travelling);
    repeatable(pool).chunk(chunk).for_each(operands, |(mut out, rows, a, column, row, (edge, way))| {
        let (height, width) = a.dim();
        if let (Some(input), Some(out)) = (a.as_slice(), out.as_slice_mut()) {
            let boundary = Boundary::from_wire(edge);
            Separable { input, height, width, column, row, boundary, way }.run(rows, out);
        }
    })?;
    Ok(())
}

/// A separable convolution.
struct Separable<'a, T> {
    input: &'a [T],
    height: usize,
    width: usize,
    column: &'a [T],
    row: &'a [T],
    boundary: Boundary<T>,
    way: Way,
}

impl<T: Real> Separable<'_, T> {
    /// Writes rows `rows` of the result to `out`.
    fn run(&self, rows: Range<usize>, out: &mut [T]) {
        if self.width == 0 {
            return;
        }
        vectorized(
            #[inline(always)]
            || self.pass(rows, out),
        );
    }

    /// Rows done along their own axis stand in a ring of as many as the column is long; each next one takes
    /// the place of the one that is no longer needed.
    #[inline(always)]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "rows in memory, and a ring that was asked for; a column has weights"
    )]
    fn pass(&self, rows: Range<usize>, out: &mut [T]) {
        let (count, width) = (self.column.len(), self.width);
        let radius = (count / 2) as isize;
        let mut ring = vec![T::ZERO; count * width];
        let beyond = vec![self.boundary.value(); width];
        let (mut to_ring, mut to_out) = (Out::new(CACHED), Out::new(self.way));
        let mut next = rows.start as isize - radius;
        for (at, out) in rows.zip(out.chunks_exact_mut(width)) {
            let at = at as isize;
            while next <= at + radius {
                let slot = next.rem_euclid(count as isize) as usize;
                let source = self.boundary.source(next, self.height);
                let from = source.map_or(&beyond[..], |row| &self.input[row * width..][..width]);
                self.along_row(from, &mut to_ring, &mut ring[slot * width..][..width]);
                next += 1;
            }
            // Mirrored: the column's first weight belongs to the row farthest down.
            let lines: Vec<Line<'_, T>> = (0..count)
                .map(|tap| {
                    let slot = (at + radius - tap as isize).rem_euclid(count as isize) as usize;
                    Line { row: &ring[slot * width..][..width], shift: 0, weight: self.column[tap] }
                })
                .collect();
            sum_lines(&lines, (0, width), self.boundary, &mut to_out, out);
        }
    }

    #[inline(always)]
    #[expect(clippy::arithmetic_side_effects, reason = "places in a row of weights in memory")]
    fn along_row(&self, from: &[T], way: &mut Out<T>, to: &mut [T]) {
        let radius = (self.row.len() / 2) as isize;
        let line =
            |(tap, weight): (usize, &T)| Line { row: from, shift: radius - tap as isize, weight: *weight };
        let lines: Vec<Line<'_, T>> = self.row.iter().enumerate().map(line).collect();
        sum_lines(&lines, ends_of(&lines, self.width), self.boundary, way, to);
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::Array2;
    use proptest::prelude::*;

    /// The definition, by a function that knows what lies beyond the border.
    fn naive(a: &Array2<f64>, kernel: &Array2<f64>, boundary: Boundary<f64>) -> Array2<f64> {
        let (r, s) = (kernel.nrows() as isize / 2, kernel.ncols() as isize / 2);
        Array2::from_shape_fn(a.dim(), |(i, j)| {
            let term = |((u, v), weight): ((usize, usize), &f64)| {
                let row = boundary.source(i as isize - (u as isize - r), a.nrows());
                let column = boundary.source(j as isize - (v as isize - s), a.ncols());
                weight * row.zip(column).map_or(boundary.value(), |place| a[place])
            };
            kernel.indexed_iter().map(term).sum()
        })
    }

    fn any_boundary() -> impl Strategy<Value = Boundary<f64>> {
        prop_oneof![
            (-2.0..2.0).prop_map(Boundary::Constant),
            Just(Boundary::Nearest),
            Just(Boundary::Reflect),
            Just(Boundary::Mirror),
            Just(Boundary::Wrap),
        ]
    }

    fn close(got: &SharedArray<f64, Ix2>, want: &Array2<f64>) -> bool {
        got.view().iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn both_agree_with_the_naive_twin(
            (m, n) in (0usize..60, 0usize..60), (r, s) in (0usize..4, 0usize..4), boundary in any_boundary(), seed: u64,
            which in 0usize..4, launch: bool,
        ) {
            let (pool, mut dice) = (&pools()[which], Dice(seed));
            let a = Array2::from_shape_vec((m, n), dice.units(m * n)).unwrap();
            let (column, row) = (dice.units(2 * r + 1), dice.units(2 * s + 1));
            let kernel = Array2::from_shape_fn((2 * r + 1, 2 * s + 1), |(u, v)| column[u] * row[v]);
            let want = naive(&a, &kernel, boundary);
            let mut out = (SharedArray::zeros((m, n)).unwrap(), SharedArray::zeros((m, n)).unwrap());
            let mut both = || {
                convolve_2d(pool, &a, &kernel, boundary, &mut out.0).unwrap();
                convolve_separable(pool, &a, &column, &row, boundary, &mut out.1).unwrap();
            };
            if launch { launching(both) } else { both() }
            prop_assert!(close(&out.0, &want));
            prop_assert!(close(&out.1, &want));
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_workers() {
        let mut dice = Dice(9);
        let a = Array2::from_shape_vec((300, 211), dice.units(300 * 211)).unwrap();
        let (column, row) = (dice.units(7), dice.units(5));
        let run = |pool: &Pool| {
            let mut out = SharedArray::zeros((300, 211)).unwrap();
            convolve_separable(pool, &a, &column, &row, Boundary::Reflect, &mut out).unwrap();
            out.to_vec()
        };
        let first = run(&pools()[0]);
        assert!(pools().iter().all(|pool| run(pool) == first));
    }

    #[test]
    fn kernels_without_a_middle_are_refused() {
        let (pool, a) = (&pools()[1], Array2::<f64>::zeros((4, 5)));
        let mut out = SharedArray::zeros((4, 5)).unwrap();
        let refused = convolve_2d(pool, &a, &Array2::ones((3, 2)), Boundary::Wrap, &mut out);
        assert!(matches!(refused, Err(KernelError::Argument { .. })));
        let refused = convolve_2d(pool, &a, &Array2::ones((0, 1)), Boundary::Wrap, &mut out);
        assert!(matches!(refused, Err(KernelError::Argument { .. })));
        let refused = convolve_separable(pool, &a, &[], &[1.0], Boundary::Wrap, &mut out);
        assert!(matches!(refused, Err(KernelError::Argument { .. })));
    }
}
