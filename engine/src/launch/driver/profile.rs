//! What one launch cost and did, per worker. Collected only if the pool was asked to keep statistics or a
//! trace.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::base::atomic::Ordering;
use crate::launch::driver::job::Job;
use crate::launch::driver::totals::Cost;
use crate::launch::error::LaunchError;
use crate::sys::clock::ticks;
use crate::team::board::MemberStatus;
use crate::team::crew::Crew;
use crate::team::trace::LaunchNote;
use std::panic::Location;

/// The counters of a status, or what one launch added to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusCounts {
    pub(crate) busy_ticks: u64,
    pub(crate) claim_ticks: u64,
    pub(crate) chunks: u64,
    pub(crate) steals: u64,
}

impl StatusCounts {
    fn of(status: &MemberStatus) -> StatusCounts {
        StatusCounts {
            busy_ticks: status.busy_ticks.load(Ordering::Relaxed),
            claim_ticks: status.claim_ticks.load(Ordering::Relaxed),
            chunks: status.chunks.load(Ordering::Relaxed),
            steals: status.steals.load(Ordering::Relaxed),
        }
    }

    fn since(self, before: StatusCounts) -> StatusCounts {
        StatusCounts {
            busy_ticks: self.busy_ticks.wrapping_sub(before.busy_ticks),
            claim_ticks: self.claim_ticks.wrapping_sub(before.claim_ticks),
            chunks: self.chunks.wrapping_sub(before.chunks),
            steals: self.steals.wrapping_sub(before.steals),
        }
    }
}

/// The figures of a launch that is over.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    pub(crate) site: &'static Location<'static>,
    pub(crate) ticks: u64,
    pub(crate) cost: Cost,
    /// By rank.
    pub(crate) workers: Vec<StatusCounts>,
}

/// The figures of a running launch.
pub(crate) struct Profile {
    began: u64,
    epoch: u64,
    before: Vec<StatusCounts>,
}

fn counts(crew: &Crew) -> Vec<StatusCounts> {
    let board = crew.board();
    (0..crew.size).map(|rank| StatusCounts::of(board.status(rank))).collect()
}

impl Profile {
    /// Reads the counters before a launch. `epoch` is the last launch's.
    #[cold]
    pub(crate) fn begin(crew: &Crew, epoch: u64) -> Profile {
        Profile { before: counts(crew), epoch, began: ticks() }
    }

    /// Reads the counters after the launch.
    #[cold]
    pub(crate) fn end(
        self,
        crew: &Crew,
        job: &Job<'_>,
        epoch: u64,
        cost: Cost,
        outcome: &Result<(), LaunchError>,
    ) -> Detail {
        let end = ticks();
        if let Some(trace) = &crew.trace {
            trace.note_launch(LaunchNote {
                site: job.site,
                epochs: Span::new(
                    (self.epoch as usize).saturating_add(1),
                    (epoch as usize).saturating_add(1),
                ),
                len: job.grid.len,
                begin: self.began,
                end,
                failure: outcome.as_ref().err().map(ToString::to_string),
            });
        }
        let workers =
            counts(crew).into_iter().zip(self.before).map(|(now, before)| now.since(before)).collect();
        Detail { site: job.site, ticks: end.wrapping_sub(self.began), cost, workers }
    }
}
