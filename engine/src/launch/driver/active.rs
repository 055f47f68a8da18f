//! A running launch: its rounds, from the first order to the result.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::code;
use crate::launch::cancel::{CancelGuard, CancelToken};
use crate::launch::driver::job::Job;
use crate::launch::driver::totals::Cost;
use crate::launch::error::{Death, LaunchError};
use crate::launch::member::bitmap::Bitmap;
use crate::launch::options::Options;
use crate::launch::region::digest::Key;
use crate::launch::schedule::{self, Schedule};
use crate::team::board::{Board, MAX_CHUNKS};
use crate::team::crew::Crew;
use crate::team::fork_join::Presence;
use crate::team::gate::Phase;
use crate::team::member::Member;
use crate::team::orders::{FLAG_RANK_BOUND, FLAG_REPAIR, FLAG_REQUIRED, FLAG_SEATED, FLAG_WATCHED, Order};
use crate::team::state;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// Number of consecutive rounds in which workers died and no chunk was completed, after which a launch gives
/// up the rest.
const MAX_BARREN: u32 = 3;

/// Why a launch was stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The pool was terminated.
    Closed,
    TimedOut,
    Cancelled,
    /// The progress callback panicked.
    Panicked,
}

/// A running launch.
pub(crate) struct ActiveLaunch<'a> {
    pub(crate) crew: &'a Arc<Crew>,
    pub(crate) board: Board,
    pub(crate) options: &'a Options<'a>,
    pub(crate) job: &'a Job<'a>,
    /// The driver's own member, if it takes part.
    pub(crate) own: Option<&'a mut Member>,
    /// Number of launches that sleep at once instead of yielding first.
    pub(crate) caution: &'a mut u32,
    /// Number of the last launch. Incremented by each round.
    pub(crate) epoch: &'a mut u64,
    pub(crate) cost: Cost,
    /// Number of workers that were ready when the round was opened.
    pub(crate) newcomers: u64,
    /// A rank that was left out of the round because the words that call it were overwritten.
    pub(crate) missed: Option<usize>,
    /// The launch's time limit.
    pub(crate) deadline: Option<Instant>,
    /// The progress callback's panic, to be resumed when the launch is over and the gate is free.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
}

impl<'a> ActiveLaunch<'a> {
    /// Runs the launch to its end.
    pub(crate) fn run(&mut self) -> Result<(), LaunchError> {
        self.check_states(false)?;
        let outcome = self.run_rounds().and_then(|()| self.check_states(true));
        outcome.map_err(|error| match error {
            // Whatever happened to the launch, the termination of its pool is the cause.
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

    pub(super) fn is_terminated(&self) -> bool {
        self.crew.has_reached(Phase::Terminated)
    }

    /// What may cancel the launch: an option, and operands.
    fn tokens(&self) -> impl Iterator<Item = &'a CancelToken> + use<'a> {
        let (options, job) = (self.options, self.job);
        options.cancel.into_iter().chain(&job.description.tokens)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.tokens().any(CancelToken::is_cancelled)
    }

    /// Whether those that have cancelled the launch let what is running finish.
    pub(super) fn drains(&self) -> bool {
        self.tokens().filter(|token| token.is_cancelled()).all(CancelToken::drains)
    }

    fn run_rounds(&mut self) -> Result<(), LaunchError> {
        let watches: Vec<CancelGuard<'_>> = self.tokens().map(|token| token.watch(self.crew)).collect();
        if self.is_cancelled() {
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
            watches.iter().for_each(|watch| watch.opened(order.epoch));
            if let Some(own) = self.own.as_deref_mut() {
                own.deadline = self.deadline;
                own.work(&order);
                if order.flags & FLAG_REQUIRED == 0 {
                    self.board.fork_join(&self.crew.orders).skip_absent(order.epoch);
                }
            }
            let (stop, killed) = self.wait(&order);
            let fallen = self.fallen(deaths_before);
            if let Some(stop) = stop {
                return Err(self.stopped(stop, killed));
            }
            self.take_stock(&fallen, &mut retries_left, &mut deaths, &mut lost);
            if self.job.rank_bound && !fallen.is_empty() {
                // Whatever the other ranks reported, this death was the cause.
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

    /// Returns an error if a state of an operand was lost and that was not reported yet: before the launch,
    /// or at its end (`done`).
    fn check_states(&self, done: bool) -> Result<(), LaunchError> {
        match state::take_losses(&self.job.description.states) {
            0 => Ok(()),
            states => Err(LaunchError::StateLost { site: self.job.site.to_string(), states, done }),
        }
    }

    /// Whether late members may be left out.
    fn presence(&self) -> Presence {
        let required = self.job.rank_bound || self.options.schedule == Schedule::Static;
        if required { Presence::Required } else { Presence::Optional }
    }

    fn order(&self) -> Result<Order, LaunchError> {
        let job = self.job;
        let (schedule, schedule_arg) = self.options.schedule.to_wire();
        let mut flags = 0;
        if self.presence() == Presence::Required {
            flags |= FLAG_REQUIRED;
        }
        if self.job.rank_bound {
            flags |= FLAG_RANK_BOUND;
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

    /// Initialises the words that claims are made on.
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

    /// Turns the order into one for a round that runs only the chunks that are not done.
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
}
