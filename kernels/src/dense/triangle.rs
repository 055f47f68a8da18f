//! Systems whose matrix is triangular.

use super::Product;
use super::field::{self, ALONE, SIDES};
use crate::error::KernelError;
use crate::input::Input;
use faer::linalg::triangular_solve as triangular;
use ndarray::Ix2;
use phalanx::{Pool, Shape, SharedArray};

/// Which part of a matrix counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Triangle {
    /// The diagonal and what is below it.
    Lower,
    /// The diagonal and what is above it.
    Upper,
    /// What is below the diagonal, which counts as ones.
    UnitLower,
    /// What is above the diagonal, which counts as ones.
    UnitUpper,
}

/// Sets `x` to the solution of `A x = b` for a triangular matrix of `n x n`, of which only that triangle is
/// read: one right-hand side of `n` elements, or `n x k`.
///
/// NaN and infinities spread. Cost: `n^2 k` operations. A worker solves 32 right-hand sides at a time, so one
/// vector is solved by the caller alone.
///
/// # Errors
/// `Shape` if the shapes do not match; `Singular` with the first zero of the diagonal; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense::{self, Triangle};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = ndarray::array![[2.0, f64::NAN], [1.0, 4.0]];
/// let mut x = pool.zeros(2)?;
/// dense::solve_triangular(&pool, &a, Triangle::Lower, &[2.0, 9.0], &mut x)?;
/// assert_eq!(x.as_slice(), [1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "dtrsm")]
pub fn solve_triangular<T: Product, D: Shape>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    triangle: Triangle,
    b: &impl Input<Elem = T, Dim = D>,
    x: &mut SharedArray<T, D>,
) -> Result<(), KernelError> {
    let n = field::check_square("a triangular matrix", a.view().dim())?;
    let has_ones = matches!(triangle, Triangle::UnitLower | Triangle::UnitUpper);
    let zero = a.view().diag().iter().position(|pivot| !has_ones && *pivot == T::ZERO);
    let solvable = zero.map_or(Ok(()), |at| Err(KernelError::Singular { kernel: "solve_triangular", at }));
    let code = triangle as u8;
    field::solve_sides(pool, n, b, x, solvable, |columns| {
        if columns.dim().0 <= SIDES {
            back(columns.as_mut_slice(), &a.elements(), n, code);
            return Ok(());
        }
        let a = a.share(pool)?;
        let operands = (columns.split_mut(), a.whole_flat(), n, code);
        pool.launch().chunk(SIDES).for_each(operands, |(mut part, a, n, code)| {
            let Some(part) = part.as_slice_mut() else { return };
            back(part, a, n, code);
        })?;
        Ok(())
    })
}

/// Solves for some right-hand sides, in place, with a row-major matrix.
fn back<T: Product>(sides: &mut [T], a: &[T], n: usize, code: u8) {
    let a = field::of(a, n).transpose();
    let sides = field::of_mut(sides, n);
    match code {
        0 => triangular::solve_lower_triangular_in_place(a, sides, ALONE),
        1 => triangular::solve_upper_triangular_in_place(a, sides, ALONE),
        2 => triangular::solve_unit_lower_triangular_in_place(a, sides, ALONE),
        _ => triangular::solve_unit_upper_triangular_in_place(a, sides, ALONE),
    }
}
