//! Tasks that other machines may run as well: those that wait for a machine, and those that one has.
//!
//! A pool that leads others has one [`Remote`]. What is submitted waits here, and goes to the board of this
//! machine or to another machine, whichever has room: each has a window of two tasks a worker, so that little
//! is bound to a machine before its time. `leading` is what the queue does with it.
//!
//! Locks: the queue's books first, then the state here.
#![deny(clippy::arithmetic_side_effects)]

use crate::task::error::{ItemFault, TaskError};
use crate::task::queued::{QueuedTask, Receiver, is_same};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// Tasks that a machine has at a time, for each of its workers.
const WINDOW: usize = 2;
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

    pub(crate) fn push(&self, queued_tasks: impl IntoIterator<Item = QueuedTask>) {
        self.state.lock().waiting.extend(queued_tasks);
    }

    /// Takes tasks for this machine, which has `here` of them and so many workers: one for each idle worker,
    /// and beyond that what no idle worker elsewhere waits for.
    pub(crate) fn take_for_here(&self, here: usize, workers: usize) -> Vec<QueuedTask> {
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

    pub(crate) fn take_answered(&self, peer: usize, number: u64) -> Option<QueuedTask> {
        let mut state = self.state.lock();
        if let Some(peer) = state.peers.get_mut(peer) {
            peer.tasks = peer.tasks.saturating_sub(1);
        }
        state.sent.remove(&number).map(|(_, queued_task)| queued_task)
    }
}
