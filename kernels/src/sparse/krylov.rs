//! Krylov methods with preconditioners.
//!
//! Conjugate gradients (algorithm 9.1), BiCGSTAB (H. A. van der Vorst, SIAM J. Sci. Stat. Comput. 13, 1992)
//! and GMRES(m) (Y. Saad and M. H. Schultz, SIAM J. Sci. Stat. Comput. 7, 1986) after Saad, *Iterative
//! Methods for Sparse Linear Systems*, 2nd ed.; MINRES (C. C. Paige and M. A. Saunders, SIAM J. Numer. Anal.
//! 12, 1975). Products, inner products and sums of vectors are launches of their own.

use super::cg::{CgOptions, CgOutcome};
use super::precondition::Preconditioner;
use super::vector::{blend, inner, norm};
use super::{Csr, spmv};
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use crate::number::Real;
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// A linear system that is being solved.
struct Iteration<'s, T: Real> {
    pool: &'s Pool,
    a: &'s Csr<T>,
    solver: &'static str,
    options: CgOptions,
    /// The norm of a residual that is small enough.
    enough: f64,
    done: usize,
}

impl<'s, T: Real> Iteration<'s, T> {
    /// Checks the arguments; returns also `b` as an array.
    fn new(
        pool: &'s Pool,
        a: &'s Csr<T>,
        b: &SharedArray<T>,
        x: &SharedArray<T>,
        solver: &'static str,
        options: CgOptions,
    ) -> Result<Iteration<'s, T>, KernelError> {
        let (rows, columns) = a.shape();
        a.check_values()?;
        check_shape("the matrix of a linear system", &[rows, rows], &[rows, columns])?;
        check_shape("the right-hand side of a linear system", &[rows], b.shape())?;
        check_shape("the solution of a linear system", &[rows], x.shape())?;
        let sense = |tolerance: f64| tolerance >= 0.0;
        if !sense(options.relative) || !sense(options.absolute) {
            return Err(KernelError::argument("a tolerance of a solver", "it must be 0 or more"));
        }
        let enough = (options.relative * norm(pool, b)?).max(options.absolute);
        Ok(Iteration { pool, a, solver, options, enough, done: 0 })
    }

    fn zeros(&self) -> Result<SharedArray<T>, KernelError> {
        Ok(self.pool.zeros(self.a.shape().0)?)
    }

    /// Returns `b - A x` and its norm.
    fn residual(&self, b: &SharedArray<T>, x: &SharedArray<T>) -> Result<(SharedArray<T>, f64), KernelError> {
        let mut r = self.pool.from_slice(b.as_slice())?;
        spmv(self.pool, -T::ONE, self.a, x, T::ONE, &mut r)?;
        let size = norm(self.pool, &r)?;
        Ok((r, size))
    }

    fn multiply(&self, x: &SharedArray<T>, y: &mut SharedArray<T>) -> Result<(), KernelError> {
        spmv(self.pool, T::ONE, self.a, x, T::ZERO, y)
    }

    /// Whether the residual is small enough, or there are too many iterations.
    fn is_over(&self, residual: f64) -> Result<bool, KernelError> {
        if !residual.is_finite() {
            return Err(
                self.broken(format!("the residual is {residual:e}: it has overflowed, or NaN is about"))
            );
        }
        if residual <= self.enough {
            return Ok(true);
        }
        if self.done >= self.options.max_iterations {
            let (solver, iterations) = (self.solver, self.done);
            return Err(KernelError::NotConverged { solver, iterations, residual });
        }
        Ok(false)
    }

    fn broken(&self, why: String) -> KernelError {
        KernelError::Breakdown { solver: self.solver, iterations: self.done, why }
    }

    fn outcome(&self, residual: f64) -> CgOutcome {
        CgOutcome { iterations: self.done, residual }
    }
}

/// Solves `A x = b` for a symmetric, positive definite matrix and a preconditioner that is both too.
///
/// `x` holds the initial guess on entry and the solution on return. Without a preconditioner, `&()`,
/// [`conjugate_gradient`](super::conjugate_gradient) is faster: it is one region. Sums are float64; results
/// have the same bits for any number of workers. Numbers whose squares leave float64 are not cared for. Cost
/// of an iteration: a product, an application of the preconditioner, 3 inner products, 3 sums of vectors.
///
/// # Errors
/// - `Shape` if the matrix is not square or a vector does not match; `Argument` if a tolerance is negative or
///   NaN. `x` is unchanged.
/// - `Breakdown` if the matrix or the preconditioner proves not to be positive definite, or NaN or infinities
///   appear; `NotConverged` after `max_iterations`. `x` holds the last iterate.
/// - `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::sparse::{self, CgOptions, Csr, Jacobi};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1, 1], &[0, 1, 0, 1], &[4.0, 1.0, 1.0, 3.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// let options = CgOptions { relative: 1e-12, ..Default::default() };
/// sparse::preconditioned_cg(&pool, &a, &[1.0, 2.0], &mut x, options, &Jacobi::new(&pool, &a)?)?;
/// assert!((x.as_slice()[0] - 1.0 / 11.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "pcg")]
pub fn preconditioned_cg<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
    options: CgOptions,
    near: &impl Preconditioner<T>,
) -> Result<CgOutcome, KernelError> {
    let b = b.share(pool)?;
    let mut at = Iteration::new(pool, a, &b, x, "preconditioned conjugate gradients", options)?;
    let (mut r, mut size) = at.residual(&b, x)?;
    let (mut z, mut p, mut q) = (at.zeros()?, at.zeros()?, at.zeros()?);
    let mut before = 0.0;
    while !at.is_over(size)? {
        near.apply(pool, &r, &mut z)?;
        let rz = inner(pool, &r, &z)?;
        blend(pool, &mut p, 1.0, &z, if at.done == 0 { 0.0 } else { rz / before })?;
        at.multiply(&p, &mut q)?;
        let pq = inner(pool, &p, &q)?;
        if !(pq > 0.0 && rz > 0.0) {
            let why = format!(
                "p * A p is {pq:e} and r * M r is {rz:e}, which symmetric, positive definite matrices do not give"
            );
            return Err(at.broken(why));
        }
        blend(pool, x, rz / pq, &p, 1.0)?;
        blend(pool, &mut r, -rz / pq, &q, 1.0)?;
        size = norm(pool, &r)?;
        before = rz;
        at.done += 1;
    }
    Ok(at.outcome(size))
}

/// Solves `A x = b` for any square matrix by BiCGSTAB, preconditioned from the right.
///
/// `x`, sums and sizes of numbers are as for [`preconditioned_cg`]. Cost of an iteration: two products, two
/// applications of the preconditioner, 6 inner products, 6 sums of vectors. Memory: 8 vectors.
///
/// # Errors
/// As for [`preconditioned_cg`]; `Breakdown` where the method can go no further, as it may for any matrix:
/// [`gmres`] goes on.
///
/// ```
/// use phalanx_kernels::sparse::{self, CgOptions, Csr};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1], &[0, 1, 1], &[2.0, 1.0, 4.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// sparse::bicgstab(&pool, &a, &[4.0, 8.0], &mut x, CgOptions::default(), &())?;
/// assert!((x.as_slice()[0] - 1.0).abs() < 1e-4 && (x.as_slice()[1] - 2.0).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
pub fn bicgstab<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
    options: CgOptions,
    near: &impl Preconditioner<T>,
) -> Result<CgOutcome, KernelError> {
    let b = b.share(pool)?;
    let mut at = Iteration::new(pool, a, &b, x, "BiCGSTAB", options)?;
    let (mut r, mut size) = at.residual(&b, x)?;
    let shadow = pool.from_slice(r.as_slice())?;
    let (mut p, mut v) = (at.zeros()?, at.zeros()?);
    let (mut hat, mut t) = (at.zeros()?, at.zeros()?);
    let (mut rho, mut alpha, mut omega) = (1.0, 1.0, 1.0);
    while !at.is_over(size)? {
        let before = std::mem::replace(&mut rho, inner(pool, &shadow, &r)?);
        if rho == 0.0 || omega == 0.0 {
            return Err(at.broken("the residual has become orthogonal to the first one".to_owned()));
        }
        if at.done == 0 {
            blend(pool, &mut p, 1.0, &r, 0.0)?;
        } else {
            let beta = (rho / before) * (alpha / omega);
            blend(pool, &mut p, -omega, &v, 1.0)?;
            blend(pool, &mut p, 1.0, &r, beta)?;
        }
        near.apply(pool, &p, &mut hat)?;
        at.multiply(&hat, &mut v)?;
        let along = inner(pool, &shadow, &v)?;
        if along == 0.0 {
            return Err(at.broken("a direction has become orthogonal to the first residual".to_owned()));
        }
        alpha = rho / along;
        blend(pool, x, alpha, &hat, 1.0)?;
        blend(pool, &mut r, -alpha, &v, 1.0)?;
        at.done += 1;
        size = norm(pool, &r)?;
        if size <= at.enough {
            continue;
        }
        near.apply(pool, &r, &mut hat)?;
        at.multiply(&hat, &mut t)?;
        let square = inner(pool, &t, &t)?;
        omega = if square > 0.0 { inner(pool, &t, &r)? / square } else { 0.0 };
        blend(pool, x, omega, &hat, 1.0)?;
        blend(pool, &mut r, -omega, &t, 1.0)?;
        size = norm(pool, &r)?;
    }
    Ok(at.outcome(size))
}

/// Solves `A x = b` for any square matrix by GMRES, preconditioned from the right and restarted after
/// `restart` iterations.
///
/// `x`, sums and sizes of numbers are as for [`preconditioned_cg`]. Cost of iteration `j` after a restart: a
/// product, an application of the preconditioner, `2 j` inner products and sums of vectors, since each new
/// direction is made orthogonal to all before it. Memory: `restart + 3` vectors.
///
/// # Errors
/// As for [`preconditioned_cg`]; `Argument` if `restart` is 0. `NotConverged` also where a restart makes no
/// progress.
///
/// ```
/// use phalanx_kernels::sparse::{self, CgOptions, Csr};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 1], &[1, 0], &[1.0, -1.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// sparse::gmres(&pool, &a, &[3.0, 4.0], &mut x, 30, CgOptions::default(), &())?;
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
    options: CgOptions,
    near: &impl Preconditioner<T>,
) -> Result<CgOutcome, KernelError> {
    if restart == 0 {
        return Err(KernelError::argument("restart", "it is 0; give the iterations between two restarts"));
    }
    let b = b.share(pool)?;
    let mut at = Iteration::new(pool, a, &b, x, "GMRES", options)?;
    let mut last = f64::INFINITY;
    loop {
        let (r, size) = at.residual(&b, x)?;
        if at.is_over(size)? {
            return Ok(at.outcome(size));
        }
        // No progress at all: not even a rounding's worth.
        if size >= last {
            let (solver, iterations) = (at.solver, at.done);
            return Err(KernelError::NotConverged { solver, iterations, residual: size });
        }
        last = size;
        cycle(&mut at, r, size, x, restart, near)?;
    }
}

/// The iterations until a restart, which change `x` at their end.
fn cycle<T: Real>(
    at: &mut Iteration<'_, T>,
    mut r: SharedArray<T>,
    size: f64,
    x: &mut SharedArray<T>,
    restart: usize,
    near: &impl Preconditioner<T>,
) -> Result<(), KernelError> {
    let pool = at.pool;
    let mut hat = at.zeros()?;
    let copy = pool.from_slice(r.as_slice())?;
    blend(pool, &mut r, 1.0 / size, &copy, 0.0)?;
    let mut basis = vec![r];
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut turns: Vec<(f64, f64)> = Vec::new();
    let mut sides = vec![size];
    for j in 0..restart {
        near.apply(pool, &basis[j], &mut hat)?;
        let mut w = at.zeros()?;
        at.multiply(&hat, &mut w)?;
        let mut column = Vec::with_capacity(j + 2);
        for v in &basis {
            let along = inner(pool, v, &w)?;
            blend(pool, &mut w, -along, v, 1.0)?;
            column.push(along);
        }
        let left = norm(pool, &w)?;
        column.push(left);
        for (i, (cosine, sine)) in turns.iter().enumerate() {
            let (high, low) = (column[i], column[i + 1]);
            (column[i], column[i + 1]) = (cosine * high + sine * low, cosine * low - sine * high);
        }
        let length = column[j].hypot(column[j + 1]);
        at.done += 1;
        if !(length > 0.0 && length.is_finite()) {
            // A direction that the matrix does not change: what was found before it is all there is.
            if !length.is_finite() {
                return Err(at.broken("numbers have overflowed, or NaN is about".to_owned()));
            }
            break;
        }
        let turn = (column[j] / length, column[j + 1] / length);
        column[j] = length;
        column.truncate(j + 1);
        columns.push(column);
        sides.push(-turn.1 * sides[j]);
        sides[j] *= turn.0;
        turns.push(turn);
        let residual = sides[j + 1].abs();
        if residual <= at.enough || left == 0.0 || at.done >= at.options.max_iterations {
            break;
        }
        let copy = pool.from_slice(w.as_slice())?;
        blend(pool, &mut w, 1.0 / left, &copy, 0.0)?;
        basis.push(w);
    }
    let mut weights = vec![0.0; columns.len()];
    for i in (0..columns.len()).rev() {
        let known: f64 = (i + 1..columns.len()).map(|j| columns[j][i] * weights[j]).sum();
        weights[i] = (sides[i] - known) / columns[i][i];
    }
    let mut sum = at.zeros()?;
    for (v, weight) in basis.iter().zip(&weights) {
        blend(pool, &mut sum, *weight, v, 1.0)?;
    }
    near.apply(pool, &sum, &mut hat)?;
    blend(pool, x, 1.0, &hat, 1.0)
}

/// Solves `A x = b` for a symmetric matrix, also an indefinite one, by MINRES, which makes the residual least
/// in each step.
///
/// `x`, sums and sizes of numbers are as for [`preconditioned_cg`]. No preconditioner: one that is positive
/// definite for an indefinite matrix is rare. Cost of an iteration: a product, 2 inner products, 6 sums of
/// vectors. Memory: 7 vectors.
///
/// # Errors
/// As for [`preconditioned_cg`], except that no matrix need be positive definite.
///
/// ```
/// use phalanx_kernels::sparse::{self, CgOptions, Csr};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 1], &[0, 1], &[1.0, -1.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// sparse::minres(&pool, &a, &[3.0, 4.0], &mut x, CgOptions::default())?;
/// assert!((x.as_slice()[0] - 3.0).abs() < 1e-12 && (x.as_slice()[1] + 4.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn minres<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
    options: CgOptions,
) -> Result<CgOutcome, KernelError> {
    let b = b.share(pool)?;
    let mut at = Iteration::new(pool, a, &b, x, "MINRES", options)?;
    let (mut v, mut size) = at.residual(&b, x)?;
    let (mut before, mut next) = (at.zeros()?, at.zeros()?);
    // The last two directions.
    let (mut d, mut older, mut newest) = (at.zeros()?, at.zeros()?, at.zeros()?);
    let (mut beta, mut eta) = (size, size);
    let (mut turn, mut last) = ((1.0, 0.0), (1.0, 0.0));
    if size > 0.0 && size.is_finite() {
        blend(pool, &mut next, 1.0 / size, &v, 0.0)?;
        std::mem::swap(&mut v, &mut next);
    }
    while !at.is_over(size)? {
        at.multiply(&v, &mut next)?;
        let alpha = inner(pool, &v, &next)?;
        blend(pool, &mut next, -alpha, &v, 1.0)?;
        if at.done > 0 {
            blend(pool, &mut next, -beta, &before, 1.0)?;
        }
        let ahead = norm(pool, &next)?;
        // The new column of the tridiagonal matrix, turned by the last two rotations.
        let below = if at.done == 0 { 0.0 } else { beta };
        let (epsilon, middle) = (last.1 * below, last.0 * below);
        let delta = turn.0 * middle + turn.1 * alpha;
        let gamma_bar = turn.0 * alpha - turn.1 * middle;
        let gamma = gamma_bar.hypot(ahead);
        if !(gamma > 0.0 && gamma.is_finite()) {
            let why = "the matrix does not change what is left of the residual: it is singular, or holds NaN";
            return Err(at.broken(why.to_owned()));
        }
        last = std::mem::replace(&mut turn, (gamma_bar / gamma, ahead / gamma));
        blend(pool, &mut newest, 1.0 / gamma, &v, 0.0)?;
        blend(pool, &mut newest, -delta / gamma, &d, 1.0)?;
        blend(pool, &mut newest, -epsilon / gamma, &older, 1.0)?;
        blend(pool, x, turn.0 * eta, &newest, 1.0)?;
        eta *= -turn.1;
        size = eta.abs();
        at.done += 1;
        std::mem::swap(&mut older, &mut d);
        std::mem::swap(&mut d, &mut newest);
        if ahead > 0.0 {
            blend(pool, &mut before, 1.0 / ahead, &next, 0.0)?;
            // before holds the next v; v becomes the one before.
            std::mem::swap(&mut before, &mut v);
        }
        beta = ahead;
    }
    Ok(at.outcome(size))
}

#[cfg(test)]
#[path = "krylov_tests.rs"]
mod tests;
