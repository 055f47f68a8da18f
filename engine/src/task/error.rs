//! Why a task has no result.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::panicked::whence;
use crate::memory::AllocError;
use crate::spawn::{ExitCause, StartError};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a task, one item of a map, or a whole map has no result.
///
/// `item` is the position in a map's input, counted from 0; it is 0 for a single task. Cheap to clone, since
/// one death may be the error of several items.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The function panicked. The worker survives.
    #[error("item {item} panicked{}: {message}{}", on(.host), whence(.location, .backtrace))]
    Panicked {
        /// The index of the item.
        item: usize,
        /// The machine, in a [cluster](crate::cluster); empty otherwise.
        host: Box<str>,
        /// The panic message.
        message: String,
        /// Where it panicked, if known.
        location: String,
        /// The calls that led there, innermost first, one or two lines each. Empty unless the worker is a
        /// process and `RUST_BACKTRACE` is set; with `full`, the engine's own calls are among them.
        backtrace: Box<str>,
    },
    /// The function returned an error; only from [`Tasks::map_results`](crate::Tasks::map_results) and
    /// [`Tasks::try_map_results`](crate::Tasks::try_map_results).
    #[error("item {item} failed{}: {error}", on(.host))]
    Failed {
        /// The index of the item.
        item: usize,
        /// The machine, in a cluster; empty otherwise.
        host: Box<str>,
        /// The error that the function returned; see [`TaskError::failure`].
        error: Failure,
    },
    /// The worker that ran it died, and the item was not retried.
    #[error("item {item} was lost{}: worker {rank} (pid {pid}) {}{}", on(.host), was(.cause), of_memory(.oom))]
    WorkerDied {
        /// The index of the item.
        item: usize,
        /// The machine, in a cluster; empty otherwise.
        host: Box<str>,
        /// The worker's rank.
        rank: usize,
        /// The worker's process ID.
        pid: u32,
        /// How it ended.
        cause: ExitCause,
        /// Whether the kernel killed a process at that time because memory ran out.
        oom: bool,
    },
    /// The item ran longer than its time limit. Its worker was killed and replaced. Where workers are
    /// threads, the item is still running.
    #[error("item {item} ran longer{} than its limit of {limit:?}{}", on(.host), stopped(.still_running))]
    TimedOut {
        /// The index of the item.
        item: usize,
        /// The machine, in a cluster; empty otherwise.
        host: Box<str>,
        /// The limit.
        limit: Duration,
        /// Whether the item is still running: a thread cannot be stopped, and continues until it checks
        /// [`is_cancelled`](crate::is_cancelled).
        still_running: bool,
    },
    /// The result was not ready within the caller's wait. The task continues, and can be waited for again.
    #[error("no result within {waited:?}; the task continues: wait again, or cancel() it")]
    NotReady {
        /// How long the caller waited.
        waited: Duration,
    },
    /// The task was cancelled before it was done.
    #[error("item {item} was cancelled")]
    Cancelled {
        /// The index of the item.
        item: usize,
    },
    /// The pool accepts no more tasks: it was closed, terminated or dropped.
    #[error("the pool is closed and takes no more tasks; make another, or close() later")]
    PoolClosed,
    /// This process was forked from one that uses phalanx: the pool belongs to the parent.
    #[error("no task can be run here: {}", AllocError::Forked)]
    Forked,
    /// The pool has lost its workers permanently.
    #[error("the pool is broken: {reason}; make another")]
    PoolBroken {
        /// What broke it.
        reason: String,
    },
    /// The thread that collects results could not be started. The pool is intact: the next task tries again.
    #[error(
        "cannot start the thread that collects results: {source}; likely a limit on threads or memory is reached: \
         raise it, or call again later"
    )]
    NoThread {
        /// The system's error.
        source: Arc<std::io::Error>,
    },
    /// An argument or a result cannot be turned into bytes, or back.
    #[error("{what} of item {item} cannot travel: {why}")]
    Codec {
        /// The index of the item.
        item: usize,
        /// `the argument` or `the result`.
        what: &'static str,
        /// The message of the encoder or decoder.
        why: String,
    },
    /// Shared memory for arguments or results could not be allocated.
    #[error("no shared memory for item {item}: {source}")]
    Memory {
        /// The index of the item.
        item: usize,
        /// The cause.
        source: Arc<AllocError>,
    },
    /// Another machine of the cluster could not run it: its memory or its threads ran out, or its pool is
    /// broken.
    #[error("item {item} could not be run{}: {why}", on(.host))]
    Machine {
        /// The index of the item.
        item: usize,
        /// The machine.
        host: Box<str>,
        /// What it said.
        why: String,
    },
    /// The function is not part of this program's own code.
    #[error(transparent)]
    NoEntry(Arc<StartError>),
    /// A worker found invalid words in shared memory.
    #[error("item {item} could not be run: {what}; unsafe code in some process probably wrote past its data")]
    Corrupt {
        /// The index of the item.
        item: usize,
        /// What was wrong.
        what: String,
    },
    /// The result was already taken.
    #[error("the result was already taken; it can be taken only once")]
    Taken,
}

crate::base::debug_is_display!(TaskError);

fn on(host: &str) -> String {
    if host.is_empty() { String::new() } else { format!(" on {host}") }
}

fn was(cause: &ExitCause) -> String {
    match cause {
        ExitCause::Signal { .. } => format!("was {cause}"),
        _ => cause.to_string(),
    }
}

fn of_memory(oom: &bool) -> &'static str {
    if *oom { ", probably because memory ran out" } else { "" }
}

fn stopped(still_running: &bool) -> &'static str {
    if *still_running {
        "; its thread cannot be stopped and still runs it"
    } else {
        "; its worker was replaced"
    }
}

impl TaskError {
    /// Returns the index of the item that the error is about, if there is one.
    pub fn item(&self) -> Option<usize> {
        match self {
            TaskError::Panicked { item, .. }
            | TaskError::Failed { item, .. }
            | TaskError::WorkerDied { item, .. }
            | TaskError::TimedOut { item, .. }
            | TaskError::Cancelled { item }
            | TaskError::Codec { item, .. }
            | TaskError::Memory { item, .. }
            | TaskError::Machine { item, .. }
            | TaskError::Corrupt { item, .. } => Some(*item),
            _ => None,
        }
    }

    /// Returns the error that the function itself returned, if this is a [`TaskError::Failed`] and the error
    /// is an `E`.
    pub fn failure<E: 'static>(&self) -> Option<&E> {
        match self {
            TaskError::Failed { error, .. } => error.downcast_ref(),
            _ => None,
        }
    }

    /// The same error of another item.
    pub(crate) fn of_item(mut self, number: usize) -> TaskError {
        match &mut self {
            TaskError::Panicked { item, .. }
            | TaskError::Failed { item, .. }
            | TaskError::WorkerDied { item, .. }
            | TaskError::TimedOut { item, .. }
            | TaskError::Cancelled { item }
            | TaskError::Codec { item, .. }
            | TaskError::Memory { item, .. }
            | TaskError::Machine { item, .. }
            | TaskError::Corrupt { item, .. } => *item = number,
            _ => {}
        }
        self
    }
}

/// An error that a task's function returned, of whatever type; in [`TaskError::Failed`].
///
/// Cheap to clone. Shows what the error's own `Debug` writes.
#[derive(Clone)]
pub struct Failure {
    error: Arc<dyn Any + Send + Sync>,
    text: Arc<str>,
}

impl Failure {
    pub(crate) fn new<E: fmt::Debug + Send + Sync + 'static>(error: E) -> Failure {
        let text = format!("{error:?}").into();
        Failure { error: Arc::new(error), text }
    }

    /// Returns the error itself, if it is an `E`.
    pub fn downcast_ref<E: 'static>(&self) -> Option<&E> {
        self.error.downcast_ref()
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What went wrong with an item in a worker that lives on, as it travels.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct ItemFault {
    /// Counted from the task's first.
    pub(crate) item: u32,
    pub(crate) kind: ItemFaultKind,
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum ItemFaultKind {
    Panic,
    /// The argument cannot be read.
    Argument,
    /// The result cannot be written.
    Result,
    Corrupt,
}

impl ItemFault {
    pub(crate) fn into_error(self, first: usize, host: &str) -> TaskError {
        let item = first.saturating_add(self.item as usize);
        match self.kind {
            ItemFaultKind::Panic => {
                let ItemFault { message, location, backtrace, .. } = self;
                let (host, backtrace) = (host.into(), backtrace.into());
                TaskError::Panicked { item, host, message, location, backtrace }
            }
            ItemFaultKind::Argument => TaskError::Codec { item, what: "the argument", why: self.message },
            ItemFaultKind::Result => TaskError::Codec { item, what: "the result", why: self.message },
            ItemFaultKind::Corrupt => TaskError::Corrupt { item, what: self.message },
        }
    }
}

impl fmt::Display for ItemFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}
