//! Regions (SPMD): one body runs on all ranks at once.
//!
//! Everything that the ranks do together is a *step* of one counter: a phase, a barrier, a broadcast, an
//! all_reduce, a reduce_chunks, and leaving the body. At each step, every rank publishes what it is about to
//! do and compares that with all others before doing it. A difference is an error on every rank.
//! [`Pool::region`](crate::Pool::region) runs one; [`Team`] has the steps.
//!
//! # Safety
//! An entry is instantiated for the operand type whose wire it receives, as in `launch`.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod claims;
pub(super) mod digest;
mod error;
mod fallible;
mod ghosts;
mod handle;
mod operand;
mod phase;
mod publish;
mod ranks;
pub(crate) mod step;
mod step_kind;
mod team;

pub use error::{BodyError, RegionError};
pub use ghosts::{GhostRows, PhaseGhostHalo};
pub use handle::{RegionMut, RegionRange, RegionRangeMut, RegionRef};
pub use operand::RegionOperand;
pub use phase::{PhaseHalo, PhaseMut, PhaseOperand, PhaseParts, PhasePartsMut, PhaseRef, PhaseWhole};
pub use publish::RegionPublisher;
pub use ranks::Region;
pub use team::Team;

use crate::array::Element;
use crate::code::{NoCapture, conjure};
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix};
use crate::launch::region::ranks::in_team;
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use crate::team::orders::WireBytes;
use std::panic::Location;

impl Launch<'_> {
    /// Runs `body` once on every rank, all at the same time, and returns rank 0's result. See
    /// [`Pool::region`](crate::Pool::region).
    #[track_caller]
    pub fn region<O, R, B>(self, operands: O, body: B) -> Result<R, LaunchError>
    where
        O: RegionOperand,
        R: Element,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync,
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
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync,
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
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync,
    {
        let _carried_by_its_type = body;
        let mut description = Description::default();
        operands.describe(&mut description)?;
        let wire = operands.wire();
        let call = LaunchCall {
            entry: region_entry::<O, R, B>,
            layout: layout::<O, R>(),
            wire: WireBytes::of(&wire),
        };
        self.on_all_ranks(&call, &description, site)
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
    B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, RegionError> + Copy + Send + Sync,
{
    in_team(context, |team, context| {
        context.check_layout(layout::<O, R>())?;
        // SAFETY: the order names this entry, which the driver puts beside a wire of its own type alone; the
        // layout is compared as well. All members run the same build.
        let wire: O::Wire = unsafe { context.wire() };
        // SAFETY: this launch's wire, and we are in the launch; the handles are dropped with this closure.
        let handles = unsafe { O::handle(&wire, context) }?;
        let result = conjure::<B>()(team, handles).map_err(|error| error.to_fault())?;
        team.leave(result).map_err(|error| error.to_fault())
    })
}
