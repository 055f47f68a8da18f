//! The pool of a driver that leads others: tasks go to other machines as well, and answers come back.
//!
//! Only the thread that leads talks to other machines, by its [`Courier`], whenever it waits for something of
//! the pool, submits or asks. It polls, since messages wake nobody: it looks, yields, and sleeps up to 0.2 ms,
//! which results of this machine end sooner.
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::fork;
use crate::task::calls::discard;
use crate::task::queue::TaskQueue;
use crate::task::queued::QueuedTask;
use crate::task::remote::{Failure, Piece, Remote};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Looks without a pause before the thread that leads yields, and yields before it sleeps.
const SPINS: u32 = 64;
const YIELDS: u32 = 256;
/// Longest sleep between two looks.
pub(crate) const NAP: Duration = Duration::from_micros(200);

/// Brings tasks to other machines, and answers back. Belongs to one thread, the one that leads.
pub(crate) trait Courier {
    /// Sends what may be sent.
    fn send(&self, queue: &Arc<TaskQueue>);
    /// Looks for answers once, and passes them on. Returns whether there was one.
    fn turn(&self, queue: &Arc<TaskQueue>) -> bool;
    /// Nothing has come in this time, for which this thread has waited.
    fn note_silence(&self, silence: Duration);
}

/// With which queue a thread leads, and by which courier.
type Leads = (Arc<TaskQueue>, Rc<dyn Courier>);

thread_local! {
    static LEADS: RefCell<Option<Leads>> = const { RefCell::new(None) };
}

/// Says with which queue this thread leads, and by which courier.
pub(crate) fn set_leads(leads: Option<Leads>) {
    let before = LEADS.with(|own| own.replace(leads));
    drop(before);
}

fn leads() -> Option<Leads> {
    LEADS.try_with(|own| own.try_borrow().ok()?.clone()).ok().flatten().filter(|_| !fork::is_foreign())
}

/// On a thread that leads: waits until `is_done`, or returns false where the deadline passes first. `None` on
/// others.
pub(crate) fn lead_until(deadline: Option<Instant>, is_done: impl Fn() -> bool) -> Option<bool> {
    let (queue, courier) = leads()?;
    Some(queue.wait_and_lead(&*courier, deadline, &is_done))
}

impl TaskQueue {
    /// Makes this the queue of a machine of a cluster. Values travel without handles from here on.
    pub(crate) fn join_cluster(&self, remote: Arc<Remote>) {
        // Once: by whoever made the pool.
        let _first = self.remote.set(remote);
    }

    /// The name of this machine, where it matters.
    pub(crate) fn host(&self) -> &str {
        self.remote.get().map_or("", |remote| &remote.host)
    }

    /// Adds tasks that any machine may run.
    pub(crate) fn submit_anywhere(
        self: &Arc<TaskQueue>,
        remote: &Remote,
        queued_tasks: impl IntoIterator<Item = QueuedTask>,
    ) {
        if self.accepts() {
            remote.push(queued_tasks);
            self.supply();
            if let Some(courier) = self.courier() {
                courier.send(self);
            }
        } else {
            let error = self.closed_error();
            queued_tasks.into_iter().for_each(|queued_task| self.refuse(queued_task, &error));
        }
    }

    /// Gives this machine's workers the next tasks, as far as they have room.
    pub(crate) fn supply(self: &Arc<TaskQueue>) {
        if let Some(remote) = self.remote.get() {
            self.place_some(|here| remote.take_for_here(here, self.crew.active()));
        }
    }

    /// Takes the answer of another machine to a task: results, and items that have none.
    pub(crate) fn answered(
        self: &Arc<TaskQueue>,
        (peer, host): (usize, &str),
        number: u64,
        pieces: Vec<Piece<'_>>,
        failures: Vec<Failure>,
    ) {
        let Some(remote) = self.remote.get() else { return };
        if let Some(queued_task) = remote.take_answered(peer, number) {
            let again = self.report_answer(&queued_task, host, pieces, failures);
            let (paused, at_once): (Vec<_>, Vec<_>) = again.into_iter().partition(|task| task.due.is_some());
            remote.push(at_once);
            self.pause(paused);
            discard(queued_task);
        }
        self.supply();
        self.tell_waiters();
    }

    /// The courier of this thread, if it leads with this pool.
    pub(crate) fn courier(&self) -> Option<Rc<dyn Courier>> {
        self.remote.get()?;
        leads().filter(|(queue, _)| std::ptr::eq(&**queue, self)).map(|(_, courier)| courier)
    }

    /// As [`Self::wait_until`], on the thread that leads.
    pub(crate) fn wait_and_lead(
        self: &Arc<TaskQueue>,
        courier: &dyn Courier,
        deadline: Option<Instant>,
        is_done: &impl Fn() -> bool,
    ) -> bool {
        let (mut idle, mut last) = (0u32, Instant::now());
        loop {
            if is_done() {
                return true;
            }
            let has_moved = self.lead_once(courier);
            // Also a thread that only asks moves things on.
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return is_done();
            }
            if has_moved {
                idle = 0;
                continue;
            }
            idle = idle.saturating_add(1);
            self.rest(idle, is_done);
            if idle >= SPINS {
                let now = Instant::now();
                courier.note_silence(now.saturating_duration_since(last));
                last = now;
            }
        }
    }

    /// Sends, collects and takes an answer. Returns whether something came.
    pub(crate) fn lead_once(self: &Arc<TaskQueue>, courier: &dyn Courier) -> bool {
        courier.send(self);
        let collected = self.collect_for_others();
        courier.turn(self) || collected > 0
    }

    /// Rests between two looks, the longer the more of them were in vain. Results of this machine end a sleep.
    pub(crate) fn rest(&self, looks: u32, is_done: &impl Fn() -> bool) {
        if looks < SPINS {
            return std::hint::spin_loop();
        }
        if looks < YIELDS {
            return std::thread::yield_now();
        }
        let seen = self.board.waiter().seen();
        self.board.be_eager();
        let until = Instant::now().checked_add(NAP);
        self.board.waiter().sleep(seen, until, || is_done() || self.has_arrivals());
        self.board.be_easy();
    }
}
