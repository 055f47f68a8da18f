//! The words of a region's steps: what a rank is about to do, how far it has come, and its collective values.

#[cfg(not(loom))]
use crate::base::Line;
use crate::base::atomic::AtomicU64;
use crate::sync::EventCount;

/// Bytes of one collective's value in a region (broadcast, all_reduce).
pub(crate) const PAYLOAD_BYTES: usize = if cfg!(loom) { 8 } else { 4096 };
/// One rank's side of a region's steps, in one of two slots by the step's parity.
#[derive(Default)]
#[repr(C)]
pub(crate) struct StepSlot {
    /// Digest of kind and operands of the step.
    pub(crate) digest: [AtomicU64; 2],
    /// Kind of the step (upper half) and line in the caller's source, for error texts.
    pub(crate) site: AtomicU64,
}

/// A rank's lines in a region.
#[derive(Default)]
#[repr(C)]
pub(crate) struct StepState {
    /// Steps this rank arrived at, doubled, wrapping; bit 0 is POISON. Others sleep on it.
    pub(crate) arrived: EventCount,
    /// As `arrived`, for the way down the tree of a large team.
    pub(crate) released: EventCount,
    pub(crate) slots: [StepSlot; 2],
    /// Which of this rank's chunks are claimed in its latest step that has chunks.
    pub(crate) claims: AtomicU64,
}

/// The bit of a step count that says: this rank goes no further.
pub(crate) const POISON: u32 = 1;

impl StepState {
    /// Marks the rank as gone, and wakes all who wait for it. For the rank itself, and for the engine after
    /// its death.
    pub(crate) fn poison(&self) {
        self.arrived.mark(POISON);
        self.released.mark(POISON);
    }
}

/// Collective values of one rank, in two slots by parity.
pub(crate) type Payload = [[AtomicU64; PAYLOAD_BYTES / 8]; 2];

// The layout that docs/segment-layout.md lists.
#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(StepState, released) == 8 && std::mem::offset_of!(StepState, slots) == 16);
    assert!(std::mem::offset_of!(StepState, claims) == 64);
    assert!(size_of::<StepSlot>() == 24 && size_of::<Line<StepState>>() == 128);
    assert!(size_of::<Line<Payload>>() == 8192);
};
