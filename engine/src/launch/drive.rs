//! The driver's side of a launch: rounds, waiting, deaths, time limits.
//!
//! # Safety
//! Orders are written under the gate, after the last launch was over.
#![allow(unsafe_code)]

use crate::base::Span;
use crate::base::atomic::Ordering;
use crate::launch::bitmap::Bitmap;
use crate::launch::describe::Description;
use crate::launch::error::{Death, LaunchError};
use crate::launch::grid::Grid;
use crate::launch::options::{Options, Progress};
use crate::launch::schedule::{self, Schedule};
use crate::launch::scratch::Scratch;
use crate::sys::clock::yield_core;
use crate::team::board::{
    Board, FLAG_MAIL, FLAG_REPAIR, FLAG_REQUIRED, FLAG_SEATED, Fault, FaultKind, MAX_CHUNKS, Order, WireBytes,
};
use crate::team::crew::Crew;
use crate::team::member::{Entry, Member};
use crate::team::muster::{Presence, RankSet};
use crate::team::roster::{Obituary, Roster};
use crate::team::text;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Looks for the end of a launch before the driver sleeps, where it has a core of its own.
const SPINS: u32 = 20_000;
/// Yields of a driver without a core of its own before it sleeps, and looks between two.
const YIELDS: u32 = 8;
const LOOKS_PER_YIELD: u32 = 16;
/// Launches that sleep at once after a yield that took long.
const CAUTIOUS_LAUNCHES: u32 = 16;
/// How long a launch waits for a worker to be replaced before it gives up.
const RESPAWN_WITHIN: Duration = Duration::from_secs(15);
/// How often a progress callback is called.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// A launch, stripped of its types.
pub(crate) struct Job<'a> {
    pub(crate) entry: Entry,
    /// Addresses of the kernel and of a second function (combine), 0 if none.
    pub(crate) kernel: usize,
    pub(crate) combine: usize,
    pub(crate) layout: u64,
    pub(crate) wire: WireBytes<'a>,
    pub(crate) grid: Grid,
    /// Chunks of a claim unit.
    pub(crate) unit: usize,
    /// Every rank has a part that nobody else can do (a region).
    pub(crate) rank_bound: bool,
    pub(crate) scratch: Option<&'a Scratch>,
    pub(crate) description: &'a Description<'a>,
    /// Where the launch was called.
    pub(crate) site: &'static std::panic::Location<'static>,
}

impl Job<'_> {
    fn units(&self) -> usize {
        self.grid.chunks.div_ceil(self.unit)
    }

    fn unit_span(&self, unit: usize) -> Span {
        let last = ((unit + 1) * self.unit).min(self.grid.chunks).saturating_sub(1);
        Span::new(self.grid.span(unit * self.unit).lo, self.grid.span(last).hi)
    }
}

/// What a launch cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// System calls of the driver and those that woke it.
    pub(crate) system_calls: u64,
    /// Bytes sent to make segments known (none in steady state).
    pub(crate) delivery_bytes: u64,
    pub(crate) delivery_calls: u64,
    pub(crate) rounds: u64,
}

impl Cost {
    pub(crate) fn add(&mut self, more: &Cost) {
        self.system_calls += more.system_calls;
        self.delivery_bytes += more.delivery_bytes;
        self.delivery_calls += more.delivery_calls;
        self.rounds += more.rounds;
    }
}

/// Why a launch was told to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    TimedOut,
    Cancelled,
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
}

impl Drive<'_> {
    /// Runs the launch to its end.
    pub(crate) fn run(&mut self) -> Result<(), LaunchError> {
        let began = Instant::now();
        let deadline = self.options.timeout.map(|limit| began + limit);
        let _watch = self.options.cancel.map(|token| token.watch(self.crew));
        let mut order = self.order()?;
        let mut deaths: Vec<Death> = Vec::new();
        let mut lost: Vec<Span> = Vec::new();
        let mut retries_left = self.options.retries;
        self.reset();
        loop {
            *self.epoch += 1;
            order.epoch = *self.epoch;
            self.cost.rounds += 1;
            self.open(&mut order)?;
            if let Some(own) = self.own.as_deref_mut() {
                own.work(&order);
                if order.flags & FLAG_REQUIRED == 0 {
                    self.board.muster(&self.crew.orders).skip_absent(order.epoch);
                }
            }
            let (stop, killed) = self.wait(&order, deadline);
            let obituaries = std::mem::take(&mut self.crew.roster.lock().obituaries);
            let fallen: Vec<Obituary> = obituaries.into_iter().filter(|death| death.in_launch).collect();
            match stop {
                Some(stop) => return Err(self.stopped(stop, killed)),
                None => self.check_faults(order.epoch)?,
            }
            if fallen.is_empty() {
                return if deaths.is_empty() || lost.is_empty() {
                    Ok(())
                } else {
                    Err(LaunchError::WorkerDied { site: self.job.site.to_string(), deaths, lost })
                };
            }
            self.take_stock(&fallen, &mut retries_left, &mut deaths, &mut lost);
            if self.job.rank_bound {
                return Err(LaunchError::WorkerDied { site: self.job.site.to_string(), deaths, lost });
            }
            let done = self.bitmap();
            if done.holes().next().is_none() {
                return if lost.is_empty() {
                    Ok(())
                } else {
                    Err(LaunchError::WorkerDied { site: self.job.site.to_string(), deaths, lost })
                };
            }
            self.prepare_repair(&mut order);
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
        let offset = |address: usize| if address == 0 { Ok(0) } else { text::offset_of(address) };
        let mut flags = 0;
        if self.presence() == Presence::Required {
            flags |= FLAG_REQUIRED;
        }
        if self.own.is_some() {
            flags |= FLAG_SEATED;
        }
        let scratch = job.scratch.map(|scratch| scratch.place());
        Ok(Order {
            entry: text::offset_of(job.entry as usize)?,
            kernel: offset(job.kernel)?,
            combine: offset(job.combine)?,
            layout: job.layout,
            len: job.grid.len as u64,
            chunk_len: job.grid.chunk_len as u64,
            chunks: job.grid.chunks as u64,
            unit: job.unit as u64,
            schedule,
            schedule_arg,
            size: self.crew.size as u32,
            flags,
            scratch_segment: scratch.map_or(0, |place| place.0),
            scratch_offset: scratch.map_or(0, |place| place.1),
            scratch_len: scratch.map_or(0, |place| place.2),
            ..Order::default()
        })
    }

    fn bitmap(&self) -> Bitmap<'_> {
        let words = self.board.bitmap();
        Bitmap::new(words, self.job.units(), self.crew.size)
    }

    /// Sets the words that claims are made on.
    fn reset(&self) {
        if self.job.rank_bound {
            return crate::launch::region::reset(&self.board);
        }
        debug_assert!(self.job.units() <= MAX_CHUNKS);
        let board = self.board;
        schedule::reset(
            self.options.schedule,
            self.job.units(),
            self.crew.size,
            board.ranges(),
            board.cursor(),
        );
        self.bitmap().clear();
    }

    /// Turns the order into one for a round that runs only what is not done.
    fn prepare_repair(&self, order: &mut Order) {
        let board = self.board;
        schedule::reset(Schedule::Stealing, self.job.units(), self.crew.size, board.ranges(), board.cursor());
        (order.schedule, order.schedule_arg) = Schedule::Stealing.to_wire();
        order.flags = (order.flags & !FLAG_REQUIRED) | FLAG_REPAIR;
    }

    /// Waits for the members, makes the segments known to them, and opens the launch.
    fn open(&mut self, order: &mut Order) -> Result<(), LaunchError> {
        let crew = self.crew;
        let board = self.board;
        let mut roster = crew.roster.lock();
        let members = self.members(&mut roster, order.flags & FLAG_REPAIR != 0)?;
        roster.obituaries.clear();
        let scratch = self.job.scratch.map(|scratch| scratch.segment());
        let description = self.job.description;
        let segments = description.segments.iter().chain(scratch);
        let delivery = crew.deliver(&mut roster, &members, segments, &description.states);
        self.cost.delivery_bytes += delivery.bytes;
        self.cost.delivery_calls += delivery.system_calls;
        order.flags &= !FLAG_MAIL;
        if std::mem::take(&mut roster.mail) {
            order.flags |= FLAG_MAIL;
        }
        crew.write_order(order, self.job.wire);
        let presence = if order.flags & FLAG_REQUIRED != 0 { Presence::Required } else { Presence::Optional };
        let calls = board.muster(&crew.orders).open(order.epoch, &members, presence);
        self.cost.system_calls += u64::from(calls);
        Ok(())
    }

    /// Who takes part: everybody; in a repair round whoever is there.
    fn members(&self, roster: &mut MutexGuard<'_, Roster>, repair: bool) -> Result<RankSet, LaunchError> {
        let deadline = Instant::now() + RESPAWN_WITHIN;
        loop {
            if let Some(reason) = &roster.broken {
                return Err(LaunchError::PoolBroken { reason: reason.clone() });
            }
            let mut members = match &roster.everyone {
                Some(everyone) => everyone.clone(),
                None if repair => roster.ready(),
                None => RankSet::unknown(),
            };
            if let Some(own) = &self.own {
                if !members.is_unknown() {
                    members.remove(own.rank);
                    return Ok(members);
                }
            } else if !members.is_empty() {
                return Ok(members);
            }
            // A worker is being replaced.
            if self.crew.changed.wait_until(roster, deadline).timed_out() {
                return Err(LaunchError::PoolBroken {
                    reason: "a dead worker was not replaced in time".into(),
                });
            }
        }
    }

    /// Waits until no member can touch the operands; stops the launch where the options say so.
    fn wait(&mut self, order: &Order, deadline: Option<Instant>) -> (Option<Stop>, Vec<usize>) {
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
        while !muster.is_over() {
            let now = Instant::now();
            if stop.is_none() {
                stop = if self.options.cancel.is_some_and(|token| token.is_cancelled()) {
                    Some(Stop::Cancelled)
                } else {
                    deadline.filter(|at| *at <= now).map(|_| Stop::TimedOut)
                };
                if stop.is_some() {
                    board.stop().store(order.epoch, Ordering::Release);
                    kill_at = Some(now + self.options.grace);
                }
            }
            if kill_at.is_some_and(|at| at <= now) {
                kill_at = None;
                killed = self.crew.kill_unfinished().iter().collect();
            }
            if next_progress.is_some_and(|at| at <= now) {
                self.tell_progress();
                next_progress = Some(now + PROGRESS_EVERY);
            }
            let until =
                [kill_at, next_progress, deadline.filter(|_| stop.is_none())].into_iter().flatten().min();
            self.cost.system_calls += 1;
            muster.wait(until);
        }
        (stop, killed)
    }

    /// Gives this core to the member that waits for it, a few times; returns whether the launch is over.
    ///
    /// On a machine whose cores all have a member, this is the shortest way there and back: a futex wake from another core
    /// costs an interrupt (12 us on a virtual machine, 2026-11-20). A yield that takes long says that the launch does, or
    /// that the core is shared with others, to whom yielding would give too much; then launches sleep for a while.
    fn yield_until_over(&mut self) -> bool {
        let muster = self.board.muster(&self.crew.orders);
        if *self.caution > 0 {
            *self.caution -= 1;
            return false;
        }
        for _ in 0..YIELDS {
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

    fn tell_progress(&self) {
        if let Some(callback) = self.options.progress {
            let done = self.bitmap().count();
            let per_unit = self.job.unit * self.job.grid.chunk_len;
            callback(Progress { done: (done * per_unit).min(self.job.grid.len), len: self.job.grid.len });
        }
    }

    fn stopped(&self, stop: Stop, killed: Vec<usize>) -> LaunchError {
        let site = self.job.site.to_string();
        match stop {
            Stop::Cancelled => LaunchError::Cancelled { site, killed },
            Stop::TimedOut => {
                LaunchError::TimedOut { site, limit: self.options.timeout.unwrap_or_default(), killed }
            }
        }
    }

    /// Turns what members reported into an error.
    fn check_faults(&self, epoch: u64) -> Result<(), LaunchError> {
        let board = self.board;
        if board.stop().load(Ordering::Acquire) != epoch {
            return Ok(());
        }
        let faults = (0..self.crew.size).filter_map(|rank| Some((rank, board.fault(rank).read(epoch)?)));
        // The root of a failed region is a panic or a body's error rather than a neighbour that found the team broken.
        let (rank, fault) = faults.min_by_key(|(_, fault)| fault.kind.severity()).unwrap_or((
            0,
            Fault {
                kind: FaultKind::Corrupt,
                lo: 0,
                hi: 0,
                message: "stopped by nobody".into(),
                location: String::new(),
            },
        ));
        let site = self.job.site.to_string();
        Err(match fault.kind {
            FaultKind::Panic => LaunchError::Panicked {
                site,
                rank,
                span: Span::new(fault.lo as usize, fault.hi as usize),
                message: fault.message,
                location: fault.location,
            },
            FaultKind::Body | FaultKind::Broken => LaunchError::Region { site, rank, message: fault.message },
            FaultKind::Corrupt | FaultKind::Attach => {
                LaunchError::Corrupt { site, rank, what: fault.message }
            }
        })
    }

    /// Sorts out what the dead were doing: a running chunk is run again where that is allowed, else lost.
    fn take_stock(
        &self,
        fallen: &[Obituary],
        retries_left: &mut u32,
        deaths: &mut Vec<Death>,
        lost: &mut Vec<Span>,
    ) {
        let done = self.bitmap();
        for death in fallen {
            let unit = death
                .unit
                .map(|unit| unit as usize)
                .filter(|unit| !self.job.rank_bound && *unit < self.job.units() && !done.is_done(*unit));
            let span = unit.map(|unit| self.job.unit_span(unit));
            if let (Some(unit), Some(span)) = (unit, span) {
                if *retries_left > 0 {
                    *retries_left -= 1;
                } else {
                    // Given up: nobody runs it again.
                    done.set(unit);
                    lost.push(span);
                }
            }
            deaths.push(Death { rank: death.rank, pid: death.pid, cause: death.cause, oom: death.oom, span });
        }
    }
}
