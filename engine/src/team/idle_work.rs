//! Idle work: what members do between launches.
//!
//! The team knows nothing of what tasks are. A floor above hands it a segment and a function that turns the
//! segment, in each member, into a source of tasks; members look into it whenever no launch is open to them,
//! and a launch that opens goes on without a member that is busy with a task, or waits for it where it needs
//! every rank.

use crate::memory::Segment;
use crate::team::member::IdleWork;
use crate::team::roster::DeathRecord;
use std::ptr::NonNull;
use std::sync::Arc;

/// Where a crew's tasks come from.
#[derive(Clone)]
pub(crate) struct IdleWorkPlan {
    /// Mapped by every member, for as long as the crew lives.
    pub(crate) segment: Arc<Segment>,
    /// Runs once in each member.
    pub(crate) open: OpenIdleWork,
}

/// Makes a member's source of tasks.
pub(crate) type OpenIdleWork = fn(IdleWorkPlace) -> Box<dyn IdleWork>;

/// The tasks' segment as one member sees it; mapped, readable and writable, for as long as the member lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleWorkPlace {
    pub(crate) base: NonNull<u8>,
    pub(crate) len_bytes: usize,
    pub(crate) rank: usize,
    pub(crate) size: usize,
}

/// Observes member deaths and joins in the driver. Called with the roster locked: must return quickly, and
/// must not launch.
pub(crate) trait DeathObserver: Send + Sync {
    /// A member's death is confirmed; what it held is repaired, and it has no successor yet.
    fn died(&self, death_record: &DeathRecord);
    /// A member serves from now on.
    fn joined(&self);
    /// The team serves no more.
    fn broken(&self);
}
