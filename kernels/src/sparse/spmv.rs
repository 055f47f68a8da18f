//! Sparse matrix times vector.
//!
//! Memory sets the speed: an entry is 4 bytes of column and a value, read once for two operations, besides
//! what of `x` is not in the cache. Rows are not divided, and each is summed in an order that depends on its
//! length only.
#![deny(clippy::arithmetic_side_effects)]

use super::Csr;
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::{Input, flat};
use crate::number::Real;
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// Running sums of a row: its additions wait for each other otherwise, 4 cycles each.
const LANES: usize = 4;

/// Sets `y` to `alpha * A x + beta * y`.
///
/// If `beta` is 0, the old `y` is not read. Entries that are not stored count as zeros even where `x` is
/// infinite or NaN. Work is divided by entries rather than rows, so rows may have very different lengths; a
/// single row is not divided. Cost: each entry read once (12 bytes for float64), 2 operations per entry.
///
/// # Errors
/// `Shape` if `x` does not have one element per column of `a`, or `y` one per row; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::sparse::{Csr, spmv};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 1, 1], &[0, 0, 1], &[1.0, 2.0, 3.0])?;
/// let mut y = pool.from_slice(&[1.0, 1.0])?;
/// spmv(&pool, 10.0, &a, &[1.0, 2.0], 1.0, &mut y)?;
/// assert_eq!(y.as_slice(), [11.0, 81.0]);
/// # Ok(())
/// # }
/// ```
pub fn spmv<T: Real>(
    pool: &Pool,
    alpha: T,
    a: &Csr<T>,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    beta: T,
    y: &mut SharedArray<T, Ix1>,
) -> Result<(), KernelError> {
    let (rows, columns) = a.shape();
    a.check_values()?;
    check_shape("the vector that a sparse matrix is applied to", &[columns], &x.shape())?;
    check_shape("the result of a sparse matrix applied to a vector", &[rows], y.shape())?;
    if is_inline(a.entries().saturating_add(rows)) {
        let matrix = Rows::of(a);
        matrix.apply(0..rows, &flat(pool, x)?, y.as_mut_slice(), |sum, y| blend(alpha, sum, beta, y));
        return Ok(());
    }
    let x = x.share(pool)?;
    let operands = (
        y.split_at_mut(&a.parts),
        0..a.parts.len().saturating_sub(1),
        a.bounds.whole(),
        (a.offsets.whole(), a.columns.whole(), a.values.whole()),
        x.whole(),
        [alpha, beta],
    );
    // With beta 0 nothing of y is read: a part whose worker died may be written again.
    let launch = if beta == T::ZERO { repeatable(pool).retry_in_place() } else { pool.launch() };
    launch.for_each(operands, |(y, part, bounds, (offsets, columns, values), x, [alpha, beta])| {
        let matrix = Rows { offsets, columns, values };
        let rows = bounds[part.start] as usize..bounds[part.end] as usize;
        matrix.apply(rows, x, y, |sum, y| blend(alpha, sum, beta, y));
    })?;
    Ok(())
}

#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "floats")]
fn blend<T: Real>(alpha: T, sum: T, beta: T, y: T) -> T {
    if beta == T::ZERO { alpha * sum } else { alpha * sum + beta * y }
}

/// A matrix as slices: what kernels see of it.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) offsets: &'a [u64],
    pub(super) columns: &'a [u32],
    pub(super) values: &'a [T],
}

impl<'a, T: Real> Rows<'a, T> {
    pub(super) fn of(a: &'a Csr<T>) -> Rows<'a, T> {
        Rows { offsets: a.offsets.as_slice(), columns: a.columns.as_slice(), values: a.values.as_slice() }
    }

    /// Sets each of `y`, the results of rows `rows`, to `finish(sum of the row, earlier y)`.
    #[inline(always)]
    #[expect(clippy::arithmetic_side_effects, reason = "rows of the matrix, which is indexed")]
    pub(super) fn apply(
        &self,
        rows: std::ops::Range<usize>,
        x: &[T],
        y: &mut [T],
        mut finish: impl FnMut(T, T) -> T,
    ) {
        let ends = &self.offsets[rows.start..rows.end + 1];
        for (y, row) in y.iter_mut().zip(ends.windows(2)) {
            let place = row[0] as usize..row[1] as usize;
            *y = finish(row_sum(&self.columns[place.clone()], &self.values[place], x), *y);
        }
    }
}

/// The sum of one row's products.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "floats")]
fn row_sum<T: Real>(columns: &[u32], values: &[T], x: &[T]) -> T {
    let mut sums = [T::ZERO; LANES];
    let (columns, rest_columns) = columns.as_chunks::<LANES>();
    let (values, rest_values) = values.as_chunks::<LANES>();
    for (columns, values) in columns.iter().zip(values) {
        for lane in 0..LANES {
            sums[lane] = sums[lane] + values[lane] * x[columns[lane] as usize];
        }
    }
    let mut sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
    for (column, value) in rest_columns.iter().zip(rest_values) {
        sum = sum + *value * x[*column as usize];
    }
    sum
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use proptest::prelude::*;

    /// A matrix with rows of very different length.
    fn random(m: usize, n: usize, dice: &mut Dice) -> (Vec<u32>, Vec<u32>, Vec<f64>) {
        let (mut rows, mut columns) = (Vec::new(), Vec::new());
        for row in 0..m {
            let longest = if row % 17 == 3 { n as u64 } else { 9.min(n as u64) };
            for _ in 0..dice.roll() % (longest + 1) {
                rows.push(row as u32);
                columns.push((dice.roll() % n as u64) as u32);
            }
        }
        let values = dice.units(rows.len());
        (rows, columns, values)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn it_agrees_with_the_naive_twin(m in 0usize..400, n in 1usize..300, seed: u64, which in 0usize..4, beta in 0u8..2) {
            let (pool, beta, mut dice) = (&pools()[which], f64::from(beta), Dice(seed));
            let (rows, columns, values) = random(m, n, &mut dice);
            let (x, y) = (dice.units(n), dice.units(m));
            let mut naive: Vec<f64> = y.iter().map(|y| beta * y).collect();
            for ((row, column), value) in rows.iter().zip(&columns).zip(&values) {
                naive[*row as usize] += 1.5 * value * x[*column as usize];
            }
            let a = Csr::from_coo(pool, (m, n), &rows, &columns, &values).unwrap();
            let mut inline = SharedArray::from_slice(&y).unwrap();
            spmv(pool, 1.5, &a, &x, beta, &mut inline).unwrap();
            let mut out = SharedArray::from_slice(&y).unwrap();
            launching(|| spmv(pool, 1.5, &a, &x, beta, &mut out)).unwrap();
            prop_assert!(out.as_slice().iter().zip(&naive).all(|(a, b)| (a - b).abs() < 1e-11));
            prop_assert_eq!(out.as_slice(), inline.as_slice(), "the same bits wherever it is computed");
        }
    }

    #[test]
    fn nan_in_the_old_result_is_not_read_with_beta_zero_and_unstored_entries_are_zeros() {
        let pool = &pools()[1];
        let a = Csr::from_coo(pool, (2, 2), &[0], &[0], &[2.0]).unwrap();
        let mut y = SharedArray::from_slice(&[f64::NAN; 2]).unwrap();
        spmv(pool, 1.0, &a, &[3.0, f64::INFINITY], 0.0, &mut y).unwrap();
        assert_eq!(y.as_slice(), [6.0, 0.0]);
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let pool = &pools()[1];
        let a = Csr::from_coo(pool, (2, 3), &[0], &[0], &[2.0f32]).unwrap();
        let mut y = SharedArray::zeros(2).unwrap();
        assert!(matches!(spmv(pool, 1.0, &a, &[0.0; 2], 0.0, &mut y), Err(KernelError::Shape { .. })));
        let mut y = SharedArray::zeros(3).unwrap();
        assert!(matches!(spmv(pool, 1.0, &a, &[0.0; 3], 0.0, &mut y), Err(KernelError::Shape { .. })));
    }
}
