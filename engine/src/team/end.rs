//! The end of a crew.
//!
//! What writes orders, changes who is in the team or lets members go does so behind the gate. So a launch
//! beside an end runs completely, or finds the crew ended; a second end waits for the first. README.md, "The
//! end".

use crate::base::atomic::Ordering;
use crate::team::crew::{Crew, CrewKind};
use crate::team::exit_function::Exits;
use crate::team::gate::Phase;

impl Crew {
    /// Ends what runs, without waiting for it: kills member processes, and tells members that are threads to
    /// stop. No launch is opened from now on.
    pub(crate) fn stop(&self) {
        self.reach(Phase::Terminated);
        self.exits.iter().for_each(Exits::cancel);
        let mut roster = self.roster.lock();
        roster.dissolving = true;
        roster.broken.get_or_insert_with(|| "it was terminated".into());
        let board = self.board();
        // Launches are opened under the roster's lock: there is none with a larger number, and will be none.
        board.stop().fetch_max(roster.epoch, Ordering::AcqRel);
        roster.slots.iter().for_each(|slot| {
            slot.kill();
        });
        drop(roster);
        board.fork_join(&self.orders).notify();
        self.changed.notify_all();
        self.call_engine();
    }

    /// Lets all members go and waits for them, then calls `then`, once; who comes later waits until that is
    /// done. Not for threads that the crew itself waits for, see
    /// [`may_wait`](crate::team::current::may_wait).
    pub(crate) fn end(&self, then: impl FnOnce()) {
        let gate = self.gate.lock();
        if self.has_reached(Phase::Over) {
            return;
        }
        self.reach(Phase::Ending);
        self.let_go();
        self.join_hands();
        drop(self.reservation.lock().take());
        drop(self.roster.lock().plate.take());
        then();
        self.reach(Phase::Over);
        drop(gate);
        self.relay.close();
    }

    /// Gives leave to all members, without waiting. No launch is on its way, and none will be opened.
    pub(crate) fn let_go(&self) {
        let mut roster = self.roster.lock();
        roster.dissolving = true;
        roster.broken.get_or_insert_with(|| "it was closed".into());
        let board = self.board();
        for (rank, slot) in roster.slots.iter_mut().enumerate() {
            self.let_go_of(rank, slot);
        }
        roster.refresh();
        drop(roster);
        if self.kind != CrewKind::Inline {
            board.fork_join(&self.orders).ring();
        }
        self.changed.notify_all();
        self.call_engine();
    }

    /// Waits for the threads: members, or the one that watches over member processes.
    fn join_hands(&self) {
        loop {
            // A member that leaves may have started a successor meanwhile.
            let hands = std::mem::take(&mut *self.hands.lock());
            if hands.is_empty() {
                return;
            }
            for hand in hands {
                let _panicked = hand.join();
            }
        }
    }
}
