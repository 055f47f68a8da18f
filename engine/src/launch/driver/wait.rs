//! Waiting for the end of a round, and stopping it if the launch's options ask for that.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::Ordering;
use crate::launch::driver::active::{ActiveLaunch, Stop};
use crate::launch::options::Progress;
use crate::spawn::panic_note::RESOLVING;
use crate::sys::clock::{ticks, yield_core};
use crate::team::current;
use crate::team::orders::{FLAG_REQUIRED, Order};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Checks for the end of a launch before the driver sleeps, if it has a core of its own.
const SPINS: u32 = 20_000;
/// Checks between two yields of a driver without a core of its own.
const LOOKS_PER_YIELD: u32 = 16;
/// Number of launches that sleep at once after a yield that took long.
const CAUTIOUS_LAUNCHES: u32 = 16;
/// How often a waiting driver checks for members that may have missed the launch: a backstop against a board
/// whose words were overwritten by a stray write.
const BACKSTOP: Duration = Duration::from_millis(500);
/// How often a progress callback is called.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

impl ActiveLaunch<'_> {
    /// Waits until no member can touch the operands. Stops the launch if the options ask for that.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant few seconds from now")]
    pub(super) fn wait(&mut self, order: &Order) -> (Option<Stop>, Vec<usize>) {
        let board = self.board;
        let fork_join = board.fork_join(&self.crew.orders);
        if (self.own.is_some() || !self.crew.is_crowded() && self.crew.is_on_spare_core())
            && fork_join.spin_until_over(SPINS)
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
            // Read before the checks below, so that anything they miss wakes the driver.
            let seen = fork_join.news();
            // Pairs with the Release in the engine.
            let ready = self.crew.newcomers.load(Ordering::Acquire);
            if std::mem::replace(&mut newcomers, ready) != ready {
                self.supply();
            }
            if fork_join.is_over() {
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
                // A member that looked up names may have been the last, and finished while we asked.
                if matches!(stop, Some(Stop::TimedOut)) && fork_join.is_over() {
                    return (None, killed);
                }
                if stop.is_some() {
                    board.stop().store(order.epoch, Ordering::Release);
                    kill_at = self.kill_at(stop, now);
                    next_progress = None;
                }
            }
            if kill_at.is_some_and(|at| at <= now) {
                kill_at = None;
                killed = self.crew.kill_unfinished();
            }
            // One that has passed waits for members that look up names, whose end wakes the driver.
            let deadline = self.deadline.filter(|at| stop.is_none() && *at > now);
            let until = [kill_at, next_progress, deadline, Some(next_look)];
            self.cost.system_calls = self.cost.system_calls.saturating_add(1);
            fork_join.wait(seen, until.into_iter().flatten().min());
        }
    }

    /// Checks for members that may have missed the launch. If one must be left out of a launch that needs all
    /// of them, the launch stops.
    #[cold]
    fn look_after(&mut self, order: &Order) {
        self.missed = self.crew.look_after(order.epoch).or(self.missed);
        if self.missed.is_some() && order.flags & FLAG_REQUIRED != 0 {
            self.board.stop().store(order.epoch, Ordering::Release);
        }
    }

    /// Yields this core to the member that waits for it, repeatedly, for as long as members look for
    /// launches. Returns whether the launch is over.
    ///
    /// If all cores have a member, this is the fastest round trip: a futex wake from another core costs an
    /// interrupt (12 us on a virtual machine, 2026-11-20). A yield that takes long means that the launch
    /// takes long, or that other programs share the core and yielding would give them too much of it. The
    /// next launches then sleep instead of yielding.
    fn yield_until_over(&mut self) -> bool {
        let fork_join = self.board.fork_join(&self.crew.orders);
        if *self.caution > 0 {
            *self.caution = self.caution.saturating_sub(1);
            return false;
        }
        let began = ticks();
        while ticks().wrapping_sub(began) < self.crew.patience.ticks {
            if fork_join.spin_until_over(LOOKS_PER_YIELD) {
                return true;
            }
            if yield_core() > self.crew.patience.shared {
                *self.caution = CAUTIOUS_LAUNCHES;
                break;
            }
        }
        fork_join.is_over()
    }

    /// Calls the progress callback. A panic in it must wait, since workers still use what the caller lent.
    fn tell_progress(&mut self) {
        let Some(callback) = self.options.progress.filter(|_| !self.job.rank_bound) else { return };
        let len = self.job.grid.len;
        let chunks = self.bitmap().count().saturating_mul(self.job.unit);
        let done = chunks.saturating_mul(self.job.grid.chunk_len).min(len);
        // Launches made by the callback run inline, since this launch holds the gate.
        let _inside = current::enter_callback();
        let outcome = catch_unwind(AssertUnwindSafe(|| callback(Progress { done, len })));
        self.panic = outcome.err();
    }

    /// When workers that have not stopped by themselves are killed.
    fn kill_at(&self, stop: Option<Stop>, now: Instant) -> Option<Instant> {
        let from = match stop {
            // All the time they need, unless there is a limit to it.
            Some(Stop::Cancelled) if self.drains() => self.deadline?,
            _ => now,
        };
        from.checked_add(self.options.grace)
    }

    pub(super) fn stop_wanted(&self, now: Instant) -> Option<Stop> {
        if self.is_terminated() {
            return Some(Stop::Closed);
        }
        if self.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        self.is_overdue(now).then_some(Stop::TimedOut)
    }

    /// Whether the launch has had its time. What members need to look up the names of a backtrace is not part
    /// of it.
    fn is_overdue(&self, now: Instant) -> bool {
        let Some(deadline) = self.deadline.filter(|at| *at <= now) else { return false };
        let fork_join = self.board.fork_join(&self.crew.orders);
        let epoch = self.board.stop().load(Ordering::Acquire);
        let is_resolving = |rank| self.board.status(rank).resolving.load(Ordering::Acquire) == epoch;
        let resolving = epoch > 0 && fork_join.unfinished().iter().any(is_resolving);
        !resolving || deadline.checked_add(RESOLVING).is_some_and(|at| at <= now)
    }
}
