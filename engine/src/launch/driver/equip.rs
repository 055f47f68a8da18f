//! Opening a round of a launch: which members take part, and that each has all segments of the launch.
//!
//! # Safety
//! Orders are written under the gate, after the last launch, or the last round of this one, was over.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::Ordering;
use crate::launch::driver::active::{ActiveLaunch, Stop};
use crate::launch::error::LaunchError;
use crate::launch::region::step::{self, StepStates};
use crate::team::fork_join::{Presence, RankSet};
use crate::team::orders::{FLAG_REPAIR, FLAG_REQUIRED, Order};
use crate::team::roster::Roster;
use parking_lot::MutexGuard;
use std::time::{Duration, Instant};

/// How long a launch waits for a worker to be replaced before it gives up.
const RESPAWN_WITHIN: Duration = Duration::from_secs(15);
/// How often a launch that waits for workers checks whether it was cancelled, and whether a worker reads
/// again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl ActiveLaunch<'_> {
    /// Waits for the members, announces the segments to them, and opens the launch. Returns how many deaths
    /// were counted before.
    pub(super) fn open(&mut self, order: &mut Order) -> Result<u64, LaunchError> {
        let crew = self.crew;
        let board = self.board;
        let mut roster = crew.roster.lock();
        let presence = if order.flags & FLAG_REQUIRED != 0 { Presence::Required } else { Presence::Optional };
        let members = self.equipped(&mut roster, order.flags & FLAG_REPAIR != 0, presence)?;
        if self.job.steps {
            // Under the lock: a death is recorded either before, and its rank has a successor, or after, and
            // breaks the team.
            step::reset(StepStates::of(&board));
        }
        roster.death_records.clear();
        roster.epoch = order.epoch;
        let deaths = crew.deaths.load(Ordering::Relaxed);
        self.newcomers = crew.newcomers.load(Ordering::Relaxed);
        self.missed = None;
        order.mail = roster.mail;
        // SAFETY: `Launcher::pass` holds the gate while the launch is on its way, and the round before was
        // waited for.
        unsafe { crew.write_order(order, self.job.wire) };
        let calls = board.fork_join(&crew.orders).open(order.epoch, &members, presence);
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
            // The worker is stopped, and the launch needs it: it may continue later.
            if let Some(stop) = self.pause(roster, None) {
                let killed = delivery.behind.into_iter().filter(|rank| roster.slots[*rank].kill());
                return Err(self.stopped(stop, killed.collect()));
            }
        }
    }

    /// Sends replacement workers what they need for the launch. They wait for it, and report if it does not
    /// arrive.
    #[cold]
    pub(super) fn supply(&self) {
        let mut roster = self.crew.roster.lock();
        let members = self.board.fork_join(&self.crew.orders).unfinished();
        let scratch = self.job.scratch.map(|scratch| scratch.segment());
        let segments = self.job.description.segments.iter().chain(scratch);
        self.crew.deliver(&mut roster, &members, segments, &self.job.description.states);
        // Not all that need it have what some have now.
        roster.refresh();
    }

    /// Waits briefly for a change in the roster. Returns why the launch should end, if it should.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant few seconds from now")]
    fn pause(&self, roster: &mut MutexGuard<'_, Roster>, until: Option<Instant>) -> Option<Stop> {
        let soon = Instant::now() + LOOK_EVERY;
        let until = [Some(soon), until, self.deadline].into_iter().flatten().min().unwrap_or(soon);
        self.crew.changed.wait_until(roster, until);
        self.stop_wanted(Instant::now())
    }

    /// The ranks that take part: all of them, or in a repair round those that serve now.
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
}
