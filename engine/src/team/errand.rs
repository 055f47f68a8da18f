//! Errands: what members do between launches.
//!
//! The team knows nothing of what errands are. A floor above hands it a segment and a function that turns the segment, in
//! each member, into a source of errands; members look into it whenever no launch is open to them, and a launch that opens
//! goes on without a member that is busy with an errand, or waits for it where it needs every rank.

use crate::memory::Segment;
use crate::team::member::Errands;
use crate::team::roster::Obituary;
use std::ptr::NonNull;
use std::sync::Arc;

/// Where a crew's errands come from.
#[derive(Clone)]
pub(crate) struct ErrandPlan {
    /// Mapped by every member, for as long as the crew lives.
    pub(crate) segment: Arc<Segment>,
    /// Runs once in each member.
    pub(crate) open: OpenErrands,
}

/// Makes a member's source of errands.
pub(crate) type OpenErrands = fn(ErrandPlace) -> Box<dyn Errands>;

/// The errands' segment as one member sees it; mapped, readable and writable, for as long as the member lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrandPlace {
    pub(crate) base: NonNull<u8>,
    pub(crate) len_bytes: usize,
    pub(crate) rank: usize,
    pub(crate) size: usize,
}

/// Who, in the driver's process, must know what became of members. Called under the roster's lock: brief, and no launch.
pub(crate) trait Bereaved: Send + Sync {
    /// A member's death is confirmed; what it held is repaired, and it has no successor yet.
    fn died(&self, obituary: &Obituary);
    /// A member serves from now on.
    fn joined(&self);
    /// The team serves no more.
    fn broken(&self);
}
