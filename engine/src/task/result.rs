//! `AsyncResult`: a result that is on its way.

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

/// The result of a task, or of a whole map, that is on its way.
///
/// From [`Pool::apply_async`](crate::Pool::apply_async), [`Pool::map_async`](crate::Pool::map_async) and the
/// like. It is also a [`Future`], woken by the pool's collector thread: there is no polling, and no thread
/// per result. Dropping it does not stop the task; [`Self::cancel`] does.
///
/// Whoever waits takes all results off the pool's board meanwhile, for everybody.
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
#[must_use = "without it nobody learns of the task's errors"]
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

    /// A result that is there already.
    pub(crate) fn done(value: Result<T, TaskError>) -> AsyncResult<T> {
        let completion = Completion::new(None);
        completion.complete(value);
        AsyncResult { completion: Arc::new(completion), link: None }
    }

    fn completion(&self) -> &Completion<T> {
        self.completion.completion()
    }

    /// Whether it is on its way in another process, from which this one was forked, where nobody will ever
    /// see it come.
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
            // The first error ends a map: what has not begun is not wanted any more.
            queue.take_back(receiver);
        }
        value
    }

    /// Waits for the result, at most for `patience`. The task goes on if the time passes: wait again, or
    /// [`Self::cancel`].
    ///
    /// # Errors
    /// [`TaskError::NotReady`] when the time has passed, [`TaskError::Taken`] when it was given before; else
    /// as [`Self::get`].
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

    /// Waits until the result is there. Returns at once in a fork of the process that asked for it, where it
    /// never will be.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the result is there, at most for `patience`; says whether it is.
    pub fn wait_timeout(&self, patience: Duration) -> bool {
        // A limit beyond what the clock can tell is none.
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

    /// Waits, and calls meanwhile what the program has attached to this result.
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

    /// Whether the result is there.
    pub fn ready(&self) -> bool {
        if self.is_out_of_reach() {
            return false;
        }
        if let (Some((queue, _)), false) = (&self.link, self.completion().is_done()) {
            queue.collect_for_others();
        }
        self.completion().is_done()
    }

    /// Whether the task has succeeded; `None` while it has not ended, and when its result was taken.
    pub fn successful(&self) -> Option<bool> {
        if !self.ready() {
            return None;
        }
        self.completion().look(Result::is_ok)
    }

    /// Gives the task up: what has not started is dropped, what runs is ended by killing its worker, which is
    /// replaced. Other tasks are not touched. A result that is there already stays. Where workers are
    /// threads, what runs goes on to its end unless it looks at [`is_cancelled`](crate::is_cancelled).
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

    /// Calls `callback` with the value as soon as it is there, or now; before anybody can take the value.
    ///
    /// It is called by the thread that waits for this result, or else by a thread of the pool's own, one
    /// callback after the other. It may use the pool, and end it. A panic in it is logged, and harms nothing
    /// else.
    pub fn on_success(self, callback: impl FnOnce(&T) + Send + 'static) -> Self {
        self.attach(Box::new(|value| {
            if let Ok(value) = value {
                callback(value);
            }
        }))
    }

    /// Calls `callback` with the error as soon as there is one, or now; as [`Self::on_success`].
    pub fn on_error(self, callback: impl FnOnce(&TaskError) + Send + 'static) -> Self {
        self.attach(Box::new(|value| {
            if let Err(error) = value {
                callback(error);
            }
        }))
    }

    /// Has it told as it comes, though nobody waits.
    pub(crate) fn eager(&self) {
        if let Some((queue, _)) = &self.link {
            self.completion().hurry_for(queue);
        }
    }

    /// Tells `watcher` when the result has come, or now.
    pub(crate) fn watch(&self, watcher: &Arc<Finished>, number: usize) {
        if self.is_out_of_reach() {
            return watcher.tell(number);
        }
        self.completion().watch(watcher, number, self.link.as_ref().map(|(queue, _)| queue));
    }

    /// Whether the result is there, without looking for it.
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
