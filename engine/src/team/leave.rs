//! Leave: the word by which a member is let go. It lies on the board, for member threads in the driver's own
//! memory (`register.rs`).
//!
//! The driver gives leave; the member takes it when it would sleep, and ends. Both change the word by
//! compare-and-swap, so leave that was not taken can be withdrawn, and then the member serves on.

use crate::base::atomic::{AtomicU64, Ordering};

/// The member may end.
const GIVEN: u64 = 1;
/// The member ends, and serves no more.
const TAKEN: u64 = 2;

/// Zero: the member is to stay.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Leave(AtomicU64);

impl Leave {
    /// Lets the member end.
    pub(crate) fn give(&self) {
        // Release: pairs with the Acquire in `is_given`.
        self.0.store(GIVEN, Ordering::Release);
    }

    /// The member has ended; its successor is to stay.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether the member may end.
    pub(crate) fn is_given(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// The member ends, if it still may.
    pub(crate) fn take(&self) -> bool {
        // Acquire as in `is_given`. After a stray write any other word will do.
        let leave = self.0.load(Ordering::Acquire);
        leave != 0 && self.0.compare_exchange(leave, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Relaxed) == TAKEN
    }

    /// Takes leave back, if the member has not taken it.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.compare_exchange(GIVEN, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Does what a stray write does.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn overwrite(&self, word: u64) {
        self.0.store(word, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn leave_is_taken_or_withdrawn_and_never_both() {
        let leave = Leave::default();
        assert!(!leave.is_given() && !leave.take() && !leave.withdraw());
        leave.give();
        assert!(leave.is_given() && leave.withdraw() && !leave.take());
        leave.give();
        assert!(leave.take() && leave.is_taken() && !leave.withdraw() && leave.is_given());
        leave.clear();
        assert!(!leave.is_given());
    }
}
