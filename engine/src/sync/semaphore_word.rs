//! The semaphore's words and their protocol; the proof is in README.md beside this file.

use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::member::{MemberId, Owner};
use crate::sync::lock_word::{Acquired, LockWord, Refused};
use crate::sync::record::{Slot, Table};
use crate::sync::wait::{GRACE, Patience, Turn};
use crate::sys::futex::Woken;
use std::time::Duration;

/// A semaphore in shared memory.
///
/// The truth is `total` and the table of who holds how many. `free` is derived from both. It is derived again
/// by the next caller to enter after `guard` was poisoned, that is, after a death inside or after repair
/// removed records.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct SemaphoreWord {
    /// Held for a few instructions by whoever changes the words below; sleepers never hold it.
    guard: LockWord,
    /// All permits, held or free; changed inside.
    total: AtomicU32,
    /// Free permits; changed inside.
    free: AtomicU32,
    turn: Turn,
    _pad: AtomicU32,
    held: Table,
}

#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(SemaphoreWord, total) == 8);
    assert!(std::mem::offset_of!(SemaphoreWord, turn) == 16);
    assert!(std::mem::offset_of!(SemaphoreWord, held) == 24);
    assert!(size_of::<SemaphoreWord>() == 32 + 8 * crate::sync::record::RECORDS);
};

/// How long a caller that does not wait for permits waits for the guard: far longer than any living process
/// is inside, preempted or not, on a machine in working order.
const INSIDE: Duration = Duration::from_millis(50);

/// Why permits were not taken or returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    TimedOut,
    /// More permits returned than the member holds, or more than the word can count.
    NotHeld,
    /// No record free for this member.
    TableFull,
    /// The guard's word has this value, which is invalid.
    Corrupt(u32),
}

impl SemaphoreWord {
    /// Sets the permits of a fresh word, before any other process knows it.
    pub(crate) fn init(&self, permits: u32) {
        self.total.store(permits, Ordering::Relaxed);
        self.free.store(permits, Ordering::Relaxed);
    }

    /// Takes `n` permits for `me`'s process.
    pub(crate) fn acquire(&self, me: Owner, n: u32, patience: Patience) -> Result<Slot, Denied> {
        loop {
            self.enter(me, patience)?;
            // Taken inside: whoever frees permits later moves the turn past it.
            let ticket = self.turn.ticket();
            let outcome = self.take(me, n);
            self.leave(me);
            match outcome {
                Ok(Some(slot)) => return Ok(slot),
                // Repair came while this caller was inside: the caller saw a stale count, and its ticket may
                // be from after the move that would have woken it.
                Ok(None) if self.guard.is_poisoned() => continue,
                Ok(None) => {}
                Err(denied) => return Err(denied),
            }
            if self.turn.wait_spinning(ticket, patience) == Woken::TimedOut {
                return Err(Denied::TimedOut);
            }
        }
    }

    /// Inside: takes `n` if that many are free.
    fn take(&self, me: Owner, n: u32) -> Result<Option<Slot>, Denied> {
        let Some(left) = self.free.load(Ordering::Relaxed).checked_sub(n) else { return Ok(None) };
        // The record first: a death from here on is repaired by deriving `free` again.
        let slot = self.held.add(me.member, n).ok_or(Denied::TableFull)?;
        self.free.store(left, Ordering::Relaxed);
        Ok(Some(slot))
    }

    /// Returns `n` permits that `me`'s process holds in `slot`.
    pub(crate) fn release(&self, me: Owner, slot: Slot, n: u32) -> Result<(), Denied> {
        self.change(
            me,
            || self.held.sub(me.member, slot, n),
            || {
                let free = self.free.load(Ordering::Relaxed).saturating_add(n);
                self.free.store(free.min(self.total.load(Ordering::Relaxed)), Ordering::Relaxed);
            },
        )
    }

    /// Inside: changes the truth, then what is derived from it. If the guard is not free, because its holder
    /// is stopped or the word was overwritten, changes only the truth, as repair does: each step of that is
    /// one instruction, and the poison asks for a recount.
    fn change(&self, me: Owner, truth: impl FnOnce() -> bool, derived: impl FnOnce()) -> Result<(), Denied> {
        let inside = match self.enter(me, Patience::Try) {
            Err(Denied::TimedOut) => self.enter(me, Patience::of(GRACE)),
            entered => entered,
        };
        let done = match inside {
            Ok(()) => {
                let done = truth();
                if done {
                    derived();
                }
                self.leave(me);
                self.turn.advance();
                done
            }
            Err(Denied::TimedOut) => self.outside(truth),
            Err(denied) => return Err(denied),
        };
        if done { Ok(()) } else { Err(Denied::NotHeld) }
    }

    #[cold]
    fn outside(&self, truth: impl FnOnce() -> bool) -> bool {
        let done = truth();
        // After the truth, so that the count this asks for finds it.
        self.guard.poison();
        self.turn.rouse();
        done
    }

    /// As [`Self::release`], without waiting for the guard.
    #[cfg(test)]
    pub(crate) fn release_outside(&self, me: Owner, slot: Slot, n: u32) -> bool {
        self.outside(|| self.held.sub(me.member, slot, n))
    }

    /// Returns `n` of the permits that `me`'s process holds, wherever they are recorded.
    pub(crate) fn release_kept(&self, me: Owner, n: u32) -> Result<(), Denied> {
        let slot = self.held.slot_of(me.member).ok_or(Denied::NotHeld)?;
        self.release(me, slot, n)
    }

    /// Adds `n` permits that nobody held before.
    pub(crate) fn grow(&self, me: Owner, n: u32) -> Result<(), Denied> {
        let grown = |total: u32| total.checked_add(n);
        self.change(
            me,
            || self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok(),
            || self.free.store(self.free.load(Ordering::Relaxed).saturating_add(n), Ordering::Relaxed),
        )
    }

    /// Uses up `n` permits that `me`'s process holds in `slot`: the semaphore then has that many fewer.
    pub(crate) fn consume(&self, me: Owner, slot: Slot, n: u32) -> Result<(), Denied> {
        let shrunk = |total: u32| Some(total.saturating_sub(n));
        let truth = || {
            // The total first: a death between the two loses the permits as intended, as repair drops the
            // record.
            let _before = self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrunk);
            self.held.sub(me.member, slot, n)
        };
        self.change(me, truth, || ())
    }

    /// Which members hold how many permits.
    pub(crate) fn holders(&self) -> Vec<(MemberId, u32)> {
        self.held.holders()
    }

    /// All permits, held or free; a snapshot.
    pub(crate) fn total(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// Free permits; a snapshot.
    pub(crate) fn free(&self) -> u32 {
        if self.guard.is_poisoned() {
            // There was a death whose permits have not been counted yet.
            let total = u64::from(self.total.load(Ordering::Relaxed));
            return total.saturating_sub(self.held.total()) as u32;
        }
        self.free.load(Ordering::Relaxed)
    }

    fn enter(&self, me: Owner, patience: Patience) -> Result<(), Denied> {
        let mut locked = self.guard.lock(me, Patience::Try);
        if locked == Err(Refused::TimedOut) {
            // Others are inside for a few instructions: no reason to fail. A holder that was killed there
            // ends the patience.
            locked = self.guard.lock(me, if patience.is_try() { Patience::of(INSIDE) } else { patience });
        }
        match locked {
            Ok(Acquired::Clean) => Ok(()),
            Ok(Acquired::OwnerDied) => {
                self.recount();
                Ok(())
            }
            // Inside already: only a signal handler can be, and it must not wait for the code it interrupted.
            Err(Refused::TimedOut | Refused::WouldDeadlock) => Err(Denied::TimedOut),
            Err(Refused::Corrupt(seen)) => Err(Denied::Corrupt(seen)),
        }
    }

    fn leave(&self, me: Owner) {
        let _ = self.guard.unlock(me);
    }

    /// Inside: derives `free` again. The poison is cleared first, so that records removed meanwhile ask for
    /// another count; if this process dies before the store, its own death poisons the guard again.
    #[cold]
    fn recount(&self) {
        self.guard.clear_poison();
        let total = u64::from(self.total.load(Ordering::Relaxed));
        let free = total.saturating_sub(self.held.total());
        self.free.store(free as u32, Ordering::Relaxed);
    }

    /// After a confirmed death: frees its permits. Never enters, so it waits for no process, dead or alive.
    pub(crate) fn repair(&self, dead: MemberId) {
        self.held.remove(dead);
        // After the records went, so that the count this asks for finds them gone.
        self.guard.poison();
        self.guard.repair(dead);
        self.turn.rouse();
    }
}
