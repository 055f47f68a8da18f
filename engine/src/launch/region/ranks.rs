//! What all regions have in common: one launch on all ranks, and how one rank runs its part of it.
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::driver::job::Job;
use crate::launch::error::LaunchError;
use crate::launch::grid::Grid;
use crate::launch::operand::describe::Description;
use crate::launch::region::digest::Key;
use crate::launch::region::error::RegionError;
use crate::launch::region::step::{self, StepStates};
use crate::launch::region::team::Team;
use crate::spawn::panic_note;
use crate::team::board::Board;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use crate::team::step_state::PAYLOAD_BYTES;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

/// The results of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region<R> {
    /// What each rank's body returned, by rank.
    pub results: Vec<R>,
}

impl Launch<'_> {
    /// Runs an entry on every rank, and returns what each left with.
    pub(super) fn on_all_ranks<R: Element>(
        self,
        call: &LaunchCall<'_>,
        description: &Description<'_>,
        site: &'static Location<'static>,
    ) -> Result<Region<R>, LaunchError> {
        const {
            assert!(
                size_of::<R>() <= PAYLOAD_BYTES,
                "a region's result has at most 4096 bytes; write larger ones to an array"
            )
        };
        self.options.check_rank_bound()?;
        let size = self.launcher.team_size();
        let job = Job {
            entry: call.entry,
            layout: call.layout,
            wire: call.wire,
            len: size,
            grid: Grid::with_chunk(size, 1),
            unit: 1,
            rank_bound: true,
            ranks: size,
            steps: true,
            scratch: None,
            description,
            site,
        };
        let mut results = Vec::with_capacity(size);
        self.launcher.launch_then(&self.options, &job, |board| {
            results.extend((0..size).map(|rank| step::left_with::<R>(StepStates::of(board), rank)));
        })?;
        Ok(Region { results })
    }
}

/// Runs one rank's part of a region. If that fails, the rank's step state is poisoned for the others.
pub(super) fn in_team(
    context: &mut LaunchContext<'_>,
    run: impl for<'w> FnOnce(&mut Team<'w>, &mut LaunchContext<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let board = context.member.board;
    let (rank, size) = (context.member.rank, context.order.size as usize);
    let mut team = Team::new(&board, rank, size, Key::new(context.order.step_key), context.member.patience);
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut team, context)));
    let outcome = outcome.unwrap_or_else(|payload| Err(panic_note::take(payload).into()));
    outcome.inspect_err(|_| team.poison())
}

impl<'a> StepStates<'a> {
    /// The step states of a board.
    pub(crate) fn of(board: &'a Board) -> StepStates<'a> {
        StepStates { states: board.steps(), payloads: board.payloads() }
    }
}

impl RegionError {
    pub(super) fn to_fault(&self) -> Fault {
        let kind = match self {
            RegionError::Broken { .. } => FaultKind::Broken,
            _ => FaultKind::Body,
        };
        fault(kind, &self.to_string())
    }
}
