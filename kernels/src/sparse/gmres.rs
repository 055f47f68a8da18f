//! GMRES(m): Y. Saad and M. H. Schultz, SIAM J. Sci. Stat. Comput. 7, 1986; after Saad, *Iterative Methods for
//! Sparse Linear Systems*, 2nd ed., 6.5 and 9.3. Products, inner products and sums of vectors are launches of
//! their own.

use super::Csr;
use super::iteration::Iteration;
use super::precondition::Preconditioner;
use super::solver::{SolverOptions, SolverOutcome};
use super::vector::{blend, inner, norm};
use crate::error::KernelError;
use crate::input::Input;
use crate::number::Real;
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// Solves `A x = b` for any square matrix by GMRES, preconditioned from the right and restarted after
/// `restart` iterations.
///
/// `x`, sums and sizes of numbers are as for [`preconditioned_cg`](super::preconditioned_cg). Cost of
/// iteration `j` after a restart: a product, an application of the preconditioner, `2 j` inner products and
/// sums of vectors, since each new direction is made orthogonal to all before it. Memory: `restart + 4` vectors.
///
/// # Errors
/// As for [`preconditioned_cg`](super::preconditioned_cg); `Argument` if `restart` is 0. `NotConverged` also
/// where a restart makes no progress.
///
/// ```
/// use phalanx_kernels::sparse::{self, SolverOptions, Csr};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 1], &[1, 0], &[1.0, -1.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// sparse::gmres(&pool, &a, &[3.0, 4.0], &mut x, 30, SolverOptions::default(), &())?;
/// assert!((x.as_slice()[0] + 4.0).abs() < 1e-12 && (x.as_slice()[1] - 3.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn gmres<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
    restart: usize,
    options: SolverOptions,
    near: &impl Preconditioner<T>,
) -> Result<SolverOutcome, KernelError> {
    if restart == 0 {
        return Err(KernelError::argument("restart", "it is 0; give the iterations between two restarts"));
    }
    let (at, mut r, mut size) = Iteration::begin(pool, a, b, x, "GMRES", options)?;
    let mut last = f64::INFINITY;
    at.run(size, |at| {
        // No progress at all: not even a rounding's worth.
        if size >= last {
            return Err(at.gives_up(size));
        }
        last = size;
        cycle(at, &r, size, x, restart, near)?;
        (r, size) = at.residual(x)?;
        Ok(size)
    })
}

/// The iterations until a restart, which change `x` at their end.
fn cycle<T: Real>(
    at: &mut Iteration<'_, T>,
    r: &SharedArray<T>,
    size: f64,
    x: &mut SharedArray<T>,
    restart: usize,
    near: &impl Preconditioner<T>,
) -> Result<(), KernelError> {
    let pool = at.pool;
    let mut space = Space::new(size);
    space.add(at, r, size)?;
    let mut hat = at.zeros()?;
    for j in 0..restart {
        near.apply(pool, &space.basis[j], &mut hat)?;
        let mut w = at.zeros()?;
        at.multiply(&hat, &mut w)?;
        let column = space.straighten(pool, &mut w)?;
        let left = column[j + 1];
        at.done += 1;
        let length = column[j].hypot(left);
        if !length.is_finite() {
            return Err(at.broken("numbers have overflowed, or NaN is about".to_owned()));
        }
        // A direction that the matrix does not change: what was found before it is all there is.
        if length == 0.0 {
            break;
        }
        let residual = space.turn(column, length);
        if residual <= at.enough || left == 0.0 || at.is_exhausted() {
            break;
        }
        space.add(at, &w, left)?;
    }
    let mut sum = at.zeros()?;
    for (v, weight) in space.basis.iter().zip(space.weights()) {
        blend(pool, &mut sum, weight, v, 1.0)?;
    }
    near.apply(pool, &sum, &mut hat)?;
    blend(pool, x, 1.0, &hat, 1.0)
}

/// The Krylov space since the last restart: an orthonormal basis, and the least squares problem in it, made
/// triangular by rotations.
struct Space<T: Real> {
    basis: Vec<SharedArray<T>>,
    columns: Vec<Vec<f64>>,
    /// Cosine and sine of each rotation.
    turns: Vec<(f64, f64)>,
    /// The right-hand side, rotated.
    sides: Vec<f64>,
}

impl<T: Real> Space<T> {
    /// For a residual of this norm.
    fn new(size: f64) -> Space<T> {
        Space { basis: Vec::new(), columns: Vec::new(), turns: Vec::new(), sides: vec![size] }
    }

    /// Adds a direction of this length to the basis.
    fn add(&mut self, at: &Iteration<'_, T>, w: &SharedArray<T>, length: f64) -> Result<(), KernelError> {
        let mut v = at.zeros()?;
        blend(at.pool, &mut v, 1.0 / length, w, 0.0)?;
        self.basis.push(v);
        Ok(())
    }

    /// Makes `w` orthogonal to the basis. Returns what it had along each, rotated, and what is left.
    fn straighten(&self, pool: &Pool, w: &mut SharedArray<T>) -> Result<Vec<f64>, KernelError> {
        let mut column = Vec::with_capacity(self.basis.len() + 1);
        for v in &self.basis {
            let along = inner(pool, v, w)?;
            blend(pool, w, -along, v, 1.0)?;
            column.push(along);
        }
        column.push(norm(pool, w)?);
        for (i, (cosine, sine)) in self.turns.iter().enumerate() {
            let (high, low) = (column[i], column[i + 1]);
            (column[i], column[i + 1]) = (cosine * high + sine * low, cosine * low - sine * high);
        }
        Ok(column)
    }

    /// Rotates the last element of a new column away; `length` is that of its last two. Returns the
    /// residual's norm.
    fn turn(&mut self, mut column: Vec<f64>, length: f64) -> f64 {
        let j = self.columns.len();
        let (cosine, sine) = (column[j] / length, column[j + 1] / length);
        column[j] = length;
        column.truncate(j + 1);
        self.columns.push(column);
        self.sides.push(-sine * self.sides[j]);
        self.sides[j] *= cosine;
        self.turns.push((cosine, sine));
        self.sides[j + 1].abs()
    }

    /// Solves the triangular system: how much of each direction belongs to the solution.
    fn weights(&self) -> Vec<f64> {
        let columns = &self.columns;
        let mut weights = vec![0.0; columns.len()];
        for i in (0..columns.len()).rev() {
            let known: f64 = (i + 1..columns.len()).map(|j| columns[j][i] * weights[j]).sum();
            weights[i] = (self.sides[i] - known) / columns[i][i];
        }
        weights
    }
}
