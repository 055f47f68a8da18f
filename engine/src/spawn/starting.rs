//! A process between its start and its answer. Nothing here waits: the owner polls.

use super::error::StartError;
use super::fingerprint::Fingerprint;
use super::handshake::{Hello, Ready};
use super::process::{ExitCause, WorkerProcess};
use crate::sys::process::{self, Wait};
use crate::sys::socket;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a started process may take to answer, and a fork server to fork.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long a process whose socket is closed may take to end. One that lives on is not a worker of this
/// build.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A requested worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Identifies the outcome for the caller.
    pub(crate) tag: u64,
    /// Shown by `ps`, as in `PROGRAM [phalanx worker 3]`.
    pub(crate) name: String,
}

/// A process that was started and has not answered yet.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) process: WorkerProcess,
    since: Instant,
    /// When its socket was found closed.
    closed: Option<Instant>,
}

impl Starting {
    /// Takes charge of the process `pid`, just started and not yet reaped by us.
    pub(super) fn adopt(pid: u32, socket: OwnedFd) -> Result<Starting, StartError> {
        let gone = StartError::DiedAtStart { cause: ExitCause::Unknown };
        let pidfd = match process::pidfd_open(pid) {
            Ok(pidfd) => pidfd,
            // Already reaped by other code, which learns of its death.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(gone),
            Err(source) => {
                process::end_child(pid);
                return Err(match source.raw_os_error() {
                    Some(libc::ENOSYS | libc::EINVAL | libc::EPERM) => StartError::NoPidfd { source },
                    _ => StartError::from_call("pidfd_open", source),
                });
            }
        };
        match process::try_wait(&pidfd, true) {
            Ok(Wait::Running | Wait::Ended(_)) => {}
            // If SIGCHLD is ignored, the ID may belong to another process by now; this descriptor must not be
            // used.
            Ok(Wait::NotOurs) => return Err(gone),
            // There are pidfds, but they cannot be waited for (Linux 5.3, or a sandbox).
            Err(source) => {
                process::end_child(pid);
                return Err(StartError::NoPidfd { source });
            }
        }
        Ok(Starting::new(WorkerProcess::new(pid, pidfd, socket, None)))
    }

    /// Takes charge of a process that is the fork server's child.
    pub(super) fn of_server(pid: u32, pidfd: OwnedFd, socket: OwnedFd, reports: OwnedFd) -> Starting {
        Starting::new(WorkerProcess::new(pid, pidfd, socket, Some(reports)))
    }

    fn new(process: WorkerProcess) -> Starting {
        Starting { process, since: Instant::now(), closed: None }
    }

    /// Sends the first packet, for which there is always room. [`Starting::look`] finds out if the process
    /// has ended meanwhile, or cannot be greeted and is killed here.
    pub(super) fn greet(&self, hello: &Hello, close: &[i32]) {
        if hello.send(&self.process.socket, close).is_err() {
            self.process.kill();
        }
    }

    /// What becomes readable when there is something to look at.
    pub(super) fn news(&self) -> BorrowedFd<'_> {
        if self.closed.is_some() { self.process.death() } else { self.process.socket.as_fd() }
    }

    /// When to look even if nothing became readable.
    pub(super) fn due(&self) -> Instant {
        let due = self.closed.map_or(self.since + ANSWER_WITHIN, |closed| closed + ENDS_WITHIN);
        self.process.due().map_or(due, |other| other.min(due))
    }

    /// Whether it has answered as a process of this build does; `None` while that is open.
    ///
    /// The answer was sent after our pidfd was opened, so it also proves that the pidfd is the worker's and
    /// not that of a stranger who took over its number.
    pub(super) fn look(&mut self, expected: &Fingerprint) -> Option<Result<(), StartError>> {
        if self.closed.is_some() {
            return self.end().map(Err);
        }
        let mut buffer = [0; 256];
        let len = match socket::try_recv(&self.process.socket, &mut buffer) {
            Ok(packet) => packet.len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let waited = self.since.elapsed();
                return (waited >= ANSWER_WITHIN).then_some(Err(StartError::StartTimeout { waited }));
            }
            Err(error) if is_closed(&error) => 0,
            Err(source) => return Some(Err(StartError::from_call("reading a worker's answer", source))),
        };
        if len == 0 {
            self.closed = Some(Instant::now());
            return self.end().map(Err);
        }
        let same = |ready: Ready| ready.pid == u64::from(self.process.pid) && ready.fingerprint == *expected;
        let is_ours = Ready::read(&buffer[..len]).is_some_and(same);
        Some(if is_ours { Ok(()) } else { Err(StartError::BuildMismatch) })
    }

    /// The socket was closed.
    fn end(&self) -> Option<StartError> {
        match self.process.try_reap() {
            Some(cause) => Some(StartError::DiedAtStart { cause }),
            None => {
                let is_late = self.closed.is_some_and(|closed| closed.elapsed() >= ENDS_WITHIN);
                is_late.then_some(StartError::BuildMismatch)
            }
        }
    }
}

pub(super) fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
