//! Preconditioners: cheap, approximate inverses by which an iteration needs fewer steps.
//!
//! | preconditioner | for | an application costs |
//! |---|---|---|
//! | `()` | nothing is done | one copy |
//! | [`Jacobi`] | rows of different size | one pass over vectors |
//! | [`Ssor`] | symmetric matrices, without preparation | one pass over the matrix |
//! | [`Incomplete`] | ILU(0) and IC(0), the usual choice | one pass over a copy of the matrix |
//! | [`Multigrid`](super::Multigrid) | large, symmetric diffusion problems | about 8 passes over the matrix |
//!
//! [`Ssor`] and [`Incomplete`] solve triangular systems, in which each unknown needs those before it. They
//! treat the parts into which the matrix is cut for products (see [`sparse`](super)) as blocks: entries
//! between parts are left out, and all parts are solved at once. A matrix of fewer than about 8,000 rows and
//! entries is one block, and one of millions is 256, which costs a few more steps; that is the same for every
//! number of workers.

use super::Csr;
use super::spmv::Rows;
use super::vector;
use crate::error::{KernelError, check_shape};
use crate::inline::is_inline;
use crate::number::Real;
use phalanx::{Pool, SharedArray};
use std::ops::Range;

/// An approximate inverse of a matrix.
///
/// Conjugate gradients and MINRES need one that is symmetric and positive definite, and that is the same in
/// each step.
pub trait Preconditioner<T: Real> {
    /// Sets `z` to the approximate solution of `A z = r`.
    ///
    /// # Errors
    /// Those of the launches; `Shape` if the vectors do not fit.
    fn apply(&self, pool: &Pool, r: &SharedArray<T>, z: &mut SharedArray<T>) -> Result<(), KernelError>;
}

impl<T: Real> Preconditioner<T> for () {
    fn apply(&self, pool: &Pool, r: &SharedArray<T>, z: &mut SharedArray<T>) -> Result<(), KernelError> {
        vector::blend(pool, z, 1.0, r, 0.0)
    }
}

/// Divides by the diagonal.
#[derive(Debug)]
pub struct Jacobi<T> {
    inverse: SharedArray<T>,
}

impl<T: Real> Jacobi<T> {
    /// Prepares the preconditioner. Cost: one pass of the caller over the diagonal.
    ///
    /// # Errors
    /// `Shape` if the matrix is not square; `Singular` with the first row that has no diagonal, or a zero
    /// there; `Memory`.
    pub fn new(pool: &Pool, a: &Csr<T>) -> Result<Jacobi<T>, KernelError> {
        let mut inverse = pool.from_slice(&pivots(a, "Jacobi")?)?;
        inverse.as_mut_slice().iter_mut().for_each(|pivot| *pivot = T::ONE / *pivot);
        Ok(Jacobi { inverse })
    }
}

impl<T: Real> Preconditioner<T> for Jacobi<T> {
    fn apply(&self, pool: &Pool, r: &SharedArray<T>, z: &mut SharedArray<T>) -> Result<(), KernelError> {
        check_shape("a preconditioned vector", self.inverse.shape(), r.shape())?;
        vector::multiply(pool, z, r, &self.inverse)
    }
}

/// The diagonal of a square matrix, none of it 0.
fn pivots<T: Real>(a: &Csr<T>, kernel: &'static str) -> Result<Vec<T>, KernelError> {
    let (m, n) = a.shape();
    a.check_values()?;
    check_shape("the matrix of a linear system", &[m, m], &[m, n])?;
    (0..m)
        .map(|row| match a.find(row, row) {
            Some(pivot) if pivot != T::ZERO => Ok(pivot),
            _ => Err(KernelError::Singular { kernel, at: row }),
        })
        .collect()
}

/// A matrix with the triangles of an approximate inverse, its rows cut into blocks.
#[derive(Debug)]
struct Blocks<T> {
    offsets: SharedArray<u64>,
    columns: SharedArray<u32>,
    values: SharedArray<T>,
    /// The first row of each block, and the number of rows.
    parts: Vec<usize>,
    bounds: SharedArray<u64>,
}

impl<T: Real> Blocks<T> {
    fn of(pool: &Pool, a: &Csr<T>) -> Result<Blocks<T>, KernelError> {
        Ok(Blocks {
            offsets: pool.from_slice(a.offsets.as_slice())?,
            columns: pool.from_slice(a.columns.as_slice())?,
            values: pool.from_slice(a.values.as_slice())?,
            parts: a.parts.clone(),
            bounds: pool.from_slice(a.bounds.as_slice())?,
        })
    }

    /// Solves with both triangles of each block, one after the other.
    fn apply(
        &self,
        pool: &Pool,
        r: &SharedArray<T>,
        z: &mut SharedArray<T>,
        how: How<T>,
    ) -> Result<(), KernelError> {
        let rows = self.offsets.len() - 1;
        check_shape("a preconditioned vector", &[rows], r.shape())?;
        check_shape("a preconditioned vector", &[rows], z.shape())?;
        let all = (self.offsets.as_slice(), self.columns.as_slice(), self.values.as_slice());
        if is_inline(all.1.len() + rows) {
            for part in self.parts.windows(2) {
                let place = part[0]..part[1];
                let z = &mut z.as_mut_slice()[place.clone()];
                solve(all, place.clone(), &r.as_slice()[place], z, how);
            }
            return Ok(());
        }
        let operands = (
            z.split_at_mut(&self.parts),
            r.split_at(&self.parts),
            0..self.parts.len() - 1,
            self.bounds.whole(),
            (self.offsets.whole(), self.columns.whole(), self.values.whole()),
            how,
        );
        pool.launch().retry(3).retry_in_place().for_each(operands, |(z, r, part, bounds, matrix, how)| {
            let first = bounds[part.start] as usize;
            for part in part {
                let rows = bounds[part] as usize..bounds[part + 1] as usize;
                let place = rows.start - first..rows.end - first;
                solve(matrix, rows, &r[place.clone()], &mut z[place], how);
            }
        })?;
        Ok(())
    }
}

/// What the triangles are: for SSOR, `[1 / omega, (2 - omega) / omega]`; zeros for an incomplete
/// factorisation, whose L has a diagonal of ones.
type How<T> = [T; 2];

fn solve<T: Real>(
    (offsets, columns, values): (&[u64], &[u32], &[T]),
    rows: Range<usize>,
    r: &[T],
    z: &mut [T],
    [scale, between]: How<T>,
) {
    let matrix = Rows { offsets, columns, values };
    let is_factor = scale == T::ZERO;
    let first = rows.start;
    for row in rows.clone() {
        let (columns, values) = matrix.row(row);
        let (mut sum, mut pivot) = (r[row - first], T::ONE);
        for (column, value) in columns.iter().zip(values) {
            let column = *column as usize;
            if column < first {
                continue;
            }
            if column >= row {
                pivot = if column == row { *value } else { pivot };
                break;
            }
            sum = sum - *value * z[column - first];
        }
        z[row - first] = if is_factor { sum } else { sum / (pivot * scale) };
    }
    for row in rows.clone().rev() {
        let (columns, values) = matrix.row(row);
        let (mut known, mut pivot) = (T::ZERO, T::ONE);
        for (column, value) in columns.iter().zip(values).rev() {
            let column = *column as usize;
            if column >= rows.end {
                continue;
            }
            if column <= row {
                pivot = if column == row { *value } else { pivot };
                break;
            }
            known = known + *value * z[column - first];
        }
        // For SSOR, what the first triangle gave is multiplied by (2 - omega) / omega D.
        let side = z[row - first];
        z[row - first] = if is_factor {
            (side - known) / pivot
        } else {
            (side * (between * pivot) - known) / (pivot * scale)
        };
    }
}

/// Symmetric successive over-relaxation: one sweep forwards and one backwards (Saad, *Iterative Methods for
/// Sparse Linear Systems*, 2nd ed., 10.2).
#[derive(Debug)]
pub struct Ssor<T> {
    blocks: Blocks<T>,
    how: How<T>,
}

impl<T: Real> Ssor<T> {
    /// Prepares the preconditioner with a relaxation factor in 0 .. 2; 1 is symmetric Gauss-Seidel. Extra
    /// memory: a copy of the matrix.
    ///
    /// # Errors
    /// As for [`Jacobi::new`]; `Argument` for another factor.
    pub fn new(pool: &Pool, a: &Csr<T>, omega: f64) -> Result<Ssor<T>, KernelError> {
        if !(omega > 0.0 && omega < 2.0) {
            return Err(KernelError::argument("omega", format!("{omega} is not between 0 and 2")));
        }
        pivots(a, "Ssor")?;
        let how = [T::from_f64(1.0 / omega), T::from_f64((2.0 - omega) / omega)];
        Ok(Ssor { blocks: Blocks::of(pool, a)?, how })
    }
}

impl<T: Real> Preconditioner<T> for Ssor<T> {
    fn apply(&self, pool: &Pool, r: &SharedArray<T>, z: &mut SharedArray<T>) -> Result<(), KernelError> {
        self.blocks.apply(pool, r, z, self.how)
    }
}

/// An incomplete factorisation without fill-in: of `L U`, only what has a place in the matrix (Saad,
/// *Iterative Methods for Sparse Linear Systems*, 2nd ed., 10.3).
///
/// ```
/// use phalanx_kernels::sparse::{self, SolverOptions, Csr, Incomplete};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1, 1], &[0, 1, 0, 1], &[4.0, 1.0, 1.0, 3.0])?;
/// let near = Incomplete::cholesky(&pool, &a)?;
/// let mut x = pool.zeros(2)?;
/// let outcome =
///     sparse::preconditioned_cg(&pool, &a, &[1.0, 2.0], &mut x, SolverOptions::default(), &near)?;
/// assert_eq!(outcome.iterations, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Incomplete<T> {
    blocks: Blocks<T>,
}

impl<T: Real> Incomplete<T> {
    /// Factorises a matrix: ILU(0).
    ///
    /// Cost: about as much as ten products, shared out by blocks. Extra memory: a copy of the matrix, and a
    /// line for each worker.
    ///
    /// # Errors
    /// `Shape` if the matrix is not square or its values were replaced; `Singular` with the first row whose
    /// pivot is missing, 0 or not finite; `Launch`, `Memory`.
    #[doc(alias = "ilu", alias = "spilu")]
    pub fn lu(pool: &Pool, a: &Csr<T>) -> Result<Incomplete<T>, KernelError> {
        Self::make(pool, a, false)
    }

    /// Factorises a symmetric, positive definite matrix: IC(0), kept as `L D L'` in both triangles. As
    /// [`Self::lu`], and the preconditioner is positive definite. Symmetry is not checked.
    ///
    /// # Errors
    /// As for [`Self::lu`]; `NotPositiveDefinite` with the first row whose pivot is not above 0. That can
    /// happen for definite matrices too, but not for those whose diagonals outweigh the rest of their rows.
    #[doc(alias = "ichol")]
    pub fn cholesky(pool: &Pool, a: &Csr<T>) -> Result<Incomplete<T>, KernelError> {
        Self::make(pool, a, true)
    }

    fn make(pool: &Pool, a: &Csr<T>, must_be_positive: bool) -> Result<Incomplete<T>, KernelError> {
        pivots(a, "Incomplete")?;
        let mut blocks = Blocks::of(pool, a)?;
        let rows = a.shape().0;
        let cut = a.entry_cut();
        let operands = (
            blocks.values.split_at_mut(&cut),
            0..cut.len() - 1,
            blocks.bounds.whole(),
            (blocks.offsets.whole(), blocks.columns.whole()),
        );
        let first = if rows == 0 {
            u64::MAX
        } else {
            pool.reduce(
                operands,
                u64::MAX,
                |(values, part, bounds, (offsets, columns))| {
                    let start = offsets[bounds[part.start] as usize] as usize;
                    part.map(|part| {
                        let rows = bounds[part] as usize..bounds[part + 1] as usize;
                        factorise(offsets, columns, values, start, rows)
                    })
                    .min()
                    .unwrap_or(u64::MAX)
                },
                |a, b| a.min(b),
            )?
        };
        if first != u64::MAX {
            return Err(KernelError::Singular { kernel: "Incomplete", at: first as usize });
        }
        if must_be_positive {
            let (offsets, columns) = (blocks.offsets.as_slice(), blocks.columns.as_slice());
            let matrix = Rows { offsets, columns, values: blocks.values.as_slice() };
            let is_low = |row: &usize| {
                let (columns, values) = matrix.row(*row);
                columns.binary_search(&(*row as u32)).is_ok_and(|at| values[at] <= T::ZERO)
            };
            if let Some(at) = (0..rows).find(is_low) {
                return Err(KernelError::NotPositiveDefinite { kernel: "Incomplete::cholesky", at });
            }
        }
        Ok(Incomplete { blocks })
    }
}

impl<T: Real> Preconditioner<T> for Incomplete<T> {
    fn apply(&self, pool: &Pool, r: &SharedArray<T>, z: &mut SharedArray<T>) -> Result<(), KernelError> {
        self.blocks.apply(pool, r, z, [T::ZERO; 2])
    }
}

/// Factorises the block of some rows in place; `values` begins with entry `start`. Returns the first row
/// whose pivot is of no use.
fn factorise<T: Real>(
    offsets: &[u64],
    columns: &[u32],
    values: &mut [T],
    start: usize,
    rows: Range<usize>,
) -> u64 {
    const NONE: usize = usize::MAX;
    let mut place = vec![NONE; rows.len()];
    let mut pivots = vec![NONE; rows.len()];
    let inside = |column: u32| rows.contains(&(column as usize));
    for row in rows.clone() {
        let own = offsets[row] as usize..offsets[row + 1] as usize;
        for at in own.clone().filter(|at| inside(columns[*at])) {
            place[columns[at] as usize - rows.start] = at;
        }
        for at in own.clone().filter(|at| inside(columns[*at])) {
            let middle = columns[at] as usize;
            if middle >= row {
                break;
            }
            let pivot = pivots[middle - rows.start];
            let factor = values[at - start] / values[pivot - start];
            values[at - start] = factor;
            for other in pivot + 1..offsets[middle + 1] as usize {
                if inside(columns[other]) {
                    let to = place[columns[other] as usize - rows.start];
                    if to != NONE {
                        values[to - start] = values[to - start] - factor * values[other - start];
                    }
                }
            }
        }
        let pivot = place[row - rows.start];
        if pivot == NONE || values[pivot - start] == T::ZERO || !values[pivot - start].is_finite() {
            return row as u64;
        }
        pivots[row - rows.start] = pivot;
        for at in own.filter(|at| inside(columns[*at])) {
            place[columns[at] as usize - rows.start] = NONE;
        }
    }
    u64::MAX
}
