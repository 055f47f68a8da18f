//! Model checks: every interleaving of a few steps of two or three threads, one of which may stop forever
//! while it holds something, with the driver's repair running as soon as it has stopped.
//!
//! # Safety
//! Values that the protocols guard are loom cells, so every access said to be exclusive is checked to be.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p phalanx --lib --release loom`, in a target folder of its
//! own: all interleavings. Without it they run as threads, for Miri and ThreadSanitizer.
#![allow(unsafe_code)]

use super::barrier_word::{BarrierWord, Missed};
use super::event::EventWord;
use super::lock_word::{Acquired, LockWord};
use super::record::Table;
use super::rw_word::RwWord;
use super::semaphore_word::SemaphoreWord;
use super::wait::Patience::Forever;
use crate::base::member::{MemberId, Owner};
use crate::base::model::{Arc, UnsafeCell, beside, check, thread};

const fn owner(member: u32) -> Owner {
    Owner { member: MemberId(member), thread: 1 }
}

const A: Owner = owner(2);
const B: Owner = owner(3);
const C: Owner = owner(4);

/// A lock and a value that loom watches for races.
#[derive(Default)]
struct Guarded {
    word: LockWord,
    value: UnsafeCell<u32>,
}

impl Guarded {
    fn add_one(&self, me: Owner) -> Acquired {
        let acquired = self.word.lock(me, Forever).unwrap();
        // Loom reports any access that is not ordered against this one.
        self.value.with_mut(|value| {
            // SAFETY: the lock is held; loom checks it.
            unsafe { *value += 1 }
        });
        acquired
    }
}

/// What a dead member held is all taken back, also where somebody else is taking from it just then.
#[test]
fn loom_what_the_dead_held_is_removed_beside_a_taker() {
    check(None, || {
        let table = Arc::new(Table::default());
        table.add(A.member, 3).unwrap();
        let taker = beside(&table, move |table| table.take_one(B.member));
        let removed = table.remove(A.member);
        let taken = u64::from(taker.join().unwrap());
        assert_eq!((removed + taken, table.total()), (3, 0));
    });
}

#[test]
fn loom_lock_excludes_and_wakes() {
    check(Some(3), || {
        let shared = Arc::new(Guarded::default());
        let threads: Vec<_> = [A, B]
            .into_iter()
            .map(|me| {
                beside(&shared, move |shared| {
                    assert_eq!(shared.add_one(me), Acquired::Clean);
                    let _ = shared.word.unlock(me);
                })
            })
            .collect();
        assert_eq!(shared.add_one(C), Acquired::Clean);
        let _ = shared.word.unlock(C);
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(
            shared.value.with(|value| {
                // SAFETY: all others are done.
                unsafe { *value }
            }),
            3
        );
    });
}

/// A takes the lock and stops; B and C want it. Both must get it, and the first of them must hear of the
/// death.
#[test]
fn loom_lock_of_the_dead_is_handed_on() {
    check(Some(3), || {
        let shared = Arc::new(Guarded::default());
        // Ends without unlocking: what a kill leaves behind.
        let dies = beside(&shared, move |shared| assert!(shared.word.lock(A, Forever).is_ok()));
        let waits = beside(&shared, move |shared| {
            let acquired = shared.add_one(B);
            let _ = shared.word.unlock(B);
            acquired
        });
        dies.join().unwrap();
        shared.word.repair(A.member);
        let last = shared.add_one(C);
        let _ = shared.word.unlock(C);
        let first = waits.join().unwrap();
        // Whoever came after the death hears of it, and nobody cleared it.
        assert_eq!(last, Acquired::OwnerDied);
        // B may have been before A.
        assert!(matches!(first, Acquired::Clean | Acquired::OwnerDied));
    });
}

/// A is woken to take the lock and dies of it: its wake-up must not be lost to B.
#[test]
fn loom_lock_wake_up_does_not_die_with_its_receiver() {
    check(Some(2), || {
        let word = Arc::new(LockWord::default());
        let _ = word.lock(C, Forever).unwrap();
        let waiters: Vec<_> = [A, B]
            .into_iter()
            .map(|me| {
                beside(&word, move |word| {
                    let acquired = word.lock(me, Forever).unwrap();
                    if me == B {
                        let _ = word.unlock(B);
                    }
                    acquired
                })
            })
            .collect();
        let _ = word.unlock(C);
        let mut waiters = waiters.into_iter();
        let (a, b) = (waiters.next().unwrap(), waiters.next().unwrap());
        assert_eq!(a.join().unwrap(), Acquired::Clean);
        word.repair(A.member);
        let _ = b.join().unwrap();
    });
}

#[test]
fn loom_event_wakes_all() {
    check(Some(3), || {
        let word = Arc::new(EventWord::default());
        let waiters: Vec<_> =
            (0..2).map(|_| beside(&word, move |word| assert!(word.wait(Forever)))).collect();
        word.set();
        waiters.into_iter().for_each(|t| t.join().unwrap());
    });
}

/// The setter stops after the flag is up and before the wake-up.
#[test]
fn loom_event_of_the_dead_wakes_too() {
    check(None, || {
        let word = Arc::new(EventWord::default());
        let waiter = beside(&word, move |word| assert!(word.wait(Forever)));
        word.set_and_die();
        word.repair(A.member);
        waiter.join().unwrap();
    });
}

#[test]
fn loom_semaphore_excludes_and_wakes() {
    check(Some(2), || {
        let word = Arc::new(SemaphoreWord::default());
        word.init(1);
        let inside = Arc::new(UnsafeCell::new(0));
        let work = |word: &SemaphoreWord, inside: &UnsafeCell<i32>, me| {
            let slot = word.acquire(me, 1, Forever).unwrap();
            inside.with_mut(|n| {
                // SAFETY: the only permit is held; loom checks it.
                unsafe { *n += 1 }
            });
            word.release(me, slot, 1).unwrap();
        };
        let other = {
            let (word, inside) = (word.clone(), inside.clone());
            thread::spawn(move || work(&word, &inside, A))
        };
        work(&word, &inside, B);
        other.join().unwrap();
        assert_eq!(word.free(), 1);
    });
}

#[test]
fn loom_semaphore_gets_back_what_the_dead_held() {
    check(Some(2), || {
        let word = Arc::new(SemaphoreWord::default());
        word.init(1);
        let dies = beside(&word, move |word| assert!(word.acquire(A, 1, Forever).is_ok()));
        let waits = beside(&word, move |word| {
            let slot = word.acquire(B, 1, Forever).unwrap();
            word.release(B, slot, 1).unwrap();
        });
        dies.join().unwrap();
        word.repair(A.member);
        waits.join().unwrap();
        assert!(word.acquire(C, 1, Forever).is_ok());
    });
}

/// Repair runs at any moment of the one who waits for the dead one's permit, also while it is inside.
#[test]
fn loom_semaphore_repair_beside_an_acquirer() {
    check(Some(4), || {
        let word = Arc::new(SemaphoreWord::default());
        word.init(1);
        assert!(word.acquire(A, 1, Forever).is_ok());
        let waits = beside(&word, move |word| assert!(word.acquire(B, 1, Forever).is_ok()));
        word.repair(A.member);
        waits.join().unwrap();
    });
}

/// A permit is given back without the guard at any moment of the one who waits for it, also while it is
/// inside.
#[test]
fn loom_semaphore_release_outside_beside_an_acquirer() {
    check(Some(4), || {
        let word = Arc::new(SemaphoreWord::default());
        word.init(2);
        let slot = word.acquire(A, 2, Forever).unwrap();
        let waits = beside(&word, move |word| {
            let slot = word.acquire(B, 1, Forever).unwrap();
            word.release(B, slot, 1).unwrap();
        });
        assert!(word.release_outside(A, slot, 1));
        assert!(word.release_outside(A, slot, 1));
        waits.join().unwrap();
        assert_eq!(word.free(), 2);
    });
}

#[test]
fn loom_barrier_holds_back_and_lets_go() {
    check(Some(2), || {
        let word = Arc::new(BarrierWord::default());
        word.init(2);
        let value = Arc::new(UnsafeCell::new(0));
        let other = {
            let (word, value) = (word.clone(), value.clone());
            thread::spawn(move || {
                value.with_mut(|n| {
                    // SAFETY: the reader waits at the barrier; loom checks it.
                    unsafe { *n = 5 }
                });
                word.wait(A, Forever).unwrap()
            })
        };
        let mine = word.wait(B, Forever).unwrap();
        let seen = value.with(|n| {
            // SAFETY: the writer has come to the barrier; loom checks it.
            unsafe { *n }
        });
        assert_eq!((seen, mine + other.join().unwrap()), (5, 1));
    });
}

/// Of three, one takes part and stops before it comes: the other two hear of it.
#[test]
fn loom_barrier_breaks_when_a_party_dies() {
    check(Some(2), || {
        let word = Arc::new(BarrierWord::default());
        word.init(3);
        assert!(word.enroll(A.member));
        let parties: Vec<_> = [B, C]
            .into_iter()
            .map(|me| {
                beside(&word, move |word| assert_eq!(word.wait(me, Forever), Err(Missed::Broken(A.member))))
            })
            .collect();
        word.repair(A.member);
        parties.into_iter().for_each(|t| t.join().unwrap());
    });
}

#[test]
fn loom_rwlock_excludes_and_wakes() {
    check(Some(2), || {
        let shared = Arc::new((RwWord::default(), UnsafeCell::new(0)));
        let reader = beside(&shared, move |shared| {
            let (_, slot) = shared.0.read(A, Forever).unwrap();
            shared.1.with(|n| {
                // SAFETY: no writer is inside; loom checks it.
                unsafe { *n }
            });
            let _ = shared.0.unlock_read(A, slot);
        });
        let _ = shared.0.write(B, Forever).unwrap();
        shared.1.with_mut(|n| {
            // SAFETY: nobody else is inside; loom checks it.
            unsafe { *n += 1 }
        });
        let _ = shared.0.unlock_write(B);
        reader.join().unwrap();
    });
}

/// A reader stops inside; the writer gets in after the repair.
#[test]
fn loom_rwlock_writer_outlives_a_dead_reader() {
    check(Some(2), || {
        let word = Arc::new(RwWord::default());
        let dies = beside(&word, move |word| assert!(word.read(A, Forever).is_ok()));
        let waits = beside(&word, move |word| {
            assert_eq!(word.write(B, Forever), Ok(Acquired::Clean));
            let _ = word.unlock_write(B);
        });
        dies.join().unwrap();
        word.repair(A.member);
        waits.join().unwrap();
    });
}

/// A thread reads again while another of its process comes and goes and a writer waits: nobody reads beside
/// the writer.
#[test]
fn loom_rwlock_reads_again_beside_another_reader_and_a_writer() {
    check(Some(2), || {
        let shared = Arc::new((RwWord::default(), UnsafeCell::new(0)));
        let look = |shared: &(RwWord, UnsafeCell<u32>)| {
            shared.1.with(|n| {
                // SAFETY: no writer is inside; loom checks it.
                unsafe { *n }
            })
        };
        let other = {
            let (shared, me) = (shared.clone(), Owner { thread: 2, ..A });
            thread::spawn(move || {
                let (_, slot) = shared.0.read(me, Forever).unwrap();
                look(&shared);
                let _ = shared.0.unlock_read(me, slot);
            })
        };
        let writer = beside(&shared, move |shared| {
            let _ = shared.0.write(B, Forever).unwrap();
            shared.1.with_mut(|n| {
                // SAFETY: nobody else is inside; loom checks it.
                unsafe { *n += 1 }
            });
            let _ = shared.0.unlock_write(B);
        });
        let (_, first) = shared.0.read(A, Forever).unwrap();
        let (_, again) = shared.0.read_again(A).unwrap();
        let _ = shared.0.unlock_read(A, first);
        look(&shared);
        let _ = shared.0.unlock_read(A, again);
        other.join().unwrap();
        writer.join().unwrap();
    });
}
