//! The barrier's words and their protocol; the proof is in README.md beside this file.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, AtomicU64, Ordering, spin_loop};
use crate::base::member::{MemberId, Owner};
use crate::sync::record::Table;
use crate::sync::wait::{Patience, SPINS, Turn};
use crate::sys::futex::Woken;

/// Bits 0 to 15 of the state: number of arrivals in this round.
const ARRIVED: u64 = 0xffff;
/// Bits 16 to 31: the round, modulo 2^16.
const ROUND: u32 = 16;
/// Bits 32 to 63: bit (round modulo 32) is set if the round was broken; for this round and the 31 before.
const BROKEN: u32 = 32;

/// The most parties a barrier can have.
pub(crate) const MAX_PARTIES: u32 = ARRIVED as u32;

/// A barrier in shared memory.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct BarrierWord {
    /// Arrivals, round and broken rounds, which change together; all else is derived.
    state: AtomicU64,
    /// Number of arrivals that end a round; written before any other process knows the word.
    parties: AtomicU32,
    /// The member that broke it last, for the error text.
    broken_by: AtomicU32,
    turn: Turn,
    _pad: AtomicU32,
    /// The members that take part: 1 each.
    members: Table,
}

#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(BarrierWord, parties) == 8 && std::mem::offset_of!(BarrierWord, turn) == 16);
    assert!(std::mem::offset_of!(BarrierWord, members) == 24);
    assert!(size_of::<BarrierWord>() == 32 + 8 * crate::sync::record::RECORDS);
};

/// Why a wait failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Broken by this member; `NOBODY` if it was reset.
    Broken(MemberId),
    TimedOut,
    TableFull,
    Corrupt(u64),
}

/// A copy of the state.
#[derive(Clone, Copy)]
struct Snapshot(u64);

impl Snapshot {
    fn arrived(self) -> u32 {
        (self.0 & ARRIVED) as u32
    }

    fn round(self) -> u32 {
        (self.0 >> ROUND) as u32 & 0xffff
    }

    #[expect(clippy::arithmetic_side_effects, reason = "at most 32 above bit BROKEN")]
    fn is_broken(self, round: u32) -> bool {
        self.0 >> (BROKEN + round % 32) & 1 == 1
    }

    #[expect(clippy::arithmetic_side_effects, reason = "at most 32 above bit BROKEN")]
    fn broken(self) -> Snapshot {
        Snapshot(self.0 | 1 << (BROKEN + self.round() % 32))
    }

    /// The next round: no arrivals, not broken.
    fn next(self) -> Snapshot {
        let round = self.round().wrapping_add(1) & 0xffff;
        let history = self.0 >> BROKEN & !(1 << (round % 32));
        Snapshot(history << BROKEN | u64::from(round) << ROUND)
    }
}

impl BarrierWord {
    /// Sets the parties of a fresh word, before any other process knows it.
    pub(crate) fn init(&self, parties: u32) {
        self.parties.store(parties, Ordering::Relaxed);
    }

    pub(crate) fn parties(&self) -> u32 {
        self.parties.load(Ordering::Relaxed)
    }

    /// Registers `member` as taking part, so that its death breaks the barrier. False if the table is full.
    pub(crate) fn enroll(&self, member: MemberId) -> bool {
        // Two threads may both find nothing and add: 2 means the same as 1.
        self.takes_part(member) || self.members.add(member, 1).is_some()
    }

    /// Whether `member` takes part.
    pub(crate) fn takes_part(&self, member: MemberId) -> bool {
        self.members.slot_of(member).is_some()
    }

    /// Arrives and waits for the others. Returns the number of earlier arrivals.
    pub(crate) fn wait(&self, me: Owner, patience: Patience) -> Result<u32, Missed> {
        if !self.enroll(me.member) {
            return Err(Missed::TableFull);
        }
        let mut seen = Snapshot(self.state.load(Ordering::Acquire));
        let (round, index, last) = loop {
            let (arrived, parties) = (seen.arrived(), self.parties());
            if seen.is_broken(seen.round()) {
                return Err(self.broken());
            }
            if arrived >= parties {
                return Err(Missed::Corrupt(seen.0));
            }
            let last = arrived.wrapping_add(1) == parties;
            let next = if last { seen.next() } else { Snapshot(seen.0.wrapping_add(1)) };
            // Release hands on what this party did before, acquire takes what all before it handed on.
            match self.state.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break (seen.round(), arrived, last),
                Err(now) => seen = Snapshot(now),
            }
        };
        if last {
            self.turn.advance();
            return Ok(index);
        }
        self.await_end(me, round, index, patience)
    }

    fn await_end(&self, me: Owner, round: u32, index: u32, patience: Patience) -> Result<u32, Missed> {
        let mut spins = if patience.is_try() { 0 } else { SPINS };
        loop {
            let ticket = self.turn.ticket();
            // Acquire pairs with the release of the last to arrive, or of the breaker.
            let seen = Snapshot(self.state.load(Ordering::Acquire));
            if seen.is_broken(round) {
                return Err(self.broken());
            }
            if seen.round() != round {
                return Ok(index);
            }
            if spins > 0 {
                spins = spins.saturating_sub(1);
                spin_loop();
            } else if self.turn.wait(ticket, patience) == Woken::TimedOut
                && self.break_round(me.member, round)
            {
                return Err(Missed::TimedOut);
            }
        }
    }

    /// Breaks the current round, whichever it is: if one ends between two looks, the next one breaks.
    pub(crate) fn abort(&self, by: MemberId) {
        loop {
            let seen = Snapshot(self.state.load(Ordering::Relaxed));
            if seen.is_broken(seen.round()) || self.break_round(by, seen.round()) {
                return;
            }
        }
    }

    /// Unregisters `member`: its end no longer breaks the barrier.
    pub(crate) fn withdraw(&self, member: MemberId) {
        self.members.remove(member);
    }

    /// Breaks `round` if it is still the current one. Returns whether it did.
    fn break_round(&self, by: MemberId, round: u32) -> bool {
        let mut seen = Snapshot(self.state.load(Ordering::Relaxed));
        loop {
            if seen.round() != round || seen.is_broken(round) {
                return false;
            }
            self.broken_by.store(by.0, Ordering::Relaxed);
            // Release pairs with the acquire in `wait`: the breaker is seen together with the break.
            let next = seen.broken().0;
            match self.state.compare_exchange(seen.0, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = Snapshot(now),
            }
        }
        self.turn.advance();
        true
    }

    /// Starts a new round with no arrivals; those that wait in the current one find it broken.
    pub(crate) fn reset(&self) {
        self.broken_by.store(MemberId::NOBODY.0, Ordering::Relaxed);
        let mut seen = Snapshot(self.state.load(Ordering::Relaxed));
        loop {
            let round_is_empty = seen.arrived() == 0;
            let next = if round_is_empty { seen.next() } else { seen.broken().next() };
            match self.state.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = Snapshot(now),
            }
        }
        self.turn.advance();
    }

    /// The member that broke it, if it is broken.
    pub(crate) fn is_broken(&self) -> Option<MemberId> {
        let seen = Snapshot(self.state.load(Ordering::Acquire));
        seen.is_broken(seen.round()).then(|| MemberId(self.broken_by.load(Ordering::Relaxed)))
    }

    /// Number of waiting parties; a snapshot.
    pub(crate) fn waiting(&self) -> u32 {
        Snapshot(self.state.load(Ordering::Relaxed)).arrived()
    }

    fn broken(&self) -> Missed {
        Missed::Broken(MemberId(self.broken_by.load(Ordering::Relaxed)))
    }

    /// After a confirmed death: breaks the barrier if the dead member took part.
    pub(crate) fn repair(&self, dead: MemberId) {
        if self.members.remove(dead) > 0 {
            self.abort(dead);
        }
        self.turn.rouse();
    }
}
