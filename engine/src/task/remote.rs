//! Tasks that other machines may run as well: those that wait for a machine, and those that one has.
//!
//! A pool that leads others has one [`Remote`]. What is submitted waits here, and goes to the board of this
//! machine or to another machine, whichever has room: each has a window of two tasks a worker, so that little
//! is bound to a machine before its time. The [`Courier`] of the thread that leads brings tasks to the others,
//! and their answers back.
//!
//! Locks: the queue's books first, then the state here.
#![deny(clippy::arithmetic_side_effects)]

use crate::task::calls::discard;
use crate::task::error::{ItemFault, TaskError};
use crate::task::queue::{TaskQueue, is_same};
use crate::task::queued::{QueuedTask, Receiver};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tasks that a machine has at a time, for each of its workers.
const WINDOW: usize = 2;
/// Looks without a pause before the thread that leads yields, and yields before it sleeps.
const SPINS: u32 = 64;
const YIELDS: u32 = 256;
/// Longest sleep between two looks: messages of other machines wake nobody.
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

thread_local! {
    static LEADS: RefCell<Option<(Arc<TaskQueue>, Rc<dyn Courier>)>> = const { RefCell::new(None) };
}

/// Says with which queue this thread leads, and by which courier.
pub(crate) fn set_leads(leads: Option<(Arc<TaskQueue>, Rc<dyn Courier>)>) {
    let before = LEADS.with(|own| own.replace(leads));
    drop(before);
}

fn leads() -> Option<(Arc<TaskQueue>, Rc<dyn Courier>)> {
    LEADS.try_with(|own| own.try_borrow().ok()?.clone()).ok().flatten()
}

/// On a thread that leads: waits until `is_done`, or returns false where the deadline passes first. `None` on
/// others.
pub(crate) fn lead_until(deadline: Option<Instant>, is_done: impl Fn() -> bool) -> Option<bool> {
    let (queue, courier) = leads()?;
    Some(queue.wait_and_lead(&*courier, deadline, &is_done))
}

/// Another machine.
pub(crate) struct Peer {
    pub(crate) workers: usize,
    /// Tasks that it has.
    tasks: usize,
}

/// What another machine is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) peer: usize,
    pub(crate) number: u64,
    /// Whether what runs is ended as well.
    pub(crate) is_hard: bool,
}

/// Results of some items as another machine has read them off its board.
pub(crate) struct Piece<'a> {
    /// Counted from the task's first.
    pub(crate) first: usize,
    pub(crate) items: usize,
    pub(crate) results: &'a [u8],
    pub(crate) faults: Vec<ItemFault>,
}

/// Items that have no result: the first, counted from the task's first, how many, and why.
pub(crate) type Failure = (usize, usize, TaskError);

pub(crate) struct Remote {
    /// This machine.
    pub(crate) host: Box<str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<QueuedTask>,
    /// Tasks that other machines have, by their numbers, and which machine.
    sent: FxHashMap<u64, (usize, QueuedTask)>,
    last_number: u64,
    peers: Vec<Peer>,
    stops: Vec<Stop>,
}

impl State {
    /// Tasks for which other machines have idle workers.
    fn idle_elsewhere(&self) -> usize {
        self.peers.iter().map(|peer| peer.workers.saturating_sub(peer.tasks)).fold(0, usize::saturating_add)
    }

    /// The machine with the fewest tasks a worker, if its window has room.
    fn next_peer(&self) -> Option<usize> {
        let load = |peer: &Peer| (peer.tasks as f64) / (peer.workers as f64);
        let has_room = |peer: &&(usize, &Peer)| peer.1.tasks < peer.1.workers.saturating_mul(WINDOW);
        let peers = self.peers.iter().enumerate();
        peers.filter(|peer| has_room(&peer)).min_by(|a, b| load(a.1).total_cmp(&load(b.1))).map(|peer| peer.0)
    }

    fn take_waiting(&mut self, is_meant: impl Fn(&QueuedTask) -> bool) -> VecDeque<QueuedTask> {
        let (meant, others) = std::mem::take(&mut self.waiting).into_iter().partition(|task| is_meant(task));
        self.waiting = others;
        meant
    }
}

impl Remote {
    /// For a pool on `host`, beside machines with as many workers as these.
    pub(crate) fn new(host: &str, workers: impl IntoIterator<Item = usize>) -> Arc<Remote> {
        let peers = workers.into_iter().map(|workers| Peer { workers, tasks: 0 }).collect();
        let state = State { peers, ..State::default() };
        Arc::new(Remote { host: host.into(), state: Mutex::new(state) })
    }

    /// Workers of other machines.
    pub(crate) fn workers(&self) -> usize {
        self.state.lock().peers.iter().map(|peer| peer.workers).fold(0, usize::saturating_add)
    }

    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.waiting.is_empty() && state.sent.is_empty()
    }

    fn push(&self, queued_tasks: impl IntoIterator<Item = QueuedTask>) {
        self.state.lock().waiting.extend(queued_tasks);
    }

    /// Takes tasks for this machine, which has `here` of them and so many workers: one for each idle worker,
    /// and beyond that what no idle worker elsewhere waits for.
    fn take_for_here(&self, here: usize, workers: usize) -> Vec<QueuedTask> {
        let mut state = self.state.lock();
        let workers = workers.max(1);
        let idle = workers.saturating_sub(here);
        let spare = state.waiting.len().saturating_sub(idle).saturating_sub(state.idle_elsewhere());
        let ahead = workers.saturating_mul(WINDOW).saturating_sub(here.max(workers)).min(spare);
        let room = idle.saturating_add(ahead).min(state.waiting.len());
        state.waiting.drain(..room).collect()
    }

    /// Takes the next task for another machine, as `encode` has it, with the machine and the task's number.
    /// Tasks that nobody wants any more go into `left`.
    pub(crate) fn take_next(
        &self,
        left: &mut Vec<QueuedTask>,
        encode: impl FnOnce(&QueuedTask) -> Vec<u8>,
    ) -> Option<(usize, u64, Vec<u8>)> {
        let mut state = self.state.lock();
        loop {
            let peer = state.next_peer()?;
            let queued_task = state.waiting.pop_front()?;
            if !queued_task.receiver.is_open() || queued_task.is_cancelled() {
                left.push(queued_task);
                continue;
            }
            let bytes = encode(&queued_task);
            let number = state.last_number.saturating_add(1);
            state.last_number = number;
            let tasks = &mut state.peers[peer].tasks;
            *tasks = tasks.saturating_add(1);
            state.sent.insert(number, (peer, queued_task));
            return Some((peer, number, bytes));
        }
    }

    /// What other machines are to stop.
    pub(crate) fn take_stops(&self) -> Vec<Stop> {
        std::mem::take(&mut self.state.lock().stops)
    }

    /// Has other machines stop what they have of a receiver.
    pub(crate) fn stop(&self, receiver: &Arc<dyn Receiver>, is_hard: bool) {
        let state = &mut *self.state.lock();
        let meant = state.sent.iter().filter(|(_, (_, task))| is_same(&task.receiver, receiver));
        let stops = meant.map(|(number, (peer, _))| Stop { peer: *peer, number: *number, is_hard });
        state.stops.extend(stops);
    }

    pub(crate) fn take_waiting(&self, is_meant: impl Fn(&QueuedTask) -> bool) -> VecDeque<QueuedTask> {
        self.state.lock().take_waiting(is_meant)
    }

    /// Takes everything: nobody runs it any more, or its answers will not be awaited.
    pub(crate) fn take_all(&self) -> Vec<QueuedTask> {
        let mut state = self.state.lock();
        let mut all: Vec<QueuedTask> = std::mem::take(&mut state.waiting).into();
        all.extend(std::mem::take(&mut state.sent).into_values().map(|(_, queued_task)| queued_task));
        all
    }

    fn take_answered(&self, peer: usize, number: u64) -> Option<QueuedTask> {
        let mut state = self.state.lock();
        if let Some(peer) = state.peers.get_mut(peer) {
            peer.tasks = peer.tasks.saturating_sub(1);
        }
        state.sent.remove(&number).map(|(_, queued_task)| queued_task)
    }
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
        let seen = self.board.waiter().count();
        self.board.be_eager();
        let until = Instant::now().checked_add(NAP);
        self.board.waiter().sleep(seen, until, || is_done() || self.has_arrivals());
        self.board.be_easy();
    }
}
