//! A [`Pool`] of pinned workers: how it is [built](PoolBuilder), and what it reports.

mod arrays;
mod azip;
mod builder;
mod cores;
mod end;
mod error;
mod exit;
mod folds;
mod monitored;
mod report;
mod resize;
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
#[cfg(all(test, not(loom)))]
mod driver_core_tests;

#[doc(hidden)]
pub use azip::ZipViews;
pub use builder::{Backend, PoolBuilder};
pub use error::PoolError;
pub use monitored::monitored;
pub use report::{LaunchStats, LaunchWorkerStats, MemoryReport, PoolStats, WorkerStats};
pub use seat::Seat;
pub use sizing::{Load, recommended_workers};
pub use trace::TraceError;

pub use crate::team::exit_function::{ExitError, ExitOutcome};
pub use crate::team::initializer::Opened;

use crate::array::Element;
use crate::base::Output;
use crate::code::NoCapture;
use crate::launch::driver::launcher::Launcher;
use crate::launch::grant::Split;
use crate::launch::region::RegionOperand;
use crate::launch::{
    BodyError, Elements, Launch, LaunchError, MapOutput, Operand, RegionError, Team, TryError, With,
};
use crate::sys::clock::TickRate;
use crate::task::queue::TaskQueue;
use crate::tuning::Tuning;
use ndarray::Ix1;
use std::sync::Arc;
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::AtomicBool;

/// A team of workers that runs launches over shared arrays. By default, workers are processes pinned one per
/// physical core.
///
/// `Pool` is `Send + Sync`, and clones are handles of the same pool. Launches from several threads run one at
/// a time, in the order in which they were called. A launch made inside a kernel runs inline in that worker.
/// So does a launch on a thread that a kernel or a progress callback started. Dropping the last handle waits
/// for the pool's work and ends its workers. A pool may also live in a `static`; its workers then end with
/// the process.
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
#[derive(Clone)]
pub struct Pool {
    pub(crate) core: Arc<Core>,
}

/// What the handles of a pool share. The last of them to be dropped ends the pool.
pub(crate) struct Core {
    pub(crate) launcher: Launcher,
    /// Of its tasks; None where they run in the caller.
    queue: Option<Arc<TaskQueue>>,
    reason: String,
    rate: TickRate,
    /// A thread of its own waits for the end.
    is_handed_over: AtomicBool,
}

impl Pool {
    /// Starts a pool with the default configuration: worker processes, one per physical core that this
    /// program may use.
    ///
    /// Blocks until all workers are ready (a few milliseconds). A worker never starts workers: in a worker
    /// process or inside a kernel, the new pool runs everything inline.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn new() -> Result<Pool, PoolError> {
        Pool::builder().build()
    }

    /// Returns a builder with the default configuration.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// Returns the number of workers that serve; [parked](Self::park) ones do not count.
    pub fn workers(&self) -> usize {
        self.core.launcher.crew.active()
    }

    /// Returns one sentence about which cores the pool uses, and why that many.
    pub fn reason(&self) -> &str {
        &self.core.reason
    }

    /// Returns the settings that depend on the machine: those of [`PoolBuilder::tuning`], of the stored profile, or
    /// the default.
    pub fn tuning(&self) -> Tuning {
        self.core.launcher.crew.tuning
    }

    /// Returns a launch to configure: `pool.launch().chunk(4096).retry(2).for_each(..)`.
    pub fn launch(&self) -> Launch<'_> {
        Launch::new(&self.core.launcher)
    }

    /// Runs `kernel` once on every chunk of the operands.
    ///
    /// The kernel is a function, or a closure that captures nothing. Pass the data it needs as operands.
    /// Blocks until no worker can touch the operands any more. Nothing is serialised: the driver writes one
    /// fixed-size descriptor, and workers that are awake need no system call.
    ///
    /// # Errors
    /// See [`LaunchError`]. Invalid operands are refused before any chunk runs.
    #[track_caller]
    pub fn for_each<O, K>(&self, operands: O, kernel: K) -> Result<(), LaunchError>
    where
        O: Operand,
        K: for<'w> Fn(O::View<'w>) + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().for_each(operands, kernel)
    }

    /// Runs `kernel` once on every worker, and passes it the worker's rank and its block of the split
    /// operands.
    ///
    /// Rank `r` of `w` receives units `n*r/w .. n*(r+1)/w` in one piece. Operands that are not split are
    /// passed whole. This is the cheapest launch.
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
    pub fn broadcast<O, K>(&self, operands: O, kernel: K) -> Result<(), LaunchError>
    where
        O: Operand,
        K: for<'w> Fn(usize, O::View<'w>) + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().broadcast(operands, kernel)
    }

    /// Combines the kernel's results over all chunks into one value.
    ///
    /// Chunks are grouped into at most 256 leaves, which are combined in a fixed tree. The grouping depends
    /// only on the operands and the chunk size. The result is therefore bit-identical for every number of
    /// workers and every schedule, with or without retried chunks. `identity` is the result for zero
    /// elements. The last combinations run on the calling thread, so a panic of `combine` there unwinds into
    /// the caller.
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
    pub fn reduce<O, A, K, C>(
        &self,
        operands: O,
        identity: A,
        kernel: K,
        combine: C,
    ) -> Result<A, LaunchError>
    where
        O: Operand,
        A: Element,
        K: for<'w> Fn(O::View<'w>) -> A + Copy + Send + Sync,
        C: Fn(A, A) -> A + Copy + Send + Sync,
    {
        const { (NoCapture::<K>::OK, NoCapture::<C>::OK) };
        self.launch().reduce(operands, identity, kernel, combine)
    }

    /// Sets every element of `out` to the kernel's result for the elements of `input` at the same place.
    ///
    /// `input` is [`split`](crate::SharedArray::split) of an array of any dimension, an index range, or a
    /// tuple of up to 8 of these; the kernel then receives a tuple. All have the output's shape. The kernel
    /// is inlined into the loop. It may capture only zero-sized values, which must mean the same in every
    /// process (premise P8 in docs/memory-model.md); what else it needs is passed by [`Pool::with`].
    ///
    /// # Errors
    /// See [`LaunchError`]. Inputs of another shape than the output's are refused before anything runs.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_shape_fn((100, 10), |(i, j)| (10 * i + j) as f64)?;
    /// let mut y = pool.zeros_nd::<f64, _>((100, 10))?;
    /// pool.map_into(y.split_out(), x.split(), |x| x * x)?;
    /// assert_eq!(y.view()[(3, 0)], 900.0);
    ///
    /// let mut distance = pool.zeros_nd::<f64, _>((100, 10))?;
    /// pool.map_into(distance.split_out(), (x.split(), y.split()), |(x, y)| (y - x).abs())?;
    /// assert_eq!(distance.view()[(3, 0)], 870.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn map_into<U, Out, In, K>(&self, out: Out, input: In, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: MapOutput<U>,
        In: Elements,
        K: Fn(In::Item) -> U + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().map_into(out, input, kernel)
    }

    /// Passes `parameters` to a function that is called for each element: what a closure would capture.
    ///
    /// Parameters are any [`Operand`] whose view can be copied: numbers, `bool`, `char`, options and arrays
    /// of these, [`Val`](crate::Val), `&`[`Captured`](crate::Captured) for any serde value,
    /// [`whole`](crate::SharedArray::whole) of an array to look things up in, and tuples of these. The
    /// function receives them last. [`With`] has `map_into`, `fill_with`, `scan`, `scan_exclusive`,
    /// `position_first`, `find_first`, `any` and `all`. [`Launch::with`] adds options.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let (first, step) = (0.5, 0.1);
    /// let mut x = pool.zeros::<f64>(1000)?;
    /// pool.with((first, step)).fill_with(x.split_out(), |i, (first, step)| first + i as f64 * step)?;
    /// assert_eq!(x.as_slice()[10], 1.5);
    ///
    /// let table = pool.from_fn(8, |i| 10 * i as u32)?;
    /// let index = pool.from_fn(1000, |i| i as u32 % 8)?;
    /// let mut out = pool.zeros::<u32>(1000)?;
    /// pool.with(table.whole()).map_into(out.split_out(), index.split(), |i, table| table[i as usize])?;
    /// assert_eq!(out.as_slice()[999], 70);
    ///
    /// let limit = 60;
    /// assert_eq!(pool.with(limit).position_first(out.split(), |x, limit| x > limit)?, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with<P: Operand>(&self, parameters: P) -> With<'_, P> {
        self.launch().with(parameters)
    }

    /// Computes an inclusive prefix sum (scan): sets every `out[i]` to the fold of `input[0..=i]`. `combine`
    /// may be any associative function.
    ///
    /// Sweeps twice over the input and once over the output. The result is bit-identical for every number of
    /// workers. The rules for what `combine` may capture are those of [`map_into`](Self::map_into).
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
        Out: MapOutput<T, Dim = Ix1>,
        K: Fn(T, T) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().scan(out, input, identity, combine)
    }

    /// Runs `body` once on every rank, all at the same time (SPMD), and returns rank 0's result. Meant for
    /// iterative solvers.
    ///
    /// Inside the body, ranks synchronise through the phases and collectives of [`Team`]. See
    /// [`region`](crate::region).
    ///
    /// # Errors
    /// See [`LaunchError`]. Returns [`LaunchError::Region`] if ranks made different steps, or if a body
    /// returned an error. For errors of other types, see [`Self::try_region`].
    ///
    /// ```
    /// use phalanx::{Edge, Pool};
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let (mut u, mut v) = (pool.from_fn(64, |i| i as f64)?, pool.zeros::<f64>(64)?);
    /// let change = pool.region((&mut u, &mut v), |team, (mut u, mut v)| {
    ///     let mut change = 0.0;
    ///     for _ in 0..10 {
    ///         change = team.reduce_chunks(
    ///             (v.split_mut(), u.halo(1, Edge::Clamp)),
    ///             0.0,
    ///             |(v, u)| {
    ///                 let mut change = 0.0;
    ///                 for (i, v) in v.iter_mut().enumerate() {
    ///                     *v = (u[i] + u[i + 1] + u[i + 2]) / 3.0;
    ///                     change += (*v - u[i + 1]).abs();
    ///                 }
    ///                 change
    ///             },
    ///             |a, b| a + b,
    ///         )?;
    ///         std::mem::swap(&mut u, &mut v);
    ///     }
    ///     Ok(change)
    /// })?;
    /// assert!(change < 1.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn region<O, R, B>(&self, operands: O, body: B) -> Result<R, LaunchError>
    where
        O: RegionOperand,
        R: Element,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync,
    {
        const { NoCapture::<B>::OK };
        self.launch().region(operands, body)
    }

    /// Like [`region`](Self::region), with a body that may fail with an error of any serde type.
    ///
    /// In the body, `?` converts both errors of steps ([`RegionError`]) and values of type `E` into
    /// [`BodyError`]. Errors of other types are converted into `E` first, by `map_err`. When a rank fails,
    /// the others receive [`RegionError::Broken`] at their next step. If several ranks fail by themselves
    /// between the same two steps, the error is that of the lowest one. A rank that finds the team broken
    /// fails for that reason, whatever error its body makes of it. Arrays keep what the ranks have written so
    /// far.
    ///
    /// Costs as much as `region`, and 256 KiB for errors, which the pool keeps for its next launch of this
    /// kind.
    ///
    /// # Errors
    /// - [`TryError::Body`]: a body returned an error of its own; with the lowest rank that did.
    /// - [`TryError::Launch`]: the launch itself failed, see [`LaunchError`]. With [`LaunchError::Region`], a
    ///   step failed. Panics and deaths come before errors of bodies.
    ///
    /// ```
    /// use phalanx::{Pool, TryError};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, PartialEq, Serialize, Deserialize)]
    /// enum SolveError {
    ///     Diverged { step: u64 },
    /// }
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let mut x = pool.from_fn(64, |i| i as f64)?;
    /// let outcome = pool.try_region(&mut x, |team, mut x| {
    ///     for step in 0..1000 {
    ///         let largest = team.phase(x.split_mut(), |x| {
    ///             x.iter_mut().for_each(|x| *x *= 10.0);
    ///             x.iter().copied().fold(0.0, f64::max)
    ///         })?;
    ///         if largest > 1e6 {
    ///             return Err(SolveError::Diverged { step }.into());
    ///         }
    ///         team.barrier()?;
    ///     }
    ///     Ok(0)
    /// });
    /// match outcome {
    ///     Err(TryError::Body { rank: 0, error, .. }) => assert_eq!(error, SolveError::Diverged { step: 4 }),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_region<O, R, E, B>(&self, operands: O, body: B) -> Result<R, TryError<E>>
    where
        O: RegionOperand,
        R: Element,
        E: Output,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, BodyError<E>> + Copy + Send + Sync,
    {
        const { NoCapture::<B>::OK };
        self.launch().try_region(operands, body)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.core.reason)
    }
}

#[allow(dead_code, reason = "asserts that pools may be shared")]
const fn pools_may_be_shared() {
    const fn shared<T: Send + Sync>() {}
    shared::<Pool>();
}
