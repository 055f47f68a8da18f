//! The mailbox under threads that stand for processes: deaths are calls of `repair` for a member that will
//! not come back.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::mailbox::{Mailbox, PIECE_BYTES, SLOTS, Stop, Visit};
use crate::base::member::{self, MemberId};
use crate::sync::repair::repair;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Serves until shut: answers each request backwards.
fn mirror(mailbox: &Mailbox) {
    let mut gathered: BTreeMap<usize, (Vec<u8>, usize, bool)> = BTreeMap::new();
    mailbox.serve(&AtomicBool::new(false), |index, visit| {
        let Visit::Turn(turn) = visit else {
            gathered.remove(&index);
            return;
        };
        let (bytes, told, is_whole) = gathered.entry(index).or_default();
        if !*is_whole {
            if turn.take(bytes).unwrap() {
                return turn.ask_more();
            }
            bytes.reverse();
            *is_whole = true;
        }
        let end = bytes.len().min(*told + PIECE_BYTES);
        let more = end < bytes.len();
        turn.answer(&bytes[*told..end], more);
        *told = end;
        if !more {
            gathered.remove(&index);
        }
    });
}

fn with_server(then: impl FnOnce(&Mailbox)) {
    let mailbox = Mailbox::new().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| mirror(&mailbox));
        // A failing test must not wait for its server.
        struct Close<'a>(&'a Mailbox);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let _close = Close(&mailbox);
        then(&mailbox);
    });
}

#[test]
fn requests_of_any_length_come_back() {
    with_server(|mailbox| {
        for len in [1, 2, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 100_003] {
            let request: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut answer = mailbox.exchange(&request, None, <[u8]>::to_vec).unwrap();
            answer.reverse();
            assert!(answer == request, "{len}");
        }
        assert_eq!(mailbox.busy(), 0);
    });
}

#[test]
fn slots_that_dead_callers_left_at_any_step_are_freed() {
    with_server(|mailbox| {
        let dead = member::next_member().unwrap();
        for step in 0..4 {
            // All slots at once, so that nothing works until they come back.
            for _ in 0..SLOTS {
                mailbox.abandon_after(step, dead);
            }
            repair(dead);
            let soon = Some(Instant::now() + Duration::from_secs(30));
            assert_eq!(mailbox.exchange(b"ab", soon, <[u8]>::to_vec).unwrap(), b"ba", "step {step}");
            while mailbox.busy() > 0 {
                std::thread::yield_now();
            }
        }
    });
}

#[test]
fn callers_without_a_slot_wait_and_are_told_of_the_end() {
    let mailbox = Mailbox::new().unwrap();
    let dead = member::next_member().unwrap();
    for _ in 0..SLOTS {
        mailbox.abandon_after(0, dead);
    }
    let soon = Some(Instant::now() + Duration::from_millis(20));
    assert_eq!(mailbox.exchange(b"x", soon, <[u8]>::to_vec), Err(Stop::TimedOut));
    std::thread::scope(|scope| {
        let hand = scope.spawn(|| mailbox.exchange(b"x", None, <[u8]>::to_vec));
        mailbox.close();
        assert_eq!(hand.join().unwrap(), Err(Stop::Closed));
    });
}

#[test]
fn the_servers_death_reaches_those_that_wait_and_those_that_come() {
    let mailbox = Mailbox::new().unwrap();
    let server = member::next_member().unwrap();
    mailbox.set_server(server);
    std::thread::scope(|scope| {
        let hands: Vec<_> =
            (0..SLOTS + 8).map(|_| scope.spawn(|| mailbox.exchange(b"x", None, <[u8]>::to_vec))).collect();
        repair(MemberId(server.get() + 1));
        repair(server);
        for hand in hands {
            assert_eq!(hand.join().unwrap(), Err(Stop::Died));
        }
    });
    assert_eq!(mailbox.exchange(b"x", None, <[u8]>::to_vec), Err(Stop::Died));
    // An orderly end that comes later does not hide it.
    mailbox.close();
    assert_eq!(mailbox.exchange(b"x", None, <[u8]>::to_vec), Err(Stop::Died));
}
