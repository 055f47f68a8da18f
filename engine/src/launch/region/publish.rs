//! Publishing from inside a region: the ranks fill one buffer of a snapshot together.
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape, row_elems};
use crate::launch::region::error::RegionError;
use crate::launch::region::phase::PhaseRef;
use crate::launch::region::team::Team;
use crate::shared::Publisher;
use crate::sync::Borrowed;

/// The handle of a [`Publisher`] that the region publishes by (`&mut publisher`).
pub struct RegionPublisher<'w, T: Element, D: Shape> {
    publisher: Borrowed<'w, Publisher<T, D>>,
}

/// What rank 0 tells the others when all buffers are being read.
const NONE: u64 = u64::MAX;

impl<'w, T: Element, D: Shape> RegionPublisher<'w, T, D> {
    pub(crate) fn new(publisher: Borrowed<'w, Publisher<T, D>>) -> RegionPublisher<'w, T, D> {
        RegionPublisher { publisher }
    }

    /// Publishes a copy of an array, or of a range of its rows, as the state after `step`: each rank copies
    /// its own rows. Returns, on every rank, `false` if it was skipped because all buffers are being read;
    /// with one reader that never happens.
    ///
    /// Like a phase, it sees what earlier phases wrote, and all ranks must call it, with the same step and
    /// array. It does not wait for readers. Readers see either the whole publication or none of it, even if
    /// ranks die meanwhile.
    ///
    /// Costs three steps of the team and one copy of each rank's rows, in pieces of 8 bytes (or of an
    /// element's size, if that is smaller), and a system call if a reader sleeps.
    ///
    /// # Errors
    /// - [`RegionError::Publish`]: the array has another shape than the snapshot, or ranks name different
    ///   steps.
    /// - As for [`Team::phase`].
    #[track_caller]
    pub fn publish(
        &mut self,
        team: &mut Team<'_>,
        step: u64,
        from: PhaseRef<'_, T, D>,
    ) -> Result<bool, RegionError> {
        let refused = |why: String| RegionError::Publish { why };
        let (own, shape) = (self.publisher.shape(), from.local.dim.slice());
        if own != shape {
            return Err(refused(format!("the array's shape is {shape:?}, but the snapshot's is {own:?}")));
        }
        let draft = if team.rank() == 0 {
            self.publisher.begin(step).map_err(|error| refused(error.to_string()))?
        } else {
            None
        };
        let index = draft.as_ref().map_or(NONE, |draft| draft.index() as u64);
        let [index, first_step] = team.broadcast(0, [index, step])?;
        if first_step != step {
            let why = format!("rank {} is at step {step}, but rank 0 at {first_step}", team.rank());
            return Err(refused(why));
        }
        if index == NONE {
            return Ok(false);
        }
        let (rows, row) = (from.local.rows(), row_elems(&from.local.dim));
        team.phase((0..rows, from), |(rows, part)| {
            self.publisher.fill(index as usize, rows.start.saturating_mul(row), D::elements(part));
        })?;
        team.barrier()?;
        if let Some(draft) = draft {
            draft.publish();
        }
        Ok(true)
    }
}
