//! The segments as members in the driver's own process reach them.

use crate::memory::{SegmentId, registry};
use crate::spawn::segments::{Extent, Segments};
use crate::team::state;

/// Segments as members in the driver's own process see them.
pub(crate) struct InProcess;

impl Segments for InProcess {
    fn attach(&mut self, id: u64, _writable: bool) -> Result<Extent, String> {
        // The launch borrows the array, which keeps the segment alive until every member is done.
        let segment = registry::lookup(SegmentId(id)).ok_or_else(|| format!("segment {id} is gone"))?;
        Ok(Extent { base: segment.base().as_ptr(), len_bytes: segment.len_bytes() })
    }

    fn retired_states(&mut self, held: &[u64]) -> Vec<u64> {
        held.iter().copied().filter(|id| !state::is_live(*id)).collect()
    }
}
