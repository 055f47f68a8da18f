//! [`ClusterPool`]: the workers of all machines.
#![deny(clippy::arithmetic_side_effects)]

use crate::code::NoCapture;
use crate::pool::Pool;
use crate::task::remote::Remote;
use crate::task::{Argument, AsyncResult, Imap, Output, Star, TaskError, Tasks};
use std::marker::PhantomData;
use std::sync::Arc;

/// The workers of all machines of a cluster, for calls of functions. Driver 0 has it in the body of
/// [`lead`](super::lead()) or [`Cluster::lead`](super::Cluster::lead).
///
/// The methods are those of [`Pool`], so that a body is the same for one machine and many: results in order,
/// errors, panics, time limits, retries, cancelling and journals ([`Tasks`]) are as there. What differs:
///
/// - Arguments and results travel by value, also on one machine. A handle of a shared object (a lock, a
///   queue, a frozen array) leads to memory of one machine: an item with one has the error
///   [`TaskError::Codec`].
/// - Errors name the machine. A worker that dies costs its item, as in a pool; a driver that dies ends the
///   job, from which a [journal](Tasks::journal) goes on.
/// - Each machine has at most two tasks for each of its workers at a time. The others wait at driver 0, whose
///   machine works too. They go to other machines, and results come back, while the thread that leads is in a
///   call of the pool: a body that computes for long between calls lets the others idle.
/// - [`current_rank`](crate::current_rank) counts within a machine.
///
/// Only the thread that leads has the pool. Results ([`AsyncResult`]) may go to other threads; they arrive as
/// long as the thread that leads waits for something.
pub struct ClusterPool {
    pool: Pool,
    remote: Arc<Remote>,
    /// Of the thread that leads.
    stays: PhantomData<*mut ()>,
}

impl ClusterPool {
    pub(super) fn new(pool: Pool, remote: Arc<Remote>) -> ClusterPool {
        ClusterPool { pool, remote, stays: PhantomData }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the number of workers on all machines.
    pub fn workers(&self) -> usize {
        self.pool.workers().saturating_add(self.remote.workers())
    }

    /// Returns task calls to configure: `pool.tasks().chunksize(100).timeout(limit).map(..)`.
    ///
    /// ```
    /// use phalanx::cluster;
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("squares.journal");
    /// let squares = cluster::lead(|pool| {
    ///     // If the job is killed, the next one goes on from here.
    ///     let squares = pool.tasks().journal(&path).map(|n: u64| n * n, 0..1000)?;
    ///     Ok::<_, phalanx::Error>(squares)
    /// })?;
    /// assert_eq!(squares[7], 49);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn tasks(&self) -> Tasks<'_> {
        self.pool.tasks()
    }

    /// Calls `function` in a worker and waits for its result. See [`Pool::apply`].
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn apply<A, R, F>(&self, function: F, argument: A) -> Result<R, TaskError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.tasks().apply(function, argument)
    }

    /// Calls `function` in a worker without blocking. See [`Pool::apply_async`].
    pub fn apply_async<A, R, F>(&self, function: F, argument: A) -> AsyncResult<R>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.tasks().apply_async(function, argument)
    }

    /// Like [`Self::apply_async`], under the name that executors use.
    pub fn submit<A, R, F>(&self, function: F, argument: A) -> AsyncResult<R>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.apply_async(function, argument)
    }

    /// Calls `function` on every item and returns the results in order. See [`Pool::map`].
    ///
    /// # Errors
    /// The [`TaskError`] of the first item that failed.
    pub fn map<A, R, F, I>(&self, function: F, items: I) -> Result<Vec<R>, TaskError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        self.tasks().map(function, items)
    }

    /// Like [`Self::map`], but returns a result or an error for each item. See [`Pool::try_map`].
    ///
    /// # Errors
    /// [`TaskError::PoolClosed`] or another error if nothing could be run.
    pub fn try_map<A, R, F, I>(&self, function: F, items: I) -> Result<Vec<Result<R, TaskError>>, TaskError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        self.tasks().try_map(function, items)
    }

    /// Like [`Self::map`], without waiting for the results.
    pub fn map_async<A, R, F, I>(&self, function: F, items: I) -> AsyncResult<Vec<R>>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        self.tasks().map_async(function, items)
    }

    /// Like [`Self::map`], for a function of two to eight arguments over tuples. See [`Pool::starmap`].
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn starmap<A, F, I>(&self, function: F, items: I) -> Result<Vec<F::Output>, TaskError>
    where
        A: Argument,
        F: Star<A>,
        F::Output: Output,
        I: IntoIterator<Item = A>,
    {
        self.tasks().starmap(function, items)
    }

    /// Like [`Self::starmap`], without waiting for the results.
    pub fn starmap_async<A, F, I>(&self, function: F, items: I) -> AsyncResult<Vec<F::Output>>
    where
        A: Argument,
        F: Star<A>,
        F::Output: Output,
        I: IntoIterator<Item = A>,
    {
        self.tasks().starmap_async(function, items)
    }

    /// Calls `function` on every item lazily, a bounded window ahead, and yields results in order. See
    /// [`Pool::imap`].
    pub fn imap<A, R, F, I>(&self, function: F, items: I) -> Imap<'_, I::IntoIter, A, R>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        self.tasks().imap(function, items)
    }

    /// Like [`Self::imap`], but yields results as they arrive.
    pub fn imap_unordered<A, R, F, I>(&self, function: F, items: I) -> Imap<'_, I::IntoIter, A, R>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        self.tasks().imap_unordered(function, items)
    }
}

impl std::fmt::Debug for ClusterPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterPool({} workers)", self.workers())
    }
}
