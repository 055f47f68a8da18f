//! What comes back from the board: results, the unfinished tasks of dead members, and requests for room.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::MemberId;
use crate::base::atomic::Ordering;
use crate::handle::{kept, results};
use crate::sys::futex;
use crate::task::calls::discard;
use crate::task::error::TaskError;
use crate::task::heap;
use crate::task::insight::Entry;
use crate::task::queue::{Books, InFlight, TaskQueue};
use crate::task::queued::{EagerGuard, QueuedTask};
use crate::task::serve::{ASKED, GRANTED, REFUSED};
use crate::task::settle::Account;
use crate::task::slot::{TaskStage, Trouble};
use crate::team::gate::Phase;
use crate::team::roster::DeathRecord;
use std::sync::Arc;

/// A room at least doubles with each grant, so no task needs more grants than this.
const MAX_GRANTS: usize = 64;
/// Results taken at a time, so that slots come free while the next are delivered.
const AT_ONCE: usize = 256;

impl TaskQueue {
    /// Takes finished tasks off the board and informs their receivers. Returns how many tasks came back.
    #[expect(clippy::arithmetic_side_effects, reason = "tasks that lie in memory are counted")]
    pub(crate) fn collect(self: &Arc<TaskQueue>) -> usize {
        // Before the results: a dead member has left all that it ever will.
        let deaths = self.deaths.take();
        if self.board.was_asked() {
            self.answer();
        }
        let arrived = self.take_arrivals();
        let mut count = arrived.len();
        let mut rests = Vec::new();
        for (index, in_flight) in &arrived {
            rests.extend(self.deliver(*index, in_flight));
        }
        if let Some(deaths) = deaths {
            count += deaths.iter().map(|death_record| self.reap_dead(death_record)).sum::<usize>();
            if self.is_broken.load(Ordering::Acquire) {
                count += self.fail_all(&self.closed_error(), false);
            }
        }
        if count > 0 {
            self.give_back(arrived.iter().map(|(index, _)| *index), rests);
            // The blocks go back to the shelf.
            arrived.into_iter().for_each(|(_, in_flight)| discard(in_flight));
            self.supply();
            self.tell_followers();
        }
        count
    }

    /// As [`Self::collect`], for a thread that is not on duty: the one that is may be sleeping for what was
    /// collected.
    pub(crate) fn collect_for_others(self: &Arc<TaskQueue>) -> usize {
        let count = self.collect();
        if count > 0 {
            self.tell_waiters();
        }
        count
    }

    /// Frees the slots of finished tasks, and puts tasks on the board: the rest of some, and those that wait.
    fn give_back(self: &Arc<TaskQueue>, slots: impl Iterator<Item = usize>, rests: Vec<QueuedTask>) {
        let mut left = Vec::new();
        let mut kept = Vec::new();
        let placed = {
            let mut books = self.books.lock();
            for index in slots {
                kept.extend(results::take(std::ptr::from_ref(self.board.slot(index)).addr()));
                self.release(&mut books, index);
            }
            self.put_back(&mut books, rests, &mut left);
            self.refill(&mut books, &mut left)
        };
        self.call_out(placed);
        self.leave(left);
        drop(kept);
        kept::sweep_some();
    }

    /// Keeps tasks until they are due.
    pub(crate) fn pause(self: &Arc<TaskQueue>, queued_tasks: Vec<QueuedTask>) {
        if !queued_tasks.is_empty() {
            let mut left = Vec::new();
            self.put_back(&mut self.books.lock(), queued_tasks, &mut left);
            self.leave(left);
        }
    }

    /// Queues what is left of tasks to wait for slots. What no member will run any more goes into `left`, for
    /// [`Self::leave`].
    pub(crate) fn put_back(&self, books: &mut Books, rests: Vec<QueuedTask>, left: &mut Vec<QueuedTask>) {
        let is_over = self.crew.has_reached(Phase::Terminated) || self.is_over.load(Ordering::Acquire);
        for queued_task in rests {
            if is_over || !queued_task.receiver.is_open() || queued_task.is_cancelled() {
                left.push(queued_task);
            } else {
                let eager = queued_task.packed.keep_alive.as_ref().map(|_| EagerGuard::new(self.board));
                let queued_task = QueuedTask { eager, ..queued_task };
                if queued_task.due.is_some() {
                    books.paused.push(queued_task);
                    // It watches the clock.
                    self.board.collector().rouse();
                } else {
                    books.backlog.push_back(queued_task);
                }
            }
        }
    }

    /// Whether members have done tasks that were not taken yet.
    pub(crate) fn has_arrivals(&self) -> bool {
        let books = self.books.lock();
        self.deaths.are_new()
            || books.taken.iter().enumerate().any(|(rank, taken)| match self.board.done_since(rank, *taken) {
                Some(count) => count > 0,
                None => !self.is_broken.load(Ordering::Acquire),
            })
    }

    fn take_arrivals(self: &Arc<TaskQueue>) -> Vec<(usize, InFlight)> {
        let mut arrived = Vec::new();
        let mut books = self.books.lock();
        while let Some(index) = books.strays.pop() {
            arrived.extend(self.take_done(&mut books, index));
        }
        for rank in 0..books.taken.len() {
            let Some(count) = self.board.done_since(rank, books.taken[rank]) else {
                drop(books);
                if !self.is_broken.load(Ordering::Acquire) {
                    self.break_down("a worker has done more tasks than there are");
                }
                return arrived;
            };
            for _ in 0..count {
                if arrived.len() >= AT_ONCE {
                    return arrived;
                }
                let index = self.board.done_slot(rank, books.taken[rank]);
                books.taken[rank] = books.taken[rank].wrapping_add(1);
                arrived.extend(index.and_then(|index| self.take_done(&mut books, index)));
            }
        }
        arrived
    }

    /// Takes a task that its member has done.
    fn take_done(&self, books: &mut Books, index: usize) -> Option<(usize, InFlight)> {
        if self.board.state(index).stage() != Some(TaskStage::Done) {
            return None;
        }
        let in_flight = books.in_flight[index].take()?;
        books.timed = books.timed.saturating_sub(in_flight.queued_task.limit.is_some().into());
        Some((index, in_flight))
    }

    /// Gives a task's receiver its outcome. Returns what is left of a task that did not finish, and what is
    /// run again.
    fn deliver(self: &Arc<TaskQueue>, index: usize, in_flight: &InFlight) -> Vec<QueuedTask> {
        let (slot, queued_task) = (self.board.slot(index), &in_flight.queued_task);
        let items = queued_task.packed.items;
        if let Some(keep_alive) = queued_task.packed.keep_alive.as_ref()
            && keep_alive.is_held()
        {
            let member = MemberId(self.board.state(index).member());
            kept::keep(member, keep_alive);
        }
        // A thread that continued after its time limit: reported long ago.
        if queued_task.is_told {
            return Vec::new();
        }
        let account = match self.account(index, queued_task) {
            Ok(account) if account.done == items => account,
            account => {
                let what = Trouble::text(slot.trouble.load(Ordering::Relaxed)).into();
                let settlement = self.settle(queued_task, account, TaskError::Corrupt { item: 0, what });
                return settlement.tell(self);
            }
        };
        let (began, ended) = (slot.wanted.load(Ordering::Relaxed), slot.ended.load(Ordering::Relaxed));
        let rank = slot.rank.load(Ordering::Relaxed) as usize;
        let worked = ended.saturating_sub(began);
        let ns = worked as f64 * self.rate.ns_per_tick();
        self.costs.note(queued_task.body.key(), items, ns, account.results.len());
        let queued = began.saturating_sub(queued_task.queued);
        self.ledger.lock().note(Entry { rank, first: queued_task.first, items, queued, worked });
        let Account { results, faults, .. } = account;
        if !faults.is_empty() {
            self.costs.note_bad_end(queued_task.body.key());
        }
        self.report(queued_task, items, results, faults, None)
    }

    // ------------------------------------------------------------------------------------------- room

    /// Grants room to members that ask for it.
    #[cold]
    fn answer(&self) {
        let mut books = self.books.lock();
        for (index, in_flight) in books.in_flight.iter_mut().enumerate() {
            let Some(in_flight) = in_flight else { continue };
            let slot = self.board.slot(index);
            // Acquire: pairs with the Release in `ask_for_room`.
            if slot.grant.load(Ordering::Acquire) != ASKED {
                continue;
            }
            let wanted = slot.wanted.load(Ordering::Relaxed) as usize;
            let queued_task = &mut in_flight.queued_task;
            let has_done = slot.items_done.load(Ordering::Relaxed) as usize;
            let makes_sense = has_done <= queued_task.packed.items && queued_task.granted.len() < MAX_GRANTS;
            let room = if makes_sense { heap::take(wanted) } else { Err(heap::no_space(wanted)) };
            let answer = match room {
                Ok(block) => {
                    slot.block.store((block.offset() as u64).wrapping_add(1), Ordering::Relaxed);
                    slot.room.store(block.len() as u64, Ordering::Relaxed);
                    queued_task.granted.push(block);
                    queued_task.refused = None;
                    (queued_task.granted.len() as u32).wrapping_mul(4).wrapping_add(GRANTED)
                }
                Err(source) => {
                    queued_task.refused = Some(Arc::new(source));
                    REFUSED
                }
            };
            // Release: the member that sees the answer sees where the room is.
            slot.grant.store(answer, Ordering::Release);
            futex::wake(&slot.grant, 1);
        }
    }

    // ------------------------------------------------------------------------------------------- death

    /// Handles the tasks of a dead member. Returns how many there were.
    #[cold]
    fn reap_dead(self: &Arc<TaskQueue>, death_record: &DeathRecord) -> usize {
        let mut remains: Vec<(usize, InFlight)> = Vec::new();
        {
            let mut books = self.books.lock();
            for index in 0..books.in_flight.len() {
                if self.board.state(index).is_left_by(death_record.member)
                    && let Some(in_flight) = books.in_flight[index].take()
                {
                    books.timed = books.timed.saturating_sub(in_flight.queued_task.limit.is_some().into());
                    remains.push((index, in_flight));
                }
            }
        }
        let count = remains.len();
        for (index, in_flight) in remains {
            let rest = if self.board.state(index).stage() == Some(TaskStage::Done) {
                self.deliver(index, &in_flight)
            } else {
                let queued_task = &in_flight.queued_task;
                self.settle(queued_task, self.account(index, queued_task), self.died(death_record)).tell(self)
            };
            self.give_back(std::iter::once(index), rest);
            discard(in_flight);
        }
        // A wake-up may have died with it.
        self.call_out(u32::try_from(self.board.waiting()).unwrap_or(u32::MAX));
        count
    }

    /// Fails everything in progress or waiting. Unless the members are gone, the memory of tasks they may
    /// still be running is never reused.
    #[expect(clippy::arithmetic_side_effects, reason = "tasks that lie in memory are counted")]
    pub(crate) fn fail_all(self: &Arc<TaskQueue>, error: &TaskError, are_gone: bool) -> usize {
        let mut kept = Vec::new();
        let (under_way, backlog) = {
            let mut books = self.books.lock();
            let mut under_way = Vec::new();
            for index in 0..books.in_flight.len() {
                if let Some(in_flight) = books.in_flight[index].take() {
                    if are_gone {
                        kept.extend(results::take(std::ptr::from_ref(self.board.slot(index)).addr()));
                    }
                    books.under_way = books.under_way.saturating_sub(1);
                    books.timed = books.timed.saturating_sub(in_flight.queued_task.limit.is_some().into());
                    under_way.push(in_flight);
                }
            }
            let paused = std::mem::take(&mut books.paused);
            (under_way, std::mem::take(&mut books.backlog).into_iter().chain(paused).collect::<Vec<_>>())
        };
        let elsewhere = self.remote.get().map(|remote| remote.take_all()).unwrap_or_default();
        let backlog = backlog.into_iter().chain(elsewhere).collect::<Vec<_>>();
        let count = under_way.len() + backlog.len();
        let queued_tasks = under_way.into_iter().map(|in_flight| in_flight.queued_task).chain(backlog);
        for queued_task in queued_tasks {
            if are_gone {
                self.refuse(queued_task, error);
            } else {
                let (first, items) = (queued_task.first, queued_task.packed.items);
                let error = error.clone().of_item(first);
                self.tell(&queued_task.receiver, |receiver| receiver.fail(first, items, error));
                std::mem::forget(queued_task);
            }
        }
        count
    }

    /// The error of what a dead member ran.
    fn died(&self, death_record: &DeathRecord) -> TaskError {
        if self.crew.has_reached(Phase::Terminated) {
            return TaskError::PoolClosed;
        }
        let DeathRecord { rank, pid, cause, oom, .. } = *death_record;
        TaskError::WorkerDied { item: 0, host: self.host().into(), rank, pid, cause, oom }
    }
}
