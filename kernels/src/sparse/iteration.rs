//! The iterations that Krylov methods have in common: how they begin, when they end, and what they return.

use super::solver::{SolverOptions, SolverOutcome, check_system};
use super::vector::norm;
use super::{Csr, spmv};
use crate::error::KernelError;
use crate::input::{Input, Shared};
use crate::number::Real;
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// A linear system that is being solved.
pub(super) struct Iteration<'s, T: Real> {
    pub(super) pool: &'s Pool,
    a: &'s Csr<T>,
    b: Shared<'s, T, Ix1>,
    solver: &'static str,
    most: usize,
    /// The norm of a residual that is small enough.
    pub(super) enough: f64,
    /// Iterations so far. Methods count them.
    pub(super) done: usize,
}

impl<'s, T: Real> Iteration<'s, T> {
    /// Checks the arguments. Returns also the first residual and its norm.
    pub(super) fn begin(
        pool: &'s Pool,
        a: &'s Csr<T>,
        b: &'s (impl Input<Elem = T, Dim = Ix1> + ?Sized),
        x: &SharedArray<T>,
        solver: &'static str,
        options: SolverOptions,
    ) -> Result<(Iteration<'s, T>, SharedArray<T>, f64), KernelError> {
        let b = b.share(pool)?;
        check_system(a, b.shape(), x.shape(), options)?;
        let enough = (options.relative * norm(pool, &b)?).max(options.absolute);
        let at = Iteration { pool, a, b, solver, most: options.max_iterations, enough, done: 0 };
        let (r, size) = at.residual(x)?;
        Ok((at, r, size))
    }

    /// Calls `step`, which returns the next residual's norm, until that is small enough.
    pub(super) fn run(
        mut self,
        mut size: f64,
        mut step: impl FnMut(&mut Self) -> Result<f64, KernelError>,
    ) -> Result<SolverOutcome, KernelError> {
        while !self.is_over(size)? {
            size = step(&mut self)?;
        }
        Ok(SolverOutcome { iterations: self.done, residual: size })
    }

    pub(super) fn zeros(&self) -> Result<SharedArray<T>, KernelError> {
        Ok(self.pool.zeros(self.a.shape().0)?)
    }

    /// Returns `b - A x` and its norm.
    pub(super) fn residual(&self, x: &SharedArray<T>) -> Result<(SharedArray<T>, f64), KernelError> {
        let mut r = self.pool.from_slice(self.b.as_slice())?;
        spmv(self.pool, -T::ONE, self.a, x, T::ONE, &mut r)?;
        let size = norm(self.pool, &r)?;
        Ok((r, size))
    }

    pub(super) fn multiply(&self, x: &SharedArray<T>, y: &mut SharedArray<T>) -> Result<(), KernelError> {
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
        if self.is_exhausted() { Err(self.gives_up(residual)) } else { Ok(false) }
    }

    /// Whether there may be no further iteration.
    pub(super) fn is_exhausted(&self) -> bool {
        self.done >= self.most
    }

    pub(super) fn gives_up(&self, residual: f64) -> KernelError {
        KernelError::NotConverged { solver: self.solver, iterations: self.done, residual }
    }

    pub(super) fn broken(&self, why: String) -> KernelError {
        KernelError::Breakdown { solver: self.solver, iterations: self.done, why }
    }
}
