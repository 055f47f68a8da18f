//! Cholesky factorisation of symmetric, positive definite matrices.
//!
//! As [`Lu`](super::Lu): the caller factorises a panel, the workers subtract its product with itself from the
//! columns that follow, the lower half of them. After Golub and Van Loan, *Matrix Computations*, 4th ed.,
//! 4.2.6.

use super::Product;
use super::field::{self, ALONE, SIDES};
use crate::error::KernelError;
use crate::input::Input;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltError, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve as triangular;
use faer::{Accum, Spec};
use ndarray::Ix2;
use phalanx::{Pool, Shape, SharedArray};

/// The factorisation `A = L L'` of a symmetric, positive definite matrix, `L` lower triangular.
///
/// ```
/// use phalanx_kernels::{KernelError, dense::Cholesky};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((300, 300), |(i, j)| if i == j { 2.0 } else { 0.5 })?;
/// let factor = Cholesky::new(&pool, &a)?;
/// let mut x = pool.zeros::<f64>(300)?;
/// factor.solve(&pool, &[1.0; 300], &mut x)?;
/// assert!((x.as_slice()[9] - 1.0 / 151.5).abs() < 1e-12);
///
/// let a = ndarray::array![[1.0, 2.0], [2.0, 1.0]];
/// assert!(matches!(Cholesky::new(&pool, &a), Err(KernelError::NotPositiveDefinite { at: 1, .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cholesky<T> {
    /// Column `j` of L is row `j`, from its diagonal on; what stands before is not used.
    factor: SharedArray<T, Ix2>,
}

impl<T: Product> Cholesky<T> {
    /// Factorises a matrix of `n x n`, of which only the diagonal and what is below it counts.
    ///
    /// Cost: `1/3 n^3` operations. The caller alone does the panels, some `200 / n` of all, and all of a
    /// matrix of at most 160 rows. Extra memory: a copy of the matrix, and a panel. The bits do not depend on
    /// the number of workers; they may depend on the CPU.
    ///
    /// # Errors
    /// `Shape` if the matrix is not square; `NotFinite` if it holds NaN or an infinity; `NotPositiveDefinite`
    /// with the first row whose pivot is not above 0; `Launch`, `Memory`.
    #[doc(alias = "cho_factor", alias = "dpotrf")]
    pub fn new(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<Cholesky<T>, KernelError> {
        let n = field::check_square("a matrix to be factorised", a.view().dim())?;
        let mut factor = field::columns_of(pool, "the matrix", a)?;
        let width = field::panel_of(n, n);
        let mut panel = pool.zeros::<T>(if width < n { n * width } else { 0 })?;
        for k in (0..n).step_by(width) {
            let columns = width.min(n - k);
            let own = &mut factor.as_mut_slice()[k * n..(k + columns) * n];
            factorise_panel(own, n, k)
                .map_err(|at| KernelError::NotPositiveDefinite { kernel: "Cholesky", at: k + at })?;
            let next = k + columns;
            if next == n {
                break;
            }
            for (to, from) in panel.as_mut_slice().chunks_exact_mut(n - next).zip(own.chunks_exact(n)) {
                to.copy_from_slice(&from[next..]);
            }
            let operands =
                (factor.range_mut(next..).split_mut(), 0..n - next, panel.whole(), [n, next, columns]);
            pool.launch().chunk(width).for_each(
                operands,
                |(mut part, span, panel, [n, next, columns])| {
                    let Some(part) = part.as_slice_mut() else { return };
                    update(part, span.start, &panel[..(n - next) * columns], (n, next));
                },
            )?;
        }
        Ok(Cholesky { factor })
    }

    /// Returns the number of rows.
    pub fn side(&self) -> usize {
        self.factor.dim().0
    }

    /// Sets `x` to the solution of `A x = b`, as [`Lu::solve`](super::Lu::solve) does.
    ///
    /// Cost: `2 n^2 k` operations; a worker solves 32 right-hand sides at a time.
    ///
    /// # Errors
    /// `Shape` if `b` or `x` does not match; `Launch`, `Memory`.
    #[doc(alias = "cho_solve", alias = "dpotrs")]
    pub fn solve<D: Shape>(
        &self,
        pool: &Pool,
        b: &impl Input<Elem = T, Dim = D>,
        x: &mut SharedArray<T, D>,
    ) -> Result<(), KernelError> {
        let n = self.side();
        field::solve_sides(pool, n, b, x, Ok(()), |columns| {
            if columns.dim().0 <= SIDES {
                back(columns.as_mut_slice(), self.factor.as_slice(), n);
                return Ok(());
            }
            let operands = (columns.split_mut(), self.factor.whole_flat(), n);
            pool.launch().chunk(SIDES).for_each(operands, |(mut part, factor, n)| {
                let Some(part) = part.as_slice_mut() else { return };
                back(part, factor, n);
            })?;
            Ok(())
        })
    }

    /// Returns the natural logarithm of the determinant.
    pub fn log_determinant(&self) -> T {
        let diagonal = self.factor.as_slice().iter().step_by(self.side() + 1);
        diagonal.fold(T::ZERO, |sum, l| sum + l.ln() + l.ln())
    }

    /// Writes `L` to a matrix of `n x n`, with zeros above its diagonal.
    ///
    /// # Errors
    /// `Shape` if `out` has another shape; `Launch`.
    pub fn write_factor(&self, pool: &Pool, out: &mut SharedArray<T, Ix2>) -> Result<(), KernelError> {
        super::transpose(pool, &self.factor, out)?;
        if !out.is_empty() {
            let n = self.side();
            pool.for_each((out.split_mut(), 0..n), |(mut rows, span)| {
                for (mut row, i) in rows.rows_mut().into_iter().zip(span) {
                    row.iter_mut().skip(i + 1).for_each(|above| *above = T::ZERO);
                }
            })?;
        }
        Ok(())
    }
}

/// Factorises columns of `n` elements from row `k` on, or returns the row where that ends.
fn factorise_panel<T: Product>(columns: &mut [T], n: usize, k: usize) -> Result<(), usize> {
    let panel = field::of_mut(columns, n).subrows_mut(k, n - k);
    let side = panel.ncols();
    let (mut square, rest) = panel.split_at_row_mut(side);
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<T>(side, ALONE, Spec::default()));
    let stack = MemStack::new(&mut memory);
    match cholesky_in_place(square.as_mut(), Default::default(), ALONE, stack, Spec::default()) {
        Ok(_) => {}
        Err(LltError::NonPositivePivot { index }) => return Err(index),
    }
    triangular::solve_lower_triangular_in_place(square.as_ref(), rest.transpose_mut(), ALONE);
    Ok(())
}

/// Subtracts from some columns, from `next + first` on, what the panel below row `next` is to them.
fn update<T: Product>(part: &mut [T], first: usize, panel: &[T], (n, next): (usize, usize)) {
    let place = next + first;
    let lower = field::of_mut(part, n).subrows_mut(place, n - place);
    let panel = field::of(panel, n - next).subrows(first, n - place);
    let own = panel.subrows(0, lower.ncols());
    matmul(lower, Accum::Add, panel, own.transpose(), -T::ONE, ALONE);
}

fn back<T: Product>(sides: &mut [T], factor: &[T], n: usize) {
    let factor = field::of(factor, n);
    let mut sides = field::of_mut(sides, n);
    triangular::solve_lower_triangular_in_place(factor, sides.as_mut(), ALONE);
    triangular::solve_upper_triangular_in_place(factor.transpose(), sides, ALONE);
}

#[cfg(test)]
#[path = "cholesky_tests.rs"]
mod tests;
