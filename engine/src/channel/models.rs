//! Model checks of a bell beside its lock: every interleaving of a writer, readers, and one of them that
//! stops forever, with the driver's repair running as soon as it has stopped. The queue is a number here;
//! the rounds are those of `Core::wait_for`.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p phalanx --lib --release loom`, in a target folder of its
//! own: all interleavings. Without it they run as threads, for Miri and ThreadSanitizer.

use super::bell::Bell;
use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::member::{MemberId, Owner};
use crate::base::model::{self, Arc, beside};
use crate::sync::Patience::Forever;
use crate::sync::{Acquired, LockWord};

const fn owner(member: u32) -> Owner {
    Owner { member: MemberId(member), thread: 1 }
}

const WRITER: Owner = owner(2);
const ONE: Owner = owner(3);
const OTHER: Owner = owner(4);

#[derive(Default)]
struct Model {
    lock: LockWord,
    food: Bell,
    items: AtomicU32,
}

/// Where a thread stops forever.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stops {
    Never,
    /// With the change made, inside.
    Inside,
    /// Having left, before it wakes anybody.
    BeforeWake,
    /// Woken, before it looks.
    Woken,
}

impl Model {
    fn enter(&self, me: Owner) {
        if self.lock.lock(me, Forever).unwrap() == Acquired::OwnerDied {
            self.lock.clear_poison();
            let wake = self.food.ring_all();
            self.food.wake(wake);
        }
    }

    fn leave(&self, me: Owner) {
        let _ = self.lock.unlock(me);
    }

    fn put(&self, me: Owner, stops: Stops) {
        self.enter(me);
        self.items.store(self.items.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let wake = self.food.ring();
        if stops == Stops::Inside {
            return;
        }
        self.leave(me);
        if stops == Stops::BeforeWake {
            return;
        }
        self.food.wake(wake);
    }

    /// Whether it took an item.
    fn get(&self, me: Owner, stops: Stops) -> bool {
        let mut enlisted = None;
        loop {
            self.enter(me);
            let ticket = self.food.ticket();
            let items = self.items.load(Ordering::Relaxed);
            if items > 0 {
                self.items.store(items - 1, Ordering::Relaxed);
                if enlisted == Some(ticket) {
                    self.food.delist();
                }
                self.leave(me);
                return true;
            }
            self.food.enlist(ticket, enlisted, false);
            enlisted = Some(ticket);
            self.leave(me);
            if !self.lock.is_poisoned() {
                self.food.sleep(ticket, Forever);
                if stops == Stops::Woken {
                    return false;
                }
            }
        }
    }

    fn repair(&self, dead: Owner) {
        self.lock.repair(dead.member);
        self.food.rouse();
    }
}

fn check(f: impl Fn() + Sync + Send + 'static) {
    model::check(Some(3), f);
}

#[test]
fn loom_bell_wakes_as_many_readers_as_items_came() {
    check(|| {
        let model = Arc::new(Model::default());
        let readers: Vec<_> = [ONE, OTHER]
            .into_iter()
            .map(|me| beside(&model, move |model| assert!(model.get(me, Stops::Never))))
            .collect();
        model.put(WRITER, Stops::Never);
        model.put(WRITER, Stops::Never);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// The writer stops with its item in: somebody gets it all the same.
#[test]
fn loom_bell_of_a_dead_writer_is_heard() {
    for stops in [Stops::Inside, Stops::BeforeWake] {
        check(move || {
            let model = Arc::new(Model::default());
            let reader = beside(&model, move |model| assert!(model.get(ONE, Stops::Never)));
            let writer = beside(&model, move |model| model.put(WRITER, stops));
            writer.join().unwrap();
            model.repair(WRITER);
            reader.join().unwrap();
        });
    }
}

/// One of two readers dies with the only wake-up: the other gets the item.
#[test]
fn loom_bell_of_a_dead_reader_is_passed_on() {
    check(|| {
        let model = Arc::new(Model::default());
        let dies = beside(&model, move |model| model.get(ONE, Stops::Woken));
        let reader = beside(&model, move |model| {
            let took = model.get(OTHER, Stops::Never);
            // If this one came first, the other would sleep forever for want of an item.
            model.put(OTHER, Stops::Never);
            took
        });
        model.put(WRITER, Stops::Never);
        // Whether or not it got that far; if it took the item, there is another.
        if dies.join().unwrap() {
            model.put(WRITER, Stops::Never);
        }
        model.repair(ONE);
        assert!(reader.join().unwrap());
    });
}
