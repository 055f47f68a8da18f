//! Algebraic multigrid by smoothed aggregation.
//!
//! After P. Vanek, J. Mandel and M. Brezina, Computing 56 (1996): strongly connected unknowns are grouped
//! into aggregates, each an unknown of a coarser matrix; the step from coarse to fine is smoothed once.
//! Coarser matrices are products, `R A P`.

use super::precondition::{Preconditioner, Ssor};
use super::system::wide;
use super::vector::{blend, bound, multiply};
use super::{Csr, spmv};
use crate::error::{KernelError, check_shape};
use crate::number::Real;
use phalanx::{Pool, SharedArray};
use std::sync::Mutex;

/// Couplings weaker than this, beside the diagonals of both, do not make neighbours.
const STRONG: f64 = 0.08;
/// Rows of a matrix that is not made coarser.
const COARSEST: usize = 200;
const LEVELS: usize = 20;
/// Sweeps that stand for the solution with the coarsest matrix.
const SWEEPS: usize = 30;

/// A hierarchy of coarser matrices for a symmetric, positive definite one, of which a V-cycle with one sweep
/// of damped Jacobi before and after each step is applied.
///
/// Meant for diffusion problems on grids and meshes, where it keeps the number of iterations about the same
/// for any number of unknowns. One application touches the matrices of all levels about four times;
/// applications by several threads wait for each other. Extra memory: about as much as the matrix, and 5
/// vectors.
///
/// ```
/// use phalanx_kernels::sparse::{self, SolverOptions, Csr, Multigrid};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = phalanx::Pool::builder().workers(2).build()?;
/// // -u'' = 1 on 2,000 points.
/// let n = 2000_u32;
/// let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
/// for i in 0..n {
///     for j in i.saturating_sub(1)..(i + 2).min(n) {
///         rows.push(i);
///         columns.push(j);
///         values.push(if i == j { 2.0 } else { -1.0 });
///     }
/// }
/// let a = Csr::from_coo(&pool, (2000, 2000), &rows, &columns, &values)?;
/// let mut x = pool.zeros(2000)?;
/// let near = Multigrid::new(&pool, &a)?;
/// let b = vec![1.0; 2000];
/// let outcome = sparse::preconditioned_cg(&pool, &a, &b, &mut x, SolverOptions::default(), &near)?;
/// assert!(outcome.iterations < 40);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Multigrid<T: Real> {
    levels: Vec<Level<T>>,
    coarsest: Coarsest<T>,
}

#[derive(Debug)]
struct Level<T: Real> {
    a: Csr<T>,
    to_fine: Csr<T>,
    to_coarse: Csr<T>,
    /// The damped inverse of the diagonal.
    damped: SharedArray<T>,
    work: Mutex<Work<T>>,
}

/// Vectors of a level: what is left over, a correction; and of the next coarser one: its two sides.
#[derive(Debug)]
struct Work<T> {
    left: SharedArray<T>,
    change: SharedArray<T>,
    coarse_r: SharedArray<T>,
    coarse_z: SharedArray<T>,
}

#[derive(Debug)]
struct Coarsest<T: Real> {
    a: Csr<T>,
    sweep: Ssor<T>,
    work: Mutex<[SharedArray<T>; 2]>,
}

impl<T: Real> Multigrid<T> {
    /// Makes the hierarchy. Symmetry is not checked.
    ///
    /// Cost: about as much as 50 products; aggregates and transposes are made in the calling thread.
    ///
    /// # Errors
    /// `Shape` if the matrix is not square or its values were replaced; `NotPositiveDefinite` with the first
    /// row whose diagonal is missing or not above 0; `Launch`, `Memory`.
    pub fn new(pool: &Pool, a: &Csr<T>) -> Result<Multigrid<T>, KernelError> {
        let (m, n) = a.shape();
        a.check_values()?;
        check_shape("the matrix of a linear system", &[m, m], &[m, n])?;
        let mut a = a.plus(pool, T::ONE, &empty(pool, (m, n))?, T::ZERO)?;
        let mut levels = Vec::new();
        loop {
            let rows = a.shape().0;
            let is_low = |row: &usize| {
                a.find(*row, *row)
                    .is_none_or(|pivot| pivot.partial_cmp(&T::ZERO) != Some(std::cmp::Ordering::Greater))
            };
            if let Some(at) = (0..rows).find(is_low) {
                return Err(KernelError::NotPositiveDefinite { kernel: "Multigrid", at });
            }
            let (aggregates, count) = aggregate(&a);
            if rows <= COARSEST || levels.len() == LEVELS || count * 10 > rows * 9 {
                break;
            }
            let (level, coarse) = coarsen(pool, a, &aggregates, count)?;
            levels.push(level);
            a = coarse;
        }
        let sweep = Ssor::new(pool, &a, 1.0)?;
        let work = Mutex::new([pool.zeros(a.shape().0)?, pool.zeros(a.shape().0)?]);
        Ok(Multigrid { levels, coarsest: Coarsest { a, sweep, work } })
    }

    /// Returns the number of unknowns of each level, the finest first.
    pub fn sizes(&self) -> Vec<usize> {
        let fine = self.levels.iter().map(|level| level.a.shape().0);
        fine.chain([self.coarsest.a.shape().0]).collect()
    }

    fn cycle(
        &self,
        pool: &Pool,
        at: usize,
        r: &SharedArray<T>,
        z: &mut SharedArray<T>,
    ) -> Result<(), KernelError> {
        let Some(level) = self.levels.get(at) else { return self.coarsest.solve(pool, r, z) };
        let mut work = level.work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Work { left, change, coarse_r, coarse_z } = &mut *work;
        multiply(pool, z, r, &level.damped)?;
        rest(pool, &level.a, r, z, left)?;
        spmv(pool, T::ONE, &level.to_coarse, left, T::ZERO, coarse_r)?;
        self.cycle(pool, at + 1, coarse_r, coarse_z)?;
        spmv(pool, T::ONE, &level.to_fine, coarse_z, T::ONE, z)?;
        rest(pool, &level.a, r, z, left)?;
        multiply(pool, change, left, &level.damped)?;
        blend(pool, z, 1.0, change, 1.0)
    }
}

impl<T: Real> Preconditioner<T> for Multigrid<T> {
    fn apply(&self, pool: &Pool, r: &SharedArray<T>, z: &mut SharedArray<T>) -> Result<(), KernelError> {
        let rows = self.levels.first().map_or(self.coarsest.a.shape().0, |level| level.a.shape().0);
        check_shape("a preconditioned vector", &[rows], r.shape())?;
        check_shape("a preconditioned vector", &[rows], z.shape())?;
        self.cycle(pool, 0, r, z)
    }
}

impl<T: Real> Coarsest<T> {
    /// Symmetric sweeps from 0, so that the whole stays symmetric.
    fn solve(&self, pool: &Pool, r: &SharedArray<T>, z: &mut SharedArray<T>) -> Result<(), KernelError> {
        let mut work = self.work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let [left, change] = &mut *work;
        self.sweep.apply(pool, r, z)?;
        for _ in 1..SWEEPS {
            rest(pool, &self.a, r, z, left)?;
            self.sweep.apply(pool, left, change)?;
            blend(pool, z, 1.0, change, 1.0)?;
        }
        Ok(())
    }
}

/// `left = r - A z`.
fn rest<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    r: &SharedArray<T>,
    z: &SharedArray<T>,
    left: &mut SharedArray<T>,
) -> Result<(), KernelError> {
    blend(pool, left, 1.0, r, 0.0)?;
    spmv(pool, -T::ONE, a, z, T::ONE, left)
}

fn empty<T: Real>(pool: &Pool, shape: (usize, usize)) -> Result<Csr<T>, KernelError> {
    Csr::from_coo(pool, shape, &[0_u32; 0], &[0_u32; 0], &[T::ZERO; 0])
}

/// A level for a matrix, and the next coarser matrix.
fn coarsen<T: Real>(
    pool: &Pool,
    a: Csr<T>,
    aggregates: &[usize],
    count: usize,
) -> Result<(Level<T>, Csr<T>), KernelError> {
    let rows = a.shape().0;
    // 2 / 3 where the bound is 2, as it is for differences on grids.
    let damping = T::from_f64(4.0 / 3.0 / bound(&a).unwrap_or(2.0));
    let mut damped = pool.zeros::<T>(rows)?;
    a.diagonal(&mut damped)?;
    damped.as_mut_slice().iter_mut().for_each(|pivot| *pivot = damping / *pivot);
    let places: Vec<u64> = (0..rows as u64).collect();
    let columns: Vec<u64> = aggregates.iter().map(|aggregate| *aggregate as u64).collect();
    let tentative = Csr::from_coo(pool, (rows, count), &places, &columns, &vec![T::ONE; rows])?;
    let mut smoothing = a.times(pool, &tentative)?;
    smoothing.scale_rows(pool, &damped)?;
    let to_fine = tentative.plus(pool, T::ONE, &smoothing, -T::ONE)?;
    let to_coarse = to_fine.transpose(pool)?;
    let coarse = to_coarse.times(pool, &a.times(pool, &to_fine)?)?;
    let work = Work {
        left: pool.zeros(rows)?,
        change: pool.zeros(rows)?,
        coarse_r: pool.zeros(count)?,
        coarse_z: pool.zeros(count)?,
    };
    Ok((Level { a, to_fine, to_coarse, damped, work: Mutex::new(work) }, coarse))
}

/// Puts unknowns together: the aggregate of each, and how many there are.
///
/// First whole neighbourhoods none of which has an aggregate yet, in the order of rows; then what is left
/// joins a neighbour's, or stays alone.
fn aggregate<T: Real>(a: &Csr<T>) -> (Vec<usize>, usize) {
    const NONE: usize = usize::MAX;
    let rows = a.shape().0;
    let diagonal: Vec<f64> = (0..rows).map(|row| a.find(row, row).map_or(0.0, wide).abs()).collect();
    let neighbours = |row: usize| {
        let (columns, values) = a.row(row);
        columns.iter().map(|column| *column as usize).zip(values).filter_map({
            let diagonal = &diagonal;
            move |(column, value)| {
                let limit = STRONG * (diagonal[row] * diagonal[column]).sqrt();
                (column != row && wide(*value).abs() > limit).then_some(column)
            }
        })
    };
    let (mut of, mut count) = (vec![NONE; rows], 0);
    for row in 0..rows {
        if of[row] == NONE && neighbours(row).all(|column| of[column] == NONE) {
            of[row] = count;
            neighbours(row).for_each(|column| of[column] = count);
            count += 1;
        }
    }
    let first = of.clone();
    for row in 0..rows {
        if of[row] == NONE {
            of[row] =
                neighbours(row).map(|column| first[column]).find(|of| *of != NONE).unwrap_or_else(|| {
                    count += 1;
                    count - 1
                });
        }
    }
    (of, count)
}
