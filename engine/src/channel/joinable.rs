//! `SimpleQueue` and `JoinableQueue`: queues with less and with more.
//!
//! # Safety
//! Both are a queue's block, made and opened by the queue.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::codec::Message;
use super::error::{QueueError, Refused};
use super::queue::{Queue, QueueOptions};
use crate::base::atomic::Ordering;
use crate::channel::word::{ALIGN, Control};
use crate::sync::Patience;
use crate::sync::place::{CreateError, Place, Remote, travels};
use std::ops::Deref;
use std::time::Duration;

/// A queue with the fewest calls: put, get, empty.
///
/// Behaves in every respect like a [`Queue`] without a limit on items.
///
/// ```
/// let queue = phalanx::channel::SimpleQueue::<String>::new()?;
/// queue.put(&"hello".to_owned())?;
/// assert_eq!(queue.get()?, "hello");
/// assert!(queue.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SimpleQueue<T>(Queue<T>);

impl<T: Message> SimpleQueue<T> {
    /// Makes a queue.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn new() -> Result<SimpleQueue<T>, CreateError> {
        Queue::new().map(SimpleQueue)
    }

    /// Appends an item.
    ///
    /// # Errors
    /// As [`Queue::put`].
    pub fn put(&self, item: &T) -> Result<(), QueueError> {
        self.0.put(item)
    }

    /// Takes the first item. Blocks while there is none.
    ///
    /// # Errors
    /// As [`Queue::get`].
    pub fn get(&self) -> Result<T, QueueError> {
        self.0.get()
    }

    /// Returns whether no item is waiting now.
    #[doc(alias = "empty")]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Closes the queue to further items; see [`Queue::close`].
    pub fn close(&self) {
        self.0.close();
    }
}

/// A queue that knows when every item ever put into it has been processed.
///
/// A consumer calls [`task_done`](JoinableQueue::task_done) when it has finished an item;
/// [`join`](JoinableQueue::join) waits until that has happened for every item. For everything else the type
/// dereferences to [`Queue`].
///
/// **If a process dies while holding items**, they hold up no one: they are counted as lost, and `join`
/// reports them.
///
/// ```
/// use phalanx::channel::JoinableQueue;
///
/// let jobs = JoinableQueue::<u32>::new()?;
/// std::thread::scope(|s| -> Result<(), Box<dyn std::error::Error>> {
///     s.spawn(|| {
///         for job in jobs.iter() {
///             let _ = job.expect("no process dies here");
///             jobs.task_done().expect("one for each");
///         }
///     });
///     for i in 0..10 {
///         jobs.put(&i)?;
///     }
///     jobs.join()?;
///     jobs.close();
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinableQueue<T>(Queue<T>);

impl<T: Message> JoinableQueue<T> {
    /// Makes a queue for any number of items.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn new() -> Result<JoinableQueue<T>, CreateError> {
        JoinableQueue::with_options(QueueOptions::default())
    }

    /// Makes a queue in which at most `maxsize` items wait (0: no limit).
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn bounded(maxsize: usize) -> Result<JoinableQueue<T>, CreateError> {
        JoinableQueue::with_options(QueueOptions { maxsize, ..QueueOptions::default() })
    }

    /// Makes a queue with these options.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn with_options(options: QueueOptions) -> Result<JoinableQueue<T>, CreateError> {
        Queue::joinable(options).map(JoinableQueue)
    }

    /// Marks an item taken earlier as done: one that this process took, or otherwise one that another process
    /// took and passed on.
    ///
    /// # Errors
    /// - [`QueueError::TooManyDone`]: no process holds an item.
    /// - [`QueueError::Corrupt`]: the words in shared memory were overwritten.
    pub fn task_done(&self) -> Result<(), QueueError> {
        self.0.core()?.task_done().map_err(|refused| self.0.error(refused))
    }

    /// Waits until every item that was put has been taken and is done, or was lost.
    ///
    /// # Errors
    /// - [`QueueError::Lost`]: deaths lost this many items since the last
    ///   [`take_lost`](JoinableQueue::take_lost).
    /// - [`QueueError::Corrupt`]: the words in shared memory were overwritten.
    pub fn join(&self) -> Result<(), QueueError> {
        self.join_with(Patience::Forever).map(|_| ())
    }

    /// Like [`JoinableQueue::join`], but waits at most `timeout`. Returns whether everything is done.
    ///
    /// # Errors
    /// As [`JoinableQueue::join`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool, QueueError> {
        self.join_with(Patience::of(timeout))
    }

    fn join_with(&self, patience: Patience) -> Result<bool, QueueError> {
        match self.0.core()?.join(patience) {
            Ok(()) => match self.0.control().lost_untold.load(Ordering::Relaxed) {
                0 => Ok(true),
                items => Err(QueueError::Lost { items }),
            },
            Err(Refused::Full) => Ok(false),
            Err(refused) => Err(self.0.error(refused)),
        }
    }

    /// Returns the number of items not yet done: waiting, being taken, or held by a consumer.
    pub fn unfinished(&self) -> usize {
        self.0.core().map_or(0, |core| core.unfinished())
    }

    /// Returns the number of items lost since the last call, and clears it, so that [`JoinableQueue::join`]
    /// succeeds again.
    pub fn take_lost(&self) -> u64 {
        self.0.control().lost_untold.swap(0, Ordering::Relaxed)
    }
}

impl<T> Deref for JoinableQueue<T> {
    type Target = Queue<T>;
    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

impl<T> std::fmt::Debug for SimpleQueue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> std::fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! thin { ($handle:ident, $what:literal) => {
    // SAFETY: a queue's block, made and opened as such.
    unsafe impl<T: Message> Remote for $handle<T> {
        type Words = Control;
        type Value = T;
        const WHAT: &'static str = $what;
        const ALIGN: usize = ALIGN;
        fn fits(len_bytes: usize) -> bool {
            Queue::<T>::fits(len_bytes)
        }
        fn place(&self) -> &Place {
            self.0.place()
        }
        fn of(place: Place) -> Self {
            $handle(Queue::of(place))
        }
    }
    travels!([T: Message] $handle<T>);
} }
thin!(SimpleQueue, "simple queue");
thin!(JoinableQueue, "joinable queue");
