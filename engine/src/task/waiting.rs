//! Which thread takes results off the board: one that waits for a result, or else the queue's collector
//! thread.
//!
//! A waiting thread goes on duty and collects for all others until its own result is there, so that a result
//! takes no detour through another thread. The others follow: they sleep until the thread on duty has
//! delivered something. Time limits are the collector's job, and so is everything while no thread waits.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{Ordering, fence};
use crate::handle::{kept, results};
use crate::spawn::panic_note::RESOLVING;
use crate::sys::clock::{TickRate, ticks, yield_core};
use crate::task::calls::discard;
use crate::task::error::TaskError;
use crate::task::queue::{InFlight, TaskQueue};
use crate::task::queued::{QueuedTask, Receiver, is_same};
use crate::task::slot::TaskStage;
use crate::team::current;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a thread that waits looks before it sleeps, in microseconds: about what a sleep and a wake cost.
const LOOK_US: u64 = 50;
/// Looks without a pause between two yields.
const LOOKS: u32 = 16;
/// Longest sleep: a backstop against a board whose words were overwritten.
const BACKSTOP: Duration = Duration::from_secs(1);

thread_local! {
    /// Its address names this thread.
    static OWN: u8 = const { 0 };
}

fn own_name() -> usize {
    OWN.with(|own| std::ptr::from_ref(own).addr())
}

impl TaskQueue {
    /// Collects until `is_done`; false if the deadline passed first.
    pub(crate) fn wait_until(
        self: &Arc<TaskQueue>,
        deadline: Option<Instant>,
        is_done: impl Fn() -> bool,
    ) -> bool {
        if let Some(courier) = self.courier() {
            return self.wait_and_lead(&*courier, deadline, &is_done);
        }
        let own = own_name();
        loop {
            if is_done() {
                return true;
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return false;
            }
            if self.on_duty.load(Ordering::Relaxed) == own {
                // A type's own code, called while this thread collects, waits itself.
                self.serve_duty(self.until_chores(own, deadline), &is_done);
                continue;
            }
            let until = self.until_chores(own, deadline);
            match self.duty.try_lock() {
                Some(duty) => {
                    self.on_duty.store(own, Ordering::Relaxed);
                    self.serve_duty(until, &is_done);
                    self.on_duty.store(0, Ordering::Relaxed);
                    drop(duty);
                    self.hand_over();
                }
                None => self.follow(until, &is_done),
            }
        }
    }

    /// How long to wait at a time. The collector, if a type's own code makes it wait, must still watch the
    /// clock for others.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    fn until_chores(self: &Arc<TaskQueue>, own: usize, deadline: Option<Instant>) -> Option<Instant> {
        if self.collects.load(Ordering::Relaxed) != own {
            return deadline;
        }
        [self.do_chores(), deadline].into_iter().flatten().min().or(Some(Instant::now() + BACKSTOP))
    }

    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    fn serve_duty(self: &Arc<TaskQueue>, deadline: Option<Instant>, is_done: &impl Fn() -> bool) {
        let patience = TickRate::ticks_in_us(LOOK_US);
        let mut since = ticks();
        loop {
            let seen = self.board.waiter().count();
            if self.collect() > 0 {
                since = ticks();
            }
            let now = deadline.map(|_| Instant::now());
            if is_done() || deadline.zip(now).is_some_and(|(at, now)| now >= at) {
                return;
            }
            if ticks().wrapping_sub(since) < patience {
                for _ in 0..LOOKS {
                    std::hint::spin_loop();
                }
                yield_core();
                continue;
            }
            let backstop = Instant::now() + BACKSTOP;
            let until = deadline.map_or(backstop, |at| at.min(backstop));
            self.board.be_eager();
            self.board.waiter().sleep(seen, Some(until), || is_done() || self.has_arrivals());
            self.board.be_easy();
            since = ticks();
        }
    }

    /// Leaves duty, so that another thread can take it.
    fn hand_over(&self) {
        self.tell_followers();
        if self.board.is_eager() {
            self.board.collector().ring();
        }
    }

    /// Sleeps until the thread on duty has delivered something, or duty is free.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    fn follow(&self, deadline: Option<Instant>, is_done: &impl Fn() -> bool) {
        let backstop = Instant::now() + BACKSTOP;
        let until = deadline.map_or(backstop, |at| at.min(backstop));
        self.followers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.follow.lock();
        if !is_done() && self.duty.is_locked() {
            self.delivered.wait_until(&mut guard, until);
        }
        drop(guard);
        self.followers.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn tell_followers(&self) {
        if self.followers.load(Ordering::SeqCst) > 0 {
            let _in_step = self.follow.lock();
            self.delivered.notify_all();
        }
    }

    /// As [`Self::tell_followers`], and also wakes the thread on duty; called by a thread that is not.
    pub(crate) fn tell_waiters(&self) {
        // Pairs with the fence in `Bell::sleep` and the count in `follow`: either they see what was done, or
        // we see them.
        fence(Ordering::SeqCst);
        self.tell_followers();
        self.board.waiter().ring_if_asleep();
    }

    // ------------------------------------------------------------------------------------------- collector

    /// Starts the collector thread.
    pub(crate) fn start_collector(self: &Arc<TaskQueue>) -> Result<(), TaskError> {
        let queue = Arc::downgrade(self);
        let started = std::thread::Builder::new().name("phalanx collector".into()).spawn(move || {
            // Woken at least once in a while, so that a queue with no other owner is released.
            while let Some(queue) = queue.upgrade() {
                if queue.is_over.load(Ordering::Acquire) {
                    return;
                }
                queue.collects.store(own_name(), Ordering::Relaxed);
                queue.collect_once();
                discard(queue);
            }
        });
        started.map(drop).map_err(|error| TaskError::NoThread { source: Arc::new(error) })
    }

    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    fn collect_once(self: &Arc<TaskQueue>) {
        let collector = self.board.collector();
        let seen = collector.count();
        let patience = TickRate::ticks_in_us(LOOK_US);
        let mut since = ticks();
        while ticks().wrapping_sub(since) < patience {
            if self.collect_for_others() == 0 {
                if !self.board.is_eager() {
                    break;
                }
                yield_core();
            } else {
                since = ticks();
            }
        }
        if self.has_newcomers.swap(false, Ordering::AcqRel) {
            self.equip_newcomers();
        }
        self.audit();
        let backstop = Instant::now() + BACKSTOP;
        let until = self.do_chores().map_or(backstop, |at| at.min(backstop));
        collector.sleep(seen, Some(until), || {
            self.deaths.are_new()
                || self.has_newcomers.load(Ordering::Acquire)
                || self.board.is_eager() && !self.duty.is_locked() && self.has_arrivals()
        });
    }

    /// Does what is due by the clock. Returns when to look again.
    fn do_chores(self: &Arc<TaskQueue>) -> Option<Instant> {
        [self.end_overdue(), self.queue_due()].into_iter().flatten().min()
    }

    /// Queues tasks whose pause is over, and drops those that nobody wants any more. Returns when the next one
    /// is due.
    fn queue_due(self: &Arc<TaskQueue>) -> Option<Instant> {
        let mut left = Vec::new();
        let (placed, next) = {
            let mut books = self.books.lock();
            if books.paused.is_empty() {
                return None;
            }
            let now = Instant::now();
            let is_due = |queued_task: &QueuedTask| {
                queued_task.due.is_none_or(|at| at <= now) || !queued_task.receiver.is_open()
            };
            let (due, others) = std::mem::take(&mut books.paused).into_iter().partition::<Vec<_>, _>(is_due);
            books.paused = others;
            books.backlog.extend(due);
            let next = books.paused.iter().filter_map(|queued_task| queued_task.due).min();
            (self.refill(&mut books, &mut left), next)
        };
        self.call_out(placed);
        if !left.is_empty() {
            self.leave(left);
            self.tell_waiters();
        }
        next
    }

    /// Ends tasks that have exceeded their time limit. Returns when to check again.
    fn end_overdue(self: &Arc<TaskQueue>) -> Option<Instant> {
        let now = Instant::now();
        let (mut next, mut overdue) = (None::<Instant>, Vec::new());
        {
            let books = self.books.lock();
            if books.timed == 0 {
                return None;
            }
            for (index, in_flight) in books.in_flight.iter().enumerate() {
                let Some((in_flight, limit)) =
                    in_flight.as_ref().and_then(|f| Some((f, f.queued_task.limit?)))
                else {
                    continue;
                };
                let state = self.board.state(index);
                // Before its clock: an item that begins in between has a fresh one.
                let reading = self.board.slot(index).reading.load(Ordering::Acquire);
                let is_resolving = self.board.slot(index).resolving.load(Ordering::Acquire) != 0;
                let allowed = if is_resolving { limit.saturating_add(RESOLVING) } else { limit };
                let ran = match state.stage() {
                    Some(TaskStage::Running) if in_flight.queued_task.verdict.is_none() => {
                        self.ran(index, in_flight)
                    }
                    Some(TaskStage::Queued) => Duration::ZERO,
                    _ => continue,
                };
                match allowed.checked_sub(ran).filter(|left| !left.is_zero()) {
                    None => overdue.push((index, limit, reading)),
                    // A limit beyond the clock's range is no limit.
                    Some(left) => {
                        // The next item's limit may be over first.
                        let at = now.checked_add(left.min(limit).max(Duration::from_micros(100)));
                        next = [next, at].into_iter().flatten().min();
                    }
                }
            }
        }
        for (index, limit, reading) in overdue {
            let still_running = !self.can_kill();
            self.condemn(
                index,
                TaskError::TimedOut { item: 0, host: self.host().into(), limit, still_running },
                Some(reading),
            );
        }
        next
    }

    // ------------------------------------------------------------------------------------------- ends

    /// Ends the task in that slot, which runs: its member process is killed; a thread is asked to stop, and
    /// its further items are run elsewhere. With `reading`, only if the item in work is still that one.
    fn condemn(self: &Arc<TaskQueue>, index: usize, verdict: TaskError, reading: Option<u64>) {
        let slot = self.board.slot(index);
        let mut books = self.books.lock();
        let Some(in_flight) = books.in_flight[index].as_mut() else { return };
        let running = self.board.state(index);
        if running.stage() != Some(TaskStage::Running) || in_flight.queued_task.verdict.is_some() {
            return;
        }
        if reading.is_some_and(|reading| !slot.doom(reading)) {
            return;
        }
        slot.stop.store(slot.stop_number(), Ordering::Release);
        in_flight.queued_task.verdict = Some(verdict.clone());
        if self.can_kill() {
            let is_condemned = self.board.change(index, running, running.of(TaskStage::Condemned));
            drop(books);
            // Else it was done in this very moment, and lives on.
            if is_condemned {
                self.crew.kill_member(running.member());
            }
            return;
        }
        in_flight.queued_task.is_told = true;
        let queued_task = &in_flight.queued_task;
        let kept = results::share(std::ptr::from_ref(self.board.slot(index)).addr());
        let account = self.account(index, queued_task);
        let mut settlement = self.settle(queued_task, account, verdict).into_owned(kept);
        let rest = settlement.take_rest();
        let mut left = Vec::new();
        self.put_back(&mut books, rest.into_iter().collect(), &mut left);
        let placed = self.refill(&mut books, &mut left);
        // What is run again counts until it is queued, even if the thread is done with the task by then.
        books.under_way = books.under_way.saturating_add(1);
        drop(books);
        self.call_out(placed);
        let again = settlement.tell(self);
        let mut books = self.books.lock();
        books.under_way = books.under_way.saturating_sub(1);
        self.put_back(&mut books, again, &mut left);
        let placed = self.refill(&mut books, &mut left);
        drop(books);
        self.call_out(placed);
        self.leave(left);
        self.tell_waiters();
    }

    /// Drops a receiver's tasks that wait, and ends those that run.
    pub(crate) fn cancel(self: &Arc<TaskQueue>, receiver: &Arc<dyn Receiver>) {
        let running = self.take_back(receiver);
        if let Some(remote) = self.remote.get() {
            remote.stop(receiver, true);
        }
        running.into_iter().for_each(|index| self.condemn(index, TaskError::Cancelled { item: 0 }, None));
    }

    /// Lets a receiver's tasks wind down: those that wait are refused, and those that run end with the item in
    /// work.
    pub(crate) fn wind_down(self: &Arc<TaskQueue>, receiver: &Arc<dyn Receiver>) {
        let (unbegun, running) = self.take_unbegun(|queued_task| is_same(&queued_task.receiver, receiver));
        {
            let books = self.books.lock();
            for index in running {
                let is_meant = |in_flight: &InFlight| is_same(&in_flight.queued_task.receiver, receiver);
                if books.in_flight[index].as_ref().is_some_and(is_meant) {
                    let slot = self.board.slot(index);
                    slot.stop.store(slot.stop_number(), Ordering::Release);
                }
            }
        }
        if let Some(remote) = self.remote.get() {
            remote.stop(receiver, false);
        }
        let error = TaskError::Cancelled { item: 0 };
        unbegun.into_iter().for_each(|queued_task| self.refuse(queued_task, &error));
        self.pass_on(receiver);
        self.tell_waiters();
    }

    /// Drops a receiver's waiting tasks. Returns the slots of those that run.
    pub(crate) fn take_back(&self, receiver: &Arc<dyn Receiver>) -> Vec<usize> {
        let (dropped, running) = self.take_unbegun(|queued_task| is_same(&queued_task.receiver, receiver));
        dropped.into_iter().for_each(discard);
        if let Some(remote) = self.remote.get() {
            remote.stop(receiver, false);
        }
        running
    }

    /// Takes back the waiting tasks for which `is_meant` holds. Returns the slots of those that run.
    fn take_unbegun(&self, is_meant: impl Fn(&QueuedTask) -> bool) -> (Vec<QueuedTask>, Vec<usize>) {
        let mut running = Vec::new();
        let mut books = self.books.lock();
        let mut taken = Vec::new();
        for index in 0..books.in_flight.len() {
            let Some(in_flight) =
                books.in_flight[index].take_if(|in_flight| is_meant(&in_flight.queued_task))
            else {
                continue;
            };
            let queued = in_flight.queued;
            if self.board.change(index, queued, queued.of(TaskStage::Free)) {
                books.timed = books.timed.saturating_sub(in_flight.queued_task.limit.is_some().into());
                taken.push(in_flight.queued_task);
                self.release(&mut books, index);
            } else {
                // A member was faster.
                books.in_flight[index] = Some(in_flight);
                running.push(index);
            }
        }
        let (meant, others) =
            std::mem::take(&mut books.backlog).into_iter().partition(|queued_task| is_meant(queued_task));
        books.backlog = others;
        taken.extend::<VecDeque<_>>(meant);
        let (meant, others) =
            std::mem::take(&mut books.paused).into_iter().partition(|queued_task| is_meant(queued_task));
        books.paused = others;
        taken.extend::<Vec<_>>(meant);
        if let Some(remote) = self.remote.get() {
            taken.extend(remote.take_waiting(is_meant));
        }
        (taken, running)
    }

    /// Ends everything in a terminated pool now. Waiting tasks are given up. Running ones are told to stop,
    /// and their receivers are informed once they have; where workers are threads, at once.
    pub(crate) fn stop_all(self: &Arc<TaskQueue>) {
        self.close();
        let (unbegun, running) = self.take_unbegun(|_| true);
        self.leave(unbegun);
        running.into_iter().for_each(|index| self.condemn(index, TaskError::PoolClosed, None));
        self.tell_waiters();
    }

    /// Waits until all tasks are done and their callbacks called.
    pub(crate) fn drain(self: &Arc<TaskQueue>) {
        if self.collector.get().is_some() {
            self.wait_until(None, || self.is_over.load(Ordering::Acquire) || self.is_idle());
            self.calls.wait_idle();
        }
    }

    /// Fails the remaining tasks, and lets the collector end. The members are gone.
    pub(crate) fn end(self: &Arc<TaskQueue>) {
        self.close();
        // Behind the gate: code called from here must not wait for it.
        let _telling = current::enter_telling();
        // What members had done before they went.
        while self.collect() > 0 {}
        self.is_over.store(true, Ordering::Release);
        self.fail_all(&TaskError::PoolClosed, true);
        // What members still held of messages.
        kept::sweep_all();
        self.tell_followers();
        self.board.collector().ring();
        self.board.waiter().ring();
    }
}
