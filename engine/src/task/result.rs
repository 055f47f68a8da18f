//! `AsyncResult`: a pending result.

use crate::sys::fork;
use crate::task::arrivals::Finished;
use crate::task::completion::{Callback, Completion};
use crate::task::error::TaskError;
use crate::task::queue::TaskQueue;
use crate::task::queued::Receiver;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The pending result of a task or of a whole map.
///
/// Returned by [`Pool::apply_async`](crate::Pool::apply_async), [`Pool::map_async`](crate::Pool::map_async)
/// and similar calls. It is also a [`Future`], woken by the pool's collector thread: no polling, and no
/// thread per result. (On the thread that leads a [cluster](crate::cluster) it blocks until it is ready, since
/// that thread brings the results of other machines.) Dropping it does not stop the task; [`Self::cancel`] does.
///
/// A thread that waits for one result meanwhile collects the results of all the pool's tasks.
///
/// ```
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let results: Vec<_> = (0..10).map(|n| pool.apply_async(|n: u64| n * n, n)).collect();
/// let squares: Result<Vec<u64>, _> = results.into_iter().map(|result| result.get()).collect();
/// assert_eq!(squares?, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
/// # Ok(())
/// # }
/// ```
#[must_use = "errors of the task are reported only by its result"]
pub struct AsyncResult<T> {
    completion: Arc<dyn Completed<T>>,
    /// None where the task ran inline and is done.
    link: Option<(Arc<TaskQueue>, Arc<dyn Receiver>)>,
}

/// What holds a completion.
pub(crate) trait Completed<T>: Send + Sync {
    fn completion(&self) -> &Completion<T>;
}

impl<T: Send> Completed<T> for Completion<T> {
    fn completion(&self) -> &Completion<T> {
        self
    }
}

impl<T: Send + 'static> AsyncResult<T> {
    /// The result that `job` will have.
    pub(crate) fn of<J: Completed<T> + Receiver + 'static>(
        queue: &Arc<TaskQueue>,
        job: Arc<J>,
    ) -> AsyncResult<T> {
        AsyncResult { completion: job.clone(), link: Some((queue.clone(), job)) }
    }

    /// A result that is ready.
    pub(crate) fn done(value: Result<T, TaskError>) -> AsyncResult<T> {
        let completion = Completion::new(None);
        completion.complete(value);
        AsyncResult { completion: Arc::new(completion), link: None }
    }

    fn completion(&self) -> &Completion<T> {
        self.completion.completion()
    }

    /// Whether this process is a fork of the one that awaits the result, so that it never arrives here.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.link.is_some() && fork::is_foreign()
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn get(self) -> Result<T, TaskError> {
        if self.is_out_of_reach() {
            return Err(TaskError::Forked);
        }
        self.wait();
        let value = self.completion().take();
        if let (Err(_), Some((queue, receiver))) = (&value, &self.link) {
            // The first error ends a map: items that have not begun are no longer wanted.
            queue.take_back(receiver);
        }
        value
    }

    /// Waits at most `patience` for the result. If the time runs out the task continues: wait again, or call
    /// [`Self::cancel`].
    ///
    /// # Errors
    /// [`TaskError::NotReady`] if the time ran out, [`TaskError::Taken`] if the result was already taken.
    /// Otherwise as [`Self::get`].
    ///
    /// ```
    /// use phalanx::TaskError;
    /// use std::time::Duration;
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(1).build()?;
    /// let slow = pool.apply_async(|()| std::thread::sleep(Duration::from_secs(3600)), ());
    /// assert!(matches!(slow.get_timeout(Duration::from_millis(5)), Err(TaskError::NotReady { .. })));
    /// slow.cancel();
    /// assert_eq!(pool.apply(|n: i32| n + 1, 1)?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_timeout(&self, patience: Duration) -> Result<T, TaskError> {
        if self.is_out_of_reach() {
            return Err(TaskError::Forked);
        }
        if self.wait_timeout(patience) {
            self.completion().take()
        } else {
            Err(TaskError::NotReady { waited: patience })
        }
    }

    /// Waits until the result is ready. Returns at once in a fork of the process that asked for it, since the
    /// result never arrives there.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits at most `patience` for the result. Returns whether it is ready.
    pub fn wait_timeout(&self, patience: Duration) -> bool {
        // A time beyond the clock's range is no limit.
        self.wait_until(Instant::now().checked_add(patience))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        if self.is_out_of_reach() {
            return false;
        }
        let completion = self.completion();
        match &self.link {
            None => true,
            Some(_) if completion.is_done() => true,
            Some((queue, receiver)) if completion.has_listeners() => {
                self.wait_and_call(queue, receiver, deadline)
            }
            Some((queue, _)) => queue.wait_until(deadline, || completion.is_done()),
        }
    }

    /// Waits, and meanwhile makes the calls that the program attached to this result.
    fn wait_and_call(
        &self,
        queue: &Arc<TaskQueue>,
        receiver: &Arc<dyn Receiver>,
        deadline: Option<Instant>,
    ) -> bool {
        let completion = self.completion();
        completion.begin_wait();
        while queue.wait_until(deadline, || completion.is_done() || completion.is_due())
            && !completion.is_done()
        {
            completion.make_calls();
            queue.tell_waiters();
        }
        completion.end_wait();
        queue.pass_on(receiver);
        completion.is_done()
    }

    /// Returns whether the result is ready.
    pub fn ready(&self) -> bool {
        if self.is_out_of_reach() {
            return false;
        }
        if let (Some((queue, _)), false) = (&self.link, self.completion().is_done()) {
            match queue.courier() {
                Some(courier) => drop(queue.lead_once(&*courier)),
                None => drop(queue.collect_for_others()),
            }
        }
        self.completion().is_done()
    }

    /// Returns whether the task succeeded; `None` while it has not ended, and if its result was already
    /// taken.
    pub fn successful(&self) -> Option<bool> {
        if !self.ready() {
            return None;
        }
        self.completion().look(Result::is_ok)
    }

    /// Cancels the task. What has not started is dropped. What is running is stopped by killing its worker,
    /// which is replaced. Other tasks are not affected, and a result that is already there stays. Where
    /// workers are threads, a running task continues to its end unless it checks
    /// [`is_cancelled`](crate::is_cancelled).
    pub fn cancel(&self) {
        if self.is_out_of_reach() {
            return;
        }
        self.completion().complete(Err(TaskError::Cancelled { item: 0 }));
        if let Some((queue, receiver)) = &self.link {
            queue.cancel(receiver);
            queue.pass_on(receiver);
        }
    }

    /// Calls `callback` with the value as soon as it is ready, or at once if it already is. The callback runs
    /// before the value can be taken.
    ///
    /// The callback runs on the thread that waits for this result, or else on a thread of the pool, where
    /// callbacks run one after another. It may use the pool, and even shut it down. A panic in it is logged
    /// and has no other effect.
    pub fn on_success(self, callback: impl FnOnce(&T) + Send + 'static) -> Self {
        self.attach(Box::new(|value| {
            if let Ok(value) = value {
                callback(value);
            }
        }))
    }

    /// Calls `callback` with the error as soon as there is one, or at once if there already is. Otherwise as
    /// [`Self::on_success`].
    pub fn on_error(self, callback: impl FnOnce(&TaskError) + Send + 'static) -> Self {
        self.attach(Box::new(|value| {
            if let Err(error) = value {
                callback(error);
            }
        }))
    }

    /// Has the result announced as soon as it comes, even if no thread waits.
    pub(crate) fn eager(&self) {
        if let Some((queue, _)) = &self.link {
            self.completion().hurry_for(queue);
        }
    }

    /// Notifies `watcher` when the result has come, or at once if it has.
    pub(crate) fn watch(&self, watcher: &Arc<Finished>, number: usize) {
        if self.is_out_of_reach() {
            return watcher.tell(number);
        }
        self.completion().watch(watcher, number, self.link.as_ref().map(|(queue, _)| queue));
    }

    /// Whether the result is ready, without collecting.
    pub(crate) fn is_there(&self) -> bool {
        self.completion().is_done()
    }

    fn attach(self, callback: Callback<T>) -> Self {
        if self.is_out_of_reach() {
            callback(&Err(TaskError::Forked));
            return self;
        }
        self.completion().attach(callback, self.link.as_ref().map(|(queue, _)| queue));
        self
    }
}

impl<T: Send + 'static> Future for AsyncResult<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_out_of_reach() {
            return Poll::Ready(Err(TaskError::Forked));
        }
        let completion = self.completion();
        let queue = self.link.as_ref().map(|(queue, _)| queue);
        if queue.is_some_and(|queue| queue.courier().is_some()) {
            // This very thread brings results of other machines.
            self.wait();
        }
        if completion.is_done() || !completion.wake_later(context.waker(), queue) {
            return Poll::Ready(completion.take());
        }
        Poll::Pending
    }
}

impl<T> std::fmt::Debug for AsyncResult<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.completion.completion().is_done() { "done" } else { "on its way" };
        write!(f, "AsyncResult({state})")
    }
}
