//! How a thread waits for all that processes may do: one `poll` of their ends and their sockets, of what is
//! being started, and of a call from another thread.

use super::process::WorkerProcess;
use crate::sys::{descriptor, socket};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long to rest where the kernel cannot say what has happened.
const REST: Duration = Duration::from_millis(10);

/// Ends the wait of the thread that watches.
#[derive(Debug)]
pub(crate) struct Call(OwnedFd);

impl Call {
    pub(crate) fn new() -> io::Result<Call> {
        descriptor::counter().map(Call)
    }

    pub(crate) fn ring(&self) {
        // The counter of an eventfd cannot overflow by ones.
        let _woken = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// What a process has done: died, or sent something, or perhaps so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// Its place among those that are watched.
    pub(crate) index: usize,
    pub(crate) died: bool,
    pub(crate) mail: bool,
}

/// How a wait ended.
pub(crate) struct Happened {
    pub(crate) events: Vec<Event>,
    /// The time was over first.
    pub(crate) timed_out: bool,
}

/// Waits for a death, mail, a call, or news of a start, at most until `limit`.
pub(crate) fn wait(
    call: &Call,
    processes: &[&WorkerProcess],
    starts: &[BorrowedFd<'_>],
    limit: Option<Instant>,
) -> Happened {
    let mut fds = vec![PollFd::new(&call.0, PollFlags::IN)];
    let deaths: Vec<_> = processes.iter().map(|process| process.death()).collect();
    for (process, death) in processes.iter().zip(&deaths) {
        fds.push(PollFd::new(death, PollFlags::IN));
        fds.push(match process.is_silent() {
            false => PollFd::from_borrowed_fd(process.socket.as_fd(), PollFlags::IN),
            // One at its end would be ready for ever, whatever is asked of it.
            true => PollFd::new(&call.0, PollFlags::empty()),
        });
    }
    fds.extend(starts.iter().map(|start| PollFd::new(start, PollFlags::IN)));
    let due = processes.iter().filter_map(|process| process.due());
    let until = due.chain(limit).min().map(socket::left_until);
    let polled = poll(&mut fds, until.as_ref());
    // Out of memory, or more descriptors than the limit allows by now: look at every process, but not without
    // rest. Where a signal came, the next round looks again.
    let all = polled.is_err_and(|errno| errno != Errno::INTR);
    if all {
        std::thread::sleep(REST);
    }
    if fds[0].revents().contains(PollFlags::IN) {
        let _drained = rustix::io::read(&call.0, &mut [0u8; 8]);
    }
    let event = |index: usize, process: &WorkerProcess| Event {
        index,
        died: all || !fds[1 + 2 * index].revents().is_empty() || process.due().is_some(),
        mail: !process.is_silent() && (all || !fds[2 + 2 * index].revents().is_empty()),
    };
    let events = processes.iter().enumerate().map(|(index, process)| event(index, process));
    let events = events.filter(|event| event.died || event.mail).collect();
    Happened { events, timed_out: polled == Ok(0) }
}
