//! A stray writer on a manager's mailbox: every call returns within its limit, or soon where it has none, and
//! the manager ends. What the calls return meanwhile is worth nothing.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::base::atomic::Ordering;
use crate::base::random_tests::Random;
use crate::{CallError, Manager};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

/// Words overwritten with each seed.
const SCRIBBLES: usize = 300;
/// Far above any limit of a call: a hang.
const FAR: Duration = Duration::from_secs(120);
/// Words of a mailbox's head, and of a slot.
const HEAD: usize = 32;
const SLOT: usize = 32 + 2048;

/// Overwrites a word of the head, or of a slot: most likely its first ones, which are used the most.
fn scribble(random: &mut Random, manager: &Manager) {
    let words = manager.mailbox.as_words();
    let at = match random.below(8) {
        0 => random.below(6),
        1 => random.below(words.len()),
        _ => {
            HEAD + random.below(32) * SLOT
                + if random.below(4) == 0 { 32 + random.below(12) } else { random.below(4) }
        }
    };
    words[at].store(random.word() as u32, Ordering::Relaxed);
}

/// Calls on managers of their own, until all was scribbled.
fn torment(seed: u64, make: fn() -> Manager) {
    let mut random = Random(seed);
    let left = AtomicUsize::new(SCRIBBLES);
    let (mut right, mut wrong) = (0, 0);
    while left.load(Ordering::Relaxed) > 0 {
        let manager = make();
        let Ok(list) = manager.host(Vec::<String>::new()) else { continue };
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (random, left, is_over, manager) = (&mut random, &left, &is_over, &manager);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) && left.load(Ordering::Relaxed) > 0 {
                    scribble(random, manager);
                    left.fetch_sub(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(random.below(1000) as u64));
                }
            });
            for round in 0..40 {
                // The longer ones pass in pieces.
                let text = "word ".repeat(if round % 4 == 0 { 5000 } else { 5 });
                let push = |list: &mut Vec<String>, text: String| {
                    list.clear();
                    list.push(text);
                    list[0].clone()
                };
                let outcome = list.call_timeout(push, text, Duration::from_millis(200));
                match outcome {
                    Ok(_) => right += 1,
                    Err(CallError::Closed | CallError::ServerDied) => break,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        wrong += 1;
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        drop(manager);
    }
    eprintln!("seed {seed}: {right} calls returned Ok, {wrong} an error");
}

fn survives(seeds: std::ops::Range<u64>, make: fn() -> Manager) {
    for seed in seeds {
        let (done, ended) = std::sync::mpsc::channel();
        // In a thread of its own, so that a hang is a failure with a name.
        let driver = std::thread::spawn(move || {
            torment(seed, make);
            done.send(()).unwrap();
        });
        ended.recv_timeout(FAR).unwrap_or_else(|_| panic!("seed {seed}: a call panicked or hung"));
        driver.join().unwrap();
    }
    let manager = Manager::new().unwrap();
    assert_eq!(manager.counter(1).unwrap().add(2), Ok(1));
}

#[test]
fn calls_end_while_the_mailbox_of_a_thread_is_overwritten() {
    survives(1..5, || Manager::new().unwrap());
}

#[test]
fn calls_end_while_the_mailbox_of_a_process_is_overwritten() {
    survives(1..3, || Manager::in_process().unwrap());
}

/// Has a call without a limit wait, writes with `scribble`, and expects the call to end.
fn a_waiting_call_ends(scribble: fn(&Manager)) {
    let manager = Manager::new().unwrap();
    let list = manager.host(0u64).unwrap();
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    static BEGAN: AtomicBool = AtomicBool::new(false);
    IS_OVER.store(false, Ordering::Relaxed);
    BEGAN.store(false, Ordering::Relaxed);
    let (told, ended) = std::sync::mpsc::channel();
    let hand = std::thread::spawn(move || {
        let waits = |_: &mut u64, ()| {
            BEGAN.store(true, Ordering::Relaxed);
            while !IS_OVER.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        };
        told.send(list.call(waits, ())).unwrap();
    });
    while !BEGAN.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    scribble(&manager);
    let outcome = ended.recv_timeout(FAR);
    IS_OVER.store(true, Ordering::Relaxed);
    assert!(matches!(outcome.unwrap(), Err(CallError::Corrupt)));
    hand.join().unwrap();
}

#[test]
fn a_call_without_a_limit_ends_when_its_words_are_overwritten() {
    // The state is none that a mailbox has.
    a_waiting_call_ends(|manager| manager.mailbox.as_words()[0].store(99, Ordering::Relaxed));
    // The slots have no owners.
    a_waiting_call_ends(|manager| {
        for slot in 0..32 {
            manager.mailbox.as_words()[HEAD + slot * SLOT].store(0, Ordering::Relaxed);
            manager.mailbox.as_words()[HEAD + slot * SLOT + 1].store(0, Ordering::Relaxed);
        }
    });
}

#[test]
fn a_manager_ends_though_its_mailbox_says_that_it_is_open() {
    let manager = Manager::new().unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let words = manager.mailbox.clone();
        let is_over = &is_over;
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                words.as_words()[0].store(0, Ordering::Relaxed);
            }
        });
        drop(manager);
        is_over.store(true, Ordering::Relaxed);
    });
}
