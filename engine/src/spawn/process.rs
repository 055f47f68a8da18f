//! A started process, as its driver holds it: a pidfd, a socket, and how it ended.

use crate::sys::process::{self, Ended, Wait};
use crate::sys::socket;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
// Plain on purpose: bookkeeping of this process alone.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the report on an ended process may take.
const REPORTED_WITHIN: Duration = Duration::from_secs(1);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitCause {
    /// A signal ended it.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
    /// It called `exit` with this status.
    Exit(i32),
    /// It has ended, and its exit status is unknown: the host program ignores SIGCHLD or reaps all children
    /// itself.
    Unknown,
}

impl From<Ended> for ExitCause {
    fn from(ended: Ended) -> ExitCause {
        match ended {
            Ended::Exit(code) => ExitCause::Exit(code),
            Ended::Signal { number, core_dumped } => ExitCause::Signal { number, core_dumped },
        }
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ExitCause::Signal { number, core_dumped } => {
                let core = if core_dumped { ", core dumped" } else { "" };
                match signal_name(number) {
                    Some(name) => write!(f, "killed by {name} (signal {number}{core})"),
                    None => write!(f, "killed by signal {number}{core}"),
                }
            }
            ExitCause::Exit(code) => write!(f, "exited with status {code}"),
            ExitCause::Unknown => {
                write!(f, "ended in an unknown way (this program ignores SIGCHLD or waits for any child)")
            }
        }
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

/// A started process. Dropping it closes its socket, which ends a worker that listens; it neither kills nor
/// waits.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    pub(crate) pid: u32,
    /// Becomes readable when the process has ended.
    pub(crate) pidfd: OwnedFd,
    /// The driver's end of the packet socket.
    pub(crate) socket: OwnedFd,
    /// Whether the socket has reached its end: nothing more will come from there.
    is_silent: AtomicBool,
    /// Where the fork server reports the end of a worker that is its own child and not ours.
    reports: Option<OwnedFd>,
    /// When its end was first seen, while the report on it is still on its way.
    ended_at: OnceLock<Instant>,
    ended: OnceLock<ExitCause>,
}

impl WorkerProcess {
    pub(super) fn new(pid: u32, pidfd: OwnedFd, socket: OwnedFd, reports: Option<OwnedFd>) -> WorkerProcess {
        let (is_silent, ended_at, ended) = (AtomicBool::new(false), OnceLock::new(), OnceLock::new());
        WorkerProcess { pid, pidfd, socket, is_silent, reports, ended_at, ended }
    }

    /// Kills it; does nothing if it has ended. Works on a stopped process too.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Sends it a signal. Never hits another process that reuses its ID.
    pub(crate) fn signal(&self, number: i32) {
        let _gone_already = process::signal(&self.pidfd, self.pid, number);
    }

    /// Notes that its socket has reached its end.
    pub(crate) fn silence(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    /// What becomes readable when there is more to learn about its end.
    pub(crate) fn death(&self) -> BorrowedFd<'_> {
        match &self.reports {
            Some(reports) if self.ended_at.get().is_some() => reports.as_fd(),
            _ => self.pidfd.as_fd(),
        }
    }

    /// When to look at its end even if nothing became readable.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.ended_at.get().filter(|_| self.ended.get().is_none()).map(|at| *at + REPORTED_WITHIN)
    }

    /// How it ended, or None while it runs, or while that is not reported yet. Never blocks; reaps the child;
    /// may be called again.
    pub(crate) fn try_reap(&self) -> Option<ExitCause> {
        if let Some(&cause) = self.ended.get() {
            return Some(cause);
        }
        let cause = match process::try_wait(&self.pidfd, false) {
            Ok(Wait::Ended(ended)) => ended.into(),
            Ok(Wait::Running) => return None,
            // Not our child, or reaped by other code: the pidfd still shows whether it has ended.
            Ok(Wait::NotOurs) | Err(_) => {
                if !matches!(socket::wait_readable(&self.pidfd, Some(Instant::now())), Ok(true)) {
                    return None;
                }
                self.told_by_others()?
            }
        };
        Some(*self.ended.get_or_init(|| cause))
    }

    /// The report follows within the time that the fork server needs to reap; a stopped server is not waited
    /// for long.
    fn told_by_others(&self) -> Option<ExitCause> {
        let report = self.reports.as_ref().map(|reports| read_report(reports.as_fd()));
        match report {
            Some(Ok(cause)) => return Some(cause),
            Some(Err(error))
                if error.kind() == io::ErrorKind::WouldBlock
                    && self.ended_at.get_or_init(Instant::now).elapsed() < REPORTED_WITHIN =>
            {
                return None;
            }
            _ => {}
        }
        Some(process::pidfd_exit_info(&self.pidfd).map_or(ExitCause::Unknown, ExitCause::from))
    }

    /// Waits for its end, at most until `deadline`.
    pub(crate) fn reap_by(&self, deadline: Instant) -> Option<ExitCause> {
        loop {
            let until = self.due().map_or(deadline, |due| due.min(deadline));
            if let Some(cause) = self.try_reap() {
                return Some(cause);
            }
            let waited = socket::wait_readable(self.death(), Some(until));
            if waited.is_err() || Instant::now() >= deadline {
                return self.try_reap();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn reap(&self) -> ExitCause {
        loop {
            if let Some(cause) = self.reap_by(Instant::now() + REPORTED_WITHIN) {
                return cause;
            }
        }
    }
}

/// Reads the report on a worker whose pidfd shows that it has ended; `WouldBlock` while there is none.
fn read_report(reports: BorrowedFd<'_>) -> io::Result<ExitCause> {
    let mut words = [0i32; 3];
    let packet = socket::try_recv(reports, bytemuck::bytes_of_mut(&mut words))?;
    match (packet.len, words) {
        (12, [0, code, _]) => Ok(ExitCause::Exit(code)),
        (12, [1, number, core]) => Ok(ExitCause::Signal { number, core_dumped: core != 0 }),
        // The server is gone, and with it what it knew.
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
