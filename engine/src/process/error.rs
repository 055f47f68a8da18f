//! Why a process was not started, and why there is no result of one.

use crate::memory::AllocError;
use crate::spawn::{ExitCause, StartError};
use std::time::Duration;

/// Why a [`Process`](crate::Process) was not started. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The caller is a process of this program's own making.
    #[error(
        "'{name}' cannot be started from inside {inside}: only the main process starts processes, so that it can watch them \
         all. Start it there, or use threads here"
    )]
    Nested {
        /// The process that was to be started.
        name: String,
        /// The one that tried.
        inside: String,
    },
    /// The arguments cannot be written down.
    #[error("the arguments of '{name}' cannot be handed over: {why}")]
    Arguments {
        /// The process that was to be started.
        name: String,
        /// What the serialiser said.
        why: String,
    },
    /// There is no shared memory for the arguments.
    #[error("no shared memory for the arguments of '{name}': {source}")]
    Memory {
        /// The process that was to be started.
        name: String,
        /// Why.
        source: AllocError,
    },
    /// The process could not be started.
    #[error("'{name}' was not started: {source}")]
    Start {
        /// The process that was to be started.
        name: String,
        /// Why.
        source: StartError,
    },
}

/// Why [`Process::join`](crate::Process::join) has nothing to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The function panicked; the process ended with exit code 1.
    #[error("process '{name}' (pid {pid}) panicked at {location}: {message}")]
    Panicked {
        /// Name of the process.
        name: String,
        /// Its process number.
        pid: u32,
        /// What the panic said.
        message: String,
        /// File, line and column.
        location: String,
    },
    /// The process ended before its function had returned.
    #[error(
        "process '{name}' (pid {pid}) {cause} before its function had returned{}",
        if *.oom { "; likely it was killed because memory ran out" } else { "" }
    )]
    Died {
        /// Name of the process.
        name: String,
        /// Its process number.
        pid: u32,
        /// How it ended. An exit with status 0 is here too: somebody called `exit`.
        cause: ExitCause,
        /// Whether the kernel killed something for want of memory at that time.
        oom: bool,
    },
    /// The process still runs.
    #[error("process '{name}' (pid {pid}) still runs after {waited:?}; it goes on, wait again or end it")]
    TimedOut {
        /// Name of the process.
        name: String,
        /// Its process number.
        pid: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The new process could not read its arguments: the type does not read what it writes.
    #[error("process '{name}' could not read its arguments, and its function was not called: {why}")]
    Arguments {
        /// Name of the process.
        name: String,
        /// What the deserialiser said.
        why: String,
    },
    /// What the function returned could not be handed over.
    #[error("process '{name}' has run, but what its function returned was lost: {why}")]
    Value {
        /// Name of the process.
        name: String,
        /// Why.
        why: String,
    },
    /// The process could not begin.
    #[error("process '{name}' was started but could not begin: {why}")]
    CannotBegin {
        /// Name of the process.
        name: String,
        /// Why, in its own words.
        why: String,
    },
    /// The words in shared memory make no sense.
    #[error(
        "what process '{name}' left in shared memory makes no sense; unsafe code in some process wrote past its data"
    )]
    Corrupt {
        /// Name of the process.
        name: String,
    },
    /// The caller is a fork of the process that started it.
    #[error(
        "process '{name}' belongs to another process, of which this one is a fork; only that one can wait for it"
    )]
    Forked {
        /// Name of the process.
        name: String,
    },
}

impl JoinError {
    /// Whether the process still runs.
    pub fn is_timeout(&self) -> bool {
        matches!(self, JoinError::TimedOut { .. })
    }
}
