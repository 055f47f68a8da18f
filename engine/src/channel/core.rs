//! The operations on the words, step by step. README.md beside this file says what a kill after each step
//! leaves.
//!
//! # Safety
//! Small items are copied into a buffer that has room for the largest of them.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::bell::{Bell, NOBODY, Ticket, Wake};
use super::error::{Refused, corrupt};
use super::hand::Hand;
use super::inside::{Inside, Spots};
use super::word::{Base, ENDS, HEADER, LENDS, MAX_LEN, QueueKind, RECEIVING, stride};
use crate::base::atomic::{Ordering, spin_loop};
use crate::base::member::{self, Owner};
use crate::sync::{Acquired, GRACE, Patience, Refused as Locked};
use crate::sys::clock::{TickRate, ticks, yield_core};
use crate::sys::futex::Woken;
// Plain on purpose: a hint of this process alone.
use std::sync::atomic::AtomicU32;

/// Items up to this many bytes are copied inside the lock, which costs less than entering it twice.
pub(super) const SMALL: usize = 2048;
/// How many microseconds to look for a change before sleeping: longer than a sleep and a wake-up together.
const LOOK_US: u64 = 60;

/// Of these, the time without giving the core away: a few passages of the other side.
const ALONE_US: u64 = 10;
/// A thread that lost the core for this long by giving it away shares the core with a thread that needs it.
const SHARED_US: u64 = 20;
/// After that, this many waits do not give the core away.
const CROWDED_WAITS: u32 = 200;
/// Between two looks at a word that the other side writes.
const LOOK_PAUSE_NS: u64 = 150;
/// Between two tries to take a lock that somebody holds: the first pause and the longest. With pauses from 40
/// ns to 640 ns small items took 0.26 us each between two processes, with these 0.16 us
/// (`phalanx-bench queue --items 5000`, 5th percentile of short samples on a 2-core Xeon virtual machine
/// under load, November 2026).
const LOCK_PAUSES_NS: std::ops::RangeInclusive<u64> = 320..=5000;

/// A queue's words and area, here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Core {
    pub(super) base: Base,
}

/// A record that the caller's claim names: only it, or the recount after its death, changes it.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) position: u64,
    pub(super) len: u64,
    pub(super) index: usize,
}

/// The outcome of a get.
#[derive(Debug)]
pub(super) enum Taken<'a> {
    /// That many bytes are in the caller's buffer; the record is gone, and the item is in the caller's hand.
    Copied(usize, Hand<'a>),
    /// To be read, and then finished.
    Claimed(Claim),
}

/// Why an attempt inside the lock did not succeed.
pub(super) enum Attempt<T> {
    Done(T),
    /// Try again after a change; picky if not every change helps.
    Wait {
        picky: bool,
    },
    /// Try again after yielding: no claim is free.
    Yield,
}

impl Core {
    /// Enters the lock, and recounts first if a death requires it. `None`: the lock was not free in time.
    #[inline]
    pub(super) fn enter(&self, patience: Patience) -> Result<Option<Inside<'_>>, Refused> {
        let me = member::current();
        let mut locked = self.base.control().hot.lock.lock(me, Patience::Try);
        if locked == Err(Locked::TimedOut) {
            locked = self.lock_cold(me, patience);
        }
        let is_recounted = match locked {
            Ok(Acquired::Clean) => false,
            Ok(Acquired::OwnerDied) => {
                let inside = Inside { core: self, me, spots: Spots { head: 0, next: 0, tail: 0 } };
                self.recount()?;
                std::mem::forget(inside);
                true
            }
            // Inside already: only a signal handler can be, and it must not wait for the code it interrupted.
            Err(Locked::TimedOut | Locked::WouldDeadlock) => return Ok(None),
            Err(Locked::Corrupt(seen)) => return Err(corrupt("lock word", seen.into())),
        };
        let mut inside = Inside { core: self, me, spots: Spots { head: 0, next: 0, tail: 0 } };
        inside.spots = self.spots()?;
        if is_recounted {
            // What the dead had claimed may be holes now: if nothing is left to be taken, no one else would
            // free them.
            inside.reclaim()?;
        }
        Ok(Some(inside))
    }

    /// Takes a lock that is held. Others hold it for less time than a sleep takes, so we look again after
    /// ever longer pauses, in which they pass through several times without losing the line to us; then we
    /// give the core away; then we sleep.
    #[cold]
    #[expect(clippy::arithmetic_side_effects, reason = "ticks of a few microseconds")]
    fn lock_cold(&self, me: Owner, patience: Patience) -> Result<Acquired, Locked> {
        let lock = &self.base.control().hot.lock;
        let us = TickRate::ticks_in_us(1);
        let (mut pause, longest) = (us * LOCK_PAUSES_NS.start() / 1000, us * LOCK_PAUSES_NS.end() / 1000);
        let since = ticks();
        while ticks().wrapping_sub(since) < us * LOOK_US {
            spin_for(pause);
            match lock.lock(me, Patience::Try) {
                Err(Locked::TimedOut) => {}
                other => return other,
            }
            if pause < longest {
                pause *= 2;
            } else if !give_way() {
                break;
            }
        }
        // A holder that was stopped inside ends the patience even of callers that otherwise do not wait.
        lock.lock(me, if patience.is_try() { Patience::of(INSIDE) } else { patience })
    }

    /// The positions, checked.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    fn spots(&self) -> Result<Spots, Refused> {
        let hot = &self.base.control().hot;
        let [head, next, tail] = [&hot.head, &hot.next, &hot.tail].map(|word| word.load(Ordering::Relaxed));
        let capacity = self.base.shape.capacity();
        let sound = head <= tail && tail - head <= capacity && (head | next | tail).is_multiple_of(HEADER);
        if !sound || tail > u64::MAX / 4 {
            return Err(corrupt("position", tail));
        }
        // Derived, and reset by every recount, so a wrong one is only moved into its bounds.
        Ok(Spots { head, next: next.clamp(head, tail), tail })
    }

    /// Tries inside the lock until it succeeds, sleeping on the bell in between. `looks` checks without the
    /// lock whether trying could help.
    #[inline]
    pub(super) fn wait_for<T>(
        &self,
        bell: &Bell,
        patience: Patience,
        at_end: Refused,
        looks: impl Fn() -> bool,
        mut attempt: impl FnMut(&mut Inside<'_>) -> Result<Attempt<T>, Refused>,
    ) -> Result<T, Refused> {
        let mut wait = Wait { enlisted: None, timed_out: false, has_looked: false };
        loop {
            let Some(mut inside) = self.enter(patience)? else {
                if wait.enlisted.is_some() {
                    // Perhaps this waiter was woken to continue: wake another instead.
                    bell.rouse();
                }
                return Err(at_end);
            };
            let ticket = bell.ticket();
            let tried = attempt(&mut inside)?;
            let ends = matches!(tried, Attempt::Done(_)) || patience.is_try() || wait.timed_out;
            if ends && wait.enlisted == Some(ticket) {
                bell.delist();
            }
            let picky = match tried {
                Attempt::Done(done) => return Ok(done),
                _ if ends => return Err(at_end),
                Attempt::Yield => {
                    drop(inside);
                    std::thread::yield_now();
                    wait.timed_out = is_over(patience);
                    continue;
                }
                Attempt::Wait { picky } => picky,
            };
            if !wait.has_looked {
                drop(inside);
                wait.has_looked = true;
                look(&looks, patience);
                continue;
            }
            bell.enlist(ticket, wait.enlisted, picky);
            wait.enlisted = Some(ticket);
            drop(inside);
            // A recount is asked for before the bell's turn moves for it: whoever has a ticket from after the
            // move sees it here.
            if !self.base.control().hot.lock.is_poisoned() {
                // A bell that rings all the time must not hide that the time is over.
                wait.timed_out = bell.sleep(ticket, patience) == Woken::TimedOut || is_over(patience);
            }
        }
    }

    /// Puts an item in.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn put(&self, data: &[u8], patience: Patience) -> Result<(), Refused> {
        let len = data.len() as u64;
        let capacity = self.base.shape.capacity().min(MAX_LEN) - HEADER;
        if len > capacity {
            return Err(Refused::TooBig { item: len, capacity });
        }
        let need = stride(len);
        let control = self.base.control();
        let looks = || {
            let hot = &control.hot;
            let [head, tail] = [&hot.head, &hot.tail].map(|word| word.load(Ordering::Relaxed));
            let writing = u64::from(hot.writing.load(Ordering::Relaxed));
            let waiting = hot.ready.load(Ordering::Relaxed).saturating_add(writing);
            let has_bytes = tail.wrapping_sub(head).saturating_add(need) <= self.base.shape.capacity();
            waiting < self.base.shape.maxsize && has_bytes || control.closed.load(Ordering::Relaxed) != 0
        };
        let mut wake = NOBODY;
        let claim = self.wait_for(&control.hot.room, patience, Refused::Full, looks, |inside| {
            if self.is_closed(RECEIVING) {
                return Err(Refused::Closed);
            }
            if inside.waiting_items() >= self.base.shape.maxsize {
                return Ok(Attempt::Wait { picky: false });
            }
            if !inside.has_bytes(need)? {
                return Ok(Attempt::Wait { picky: true });
            }
            if data.len() <= SMALL {
                wake = inside.put_small(data)?;
                return Ok(Attempt::Done(None));
            }
            inside
                .claim_room(len)
                .map(|claim| claim.map_or(Attempt::Yield, |claim| Attempt::Done(Some(claim))))
        })?;
        match claim {
            None => {
                control.hot.food.wake(wake);
                Ok(())
            }
            Some(claim) => self.fill(&claim, data, patience),
        }
    }

    /// Copies a large item into its claimed record and publishes it.
    #[cold]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    fn fill(&self, claim: &Claim, data: &[u8], patience: Patience) -> Result<(), Refused> {
        let backed = self.base.back(claim.position, stride(claim.len));
        let written = match backed {
            Ok(()) => self.base.write(claim.position + HEADER, data),
            Err(source) => Err(Refused::NoMemory { item: claim.len, source }),
        };
        let kind = if written.is_ok() { QueueKind::Ready } else { QueueKind::Hole };
        let after = self.end(claim, patience, Refused::Full, |inside| inside.end_writing(claim, kind))?;
        self.follow_up(after);
        written
    }

    /// Performs the end of a claim inside the lock, waiting for the lock a moment beyond the caller's
    /// patience. If the lock is not free by then (`late` is the result), or the words make no sense, the
    /// claim is given up.
    pub(super) fn end<R>(
        &self,
        claim: &Claim,
        patience: Patience,
        late: Refused,
        act: impl FnOnce(&mut Inside<'_>) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let ended = match self.enter(patience.at_least(GRACE)) {
            Ok(Some(mut inside)) => act(&mut inside),
            Ok(None) => Err(late),
            Err(refused) => Err(refused),
        };
        if ended.is_err() {
            self.base.control().give_up(claim.index, member::current_member());
        }
        ended
    }

    /// Takes the first item that is ready: small ones into `buffer`; large ones, and all where `hold`, stay
    /// claimed.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn take(
        &self,
        buffer: &mut [std::mem::MaybeUninit<u8>; SMALL],
        hold: bool,
        patience: Patience,
    ) -> Result<Taken<'_>, Refused> {
        let control = self.base.control();
        let hot = &control.hot;
        let looks = || hot.ready.load(Ordering::Relaxed) > 0 || control.closed.load(Ordering::Relaxed) != 0;
        let mut after = After::default();
        let taken = self.wait_for(&hot.food, patience, Refused::Empty, looks, |inside| {
            let Some((position, len)) = inside.find_ready()? else {
                return if inside.is_finished() {
                    Err(Refused::Closed)
                } else {
                    Ok(Attempt::Wait { picky: false })
                };
            };
            if hold || len > SMALL as u64 {
                let claim = inside.claim(position, len)?;
                return Ok(claim.map_or(Attempt::Yield, |claim| Attempt::Done(Taken::Claimed(claim))));
            }
            // SAFETY: the buffer has room for `SMALL` bytes, and is no part of the area.
            unsafe { self.base.read(position + HEADER, len as usize, buffer.as_mut_ptr().cast()) }?;
            let hand = self.hand(inside.hold(position));
            after = inside.remove(position, len)?;
            Ok(Attempt::Done(Taken::Copied(len as usize, hand)))
        })?;
        self.follow_up(after);
        Ok(taken)
    }

    /// Ends a claim on an item: it is gone, or goes back to the front.
    #[cold]
    pub(super) fn finish(&self, claim: &Claim, is_taken: bool, patience: Patience) -> Result<(), Refused> {
        let after =
            self.end(claim, patience, Refused::Empty, |inside| inside.end_reading(claim, is_taken))?;
        self.follow_up(after);
        Ok(())
    }

    /// What is left to do after the lock was given up.
    #[inline]
    pub(super) fn follow_up(&self, after: After) {
        let control = self.base.control();
        control.hot.food.wake(after.food);
        control.hot.room.wake(after.room);
        control.done.wake(after.done);
        // An empty queue keeps little memory.
        if after.emptied && self.base.has_excess() {
            self.trim_cold();
        }
    }

    #[cold]
    fn trim_cold(&self) {
        // An error shows at the next call that can report it.
        while let Ok(Some(inside)) = self.enter(Patience::Try) {
            if inside.spots.head != inside.spots.tail || !self.base.give_back() {
                break;
            }
        }
    }

    /// Closes the queue. Twice is harmless.
    pub(super) fn close(&self) {
        let control = self.base.control();
        // Release pairs with nothing but the bells: whoever wakes sees it.
        control.closed.store(1, Ordering::Release);
        control.rouse_all();
    }

    /// Whether nothing more can be put (if the receiving end is given), or will come.
    #[inline]
    pub(super) fn is_closed(&self, end: usize) -> bool {
        let control = self.base.control();
        let flags = self.base.shape.flags;
        control.closed.load(Ordering::Acquire) != 0
            || flags & ENDS != 0 && control.is_gone(end, flags & LENDS != 0)
    }

    /// Waits until an item is ready or none will ever come. Returns whether that was so in time.
    pub(super) fn poll(&self, patience: Patience) -> Result<bool, Refused> {
        let hot = &self.base.control().hot;
        let mut wake = NOBODY;
        let looks = || hot.ready.load(Ordering::Relaxed) > 0;
        let polled = self.wait_for(&hot.food, patience, Refused::Empty, looks, |inside| {
            if inside.find_ready()?.is_none() && !inside.is_finished() {
                return Ok(Attempt::Wait { picky: false });
            }
            // Nothing is taken, so another reader can still be woken for it.
            wake = hot.food.ring();
            Ok(Attempt::Done(()))
        });
        hot.food.wake(wake);
        match polled {
            Err(Refused::Empty) => Ok(false),
            polled => polled.map(|()| true),
        }
    }

    /// Notes one item taken earlier as done.
    pub(super) fn task_done(&self) -> Result<(), Refused> {
        let control = self.base.control();
        let inside = self.enter(Patience::of(GRACE))?;
        // This member's first; otherwise any member's, since a member that takes an item may pass it on. The
        // lock keeps others away, except repair.
        if !control.in_hand.take_one(member::current_member()) {
            return Err(Refused::TooManyDone);
        }
        let Some(inside) = inside else {
            // Its holder is stopped, or there is none: waiters look for themselves.
            control.done.rouse();
            return Ok(());
        };
        let wake = if inside.unfinished() == 0 { control.done.ring_all() } else { NOBODY };
        drop(inside);
        control.done.wake(wake);
        Ok(())
    }

    /// Items not done; a snapshot.
    pub(super) fn unfinished(&self) -> usize {
        let inside = self.enter(Patience::Try).ok().flatten();
        inside.map_or(0, |inside| usize::try_from(inside.unfinished()).unwrap_or(usize::MAX))
    }

    /// Waits until no item is unfinished.
    pub(super) fn join(&self, patience: Patience) -> Result<(), Refused> {
        self.wait_for(
            &self.base.control().done,
            patience,
            Refused::Full,
            || false,
            |inside| {
                Ok(if inside.unfinished() == 0 { Attempt::Done(()) } else { Attempt::Wait { picky: false } })
            },
        )
    }
}

/// How long a `try_` call waits for the lock.
const INSIDE: std::time::Duration = std::time::Duration::from_millis(50);

/// What is left to do after the lock was given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct After {
    pub(super) food: Wake,
    pub(super) room: Wake,
    pub(super) done: Wake,
    pub(super) emptied: bool,
}

impl Default for After {
    fn default() -> After {
        After { food: NOBODY, room: NOBODY, done: NOBODY, emptied: false }
    }
}

struct Wait {
    enlisted: Option<Ticket>,
    timed_out: bool,
    has_looked: bool,
}

fn is_over(patience: Patience) -> bool {
    matches!(patience, Patience::Until(at) if std::time::Instant::now() >= at)
}

/// How many more waits of this process sleep instead of giving the core away.
static CROWDED: AtomicU32 = AtomicU32::new(0);

/// Gives the core away for a moment. Returns false if that took long recently: then others need the core, and
/// among many threads a sleeper gets it back sooner than one that yielded.
fn give_way() -> bool {
    let left = CROWDED.load(Ordering::Relaxed);
    if left > 0 {
        CROWDED.store(left.saturating_sub(1), Ordering::Relaxed);
        return false;
    }
    let is_free = yield_core() <= TickRate::ticks_in_us(SHARED_US);
    if !is_free {
        CROWDED.store(CROWDED_WAITS, Ordering::Relaxed);
    }
    is_free
}

/// Looks for a change for a while: if both sides are awake, neither makes a system call that sleeps or wakes.
/// First without giving the core away, then giving it away in between; ends at once if another thread needs
/// the core for long.
#[expect(clippy::arithmetic_side_effects, reason = "ticks of a few microseconds")]
fn look(changed: &impl Fn() -> bool, patience: Patience) {
    let (since, us) = (ticks(), TickRate::ticks_in_us(1));
    while !changed() && !is_over(patience) {
        let passed = ticks().wrapping_sub(since);
        if passed > us * LOOK_US || passed > us * ALONE_US && !give_way() {
            return;
        }
        spin_for(us * LOOK_PAUSE_NS / 1000);
    }
}

fn spin_for(pause: u64) {
    let since = ticks();
    while ticks().wrapping_sub(since) < pause {
        spin_loop();
    }
}
