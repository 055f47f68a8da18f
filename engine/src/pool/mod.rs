//! The root: what users hold. A [`Pool`] is a crew of pinned workers and the driver of its launches.

mod arrays;
mod builder;
mod end;
mod error;
mod monitored;
mod report;
mod seat;
mod sizing;
mod tasks;
mod trace;

#[cfg(test)]
#[cfg(not(loom))]
mod adversary_live_tests;
#[cfg(all(test, not(loom)))]
mod adversary_task_tests;
#[cfg(all(test, not(loom)))]
mod adversary_tests;

pub use builder::{Backend, PoolBuilder};
pub use error::PoolError;
pub use monitored::monitored;
pub use report::{LaunchStats, LaunchWorkerStats, MemoryReport, PoolStats, WorkerStats};
pub use seat::Seat;
pub use sizing::{Load, recommended_workers};
pub use trace::TraceError;

use crate::array::Element;
use crate::launch::driver::launcher::Launcher;
use crate::launch::grant::Split;
use crate::launch::region::{Body, RegionOperand};
use crate::launch::{Launch, LaunchError, Operand, Output};
use crate::sys::clock::TickRate;
use crate::task::queue::TaskQueue;
use ndarray::Ix1;
use std::sync::Arc;
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::AtomicBool;

/// A team of workers, pinned one per physical core, that runs launches over shared arrays.
///
/// `Pool` is `Send + Sync`: launches from several threads pass one at a time, in the order in which they
/// came; a launch made inside a kernel runs inline in that worker, and so does one on a thread that a kernel
/// or a progress callback started. Dropping the pool ends the workers and waits for them. A pool in a
/// `static` works too; its workers then end with the process.
///
/// ```
/// use phalanx::Pool;
///
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::new()?;
/// let x = pool.from_fn(1_000_000, |i| i as f64)?;
/// let mut y = pool.zeros::<f64>(x.len())?;
/// pool.for_each((y.split_mut(), x.split(), 2.5), |(y, x, a)| {
///     for (y, x) in y.iter_mut().zip(x) {
///         *y += a * x
///     }
/// })?;
/// let sum = pool.reduce(y.split(), 0.0, |y| y.iter().sum(), |a, b| a + b)?;
/// assert_eq!(sum, 2.5 * (999_999.0 * 1_000_000.0 / 2.0));
/// # Ok(())
/// # }
/// ```
pub struct Pool {
    pub(crate) launcher: Launcher,
    /// Of its tasks; None where they run in the caller.
    queue: Option<Arc<TaskQueue>>,
    reason: String,
    rate: TickRate,
    /// A thread of its own waits for the end.
    is_handed_over: AtomicBool,
}

impl Pool {
    /// Starts a pool with the defaults: worker processes, one per physical core that this program may use.
    ///
    /// Blocks until all workers serve (a few milliseconds). In a worker, and where another worker's kernel
    /// calls it, the pool runs everything inline: a worker never starts workers.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn new() -> Result<Pool, PoolError> {
        Pool::builder().build()
    }

    /// Says how a pool shall be.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.launcher.crew.active()
    }

    /// One sentence that says which cores are used and why that many.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// A launch with options: `pool.launch().chunk(4096).retry(2).for_each(..)`.
    pub fn launch(&self) -> Launch<'_> {
        Launch::new(&self.launcher)
    }

    /// Runs `kernel` once on every chunk of the operands.
    ///
    /// The kernel is a function or a closure that captures nothing; what it needs comes as operands. Blocks
    /// until no worker touches the operands any more. Nothing is serialised: one fixed descriptor is written,
    /// and workers that are awake need no system call.
    ///
    /// # Errors
    /// See [`LaunchError`]. Bad operands are refused before anything runs.
    #[track_caller]
    pub fn for_each<O: Operand>(
        &self,
        operands: O,
        kernel: for<'w> fn(O::View<'w>),
    ) -> Result<(), LaunchError> {
        self.launch().for_each(operands, kernel)
    }

    /// Runs `kernel` once on every worker, with the worker's rank and its block of the split operands.
    ///
    /// Rank `r` of `w` gets units `n*r/w .. n*(r+1)/w` in one piece; operands that are not split come whole.
    /// The cheapest launch.
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut ranks = pool.zeros::<u64>(10)?;
    /// pool.broadcast(ranks.split_mut(), |rank, block| block.fill(rank as u64))?;
    /// assert_eq!(ranks.as_slice(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn broadcast<O: Operand>(
        &self,
        operands: O,
        kernel: for<'w> fn(usize, O::View<'w>),
    ) -> Result<(), LaunchError> {
        self.launch().broadcast(operands, kernel)
    }

    /// Folds the kernel's results over all chunks.
    ///
    /// Chunks are grouped into at most 256 leaves, which depend on the length only, and leaves are folded in
    /// a fixed tree: the result has the same bits for every number of workers, every schedule, and with or
    /// without a retried chunk. `identity` is the result for no elements. The last folds run in the calling
    /// thread: a panic of `combine` there is the caller's own.
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| i as f64)?;
    /// let largest = pool.reduce(x.split(), f64::MIN, |x| x.iter().copied().fold(f64::MIN, f64::max), f64::max)?;
    /// assert_eq!(largest, 999.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn reduce<O: Operand, A: Element>(
        &self,
        operands: O,
        identity: A,
        kernel: for<'w> fn(O::View<'w>) -> A,
        combine: fn(A, A) -> A,
    ) -> Result<A, LaunchError> {
        self.launch().reduce(operands, identity, kernel, combine)
    }

    /// Sets every `out[i]` to `kernel(input[i])`. The kernel is inlined into the loop. It captures nothing
    /// but values without size, which must mean the same in every process (premise P8 in
    /// docs/memory-model.md).
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| i as f64)?;
    /// let mut y = pool.zeros::<f64>(1000)?;
    /// pool.map_into(y.split_out(), x.split(), |x| x * x)?;
    /// assert_eq!(y.as_slice()[30], 900.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn map_into<T, U, Out, K>(
        &self,
        out: Out,
        input: Split<'_, T, Ix1>,
        kernel: K,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        U: Element,
        Out: Output<U>,
        K: Fn(T) -> U + Copy + Send + Sync + 'static,
    {
        self.launch().map_into(out, input, kernel)
    }

    /// Prefix sum: sets every `out[i]` to the fold of `input[0..=i]`, for any associative `combine`.
    ///
    /// Two sweeps over the input and one over the output. The bits do not depend on the number of workers.
    /// What `combine` may capture is as for [`map_into`](Self::map_into).
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(5, |i| i as u64 + 1)?;
    /// let mut sums = pool.zeros::<u64>(5)?;
    /// pool.scan(sums.split_out(), x.split(), 0, |a, b| a + b)?;
    /// assert_eq!(sums.as_slice(), [1, 3, 6, 10, 15]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn scan<T, Out, K>(
        &self,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        Out: Output<T>,
        K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        self.launch().scan(out, input, identity, combine)
    }

    /// Runs `body` once on every member, all at the same time (SPMD), for iterative solvers; gives rank 0's
    /// result.
    ///
    /// Inside, ranks meet in phases and collectives of [`Team`](crate::Team). See [`region`](crate::region).
    ///
    /// # Errors
    /// See [`LaunchError`]; `Region` when ranks made different steps or a body returned an error.
    ///
    /// ```
    /// use phalanx::{Edge, Pool};
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let (mut u, mut v) = (pool.from_fn(64, |i| i as f64)?, pool.zeros::<f64>(64)?);
    /// let change = pool.region((&mut u, &mut v), |team, (mut u, mut v)| {
    ///     let mut change = 0.0;
    ///     for _ in 0..10 {
    ///         let mut local = 0.0;
    ///         team.phase((v.split_mut(), u.halo(1, Edge::Clamp)), |(v, u)| {
    ///             for (i, v) in v.iter_mut().enumerate() {
    ///                 *v = (u[i] + u[i + 1] + u[i + 2]) / 3.0;
    ///                 local += (*v - u[i + 1]).abs();
    ///             }
    ///         })?;
    ///         change = team.all_reduce(local, |a, b| a + b)?;
    ///         std::mem::swap(&mut u, &mut v);
    ///     }
    ///     Ok(change)
    /// })?;
    /// assert!(change < 1.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn region<O: RegionOperand, R: Element>(
        &self,
        operands: O,
        body: Body<O, R>,
    ) -> Result<R, LaunchError> {
        self.launch().region(operands, body)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.reason)
    }
}

#[allow(dead_code, reason = "asserts that pools may be shared")]
const fn pools_may_be_shared() {
    const fn shared<T: Send + Sync>() {}
    shared::<Pool>();
}
