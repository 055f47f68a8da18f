//! What the iterative solvers of linear systems take and return.

use super::Csr;
use crate::error::{KernelError, check_shape};
use crate::number::Real;

/// When an iterative solver stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolverOptions {
    /// The iteration has converged when the norm of the residual is at most this times the norm of the
    /// right-hand side.
    pub relative: f64,
    /// It has also converged when the norm of the residual is at most this.
    pub absolute: f64,
    /// It gives up after this many iterations.
    pub max_iterations: usize,
}

impl Default for SolverOptions {
    /// Returns a relative tolerance of 1e-5, as in SciPy, no absolute tolerance and 10,000 iterations.
    fn default() -> Self {
        SolverOptions { relative: 1e-5, absolute: 0.0, max_iterations: 10_000 }
    }
}

/// How an iterative solver ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolverOutcome {
    /// Iterations made.
    pub iterations: usize,
    /// Euclidean norm of the residual `b - A x`, as updated by the iteration.
    pub residual: f64,
}

/// Checks the arguments of a solver: the shapes of the right-hand side and the solution among them.
pub(super) fn check_system<T: Real>(
    a: &Csr<T>,
    b: &[usize],
    x: &[usize],
    options: SolverOptions,
) -> Result<(), KernelError> {
    let (rows, columns) = a.shape();
    a.check_values()?;
    check_shape("the matrix of a linear system", &[rows, rows], &[rows, columns])?;
    check_shape("the right-hand side of a linear system", &[rows], b)?;
    check_shape("the solution of a linear system", &[rows], x)?;
    let makes_sense = |tolerance: f64| tolerance >= 0.0;
    if makes_sense(options.relative) && makes_sense(options.absolute) {
        Ok(())
    } else {
        Err(KernelError::argument("a tolerance of a solver", "it must be 0 or more"))
    }
}
