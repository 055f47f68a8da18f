//! A bell: who waits for something to change under a lock, and wakes up when it did.
//!
//! `waiting` is changed only under the lock that the bell belongs to, and is never below the number of those
//! asleep that nobody has been told to wake: a waiter adds itself before it leaves the lock, and the ringer
//! takes off whom it wakes. It may be above, after deaths and timeouts; each unit too much costs one needless
//! wake-up. So with nobody waiting, ringing is one look at a word on a line that the ringer has anyway.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering};
use crate::sync::{ALL, Patience, sleep};
use crate::sys::futex::{self, Woken};

/// Set in `waiting` by those whom not every change helps, so that a change wakes all.
const PICKY: u32 = 1 << 31;

/// The words.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Bell {
    /// What sleepers sleep on: moves with every ring that wakes.
    turn: AtomicU32,
    waiting: AtomicU32,
}

/// What `turn` was when its taker had looked, under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u32);

/// Whom to wake after the lock is given up.
#[must_use = "somebody sleeps until it is called"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wake(u32);

/// Nobody.
pub(super) const NOBODY: Wake = Wake(0);

impl Bell {
    /// What the turn is now: to be taken before looking at what the bell tells of.
    pub(super) fn ticket(&self) -> Ticket {
        // Acquire pairs with the release in `rouse`: who sees the turn moved by it sees what repair did
        // before.
        Ticket(self.turn.load(Ordering::Acquire))
    }

    /// Under the lock: notes the caller as waiting, before it sleeps on `ticket`. `earlier` is its ticket
    /// from an earlier round: if nobody rang since, it is still noted.
    pub(super) fn enlist(&self, ticket: Ticket, earlier: Option<Ticket>, picky: bool) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let more = u32::from(earlier != Some(ticket));
        let count = (waiting & !PICKY).saturating_add(more).clamp(1, PICKY - 1);
        let picky = if picky { PICKY } else { waiting & PICKY };
        self.waiting.store(picky | count, Ordering::Relaxed);
    }

    /// Under the lock: takes back what `enlist` noted, if nobody rang since.
    pub(super) fn delist(&self) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let count = (waiting & !PICKY).saturating_sub(1);
        let picky = if count == 0 { 0 } else { waiting & PICKY };
        self.waiting.store(picky | count, Ordering::Relaxed);
    }

    /// Under the lock: something changed that lets one waiter go on (all, where some are picky). The caller
    /// calls [`Bell::wake`] with the answer when it has left.
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

    /// Under the lock: lets all go on.
    pub(super) fn ring_all(&self) -> Wake {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return NOBODY;
        }
        self.waiting.store(0, Ordering::Relaxed);
        self.turn.fetch_add(1, Ordering::Release);
        Wake(ALL)
    }

    /// Wakes whom a ring said.
    #[inline]
    pub(super) fn wake(&self, Wake(count): Wake) {
        if count > 0 {
            futex::wake(&self.turn, count);
        }
    }

    /// Without the lock: wakes everybody. For repair, and for who was woken and cannot go on.
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
