//! Regions whose bodies may fail: the error of the lowest rank that failed by itself.
//!
//! # Safety
//! An entry is instantiated for the operand type whose wire it receives, as in `launch`. Answers are read
//! after the launch.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::base::{Output, Span};
use crate::code::{NoCapture, conjure};
use crate::launch::answer::answers::{AnswerPlaces, Answers};
use crate::launch::answer::try_error::TryError;
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::grid::Grid;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix};
use crate::launch::region::error::BodyError;
use crate::launch::region::operand::RegionOperand;
use crate::launch::region::ranks::{Region, in_team};
use crate::launch::region::team::Team;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use crate::team::orders::WireBytes;
use std::panic::Location;

impl Launch<'_> {
    /// Runs a body that may fail on every rank, and returns rank 0's result. See
    /// [`Pool::try_region`](crate::Pool::try_region).
    #[track_caller]
    pub fn try_region<O, R, E, B>(self, operands: O, body: B) -> Result<R, TryError<E>>
    where
        O: RegionOperand,
        R: Element,
        E: Output,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, BodyError<E>> + Copy + Send + Sync,
    {
        const { NoCapture::<B>::OK };
        let region = self.try_region_at(operands, body, Location::caller())?;
        Ok(region.results[0])
    }

    /// Like [`Self::try_region`], but returns every rank's result.
    #[track_caller]
    pub fn try_region_each<O, R, E, B>(self, operands: O, body: B) -> Result<Region<R>, TryError<E>>
    where
        O: RegionOperand,
        R: Element,
        E: Output,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, BodyError<E>> + Copy + Send + Sync,
    {
        const { NoCapture::<B>::OK };
        self.try_region_at(operands, body, Location::caller())
    }

    fn try_region_at<O, R, E, B>(
        self,
        operands: O,
        body: B,
        site: &'static Location<'static>,
    ) -> Result<Region<R>, TryError<E>>
    where
        O: RegionOperand,
        R: Element,
        E: Output,
        B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, BodyError<E>> + Copy + Send + Sync,
    {
        let _carried_by_its_type = body;
        let spill = self.launcher.spill()?;
        let answers = Answers(&spill);
        let mut description = Description::default();
        operands.describe(&mut description)?;
        answers.describe(&mut description)?;
        let wire = (operands.wire(), answers.wire());
        let call = LaunchCall {
            entry: try_region_entry::<O, R, E, B>,
            layout: layout::<O, R>(),
            wire: WireBytes::of(&wire),
        };
        let ranks = Grid::with_chunk(self.launcher.team_size(), 1);
        match self.on_all_ranks(&call, &description, site) {
            // SAFETY: the launch is over.
            Err(error @ LaunchError::Region { .. }) => match unsafe { answers.lowest(&ranks, site) }? {
                None => Err(error.into()),
                Some((rank, error)) => Err(TryError::Body { site: site.to_string(), rank: rank.lo, error }),
            },
            outcome => Ok(outcome?),
        }
    }
}

const fn layout<O: RegionOperand, R>() -> u64 {
    mix(mix(O::LAYOUT, Tag::TryRegion as u64), size_of::<R>() as u64)
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn try_region_entry<O, R, E, B>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: RegionOperand,
    R: Element,
    E: Output,
    B: for<'w> Fn(&mut Team<'w>, O::Handle<'w>) -> Result<R, BodyError<E>> + Copy + Send + Sync,
{
    in_team(context, |team, context| {
        context.check_layout(layout::<O, R>())?;
        // SAFETY: the order names this entry, which the driver puts beside a wire of its own type alone; the
        // layout is compared as well. All members run the same build.
        let (wire, place): (O::Wire, [u64; 3]) = unsafe { context.wire() };
        // SAFETY: this launch's wire, and we are in the launch.
        let answers = unsafe { Answers::open(&place, context) }?;
        // SAFETY: as above; the handles are dropped with this closure.
        let handles = unsafe { O::handle(&wire, context) }?;
        match conjure::<B>()(team, handles) {
            Ok(result) => team.leave(result).map_err(|error| error.to_fault()),
            Err(error) => Err(failure(team, answers, error)),
        }
    })
}

/// What a rank reports whose body returned an error.
fn failure<E: Output>(team: &Team<'_>, answers: AnswerPlaces, error: BodyError<E>) -> Fault {
    match (team.broken(), error) {
        // Another rank failed first, whatever this body makes of it.
        (Some(broken), _) => broken.to_fault(),
        (None, BodyError::Region(error)) => error.to_fault(),
        (None, BodyError::Own(error)) => {
            let rank = team.rank();
            answers.offer(rank, Span::new(rank, rank.saturating_add(1)), &error);
            let told = fault(FaultKind::Body, "its body returned an error");
            answers.outcome().err().unwrap_or(told)
        }
    }
}
