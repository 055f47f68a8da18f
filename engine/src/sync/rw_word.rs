//! The reader-writer lock's words and their protocol; the proof is in README.md beside this file.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering, fence, spin_loop};
use crate::base::member::{MemberId, Owner};
use crate::sync::lock_word::{Acquired, HOLDER, POISON, Refused, Released};
use crate::sync::record::{Slot, Table};
use crate::sync::serial::SerialWord;
use crate::sync::wait::{Patience, SPINS, Turn};
use crate::sys::futex::Woken;

/// Bit 29: the writer in `HOLDER` found no readers left and is inside. Without this bit the writer has
/// announced itself, which keeps new readers out, and waits for the old ones.
const ENTERED: u32 = 1 << 29;
/// Bit 31: a reader found no free record and may be asleep until another reader leaves.
const CROWDED: u32 = 1 << 31;

/// A reader-writer lock in shared memory; all zero is free and clean.
///
/// A reader is inside if its record was added *and then* no writer was in `state`. A writer is inside if it
/// was in `state` *and then* found every record empty. Between the two steps each has a sequentially
/// consistent fence, so at least one of them sees the other.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct RwWord {
    /// `HOLDER` names the writer; `POISON`, `ENTERED` and `CROWDED` as above.
    state: AtomicU32,
    /// The writer's thread, as in `LockWord`.
    thread: AtomicU32,
    turn: Turn,
    _pad: AtomicU32,
    /// Distinguishes this lock from others that were at its address before.
    pub(crate) serial: SerialWord,
    readers: Table,
}

#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(RwWord, state) == 0 && std::mem::offset_of!(RwWord, turn) == 8);
    assert!(std::mem::offset_of!(RwWord, serial) == 16 && std::mem::offset_of!(RwWord, readers) == 32);
    assert!(size_of::<RwWord>() == 40 + 8 * crate::sync::record::RECORDS);
};

impl RwWord {
    /// Enters as a reader of `me`'s process.
    pub(crate) fn read(&self, me: Owner, patience: Patience) -> Result<(Acquired, Slot), Refused> {
        loop {
            let ticket = self.turn.ticket();
            let seen = self.state.load(Ordering::Acquire);
            if seen & HOLDER == 0 {
                if let Some(slot) = self.readers.add(me.member, 1) {
                    if let Some(acquired) = self.confirm(me, slot) {
                        return Ok((acquired, slot));
                    }
                    continue;
                }
                if !patience.is_try() && seen & CROWDED == 0 {
                    self.state.fetch_or(CROWDED, Ordering::Relaxed);
                    // Then look for a record once more: a leaving reader frees its record and then looks for
                    // the bit.
                    fence(Ordering::SeqCst);
                    continue;
                }
            } else if self.is_mine(seen, me) {
                return Err(Refused::WouldDeadlock);
            }
            if self.turn.wait_spinning(ticket, patience) == Woken::TimedOut {
                return Err(Refused::TimedOut);
            }
        }
    }

    /// Enters once more, for a thread that is already reading: at once, since no writer can be inside, or get
    /// inside before this thread has left. `None` if its process has no record after all, or cannot count
    /// further.
    pub(crate) fn read_again(&self, me: Owner) -> Option<(Acquired, Slot)> {
        let slot = self.readers.add_to_held(me.member, 1)?;
        let poisoned = self.state.load(Ordering::Relaxed) & POISON != 0;
        Some((if poisoned { Acquired::OwnerDied } else { Acquired::Clean }, slot))
    }

    /// Whether `member` is in as a reader.
    pub(crate) fn is_read_by(&self, member: MemberId) -> bool {
        self.readers.slot_of(member).is_some()
    }

    /// How many readers are in.
    pub(crate) fn readers(&self) -> u32 {
        self.readers.total().try_into().unwrap_or(u32::MAX)
    }

    /// The reader's second step: enters, or leaves again because of a writer.
    #[inline]
    fn confirm(&self, me: Owner, slot: Slot) -> Option<Acquired> {
        fence(Ordering::SeqCst);
        // Acquire pairs with the release in `unlock_write` and in `repair`.
        let seen = self.state.load(Ordering::Acquire);
        if seen & HOLDER != 0 {
            self.readers.sub(me.member, slot, 1);
            self.turn.advance();
            return None;
        }
        Some(if seen & POISON == 0 { Acquired::Clean } else { Acquired::OwnerDied })
    }

    /// Leaves as a reader.
    #[inline]
    pub(crate) fn unlock_read(&self, me: Owner, slot: Slot) -> Released {
        if !self.readers.sub(me.member, slot, 1) {
            return Released::NotOwner;
        }
        fence(Ordering::SeqCst);
        let seen = self.state.load(Ordering::Relaxed);
        if seen & (HOLDER | CROWDED) != 0 {
            self.leave_cold(seen);
        }
        Released::Done
    }

    #[cold]
    fn leave_cold(&self, seen: u32) {
        if seen & CROWDED != 0 {
            self.state.fetch_and(!CROWDED, Ordering::Relaxed);
        }
        self.turn.advance();
    }

    /// Enters as the writer.
    pub(crate) fn write(&self, me: Owner, patience: Patience) -> Result<Acquired, Refused> {
        let poisoned = loop {
            let ticket = self.turn.ticket();
            let seen = self.state.load(Ordering::Relaxed);
            if seen & HOLDER == 0 {
                if seen & ENTERED != 0 {
                    return Err(Refused::Corrupt(seen));
                }
                let announced = seen | me.member.0;
                // Acquire pairs with the release in `unlock_write` and in `repair`.
                if self.state.compare_exchange(seen, announced, Ordering::Acquire, Ordering::Relaxed).is_ok()
                {
                    break seen & POISON != 0;
                }
                continue;
            }
            if self.is_mine(seen, me) {
                return Err(Refused::WouldDeadlock);
            }
            if self.turn.wait_spinning(ticket, patience) == Woken::TimedOut {
                return Err(Refused::TimedOut);
            }
        };
        self.thread.store(me.thread, Ordering::Relaxed);
        if !self.drain(patience) {
            let _ = self.unlock_write(me);
            return Err(Refused::TimedOut);
        }
        self.state.fetch_or(ENTERED, Ordering::Relaxed);
        Ok(if poisoned { Acquired::OwnerDied } else { Acquired::Clean })
    }

    /// The writer's second step: waits until no readers are left, or its time runs out.
    fn drain(&self, patience: Patience) -> bool {
        let mut spins = if patience.is_try() { 0 } else { SPINS };
        fence(Ordering::SeqCst);
        loop {
            let ticket = self.turn.ticket();
            // Acquires what the readers did before they left.
            if self.readers.total() == 0 {
                return true;
            }
            if spins > 0 {
                spins = spins.saturating_sub(1);
                spin_loop();
            } else if self.turn.wait(ticket, patience) == Woken::TimedOut {
                return false;
            }
        }
    }

    /// Leaves as the writer; POISON stays.
    pub(crate) fn unlock_write(&self, me: Owner) -> Released {
        if !self.is_mine(self.state.load(Ordering::Relaxed), me) {
            return Released::NotOwner;
        }
        self.thread.store(0, Ordering::Relaxed);
        // Release pairs with the acquire in `confirm` and `write`. CROWDED may go, as all sleepers look
        // again.
        self.state.fetch_and(POISON, Ordering::Release);
        self.turn.advance();
        Released::Done
    }

    #[inline]
    fn is_mine(&self, seen: u32, me: Owner) -> bool {
        seen & HOLDER == me.member.0 && self.thread.load(Ordering::Relaxed) == me.thread
    }

    /// The writer that is inside or waits to be; a snapshot.
    pub(crate) fn writer(&self) -> Option<Owner> {
        let member = MemberId(self.state.load(Ordering::Relaxed) & HOLDER);
        let thread = self.thread.load(Ordering::Relaxed);
        (member != MemberId::NOBODY).then_some(Owner { member, thread })
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.state.load(Ordering::Relaxed) & POISON != 0
    }

    pub(crate) fn poison(&self) {
        self.state.fetch_or(POISON, Ordering::Relaxed);
    }

    pub(crate) fn clear_poison(&self) {
        self.state.fetch_and(!POISON, Ordering::Relaxed);
    }

    /// After a confirmed death: removes its reader records. If it was the writer, removes that too, and
    /// poisons the lock only if it was inside.
    pub(crate) fn repair(&self, dead: MemberId) {
        self.readers.remove(dead);
        let mut seen = self.state.load(Ordering::Relaxed);
        while seen & HOLDER == dead.0 && dead != MemberId::NOBODY {
            self.thread.store(0, Ordering::Relaxed);
            let next = seen & POISON | if seen & ENTERED != 0 { POISON } else { 0 };
            match self.state.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        self.turn.rouse();
    }
}
