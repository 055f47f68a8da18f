//! The driver's side of a launch: rounds, waiting, deaths, time limits.
//!
//! # Safety
//! Orders are written under the gate, after the last launch, or the last round of this one, was over: what
//! `Crew::write_order` counts on.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::base::atomic::Ordering;
use crate::code;
use crate::launch::bitmap::Bitmap;
use crate::launch::describe::Description;
use crate::launch::error::{Death, LaunchError};
use crate::launch::grid::Grid;
use crate::launch::options::{Options, Progress};
use crate::launch::region::digest::Key;
use crate::launch::region::step::{self, Desks};
use crate::launch::schedule::{self, Schedule};
use crate::launch::scratch::Scratch;
use crate::launch::tally::Cost;
use crate::sys::clock::{ticks, yield_core};
use crate::team::board::{Board, MAX_CHUNKS};
use crate::team::crew::Crew;
use crate::team::current;
use crate::team::gate::Phase;
use crate::team::member::{Entry, Member};
use crate::team::muster::{Presence, RankSet};
use crate::team::orders::{FLAG_REPAIR, FLAG_REQUIRED, FLAG_SEATED, FLAG_WATCHED, Order, WireBytes};
use crate::team::roster::{Obituary, Roster};
use crate::team::state;
use parking_lot::MutexGuard;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Looks for the end of a launch before the driver sleeps, where it has a core of its own.
const SPINS: u32 = 20_000;
/// Looks between two yields of a driver without a core of its own.
const LOOKS_PER_YIELD: u32 = 16;
/// Launches that sleep at once after a yield that took long.
const CAUTIOUS_LAUNCHES: u32 = 16;
/// How long a launch waits for a worker to be replaced before it gives up.
const RESPAWN_WITHIN: Duration = Duration::from_secs(15);
/// How often a waiting driver looks after members that may have lost the launch: a backstop against a board whose words were
/// overwritten by a stray write.
const BACKSTOP: Duration = Duration::from_millis(500);
/// How often a progress callback is called.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// How often a launch that waits for workers looks whether it was cancelled, and whether a worker reads again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Rounds in a row in which workers died and no chunk was done, after which a launch gives up the rest.
const MAX_BARREN: u32 = 3;

/// A launch, stripped of its types.
pub(crate) struct Job<'a> {
    pub(crate) entry: Entry,
    /// Addresses of the kernel and of a second function (combine), 0 if none.
    pub(crate) kernel: usize,
    pub(crate) combine: usize,
    pub(crate) layout: u64,
    pub(crate) wire: WireBytes<'a>,
    /// Units that operands must have.
    pub(crate) len: usize,
    pub(crate) grid: Grid,
    /// Chunks of a claim unit.
    pub(crate) unit: usize,
    /// Every rank has a part that nobody else can do.
    pub(crate) rank_bound: bool,
    /// Members that it was cut for.
    pub(crate) ranks: usize,
    /// The ranks meet in steps (a region).
    pub(crate) steps: bool,
    pub(crate) scratch: Option<&'a Scratch>,
    pub(crate) description: &'a Description<'a>,
    /// Where the launch was called.
    pub(crate) site: &'static std::panic::Location<'static>,
}

impl Job<'_> {
    pub(super) fn units(&self) -> usize {
        self.grid.chunks.div_ceil(self.unit)
    }

    #[expect(clippy::arithmetic_side_effects, reason = "units are of the grid, which is checked")]
    pub(super) fn unit_span(&self, unit: usize) -> Span {
        let last = ((unit + 1) * self.unit).min(self.grid.chunks).saturating_sub(1);
        Span::new(self.grid.span(unit * self.unit).lo, self.grid.span(last).hi)
    }
}

/// Why a launch was told to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The pool was terminated.
    Closed,
    TimedOut,
    Cancelled,
    /// The progress callback panicked.
    Panicked,
}

/// One launch on its way.
pub(crate) struct Drive<'a> {
    pub(crate) crew: &'a Arc<Crew>,
    pub(crate) board: Board,
    pub(crate) options: &'a Options<'a>,
    pub(crate) job: &'a Job<'a>,
    /// The driver's own member, where it takes part.
    pub(crate) own: Option<&'a mut Member>,
    /// Launches that are to sleep at once instead of yielding first.
    pub(crate) caution: &'a mut u32,
    /// Number of the last launch; counted on.
    pub(crate) epoch: &'a mut u64,
    pub(crate) cost: Cost,
    /// Workers that had got ready when the round was opened.
    pub(crate) newcomers: u64,
    /// A rank that was left out of the round, as the words that call it were overwritten.
    pub(crate) missed: Option<usize>,
    /// The launch's time limit.
    pub(crate) deadline: Option<Instant>,
    /// What the progress callback panicked with: to be raised again when the launch is over and the gate is free.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
}

impl Drive<'_> {
    /// Runs the launch to its end.
    pub(crate) fn run(&mut self) -> Result<(), LaunchError> {
        self.check_states(false)?;
        let outcome = self.run_rounds().and_then(|()| self.check_states(true));
        outcome.map_err(|error| match error {
            // Whatever became of it, a pool that is terminated under it is the cause.
            LaunchError::WorkerDied { .. }
            | LaunchError::PoolBroken { .. }
            | LaunchError::Region { .. }
            | LaunchError::Corrupt { .. }
                if self.is_terminated() =>
            {
                LaunchError::PoolClosed
            }
            error => error,
        })
    }

    fn is_terminated(&self) -> bool {
        self.crew.has_reached(Phase::Terminated)
    }

    fn run_rounds(&mut self) -> Result<(), LaunchError> {
        let watch = self.options.cancel.map(|token| token.watch(self.crew));
        if self.options.cancel.is_some_and(|token| token.is_cancelled()) {
            return Err(self.stopped(Stop::Cancelled, Vec::new()));
        }
        if self.job.rank_bound && self.job.ranks != self.crew.active() {
            return Err(LaunchError::Resized { site: self.job.site.to_string() });
        }
        let mut order = self.order()?;
        let mut deaths: Vec<Death> = Vec::new();
        let mut lost: Vec<Span> = Vec::new();
        let mut retries_left = self.options.retries;
        let (mut barren, mut done_before) = (0, 0);
        if !self.job.rank_bound {
            self.reset();
        }
        loop {
            *self.epoch = self.epoch.wrapping_add(1);
            order.epoch = *self.epoch;
            self.cost.rounds = self.cost.rounds.saturating_add(1);
            let deaths_before = self.open(&mut order)?;
            if let Some(watch) = &watch {
                watch.opened(order.epoch);
            }
            if let Some(own) = self.own.as_deref_mut() {
                own.deadline = self.deadline;
                own.work(&order);
                if order.flags & FLAG_REQUIRED == 0 {
                    self.board.muster(&self.crew.orders).skip_absent(order.epoch);
                }
            }
            let (stop, killed) = self.wait(&order);
            let fallen = self.fallen(deaths_before);
            if let Some(stop) = stop {
                return Err(self.stopped(stop, killed));
            }
            self.take_stock(&fallen, &mut retries_left, &mut deaths, &mut lost);
            if self.job.rank_bound && !fallen.is_empty() {
                // Whatever the other ranks made of it, this was the cause.
                return Err(self.worker_died(deaths, lost));
            }
            self.check_missed(&order)?;
            self.check_faults(order.epoch)?;
            if fallen.is_empty() || self.bitmap().holes().next().is_none() {
                return if lost.is_empty() { Ok(()) } else { Err(self.worker_died(deaths, lost)) };
            }
            let done = self.bitmap().count().saturating_sub(lost.len());
            barren = if done == done_before { u32::saturating_add(barren, 1) } else { 0 };
            done_before = done;
            if barren >= MAX_BARREN {
                self.give_up_rest(&mut lost);
                return Err(self.worker_died(deaths, lost));
            }
            self.prepare_repair(&mut order);
        }
    }

    /// An error where a state of an operand was lost, and nobody told so far: before the launch, or by its end, `done`.
    fn check_states(&self, done: bool) -> Result<(), LaunchError> {
        match state::take_losses(&self.job.description.states) {
            0 => Ok(()),
            states => Err(LaunchError::StateLost { site: self.job.site.to_string(), states, done }),
        }
    }

    /// Members that died in this round. No lock where nobody died.
    fn fallen(&self, deaths_before: u64) -> Vec<Obituary> {
        // Pairs with the Release in `bury`, which counts before it strikes the dead off the launch.
        if self.crew.deaths.load(Ordering::Acquire) == deaths_before {
            return Vec::new();
        }
        let obituaries = std::mem::take(&mut self.crew.roster.lock().obituaries);
        obituaries.into_iter().filter(|death| death.in_launch).collect()
    }

    fn worker_died(&self, deaths: Vec<Death>, lost: Vec<Span>) -> LaunchError {
        LaunchError::WorkerDied { site: self.job.site.to_string(), deaths, lost }
    }

    /// Counts all that is not done as lost, neighbours together.
    fn give_up_rest(&self, lost: &mut Vec<Span>) {
        for unit in self.bitmap().holes() {
            let span = self.job.unit_span(unit);
            match lost.last_mut() {
                Some(last) if last.hi == span.lo => last.hi = span.hi,
                _ => lost.push(span),
            }
        }
    }

    /// Whether members that come late may be left out.
    fn presence(&self) -> Presence {
        let required = self.job.rank_bound || self.options.schedule == Schedule::Static;
        if required { Presence::Required } else { Presence::Optional }
    }

    fn order(&self) -> Result<Order, LaunchError> {
        let job = self.job;
        let (schedule, schedule_arg) = self.options.schedule.to_wire();
        let offset = |address: usize| if address == 0 { Ok(0) } else { code::offset_of(address) };
        let mut flags = 0;
        if self.presence() == Presence::Required {
            flags |= FLAG_REQUIRED;
        }
        if self.own.is_some() {
            flags |= FLAG_SEATED;
        }
        if self.crew.is_watched {
            flags |= FLAG_WATCHED;
        }
        let scratch = job.scratch.map(|scratch| scratch.place());
        Ok(Order {
            entry: code::offset_of(job.entry as usize)?,
            kernel: offset(job.kernel)?,
            combine: offset(job.combine)?,
            layout: job.layout,
            len: job.len as u64,
            chunk_len: job.grid.chunk_len as u64,
            chunks: job.grid.chunks as u64,
            unit: job.unit as u64,
            schedule,
            schedule_arg,
            size: self.crew.active() as u32,
            flags,
            scratch_segment: scratch.map_or(0, |place| place.0),
            scratch_offset: scratch.map_or(0, |place| place.1),
            scratch_len: scratch.map_or(0, |place| place.2),
            step_key: Key::of_this_driver(),
            ..Order::default()
        })
    }

    pub(super) fn bitmap(&self) -> Bitmap<'_> {
        let words = self.board.bitmap();
        Bitmap::new(words, self.job.units(), self.crew.active())
    }

    /// Sets the words that claims are made on.
    fn reset(&self) {
        debug_assert!(self.job.units() <= MAX_CHUNKS);
        let board = self.board;
        schedule::reset(
            self.options.schedule,
            self.job.units(),
            self.crew.active(),
            board.ranges(),
            board.cursor(),
        );
        self.bitmap().clear();
    }

    /// Turns the order into one for a round that runs only what is not done.
    fn prepare_repair(&self, order: &mut Order) {
        let board = self.board;
        schedule::reset(
            Schedule::Stealing,
            self.job.units(),
            self.crew.active(),
            board.ranges(),
            board.cursor(),
        );
        (order.schedule, order.schedule_arg) = Schedule::Stealing.to_wire();
        order.flags = (order.flags & !FLAG_REQUIRED) | FLAG_REPAIR;
    }

    /// Waits for the members, makes the segments known to them, and opens the launch. Gives the deaths counted before.
    fn open(&mut self, order: &mut Order) -> Result<u64, LaunchError> {
        let crew = self.crew;
        let board = self.board;
        let mut roster = crew.roster.lock();
        let presence = if order.flags & FLAG_REQUIRED != 0 { Presence::Required } else { Presence::Optional };
        let members = self.equipped(&mut roster, order.flags & FLAG_REPAIR != 0, presence)?;
        if self.job.steps {
            // Under the lock: a death is recorded either before, and its rank has a successor, or after, and breaks the team.
            step::reset(Desks::of(&board));
        }
        roster.obituaries.clear();
        roster.epoch = order.epoch;
        let deaths = crew.deaths.load(Ordering::Relaxed);
        self.newcomers = crew.newcomers.load(Ordering::Relaxed);
        self.missed = None;
        order.mail = roster.mail;
        crew.write_order(order, self.job.wire);
        let calls = board.muster(&crew.orders).open(order.epoch, &members, presence);
        self.cost.system_calls = self.cost.system_calls.saturating_add(calls.into());
        Ok(deaths)
    }

    /// Who takes part, each with all segments of the launch.
    fn equipped(
        &mut self,
        roster: &mut MutexGuard<'_, Roster>,
        repair: bool,
        presence: Presence,
    ) -> Result<RankSet, LaunchError> {
        loop {
            let mut members = self.members(roster, repair)?;
            let scratch = self.job.scratch.map(|scratch| scratch.segment());
            let description = self.job.description;
            let segments = description.segments.iter().chain(scratch);
            let delivery = self.crew.deliver(roster, &members, segments, &description.states);
            self.cost.delivery_bytes = self.cost.delivery_bytes.saturating_add(delivery.bytes);
            self.cost.delivery_calls = self.cost.delivery_calls.saturating_add(delivery.system_calls);
            if let Some((rank, what)) = delivery.refused {
                return Err(LaunchError::Corrupt { site: self.job.site.to_string(), rank, what });
            }
            if delivery.behind.is_empty() {
                return Ok(members);
            }
            delivery.behind.iter().for_each(|rank| members.remove(*rank));
            if presence == Presence::Optional && (!members.is_empty() || self.own.is_some()) {
                return Ok(members);
            }
            // It is stopped, and the launch needs it: it may go on yet.
            if let Some(stop) = self.pause(roster, None) {
                let killed = delivery.behind.into_iter().filter(|rank| roster.slots[*rank].kill());
                return Err(self.stopped(stop, killed.collect()));
            }
        }
    }

    /// Sends successors that the launch waits for what they need. They wait for it, and one that does not get it says so.
    #[cold]
    fn supply(&self) {
        let mut roster = self.crew.roster.lock();
        let members = self.board.muster(&self.crew.orders).unfinished();
        let scratch = self.job.scratch.map(|scratch| scratch.segment());
        let segments = self.job.description.segments.iter().chain(scratch);
        self.crew.deliver(&mut roster, &members, segments, &self.job.description.states);
        // What some have now, not all need have.
        roster.refresh();
    }

    /// Waits for a change in the roster, a little while at most; says if the launch is to end meanwhile.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant few seconds from now")]
    fn pause(&self, roster: &mut MutexGuard<'_, Roster>, until: Option<Instant>) -> Option<Stop> {
        let soon = Instant::now() + LOOK_EVERY;
        let until = [Some(soon), until, self.deadline].into_iter().flatten().min().unwrap_or(soon);
        self.crew.changed.wait_until(roster, until);
        self.stop_wanted(Instant::now())
    }

    pub(super) fn stop_wanted(&self, now: Instant) -> Option<Stop> {
        if self.is_terminated() {
            return Some(Stop::Closed);
        }
        if self.options.cancel.is_some_and(|token| token.is_cancelled()) {
            return Some(Stop::Cancelled);
        }
        self.deadline.filter(|at| *at <= now).map(|_| Stop::TimedOut)
    }

    /// The ranks that are there: everybody; in a repair round whoever serves now.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant few seconds from now")]
    fn members(&self, roster: &mut MutexGuard<'_, Roster>, repair: bool) -> Result<RankSet, LaunchError> {
        let mut give_up_at = None;
        loop {
            if let Some(reason) = &roster.broken {
                return Err(LaunchError::PoolBroken { reason: reason.clone() });
            }
            let there = match &roster.everyone {
                Some(everyone) => Some(everyone.clone()),
                None => repair.then(|| roster.ready()),
            };
            match (there, &self.own) {
                (Some(mut others), Some(own)) => {
                    others.remove(own.rank);
                    return Ok(others);
                }
                (Some(members), None) if !members.is_empty() => return Ok(members),
                _ => {}
            }
            // A worker is being replaced.
            let give_up_at = *give_up_at.get_or_insert_with(|| Instant::now() + RESPAWN_WITHIN);
            if let Some(stop) = self.pause(roster, Some(give_up_at)) {
                return Err(self.stopped(stop, Vec::new()));
            }
            if Instant::now() >= give_up_at {
                let why = roster.hindrance.as_ref().map_or(String::new(), |why| format!(": {why}"));
                let reason = format!("a dead worker was not replaced in time{why}");
                return Err(LaunchError::PoolBroken { reason });
            }
        }
    }

    /// Waits until no member can touch the operands; stops the launch where the options say so.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant few seconds from now")]
    fn wait(&mut self, order: &Order) -> (Option<Stop>, Vec<usize>) {
        let board = self.board;
        let muster = board.muster(&self.crew.orders);
        if (self.own.is_some() || !self.crew.is_crowded() && self.crew.has_spare_core())
            && muster.spin_until_over(SPINS)
        {
            return (None, Vec::new());
        }
        if self.own.is_none() && self.yield_until_over() {
            return (None, Vec::new());
        }
        let (mut stop, mut kill_at, mut killed) = (None, None, Vec::new());
        let mut next_progress = self.options.progress.map(|_| Instant::now() + PROGRESS_EVERY);
        let mut newcomers = self.newcomers;
        let mut next_look = Instant::now() + BACKSTOP;
        loop {
            // Before the looks below, so that what they miss wakes us.
            let seen = muster.news();
            // Pairs with the Release in the engine.
            let ready = self.crew.newcomers.load(Ordering::Acquire);
            if std::mem::replace(&mut newcomers, ready) != ready {
                self.supply();
            }
            if muster.is_over() {
                return (stop, killed);
            }
            let now = Instant::now();
            if next_look <= now {
                next_look = now + BACKSTOP;
                self.look_after(order);
            }
            if stop.is_none() && next_progress.is_some_and(|at| at <= now) {
                next_progress = Some(now + PROGRESS_EVERY);
                self.tell_progress();
            }
            if stop.is_none() {
                stop = self.panic.as_ref().map(|_| Stop::Panicked).or_else(|| self.stop_wanted(now));
                if stop.is_some() {
                    board.stop().store(order.epoch, Ordering::Release);
                    kill_at = now.checked_add(self.options.grace);
                    next_progress = None;
                }
            }
            if kill_at.is_some_and(|at| at <= now) {
                kill_at = None;
                killed = self.crew.kill_unfinished();
            }
            let deadline = self.deadline.filter(|_| stop.is_none());
            let until = [kill_at, next_progress, deadline, Some(next_look)];
            self.cost.system_calls = self.cost.system_calls.saturating_add(1);
            muster.wait(seen, until.into_iter().flatten().min());
        }
    }

    /// Looks after members that may have lost the launch. If one has to be left out of a launch that needs all, the launch stops.
    #[cold]
    fn look_after(&mut self, order: &Order) {
        self.missed = self.crew.look_after(order.epoch).or(self.missed);
        if self.missed.is_some() && order.flags & FLAG_REQUIRED != 0 {
            self.board.stop().store(order.epoch, Ordering::Release);
        }
    }

    /// Gives this core to the member that waits for it, again and again for as long as members look for launches; returns whether
    /// the launch is over.
    ///
    /// On a machine whose cores all have a member, this is the shortest way there and back: a futex wake from another core
    /// costs an interrupt (12 us on a virtual machine, 2026-11-20). A yield that takes long says that the launch does, or
    /// that the core is shared with others, to whom yielding would give too much; then launches sleep for a while.
    fn yield_until_over(&mut self) -> bool {
        let muster = self.board.muster(&self.crew.orders);
        if *self.caution > 0 {
            *self.caution = self.caution.saturating_sub(1);
            return false;
        }
        let began = ticks();
        while ticks().wrapping_sub(began) < self.crew.patience.ticks {
            if muster.spin_until_over(LOOKS_PER_YIELD) {
                return true;
            }
            if yield_core() > self.crew.patience.shared {
                *self.caution = CAUTIOUS_LAUNCHES;
                break;
            }
        }
        muster.is_over()
    }

    /// Calls the progress callback. Its panic must wait: workers still use what the caller lent.
    fn tell_progress(&mut self) {
        let Some(callback) = self.options.progress.filter(|_| !self.job.rank_bound) else { return };
        let len = self.job.grid.len;
        let chunks = self.bitmap().count().saturating_mul(self.job.unit);
        let done = chunks.saturating_mul(self.job.grid.chunk_len).min(len);
        // Launches that the callback makes run inline: the gate is ours.
        let _inside = current::enter_callback();
        let outcome = catch_unwind(AssertUnwindSafe(|| callback(Progress { done, len })));
        self.panic = outcome.err();
    }
}
