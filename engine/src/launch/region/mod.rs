//! Regions (SPMD): one body runs on all ranks at once.
//!
//! Everything that the ranks do together is a *step* of one counter: a phase, a barrier, a broadcast, an
//! all_reduce, a reduce_chunks, and leaving the body. At each step, every rank publishes what it is about to
//! do and compares that with all others before doing it. A difference is an error on every rank.
//!
//! # Safety
//! An entry is instantiated for the operand type whose wire it receives, as in `launch`.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

pub(super) mod digest;
mod error;
mod handle;
mod operand;
mod phase;
pub(crate) mod step;
mod step_kind;
mod team;

pub use error::RegionError;
pub use handle::{RegionMut, RegionRange, RegionRangeMut, RegionRef};
pub use operand::RegionOperand;
pub use phase::{PhaseHalo, PhaseMut, PhaseOperand, PhaseParts, PhasePartsMut, PhaseRef, PhaseWhole};
pub use team::Team;

use crate::array::Element;
use crate::code::{NoCapture, conjure};
use crate::launch::builder::Launch;
use crate::launch::driver::job::Job;
use crate::launch::error::LaunchError;
use crate::launch::grid::Grid;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix};
use crate::launch::region::digest::Key;
use crate::launch::region::step::StepStates;
use crate::team::board::Board;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use crate::team::orders::WireBytes;
use crate::team::step_state::PAYLOAD_BYTES;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// The results of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region<R> {
    /// What each rank's body returned, by rank.
    pub results: Vec<R>,
}

impl Launch<'_> {
    /// Runs `body` once on every rank, all at the same time, and returns rank 0's result. See
    /// [`Pool::region`](crate::Pool::region).
    #[track_caller]
    pub fn region<O, R, B>(self, operands: O, body: B) -> Result<R, LaunchError>
    where
        O: RegionOperand,
        R: Element,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<B>::OK };
        let region = self.region_at(operands, body, Location::caller())?;
        Ok(region.results[0])
    }

    /// Like [`Self::region`], but returns every rank's result.
    #[track_caller]
    pub fn region_each<O, R, B>(self, operands: O, body: B) -> Result<Region<R>, LaunchError>
    where
        O: RegionOperand,
        R: Element,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<B>::OK };
        self.region_at(operands, body, Location::caller())
    }

    fn region_at<O, R, B>(
        self,
        operands: O,
        body: B,
        site: &'static Location<'static>,
    ) -> Result<Region<R>, LaunchError>
    where
        O: RegionOperand,
        R: Element,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync + 'static,
    {
        let _carried_by_its_type = body;
        const {
            assert!(
                size_of::<R>() <= PAYLOAD_BYTES,
                "a region's result has at most 4096 bytes; write larger ones to an array"
            )
        };
        let mut description = Description::default();
        operands.describe(&mut description)?;
        self.options.check_rank_bound()?;
        let wire = operands.wire();
        let size = self.launcher.team_size();
        let job = Job {
            entry: region_entry::<O, R, B>,
            layout: layout::<O, R>(),
            wire: WireBytes::of(&wire),
            len: size,
            grid: Grid::with_chunk(size, 1),
            unit: 1,
            rank_bound: true,
            ranks: size,
            steps: true,
            scratch: None,
            description: &description,
            site,
        };
        let mut results = Vec::with_capacity(size);
        self.launcher.launch_then(&self.options, &job, |board| {
            results.extend((0..size).map(|rank| step::left_with::<R>(StepStates::of(board), rank)));
        })?;
        Ok(Region { results })
    }
}

const fn layout<O: RegionOperand, R>() -> u64 {
    mix(mix(O::LAYOUT, Tag::Region as u64), size_of::<R>() as u64)
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn region_entry<O, R, B>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: RegionOperand,
    R: Element,
    B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync + 'static,
{
    let body: B = conjure();
    let board = context.member.board;
    let (rank, size) = (context.member.rank, context.order.size as usize);
    let mut team = Team::new(&board, rank, size, Key::new(context.order.step_key), context.member.patience);
    let outcome = catch_unwind(AssertUnwindSafe(|| -> Result<(), Fault> {
        context.check_layout(layout::<O, R>())?;
        // SAFETY: the order names this entry, which the driver puts beside a wire of its own type alone; the
        // layout is compared as well. All members run the same build.
        let wire: O::Wire = unsafe { context.wire() };
        // SAFETY: this launch's wire, and we are in the launch; the handles are dropped with this closure.
        let handles = unsafe { O::handle(&wire, context) }?;
        let result = body(&mut team, handles).map_err(|error| error.to_fault())?;
        team.leave(result).map_err(|error| error.to_fault())
    }));
    match outcome {
        Ok(outcome) => outcome.inspect_err(|_| team.poison()),
        Err(payload) => {
            team.poison();
            resume_unwind(payload)
        }
    }
}

impl<'a> StepStates<'a> {
    /// The step states of a board.
    pub(crate) fn of(board: &'a Board) -> StepStates<'a> {
        StepStates { states: board.steps(), payloads: board.payloads() }
    }
}

impl RegionError {
    fn to_fault(&self) -> Fault {
        let kind = match self {
            RegionError::Broken { .. } => FaultKind::Broken,
            _ => FaultKind::Body,
        };
        fault(kind, &self.to_string())
    }
}
