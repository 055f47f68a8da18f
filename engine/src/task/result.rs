//! `AsyncResult`: a result that is on its way.

use crate::sys::fork;
use crate::task::desk::Desk;
use crate::task::error::TaskError;
use crate::task::parcel::Receiver;
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

type Callback<T> = Box<dyn FnOnce(&Result<T, TaskError>) + Send>;

/// A value that will be there, and who is to be told then.
pub(crate) struct Completion<T> {
    is_done: AtomicBool,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    value: Option<Result<T, TaskError>>,
    wakers: Vec<Waker>,
    callbacks: Vec<Callback<T>>,
    /// The desk that hurries for this one's sake.
    hurried: Option<Arc<Desk>>,
}

impl<T> Completion<T> {
    pub(crate) fn new() -> Completion<T> {
        let inner = Inner { value: None, wakers: Vec::new(), callbacks: Vec::new(), hurried: None };
        Completion { is_done: AtomicBool::new(false), inner: Mutex::new(inner) }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// The value is there; only the first counts.
    pub(crate) fn complete(&self, value: Result<T, TaskError>) {
        let callbacks = {
            let mut inner = self.inner.lock();
            if inner.value.is_some() || self.is_done() {
                return;
            }
            std::mem::take(&mut inner.callbacks)
        };
        for callback in callbacks {
            // The program's own code, on a thread that others depend on.
            let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| callback(&value)));
            if let Err(payload) = called {
                let fault = crate::team::panic_note::take(payload);
                tracing::error!("a callback of a task panicked: {} {}", fault.message, fault.location);
            }
        }
        let (wakers, hurried) = {
            let mut inner = self.inner.lock();
            inner.value = Some(value);
            self.is_done.store(true, Ordering::Release);
            // Attached while the others were called.
            let Inner { value, callbacks, .. } = &mut *inner;
            if let Some(value) = value {
                callbacks.drain(..).for_each(|callback| callback(value));
            }
            (std::mem::take(&mut inner.wakers), inner.hurried.take())
        };
        if let Some(desk) = hurried {
            desk.board.be_easy();
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn take(&self) -> Result<T, TaskError> {
        self.inner.lock().value.take().unwrap_or(Err(TaskError::Taken))
    }

    /// Has the desk wake its collector for every task until this one is done.
    fn hurry(&self, inner: &mut Inner<T>, desk: Option<&Arc<Desk>>) {
        if let Some(desk) = desk
            && inner.hurried.is_none()
            && !self.is_done()
        {
            desk.board.be_eager();
            inner.hurried = Some(desk.clone());
            // What was done before nobody was told of.
            desk.board.collector().ring();
        }
    }
}

/// The result of a task, or of a whole map, that is on its way.
///
/// From [`Pool::apply_async`](crate::Pool::apply_async), [`Pool::map_async`](crate::Pool::map_async) and the like. It is also a
/// [`Future`], woken by the pool's collector thread: there is no polling, and no thread per result. Dropping it does not
/// stop the task; [`Self::cancel`] does.
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
    link: Option<(Arc<Desk>, Arc<dyn Receiver>)>,
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
    pub(crate) fn of<J: Completed<T> + Receiver + 'static>(desk: &Arc<Desk>, job: Arc<J>) -> AsyncResult<T> {
        AsyncResult { completion: job.clone(), link: Some((desk.clone(), job)) }
    }

    /// A result that is there already.
    pub(crate) fn done(value: Result<T, TaskError>) -> AsyncResult<T> {
        let completion = Completion::new();
        completion.complete(value);
        AsyncResult { completion: Arc::new(completion), link: None }
    }

    fn completion(&self) -> &Completion<T> {
        self.completion.completion()
    }

    /// Whether it is on its way in another process, from which this one was forked, where nobody will ever see it come.
    fn is_out_of_reach(&self) -> bool {
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
        if let (Err(_), Some((desk, receiver))) = (&value, &self.link) {
            // The first error ends a map: what has not begun is not wanted any more.
            desk.take_back(receiver);
        }
        value
    }

    /// Waits for the result, at most for `patience`. The task goes on if the time passes: wait again, or [`Self::cancel`].
    ///
    /// # Errors
    /// [`TaskError::NotReady`] when the time has passed, [`TaskError::Taken`] when it was given before; else as [`Self::get`].
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

    /// Waits until the result is there. Returns at once in a fork of the process that asked for it, where it never will be.
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
            Some((desk, _)) => desk.wait_until(deadline, || completion.is_done()),
            None => true,
        }
    }

    /// Whether the result is there.
    pub fn ready(&self) -> bool {
        if self.is_out_of_reach() {
            return false;
        }
        if let (Some((desk, _)), false) = (&self.link, self.completion().is_done()) {
            desk.collect();
        }
        self.completion().is_done()
    }

    /// Whether the task has succeeded; `None` while it has not ended, and when its result was taken.
    pub fn successful(&self) -> Option<bool> {
        if !self.ready() {
            return None;
        }
        self.completion().inner.lock().value.as_ref().map(Result::is_ok)
    }

    /// Gives the task up: what has not started is dropped, what runs is ended by killing its worker, which is replaced. Other tasks
    /// are not touched. A result that is there already stays. Where workers are threads, what runs goes on to its end unless it
    /// looks at [`is_cancelled`](crate::is_cancelled).
    pub fn cancel(&self) {
        if self.is_out_of_reach() {
            return;
        }
        self.completion().complete(Err(TaskError::Cancelled { item: 0 }));
        if let Some((desk, receiver)) = &self.link {
            desk.cancel(receiver);
        }
    }

    /// Calls `callback` with the value as soon as it is there, or now; on the thread that takes it off the board, so be brief.
    pub fn on_success(self, callback: impl FnOnce(&T) + Send + 'static) -> Self {
        self.attach(Box::new(|value| {
            if let Ok(value) = value {
                callback(value);
            }
        }))
    }

    /// Calls `callback` with the error as soon as there is one, or now.
    pub fn on_error(self, callback: impl FnOnce(&TaskError) + Send + 'static) -> Self {
        self.attach(Box::new(|value| {
            if let Err(error) = value {
                callback(error);
            }
        }))
    }

    /// Calls `told` as soon as the result is there, or now.
    pub(crate) fn when_done(self, told: impl FnOnce() + Send + 'static) -> Self {
        self.attach(Box::new(|_| told()))
    }

    /// Whether the result is there, without looking for it.
    pub(crate) fn is_there(&self) -> bool {
        self.completion().is_done()
    }

    fn attach(self, callback: Callback<T>) -> Self {
        self.watch(callback);
        self
    }

    /// Calls `callback` as soon as the value is there, or now; never, if it was taken.
    pub(crate) fn watch(&self, callback: Callback<T>) {
        if self.is_out_of_reach() {
            return callback(&Err(TaskError::Forked));
        }
        let completion = self.completion();
        let mut inner = completion.inner.lock();
        match &inner.value {
            Some(value) => callback(value),
            None if completion.is_done() => {}
            None => {
                inner.callbacks.push(callback);
                completion.hurry(&mut inner, self.link.as_ref().map(|(desk, _)| desk));
            }
        }
    }
}

impl<T: Send + 'static> Future for AsyncResult<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_out_of_reach() {
            return Poll::Ready(Err(TaskError::Forked));
        }
        let completion = self.completion();
        let mut inner = completion.inner.lock();
        if completion.is_done() {
            return Poll::Ready(inner.value.take().unwrap_or(Err(TaskError::Taken)));
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            inner.wakers.push(context.waker().clone());
        }
        completion.hurry(&mut inner, self.link.as_ref().map(|(desk, _)| desk));
        Poll::Pending
    }
}

impl<T> std::fmt::Debug for AsyncResult<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.completion.completion().is_done() { "done" } else { "on its way" };
        write!(f, "AsyncResult({state})")
    }
}
