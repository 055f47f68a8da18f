//! The first steps of a new process: what it sets up before it works.
//!
//! # Safety
//! The process is new: executed just now, when start-up functions alone have run, or forked with one thread.
//! An executed one owns descriptors 0 (its socket) and those that the driver names for closing: numbers that
//! came through exec and that nothing in this program knows.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::handshake::{Hello, Ready};
use super::{last_words, worker};
use crate::sys::{descriptor, process};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

// A flag of this process alone, no word of a protocol: it needs no model checking.
static IS_WORKER: AtomicBool = AtomicBool::new(false);

/// The name that the driver chose for this process.
static NAME: OnceLock<String> = OnceLock::new();

/// The name of this worker, as in `worker 3`; `None` in the driver.
pub(crate) fn worker_name() -> Option<&'static str> {
    NAME.get().map(String::as_str)
}

/// Whether this process is a worker or a fork server.
pub(crate) fn is_worker() -> bool {
    // Set before any other thread exists.
    IS_WORKER.load(Ordering::Relaxed)
}

pub(super) fn become_worker() {
    IS_WORKER.store(true, Ordering::Relaxed);
}

/// Moves the socket away from descriptor 0, puts an empty file there, and /dev/null where the driver has
/// closed its output.
pub(super) fn take_stdin() -> OwnedFd {
    // SAFETY: the constructor has seen that descriptor 0 is an open socket.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    // Above the numbers that programs use by habit.
    let Ok(socket) =
        rustix::io::fcntl_dupfd_cloexec(stdin, 64).or_else(|_| rustix::io::fcntl_dupfd_cloexec(stdin, 3))
    else {
        process::exit_now(EXIT_SETUP)
    };
    descriptor::fill_standard();
    socket
}

/// What the name of a process outside any team begins with; `ps` shows the rest.
pub(crate) const OUTSIDE_TEAMS: &str = "process ";

/// Exit status of a process that could not set itself up, or whose driver was gone before it had.
const EXIT_SETUP: i32 = 70;

/// Runs an executed or forked process as a worker. Never returns.
pub(super) fn run_worker(socket: OwnedFd) -> ! {
    let hello = greeted(socket.as_fd());
    // A fork server never sets its own.
    NAME.get_or_init(|| hello.name());
    answer(socket.as_fd());
    #[cfg(test)]
    if let Some(name) = worker_name().filter(|name| name.starts_with("puppet")) {
        super::tests::puppet(name, socket);
    }
    worker::run(socket)
}

/// Waits for the first packet and acts on it: binds this process's life to the driver's, and takes its name.
pub(super) fn greeted(socket: BorrowedFd<'_>) -> Hello {
    let Some((hello, close)) = Hello::recv(socket) else { process::exit_now(EXIT_SETUP) };
    for number in close {
        process::close_inherited(number);
    }
    prepare(hello.parent_pid, &hello.name());
    hello
}

/// Reports to the driver that this process is up, and of which build it is.
pub(super) fn answer(socket: BorrowedFd<'_>) {
    if Ready::send(socket).is_err() {
        process::exit_now(EXIT_SETUP);
    }
}

/// The set-up of a new worker process; ends it if its driver is gone already.
pub(super) fn prepare(parent_pid: u32, name: &str) {
    // First, so that from here on the driver's death is ours. It may have died before: then our parent is
    // another.
    if process::die_with_parent().is_err() || process::parent_pid() != parent_pid {
        process::exit_now(EXIT_SETUP);
    }
    let shown = match name.strip_prefix(OUTSIDE_TEAMS) {
        Some(own) => own.to_string(),
        None => format!("phalanx {}", name.trim_start_matches("worker ")),
    };
    if let Ok(shown) = CString::new(shown) {
        process::set_name(&shown);
    }
    // Ctrl-C goes to the whole group; the driver decides what it means. Swallowed and not ignored, so that
    // programs that a worker executes can be interrupted.
    process::swallow_signal(libc::SIGINT);
    // As batch systems announce the end of a job, to every process of it: `Cluster::should_stop` tells drivers.
    process::swallow_signal(libc::SIGUSR1);
    // As std does at the start of `main`, which does not run here.
    process::ignore_signal(libc::SIGPIPE);
    // A host that ignores SIGCHLD must not change what `Command::status` says in a kernel.
    process::default_signal(libc::SIGCHLD);
    process::unblock_all_signals();
    last_words::install();
    // When memory runs out, a worker is to go and not the driver. Raising it is always allowed; /proc may be
    // missing.
    let _best_effort = std::fs::write("/proc/self/oom_score_adj", "1000");
}
