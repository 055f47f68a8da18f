//! A value that will arrive, and the listeners it is announced to: first the engine's own, then the program's
//! callbacks, then waiting threads.
//!
//! The program's code is called in one place, [`Completion::make_calls`], by one thread at a time and without
//! a lock held: by a thread that waits for this very value, or else by the queue's callback thread
//! (`calls.rs`). The value counts as ready only after these calls.
#![deny(clippy::arithmetic_side_effects)]

use crate::task::arrivals::Finished;
use crate::task::error::TaskError;
use crate::task::queue::TaskQueue;
use crate::team::program;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

pub(crate) type Callback<T> = Box<dyn FnOnce(&Result<T, TaskError>) + Send>;

/// Called with the items that are done so far.
pub(crate) type Progress = Box<dyn Fn(usize) + Send + Sync>;

/// See the module.
pub(crate) struct Completion<T> {
    is_done: AtomicBool,
    /// The value has come, though callbacks may still be called with it. Changes under the lock.
    has_arrived: AtomicBool,
    /// There are calls to make, and no thread is making them.
    is_due: AtomicBool,
    /// Whether there is code of the program to call.
    has_listeners: AtomicBool,
    progress: Option<Progress>,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    /// Absent while callbacks look at it.
    value: Option<Result<T, TaskError>>,
    /// Items done, and the number last reported to the progress callback.
    reached: usize,
    told: usize,
    is_calling: bool,
    /// Whether the callback thread has been informed.
    is_passed_on: bool,
    /// Number of threads that wait for the value and make its calls.
    waiters: usize,
    wakers: Vec<Waker>,
    callbacks: Vec<Callback<T>>,
    watchers: Vec<(Weak<Finished>, usize)>,
    /// The queue that collects eagerly because of this one.
    eager_for: Option<Arc<TaskQueue>>,
}

/// The next call to make.
enum Next<T> {
    Progress(usize),
    Callbacks(Result<T, TaskError>, Vec<Callback<T>>),
    /// Nothing to call; waiting threads are to be woken.
    Wakers(Vec<Waker>, Option<Arc<TaskQueue>>),
}

impl<T> Completion<T> {
    pub(crate) fn new(progress: Option<Progress>) -> Completion<T> {
        let inner = Inner {
            value: None,
            reached: 0,
            told: 0,
            is_calling: false,
            is_passed_on: false,
            waiters: 0,
            wakers: Vec::new(),
            callbacks: Vec::new(),
            watchers: Vec::new(),
            eager_for: None,
        };
        Completion {
            is_done: AtomicBool::new(false),
            has_arrived: AtomicBool::new(false),
            is_due: AtomicBool::new(false),
            has_listeners: AtomicBool::new(progress.is_some()),
            progress,
            inner: Mutex::new(inner),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Whether results are still wanted.
    pub(crate) fn is_open(&self) -> bool {
        !self.has_arrived()
    }

    fn has_arrived(&self) -> bool {
        self.has_arrived.load(Ordering::Acquire)
    }

    /// Notes that this many items are done.
    pub(crate) fn reach(&self, items: usize) {
        if self.progress.is_some() {
            let mut inner = self.inner.lock();
            // What comes after the end is of no interest.
            if !self.has_arrived() {
                inner.reached = inner.reached.max(items);
                self.note_due(&inner);
            }
        }
    }

    /// Sets the value; only the first one counts.
    pub(crate) fn complete(&self, value: Result<T, TaskError>) {
        let mut inner = self.inner.lock();
        if self.has_arrived() {
            drop(inner);
            return drop(value);
        }
        inner.value = Some(value);
        self.has_arrived.store(true, Ordering::Release);
        let watchers = std::mem::take(&mut inner.watchers);
        if inner.is_calling || self.has_calls(&inner) {
            self.note_due(&inner);
            drop(inner);
        } else {
            let (wakers, eager_for) = self.finish(&mut inner);
            drop(inner);
            wake(wakers, eager_for.as_ref());
        }
        watchers.iter().for_each(|(watcher, number)| {
            watcher.upgrade().iter().for_each(|finished| finished.tell(*number));
        });
    }

    /// All calls are made: the value can be taken.
    fn finish(&self, inner: &mut Inner<T>) -> (Vec<Waker>, Option<Arc<TaskQueue>>) {
        self.is_done.store(true, Ordering::Release);
        (std::mem::take(&mut inner.wakers), inner.eager_for.take())
    }

    pub(crate) fn take(&self) -> Result<T, TaskError> {
        self.inner.lock().value.take().unwrap_or(Err(TaskError::Taken))
    }

    /// Looks at the value, if it is ready and has not been taken.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Result<T, TaskError>) -> R) -> Option<R> {
        self.inner.lock().value.as_ref().map(look)
    }

    // ------------------------------------------------------------------------------------------- calls

    fn has_calls(&self, inner: &Inner<T>) -> bool {
        self.progress.is_some() && inner.reached > inner.told
            || self.has_arrived() && !inner.callbacks.is_empty()
    }

    fn note_due(&self, inner: &Inner<T>) {
        let is_due = !inner.is_calling && self.has_calls(inner);
        self.is_due.store(is_due, Ordering::Release);
    }

    /// Whether [`Self::make_calls`] has something to do.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Acquire)
    }

    /// Whether the program's code is called before the value is ready: then a thread that waits registers
    /// with [`Self::begin_wait`].
    pub(crate) fn has_listeners(&self) -> bool {
        self.has_listeners.load(Ordering::Acquire)
    }

    /// Whether the callback thread must make the calls and has not been informed yet.
    pub(crate) fn pass_on(&self) -> bool {
        if !self.is_due() {
            return false;
        }
        let mut inner = self.inner.lock();
        self.is_due() && inner.waiters == 0 && !std::mem::replace(&mut inner.is_passed_on, true)
    }

    pub(crate) fn begin_wait(&self) {
        let mut inner = self.inner.lock();
        inner.waiters = inner.waiters.saturating_add(1);
    }

    pub(crate) fn end_wait(&self) {
        let mut inner = self.inner.lock();
        inner.waiters = inner.waiters.saturating_sub(1);
    }

    /// Makes the calls that are due, unless another thread is making them.
    pub(crate) fn make_calls(&self) {
        {
            let mut inner = self.inner.lock();
            inner.is_passed_on = false;
            if inner.is_calling || !self.has_calls(&inner) {
                return;
            }
            inner.is_calling = true;
            self.note_due(&inner);
        }
        loop {
            match self.next_call() {
                Next::Progress(items) => {
                    if let Some(progress) = &self.progress {
                        program::call("a progress callback", || progress(items));
                    }
                }
                Next::Callbacks(value, callbacks) => {
                    for callback in callbacks {
                        program::call("a callback of a task", || callback(&value));
                    }
                    self.inner.lock().value = Some(value);
                }
                Next::Wakers(wakers, eager_for) => return wake(wakers, eager_for.as_ref()),
            }
        }
    }

    fn next_call(&self) -> Next<T> {
        let mut inner = self.inner.lock();
        if self.progress.is_some() && inner.reached > inner.told {
            inner.told = inner.reached;
            return Next::Progress(inner.told);
        }
        if self.has_arrived()
            && !inner.callbacks.is_empty()
            && let Some(value) = inner.value.take()
        {
            return Next::Callbacks(value, std::mem::take(&mut inner.callbacks));
        }
        inner.is_calling = false;
        if !self.has_arrived() {
            return Next::Wakers(Vec::new(), None);
        }
        let (wakers, eager_for) = self.finish(&mut inner);
        Next::Wakers(wakers, eager_for)
    }

    // ------------------------------------------------------------------------------------------- listeners

    /// Calls `callback` as soon as the value is ready, or at once if it is; never, if it was taken. The
    /// caller owns the result, so no other thread can take the value meanwhile.
    pub(crate) fn attach(&self, callback: Callback<T>, queue: Option<&Arc<TaskQueue>>) {
        let mut inner = self.inner.lock();
        if !self.is_done() {
            inner.callbacks.push(callback);
            self.has_listeners.store(true, Ordering::Release);
            self.note_due(&inner);
            return self.eager(&mut inner, queue);
        }
        let value = inner.value.take();
        drop(inner);
        if let Some(value) = &value {
            program::call("a callback of a task", || callback(value));
        }
        self.inner.lock().value = value;
    }

    /// Notifies `watcher` when the value has arrived, or at once if it has, even if it was taken.
    pub(crate) fn watch(&self, watcher: &Arc<Finished>, number: usize, queue: Option<&Arc<TaskQueue>>) {
        let mut inner = self.inner.lock();
        if self.has_arrived() {
            drop(inner);
            return watcher.tell(number);
        }
        // Drop those that gave up waiting.
        inner.watchers.retain(|(watcher, _)| watcher.strong_count() > 0);
        inner.watchers.push((Arc::downgrade(watcher), number));
        self.eager(&mut inner, queue);
    }

    /// Registers `waker` to be woken when the value is ready; false if it already is.
    pub(crate) fn wake_later(&self, waker: &Waker, queue: Option<&Arc<TaskQueue>>) -> bool {
        // A waker's own code: not under the lock.
        let waker = waker.clone();
        let mut inner = self.inner.lock();
        if self.is_done() {
            drop(inner);
            return false;
        }
        let is_known = inner.wakers.iter().any(|known| known.will_wake(&waker));
        if is_known {
            self.eager(&mut inner, queue);
            drop(inner);
            drop(waker);
        } else {
            inner.wakers.push(waker);
            self.eager(&mut inner, queue);
        }
        true
    }

    /// Has the queue wake its collector for every task until this one is done.
    pub(crate) fn hurry_for(&self, queue: &Arc<TaskQueue>) {
        self.eager(&mut self.inner.lock(), Some(queue));
    }

    fn eager(&self, inner: &mut Inner<T>, queue: Option<&Arc<TaskQueue>>) {
        if let Some(queue) = queue
            && inner.eager_for.is_none()
            && !self.is_done()
        {
            queue.board.be_eager();
            inner.eager_for = Some(queue.clone());
            // Results that were done before may not have been announced to anyone.
            queue.board.collector().rouse();
        }
    }
}

/// The value is there.
fn wake(wakers: Vec<Waker>, eager_for: Option<&Arc<TaskQueue>>) {
    if let Some(queue) = eager_for {
        queue.board.be_easy();
    }
    for waker in wakers {
        program::call("the waker of a future", || waker.wake());
    }
}
