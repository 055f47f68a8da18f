//! Words that some other code wrote over: every call ends in an error or an answer, never in a panic or
//! outside the block.
//!
//! # Safety
//! Buffers have room for what is read into them. Words are written over while no other thread looks at them.
#![allow(unsafe_code)]

use super::Bare;
use crate::base::MemberId;
use crate::base::atomic::Ordering;
use crate::channel::QueueError;
use crate::channel::core::{Claim, SMALL, Taken};
use crate::channel::error::Refused;
use crate::channel::word::{CLAIMS, Control, ENDS, HEADER, JOINABLE, QueueKind, REDELIVER, Record};
use crate::sync::Patience;
use proptest::prelude::*;
use std::mem::MaybeUninit;

/// Values that are more likely than others to be believed.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0u64),
        0..200u64,
        (0..1u64 << 17).prop_map(|n| n * 8),
        any::<u64>(),
        (0..5u64, 0..300u64, any::<u16>())
            .prop_map(|(tag, claim, len)| tag << 60 | claim << 48 | u64::from(len)),
        Just(u64::MAX / 4),
    ]
}

fn use_everything(bare: &Bare) {
    let core = &bare.core;
    let mut buffer = [MaybeUninit::uninit(); SMALL];
    for len in [0, 5, SMALL, SMALL + 1, 9000] {
        let _ = core.put(&vec![1; len], Patience::Try);
    }
    for hold in [false, true, false] {
        match core.take(&mut buffer, hold, Patience::Try) {
            Ok(Taken::Claimed(claim)) => {
                let mut bytes = vec![0; claim.len as usize];
                // SAFETY: the vector has room for so many.
                let _ = unsafe { core.base.read(claim.position + HEADER, bytes.len(), bytes.as_mut_ptr()) };
                let _ = core.finish(&claim, hold, Patience::Forever);
            }
            Ok(Taken::Copied(len, _)) => assert!(len <= SMALL),
            Err(_) => {}
        }
    }
    let _ = (core.poll(Patience::Try), core.unfinished());
    bare.dies(MemberId(77));
    let _ = core.put(&[2; 10], Patience::Try);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn overwritten_words_are_errors(
        flags in 0..8u32,
        at in proptest::collection::vec((0..400usize, word()), 1..6),
        poisoned in any::<bool>(),
    ) {
        let bare = Bare::new(1 << 16, 20, flags & (REDELIVER | JOINABLE | ENDS));
        for len in [3, 5000, 100, 4090, 0] {
            let _ = bare.core.put(&vec![9; len], Patience::Try);
        }
        let control = bare.core.base.control();
        let hot = &control.hot;
        for (place, value) in at {
            match place {
                0..30 => hot.head.store(value, Ordering::Relaxed),
                30..60 => hot.tail.store(value, Ordering::Relaxed),
                60..80 => hot.next.store(value, Ordering::Relaxed),
                80..100 => hot.ready.store(value, Ordering::Relaxed),
                100..110 => hot.writing.store(value as u32, Ordering::Relaxed),
                110..120 => hot.claimed.store(value as u32, Ordering::Relaxed),
                120..200 => control.claims[value as usize % CLAIMS].store((value >> 20) as u32, Ordering::Relaxed),
                200..250 => bare.core.base.map()[value as usize % 16].store((value >> 8) as u32, Ordering::Relaxed),
                250..280 => bare.core.base.used()[0].store(value, Ordering::Relaxed),
                280..300 => bare.core.base.backed()[0].store(value & 0xffff, Ordering::Relaxed),
                _ => {
                    if let Ok(header) = bare.core.base.header(value % 9000 / 8 * 8) {
                        header.store(value, Ordering::Relaxed);
                    }
                }
            }
        }
        if poisoned {
            hot.lock.poison();
        }
        use_everything(&bare);
    }
}

#[test]
fn a_lock_word_that_no_queue_writes_is_reported() {
    let bare = Bare::new(1 << 16, u64::MAX, 0);
    // SAFETY: the lock is the first word of the block.
    unsafe { bare.at.cast::<u32>().write(1 << 29) };
    assert!(bare.core.put(&[1], Patience::Try).is_err());
    bare.wipe();
    bare.core.put(&[1], Patience::Try).unwrap();
    assert_eq!(size_of::<Control>() % 8, 0);
}

/// A member that never lived, so that no repair ever frees what its number is written on.
const NOBODY_KNOWN: u32 = 123_456;

/// A large item, claimed, in a queue whose lock is then held by nobody that lives.
fn wedged(flags: u32) -> (Bare, Claim) {
    let bare = Bare::new(1 << 16, u64::MAX, flags);
    bare.core.put(&[5; 5000], Patience::Try).unwrap();
    let mut buffer = [MaybeUninit::uninit(); SMALL];
    let Ok(Taken::Claimed(claim)) = bare.core.take(&mut buffer, false, Patience::Try) else { panic!() };
    // SAFETY: the lock is the first word of the block.
    unsafe { bare.at.cast::<u32>().write(NOBODY_KNOWN) };
    (bare, claim)
}

/// What the queue holds once the lock is free again.
fn left_in(bare: &Bare) -> (u64, u32, u64) {
    // SAFETY: the lock is the first word of the block; the poison stays.
    unsafe { bare.at.cast::<u32>().write(bare.at.cast::<u32>().read() & !NOBODY_KNOWN) };
    drop(bare.core.enter(Patience::Try).unwrap());
    let control = bare.core.base.control();
    let hot = &control.hot;
    let claims = control.claims.iter().filter(|claim| claim.load(Ordering::Relaxed) != 0).count();
    assert_eq!(claims, 0);
    (
        hot.ready.load(Ordering::Relaxed),
        hot.claimed.load(Ordering::Relaxed),
        control.lost.load(Ordering::Relaxed),
    )
}

#[test]
fn what_was_begun_ends_though_the_lock_is_held_by_nobody() {
    let soon = Patience::of(std::time::Duration::from_millis(1));
    // Taking it: the item is back, or counted.
    let (bare, claim) = wedged(REDELIVER);
    assert!(matches!(bare.core.finish_get(&claim, soon), Err(Refused::Empty)));
    assert_eq!(left_in(&bare), (1, 0, 0));
    let (bare, claim) = wedged(0);
    assert!(matches!(bare.core.finish_get(&claim, soon), Err(Refused::Empty)));
    assert_eq!(left_in(&bare), (0, 0, 1));
    // Giving it back.
    let (bare, claim) = wedged(REDELIVER);
    assert!(matches!(bare.core.finish(&claim, false, soon), Err(Refused::Empty)));
    assert_eq!(left_in(&bare), (1, 0, 0));
    // One of those in hand is done.
    let (bare, claim) = wedged(REDELIVER | JOINABLE);
    bare.core.base.control().in_hand.add(MemberId::DRIVER, 1).unwrap();
    bare.core.task_done().unwrap();
    assert!(matches!(bare.core.task_done(), Err(Refused::TooManyDone)));
    let _ = bare.core.finish(&claim, false, soon);
    assert_eq!((left_in(&bare), bare.core.unfinished()), ((1, 0, 0), 1));
}

#[test]
fn a_length_without_memory_behind_it_is_no_items() {
    let queue = crate::channel::Queue::<Vec<u8>>::new().unwrap();
    queue.put(&vec![1; 5000]).unwrap();
    let (core, before) = (queue.core().unwrap(), queue.memory_bytes());
    let len = 600 << 20;
    core.base.header(0).unwrap().store(Record::new(QueueKind::Ready, len).0, Ordering::Relaxed);
    core.base.control().hot.tail.store(len + HEADER, Ordering::Relaxed);
    for _ in 0..2 {
        let is_corrupt = |error| matches!(error, QueueError::Corrupt { seen, .. } if seen == len);
        // Not to be printed, should it be an item.
        assert!(queue.get().is_err_and(is_corrupt));
        assert!(queue.get_bytes(Patience::Try).is_err_and(is_corrupt));
    }
    assert_eq!(queue.memory_bytes(), before);
}

#[test]
fn records_survive_packing() {
    for kind in [QueueKind::Hole, QueueKind::Ready, QueueKind::Writing(255), QueueKind::Claimed(7)] {
        let record = Record::new(kind, 12345);
        assert_eq!((record.kind(), record.len(), record.stride()), (Some(kind), 12345, 8 + 12352));
    }
    assert_eq!(Record(0).kind(), None);
}
