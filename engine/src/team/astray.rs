//! Members that cannot find the launch they are called to, as the words that call them were overwritten.

use crate::team::crew::Crew;
use crate::team::fork_join::Standing;
use crate::team::register::Register;

impl Crew {
    /// Looks after the members that have not finished launch `epoch`, which has taken a while: some may be
    /// unable to find it, as the words that call them were overwritten. Gives a rank that was struck off and
    /// has not been in the launch.
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
        for slot in self.board().fork_join(&self.orders).astray(epoch).iter().map(|rank| &roster.slots[rank])
        {
            slot.kill();
        }
    }

    /// Calls threads again that have not entered launch `epoch` and do not see that they are called; strikes
    /// off those that will not come, one of which it gives.
    fn call_again(&self, register: &Register, epoch: u64) -> Option<usize> {
        let board = self.board();
        let fork_join = board.fork_join(&self.orders);
        let mut missed = None;
        for rank in fork_join.unfinished().iter() {
            if register.has_entered(rank, epoch) {
                continue;
            }
            match fork_join.standing(rank, epoch) {
                _ if register.has_refused(rank, epoch) => missed = Some(rank),
                Standing::Called => continue,
                Standing::Skipped => missed = Some(rank),
                Standing::Astray => {
                    // It may have entered just now: it does so once, and is not skipped any more.
                    fork_join.recall(rank, epoch);
                    continue;
                }
            }
            // Before it is struck off, as at a reaping: ranks that wait for it in a region end then.
            board.step(rank).poison();
            fork_join.strike(rank);
        }
        fork_join.ring();
        missed
    }
}
