//! The options of calls through the pool: `pool.tasks().chunksize(100).timeout(limit).map(..)`.
#![deny(clippy::arithmetic_side_effects)]

use crate::launch::cancel::CancelToken;
use crate::task::cancel::CancelledCall;
use crate::task::error::TaskError;
use crate::task::queue::TaskQueue;
use crate::task::queued::Receiver;
use crate::task::retry::RetryPolicy;
use crate::team::crew::Crew;
use crate::team::gate::Phase;
use std::sync::Arc;
use std::time::Duration;

/// Calls through the pool, with options; returned by [`Pool::tasks`](crate::Pool::tasks).
///
/// The functions are functions by name, or closures that capture nothing; pass what they need as arguments.
/// Arguments and results can be any serde type, whatever its attributes, and handles of shared objects. They
/// travel through shared memory: numbers as they are, everything else in a self-describing format.
#[must_use = "options do nothing until a call is made"]
pub struct Tasks<'p> {
    pub(super) crew: &'p Crew,
    pub(crate) queue: Option<&'p Arc<TaskQueue>>,
    pub(crate) options: Options,
}

/// Called with the number of items done, and the total if it is known.
type Watcher = Box<dyn Fn(usize, Option<usize>) + Send + Sync>;

/// See the methods of [`Tasks`].
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) chunksize: Option<usize>,
    pub(crate) limit: Option<Duration>,
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    pub(crate) window: Option<usize>,
    pub(crate) stays_out: bool,
    pub(crate) progress: Option<Watcher>,
    pub(crate) cancel: Option<CancelToken>,
}

impl<'p> Tasks<'p> {
    /// `queue` is None where tasks run in the caller.
    pub(crate) fn new(crew: &'p Crew, queue: Option<&'p Arc<TaskQueue>>) -> Tasks<'p> {
        Tasks { crew, queue, options: Options::default() }
    }

    /// Whether the pool accepts no more tasks; then none runs in the caller either.
    pub(crate) fn is_closed(&self) -> bool {
        self.crew.has_reached(Phase::Closed)
    }

    /// Sets the number of items per task. By default a task has as many items as take 0.2 ms, judging by
    /// earlier calls of the same function, and at most a quarter of one worker's share.
    pub fn chunksize(mut self, items: usize) -> Self {
        self.options.chunksize = Some(items.max(1));
        self
    }

    /// Sets how long each item may run, counted from when a worker starts it. If an item runs longer, its
    /// worker is killed and replaced, the item's error is [`TaskError::TimedOut`], and the other items of its
    /// chunk run on other workers.
    ///
    /// ```
    /// use phalanx::{Pool, TaskError};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let nap = |ms: u64| std::thread::sleep(Duration::from_millis(ms));
    /// let outcomes = pool.tasks().timeout(Duration::from_millis(200)).try_map(nap, [0, 3_600_000])?;
    /// assert!(outcomes[0].is_ok());
    /// assert!(matches!(outcomes[1], Err(TaskError::TimedOut { item: 1, .. })));
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.limit = Some(limit);
        self
    }

    /// Sets how often an item is run again if its worker dies, or if it fails in a way that
    /// [`Self::retry_on`] accepts. Default: never, since the item may already have had effects.
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let lengths = pool.tasks().retry(2).map(|text: String| text.len(), ["a", "bc"].map(String::from))?;
    /// assert_eq!(lengths, [1, 2]);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn retry(mut self, times: u32) -> Self {
        self.retry_policy().times = times;
        self
    }

    /// Sets after which errors an item is run again, up to [`Self::retry`] times: panics, deaths of workers,
    /// time limits, errors that the function returned ([`Self::map_results`]), values that cannot travel, and
    /// memory that ran out. Default: only the death of its worker.
    ///
    /// `is_meant` runs in this process, on whichever thread collects the results, so it should be quick. A
    /// panic in it is logged and means no. An item whose thread cannot be stopped
    /// (`still_running` in [`TaskError::TimedOut`]) would run twice at the same time.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// use phalanx::TaskError;
    /// use phalanx::sync::Counter;
    ///
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let flaky = |(tries, n): (Counter, i64)| {
    ///     assert!(tries.add(1) > 1, "not yet");
    ///     n * n
    /// };
    /// let tasks = pool.tasks().retry(3).retry_on(|error| matches!(error, TaskError::Panicked { .. }));
    /// assert_eq!(tasks.apply(flaky, (Counter::new(0)?, 5))?, 25);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_on(mut self, is_meant: impl Fn(&TaskError) -> bool + Send + Sync + 'static) -> Self {
        self.retry_policy().is_meant = Some(Arc::new(is_meant));
        self
    }

    /// Sets how long an item waits before it is run again: `first` the first time, twice as long each time
    /// after that, and `most` at most. No worker waits meanwhile; with
    /// [`Backend::Inline`](crate::Backend::Inline), the calling thread does. Default: no wait.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.retry_policy().pause = Some((first, most));
        self
    }

    /// Makes the call wind down when `token` is cancelled: items that are running finish, no other begins,
    /// and none is run again. Each item that did not run has the error [`TaskError::Cancelled`]:
    /// [`Self::try_map`] returns all that was done, [`Self::map`] returns that error, and [`Self::imap`] ends
    /// after it. No worker is killed. A function that a worker runs can see it by
    /// [`is_cancelled`](crate::is_cancelled). To end running items as well, use
    /// [`AsyncResult::cancel`](crate::AsyncResult::cancel).
    ///
    /// ```
    /// use phalanx::{CancelToken, Pool, TaskError};
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(1).build()?;
    /// let token = CancelToken::new();
    /// let mut results = pool.tasks().cancel(&token).chunksize(1).imap(|n: u64| n * n, 0..);
    /// assert_eq!(results.next().unwrap()?, 0);
    /// token.cancel();
    /// let rest: Vec<_> = results.collect();
    /// assert!(matches!(rest.last(), Some(Err(TaskError::Cancelled { .. }))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.options.cancel = Some(token.clone());
        self
    }

    /// Whether the call's token was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.options.cancel.as_ref().is_some_and(CancelToken::is_cancelled)
    }

    /// Has the tasks of a receiver wind down when the call's token is cancelled.
    pub(crate) fn listen(&self, queue: &Arc<TaskQueue>, receiver: &Arc<dyn Receiver>) {
        if let Some(token) = &self.options.cancel {
            token.listen(Arc::new(CancelledCall::new(queue, receiver)));
        }
    }

    fn retry_policy(&mut self) -> &mut RetryPolicy {
        Arc::make_mut(self.options.retry.get_or_insert_default())
    }

    /// Sets how many items of an `imap` may be in progress, including results that have not been taken yet.
    /// The limit is 4096 chunks and about a million items. Default: 16 chunks per worker.
    pub fn window(mut self, items: usize) -> Self {
        self.options.window = Some(items.max(1));
        self
    }

    /// Always runs on the workers. By default a `map`, `try_map` or `starmap` may run in the calling thread,
    /// which is then rank 0. It does so if its function has always ended well and has been so fast that the
    /// whole call takes less time than waking the workers. Then an item that ends its process ends the
    /// caller's, and the function uses the caller's own statics.
    ///
    /// Calls with a time limit, with retries or with [`Self::progress`] never run in the caller, nor do calls
    /// that do not block, nor any call on a pool whose workers are prepared in some way (an initializer, a
    /// preload, a life span, threads of their own).
    pub fn always_out(mut self) -> Self {
        self.options.stays_out = true;
        self
    }

    /// Calls `progress` as results arrive, with the number of items done and the total if it is known. The
    /// callback runs on the thread that waits for the results, or else on a thread of the pool. A panic in it
    /// is logged and has no other effect.
    pub fn progress(mut self, progress: impl Fn(usize, Option<usize>) + Send + Sync + 'static) -> Self {
        self.options.progress = Some(Box::new(progress));
        self
    }
}
