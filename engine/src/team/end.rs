//! The gate that launches pass one at a time, and the end of a crew, which passes it too.
//!
//! What writes orders, changes who is in the team or lets members go does so behind the gate. So a launch
//! beside an end runs completely, or finds the crew ended; a second end waits for the first. README.md, "The
//! end".

use crate::base::atomic::Ordering;
use crate::team::crew::{Crew, Kind};
use crate::team::leave::Leave;
use crate::team::roster::{Slot, Stage};
use parking_lot::FairMutexGuard;
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::AtomicU8;
use std::time::Instant;

/// How far a pool's end has come. It only goes on, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Open,
    /// Takes no more tasks.
    Closed,
    /// Takes no more launches.
    Ending,
    /// What still runs is to end at once.
    Terminated,
    /// The members are gone.
    Over,
}

/// What the gate guards.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Number of the last launch.
    pub(crate) epoch: u64,
    /// Launches that are to sleep at once instead of yielding first.
    pub(crate) caution: u32,
}

/// What came of waiting for the gate.
pub(crate) enum Passage<'a> {
    Open(FairMutexGuard<'a, Gate>),
    /// The pool takes no more launches.
    Closed,
    /// The deadline passed first.
    Late,
}

/// A [`Phase`] that all threads of the driver see.
#[derive(Debug)]
pub(crate) struct Progress(AtomicU8);

impl Progress {
    pub(crate) const fn new() -> Progress {
        Progress(AtomicU8::new(Phase::Open as u8))
    }

    fn has_reached(&self, phase: Phase) -> bool {
        // Acquire: pairs with the Release in `reach`; who sees the phase sees what was done before it was
        // told.
        self.0.load(Ordering::Acquire) >= phase as u8
    }

    fn reach(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

impl Crew {
    /// Whether the end has come so far.
    #[inline]
    pub(crate) fn has_reached(&self, phase: Phase) -> bool {
        self.progress.has_reached(phase)
    }

    /// Notes how far the end has come. Never blocks.
    pub(crate) fn reach(&self, phase: Phase) {
        self.progress.reach(phase);
    }

    /// Waits for the gate, at most until the deadline.
    #[inline]
    pub(crate) fn pass_gate(&self, deadline: Option<Instant>) -> Passage<'_> {
        // Whoever ends the pool tells receivers behind the gate, and they may launch.
        if self.has_reached(Phase::Ending) {
            return Passage::Closed;
        }
        let gate = match deadline {
            None => self.gate.lock(),
            Some(at) => match self.gate.try_lock_until(at) {
                Some(gate) => gate,
                None => return Passage::Late,
            },
        };
        if self.has_reached(Phase::Ending) { Passage::Closed } else { Passage::Open(gate) }
    }

    /// Ends what runs, without waiting for it: kills member processes, and tells members that are threads to
    /// stop. No launch is opened from now on.
    pub(crate) fn stop(&self) {
        self.reach(Phase::Terminated);
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
        board.muster(&self.orders).notify();
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
        then();
        self.reach(Phase::Over);
        drop(gate);
        self.relay.close();
    }

    /// Calls `then` with the word by which the member of that rank is let go.
    pub(crate) fn with_leave<R>(&self, rank: usize, then: impl FnOnce(&Leave) -> R) -> R {
        match &self.register {
            Some(register) => then(register.leave(rank)),
            None => then(&self.board().desk(rank).leave),
        }
    }

    /// Gives leave to all members, without waiting. No launch is on its way, and none will be opened.
    pub(crate) fn let_go(&self) {
        let mut roster = self.roster.lock();
        roster.dissolving = true;
        roster.broken.get_or_insert_with(|| "it was closed".into());
        let board = self.board();
        for (rank, slot) in roster.slots.iter_mut().enumerate() {
            give_leave(self, rank, slot);
        }
        roster.refresh();
        drop(roster);
        if self.kind != Kind::Inline {
            board.muster(&self.orders).ring();
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

/// Lets the member of that rank end, if it serves. The roster is locked, and no launch is on its way.
pub(crate) fn give_leave(crew: &Crew, rank: usize, slot: &mut Slot) {
    if slot.stage == Stage::Ready {
        slot.stage = Stage::Leaving;
        slot.leaving_since = Instant::now();
        crew.with_leave(rank, Leave::give);
    }
}
