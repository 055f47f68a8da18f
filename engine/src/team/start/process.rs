//! A started process as its driver holds it: a pidfd, a socket, and how it ended.

use super::error::StartError;
use super::executable::Fingerprint;
use super::handshake::{Hello, Ready};
use crate::sys::process::{self, Ended, Wait};
use crate::sys::socket;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

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
    /// It called exit with this status.
    Exit(i32),
    /// It has ended, and nobody can say how: the host program ignores SIGCHLD or waits for any child itself.
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

/// A worker that has answered. Dropping it closes its socket, which ends a worker that listens; it neither kills nor
/// waits.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    pub(crate) pid: u32,
    /// Becomes readable when the process has ended.
    pub(crate) pidfd: OwnedFd,
    /// The driver's end of the packet socket.
    pub(crate) socket: OwnedFd,
    /// Where the fork server reports the end of a worker that is its own child and not ours.
    pub(super) reports: Option<OwnedFd>,
    ended: OnceLock<ExitCause>,
}

impl WorkerProcess {
    /// Kills it; does nothing if it has ended. Works on a stopped process too.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Sends it a signal. A process that took over its number is never hit.
    pub(crate) fn signal(&self, number: i32) {
        let _gone_already = process::signal(&self.pidfd, self.pid, number);
    }

    /// How it ended, or None while it runs. Never blocks; reaps the child; may be asked again.
    pub(crate) fn try_reap(&self) -> Option<ExitCause> {
        if let Some(&cause) = self.ended.get() {
            return Some(cause);
        }
        let cause = match process::try_wait(&self.pidfd, false) {
            Ok(Wait::Ended(ended)) => ended.into(),
            Ok(Wait::Running) => return None,
            // Not our child, or reaped by somebody else: the pidfd still tells whether it has ended.
            Ok(Wait::NotOurs) | Err(_) => {
                if !matches!(socket::wait_readable(&self.pidfd, Some(Instant::now())), Ok(true)) {
                    return None;
                }
                self.told_by_others().unwrap_or(ExitCause::Unknown)
            }
        };
        Some(*self.ended.get_or_init(|| cause))
    }

    fn told_by_others(&self) -> Option<ExitCause> {
        if let Some(reports) = &self.reports {
            return super::fork_server::read_report(reports.as_fd());
        }
        process::pidfd_exit_info(&self.pidfd).map(ExitCause::from)
    }

    /// Waits for its end.
    pub(crate) fn reap(&self) -> ExitCause {
        loop {
            if let Some(cause) = self.try_reap() {
                return cause;
            }
            if socket::wait_readable(&self.pidfd, None).is_err() {
                return ExitCause::Unknown;
            }
        }
    }
}

/// A process that was started and has not answered yet. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Starting {
    process: Option<WorkerProcess>,
    since: Instant,
}

impl Starting {
    /// Takes charge of the process `pid`, just started and not yet reaped by us.
    pub(super) fn adopt(pid: u32, socket: OwnedFd) -> Result<Starting, StartError> {
        let gone = StartError::DiedAtStart { cause: ExitCause::Unknown };
        let pidfd = match process::pidfd_open(pid) {
            Ok(pidfd) => pidfd,
            // Reaped already by somebody else, which takes its death.
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
            // Where SIGCHLD is ignored the number may belong to a stranger by now; this descriptor is not to be used.
            Ok(Wait::NotOurs) => return Err(gone),
            // There are pidfds, but they cannot be waited for (Linux 5.3, or a sandbox).
            Err(source) => {
                process::end_child(pid);
                return Err(StartError::NoPidfd { source });
            }
        }
        Ok(Starting::new(WorkerProcess { pid, pidfd, socket, reports: None, ended: OnceLock::new() }))
    }

    /// Takes charge of a process that is the fork server's child.
    pub(super) fn of_server(pid: u32, pidfd: OwnedFd, socket: OwnedFd, reports: OwnedFd) -> Starting {
        Starting::new(WorkerProcess { pid, pidfd, socket, reports: Some(reports), ended: OnceLock::new() })
    }

    fn new(process: WorkerProcess) -> Starting {
        Starting { process: Some(process), since: Instant::now() }
    }

    /// Sends the first packet. A process that has ended meanwhile is found out by [`Starting::finish`].
    pub(super) fn greet(&self, hello: &Hello, close: &[i32]) -> Result<(), StartError> {
        let Some(process) = &self.process else { return Ok(()) };
        match hello.send(&process.socket, close) {
            Err(source) if !is_closed(&source) => Err(StartError::from_call("greeting a worker", source)),
            _ => Ok(()),
        }
    }

    /// Waits for the answer and compares the builds. The process is killed if it has not answered by `deadline`.
    ///
    /// The answer was sent after our pidfd was opened, so it also proves that the pidfd is the worker's and not that of
    /// a stranger who took over its number.
    pub(super) fn finish(
        mut self,
        deadline: Instant,
        expected: &Fingerprint,
    ) -> Result<WorkerProcess, StartError> {
        let Some(process) = &self.process else { return Err(StartError::Recursive) };
        let mut buffer = [0; 256];
        let packet = match socket::recv_deadline(&process.socket, &mut buffer, Some(deadline)) {
            Ok(packet) => packet,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let waited = self.since.elapsed();
                return Err(StartError::StartTimeout { waited });
            }
            Err(error) if is_closed(&error) => return Err(self.died()),
            Err(source) => return Err(StartError::from_call("reading a worker's answer", source)),
        };
        if packet.len == 0 {
            return Err(self.died());
        }
        let same = |ready: Ready| ready.pid == u64::from(process.pid) && ready.fingerprint == *expected;
        if !Ready::read(&buffer[..packet.len]).is_some_and(same) {
            return Err(StartError::BuildMismatch);
        }
        self.process.take().ok_or(StartError::Recursive)
    }

    /// The socket was closed. A process that lives on without it is no worker of this build.
    fn died(&mut self) -> StartError {
        let Some(process) = &self.process else { return StartError::Recursive };
        let soon = Instant::now() + Duration::from_secs(1);
        if !matches!(socket::wait_readable(&process.pidfd, Some(soon)), Ok(true)) {
            return StartError::BuildMismatch;
        }
        StartError::DiedAtStart { cause: process.reap() }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.kill();
            process.reap();
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
