//! Why a worker could not be started.

use super::process::ExitCause;
use crate::code::NoEntry;
use std::io;
use std::time::Duration;

/// Why a worker process could not be started. Nothing is left running after such an error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The file of the running program cannot be found or opened.
    #[error(
        "cannot start workers: the running program's own file cannot be opened ({source}). \
         Workers execute /proc/self/exe: mount /proc, or start the program by an absolute path"
    )]
    ExeGone {
        /// The error from opening it.
        source: io::Error,
    },
    /// The kernel refused to execute the program again.
    #[error(
        "cannot start a worker: executing this program again failed ({source}). \
         Likely its file system is now mounted noexec, or a sandbox forbids it; Backend::Threads needs no new process"
    )]
    ExecRefused {
        /// The kernel's error.
        source: io::Error,
    },
    /// The executed file is not the running build.
    #[error(
        "cannot start a worker: the file of the running program now holds another build. \
         Likely it was replaced while the program ran; restart the program"
    )]
    BuildMismatch,
    /// The code is not part of the main executable.
    #[error(
        "cannot start workers: this code is not part of the main executable (a plugin, or a library loaded by another \
         program such as Python), so a new process could not find it. Use Backend::Threads there"
    )]
    NoEntry,
    /// The process ended before it answered.
    #[error(
        "a worker ended while it started: {cause}. Its own message, if any, is on standard error; likely a library's \
         start-up code failed, or the system ran out of memory"
    )]
    DiedAtStart {
        /// How it ended.
        cause: ExitCause,
    },
    /// The process did not answer in time and was killed.
    #[error(
        "a worker did not answer within {waited:?} of its start and was killed. Likely start-up code (a library's \
         constructor, a `preload` function, an initializer) hangs or takes longer than `start_timeout` allows, or the \
         machine is overloaded"
    )]
    StartTimeout {
        /// How long the driver waited.
        waited: Duration,
    },
    /// A worker tried to start workers.
    #[error(
        "a worker process tried to start workers of its own. Launches inside a worker run in that worker; make pools in \
         the main process only"
    )]
    Recursive,
    /// The program runs with privileges that its caller lacks.
    #[error(
        "cannot start workers: this program runs set-user-id or with file capabilities, where instructions from the \
         environment cannot be trusted. Use Backend::Threads, or run it without raised privileges"
    )]
    Insecure,
    /// A system limit was reached.
    #[error("cannot start a worker: {what} ({source}). Use fewer workers, or raise the limit")]
    Limit {
        /// Which limit, if known.
        what: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// [`StartMethod::Fork`](crate::StartMethod::Fork) was requested in a process with several threads.
    #[error(
        "StartMethod::Fork needs a process with one thread, and this one has {threads}: locks held by the others would \
         stay locked in the workers forever. Make the pool before any thread, or use StartMethod::ForkServer"
    )]
    ForkNeedsOneThread {
        /// Number of threads of the process; 0 if /proc does not report it.
        threads: usize,
    },
    /// Workers were to be forked from a process that holds shared objects.
    #[error(
        "workers cannot be forked from a process that holds shared objects, and this one has {objects} (arrays, values, locks, \
         queues, pools and the like, in `preload` or before StartMethod::Fork): a forked process does not have their memory. \
         Make them later and pass them as operands or arguments, or use StartMethod::ForkServer without `preload`"
    )]
    SharedBeforeFork {
        /// Number of handles of shared objects in the process from which the workers were to be forked.
        objects: usize,
    },
    /// The process from which workers are forked has ended.
    #[error(
        "the process from which workers are forked has ended: {cause}. With StartMethod::Fork it cannot be made again: \
         make a new pool"
    )]
    ServerDied {
        /// How it ended.
        cause: ExitCause,
    },
    /// The process from which workers are forked has several threads.
    #[error(
        "the process from which workers are forked has more than one thread: locks held by the others would stay locked \
         in the workers forever. Likely `preload` or a library's start-up code made them; use StartMethod::Spawn"
    )]
    ServerHasThreads,
    /// A started worker cannot serve.
    #[error("a worker was started but cannot serve: {why}")]
    CannotServe {
        /// The cause, as reported by the worker.
        why: String,
    },
    /// The kernel does not support pidfds.
    #[error(
        "cannot start workers: the kernel has no pidfds ({source}), so a worker's death could not be detected reliably. \
         They need Linux 5.4, and some emulators lack them; Backend::Threads works without"
    )]
    NoPidfd {
        /// The kernel's error.
        source: io::Error,
    },
    /// A system call failed for some other reason.
    #[error("cannot start a worker: {call} failed ({source})")]
    System {
        /// The system call.
        call: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
}

crate::base::debug_is_display!(StartError);

impl From<NoEntry> for StartError {
    fn from(NoEntry: NoEntry) -> StartError {
        StartError::NoEntry
    }
}

impl StartError {
    /// Returns a copy, for another start that fails for the same reason.
    pub(super) fn again(&self) -> StartError {
        let copy = |source: &io::Error| match source.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::new(source.kind(), source.to_string()),
        };
        match self {
            StartError::ExeGone { source } => StartError::ExeGone { source: copy(source) },
            StartError::ExecRefused { source } => StartError::ExecRefused { source: copy(source) },
            StartError::BuildMismatch => StartError::BuildMismatch,
            StartError::NoEntry => StartError::NoEntry,
            StartError::DiedAtStart { cause } => StartError::DiedAtStart { cause: *cause },
            StartError::StartTimeout { waited } => StartError::StartTimeout { waited: *waited },
            StartError::Recursive => StartError::Recursive,
            StartError::Insecure => StartError::Insecure,
            StartError::Limit { what, source } => StartError::Limit { what, source: copy(source) },
            StartError::ForkNeedsOneThread { threads } => {
                StartError::ForkNeedsOneThread { threads: *threads }
            }
            StartError::SharedBeforeFork { objects } => StartError::SharedBeforeFork { objects: *objects },
            StartError::ServerDied { cause } => StartError::ServerDied { cause: *cause },
            StartError::ServerHasThreads => StartError::ServerHasThreads,
            StartError::CannotServe { why } => StartError::CannotServe { why: why.clone() },
            StartError::NoPidfd { source } => StartError::NoPidfd { source: copy(source) },
            StartError::System { call, source } => StartError::System { call, source: copy(source) },
        }
    }

    /// Classifies a failed call as a limit or as another error.
    pub(super) fn from_call(call: &'static str, source: io::Error) -> StartError {
        let what = match source.raw_os_error() {
            Some(libc::EAGAIN) => "the limit of processes is reached (ulimit -u, or the cgroup's pids.max)",
            Some(libc::ENOMEM) => "no memory for another process",
            Some(libc::EMFILE) => "this process has too many open files (ulimit -n)",
            Some(libc::ENFILE) => "the system has too many open files",
            _ => return StartError::System { call, source },
        };
        StartError::Limit { what, source }
    }
}
