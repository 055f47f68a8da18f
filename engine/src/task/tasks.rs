//! Calls through the pool: one, all, one after the other.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::Ordering;
use crate::code::{self, NoCapture};
use crate::sys::clock::ticks;
use crate::sys::fork;
use crate::task::completion::Progress;
use crate::task::cost::Cost;
use crate::task::entry::{Argument, Output, TaskBody};
use crate::task::error::TaskError;
use crate::task::here;
use crate::task::imap::{Imap, ResultOrder};
use crate::task::insight::Entry;
use crate::task::job::{Many, Shape, Single, all_or_first, all_or_first_of, each, each_of, sift_errors};
use crate::task::options::{Options, Tasks};
use crate::task::queue::TaskQueue;
use crate::task::queued::{Packed, QueuedTask, Receiver, bytes_of_result, check, room};
use crate::task::result::AsyncResult;
use crate::task::star::Star;
use std::fmt;
use std::sync::Arc;

/// Chunks of a map per worker, if nothing is known of its function.
const CHUNKS_EACH: usize = 4;
/// Chunks handed over at a time, so that workers begin while the next are cut.
const AT_ONCE: usize = 16;

impl<'p> Tasks<'p> {
    // ------------------------------------------------------------------------------------------- one

    /// Calls `function` on a worker and waits for its result.
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn apply<A, R, F>(self, function: F, argument: A) -> Result<R, TaskError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.apply_async(function, argument).get()
    }

    /// Calls `function` on a worker without blocking. Errors are reported by the returned [`AsyncResult`].
    pub fn apply_async<A, R, F>(mut self, function: F, argument: A) -> AsyncResult<R>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        if fork::is_foreign() {
            return AsyncResult::done(Err(TaskError::Forked));
        }
        if self.is_cancelled() {
            return AsyncResult::done(Err(TaskError::Cancelled { item: 0 }));
        }
        let Some(queue) = self.queue else {
            let finish = |gathered| all_or_first(gathered)?.pop().ok_or(TaskError::Taken);
            let shape = Shape { finish, fail_fast: true, sift: Ok };
            return AsyncResult::done(here::run(&self, function, std::iter::once(argument), &shape).0);
        };
        let body = TaskBody::of(code::pointer_to(function));
        let bytes = bytes_of_result::<R>(queue.costs.of(body.key()));
        let by_value = queue.remote.get().is_some();
        let packed = check(&body).and_then(|()| {
            Packed::of(&mut std::iter::once(argument), 1, by_value, |items| room(items, bytes))
        });
        let progress = self.options.progress.take();
        let progress = progress.map(|progress| -> Progress { Box::new(move |done| progress(done, Some(1))) });
        let is_followed = progress.is_some();
        let job = Arc::new(Single::<R>::new(progress));
        let result = AsyncResult::of(queue, job.clone());
        if is_followed {
            result.eager();
        }
        match packed {
            Ok((packed, None)) => {
                let receiver: Arc<dyn Receiver> = job.clone();
                queue.submit([self.queued_task(body, packed, 0, job)]);
                self.listen(queue, &receiver);
            }
            Ok((_, Some(error))) | Err(error) => {
                let job: Arc<dyn Receiver> = job;
                queue.tell(&job, |job| job.fail(0, 1, error.of_item(0)));
            }
        }
        result
    }

    // ------------------------------------------------------------------------------------------- all

    /// Calls `function` on every item and returns the results in order. The first error ends the map: tasks
    /// that have not begun are dropped.
    ///
    /// # Errors
    /// The [`TaskError`] of the first item that has one, among the items whose outcome is known by then.
    pub fn map<A, R, F, I>(self, function: F, items: I) -> Result<Vec<R>, TaskError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        let shape = Shape { finish: all_or_first, fail_fast: true, sift: Ok };
        self.start(code::pointer_to(function), items, shape, true).get()
    }

    /// Like [`Self::map`], but returns a result or an error for every item. An item that fails does not
    /// affect the others.
    ///
    /// # Errors
    /// [`TaskError::PoolClosed`] and similar errors, if nothing could be run.
    ///
    /// ```
    /// use phalanx::{Pool, TaskError};
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let outcomes = pool.tasks().try_map(|n: u32| 12 / n, [3, 0, 4])?;
    /// assert!(matches!(outcomes[..], [Ok(4), Err(TaskError::Panicked { item: 1, .. }), Ok(3)]));
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn try_map<A, R, F, I>(self, function: F, items: I) -> Result<Vec<Result<R, TaskError>>, TaskError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        let shape = Shape { finish: each, fail_fast: false, sift: Ok };
        self.start(code::pointer_to(function), items, shape, true).get()
    }

    /// Like [`Self::map`], for a function that returns a `Result`: an error that it returns ends the map as a
    /// panic would, as [`TaskError::Failed`].
    ///
    /// # Errors
    /// The [`TaskError`] of the first item that has one, among the items whose outcome is known by then; see
    /// [`TaskError::failure`] for the error that the function returned.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let parse = |text: String| text.parse::<i64>().map_err(|error| error.to_string());
    /// assert_eq!(pool.tasks().map_results(parse, ["1", "2"].map(String::from))?, [1, 2]);
    /// let error = pool.tasks().map_results(parse, ["1", "two"].map(String::from)).unwrap_err();
    /// assert_eq!(error.failure::<String>().unwrap(), "invalid digit found in string");
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_results<A, R, E, F, I>(self, function: F, items: I) -> Result<Vec<R>, TaskError>
    where
        A: Argument,
        R: Output,
        E: Output + Sync + fmt::Debug,
        F: Fn(A) -> Result<R, E> + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        let shape = Shape { finish: all_or_first_of, fail_fast: true, sift: sift_errors };
        self.start(code::pointer_to(function), items, shape, true).get()
    }

    /// Like [`Self::try_map`], for a function that returns a `Result`: the item's error is what the function
    /// returned, or whatever else went wrong.
    ///
    /// # Errors
    /// As [`Self::try_map`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let parse = |text: String| text.parse::<i64>().map_err(|error| error.to_string());
    /// let results = pool.tasks().try_map_results(parse, ["1", "two", "3"].map(String::from))?;
    /// assert_eq!((results[0].as_ref().ok(), results[2].as_ref().ok()), (Some(&1), Some(&3)));
    /// let error = results[1].as_ref().unwrap_err();
    /// assert_eq!(error.failure::<String>().unwrap(), "invalid digit found in string");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_map_results<A, R, E, F, I>(
        self,
        function: F,
        items: I,
    ) -> Result<Vec<Result<R, TaskError>>, TaskError>
    where
        A: Argument,
        R: Output,
        E: Output + Sync + fmt::Debug,
        F: Fn(A) -> Result<R, E> + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        let shape = Shape { finish: each_of, fail_fast: false, sift: sift_errors };
        self.start(code::pointer_to(function), items, shape, true).get()
    }

    /// Like [`Self::map`], without waiting for the results. Consumes all items before it returns.
    pub fn map_async<A, R, F, I>(self, function: F, items: I) -> AsyncResult<Vec<R>>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        let shape = Shape { finish: all_or_first, fail_fast: true, sift: Ok };
        self.start(code::pointer_to(function), items, shape, false)
    }

    /// Like [`Self::map`], for a function of two to eight arguments; the items are tuples.
    ///
    /// # Errors
    /// As [`Self::map`].
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.tasks().starmap(i64::pow, [(2, 3), (3, 2)])?, [8, 9]);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn starmap<A, F, I>(self, function: F, items: I) -> Result<Vec<F::Output>, TaskError>
    where
        A: Argument,
        F: Star<A>,
        F::Output: Output,
        I: IntoIterator<Item = A>,
    {
        self.map(move |arguments| function.call(arguments), items)
    }

    /// Like [`Self::starmap`], without waiting for the results.
    pub fn starmap_async<A, F, I>(self, function: F, items: I) -> AsyncResult<Vec<F::Output>>
    where
        A: Argument,
        F: Star<A>,
        F::Output: Output,
        I: IntoIterator<Item = A>,
    {
        self.map_async(move |arguments| function.call(arguments), items)
    }

    /// Calls `function` on every item lazily: takes items from the input as needed, at most a window ahead
    /// ([`Tasks::window`]), and yields results in order. For input that is large, slow or endless.
    ///
    /// ```
    /// use phalanx::{Pool, TaskError};
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let squares = pool.tasks().chunksize(10).window(100).imap(|n: u64| n * n, 0..);
    /// let first: Result<Vec<u64>, TaskError> = squares.take(4).collect();
    /// assert_eq!(first?, [0, 1, 4, 9]);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn imap<A, R, F, I>(self, function: F, items: I) -> Imap<'p, I::IntoIter, A, R>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        Imap::new(self, code::pointer_to(function), items.into_iter(), ResultOrder::OfInput)
    }

    /// Like [`Self::imap`], but yields results in order of completion.
    pub fn imap_unordered<A, R, F, I>(self, function: F, items: I) -> Imap<'p, I::IntoIter, A, R>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        Imap::new(self, code::pointer_to(function), items.into_iter(), ResultOrder::OfCompletion)
    }

    // ------------------------------------------------------------------------------------------- parts

    /// Starts a map. If it is waited for at once (`may_stay`), it may run here.
    fn start<A, R, T, I>(
        mut self,
        function: fn(A) -> R,
        items: I,
        shape: Shape<R, T>,
        may_stay: bool,
    ) -> AsyncResult<T>
    where
        A: Argument,
        R: Output,
        T: Send + 'static,
        I: IntoIterator<Item = A>,
    {
        if fork::is_foreign() {
            return AsyncResult::done(Err(TaskError::Forked));
        }
        if self.is_closed() {
            return AsyncResult::done(Err(TaskError::PoolClosed));
        }
        let body = TaskBody::of(function);
        // Items after the first `None` do not count.
        let mut items = items.into_iter().fuse();
        let (least, most) = items.size_hint();
        let len = most.filter(|most| *most == least);
        let cost = self.queue.and_then(|queue| queue.costs.of(body.key()));
        let queue = match self.queue {
            Some(queue) if !(may_stay && self.is_better_here(queue, len, cost)) => queue,
            _ => return AsyncResult::done(self.run_here(function, items, &shape)),
        };
        let progress = self.options.progress.take();
        let progress = progress.map(|progress| -> Progress {
            // The input's own length, unless there turn out to be more items.
            Box::new(move |done| progress(done, len.filter(|len| *len >= done)))
        });
        let is_followed = progress.is_some();
        let job = Arc::new(Many::new(least.min(1 << 24), shape, progress));
        let result = AsyncResult::of(queue, job.clone());
        if is_followed {
            result.eager();
        }
        let receiver: Arc<dyn Receiver> = job.clone();
        self.listen(queue, &receiver);
        let count = match check(&body) {
            Ok(()) => {
                let chunk = self.chunk(len.unwrap_or(least), cost, queue);
                self.submit_all::<A, R>(queue, &body, &mut items, chunk, cost, &receiver)
            }
            Err(error) => {
                queue.tell(&receiver, |job| job.fail(0, 1, error));
                1
            }
        };
        job.set_len(count);
        queue.pass_on(&receiver);
        result
    }

    /// Cuts the items into chunks and submits them. Returns the number of items.
    fn submit_all<A: Argument, R: Output>(
        &self,
        queue: &Arc<TaskQueue>,
        body: &TaskBody,
        items: &mut dyn Iterator<Item = A>,
        chunk: usize,
        cost: Option<Cost>,
        job: &Arc<dyn Receiver>,
    ) -> usize {
        let (bytes, by_value) = (bytes_of_result::<R>(cost), queue.remote.get().is_some());
        let (mut count, mut ready) = (0usize, Vec::new());
        while job.is_open() {
            let first = count;
            if self.is_cancelled() {
                let left = items.count();
                if left > 0 {
                    queue.tell(job, |job| job.fail(first, left, TaskError::Cancelled { item: first }));
                }
                count = first.saturating_add(left);
                break;
            }
            match Packed::of(items, chunk, by_value, |items| room(items, bytes)) {
                Ok((packed, None)) if packed.items == 0 => break,
                Ok((packed, bad)) => {
                    count = first.saturating_add(packed.items);
                    if packed.items > 0 {
                        ready.push(self.queued_task(*body, packed, first, job.clone()));
                    }
                    if let Some(error) = bad {
                        let at = count;
                        queue.tell(job, |job| job.fail(at, 1, error.of_item(at)));
                        count = count.saturating_add(1);
                    }
                }
                // They were taken from the input and cannot be put back.
                Err(error) => {
                    let lost = error.item().unwrap_or(0);
                    if lost == 0 {
                        break;
                    }
                    queue.tell(job, |job| job.fail(first, lost, error.of_item(first)));
                    count = first.saturating_add(lost);
                }
            }
            if ready.len() == AT_ONCE || ready.len() == 1 && first == 0 {
                queue.submit(ready.drain(..));
            }
        }
        queue.submit(ready);
        if self.is_cancelled() {
            // What was submitted meanwhile.
            queue.wind_down(job);
        }
        count
    }

    /// Runs a map in this thread, and records what is recorded of tasks.
    fn run_here<A: Argument, R: Output, T>(
        &self,
        function: fn(A) -> R,
        items: impl Iterator<Item = A>,
        shape: &Shape<R, T>,
    ) -> Result<T, TaskError> {
        let body = TaskBody::of(function);
        let began = ticks();
        let (result, tally) = here::run(self, function, items, shape);
        if let Some(queue) = self.queue.filter(|_| tally.items > 0) {
            let worked = ticks().wrapping_sub(began);
            let bytes = queue.costs.of(body.key()).map_or(0.0, |cost| cost.bytes) * tally.items as f64;
            queue.costs.note(
                body.key(),
                tally.items,
                worked as f64 * queue.rate.ns_per_tick(),
                bytes as usize,
            );
            if tally.has_errors {
                queue.costs.note_bad_end(body.key());
            }
            let entry = Entry { rank: 0, first: 0, items: tally.items, queued: 0, worked };
            queue.ledger.lock().note(entry);
        }
        result
    }

    pub(crate) fn queued_task(
        &self,
        body: TaskBody,
        packed: Packed,
        first: usize,
        receiver: Arc<dyn Receiver>,
    ) -> QueuedTask {
        let Options { limit, retry, cancel, .. } = &self.options;
        let (retry, cancel) = (retry.clone(), cancel.clone());
        QueuedTask { limit: *limit, retry, cancel, ..QueuedTask::new(body, packed, first, receiver) }
    }

    /// Whether a map can run here, keeps all that workers promise as far as is known, and is done sooner that
    /// way.
    fn is_better_here(&self, queue: &TaskQueue, len: Option<usize>, cost: Option<Cost>) -> bool {
        let options = &self.options;
        let is_plain = options.limit.is_none() && options.progress.is_none() && options.retry.is_none();
        let may = !options.stays_out && is_plain;
        let limit = queue.crew.tuning.inline.as_nanos() as f64;
        // In a cluster an item that ends its process is to cost no driver.
        may && !queue.are_prepared
            && queue.remote.get().is_none()
            && cost.zip(len).is_some_and(|(cost, len)| cost.ended_well && cost.ns * (len as f64) < limit)
            && !self.is_closed()
            && !queue.is_broken.load(Ordering::Acquire)
    }

    /// Items of a chunk: as many as take the time that a chunk is to take, if their cost is known and every
    /// worker gets enough chunks.
    fn chunk(&self, len: usize, cost: Option<Cost>, queue: &TaskQueue) -> usize {
        let share = len.div_ceil(queue.workers().saturating_mul(CHUNKS_EACH).max(1)).max(1);
        let target = queue.crew.tuning.task_chunk.as_nanos() as f64;
        let by_time = cost.map_or(share, |cost| ((target / cost.ns.max(0.1)) as usize).max(1));
        self.options.chunksize.unwrap_or_else(|| share.min(by_time))
    }
}
