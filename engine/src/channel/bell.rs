//! A bell: threads wait on it for a change made under a lock, and are woken when it happens.
//!
//! `waiting` is changed only under the lock that the bell belongs to. It is never below the number of
//! sleepers that have not been chosen to be woken: a waiter adds itself before it leaves the lock, and the
//! ringer subtracts those it wakes. It may be higher, after deaths and timeouts; each unit too many costs one
//! needless wake-up. So while no thread waits, ringing is one look at a word on a line that the ringer has
//! anyway.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering};
use crate::sync::{ALL, Patience, sleep};
use crate::sys::futex::{self, Woken};

/// Set in `waiting` if a waiter needs one particular change; then every change wakes all waiters.
const PICKY: u32 = 1 << 31;

/// The words.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Bell {
    /// The word that sleepers sleep on: changes with every ring that wakes.
    turn: AtomicU32,
    waiting: AtomicU32,
}

/// The value of `turn` when its taker looked, under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u32);

/// How many to wake after the lock is released.
#[must_use = "a waiter sleeps until `wake` is called"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wake(u32);

/// Wakes no one.
pub(super) const NOBODY: Wake = Wake(0);

impl Bell {
    /// The current turn; take it before looking at what the bell announces.
    pub(super) fn ticket(&self) -> Ticket {
        // Acquire pairs with the release in `rouse`: whoever sees the turn changed by it sees what repair did
        // before.
        Ticket(self.turn.load(Ordering::Acquire))
    }

    /// Under the lock: registers the caller as waiting, before it sleeps on `ticket`. `earlier` is its ticket
    /// from an earlier round: if there was no ring since, it is still registered.
    pub(super) fn enlist(&self, ticket: Ticket, earlier: Option<Ticket>, picky: bool) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let more = u32::from(earlier != Some(ticket));
        let count = (waiting & !PICKY).saturating_add(more).clamp(1, PICKY - 1);
        let picky = if picky { PICKY } else { waiting & PICKY };
        self.waiting.store(picky | count, Ordering::Relaxed);
    }

    /// Under the lock: undoes `enlist`, if there was no ring since.
    pub(super) fn delist(&self) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let count = (waiting & !PICKY).saturating_sub(1);
        let picky = if count == 0 { 0 } else { waiting & PICKY };
        self.waiting.store(picky | count, Ordering::Relaxed);
    }

    /// Under the lock: announces a change that lets one waiter continue (all, if some are picky). The caller
    /// passes the result to [`Bell::wake`] after it has left.
    #[inline]
    pub(super) fn ring(&self) -> Wake {
        match self.waiting.load(Ordering::Relaxed) {
            0 => NOBODY,
            waiting => self.ring_cold(waiting),
        }
    }

    #[cold]
    fn ring_cold(&self, waiting: u32) -> Wake {
        let all = waiting & PICKY != 0;
        self.waiting.store(if all { 0 } else { waiting.wrapping_sub(1) }, Ordering::Relaxed);
        self.turn.fetch_add(1, Ordering::Release);
        Wake(if all { ALL } else { 1 })
    }

    /// Under the lock: lets all waiters continue.
    pub(super) fn ring_all(&self) -> Wake {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return NOBODY;
        }
        self.waiting.store(0, Ordering::Relaxed);
        self.turn.fetch_add(1, Ordering::Release);
        Wake(ALL)
    }

    /// Wakes those that a ring chose.
    #[inline]
    pub(super) fn wake(&self, Wake(count): Wake) {
        if count > 0 {
            futex::wake(&self.turn, count);
        }
    }

    /// Without the lock: wakes all waiters. For repair, and for a woken waiter that cannot continue.
    pub(super) fn rouse(&self) {
        // Release pairs with the acquire in `ticket`.
        self.turn.fetch_add(1, Ordering::Release);
        futex::wake(&self.turn, ALL);
    }

    /// Without the lock: sleeps until a ring after the ticket.
    pub(super) fn sleep(&self, Ticket(turn): Ticket, patience: Patience) -> Woken {
        sleep(&self.turn, turn, patience)
    }
}
