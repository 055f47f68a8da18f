//! How protocols wait: a patience, a bounded spin, then a sleep; and `Turn`, the word that the sleepers of an
//! object share.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering, spin_loop};
use crate::sys::futex::{self, Woken};
use std::time::{Duration, Instant};

/// Wake all sleepers.
pub(crate) const ALL: u32 = u32::MAX;

/// Rounds of looking at a word before sleeping. A pause takes 10 to 40 ns on current x86-64, so this is 1 to
/// 4 us, about what one sleep and wake-up cost. On aarch64 a pause is `isb`, which was chosen by the standard
/// library to take about as long; not measured here.
#[cfg(not(loom))]
pub(crate) const SPINS: u32 = 100;
#[cfg(loom)]
pub(crate) const SPINS: u32 = 0;

/// Looking at a contended lock before sleeping: rarely, with pauses that double. Every look takes the line
/// away from the lock's users, who release the lock and take it many times between two looks.
#[derive(Debug)]
pub(crate) struct Spin {
    next: u32,
    left: u32,
}

/// Pauses before a second look at a contended lock: 1 to 2 us. By `phalanx-bench sync --only lock_contended`
/// on a virtual machine of 2 Xeon cores in November 2026, 2 processes, nanoseconds per pair: a look after
/// every pause 210 to 470; pauses from 1 on 42, from 8 on 32, from 32 on 28 (a robust mutex of the C library
/// 98).
const FIRST_PAUSE: u32 = 32;

impl Spin {
    pub(crate) fn new(patience: Patience) -> Spin {
        Spin { next: FIRST_PAUSE, left: if patience.is_try() { 0 } else { SPINS } }
    }

    /// Pauses before another look; false, without a pause, once sleeping is better.
    pub(crate) fn pause(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        let now = self.next.min(self.left);
        for _ in 0..now {
            spin_loop();
        }
        self.left = self.left.saturating_sub(now);
        self.next = self.next.saturating_mul(2);
        true
    }
}

/// The longest single sleep. No protocol needs it: it limits the damage if a word is overwritten under a
/// sleeper.
const SLICE: Duration = Duration::from_secs(1);

/// How long an operation that must not fail waits for a lock that others hold for a few instructions. After
/// that the holder is stopped, or the word was overwritten with a member that does not hold the lock; then
/// the operation ends without the lock, as repair does.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How long a caller is willing to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    Try,
    /// Up to an instant of this process's monotonic clock; never written to shared memory.
    Until(Instant),
    /// Forever; the death of a peer still ends it.
    Forever,
}

impl Patience {
    /// Until `timeout` from now; a timeout that no clock can express means forever.
    pub(crate) fn of(timeout: Duration) -> Patience {
        Instant::now().checked_add(timeout).map_or(Patience::Forever, Patience::Until)
    }

    /// This patience, but at least until `moment` from now.
    pub(crate) fn at_least(self, moment: Duration) -> Patience {
        match (self, Patience::of(moment)) {
            (Patience::Forever, _) => Patience::Forever,
            (Patience::Until(at), Patience::Until(soonest)) => Patience::Until(at.max(soonest)),
            (_, soonest) => soonest,
        }
    }

    /// Whether the caller does not wait at all.
    pub(crate) fn is_try(self) -> bool {
        matches!(self, Patience::Try)
    }
}

/// Sleeps while `*word == expected`. Returns `TimedOut` only when the caller's own patience is over.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a second from now; what a caller asks for comes through `Patience::of`"
)]
pub(crate) fn sleep(word: &AtomicU32, expected: u32, patience: Patience) -> Woken {
    if cfg!(loom) {
        return if patience.is_try() { Woken::TimedOut } else { futex::wait(word, expected, None) };
    }
    let slice = || Instant::now() + SLICE;
    match patience {
        Patience::Try => Woken::TimedOut,
        Patience::Until(at) if at <= slice() => futex::wait(word, expected, Some(at)),
        Patience::Until(_) | Patience::Forever => {
            futex::wait(word, expected, Some(slice()));
            Woken::LookAgain
        }
    }
}

/// A sequence number to sleep on: it changes after every change that could end a wait.
///
/// Bit 0 `SLEEPERS`: a thread may be asleep on this value; set by the sleeper, cleared by the next `advance`.
/// Bits 1 to 31: the number. A sleeper takes a ticket, looks at the object, and sleeps only while the number
/// is still its ticket's. The number wraps after 2^31 changes; a sleeper preempted for exactly that many
/// would sleep up to a slice.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Turn {
    word: AtomicU32,
}

const SLEEPERS: u32 = 1;
const STEP: u32 = 2;

/// The turn before its taker looked at the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

impl Turn {
    /// Takes a ticket. Everything that happened before the turn it names is visible afterwards.
    pub(crate) fn ticket(&self) -> Ticket {
        // Acquire pairs with the release in `advance`, `advance_one` and `rouse`.
        Ticket(self.word.load(Ordering::Acquire) & !SLEEPERS)
    }

    /// Sleeps until the turn is past `ticket`.
    pub(crate) fn wait(&self, Ticket(ticket): Ticket, patience: Patience) -> Woken {
        if patience.is_try() {
            return Woken::TimedOut;
        }
        let asleep = ticket | SLEEPERS;
        // Success orders nothing: whoever moves the turn later sees the bit because it is the same word.
        match self.word.compare_exchange(ticket, asleep, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => sleep(&self.word, asleep, patience),
            Err(now) if now == asleep => sleep(&self.word, asleep, patience),
            Err(_) => Woken::LookAgain,
        }
    }

    /// As `wait`, looking a bounded number of times first.
    pub(crate) fn wait_spinning(&self, ticket: Ticket, patience: Patience) -> Woken {
        let mut spin = Spin::new(patience);
        while spin.pause() {
            if self.ticket() != ticket {
                return Woken::LookAgain;
            }
        }
        self.wait(ticket, patience)
    }

    /// Moves on and wakes all sleepers; without any, no system call.
    pub(crate) fn advance(&self) {
        if self.step() & SLEEPERS != 0 {
            futex::wake(&self.word, ALL);
        }
    }

    /// Moves on and wakes one sleeper. Keeps the bit, since others may still sleep: they cannot be
    /// distinguished from none.
    pub(crate) fn advance_one(&self) {
        // Release pairs with the acquire in `ticket`.
        if self.word.fetch_add(STEP, Ordering::Release) & SLEEPERS != 0 {
            futex::wake(&self.word, 1);
        }
    }

    /// Moves on and wakes all sleepers, whatever the bit says: for repair, when a wake-up may have died on
    /// its way.
    pub(crate) fn rouse(&self) {
        self.step();
        futex::wake(&self.word, ALL);
    }

    /// Moves on, then clears the bit. Returns the old word. A thread may fall asleep on the new number in
    /// between and lose its bit, so the caller wakes all *afterwards* if the bit was set.
    fn step(&self) -> u32 {
        // Release pairs with the acquire in `ticket`. A plain addition first, not a look and a swap: cheaper,
        // and the model checker sees the conflict with every ticket taken before.
        let before = self.word.fetch_add(STEP, Ordering::Release);
        if before & SLEEPERS != 0 {
            self.word.fetch_and(!SLEEPERS, Ordering::Relaxed);
        }
        before
    }
}
