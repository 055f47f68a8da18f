//! `Event`: a flag to wait for.
//!
//! # Safety
//! An event's block is one `EventWord` at its base.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering, spin_loop};
use crate::base::member::MemberId;
use crate::sync::place::{self, CreateError, Place, Remote, remote};
use crate::sync::wait::{ALL, Patience, SPINS, sleep};
use crate::sys::futex::{self, Woken};
use std::time::Duration;

/// Bit 0: the flag.
const SET: u32 = 1;
/// Bit 1: a thread may be asleep on the word; only while the flag is not set.
const SLEEPERS: u32 = 2;
/// Bits 2 to 31: how often the flag was set, so that a waiter also notices a flag that was cleared at once.
const RAISED: u32 = 4;

/// An event in shared memory; all zero is not set.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct EventWord {
    state: AtomicU32,
}

impl EventWord {
    pub(crate) fn set(&self) {
        if self.raise() & SLEEPERS != 0 {
            futex::wake(&self.state, ALL);
        }
    }

    /// Does what a setter has done that is killed before its wake-up.
    #[cfg(test)]
    pub(crate) fn set_and_die(&self) {
        self.raise();
    }

    /// Sets the flag. Returns the old state.
    fn raise(&self) -> u32 {
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let next = (seen & !SLEEPERS).wrapping_add(if seen & SET == 0 { RAISED } else { 0 }) | SET;
            // Release pairs with the acquire in `wait` and `is_set`, even if the flag was already set: what
            // this setter did before is visible to whoever sees the flag from here on.
            match self.state.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return seen,
                Err(now) => seen = now,
            }
        }
    }

    pub(crate) fn clear(&self) {
        // Acquire and release keep the chain from an earlier setter to a later waiter.
        self.state.fetch_and(!SET, Ordering::AcqRel);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.state.load(Ordering::Acquire) & SET != 0
    }

    /// True once the flag is set, or was set since the call began.
    pub(crate) fn wait(&self, patience: Patience) -> bool {
        let first = self.state.load(Ordering::Acquire);
        let raised = |now: u32| now & SET != 0 || now / RAISED != first / RAISED;
        let mut spins = if patience.is_try() { 0 } else { SPINS };
        loop {
            let seen = self.state.load(Ordering::Acquire);
            if raised(seen) {
                return true;
            }
            if patience.is_try() {
                return false;
            }
            if spins > 0 {
                spins = spins.saturating_sub(1);
                spin_loop();
                continue;
            }
            let asleep = seen | SLEEPERS;
            if seen != asleep
                && self.state.compare_exchange(seen, asleep, Ordering::Relaxed, Ordering::Relaxed).is_err()
            {
                continue;
            }
            if sleep(&self.state, asleep, patience) == Woken::TimedOut {
                return raised(self.state.load(Ordering::Acquire));
            }
        }
    }

    /// A setter may have died between setting the flag and waking; an event has no owner.
    pub(crate) fn repair(&self, _dead: MemberId) {
        futex::wake(&self.state, ALL);
    }
}

/// A flag in shared memory: any thread of any process sets it, and all threads that wait for it continue.
///
/// What a thread did before [`Event::set`] is visible to every thread that saw the flag. The death of a
/// waiter affects no other process. The death of the process that should set the flag does not end a wait, so
/// use a timeout where that can happen.
///
/// ```
/// use phalanx::sync::Event;
///
/// let ready = Event::new()?;
/// std::thread::scope(|s| {
///     s.spawn(|| ready.wait());
///     ready.set();
/// });
/// assert!(ready.is_set());
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct Event {
    place: Place,
}

impl Event {
    /// Makes an event whose flag is not set.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new() -> Result<Event, CreateError> {
        let place = place::make::<Event>("event", size_of::<EventWord>(), |_| (), Some(EventWord::repair))?;
        Ok(Event { place })
    }

    /// Sets the flag and wakes all waiters. Never blocks. Costs one atomic instruction, and a system call if
    /// a thread sleeps.
    pub fn set(&self) {
        self.word().set();
    }

    /// Clears the flag. Threads that were already waiting when it was set still continue.
    pub fn clear(&self) {
        self.word().clear();
    }

    /// Returns whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.word().is_set()
    }

    /// Blocks until the flag is set.
    pub fn wait(&self) {
        while !self.word().wait(Patience::Forever) {}
    }

    /// Blocks until the flag is set, at most `timeout`. Returns whether it was set.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.word().wait(Patience::of(timeout))
    }

    fn word(&self) -> &EventWord {
        Remote::words(self)
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).finish()
    }
}

remote!([] Event, "event", EventWord, (), |this| this.place, |place| Event { place });
