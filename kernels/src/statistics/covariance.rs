//! Covariances and correlations of the columns of a table.

use crate::dense::{Product, gemm, gemv_transposed, transpose};
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use ndarray::Ix2;
use phalanx::{Pool, SharedArray};

/// Sets `out` to the covariances of all pairs of columns of a table of `m x n`: `n x n`, like
/// `numpy.cov(table, rowvar=False, ddof=ddof)`. NaN and infinities spread.
///
/// Means are subtracted before anything is multiplied. Cost: `2 m n^2` operations, by
/// [`gemm`](crate::dense::gemm). Extra memory: two copies of the table.
///
/// # Errors
/// `Shape` if `out` is not `n x n`; `Argument` if there are no more than `ddof` rows; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::statistics;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let table = ndarray::array![[1.0, 2.0], [2.0, 4.0], [3.0, 9.0]];
/// let mut out = pool.zeros_nd((2, 2))?;
/// statistics::covariance(&pool, &table, 1, &mut out)?;
/// assert_eq!(out.as_slice(), [1.0, 3.5, 3.5, 13.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "cov")]
pub fn covariance<T: Product>(
    pool: &Pool,
    table: &impl Input<Elem = T, Dim = Ix2>,
    ddof: usize,
    out: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    let (m, n) = table.view().dim();
    check_shape("the covariances", &[n, n], out.shape())?;
    if m <= ddof {
        let why = format!("{m} observations leave none beside {ddof}");
        return Err(KernelError::argument("the table", why));
    }
    let (centred, _) = centred(pool, table)?;
    let mut turned = pool.zeros_nd::<T, _>((n, m))?;
    transpose(pool, &centred, &mut turned)?;
    gemm(pool, T::ONE / T::from_f64((m - ddof) as f64), &turned, &centred, T::ZERO, out)
}

/// Sets `out` to the correlations of all pairs of columns: covariances divided by both standard deviations,
/// like `numpy.corrcoef(table, rowvar=False)`. Those of a column whose elements are all equal are NaN;
/// others are in -1 ..= 1.
///
/// # Errors
/// As for [`covariance`] with `ddof` 0.
///
/// ```
/// use phalanx_kernels::statistics;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let table = ndarray::array![[1.0, -2.0], [2.0, -4.0], [3.0, -6.0]];
/// let mut out = pool.zeros_nd((2, 2))?;
/// statistics::correlation(&pool, &table, &mut out)?;
/// assert!((out.view()[(0, 1)] + 1.0f64).abs() < 1e-15);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "corrcoef")]
pub fn correlation<T: Product>(
    pool: &Pool,
    table: &impl Input<Elem = T, Dim = Ix2>,
    out: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    covariance(pool, table, 0, out)?;
    let deviations: Vec<T> = out.view().diag().iter().map(|variance| variance.sqrt()).collect();
    for ((i, j), value) in out.view_mut().indexed_iter_mut() {
        let quotient = *value / deviations[i] / deviations[j];
        // Rounding may leave the range, but NaN is to stay.
        *value = if quotient.abs() > T::ONE { quotient.signum() } else { quotient };
    }
    Ok(())
}

/// The table minus the means of its columns, and these. For at least one row.
pub(super) fn centred<T: Product>(
    pool: &Pool,
    table: &impl Input<Elem = T, Dim = Ix2>,
) -> Result<(SharedArray<T, Ix2>, SharedArray<T>), KernelError> {
    let (m, n) = table.view().dim();
    let mut means = pool.zeros::<T>(n)?;
    let ones = pool.from_fn(m, |_| T::ONE)?;
    let share = T::ONE / T::from_f64(m as f64);
    gemv_transposed(pool, share, table, &ones, T::ZERO, &mut means)?;
    let mut out = pool.zeros_nd::<T, _>((m, n))?;
    if is_inline(table.len()) || n == 0 {
        subtract(out.as_mut_slice(), &table.elements(), means.as_slice());
        return Ok((out, means));
    }
    let table = table.share(pool)?;
    repeatable(pool).for_each(
        (out.split_out(), table.split(), means.whole()),
        |(mut out, table, means)| {
            if let (Some(out), Some(table)) = (out.as_slice_mut(), table.as_slice()) {
                subtract(out, table, means);
            }
        },
    )?;
    Ok((out, means))
}

fn subtract<T: Product>(out: &mut [T], rows: &[T], means: &[T]) {
    let n = means.len().max(1);
    for (out, row) in out.chunks_exact_mut(n).zip(rows.chunks_exact(n)) {
        for ((out, x), mean) in out.iter_mut().zip(row).zip(means) {
            *out = *x - *mean;
        }
    }
}
