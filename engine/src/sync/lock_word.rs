//! The lock's words and their protocol; the proof is in README.md beside this file.

use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::member::{MemberId, Owner};
use crate::sync::wait::{ALL, Patience, Spin, sleep};
use crate::sys::futex::{self, Woken};

/// Bits 0 to 28: the member that holds it, 0 when free. The only truth about the holder.
pub(crate) const HOLDER: u32 = MemberId::MAX.0;
/// Bit 29: never set; a word that has it was not written by this protocol.
const UNUSED: u32 = 1 << 29;
/// Bit 30: an owner died, or gave up halfway; stays until a holder clears it. Free or held.
pub(crate) const POISON: u32 = 1 << 30;
/// Bit 31: a thread may be asleep on the word; only while held.
pub(crate) const WAITERS: u32 = 1 << 31;

/// A lock in shared memory; all zero is free and clean.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct LockWord {
    state: AtomicU32,
    /// The thread of the holding member; 0 until it has noted itself. Written by the holder alone, and
    /// cleared by it before the release. So a thread reads its own number here, together with its own member
    /// in `state`, only if it is the holder.
    thread: AtomicU32,
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<LockWord>() == 8 && align_of::<LockWord>() == 4);
    assert!(std::mem::offset_of!(LockWord, state) == 0 && std::mem::offset_of!(LockWord, thread) == 4);
};

/// The caller holds the lock now.
#[must_use = "the lock is held and must be unlocked"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    Clean,
    /// The caller holds it, and what it protects is suspect.
    OwnerDied,
}

/// The caller does not hold what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The caller already holds it.
    WouldDeadlock,
    /// The time ran out.
    TimedOut,
    /// The word, as seen, is not one that this protocol writes.
    Corrupt(u32),
}

/// The outcome of an unlock.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    Done,
    /// The caller does not hold it; nothing was changed.
    NotOwner,
}

impl LockWord {
    /// Takes the lock for `me`.
    #[inline]
    pub(crate) fn lock(&self, me: Owner, patience: Patience) -> Result<Acquired, Refused> {
        // Acquire pairs with the release in `unlock` and in `repair`.
        match self.state.compare_exchange(0, me.member.0, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {
                self.thread.store(me.thread, Ordering::Relaxed);
                Ok(Acquired::Clean)
            }
            Err(_) => self.lock_cold(me, patience),
        }
    }

    #[cold]
    fn lock_cold(&self, me: Owner, patience: Patience) -> Result<Acquired, Refused> {
        let mut spin = Spin::new(patience);
        // A thread that has slept takes the lock with WAITERS set: it cannot know whether others still sleep.
        let mut slept = 0;
        loop {
            let seen = self.state.load(Ordering::Relaxed);
            if seen & UNUSED != 0 {
                return Err(Refused::Corrupt(seen));
            }
            if seen & HOLDER == 0 {
                let taken = seen | slept | me.member.0;
                // Acquire pairs with the release in `unlock` and in `repair`.
                if self.state.compare_exchange(seen, taken, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    self.thread.store(me.thread, Ordering::Relaxed);
                    return Ok(if seen & POISON == 0 { Acquired::Clean } else { Acquired::OwnerDied });
                }
                continue;
            }
            if self.is_held_by(seen, me) {
                return Err(Refused::WouldDeadlock);
            }
            if patience.is_try() {
                return Err(Refused::TimedOut);
            }
            if seen & WAITERS == 0 && spin.pause() {
                continue;
            }
            let asleep = seen | WAITERS;
            if seen != asleep
                && self.state.compare_exchange(seen, asleep, Ordering::Relaxed, Ordering::Relaxed).is_err()
            {
                continue;
            }
            slept = WAITERS;
            if sleep(&self.state, asleep, patience) == Woken::TimedOut {
                return Err(Refused::TimedOut);
            }
            spin = Spin::new(patience);
        }
    }

    /// Releases the lock; POISON stays.
    #[inline]
    pub(crate) fn unlock(&self, me: Owner) -> Released {
        if !self.is_held_by(self.state.load(Ordering::Relaxed), me) {
            return Released::NotOwner;
        }
        self.thread.store(0, Ordering::Relaxed);
        // Release pairs with the acquire in `lock`.
        if self.state.fetch_and(POISON, Ordering::Release) & WAITERS != 0 {
            self.wake_cold();
        }
        Released::Done
    }

    #[cold]
    fn wake_cold(&self) {
        futex::wake(&self.state, 1);
    }

    #[inline]
    fn is_held_by(&self, seen: u32, me: Owner) -> bool {
        seen & HOLDER == me.member.0 && self.thread.load(Ordering::Relaxed) == me.thread
    }

    /// The current holder; a snapshot. The thread may lag behind.
    pub(crate) fn holder(&self) -> Option<Owner> {
        let member = MemberId(self.state.load(Ordering::Relaxed) & HOLDER);
        let thread = self.thread.load(Ordering::Relaxed);
        (member != MemberId::NOBODY).then_some(Owner { member, thread })
    }

    /// Whether `me` holds it; exact, because only `me` could make it so.
    #[inline]
    pub(crate) fn is_mine(&self, me: Owner) -> bool {
        self.is_held_by(self.state.load(Ordering::Relaxed), me)
    }

    /// Whether an owner died and the poison has not been cleared since.
    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.state.load(Ordering::Relaxed) & POISON != 0
    }

    /// Marks what it protects as suspect.
    pub(crate) fn poison(&self) {
        // Release pairs with the acquire in `clear_poison`, which must see what was done before the mark.
        self.state.fetch_or(POISON, Ordering::Release);
    }

    /// Marks what it protects as sound; only the holder calls it.
    pub(crate) fn clear_poison(&self) {
        // Acquire pairs with the release in `poison` and in `repair`.
        self.state.fetch_and(!POISON, Ordering::Acquire);
    }

    /// After a confirmed death: frees and poisons the lock if `dead` held it. In any case wakes all waiters,
    /// since a wake-up may have died with its receiver, or an unlocker before its wake-up.
    pub(crate) fn repair(&self, dead: MemberId) {
        let mut seen = self.state.load(Ordering::Relaxed);
        while seen & HOLDER == dead.0 && dead != MemberId::NOBODY {
            // Before the release, as in `unlock`: afterwards the word belongs to the next holder.
            self.thread.store(0, Ordering::Relaxed);
            // Acquire and release: what the dead holder wrote, visible to whoever confirmed its death, is
            // visible to the next holder.
            match self.state.compare_exchange(seen, POISON, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                // A waiter noted itself meanwhile.
                Err(now) => seen = now,
            }
        }
        futex::wake(&self.state, ALL);
    }
}
