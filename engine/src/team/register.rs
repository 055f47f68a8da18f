//! What member threads note of themselves in the driver's own memory, beside the words of the board.
//!
//! A worker process that cannot find a launch, since its attendance was overwritten, is killed, and its death ends the wait. A thread
//! cannot be killed. So each notes which launch it has entered, or was misled to; and a driver that has waited for a while compares that
//! with the board, and calls again who may still come, or strikes off who never will.

use crate::base::Line;
use crate::base::atomic::{AtomicU64, Ordering};
use crate::team::crew::Crew;
use crate::team::leave::Leave;
use crate::team::muster::Standing;

/// The notes of one team's threads.
pub(crate) struct Register(Box<[Line<Note>]>);

/// One rank's notes: its thread writes them, `leave` apart. All zero: it has not done anything yet.
#[derive(Default)]
struct Note {
    /// The newest launch that it was in.
    entered: AtomicU64,
    /// The launch that it took for called and found not to be, if nothing came after: it does not enter one of this number any more.
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

    fn has_entered(&self, rank: usize, epoch: u64) -> bool {
        self.0[rank].entered.load(Ordering::Acquire) == epoch
    }

    fn has_refused(&self, rank: usize, epoch: u64) -> bool {
        self.0[rank].refused.load(Ordering::Relaxed) == epoch
    }
}

impl Crew {
    /// Looks after the members that have not finished launch `epoch`, which has taken a while: some may be unable to find it, as the
    /// words that call them were overwritten. Gives a rank that was struck off and has not been in the launch.
    pub(crate) fn look_after(&self, epoch: u64) -> Option<usize> {
        match &self.register {
            Some(register) => self.call_again(register, epoch),
            None => {
                self.kill_astray(epoch);
                None
            }
        }
    }

    /// Kills the members that cannot find launch `epoch` because their attendance was overwritten.
    fn kill_astray(&self, epoch: u64) {
        let roster = self.roster.lock();
        for slot in self.board().muster(&self.orders).astray(epoch).iter().map(|rank| &roster.slots[rank]) {
            slot.kill();
        }
    }

    /// Calls threads again that have not entered launch `epoch` and do not see that they are called; strikes off those that will not
    /// come, one of which it gives.
    fn call_again(&self, register: &Register, epoch: u64) -> Option<usize> {
        let board = self.board();
        let muster = board.muster(&self.orders);
        let mut missed = None;
        for rank in muster.unfinished().iter() {
            if register.has_entered(rank, epoch) {
                continue;
            }
            match muster.standing(rank, epoch) {
                _ if register.has_refused(rank, epoch) => missed = Some(rank),
                Standing::Called => continue,
                Standing::Skipped => missed = Some(rank),
                Standing::Astray => {
                    // It may have entered just now: it does so once, and is not skipped any more.
                    muster.recall(rank, epoch);
                    continue;
                }
            }
            // Before it is struck off, as at a burial: ranks that wait for it in a region end then.
            board.step(rank).poison();
            muster.strike(rank);
        }
        muster.ring();
        missed
    }
}
