//! Evaluating a round: members that were left out, faults that members reported, and what dead members were
//! doing.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::base::atomic::Ordering;
use crate::launch::driver::active::{ActiveLaunch, Stop};
use crate::launch::error::{Death, LaunchError};
use crate::team::fault::FaultKind;
use crate::team::orders::{FLAG_REQUIRED, Order};
use crate::team::roster::DeathRecord;
use std::time::Instant;

impl ActiveLaunch<'_> {
    /// Members that died in this round. Takes no lock if none died.
    pub(super) fn fallen(&self, deaths_before: u64) -> Vec<DeathRecord> {
        // Pairs with the Release in `reap_dead`, which counts before it strikes the dead off the launch.
        if self.crew.deaths.load(Ordering::Acquire) == deaths_before {
            return Vec::new();
        }
        let death_records = std::mem::take(&mut self.crew.roster.lock().death_records);
        death_records.into_iter().filter(|death| death.in_launch).collect()
    }

    pub(super) fn worker_died(&self, deaths: Vec<Death>, lost: Vec<Span>) -> LaunchError {
        LaunchError::WorkerDied { site: self.job.site.to_string(), deaths, lost }
    }

    /// Counts everything that is not done as lost, and merges neighbours.
    pub(super) fn give_up_rest(&self, lost: &mut Vec<Span>) {
        for unit in self.bitmap().holes() {
            let span = self.job.unit_span(unit);
            match lost.last_mut() {
                Some(last) if last.hi == span.lo => last.hi = span.hi,
                _ => lost.push(span),
            }
        }
    }

    /// Returns an error if a rank was left out that had its own part, or whose chunks no other rank ran.
    pub(super) fn check_missed(&self, order: &Order) -> Result<(), LaunchError> {
        let Some(rank) = self.missed else { return Ok(()) };
        let needs_all = order.flags & FLAG_REQUIRED != 0;
        // If the launch was stopped, that explains what is not done, and is reported elsewhere.
        let was_stopped = self.board.stop().load(Ordering::Acquire) == order.epoch;
        if !needs_all && (was_stopped || self.bitmap().holes().next().is_none()) {
            return Ok(());
        }
        let what =
            "the words that call it to the launch were overwritten; likely a kernel wrote outside its grants";
        Err(LaunchError::Corrupt { site: self.job.site.to_string(), rank, what: what.into() })
    }

    pub(super) fn stopped(&self, stop: Stop, killed: Vec<usize>) -> LaunchError {
        let site = self.job.site.to_string();
        match stop {
            Stop::Closed => LaunchError::PoolClosed,
            Stop::Cancelled | Stop::Panicked => LaunchError::Cancelled { site, killed },
            Stop::TimedOut => {
                LaunchError::TimedOut { site, limit: self.options.timeout.unwrap_or_default(), killed }
            }
        }
    }

    /// Turns what members reported into an error.
    pub(super) fn check_faults(&self, epoch: u64) -> Result<(), LaunchError> {
        let board = self.board;
        if board.stop().load(Ordering::Acquire) != epoch {
            return Ok(());
        }
        let faults = (0..self.crew.size).filter_map(|rank| Some((rank, board.fault(rank).read(epoch)?)));
        // The root cause of a failed region is a panic or a body's error, not a neighbour that found the team
        // broken.
        let Some((rank, fault)) = faults.min_by_key(|(_, fault)| fault.kind.severity()) else {
            return Err(match self.stop_wanted(Instant::now()) {
                // A token stops the members without the driver, which may have been running chunks itself.
                Some(stop) => self.stopped(stop, Vec::new()),
                None => LaunchError::Corrupt {
                    site: self.job.site.to_string(),
                    rank: 0,
                    what: "it was told to stop, but nobody asked for that; likely a kernel wrote outside its grants".into(),
                },
            });
        };
        // Ranks that a token tells to stop leave at different steps, maybe before the driver looks: not their
        // fault.
        if matches!(fault.kind, FaultKind::Body | FaultKind::Broken)
            && let Some(stop @ (Stop::Closed | Stop::Cancelled)) = self.stop_wanted(Instant::now())
        {
            return Err(self.stopped(stop, Vec::new()));
        }
        let site = self.job.site.to_string();
        Err(match fault.kind {
            FaultKind::Panic => LaunchError::Panicked {
                site,
                rank,
                span: Span::new(fault.lo as usize, fault.hi as usize),
                message: fault.message,
                location: fault.location,
                backtrace: fault.backtrace.resolve().into(),
            },
            FaultKind::Body | FaultKind::Broken => LaunchError::Region { site, rank, message: fault.message },
            FaultKind::Decode => LaunchError::Decode { site, rank, why: fault.message },
            FaultKind::Corrupt | FaultKind::Attach => {
                LaunchError::Corrupt { site, rank, what: fault.message }
            }
            FaultKind::Codec => {
                let span = Span::new(fault.lo as usize, fault.hi as usize);
                LaunchError::Codec { site, span, why: fault.message }
            }
        })
    }

    /// Records what dead members were doing: a running chunk is run again if that is allowed, and is lost
    /// otherwise.
    pub(super) fn take_stock(
        &self,
        fallen: &[DeathRecord],
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
                    *retries_left = retries_left.saturating_sub(1);
                } else {
                    // Marked done so that nobody runs it again.
                    done.set(unit);
                    lost.push(span);
                }
            }
            deaths.push(Death { rank: death.rank, pid: death.pid, cause: death.cause, oom: death.oom, span });
        }
    }
}
