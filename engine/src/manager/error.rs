//! Why a manager or a call to one failed.

use crate::base::panicked::whence;
use crate::process::SpawnError;
use crate::sync::CreateError;
use std::time::Duration;

/// Why a [`Manager`](crate::Manager) could not be made. Nothing is left behind after such an error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// Shared memory for its mailbox could not be allocated.
    #[error("cannot make a manager: {0}")]
    Memory(#[from] CreateError),
    /// Its thread could not be started.
    #[error("cannot make a manager: no thread for it ({0}); the limit of threads or memory is reached")]
    Thread(std::io::Error),
    /// Its process could not be started.
    #[error("cannot make a manager: {0}")]
    Process(#[from] SpawnError),
}

crate::base::debug_is_display!(ManagerError);

/// Why a call to a hosted object has no result.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The function panicked. The manager continues to serve; the object is as the function left it.
    #[error(
        "the call to a hosted object panicked and left the object as it was then: {message}{}",
        whence(.location, .backtrace)
    )]
    Panicked {
        /// The panic message.
        message: String,
        /// File, line and column. Empty if the manager is a thread: the panic message then contains them.
        location: String,
        /// The calls that led to the panic, one a line, if the environment variable `RUST_BACKTRACE` asks for
        /// them; empty otherwise. The manager looks up their names before it answers, which may take seconds.
        backtrace: Box<str>,
    },
    /// There was no answer in time. The call may be running, or may still be carried out later.
    #[error(
        "a hosted object did not answer within {waited:?}; the manager carries out one call at a time, and this or \
         another one takes long. This call may still be carried out"
    )]
    TimedOut {
        /// How long the caller waited.
        waited: Duration,
    },
    /// The manager was dropped.
    #[error("the manager of this object is gone: it was dropped, or the scope that held it has ended")]
    Closed,
    /// The manager's process died, and with it everything it hosted.
    #[error("the manager's process has died, and with it everything it hosted; make a new manager")]
    ServerDied,
    /// A function running in the manager called the same manager, which would wait for itself.
    #[error(
        "a function that runs in a manager called the same manager, which would wait for itself; do both in one \
         function, or use two managers"
    )]
    WouldDeadlock,
    /// The object was removed.
    #[error("the hosted object is gone: it was removed from its manager")]
    Removed,
    /// The arguments could not be serialised or deserialised.
    #[error("the arguments of a call to a hosted object cannot be handed over: {why}")]
    Arguments {
        /// The cause.
        why: String,
    },
    /// The result could not be serialised or deserialised.
    #[error("the result of a call to a hosted object cannot be handed over: {why}. The call was carried out")]
    Value {
        /// The cause.
        why: String,
    },
    /// This process was forked from one that uses phalanx: the manager belongs to the parent.
    #[error("the manager cannot be used here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The words in shared memory are invalid.
    #[error(
        "the manager's words in shared memory make no sense; unsafe code in some process wrote past its data"
    )]
    Corrupt,
}

crate::base::debug_is_display!(CallError);
