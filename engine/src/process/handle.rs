//! `Process<R>`: the handle of a started process.

use super::builder::ProcessBuilder;
use super::child::{Child, End, Said};
use super::error::{JoinError, SpawnError};
use super::watch;
use crate::base::MemberId;
use crate::handle::travel;
use crate::spawn::ExitCause;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What [`Process::join`] gives.
pub type ProcessResult<R> = Result<R, JoinError>;

/// A process of its own that runs one function: Python's `multiprocessing.Process`, and a killable
/// [`std::thread::JoinHandle`].
///
/// The function is a `fn`, or a closure that captures nothing; what it works on comes as its argument, any
/// serde type, and what it returns comes back in the same way. Both travel through shared memory, never
/// through a pipe. The process runs this same program but not its `main`: nothing needs to stand at the top
/// of `main`, and there is no `if __name__ == "__main__"`. Statics have their initial values in it, and
/// handles of open files are not inherited.
///
/// **Its life.** Its standard input is empty; it ignores Ctrl-C, which is for the main process to answer; it
/// ends with the main process, however that ends. What it logs through `tracing` reaches the main process's
/// subscriber, with the fields `process` and `pid`. Locks that it held when it died are [handed on as
/// `OwnerDied`](crate::sync::LockError::OwnerDied), before [`join`](Process::join) returns. Only the main
/// process starts processes: inside one, [`Process::spawn`] is refused, and a pool runs inline, so a mistake
/// cannot start ever more of them.
///
/// **Dropping the handle** waits for the end of the process, so that none outlives the scope that started it;
/// of a [daemon](ProcessBuilder::daemon), and while the thread panics, it kills the process first.
/// [`detach`](Process::detach) lets it run on.
///
/// All methods take `&self` and may be called from several threads. From start to joined end takes about 0.3
/// ms, 1.2 ms with `Spawn` (release build, 2-core virtual machine under load), two descriptors and 4 KiB of
/// shared memory: for many small tasks use a pool.
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
#[must_use = "dropping the handle waits for the process at once"]
pub struct Process<R = ()> {
    child: Arc<Child>,
    is_detached: bool,
    result: PhantomData<fn() -> R>,
}

impl Process<()> {
    /// Wishes for a process: a name, daemon or not, the start method.
    pub fn builder() -> ProcessBuilder {
        ProcessBuilder::default()
    }
}

impl<R> Process<R> {
    /// Starts a process that calls `f(args)`, with a name of its own, not a daemon, by the default start
    /// method.
    ///
    /// Returns when the process runs; that `f` has begun is not waited for.
    ///
    /// # Errors
    /// - [`SpawnError::Nested`] inside a worker or another process.
    /// - [`SpawnError::Arguments`] if `args` cannot be written down.
    /// - [`SpawnError::Memory`] if there is no shared memory for them.
    /// - [`SpawnError::Start`] if the system refuses.
    pub fn spawn<A>(f: fn(A) -> R, args: A) -> Result<Process<R>, SpawnError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        ProcessBuilder::default().spawn(f, args)
    }

    /// Which member it is.
    pub(crate) fn member(&self) -> MemberId {
        self.child.member
    }

    pub(super) fn of(child: Arc<Child>) -> Process<R> {
        Process { child, is_detached: false, result: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.child.name
    }

    /// Its process number. The system may use it for another process once this one has been waited for.
    pub fn pid(&self) -> u32 {
        self.child.process.pid
    }

    /// Whether dropping the handle kills it.
    pub fn is_daemon(&self) -> bool {
        self.child.is_daemon
    }

    /// Whether it still runs. After the end, what it held has been repaired.
    pub fn is_alive(&self) -> bool {
        self.child.is_ours() && self.child.end().is_none()
    }

    /// The exit status; minus the signal's number if a signal ended it; `None` while it runs.
    ///
    /// 0: the function has returned. 1: it panicked. Also `None` where this program ignores SIGCHLD or reaps
    /// its children itself and the kernel cannot tell (before Linux 6.15).
    pub fn exitcode(&self) -> Option<i32> {
        self.child.end()?.exit_code()
    }

    /// How it ended; `None` while it runs.
    pub fn exit_cause(&self) -> Option<ExitCause> {
        Some(self.child.end()?.cause)
    }

    /// Asks it to end, by SIGTERM, which ends it at once unless its function handles that signal. Does
    /// nothing once it has ended.
    #[doc(alias = "SIGTERM")]
    pub fn terminate(&self) {
        self.send(libc::SIGTERM);
    }

    /// Ends it, by SIGKILL, also when it is stopped. Does nothing once it has ended.
    #[doc(alias = "SIGKILL")]
    pub fn kill(&self) {
        self.send(libc::SIGKILL);
    }

    fn send(&self, signal: i32) {
        if self.child.is_ours() {
            self.child.dismiss(signal);
        }
    }

    /// Waits for its end, without a look at what it returned.
    ///
    /// # Errors
    /// - [`JoinError::Forked`] in a fork of the process that started it.
    pub fn wait(&self) -> Result<ExitCause, JoinError> {
        self.end_by(None).map(|end| end.cause)
    }

    /// Lets go of it: it runs on until its function returns or this program ends.
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
    /// Waits for its end and gives what its function returned.
    ///
    /// May be called again: each call reads the result anew. Everything it logged has reached the subscriber
    /// by then, unless the subscriber takes more than a second.
    ///
    /// # Errors
    /// - [`JoinError::Panicked`] with message and place.
    /// - [`JoinError::Died`] if it ended before its function had returned: by a signal, or by calling `exit`,
    ///   with whatever status.
    /// - [`JoinError::Arguments`], [`JoinError::Value`] if what travelled could not be read.
    /// - [`JoinError::CannotBegin`] if the new process could not set itself up.
    /// - [`JoinError::Corrupt`] if unsafe code overwrote the result.
    /// - [`JoinError::Forked`] in a fork of the process that started it.
    pub fn join(&self) -> ProcessResult<R> {
        self.read(&*self.end_by(None)?)
    }

    /// As [`join`](Process::join), and waits at most so long.
    ///
    /// # Errors
    /// - [`JoinError::TimedOut`] if it still runs then. It goes on.
    /// - Otherwise as [`join`](Process::join).
    pub fn join_timeout(&self, limit: Duration) -> ProcessResult<R> {
        self.read(&*self.end_by(Some(limit))?)
    }

    fn read(&self, end: &End) -> ProcessResult<R> {
        let (name, pid) = (self.name().to_string(), self.pid());
        Err(match &end.said {
            Said::Value(bytes) => match travel::decode(bytes.as_slice(), &mut nothing_foreign) {
                Ok((value, _leases)) => return Ok(value),
                Err(error) => JoinError::Value { name, why: error.to_string() },
            },
            Said::Nothing => JoinError::Died { name, pid, cause: end.cause, oom: end.oom },
            Said::Panic { message, location } => {
                JoinError::Panicked { name, pid, message: message.clone(), location: location.clone() }
            }
            Said::BadArguments(why) => JoinError::Arguments { name, why: why.clone() },
            Said::BadValue(why) => JoinError::Value { name, why: why.clone() },
            Said::CannotBegin(why) => JoinError::CannotBegin { name, why: why.clone() },
            Said::Corrupt => JoinError::Corrupt { name },
        })
    }
}

/// Handles in a result are those of this process's own objects, which need no resolving.
fn nothing_foreign(_segment: u64, _writable: bool) -> Result<(NonNull<u8>, usize), String> {
    Err("only what the process got from here can come back".into())
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
