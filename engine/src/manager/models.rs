//! Model checks of the mailbox: callers and a server that sleep on its words, one of which may stop forever
//! at any of its steps.
//!
//! # Safety
//! A cell of the model stands in the place of each slot's bytes, so every access said to be its owner's or
//! the server's alone is checked to be.
#![allow(unsafe_code)]
#![allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]

use super::*;
use crate::base::model::{Arc, UnsafeCell, beside, check};

const fn caller(member: u32) -> Owner {
    Owner { member: MemberId(member), thread: 1 }
}

const SERVER_ID: MemberId = MemberId(2);
const A: Owner = caller(3);
const B: Owner = caller(4);
/// Has all slots but the first, so that callers wait for that one.
const ELSE: Owner = caller(5);

/// What an answer is: the request, and this.
const ANSWERED: u32 = 100;

struct Office {
    words: Box<Words>,
    bytes: UnsafeCell<u32>,
}

// SAFETY: the model's checker watches the accesses to the cell.
unsafe impl Sync for Office {}
// SAFETY: as above.
unsafe impl Send for Office {}

/// Where a caller stops forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    /// It has a slot.
    Claimed,
    /// Its request is with the server.
    Passed,
    /// It is about to sleep until the answer comes.
    Dozing,
    /// The answer is there, perhaps.
    Answered,
    /// Its slot is free, and nobody was told.
    Freed,
}

#[cfg(loom)]
fn all_zero() -> Box<Words> {
    Box::default()
}

#[cfg(not(loom))]
fn all_zero() -> Box<Words> {
    let words = Box::<Words>::new_uninit();
    let at = Box::into_raw(words);
    // SAFETY: just allocated, as long as words are.
    unsafe { at.write_bytes(0, 1) };
    // SAFETY: from `into_raw`, and words are atomics, for which zero is a value.
    unsafe { Box::from_raw(at).assume_init() }
}

impl Office {
    fn new() -> Arc<Office> {
        let words = all_zero();
        words.server.store(SERVER_ID.get(), Ordering::Relaxed);
        words.slots[1..].iter().for_each(|slot| slot.owner.store(ELSE.pack(), Ordering::Relaxed));
        Arc::new(Office { words, bytes: UnsafeCell::new(0) })
    }

    fn slot(&self) -> &MailboxSlot {
        &self.words.slots[0]
    }

    /// As `Mailbox::exchange`, with a request of one piece; ends at `dies`.
    fn call(&self, me: Owner, dies: Option<Dies>) -> Result<(), Stop> {
        let words = &*self.words;
        let request = me.member.get();
        assert_eq!(words.claim(me, None)?, 0, "the others are taken");
        if dies == Some(Dies::Claimed) {
            return Ok(());
        }
        // SAFETY: a slot that was claimed is its owner's; checked.
        self.bytes.with_mut(|bytes| unsafe { *bytes = request });
        words.pass_to_server(self.slot())?;
        if dies == Some(Dies::Passed) {
            return Ok(());
        }
        if dies == Some(Dies::Dozing) {
            let set = (SERVER, SERVER | ASLEEP);
            let _answered =
                self.slot().turn.compare_exchange(set.0, set.1, Ordering::AcqRel, Ordering::Relaxed);
            return Ok(());
        }
        words.await_turn(self.slot(), me, None)?;
        if dies == Some(Dies::Answered) {
            return Ok(());
        }
        // SAFETY: it is the owner's turn; checked.
        let answer = self.bytes.with(|bytes| unsafe { *bytes });
        assert_eq!(answer, request + ANSWERED, "an answer is its caller's");
        if dies == Some(Dies::Freed) {
            self.slot().free();
            return Ok(());
        }
        words.give_back(self.slot());
        Ok(())
    }

    /// Answers requests until the mailbox is shut.
    fn serve(&self) {
        self.words.serve(&AtomicBool::new(false), |index, visit| match visit {
            Visit::Free => {}
            Visit::Abandoned => {
                assert_eq!(index, 0);
                // SAFETY: an abandoned slot is the server's; checked.
                self.bytes.with_mut(|bytes| unsafe { *bytes = 0 });
            }
            Visit::Turn(turn) => {
                // SAFETY: it is the server's turn; checked.
                self.bytes.with_mut(|bytes| unsafe { *bytes += ANSWERED });
                turn.pass();
            }
        });
    }

    fn close(&self) {
        shut(&self.words, CLOSED);
    }
}

/// A server asleep sees a call and the end; a caller asleep sees its answer.
#[test]
fn loom_mailbox_call_is_seen_and_so_is_its_answer() {
    check(Some(3), || {
        let office = Office::new();
        let calls = beside(&office, move |office| {
            assert_eq!(office.call(A, None), Ok(()));
            office.close();
        });
        office.serve();
        calls.join().unwrap();
        assert_eq!(office.slot().owner.load(Ordering::Relaxed), 0);
    });
}

/// Of two callers one waits for the other's place.
#[test]
fn loom_mailbox_place_that_is_freed_wakes_a_waiter() {
    check(Some(2), || {
        let office = Office::new();
        let other = beside(&office, move |office| assert_eq!(office.call(A, None), Ok(())));
        let calls = beside(&office, move |office| {
            assert_eq!(office.call(B, None), Ok(()));
            other.join().unwrap();
            office.close();
        });
        office.serve();
        calls.join().unwrap();
    });
}

/// A stops at `dies`, and the engine repairs; B gets its place and its own answer.
fn a_caller_dies(dies: Dies) {
    check(Some(2), move || {
        let office = Office::new();
        // What follows the death in this thread is the engine's.
        let dying = beside(&office, move |office| {
            assert_eq!(office.call(A, Some(dies)), Ok(()));
            repair(&office.words, A.member);
        });
        let calls = beside(&office, move |office| {
            assert_eq!(office.call(B, None), Ok(()));
            dying.join().unwrap();
            office.close();
        });
        office.serve();
        calls.join().unwrap();
    });
}

#[test]
fn loom_mailbox_caller_dies_with_a_place() {
    a_caller_dies(Dies::Claimed);
}

#[test]
fn loom_mailbox_caller_dies_having_asked() {
    a_caller_dies(Dies::Passed);
}

#[test]
fn loom_mailbox_caller_dies_dozing() {
    a_caller_dies(Dies::Dozing);
}

#[test]
fn loom_mailbox_caller_dies_with_its_answer() {
    a_caller_dies(Dies::Answered);
}

#[test]
fn loom_mailbox_caller_dies_before_it_says_that_its_place_is_free() {
    a_caller_dies(Dies::Freed);
}

/// A waits for a place, is woken, and dies of it: the wake-up must not be lost to B.
#[test]
fn loom_mailbox_caller_dies_of_the_wake_up() {
    check(Some(3), || {
        let office = Office::new();
        assert_eq!(office.words.claim(ELSE, None), Ok(0));
        let dying = beside(&office, move |office| {
            // As `Words::claim`, up to the return of its sleep.
            let words = &office.words;
            let freed = words.freed.seen();
            if words.slots[0].owner.load(Ordering::Relaxed) != 0 {
                // It dies before it says that it no longer sleeps.
                words.freed.sleep_and_die(freed);
            }
            repair(words, A.member);
        });
        let waits = beside(&office, move |office| {
            assert_eq!(office.words.claim(B, None), Ok(0));
            // If this one came first, the other would sleep forever for want of a place.
            office.words.give_back(office.slot());
        });
        office.words.give_back(office.slot());
        waits.join().unwrap();
        dying.join().unwrap();
    });
}

/// A's time is up while the server may be at its call; B gets the place and its own answer.
#[test]
fn loom_mailbox_caller_gives_up() {
    check(Some(2), || {
        let office = Office::new();
        let gives_up = beside(&office, move |office| {
            assert_eq!(office.call(A, Some(Dies::Passed)), Ok(()));
            office.words.abandon(office.slot());
        });
        let calls = beside(&office, move |office| {
            assert_eq!(office.call(B, None), Ok(()));
            gives_up.join().unwrap();
            office.close();
        });
        office.serve();
        calls.join().unwrap();
    });
}

/// The server dies while one caller waits for its answer, or its place, and the other for that place: both
/// hear of it.
#[test]
fn loom_mailbox_death_of_the_server_is_told_to_all() {
    check(Some(3), || {
        let office = Office::new();
        let callers = [A, B]
            .map(|me| beside(&office, move |office| assert_eq!(office.call(me, None), Err(Stop::Died))));
        repair(&office.words, SERVER_ID);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

/// The mailbox is shut at any moment of a server that finds nothing to do, or one call.
#[test]
fn loom_mailbox_server_hears_that_it_is_shut() {
    check(None, || {
        let office = Office::new();
        let closes = beside(&office, move |office| office.close());
        office.serve();
        closes.join().unwrap();
    });
}
