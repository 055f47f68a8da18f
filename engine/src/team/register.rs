//! What member threads note of themselves in the driver's own memory, beside the words of the board.
//!
//! A worker process that cannot find a launch, since its attendance was overwritten, is killed, and its death
//! ends the wait. A thread cannot be killed. So each notes which launch it has entered, or was misled to; and
//! a driver that has waited for a while compares that with the board, and calls again who may still come, or
//! strikes off who never will.

use crate::base::Line;
use crate::base::atomic::{AtomicU64, Ordering};
use crate::team::leave::Leave;

/// The notes of one team's threads.
pub(crate) struct Register(Box<[Line<Note>]>);

/// One rank's notes: its thread writes them, `leave` apart. All zero: it has not done anything yet.
#[derive(Default)]
struct Note {
    /// The newest launch that it was in.
    entered: AtomicU64,
    /// The launch that it took for called and found not to be, if nothing came after: it does not enter one
    /// of this number any more.
    refused: AtomicU64,
    /// Whether it may end.
    leave: Leave,
}

impl Register {
    pub(crate) fn new(size: usize) -> Register {
        Register((0..size).map(|_| Line(Note::default())).collect())
    }

    /// The member enters launch `epoch`; before it looks at the order.
    #[inline]
    pub(crate) fn enter(&self, rank: usize, epoch: u64) {
        self.0[rank].refused.store(0, Ordering::Relaxed);
        // Release: who sees it entered does not see an older refusal.
        self.0[rank].entered.store(epoch, Ordering::Release);
    }

    /// The member was called to launch `epoch`, or so it seemed, and serves none of this number.
    #[cold]
    pub(crate) fn refuse(&self, rank: usize, epoch: u64) {
        self.0[rank].refused.store(epoch, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self, rank: usize) -> &Leave {
        &self.0[rank].leave
    }

    pub(crate) fn has_entered(&self, rank: usize, epoch: u64) -> bool {
        self.0[rank].entered.load(Ordering::Acquire) == epoch
    }

    pub(crate) fn has_refused(&self, rank: usize, epoch: u64) -> bool {
        self.0[rank].refused.load(Ordering::Relaxed) == epoch
    }
}
