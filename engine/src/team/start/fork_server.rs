//! The fork server: a process with one thread from which workers are forked.
//!
//! # Safety
//! Forking is sound because the process has one thread: an executed server is single-threaded from its start (it is
//! checked before each fork, since a library or `preload` may have made threads); a forked one is made only when the
//! caller has one.
#![allow(unsafe_code)]

use super::error::StartError;
use super::executable::Executable;
use super::handshake::{Hello, Ready, Role};
use super::process::{ExitCause, Starting, WorkerProcess};
use super::setup;
use crate::sys::{descriptor, fork, process, socket};
use crate::team::text;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A request: fork a worker for the socket that comes along. The answer: the process number, or a negative errno; if the
/// worker is the server's own child, with its pidfd and the socket on which its end is reported.
const FORK: &[u8] = b"fork";

/// What a server sends when it has run `preload` and takes requests; a count of shared objects follows, which must be 0.
const SERVING: &[u8] = b"serving";

const SERVER_NAME: &str = "server";

/// Pidfd of a worker that is the server's own child, and the end at which the report on its death arrives.
type OwnChild = (OwnedFd, OwnedFd);

/// The driver's handle on its fork server.
#[derive(Debug)]
pub(super) struct ForkServer {
    process: WorkerProcess,
}

impl ForkServer {
    /// Executes the program anew as a fork server.
    pub(super) fn spawn(executable: &Executable, preload: Option<fn()>) -> Result<ForkServer, StartError> {
        let preload = match preload {
            None => 0,
            Some(function) => text::offset_of(function as usize)?.wrapping_add(1),
        };
        ForkServer::ready(executable.spawn(Role::Server, SERVER_NAME, preload)?, executable)
    }

    /// Waits until the server takes requests. `preload` may take its time: only its death ends the wait for it.
    fn ready(starting: Starting, executable: &Executable) -> Result<ForkServer, StartError> {
        let process = starting.finish(Instant::now() + super::ANSWER_WITHIN, &executable.fingerprint)?;
        let server = ForkServer { process };
        let mut buffer = [0; 16];
        let packet = socket::recv(&server.process.socket, &mut buffer);
        let said = packet.ok().and_then(|packet| buffer[..packet.len].strip_prefix(SERVING));
        match said.map(<[u8; 8]>::try_from) {
            Some(Ok(count)) if count == [0; 8] => Ok(server),
            Some(Ok(count)) => {
                Err(StartError::SharedBeforeFork { objects: u64::from_ne_bytes(count) as usize })
            }
            _ => match server.died() {
                StartError::ServerDied { cause } => Err(StartError::DiedAtStart { cause }),
                other => Err(other),
            },
        }
    }

    /// Forks the calling process, which must have one thread, as a fork server.
    pub(super) fn fork(executable: &Executable, preload: Option<fn()>) -> Result<ForkServer, StartError> {
        let threads = process::thread_count().unwrap_or(0);
        if threads != 1 {
            return Err(StartError::ForkNeedsOneThread { threads });
        }
        let objects = fork::shared_objects();
        if objects > 0 {
            return Err(StartError::SharedBeforeFork { objects });
        }
        // The copy would print what is still in the buffers once more.
        process::flush_output();
        let call = |source| StartError::from_call("fork", source);
        let (ours, theirs) = socket::pair().map_err(call)?;
        let driver = process::own_pid();
        // SAFETY: one thread, counted just now by itself.
        let pid = unsafe { process::fork() }.map_err(call)?;
        if pid == 0 {
            fork::adopt();
            drop(ours);
            setup::become_worker();
            descriptor::fill_standard();
            serve_forked(theirs, preload)
        }
        drop(theirs);
        let starting = Starting::adopt(pid, ours)?;
        starting.greet(&Hello::new(driver, SERVER_NAME, 0), &[])?;
        ForkServer::ready(starting, executable)
    }

    /// Has a worker forked and greets it.
    pub(super) fn launch(&mut self, name: &str) -> Result<Starting, StartError> {
        let call = |source| StartError::from_call("making a socket pair", source);
        let (ours, theirs) = socket::pair().map_err(call)?;
        let answer = self.request(theirs.as_fd());
        drop(theirs);
        let (pid, own_child) = answer.map_err(|error| match error {
            Some(source) if source.raw_os_error() == Some(libc::EDEADLK) => StartError::ServerHasThreads,
            Some(source) => StartError::from_call("forking a worker", source),
            None => {
                let cause = self.died();
                end_unannounced(ours.as_fd());
                cause
            }
        })?;
        let parent = if own_child.is_some() { self.process.pid } else { process::own_pid() };
        let starting = match own_child {
            None => Starting::adopt(pid, ours)?,
            Some((pidfd, reports)) => Starting::of_server(pid, pidfd, ours, reports),
        };
        starting.greet(&Hello::new(parent, name, 0), &[])?;
        Ok(starting)
    }

    /// One request and its answer; the error is None when the server is gone.
    fn request(&self, worker_end: BorrowedFd<'_>) -> Result<(u32, Option<OwnChild>), Option<io::Error>> {
        socket::send(&self.process.socket, FORK, &[worker_end]).map_err(|_| None)?;
        let mut answer = [0; 8];
        let deadline = Some(Instant::now() + super::ANSWER_WITHIN);
        let packet = socket::recv_deadline(&self.process.socket, &mut answer, deadline).map_err(|_| None)?;
        if packet.len != answer.len() {
            return Err(None);
        }
        match i64::from_ne_bytes(answer) {
            pid @ 1.. => {
                let mut fds = packet.fds.into_iter();
                Ok((u32::try_from(pid).map_err(|_| None)?, fds.next().zip(fds.next())))
            }
            errno => Err(Some(io::Error::from_raw_os_error(errno.unsigned_abs() as i32))),
        }
    }

    #[cfg(test)]
    pub(super) fn kill_for_test(&self) {
        self.process.kill();
        self.process.reap();
    }

    /// The server does not answer: it is ended, if it has not yet, so that two never serve one pool.
    fn died(&self) -> StartError {
        if self.process.try_reap().is_none() {
            self.process.kill();
        }
        StartError::ServerDied { cause: self.process.reap() }
    }
}

/// Ends a worker that the server had forked when it died, before it told us. The worker tells us itself.
fn end_unannounced(ours: BorrowedFd<'_>) {
    let _nobody_there = Hello::new(process::own_pid(), "orphan", 0).send(ours, &[]);
    let mut buffer = [0; 256];
    let soon = Some(Instant::now() + Duration::from_secs(1));
    if let Ok(packet) = socket::recv_deadline(ours, &mut buffer, soon)
        && let Some(ready) = Ready::read(&buffer[..packet.len])
        && let Ok(pid) = u32::try_from(ready.pid)
    {
        process::end_child(pid);
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.process.kill();
        self.process.reap();
    }
}

/// The server's life after the program was executed anew.
pub(super) fn serve_executed(socket: OwnedFd) -> ! {
    let hello = setup::greeted(socket.as_fd());
    setup::answer(socket.as_fd());
    if let Some(addr) = hello.preload.checked_sub(1).and_then(text::address_of) {
        // SAFETY: the driver sent the distance of a `fn()` in this same build, and it lies in the executable's code.
        let preload = unsafe { std::mem::transmute::<usize, fn()>(addr) };
        preload();
    }
    serve(socket)
}

/// The server's life as a fork of the caller.
fn serve_forked(socket: OwnedFd, preload: Option<fn()>) -> ! {
    setup::greeted(socket.as_fd());
    setup::answer(socket.as_fd());
    if let Some(preload) = preload {
        preload();
    }
    serve(socket)
}

fn serve(socket: OwnedFd) -> ! {
    // Each worker would print what `preload` has left in the buffers.
    process::flush_output();
    let objects = fork::shared_objects() as u64;
    if socket::send(&socket, &[SERVING, &objects.to_ne_bytes()].concat(), &[]).is_err() || objects > 0 {
        process::exit_now(0);
    }
    let mut children = Children::default();
    loop {
        children.wait(socket.as_fd());
        let mut request = [0; 16];
        let packet = match socket::try_recv(&socket, &mut request) {
            Ok(packet) => packet,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => process::exit_now(0),
        };
        // End of file: the driver is gone or has dropped the pool.
        let Some(worker_end) = packet.fds.into_iter().next() else { process::exit_now(0) };
        let (pid, own_child) = match fork_worker() {
            Ok(Forked::Child) => {
                drop(socket);
                drop(children);
                setup::run_worker(worker_end)
            }
            Ok(Forked::Sibling { pid }) => {
                #[cfg(test)]
                super::tests::server_step_after_fork();
                (Ok(pid), None)
            }
            Ok(Forked::Parent { pid }) => match children.add(pid) {
                Ok(own_child) => (Ok(pid), Some(own_child)),
                Err(error) => (Err(error), None),
            },
            Err(error) => (Err(error), None),
        };
        drop(worker_end);
        let answer = match pid {
            Ok(pid) => i64::from(pid),
            Err(error) => -i64::from(error.raw_os_error().unwrap_or(libc::EIO)),
        };
        let attached: Vec<BorrowedFd<'_>> =
            own_child.iter().flat_map(|(pidfd, reports)| [pidfd.as_fd(), reports.as_fd()]).collect();
        if socket::send(&socket, &answer.to_ne_bytes(), &attached).is_err() {
            process::exit_now(0);
        }
    }
}

enum Forked {
    /// In the worker.
    Child,
    /// In the server: the worker is the driver's child.
    Sibling { pid: u32 },
    /// In the server: the worker is the server's own child.
    Parent { pid: u32 },
}

fn fork_worker() -> io::Result<Forked> {
    if process::thread_count().is_some_and(|threads| threads != 1) {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    if let Some(tid) = process::cached_tid_address().filter(|_| !own_children_only()) {
        // SAFETY: one thread, counted above; the word was asked for just now.
        match unsafe { process::fork_sibling(tid) } {
            Ok(0) => {
                // SAFETY: in a child of the bare system call, first of all, and the server has one thread.
                unsafe { fork::cover() };
                fork::adopt();
                return Ok(Forked::Child);
            }
            Ok(pid) => return Ok(Forked::Sibling { pid }),
            // PID 1 of a namespace may not have siblings, and a sandbox may refuse the call.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS)) => {
            }
            Err(error) => return Err(error),
        }
    }
    // SAFETY: one thread, counted above.
    match unsafe { process::fork() }? {
        0 => {
            fork::adopt();
            Ok(Forked::Child)
        }
        pid => Ok(Forked::Parent { pid }),
    }
}

/// Tests take the second way on machines that allow the first.
fn own_children_only() -> bool {
    #[cfg(test)]
    return super::tests::own_children_only();
    #[cfg(not(test))]
    false
}

/// Workers that are the server's own children: it reaps them and reports how they ended.
#[derive(Default)]
struct Children {
    list: Vec<(OwnedFd, OwnedFd)>,
}

impl Children {
    /// Watches a child; returns what the driver needs to watch it too. A child that cannot be watched is ended.
    fn add(&mut self, pid: u32) -> io::Result<OwnChild> {
        let watch = || {
            let (ours, theirs) = socket::pair()?;
            let pidfd = process::pidfd_open(pid)?;
            let for_driver = pidfd.try_clone()?;
            Ok(((pidfd, ours), (for_driver, theirs)))
        };
        let (ours, theirs) = watch().inspect_err(|_: &io::Error| process::end_child(pid))?;
        self.list.push(ours);
        Ok(theirs)
    }

    /// Waits for a request; reports children that end meanwhile.
    fn wait(&mut self, requests: BorrowedFd<'_>) {
        loop {
            self.list.retain(|(pidfd, reports)| match process::try_wait(pidfd, false) {
                Ok(process::Wait::Running) => true,
                Ok(process::Wait::Ended(ended)) => {
                    let words = match ended {
                        process::Ended::Exit(code) => [0, code, 0],
                        process::Ended::Signal { number, core_dumped } => [1, number, core_dumped.into()],
                    };
                    let _driver_gone = socket::try_send(reports, bytemuck::bytes_of(&words), &[]);
                    false
                }
                _ => false,
            });
            let mut watched = vec![requests];
            watched.extend(self.list.iter().map(|(pidfd, _)| pidfd.as_fd()));
            match socket::wait_any(&watched) {
                Ok(Some(0)) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

/// Reads the report on a worker whose pidfd says that it has ended. It follows within the time that the server needs to
/// reap it; a server that died closes the socket, and one that was stopped is not waited for.
pub(super) fn read_report(reports: BorrowedFd<'_>) -> Option<ExitCause> {
    let soon = Some(Instant::now() + Duration::from_secs(1));
    let mut words = [0i32; 3];
    let packet = socket::recv_deadline(reports, bytemuck::bytes_of_mut(&mut words), soon).ok()?;
    match (packet.len, words) {
        (12, [0, code, _]) => Some(ExitCause::Exit(code)),
        (12, [1, number, core]) => Some(ExitCause::Signal { number, core_dumped: core != 0 }),
        _ => None,
    }
}
