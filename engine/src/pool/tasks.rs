//! Tasks of a pool: function calls that run in workers.

use super::Pool;
use crate::code::NoCapture;
use crate::sys::fork;
use crate::task::queue::TaskQueue;
use crate::task::{Argument, AsyncResult, Imap, Insights, Output, Star, TaskError, Tasks};
use std::sync::Arc;

impl Pool {
    /// Of its tasks; `None` where they run in the caller.
    pub(crate) fn queue(&self) -> Option<&Arc<TaskQueue>> {
        self.core.queue.as_ref()
    }

    /// Returns task calls to configure: `pool.tasks().chunksize(100).timeout(limit).map(..)`.
    ///
    /// Calls run on the calling thread in a worker, on a thread that runs a kernel, and with
    /// [`Backend::Inline`](crate::Backend::Inline), as long as the pool is not closed.
    pub fn tasks(&self) -> Tasks<'_> {
        Tasks::new(
            &self.core.launcher.crew,
            self.core.queue.as_ref().filter(|_| !self.core.launcher.runs_inline()),
        )
    }

    /// Calls `function` in a worker and waits for its result.
    ///
    /// The function is a function item, or a closure that captures nothing. Pass several arguments as a
    /// tuple. Argument and result may be of any serde type, and handles of shared objects. A call takes about
    /// 2 us if a worker is awake.
    ///
    /// # Errors
    /// See [`TaskError`]. A panic, a worker's death or a closed pool is reported as an error; the call never
    /// hangs.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.apply(|n: i64| n * n, 5)?, 25);
    /// assert_eq!(pool.apply(|(word, times): (String, usize)| word.repeat(times), ("ab".into(), 2))?, "abab");
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply<A, R, F>(&self, function: F, argument: A) -> Result<R, TaskError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.tasks().apply(function, argument)
    }

    /// Calls `function` in a worker without blocking. Errors are reported by the returned [`AsyncResult`].
    ///
    /// See [`AsyncResult`] for an example.
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

    /// Calls `function` on every item and returns the results in order.
    ///
    /// Items are sent in chunks, see [`Tasks::chunksize`]. By default, a map whose function has always
    /// succeeded and proved very cheap may run on the calling thread, see [`Tasks::always_out`].
    ///
    /// # Errors
    /// Returns the [`TaskError`] of the first item that failed. Use [`Self::try_map`] to get all of them.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.map(|n: u64| n * n, 1..=8)?, [1, 4, 9, 16, 25, 36, 49, 64]);
    /// # Ok(())
    /// # }
    /// ```
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

    /// Like [`Self::map`], but returns a result or an error for each item. One bad item does not affect the
    /// others.
    ///
    /// # Errors
    /// Returns [`TaskError::PoolClosed`] or another error if nothing could be run.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let square = |text: String| text.parse::<i64>().expect("a number").pow(2);
    /// let results = pool.try_map(square, ["1", "2", "three", "4"].map(String::from))?;
    /// let shown: Vec<_> = results.iter().map(|r| r.as_ref().map_or("Error".into(), i64::to_string)).collect();
    /// assert_eq!(shown, ["1", "4", "Error", "16"]);
    /// # Ok(())
    /// # }
    /// ```
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

    /// Like [`Self::map`], for a function of two to eight arguments over tuples.
    ///
    /// # Errors
    /// As for [`Self::map`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.starmap(i64::pow, [(2, 3), (3, 4), (4, 5)])?, [8, 81, 1024]);
    /// # Ok(())
    /// # }
    /// ```
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

    /// Calls `function` on every item lazily, and yields each item's result or error in order.
    ///
    /// Items are taken from the input as needed, at most a window ahead ([`Tasks::window`]), so the input may
    /// be infinite.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let squares: Result<Vec<u64>, _> = pool.imap(|n| n * n, 0..).take(5).collect();
    /// assert_eq!(squares?, [0, 1, 4, 9, 16]);
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut squares = pool.imap_unordered(|n: u64| n * n, 1..=4).collect::<Result<Vec<_>, _>>()?;
    /// squares.sort();
    /// assert_eq!(squares, [1, 4, 9, 16]);
    /// # Ok(())
    /// # }
    /// ```
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

    /// Reports what the workers have done with tasks so far: counts, times and the five slowest tasks; and
    /// how long they took to start.
    pub fn insights(&self) -> Insights {
        let Some(queue) = self.core.queue.as_ref().filter(|_| !fork::is_foreign()) else {
            return Insights::default();
        };
        let mut insights = queue.ledger.lock().read(self.core.rate.ns_per_tick());
        let roster = queue.crew.roster.lock();
        (insights.deaths, insights.retirements) = (roster.respawns, roster.retirements);
        for (worker, slot) in insights.workers.iter_mut().zip(&roster.slots) {
            (worker.starting, worker.initializing) =
                (slot.start_times.starting, slot.start_times.initializing);
        }
        insights
    }
}
