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
use crate::sys::{process, socket};
use crate::team::text;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// A request: fork a worker for the socket that comes along. The answer: the process number, or a negative errno.
const FORK: &[u8] = b"fork";

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
        let starting = executable.spawn(Role::Server, "fork server", preload)?;
        Ok(ForkServer { process: starting.finish(Instant::now() + super::ANSWER_WITHIN)? })
    }

    /// Forks the calling process, which must have one thread, as a fork server.
    pub(super) fn fork(_executable: &Executable, preload: Option<fn()>) -> Result<ForkServer, StartError> {
        let threads = process::thread_count().unwrap_or(0);
        if threads != 1 {
            return Err(StartError::ForkNeedsOneThread { threads });
        }
        let call = |source| StartError::from_call("fork", source);
        let (ours, theirs) = socket::pair().map_err(call)?;
        let driver = process::own_pid();
        // SAFETY: one thread, counted just now by itself.
        let pid = unsafe { process::fork() }.map_err(call)?;
        if pid == 0 {
            drop(ours);
            setup::become_worker();
            process::put_empty_stdin();
            serve_forked(theirs, preload)
        }
        drop(theirs);
        let starting = Starting::adopt(pid, ours, None)?;
        starting.greet(&Hello::new(driver, "fork server", 0), &[])?;
        Ok(ForkServer { process: starting.finish(Instant::now() + super::ANSWER_WITHIN)? })
    }

    /// Has a worker forked and greets it.
    pub(super) fn launch(&mut self, name: &str) -> Result<Starting, StartError> {
        let call = |source| StartError::from_call("making a socket pair", source);
        let (ours, theirs) = socket::pair().map_err(call)?;
        let (pid, reports) = self.request(theirs.as_fd()).map_err(|error| match error {
            Some(source) => StartError::from_call("forking a worker", source),
            None => self.died(),
        })?;
        drop(theirs);
        let parent = if reports.is_some() { self.process.pid } else { process::own_pid() };
        let starting = Starting::adopt(pid, ours, reports)?;
        starting.greet(&Hello::new(parent, name, 0), &[])?;
        Ok(starting)
    }

    /// One request and its answer; the error is None when the server is gone.
    fn request(&self, worker_end: BorrowedFd<'_>) -> Result<(u32, Option<OwnedFd>), Option<io::Error>> {
        socket::send(&self.process.socket, FORK, &[worker_end]).map_err(|_| None)?;
        let mut answer = [0; 8];
        let deadline = Some(Instant::now() + super::ANSWER_WITHIN);
        let packet = socket::recv_deadline(&self.process.socket, &mut answer, deadline).map_err(|_| None)?;
        if packet.len != answer.len() {
            return Err(None);
        }
        match i64::from_ne_bytes(answer) {
            pid @ 1.. => Ok((u32::try_from(pid).map_err(|_| None)?, packet.fds.into_iter().next())),
            errno => Err(Some(io::Error::from_raw_os_error(errno.unsigned_abs() as i32))),
        }
    }

    /// The server does not answer: it is ended, if it has not yet, so that two never serve one pool.
    fn died(&self) -> StartError {
        if self.process.try_reap().is_none() {
            self.process.kill();
        }
        StartError::ServerDied { cause: self.process.reap() }
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
    if let Some(preload) = preload {
        preload();
    }
    serve(socket)
}

fn serve(socket: OwnedFd) -> ! {
    if Ready::send(&socket).is_err() {
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
        let (answer, reports) = match fork_worker() {
            Ok(Forked::Child) => {
                drop(socket);
                drop(children);
                setup::run_worker(worker_end)
            }
            Ok(Forked::Sibling { pid }) => (i64::from(pid), None),
            Ok(Forked::Parent { pid }) => match children.add(pid) {
                Ok(reports) => (i64::from(pid), Some(reports)),
                Err(error) => (-i64::from(error.raw_os_error().unwrap_or(libc::EIO)), None),
            },
            Err(error) => (-i64::from(error.raw_os_error().unwrap_or(libc::EIO)), None),
        };
        drop(worker_end);
        let attached: Vec<BorrowedFd<'_>> = reports.iter().map(AsFd::as_fd).collect();
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
            Ok(0) => return Ok(Forked::Child),
            Ok(pid) => return Ok(Forked::Sibling { pid }),
            // PID 1 of a namespace may not have siblings, and a sandbox may refuse the call.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS)) => {
            }
            Err(error) => return Err(error),
        }
    }
    // SAFETY: one thread, counted above.
    match unsafe { process::fork() }? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent { pid }),
    }
}

/// Tests ask for the second way on machines that allow the first.
fn own_children_only() -> bool {
    cfg!(test) && std::env::var_os("PHALANX_TEST_OWN_CHILDREN").is_some()
}

/// Workers that are the server's own children: it reaps them and reports how they ended.
#[derive(Default)]
struct Children {
    list: Vec<(OwnedFd, OwnedFd)>,
}

impl Children {
    /// Watches a child; returns the end at which the driver will read how it ended.
    fn add(&mut self, pid: u32) -> io::Result<OwnedFd> {
        let (ours, theirs) = socket::pair()?;
        self.list.push((process::pidfd_open(pid)?, ours));
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
/// reap it; a server that died closes the socket.
pub(super) fn read_report(reports: BorrowedFd<'_>) -> Option<ExitCause> {
    let mut words = [0i32; 3];
    let packet = socket::recv(reports, bytemuck::bytes_of_mut(&mut words)).ok()?;
    match (packet.len, words) {
        (12, [0, code, _]) => Some(ExitCause::Exit(code)),
        (12, [1, number, core]) => Some(ExitCause::Signal { number, core_dumped: core != 0 }),
        _ => None,
    }
}
