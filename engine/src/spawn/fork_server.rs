//! The fork server: a process with one thread from which workers are forked.
//!
//! # Safety
//! Forking is sound because the process has one thread: an executed server is single-threaded from its start
//! (it is checked before each fork, since a library or `preload` may have made threads; not so where /proc
//! does not tell); a forked one is made only when the caller has one.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::error::StartError;
use super::executable::{Executable, is_drivers_own};
use super::handshake::{Hello, Ready, Role};
use super::mail;
use super::process::WorkerProcess;
use super::setup;
use super::starting::{ANSWER_WITHIN, Starting, Wish};
use crate::code;
use crate::sys::{descriptor, fork, process, socket};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// A request: fork a worker for the socket that comes along. The answer: the process number, or a negative
/// errno; if the worker is the server's own child, with its pidfd and the socket on which its end is
/// reported.
const FORK: &[u8] = b"fork";

/// The answer of a server that now has more than one thread.
const HAS_THREADS: i64 = -(libc::EDEADLK as i64);

/// What a server sends when it has run `preload` and accepts requests. A count of shared objects follows,
/// which must be 0.
const SERVING: &[u8] = b"serving";

const SERVER_NAME: &str = "server";

/// Pidfd of a worker that is the server's own child, and the end at which the report on its death arrives.
type OwnChild = (OwnedFd, OwnedFd);

/// Executes the program again as a fork server.
pub(super) fn spawn(executable: &Executable, preload: Option<fn()>) -> Result<Starting, StartError> {
    let preload = match preload {
        None => 0,
        Some(function) => code::offset_of(function as usize)?.wrapping_add(1),
    };
    executable.spawn(Role::Server, SERVER_NAME, preload)
}

/// Forks the calling process, which must have one thread, as a fork server.
pub(super) fn fork(preload: Option<fn()>) -> Result<Starting, StartError> {
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
        forget_drivers_own();
        serve_forked(theirs, preload)
    }
    drop(theirs);
    let starting = Starting::adopt(pid, ours)?;
    starting.greet(&Hello::new(driver, SERVER_NAME, 0), &[]);
    Ok(starting)
}

/// Takes the variables that are the driver's alone out of a forked environment.
fn forget_drivers_own() {
    for (key, _) in std::env::vars_os().filter(|(key, _)| is_drivers_own(key)) {
        // SAFETY: this process has one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(&key) };
    }
}

/// The state of a server's `preload`.
pub(super) enum Preparation {
    /// It is running, and may take its time.
    UnderWay,
    Done,
    Refused(StartError),
    /// The server is gone.
    Gone,
}

/// Checks whether a server that has answered accepts requests by now.
pub(super) fn preparation(server: &WorkerProcess) -> Preparation {
    let mut buffer = [0; 16];
    let packet = match socket::try_recv(&server.socket, &mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Preparation::UnderWay,
        packet => packet,
    };
    let said = packet.ok().and_then(|packet| buffer[..packet.len].strip_prefix(SERVING));
    match said.map(<[u8; 8]>::try_from) {
        Some(Ok(count)) => match u64::from_ne_bytes(count) as usize {
            0 => Preparation::Done,
            objects => Preparation::Refused(StartError::SharedBeforeFork { objects }),
        },
        _ => Preparation::Gone,
    }
}

/// A worker that was requested from a server.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) wish: Wish,
    pub(super) ours: OwnedFd,
}

/// The driver's handle of a fork server that accepts requests.
#[derive(Debug)]
pub(super) struct ForkServer {
    pub(super) process: WorkerProcess,
    /// Requests it has not answered yet, in the order of the answers.
    pub(super) asked: VecDeque<Asked>,
    /// When it was last asked with nothing to answer, or answered.
    heard: Instant,
}

/// A server's answer.
pub(super) enum Answer {
    /// No answer yet.
    Nothing,
    Forked(Wish, Result<Starting, StartError>),
    /// It has more than one thread, and does not fork.
    HasThreads(Wish),
    /// It is gone, or does not answer.
    Gone,
}

/// Why a server cannot be asked now.
pub(super) enum Unasked {
    /// Its socket is full.
    Full,
    Gone,
    Refused(StartError),
}

impl ForkServer {
    pub(super) fn of(process: WorkerProcess) -> ForkServer {
        ForkServer { process, asked: VecDeque::new(), heard: Instant::now() }
    }

    /// Requests a worker. The answer comes by [`Self::hear`].
    pub(super) fn ask(&mut self, wish: Wish) -> Result<(), (Wish, Unasked)> {
        let (ours, theirs) = match socket::pair() {
            Ok(pair) => pair,
            Err(source) => {
                let error = StartError::from_call("making a socket pair", source);
                return Err((wish, Unasked::Refused(error)));
            }
        };
        match socket::try_send(&self.process.socket, FORK, &[theirs.as_fd()]) {
            Ok(()) => {}
            Err(error) if mail::is_full(&error) => return Err((wish, Unasked::Full)),
            Err(_) => return Err((wish, Unasked::Gone)),
        }
        if self.asked.is_empty() {
            self.heard = Instant::now();
        }
        self.asked.push_back(Asked { wish, ours });
        Ok(())
    }

    /// When it must have answered, if there is a request.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment after one that was")]
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.asked.is_empty()).then(|| self.heard + ANSWER_WITHIN)
    }

    /// Takes one answer. Never waits.
    pub(super) fn hear(&mut self) -> Answer {
        let mut answer = [0; 8];
        let packet = match socket::try_recv(&self.process.socket, &mut answer) {
            Ok(packet) if packet.len == answer.len() => packet,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let is_late = self.due().is_some_and(|due| Instant::now() >= due);
                return if is_late { Answer::Gone } else { Answer::Nothing };
            }
            _ => return Answer::Gone,
        };
        let Some(Asked { wish, ours }) = self.asked.pop_front() else { return Answer::Gone };
        self.heard = Instant::now();
        match i64::from_ne_bytes(answer) {
            pid @ 1.. => {
                let mut fds = packet.fds.into_iter();
                let started = self.greeted(pid as u32, fds.next().zip(fds.next()), ours, &wish.name);
                Answer::Forked(wish, started)
            }
            HAS_THREADS => Answer::HasThreads(wish),
            errno => {
                let source = io::Error::from_raw_os_error(errno.unsigned_abs() as i32);
                Answer::Forked(wish, Err(StartError::from_call("forking a worker", source)))
            }
        }
    }

    fn greeted(
        &self,
        pid: u32,
        own_child: Option<OwnChild>,
        ours: OwnedFd,
        name: &str,
    ) -> Result<Starting, StartError> {
        let parent = if own_child.is_some() { self.process.pid } else { process::own_pid() };
        let starting = match own_child {
            None => Starting::adopt(pid, ours)?,
            Some((pidfd, reports)) => Starting::of_server(pid, pidfd, ours, reports),
        };
        starting.greet(&Hello::new(parent, name, 0), &[]);
        Ok(starting)
    }
}

/// A worker that a server may have forked before it died, without announcing it. The worker announces itself.
#[derive(Debug)]
pub(super) struct Unannounced {
    pub(super) socket: OwnedFd,
}

impl Unannounced {
    pub(super) fn greet(socket: OwnedFd) -> Unannounced {
        let _nobody_there = Hello::new(process::own_pid(), "orphan", 0).send(&socket, &[]);
        Unannounced { socket }
    }

    /// The process, if there is one; an error if the other end has no holder. `None` while that is unknown.
    pub(super) fn look(&self) -> Option<Result<u32, ()>> {
        let mut buffer = [0; 256];
        match socket::try_recv(&self.socket, &mut buffer) {
            Ok(packet) => {
                let ready = Ready::read(&buffer[..packet.len]);
                Some(ready.and_then(|ready| u32::try_from(ready.pid).ok()).ok_or(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(Err(())),
        }
    }
}

/// The server's life if the program was executed again.
pub(super) fn serve_executed(socket: OwnedFd) -> ! {
    let hello = setup::greeted(socket.as_fd());
    setup::answer(socket.as_fd());
    // SAFETY: the driver sent the distance of a `fn()` in its build. This is the file that the driver runs,
    // by its descriptor; where /proc is missing, by its name, and only the marker says that it is the same
    // build.
    let preload = hello.preload.checked_sub(1).and_then(|at| unsafe { code::function_at::<fn()>(at) });
    if let Some(preload) = preload {
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
            Err(error) => i64::from(error.raw_os_error().unwrap_or(libc::EIO)).wrapping_neg(),
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
        // SAFETY: one thread, counted above where /proc tells; the word was asked for just now.
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
    // SAFETY: one thread, counted above where /proc tells.
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
    /// Watches a child, and returns what the driver needs to watch it too. A child that cannot be watched is
    /// killed.
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
