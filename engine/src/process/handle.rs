//! `Process<R>`: the handle of a started process.

use super::builder::ProcessBuilder;
use super::child::{Child, End, Said};
use super::error::{JoinError, SpawnError};
use super::watch;
use crate::base::MemberId;
use crate::code::NoCapture;
use crate::handle::travel;
use crate::spawn::ExitCause;
use crate::spawn::panic_note::ToldPanic;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The result of [`Process::join`].
pub type ProcessResult<R> = Result<R, JoinError>;

/// A process that runs one function: Python's `multiprocessing.Process`, and a [`std::thread::JoinHandle`]
/// that can be killed.
///
/// The function is a function by name, or a closure that captures nothing. Its argument and its result can be
/// any serde type; both travel through shared memory, never through a pipe. The process runs this same
/// program but not its `main`: `main` needs no call at its top, and there is no `if __name__ == "__main__"`.
/// Statics have their initial values in the process, and open files are not inherited.
///
/// **Life cycle.** Standard input is empty. The process ignores Ctrl-C, which is for the main process to
/// handle, and it ends when the main process ends, however that happens. Its `tracing` events reach the main
/// process's subscriber, with the fields `process` and `pid`. Locks that it held when it died are [handed on
/// as `OwnerDied`](crate::sync::LockError::OwnerDied) before [`join`](Process::join) returns. Only the main
/// process starts processes: inside another process [`Process::spawn`] fails and a pool runs inline, so a
/// mistake cannot start processes without end.
///
/// **Dropping the handle** waits for the process to end, so that it does not outlive the scope that started
/// it. If the process is a [daemon](ProcessBuilder::daemon), or the thread is panicking, it is killed first.
/// [`detach`](Process::detach) lets it run on.
///
/// All methods take `&self` and may be called from several threads. Starting and joining a process takes
/// about 0.3 ms, 1.2 ms with `Spawn` (release build, 2-core virtual machine under load), two descriptors and
/// 4 KiB of shared memory. For many small tasks use a pool.
///
/// ```
/// use phalanx::Process;
///
/// let process = Process::spawn(|(a, b): (u64, u64)| a * b, (6, 7))?;
/// assert_eq!(process.join()?, 42);
/// assert_eq!(process.exitcode(), Some(0));
///
/// let killed = Process::spawn(|()| loop { std::thread::park() }, ())?;
/// killed.terminate();
/// let _: Result<(), _> = killed.join();
/// assert_eq!(killed.exitcode(), Some(-15));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping the handle waits at once for the process to end"]
pub struct Process<R = ()> {
    child: Arc<Child>,
    is_detached: bool,
    result: PhantomData<fn() -> R>,
}

impl Process<()> {
    /// Returns a builder that sets the name, the start method and whether the process is a daemon.
    pub fn builder() -> ProcessBuilder {
        ProcessBuilder::default()
    }
}

impl<R> Process<R> {
    /// Starts a process that calls `f(args)`, with a generated name, not as a daemon, by the default start
    /// method.
    ///
    /// Returns once the process runs, without waiting until `f` has begun.
    ///
    /// # Errors
    /// - [`SpawnError::Nested`] inside a worker or another process.
    /// - [`SpawnError::Arguments`] if `args` cannot be serialised.
    /// - [`SpawnError::Memory`] if shared memory for them cannot be allocated.
    /// - [`SpawnError::Start`] if the process cannot be started.
    pub fn spawn<A, F>(f: F, args: A) -> Result<Process<R>, SpawnError>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        ProcessBuilder::default().spawn(f, args)
    }

    /// Which member it is.
    pub(crate) fn member(&self) -> MemberId {
        self.child.member
    }

    pub(super) fn of(child: Arc<Child>) -> Process<R> {
        Process { child, is_detached: false, result: PhantomData }
    }

    /// Returns the name of the process.
    pub fn name(&self) -> &str {
        &self.child.name
    }

    /// Returns the process ID. The system may reuse it once the process has been waited for.
    pub fn pid(&self) -> u32 {
        self.child.process.pid
    }

    /// Returns whether dropping the handle kills the process.
    pub fn is_daemon(&self) -> bool {
        self.child.is_daemon
    }

    /// Returns whether the process is still running. When this reports its end, what it held has been
    /// repaired.
    pub fn is_alive(&self) -> bool {
        self.child.is_ours() && self.child.end().is_none()
    }

    /// Returns the exit status; minus the signal's number if a signal ended the process; `None` while it
    /// runs.
    ///
    /// 0: the function returned. 1: it panicked. Also `None` if this program ignores SIGCHLD or reaps its
    /// children itself and the kernel cannot report the status (before Linux 6.15).
    pub fn exitcode(&self) -> Option<i32> {
        self.child.end()?.exit_code()
    }

    /// Returns how the process ended; `None` while it runs.
    pub fn exit_cause(&self) -> Option<ExitCause> {
        Some(self.child.end()?.cause)
    }

    /// Asks the process to end, with SIGTERM, which ends it at once unless its function handles that signal.
    /// Does nothing if the process has ended.
    #[doc(alias = "SIGTERM")]
    pub fn terminate(&self) {
        self.send(libc::SIGTERM);
    }

    /// Kills the process with SIGKILL, even if it is stopped. Does nothing if it has ended.
    #[doc(alias = "SIGKILL")]
    pub fn kill(&self) {
        self.send(libc::SIGKILL);
    }

    fn send(&self, signal: i32) {
        if self.child.is_ours() {
            self.child.dismiss(signal);
        }
    }

    /// Waits for the process to end, without reading its result.
    ///
    /// # Errors
    /// - [`JoinError::Forked`] in a fork of the process that started it.
    pub fn wait(&self) -> Result<ExitCause, JoinError> {
        self.end_by(None).map(|end| end.cause)
    }

    /// Detaches the handle: the process runs on until its function returns or this program ends.
    pub fn detach(mut self) {
        self.is_detached = true;
    }

    fn end_by(&self, limit: Option<Duration>) -> Result<Arc<End>, JoinError> {
        let name = || self.name().to_string();
        if !self.child.is_ours() {
            return Err(JoinError::Forked { name: name() });
        }
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let end = self.child.wait(deadline).ok_or_else(|| JoinError::TimedOut {
            name: name(),
            pid: self.pid(),
            waited: limit.unwrap_or_default(),
        })?;
        if let Some(watch) = watch::present() {
            watch.settle();
        }
        Ok(end)
    }
}

impl<R: DeserializeOwned> Process<R> {
    /// Waits for the process to end and returns its function's result.
    ///
    /// May be called again: each call reads the result again. When it returns, everything the process logged
    /// has reached the subscriber, unless the subscriber takes more than a second.
    ///
    /// # Errors
    /// - [`JoinError::Panicked`] if the function panicked, with message, location and, if `RUST_BACKTRACE` is
    ///   set, backtrace.
    /// - [`JoinError::Died`] if the process ended before its function returned: by a signal, or by a call of
    ///   `exit` with any status.
    /// - [`JoinError::Arguments`], [`JoinError::Value`] if the arguments or the result could not be read.
    /// - [`JoinError::CannotBegin`] if the new process could not set itself up.
    /// - [`JoinError::Corrupt`] if unsafe code overwrote the result.
    /// - [`JoinError::Forked`] in a fork of the process that started this one.
    pub fn join(&self) -> ProcessResult<R> {
        self.read(&*self.end_by(None)?)
    }

    /// Like [`join`](Process::join), but waits at most `limit`.
    ///
    /// # Errors
    /// - [`JoinError::TimedOut`] if the process is still running then. It continues.
    /// - Otherwise as [`join`](Process::join).
    ///
    /// ```
    /// use phalanx::{JoinError, Process};
    /// use std::time::Duration;
    ///
    /// let process = Process::spawn(|ms| std::thread::sleep(Duration::from_millis(ms)), 3_600_000)?;
    /// let early = process.join_timeout(Duration::from_millis(10));
    /// assert!(matches!(early, Err(JoinError::TimedOut { .. })), "{early:?}");
    /// process.kill();
    /// assert!(matches!(process.join(), Err(JoinError::Died { .. })));
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn join_timeout(&self, limit: Duration) -> ProcessResult<R> {
        self.read(&*self.end_by(Some(limit))?)
    }

    fn read(&self, end: &End) -> ProcessResult<R> {
        let (name, pid) = (self.name().to_string(), self.pid());
        Err(match &end.said {
            Said::Value(bytes) => match travel::decode(bytes.as_slice(), &mut travel::nothing_foreign) {
                Ok((value, _leases)) => return Ok(value),
                Err(error) => JoinError::Value { name, why: error.to_string() },
            },
            Said::Nothing => JoinError::Died { name, pid, cause: end.cause, oom: end.oom },
            Said::Panic(told) => {
                let ToldPanic { message, location, backtrace } = told.clone();
                JoinError::Panicked { name, pid, message, location, backtrace: backtrace.into() }
            }
            Said::BadArguments(why) => JoinError::Arguments { name, why: why.clone() },
            Said::BadValue(why) => JoinError::Value { name, why: why.clone() },
            Said::CannotBegin(why) => JoinError::CannotBegin { name, why: why.clone() },
            Said::Corrupt => JoinError::Corrupt { name },
        })
    }
}

impl<R> Drop for Process<R> {
    fn drop(&mut self) {
        if self.is_detached || !self.child.is_ours() {
            return;
        }
        // A process may be waiting for what this thread, which is coming down, would have done.
        if self.child.is_daemon || std::thread::panicking() {
            self.child.dismiss(libc::SIGKILL);
        }
        self.child.wait(None);
    }
}

impl<R> std::fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .field("ended", &self.exit_cause())
            .finish()
    }
}
