//! Krylov methods with preconditioners.
//!
//! Conjugate gradients (algorithm 9.1) and BiCGSTAB (H. A. van der Vorst, SIAM J. Sci. Stat. Comput. 13, 1992)
//! after Saad, *Iterative Methods for Sparse Linear Systems*, 2nd ed.; MINRES (C. C. Paige and M. A. Saunders,
//! SIAM J. Numer. Anal. 12, 1975). Products, inner products and sums of vectors are launches of their own.

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
/// use phalanx_kernels::sparse::{self, SolverOptions, Csr, Jacobi};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1, 1], &[0, 1, 0, 1], &[4.0, 1.0, 1.0, 3.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// let options = SolverOptions { relative: 1e-12, ..Default::default() };
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
    options: SolverOptions,
    near: &impl Preconditioner<T>,
) -> Result<SolverOutcome, KernelError> {
    let (at, mut r, size) = Iteration::begin(pool, a, b, x, "preconditioned conjugate gradients", options)?;
    let (mut z, mut p, mut q) = (at.zeros()?, at.zeros()?, at.zeros()?);
    let mut before = 0.0;
    at.run(size, |at| {
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
        before = rz;
        at.done += 1;
        norm(pool, &r)
    })
}

/// Solves `A x = b` for any square matrix by BiCGSTAB, preconditioned from the right.
///
/// `x`, sums and sizes of numbers are as for [`preconditioned_cg`]. Cost of an iteration: two products, two
/// applications of the preconditioner, 6 inner products, 6 sums of vectors. Memory: 8 vectors.
///
/// # Errors
/// As for [`preconditioned_cg`]; `Breakdown` where the method can go no further, as it may for any matrix:
/// [`gmres`](super::gmres()) goes on.
///
/// ```
/// use phalanx_kernels::sparse::{self, SolverOptions, Csr};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1], &[0, 1, 1], &[2.0, 1.0, 4.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// sparse::bicgstab(&pool, &a, &[4.0, 8.0], &mut x, SolverOptions::default(), &())?;
/// assert!((x.as_slice()[0] - 1.0).abs() < 1e-4 && (x.as_slice()[1] - 2.0).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
pub fn bicgstab<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
    options: SolverOptions,
    near: &impl Preconditioner<T>,
) -> Result<SolverOutcome, KernelError> {
    let (at, mut r, size) = Iteration::begin(pool, a, b, x, "BiCGSTAB", options)?;
    let shadow = pool.from_slice(r.as_slice())?;
    let (mut p, mut v) = (at.zeros()?, at.zeros()?);
    let (mut hat, mut t) = (at.zeros()?, at.zeros()?);
    let (mut rho, mut alpha, mut omega) = (1.0, 1.0, 1.0);
    at.run(size, |at| {
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
        let size = norm(pool, &r)?;
        if size <= at.enough {
            return Ok(size);
        }
        near.apply(pool, &r, &mut hat)?;
        at.multiply(&hat, &mut t)?;
        let square = inner(pool, &t, &t)?;
        omega = if square > 0.0 { inner(pool, &t, &r)? / square } else { 0.0 };
        blend(pool, x, omega, &hat, 1.0)?;
        blend(pool, &mut r, -omega, &t, 1.0)?;
        norm(pool, &r)
    })
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
/// use phalanx_kernels::sparse::{self, SolverOptions, Csr};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 1], &[0, 1], &[1.0, -1.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// sparse::minres(&pool, &a, &[3.0, 4.0], &mut x, SolverOptions::default())?;
/// assert!((x.as_slice()[0] - 3.0).abs() < 1e-12 && (x.as_slice()[1] + 4.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn minres<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
    options: SolverOptions,
) -> Result<SolverOutcome, KernelError> {
    let (at, mut v, size) = Iteration::begin(pool, a, b, x, "MINRES", options)?;
    let (mut before, mut next) = (at.zeros()?, at.zeros()?);
    // The last two directions.
    let (mut d, mut older, mut newest) = (at.zeros()?, at.zeros()?, at.zeros()?);
    let (mut beta, mut eta) = (size, size);
    let (mut turn, mut last) = ((1.0, 0.0), (1.0, 0.0));
    if size > 0.0 && size.is_finite() {
        blend(pool, &mut next, 1.0 / size, &v, 0.0)?;
        std::mem::swap(&mut v, &mut next);
    }
    at.run(size, |at| {
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
        at.done += 1;
        std::mem::swap(&mut older, &mut d);
        std::mem::swap(&mut d, &mut newest);
        if ahead > 0.0 {
            blend(pool, &mut before, 1.0 / ahead, &next, 0.0)?;
            // before holds the next v; v becomes the one before.
            std::mem::swap(&mut before, &mut v);
        }
        beta = ahead;
        Ok(eta.abs())
    })
}

#[cfg(test)]
#[path = "krylov_tests.rs"]
mod tests;
