//! Why a process was not started, and why it has no result.

use crate::base::panicked::whence;
use crate::memory::AllocError;
use crate::spawn::{ExitCause, StartError};
use std::time::Duration;

/// Why a [`Process`](crate::Process) was not started. Nothing is left running.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The caller is itself a process that this program started.
    #[error(
        "'{name}' cannot be started from inside {inside}: only the main process starts processes, so that it can watch them \
         all. Start it there, or use threads here"
    )]
    Nested {
        /// The process that was to be started.
        name: String,
        /// The process that tried to start it.
        inside: String,
    },
    /// The arguments cannot be serialised.
    #[error("the arguments of '{name}' cannot be handed over: {why}")]
    Arguments {
        /// The process that was to be started.
        name: String,
        /// The serialiser's message.
        why: String,
    },
    /// Shared memory for the arguments could not be allocated.
    #[error("no shared memory for the arguments of '{name}': {source}")]
    Memory {
        /// The process that was to be started.
        name: String,
        /// The cause.
        source: AllocError,
    },
    /// The process could not be started.
    #[error("'{name}' was not started: {source}")]
    Start {
        /// The process that was to be started.
        name: String,
        /// The cause.
        source: StartError,
    },
}

crate::base::debug_is_display!(SpawnError);

/// Why [`Process::join`](crate::Process::join) has no result.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The function panicked; the process ended with exit code 1.
    #[error("process '{name}' (pid {pid}) panicked: {message}{}", whence(.location, .backtrace))]
    Panicked {
        /// Name of the process.
        name: String,
        /// Its process ID.
        pid: u32,
        /// The panic message.
        message: String,
        /// File, line and column.
        location: String,
        /// The calls that led to the panic, one a line, if the environment variable `RUST_BACKTRACE` asks for
        /// them; empty otherwise.
        backtrace: Box<str>,
    },
    /// The process ended before its function had returned.
    #[error(
        "process '{name}' (pid {pid}) {cause} before its function had returned{}",
        if *.oom { "; likely it was killed because memory ran out" } else { "" }
    )]
    Died {
        /// Name of the process.
        name: String,
        /// Its process ID.
        pid: u32,
        /// How it ended. This includes an exit with status 0, by a call of `exit`.
        cause: ExitCause,
        /// Whether the kernel killed a process at that time because memory ran out.
        oom: bool,
    },
    /// The process is still running.
    #[error("process '{name}' (pid {pid}) is still running after {waited:?}: wait again, or kill it")]
    TimedOut {
        /// Name of the process.
        name: String,
        /// Its process ID.
        pid: u32,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The new process could not read its arguments: the type's `Deserialize` does not match its `Serialize`.
    #[error("process '{name}' could not read its arguments, and its function was not called: {why}")]
    Arguments {
        /// Name of the process.
        name: String,
        /// The deserialiser's message.
        why: String,
    },
    /// The function's return value could not be handed over.
    #[error("process '{name}' has run, but its function's result was lost: {why}")]
    Value {
        /// Name of the process.
        name: String,
        /// The cause.
        why: String,
    },
    /// The process was started but could not set itself up.
    #[error("process '{name}' was started but could not begin: {why}")]
    CannotBegin {
        /// Name of the process.
        name: String,
        /// The cause, as reported by the process.
        why: String,
    },
    /// The words in shared memory are invalid.
    #[error(
        "what process '{name}' left in shared memory makes no sense; unsafe code in some process wrote past its data"
    )]
    Corrupt {
        /// Name of the process.
        name: String,
    },
    /// The caller is a fork of the process that started this one.
    #[error(
        "process '{name}' belongs to another process, of which this one is a fork; only that one can wait for it"
    )]
    Forked {
        /// Name of the process.
        name: String,
    },
}

crate::base::debug_is_display!(JoinError);

impl JoinError {
    /// Returns whether the process is still running.
    pub fn is_timeout(&self) -> bool {
        matches!(self, JoinError::TimedOut { .. })
    }
}
