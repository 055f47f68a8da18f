//! Deaths without processes: the test does a member's steps, stops, and repairs.
//!
//! # Safety
//! Two tests write over a live word, an atomic, on purpose.
#![allow(unsafe_code)]

use super::{dies, stranger};
use crate::base::member::{MemberId, Owner};
use crate::sync::barrier_word::{BarrierWord, Missed};
use crate::sync::lock_word::{Acquired, LockWord, Refused, Released};
use crate::sync::rw_word::RwWord;
use crate::sync::semaphore_word::{Denied, SemaphoreWord};
use crate::sync::wait::Patience;
use crate::sync::*;
use proptest::prelude::*;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn a_dead_holder_is_reported_until_cleared() {
    let word = LockWord::default();
    let (a, b, c) = (stranger(), stranger(), stranger());
    assert_eq!(word.lock(a, Patience::Try), Ok(Acquired::Clean));
    assert_eq!(word.lock(b, Patience::Try), Err(Refused::TimedOut));
    assert_eq!(word.unlock(b), Released::NotOwner);
    for dead in [a, b] {
        word.repair(dead.member);
        word.repair(dead.member);
        assert_eq!(word.lock(b, Patience::Try), Ok(Acquired::OwnerDied));
    }
    assert_eq!(word.unlock(b), Released::Done);
    assert_eq!(word.lock(c, Patience::Try), Ok(Acquired::OwnerDied));
    word.clear_poison();
    assert_eq!(word.unlock(c), Released::Done);
    assert_eq!(word.lock(a, Patience::Try), Ok(Acquired::Clean));
    word.repair(c.member);
    assert_eq!(word.holder(), Some(a), "a death frees nothing that another holds");
}

#[test]
fn the_list_repairs_live_objects_only() {
    let dead = stranger();
    let lock = Lock::new(5u8).unwrap();
    let gone = Lock::new(6u8).unwrap();
    for lock in [&lock, &gone] {
        assert_eq!(lock.word().lock(dead, Patience::Try), Ok(Acquired::Clean));
    }
    drop(gone);
    dies(dead.member);
    let mut guard = lock.try_lock().unwrap_err().into_guard().unwrap();
    guard.clear_poison();
    drop(guard);
    assert!(lock.try_lock().is_ok());
}

#[test]
fn a_dead_reader_lets_the_writer_in() {
    let word = RwWord::default();
    let (a, b) = (stranger(), stranger());
    assert!(word.read(a, Patience::Try).is_ok());
    let (acquired, slot) = word.read(b, Patience::Try).unwrap();
    assert_eq!(acquired, Acquired::Clean);
    assert_eq!(word.write(b, Patience::Try), Err(Refused::TimedOut));
    word.repair(a.member);
    assert_eq!(word.unlock_read(b, slot), Released::Done);
    assert_eq!(word.write(b, Patience::Try), Ok(Acquired::Clean));
    word.repair(b.member);
    assert!(matches!(word.read(a, Patience::Try), Ok((Acquired::OwnerDied, _))));
}

#[test]
fn a_dead_members_permits_come_back() {
    let word = SemaphoreWord::default();
    word.init(3);
    let (a, b) = (stranger(), stranger());
    assert!(word.acquire(a, 2, Patience::Try).is_ok());
    assert_eq!(word.acquire(b, 2, Patience::Try), Err(Denied::TimedOut));
    word.repair(a.member);
    word.repair(a.member);
    let slot = word.acquire(b, 3, Patience::Try).unwrap();
    assert_eq!(word.release(b, slot, 4), Err(Denied::NotHeld));
    assert_eq!(word.release(b, slot, 3), Ok(()));
    assert_eq!(word.free(), 3);
}

#[test]
fn a_dead_party_breaks_the_barrier_and_a_withdrawn_one_does_not() {
    let word = BarrierWord::default();
    word.init(2);
    let (a, b, c) = (stranger(), stranger(), stranger());
    assert!(word.enroll(a.member) && word.enroll(b.member));
    word.withdraw(b.member);
    word.repair(b.member);
    word.repair(c.member);
    assert_eq!(word.is_broken(), None);
    word.repair(a.member);
    assert_eq!(word.wait(c, Patience::Forever), Err(Missed::Broken(a.member)));
    word.reset();
    assert_eq!(word.is_broken(), None);
}

#[test]
fn bad_bytes_are_named_and_nothing_hangs() {
    let lock = Lock::new(0u32).unwrap();
    let raw = std::ptr::from_ref(lock.word()).cast::<std::sync::atomic::AtomicU32>();
    for seen in [1 << 29, u32::MAX] {
        // SAFETY: the first word of the lock, an atomic, alive as long as the lock.
        unsafe { &*raw }.store(seen, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(lock.lock(), Err(LockError::Corrupt { seen: s }) if s == seen));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Lock(usize),
    Unlock(usize),
    Clear(usize),
    Die(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..3usize;
    prop_oneof![
        who.clone().prop_map(Step::Lock),
        who.clone().prop_map(Step::Unlock),
        who.clone().prop_map(Step::Clear),
        who.prop_map(Step::Die),
    ]
}

proptest! {
    /// The lock word agrees with a model of two variables after any sequence of steps and deaths.
    #[test]
    fn a_lock_word_follows_its_model(steps in prop::collection::vec(step(), 1..60)) {
        let word = LockWord::default();
        let mut members: Vec<Owner> = (0..3).map(|_| stranger()).collect();
        let (mut holder, mut poisoned) = (None::<usize>, false);
        for step in steps {
            match step {
                Step::Lock(i) => {
                    let expected = match holder {
                        Some(h) if h == i => Err(Refused::WouldDeadlock),
                        Some(_) => Err(Refused::TimedOut),
                        None => Ok(if poisoned { Acquired::OwnerDied } else { Acquired::Clean }),
                    };
                    prop_assert_eq!(word.lock(members[i], Patience::Try), expected);
                    holder = holder.or(Some(i));
                }
                Step::Unlock(i) => {
                    let expected = if holder == Some(i) { Released::Done } else { Released::NotOwner };
                    prop_assert_eq!(word.unlock(members[i]), expected);
                    holder = holder.filter(|h| *h != i);
                }
                Step::Clear(i) if holder == Some(i) => {
                    word.clear_poison();
                    poisoned = false;
                }
                Step::Clear(_) => {}
                Step::Die(i) => {
                    word.repair(members[i].member);
                    poisoned |= holder == Some(i);
                    holder = holder.filter(|h| *h != i);
                    members[i] = stranger();
                }
            }
            prop_assert_eq!(word.holder(), holder.map(|h| members[h]));
            prop_assert_eq!(word.is_poisoned(), poisoned);
        }
    }

    /// A semaphore's free permits are always its total less what the living hold.
    #[test]
    fn a_semaphore_word_conserves_permits(steps in prop::collection::vec((0..3usize, 0..4u32, 0..3u8), 1..40)) {
        let word = SemaphoreWord::default();
        word.init(5);
        let mut members: Vec<(Owner, u32)> = (0..3).map(|_| (stranger(), 0)).collect();
        for (i, n, kind) in steps {
            let free = 5 - members.iter().map(|(_, held)| held).sum::<u32>();
            let (me, held) = members[i];
            match kind {
                0 => {
                    prop_assert_eq!(word.acquire(me, n, Patience::Try).is_ok(), n <= free);
                    if n <= free { members[i].1 += n }
                }
                1 if n > 0 => {
                    prop_assert_eq!(word.release_kept(me, n).is_ok(), n <= held);
                    if n <= held { members[i].1 -= n }
                }
                1 => {}
                _ => {
                    word.repair(me.member);
                    members[i] = (stranger(), 0);
                }
            }
        }
        for (me, _) in &members {
            word.repair(me.member);
        }
        prop_assert!(word.acquire(stranger(), 5, Patience::Try).is_ok());
    }
}

#[test]
fn nobody_is_no_member_to_repair() {
    let word = LockWord::default();
    word.repair(MemberId::NOBODY);
    assert_eq!(word.lock(stranger(), Patience::Try), Ok(Acquired::Clean));
}

#[test]
fn permits_come_back_though_the_guard_is_held_by_nobody() {
    // A member that never lived, so that no repair ever frees what its number is written on.
    const NOBODY_KNOWN: u32 = 123_456;
    let word = SemaphoreWord::default();
    word.init(3);
    let me = stranger();
    let slot = word.acquire(me, 2, Patience::Try).unwrap();
    // SAFETY: the guard is the first word, an atomic.
    let guard = unsafe { std::sync::atomic::AtomicU32::from_ptr((&raw const word).cast_mut().cast()) };
    guard.store(NOBODY_KNOWN, Ordering::Relaxed);
    assert_eq!(word.acquire(me, 1, Patience::of(Duration::from_millis(1))), Err(Denied::TimedOut));
    assert_eq!(word.release(me, slot, 1), Ok(()));
    assert_eq!(word.grow(me, 2), Ok(()));
    assert_eq!(word.consume(me, slot, 1), Ok(()));
    assert_eq!(word.release(me, slot, 1), Err(Denied::NotHeld));
    guard.fetch_and(!NOBODY_KNOWN, Ordering::Relaxed);
    assert_eq!((word.total(), word.free()), (4, 4));
    assert!(word.acquire(me, 5, Patience::Try).is_err());
    word.acquire(me, 4, Patience::Try).unwrap();
}
