//! Model checks of positions and claims: a ring of two records whose bytes are written and read outside the
//! lock, with one thread that stops forever, or gives its claim up, and the driver's repair beside the
//! others.
//!
//! The words, the bells, repair, and what a recount reads and makes of claims are those of programs. Records
//! lie in cells here, one a place, so the steps of `Inside` are told anew, without what is derived.
//!
//! # Safety
//! Every access to a record's bytes that is said to be exclusive is checked to be.
#![allow(unsafe_code)]
#![allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]

use super::bell::Bell;
use super::recount::mark_of;
use super::word::{Control, QueueKind, Record, repair, stride};
use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::member::{MemberId, Owner};
use crate::base::model::{Arc, UnsafeCell, beside, check};
use crate::sync::Acquired;
use crate::sync::Patience::Forever;

const fn owner(member: u32) -> Owner {
    Owner { member: MemberId(member), thread: 1 }
}

const MAIN: Owner = owner(2);
const DIES: Owner = owner(3);
const OTHER: Owner = owner(4);

/// Records that fit.
const PLACES: usize = 2;
const LEN: u64 = 8;
const STRIDE: u64 = stride(LEN);

/// Where a writer or reader stops forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stops {
    Never,
    /// Inside, with a claim and no record of it.
    Marked,
    /// Inside, with a record of its claim.
    Named,
    /// Having left, with its bytes copied.
    Copied,
    /// The same, and it lives: it gives its claim up.
    GivesUp,
    /// Inside again: the item is in, or out.
    Ended,
    /// Having left with the item in its hand.
    InHand,
}

struct Model {
    control: Control,
    headers: [AtomicU64; PLACES],
    bytes: [UnsafeCell<u32>; PLACES],
    redelivers: bool,
}

// SAFETY: the model's checker watches the accesses to the cells.
unsafe impl Sync for Model {}
// SAFETY: as above.
unsafe impl Send for Model {}

enum Attempt<T> {
    Done(T),
    Wait,
    Stop,
}

fn place(position: u64) -> usize {
    (position / STRIDE) as usize % PLACES
}

impl Model {
    fn new(redelivers: bool) -> Arc<Model> {
        let (headers, bytes) = Default::default();
        Arc::new(Model { control: Control::default(), headers, bytes, redelivers })
    }

    fn kind(&self, position: u64) -> QueueKind {
        Record(self.headers[place(position)].load(Ordering::Relaxed)).kind().expect("a record")
    }

    fn set(&self, position: u64, kind: QueueKind) {
        self.headers[place(position)].store(Record::new(kind, LEN).0, Ordering::Relaxed);
    }

    fn spots(&self) -> (u64, u64) {
        let hot = &self.control.hot;
        (hot.head.load(Ordering::Relaxed), hot.tail.load(Ordering::Relaxed))
    }

    fn positions(&self) -> impl Iterator<Item = u64> {
        let (head, tail) = self.spots();
        assert!(head <= tail && tail - head <= PLACES as u64 * STRIDE);
        (head..tail).step_by(STRIDE as usize)
    }

    fn enter(&self, me: Owner) {
        if self.control.hot.lock.lock(me, Forever).unwrap() == Acquired::OwnerDied {
            self.recount();
            self.reclaim();
        }
    }

    /// As `Inside::reclaim`.
    fn reclaim(&self) {
        let (_, tail) = self.spots();
        let head = self.positions().find(|&position| self.kind(position) != QueueKind::Hole);
        self.control.hot.head.store(head.unwrap_or(tail), Ordering::Relaxed);
    }

    fn leave(&self, me: Owner) {
        let _ = self.control.hot.lock.unlock(me);
    }

    /// As `Core::recount`.
    fn recount(&self) {
        let control = &self.control;
        control.hot.lock.clear_poison();
        let marks: Vec<_> = control.claims.iter().enumerate().filter_map(mark_of).collect();
        let taking = marks.iter().map(|&(i, _)| control.taking[i].load(Ordering::Relaxed));
        let mut taken: Vec<u64> = taking.filter(|&at| at != 0).collect();
        for position in self.positions() {
            let kind = self.kind(position);
            if kind != QueueKind::Hole {
                taken.retain(|&at| at != position + 1);
            }
            if let QueueKind::Writing(claim) | QueueKind::Claimed(claim) = kind
                && marks.iter().any(|&(i, _)| i == claim)
            {
                let now = kind.without_owner(self.redelivers);
                if matches!(kind, QueueKind::Claimed(_)) && now == QueueKind::Hole {
                    control.lost.fetch_add(1, Ordering::Relaxed);
                }
                self.set(position, now);
            }
        }
        control.lost.fetch_add(taken.len() as u64, Ordering::Relaxed);
        for (i, mark) in marks {
            let _ = control.claims[i].compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        for bell in [&control.hot.food, &control.hot.room] {
            let wake = bell.ring_all();
            bell.wake(wake);
        }
    }

    /// As `Core::wait_for`; `None` where the attempt stops forever, inside.
    fn wait_for<T>(&self, me: Owner, bell: &Bell, attempt: impl Fn() -> Attempt<T>) -> Option<T> {
        let mut enlisted = None;
        loop {
            self.enter(me);
            let ticket = bell.ticket();
            match attempt() {
                Attempt::Done(done) => {
                    if enlisted == Some(ticket) {
                        bell.delist();
                    }
                    self.leave(me);
                    return Some(done);
                }
                Attempt::Stop => return None,
                Attempt::Wait => {}
            }
            bell.enlist(ticket, enlisted, false);
            enlisted = Some(ticket);
            self.leave(me);
            if !self.control.hot.lock.is_poisoned() {
                bell.sleep(ticket, Forever);
            }
        }
    }

    /// As `Inside::claim_room` and `Inside::claim`.
    fn claim(
        &self,
        me: Owner,
        position: u64,
        kind: fn(usize) -> QueueKind,
        stops: Stops,
    ) -> Attempt<(u64, usize)> {
        let claims = &self.control.claims;
        let free = claims.iter().position(|claim| claim.load(Ordering::Relaxed) == 0);
        let index = free.expect("no more claims than threads");
        self.control.taking[index].store(0, Ordering::Relaxed);
        claims[index].store(me.member.get(), Ordering::Relaxed);
        if stops == Stops::Marked {
            return Attempt::Stop;
        }
        self.set(position, kind(index));
        if position == self.spots().1 {
            self.control.hot.tail.store(position + STRIDE, Ordering::Relaxed);
        }
        if stops == Stops::Named { Attempt::Stop } else { Attempt::Done((position, index)) }
    }

    /// As `Core::put` of a large item. Whether it is in.
    fn put(&self, me: Owner, item: u32, stops: Stops) -> bool {
        let hot = &self.control.hot;
        let claimed = self.wait_for(me, &hot.room, || {
            let (head, tail) = self.spots();
            let is_full = tail - head == PLACES as u64 * STRIDE;
            if is_full { Attempt::Wait } else { self.claim(me, tail, QueueKind::Writing, stops) }
        });
        let Some((position, index)) = claimed else { return false };
        // SAFETY: a record being written is its claim's owner's; checked.
        self.bytes[place(position)].with_mut(|bytes| unsafe { *bytes = item });
        if stops == Stops::GivesUp {
            self.control.give_up(index, me.member);
        }
        if matches!(stops, Stops::GivesUp | Stops::Copied) {
            return false;
        }
        self.enter(me);
        self.set(position, QueueKind::Ready);
        let wake = hot.food.ring();
        if stops == Stops::Ended {
            return true;
        }
        self.control.claims[index].store(0, Ordering::Relaxed);
        self.leave(me);
        hot.food.wake(wake);
        true
    }

    /// As `Core::take` and `Core::finish_get` of a large item; `None` where it stops.
    fn get(&self, me: Owner, stops: Stops) -> Option<u32> {
        let hot = &self.control.hot;
        let (position, index) = self.wait_for(me, &hot.food, || {
            let ready = self.positions().find(|&position| self.kind(position) == QueueKind::Ready);
            ready.map_or(Attempt::Wait, |position| self.claim(me, position, QueueKind::Claimed, stops))
        })?;
        // SAFETY: a claimed record is its claim's owner's; checked, and that it was written before.
        let item = self.bytes[place(position)].with(|bytes| unsafe { *bytes });
        if stops == Stops::GivesUp {
            self.control.give_up(index, me.member);
        }
        if matches!(stops, Stops::GivesUp | Stops::Copied) {
            return None;
        }
        self.enter(me);
        self.control.taking[index].store(position + 1, Ordering::Release);
        // As `Inside::remove`.
        self.set(position, QueueKind::Hole);
        self.reclaim();
        let wake = hot.room.ring();
        if stops == Stops::Ended {
            return None;
        }
        self.leave(me);
        hot.room.wake(wake);
        if stops == Stops::InHand {
            return None;
        }
        self.control.claims[index].store(0, Ordering::Release);
        Some(item)
    }

    fn lost(&self) -> u64 {
        self.control.lost.load(Ordering::Relaxed)
    }
}

impl Model {
    /// What a thread does that stops, and then the engine for it.
    fn stop(&self, act: impl FnOnce(), stops: Stops) {
        act();
        if stops != Stops::GivesUp {
            repair(&self.control, DIES.member);
        }
    }

    /// Items that are left, once nobody else is there.
    fn left(&self) -> u64 {
        self.enter(MAIN);
        let left = self.positions().filter(|&position| self.kind(position) == QueueKind::Ready).count();
        self.leave(MAIN);
        left as u64
    }
}

/// A writer stops; two more items go through the places that it had.
fn a_writer_stops(stops: Stops) {
    check(Some(2), move || {
        let model = Model::new(false);
        let writer = beside(&model, move |model| {
            model.stop(|| assert_eq!(model.put(DIES, 7, stops), stops == Stops::Ended), stops)
        });
        let reader = beside(&model, move |model| {
            let mut seen = Vec::new();
            while !seen.contains(&2) {
                seen.push(model.get(OTHER, Stops::Never).expect("it does not stop"));
            }
            seen
        });
        assert!(model.put(MAIN, 1, Stops::Never) && model.put(MAIN, 2, Stops::Never));
        writer.join().unwrap();
        let seen = reader.join().unwrap();
        let of_main: Vec<_> = seen.iter().copied().filter(|item| *item != 7).collect();
        assert_eq!(of_main, [1, 2], "items of one writer stay in order");
        let came = (seen.len() as u64 - 2) + model.left();
        assert_eq!(came, u64::from(stops == Stops::Ended), "an item is in or not");
    });
}

#[test]
fn loom_positions_writer_dies_with_a_claim() {
    a_writer_stops(Stops::Marked);
}

#[test]
fn loom_positions_writer_dies_inside() {
    a_writer_stops(Stops::Named);
}

#[test]
fn loom_positions_writer_dies_having_copied() {
    a_writer_stops(Stops::Copied);
}

#[test]
fn loom_positions_writer_gives_up() {
    a_writer_stops(Stops::GivesUp);
}

#[test]
fn loom_positions_writer_dies_with_its_item_in() {
    a_writer_stops(Stops::Ended);
}

/// A reader stops; of three items another gets two, and the third was lost, comes back or is left.
fn a_reader_stops(stops: Stops, redelivers: bool) {
    check(Some(1), move || {
        let model = Model::new(redelivers);
        let dies =
            beside(&model, move |model| model.stop(|| assert_eq!(model.get(DIES, stops), None), stops));
        let reader = beside(&model, move |model| {
            [0; 2].map(|_| model.get(OTHER, Stops::Never).expect("it does not stop"))
        });
        (1..=3).for_each(|item| assert!(model.put(MAIN, item, Stops::Never)));
        dies.join().unwrap();
        let seen = reader.join().unwrap();
        assert_ne!(seen[0], seen[1], "an item is got once");
        let is_lost = match stops {
            Stops::Marked => false,
            Stops::Named | Stops::Copied | Stops::GivesUp => !redelivers,
            _ => true,
        };
        assert_eq!((model.left(), model.lost()), if is_lost { (0, 1) } else { (1, 0) });
    });
}

#[test]
fn loom_positions_reader_dies_with_a_claim() {
    a_reader_stops(Stops::Marked, false);
}

#[test]
fn loom_positions_reader_dies_inside() {
    a_reader_stops(Stops::Named, true);
}

#[test]
fn loom_positions_reader_dies_having_copied() {
    a_reader_stops(Stops::Copied, true);
}

#[test]
fn loom_positions_reader_dies_and_its_item_is_lost() {
    a_reader_stops(Stops::Copied, false);
}

#[test]
fn loom_positions_reader_gives_up() {
    a_reader_stops(Stops::GivesUp, true);
}

#[test]
fn loom_positions_reader_dies_with_its_item_out() {
    a_reader_stops(Stops::Ended, true);
}

#[test]
fn loom_positions_reader_dies_with_its_item_in_hand() {
    a_reader_stops(Stops::InHand, true);
}
