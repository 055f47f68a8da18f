//! An event count: a number that counts events, and how many threads sleep on it.
//!
//! Who waits reads the count, looks whether there is anything to wait for, and sleeps while the count is what
//! it read. Who has news writes it, counts, and makes a system call only if somebody sleeps. No wake-up is
//! lost: the sleeper adds itself before the kernel compares the count, and the other side counts before it
//! looks for sleepers. In the one order of these four, either the comparison sees the new count, or the look
//! sees the sleeper.
//!
//! A sleeper that is killed leaves the number of sleepers too high, which costs needless wake-ups.
//!
//! `Turn` (`wait.rs`) has both in one word: half as large, but it wakes all, or cannot know that nobody
//! sleeps any more. Words that are changed under a lock count without all this (`channel/bell.rs`).
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering, fence, in_total_order};
use crate::sync::ALL;
use crate::sys::futex::{self, Woken};
use std::time::Instant;

/// The words. All zero: nothing has happened, nobody sleeps.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct EventCount {
    count: AtomicU32,
    /// How many sleep on the count, or are about to.
    sleepers: AtomicU32,
}

impl EventCount {
    /// The count; read it before the last look.
    #[inline]
    pub(crate) fn seen(&self) -> u32 {
        // Acquire pairs with the release in `count_by` and `rouse`: who sees the count sees the news.
        self.count.load(Ordering::Acquire)
    }

    /// Counts `events`, and wakes up to `most` sleepers. Returns whether a system call was made.
    #[inline]
    pub(crate) fn count_by(&self, events: u32, most: u32) -> bool {
        // SeqCst with the load below: pairs with `sleep`; either the sleeper sees the count, or we see the
        // sleeper.
        self.count.fetch_add(events, Ordering::SeqCst);
        in_total_order();
        let is_watched = self.sleepers.load(Ordering::SeqCst) != 0;
        if is_watched {
            futex::wake(&self.count, most);
        }
        is_watched
    }

    /// Counts an event and wakes all, whether or not anybody is known to sleep: for repair, when a wake-up
    /// may have died on its way.
    pub(crate) fn rouse(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        futex::wake(&self.count, ALL);
    }

    /// Sets bits of the count, and wakes all.
    pub(crate) fn mark(&self, bits: u32) {
        self.count.fetch_or(bits, Ordering::SeqCst);
        futex::wake(&self.count, ALL);
    }

    /// As [`EventCount::rouse`] if a thread sleeps, or is about to; returns whether one does. A SeqCst fence
    /// must stand between the news and this. Sleepers pass a look at the news as `otherwise`.
    pub(crate) fn rouse_if_watched(&self) -> bool {
        let is_watched = self.sleepers.load(Ordering::Relaxed) != 0;
        if is_watched {
            self.rouse();
        }
        is_watched
    }

    /// Sleeps until the count is another than `seen`, unless it is already, or `otherwise` finds something:
    /// the news of those who count only where somebody sleeps.
    pub(crate) fn sleep(
        &self,
        seen: u32,
        deadline: Option<Instant>,
        otherwise: impl FnOnce() -> bool,
    ) -> Woken {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Pairs with `count_by`, and with the fence before `rouse_if_watched`.
        fence(Ordering::SeqCst);
        let woken = if otherwise() { Woken::LookAgain } else { futex::wait(&self.count, seen, deadline) };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        woken
    }

    /// Sets both to zero. Nobody may be at it.
    pub(crate) fn reset(&self) {
        self.count.store(0, Ordering::Relaxed);
        self.sleepers.store(0, Ordering::Relaxed);
    }

    /// A sleeper that is killed as it wakes.
    #[cfg(test)]
    pub(crate) fn sleep_and_die(&self, seen: u32) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        futex::wait(&self.count, seen, None);
    }

    /// As if so much had been counted.
    #[cfg(test)]
    pub(crate) fn set(&self, count: u32) {
        self.count.store(count, Ordering::Relaxed);
    }
}
