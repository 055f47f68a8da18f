//! Matrix times vector.
//!
//! A row's product is summed in [`LANES`] running sums, which are folded in a fixed tree, and rows are never
//! divided: the bits depend neither on the width of vectors nor on the number of workers. The matrix is read
//! once, `m n` elements for `2 m n` operations, so memory sets the speed.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::number::Real;
use crate::simd::vectorized;
use ndarray::{Ix1, Ix2};
use phalanx::{Pool, SharedArray};

/// Running sums of a row: 4 vectors of the widest kind for float64, enough to hide the latency of an
/// addition.
const LANES: usize = 32;

/// Sets `y` to `alpha * A x + beta * y` for a matrix of `m x n`, `x` of `n` and `y` of `m` elements.
///
/// If `beta` is 0, the old `y` is not read. Otherwise NaN and infinities propagate as in IEEE 754. Cost:
/// `m n` elements read, `2 m n` operations.
///
/// # Errors
/// `Shape` if `x` does not have `n` elements or `y` does not have `m`; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((300, 200), |(i, j)| (i + j) as f64)?;
/// let x = pool.from_fn(200, |_| 0.5)?;
/// let mut y = pool.zeros(300)?;
/// dense::gemv(&pool, 2.0, &a, &x, 0.0, &mut y)?;
/// assert_eq!(y.as_slice()[1], 20_100.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "dgemv")]
pub fn gemv<T: Real>(
    pool: &Pool,
    alpha: T,
    a: &impl Input<Elem = T, Dim = Ix2>,
    x: &impl Input<Elem = T, Dim = Ix1>,
    beta: T,
    y: &mut SharedArray<T, Ix1>,
) -> Result<(), KernelError> {
    let (m, n) = a.view().dim();
    check_shape("the vector that a matrix is applied to", &[n], &x.shape())?;
    check_shape("the result of a matrix applied to a vector", &[m], y.shape())?;
    if y.is_empty() {
        return Ok(());
    }
    if is_inline(a.len()) {
        rows(alpha, &a.elements(), &x.elements(), beta, y.as_mut_slice());
        return Ok(());
    }
    let (a, x) = (a.share(pool)?, x.share(pool)?);
    // With beta, y is changed in place: such a chunk cannot be run again.
    let launch = if beta == T::ZERO { repeatable(pool) } else { pool.launch() };
    if beta == T::ZERO {
        launch.for_each((y.split_out(), a.split(), x.whole(), alpha), |(y, a, x, alpha)| {
            rows(alpha, a.as_slice().unwrap_or_default(), x, T::ZERO, y);
        })?;
    } else {
        launch.for_each(
            (y.split_mut(), a.split(), x.whole(), [alpha, beta]),
            |(y, a, x, [alpha, beta])| {
                rows(alpha, a.as_slice().unwrap_or_default(), x, beta, y);
            },
        )?;
    }
    Ok(())
}

/// The body of [`gemv`]: some rows of the matrix, row-major, and their part of `y`.
#[expect(clippy::arithmetic_side_effects, reason = "floats, and places in slices that are indexed")]
fn rows<T: Real>(alpha: T, a: &[T], x: &[T], beta: T, y: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for (i, y) in y.iter_mut().enumerate() {
                let product = alpha * dot(&a[i * x.len()..(i + 1) * x.len()], x);
                *y = if beta == T::ZERO { product } else { product + beta * *y };
            }
        },
    );
}

/// The inner product of two slices of one length.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "floats, and lanes of slices that are indexed")]
fn dot<T: Real>(a: &[T], x: &[T]) -> T {
    let mut sums = [T::ZERO; LANES];
    let whole = a.len() / LANES * LANES;
    for (a, x) in a[..whole].chunks_exact(LANES).zip(x[..whole].chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] = sums[lane] + a[lane] * x[lane];
        }
    }
    for (lane, (a, x)) in a[whole..].iter().zip(&x[whole..]).enumerate() {
        sums[lane] = sums[lane] + *a * *x;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] = sums[lane] + sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Sets `y` to `alpha * A^T x + beta * y` for a matrix of `m x n`, `x` of `m` and `y` of `n` elements.
///
/// Workers take columns, and each column is summed from the first row to the last. Otherwise like [`gemv`].
///
/// # Errors
/// `Shape` if `x` does not have `m` elements or `y` does not have `n`; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((300, 200), |(i, j)| if i == j { 1.0f32 } else { 0.0 })?;
/// let x = pool.from_fn(300, |i| i as f32)?;
/// let mut y = pool.zeros(200)?;
/// dense::gemv_transposed(&pool, 1.0, &a, &x, 0.0, &mut y)?;
/// assert_eq!(y.as_slice()[150], 150.0);
/// # Ok(())
/// # }
/// ```
pub fn gemv_transposed<T: Real>(
    pool: &Pool,
    alpha: T,
    a: &impl Input<Elem = T, Dim = Ix2>,
    x: &impl Input<Elem = T, Dim = Ix1>,
    beta: T,
    y: &mut SharedArray<T, Ix1>,
) -> Result<(), KernelError> {
    let (m, n) = a.view().dim();
    check_shape("the vector that a transposed matrix is applied to", &[m], &x.shape())?;
    check_shape("the result of a transposed matrix applied to a vector", &[n], y.shape())?;
    if y.is_empty() {
        return Ok(());
    }
    if is_inline(a.len()) {
        columns([alpha, beta], &a.elements(), n, 0, &x.elements(), y.as_mut_slice());
        return Ok(());
    }
    let (a, x) = (a.share(pool)?, x.share(pool)?);
    let operands = (y.split_mut(), 0..n, a.whole(), x.whole(), [alpha, beta]);
    // A chunk is whole pages of a row where there are enough of them, so that memory is read in long runs.
    let chunk = (n / 16).next_multiple_of(64).clamp(64, 4096);
    pool.launch().chunk(chunk).for_each(operands, |(y, span, a, x, factors)| {
        columns(factors, a.as_slice().unwrap_or_default(), a.ncols(), span.start, x, y);
    })?;
    Ok(())
}

/// Columns summed side by side: 8 vectors of the widest kind for float64, which stay in registers over all
/// rows.
const STRIP: usize = 64;

/// The body of [`gemv_transposed`]: columns from `first` on, of a row-major matrix of `n` columns, and their
/// part of `y`.
#[expect(clippy::arithmetic_side_effects, reason = "floats, and places in slices that are indexed")]
fn columns<T: Real>([alpha, beta]: [T; 2], a: &[T], n: usize, first: usize, x: &[T], y: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for (strip, y) in y.chunks_mut(STRIP).enumerate() {
                let left = first + strip * STRIP;
                let mut sums = [T::ZERO; STRIP];
                for (i, &x) in x.iter().enumerate() {
                    let row = &a[i * n + left..i * n + left + y.len()];
                    if let Ok(row) = <&[T; STRIP]>::try_from(row) {
                        for (sum, a) in sums.iter_mut().zip(row) {
                            *sum = *sum + *a * x;
                        }
                    } else {
                        for (sum, a) in sums.iter_mut().zip(row) {
                            *sum = *sum + *a * x;
                        }
                    }
                }
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y = if beta == T::ZERO { alpha * sum } else { alpha * sum + beta * *y };
                }
            }
        },
    );
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::{Array1, Array2};
    use proptest::prelude::*;

    fn naive(alpha: f64, a: &Array2<f64>, x: &[f64], beta: f64, y: &[f64]) -> Vec<f64> {
        a.outer_iter()
            .zip(y)
            .map(|(row, y)| alpha * row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() + beta * y)
            .collect()
    }

    fn close(got: &[f64], want: &[f64], terms: usize) -> bool {
        got.iter().zip(want).all(|(a, b)| (a - b).abs() <= 1e-14 * (terms + 1) as f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn both_agree_with_the_naive_twin(m in 0usize..150, n in 0usize..200, seed: u64, which in 0usize..4, beta in 0u8..2) {
            let (pool, beta, mut dice) = (&pools()[which], f64::from(beta), Dice(seed));
            let a = Array2::from_shape_vec((m, n), dice.units(m * n)).unwrap();
            let (x, y) = (dice.units(n), dice.units(m));
            let mut out = SharedArray::from_slice(&y).unwrap();
            launching(|| gemv(pool, 1.5, &a, &x, beta, &mut out)).unwrap();
            prop_assert!(close(out.as_slice(), &naive(1.5, &a, &x, beta, &y), n));

            let mut out = SharedArray::from_slice(&x).unwrap();
            launching(|| gemv_transposed(pool, 1.5, &a, &y, beta, &mut out)).unwrap();
            prop_assert!(close(out.as_slice(), &naive(1.5, &a.t().to_owned(), &y, beta, &x), m));
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_workers_or_on_who_computes() {
        let mut dice = Dice(5);
        let (m, n) = (301, 257);
        let a = Array2::from_shape_vec((m, n), dice.units(m * n)).unwrap();
        let (x, y) = (dice.units(n), dice.units(m));
        let run = |pool: &Pool| {
            let mut out = (SharedArray::from_slice(&y).unwrap(), SharedArray::from_slice(&x).unwrap());
            gemv(pool, 1.5, &a, &x, 1.0, &mut out.0).unwrap();
            gemv_transposed(pool, 1.5, &a, &y, 1.0, &mut out.1).unwrap();
            (out.0.to_vec(), out.1.to_vec())
        };
        let first = run(&pools()[0]);
        assert!(pools().iter().all(|pool| run(pool) == first));
        let mut by_hand = y.clone();
        rows(1.5, a.as_slice().unwrap(), &x, 1.0, &mut by_hand);
        assert_eq!(by_hand, first.0);
    }

    #[test]
    fn with_beta_zero_the_old_result_is_not_read() {
        let pool = &pools()[1];
        let a = Array2::from_elem((200, 100), 1.0);
        let mut y = SharedArray::from_fn(200, |_| f64::NAN).unwrap();
        gemv(pool, 1.0, &a, &Array1::ones(100), 0.0, &mut y).unwrap();
        assert!(y.as_slice().iter().all(|y| *y == 100.0));
        let mut y = SharedArray::from_fn(100, |_| f64::NAN).unwrap();
        gemv_transposed(pool, 1.0, &a, &Array1::ones(200), 0.0, &mut y).unwrap();
        assert!(y.as_slice().iter().all(|y| *y == 200.0));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let pool = &pools()[1];
        let a = Array2::<f32>::zeros((3, 4));
        let mut y = SharedArray::zeros(3).unwrap();
        let refused = gemv(pool, 1.0, &a, &[0.0; 3], 0.0, &mut y);
        assert!(matches!(refused, Err(KernelError::Shape { .. })));
        let mut long = SharedArray::zeros(4).unwrap();
        assert!(matches!(gemv(pool, 1.0, &a, &[0.0; 4], 0.0, &mut long), Err(KernelError::Shape { .. })));
        assert!(matches!(
            gemv_transposed(pool, 1.0, &a, &[0.0; 4], 0.0, &mut long),
            Err(KernelError::Shape { .. })
        ));
    }
}
