//! Threads of one process, against what a sequential program would give.

use crate::sync::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::scope;
use std::time::Duration;

const THREADS: u32 = 4;
const ROUNDS: u32 = 2_000;

#[test]
fn a_lock_lets_one_in() {
    let lock = Lock::new([0u64; 4]).unwrap();
    scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut value = lock.lock().unwrap();
                    let next = value[0] + 1;
                    value.fill(next);
                }
            });
        }
    });
    assert_eq!(*lock.lock().unwrap(), [u64::from(THREADS * ROUNDS); 4]);
    assert_eq!(lock.holder(), None);
}

#[test]
fn a_lock_taken_twice_is_refused_at_once() {
    let lock = Lock::new(0u32).unwrap();
    let guard = lock.lock().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::WouldDeadlock)));
    assert!(matches!(lock.try_lock(), Err(LockError::WouldDeadlock)));
    let here = lock.holder().unwrap();
    scope(|s| {
        s.spawn(|| {
            let Err(LockError::TimedOut { holder }) = lock.try_lock() else { panic!("not refused") };
            assert_eq!(holder, Some(here));
            let timed = lock.lock_timeout(Duration::from_millis(1));
            assert!(timed.unwrap_err().map(|_| ()).to_string().contains("of the driver holds it"));
        });
    });
    drop(guard);
    assert!(lock.try_lock().is_ok());
}

#[test]
fn a_panic_inside_leaves_the_lock_suspect() {
    let lock = Lock::new(1u32).unwrap();
    let _ = std::panic::catch_unwind(|| {
        let mut guard = lock.lock().unwrap();
        *guard = 2;
        panic!("on purpose");
    });
    let mut guard = lock.lock().unwrap_err().into_guard().unwrap();
    assert_eq!(*guard, 2);
    guard.clear_poison();
    drop(guard);
    assert!(lock.lock().is_ok());
}

#[test]
fn an_rlock_counts_its_holder() {
    let lock = RLock::new(0u64).unwrap();
    scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                for _ in 0..ROUNDS {
                    let outer = lock.lock().unwrap();
                    let inner = lock.lock().unwrap();
                    inner.update(|x| x + 1);
                    drop(outer);
                    assert!(lock.holder().is_some());
                    inner.update(|x| x + 1);
                }
            });
        }
    });
    assert_eq!(lock.lock().unwrap().get(), u64::from(2 * THREADS * ROUNDS));
    assert_eq!(lock.holder(), None);
}

#[test]
fn readers_share_and_writers_do_not() {
    let lock = RwLock::new([0u64; 8]).unwrap();
    scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut value = lock.write().unwrap();
                    let next = value[7] + 1;
                    value.iter_mut().for_each(|x| *x = next);
                }
            });
            s.spawn(|| {
                for _ in 0..ROUNDS {
                    let value = lock.read().unwrap();
                    assert!(value.iter().all(|x| *x == value[0]), "half written: {:?}", *value);
                }
            });
        }
    });
    assert_eq!(lock.read().unwrap()[0], u64::from(2 * ROUNDS));
    let (one, two) = (lock.read().unwrap(), lock.try_read().unwrap());
    assert!(lock.write_timeout(Duration::from_millis(1)).is_err());
    drop((one, two));
    let writer = lock.try_write().unwrap();
    assert!(matches!(lock.read(), Err(LockError::WouldDeadlock)));
    drop(writer);
}

#[test]
fn a_semaphore_never_lets_in_too_many() {
    let semaphore = Semaphore::new(2).unwrap();
    let inside = AtomicU32::new(0);
    scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                for _ in 0..ROUNDS / 4 {
                    let _permit = semaphore.acquire().unwrap();
                    assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                    inside.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(semaphore.available(), 2);
    let hopeless = BoundedSemaphore::new(2).unwrap().acquire_many(3).map(drop);
    assert_eq!(hopeless, Err(SemaphoreError::TooMany { asked: 3, total: 2 }));
    assert!(BoundedSemaphore::new(0).unwrap().try_acquire().is_err());
    assert!(matches!(semaphore.try_acquire_many(3), Err(SemaphoreError::TimedOut { asked: 3, free: 2 })));
}

#[test]
fn a_semaphore_hands_items_over() {
    // As Python's signals are written: nothing is there before somebody releases it, and takers wait.
    let items = Semaphore::new(0).unwrap();
    scope(|s| {
        s.spawn(|| (0..2 * (ROUNDS / 4)).for_each(|_| items.release(1).unwrap()));
        for _ in 0..ROUNDS / 4 {
            items.acquire_many(2).unwrap().consume().unwrap();
        }
    });
    assert_eq!(items.available(), 0);
    assert!(matches!(items.acquire_timeout(Duration::from_millis(1)), Err(SemaphoreError::TimedOut { .. })));
}

#[test]
fn an_event_is_seen_by_all() {
    let (up, seen) = (Event::new().unwrap(), Counter::new(0).unwrap());
    assert!(!up.wait_timeout(Duration::from_millis(1)));
    scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                up.wait();
                seen.add(1);
            });
        }
        up.set();
    });
    assert_eq!(seen.get(), u64::from(THREADS));
    up.clear();
    assert!(!up.is_set());
}

#[test]
fn a_condition_passes_a_token_round() {
    let (token, moved) = (Lock::new(0u32).unwrap(), Condition::new().unwrap());
    scope(|s| {
        for me in 0..THREADS {
            let (token, moved) = (&token, &moved);
            s.spawn(move || {
                for _ in 0..ROUNDS / 10 {
                    let mut token =
                        moved.wait_while(token.lock().unwrap(), |token| *token % THREADS != me).unwrap();
                    *token += 1;
                    moved.notify_all();
                }
            });
        }
    });
    assert_eq!(*token.lock().unwrap(), THREADS * (ROUNDS / 10));
    let (again, timed_out) = moved.wait_timeout(token.lock().unwrap(), Duration::from_millis(1));
    assert!(again.is_ok() && timed_out);
}

#[test]
fn a_barrier_holds_everybody_back() {
    let (barrier, count) = (Barrier::new(THREADS).unwrap(), AtomicU32::new(0));
    scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                for round in 1..=200 {
                    count.fetch_add(1, Ordering::Relaxed);
                    barrier.wait().unwrap();
                    assert_eq!(count.load(Ordering::Relaxed), round * THREADS);
                    barrier.wait().unwrap();
                }
            });
        }
    });
}

#[test]
fn a_barrier_that_times_out_is_broken_until_reset() {
    let barrier = Barrier::new(2).unwrap();
    let timed_out = BarrierError::TimedOut { arrived: 1, parties: 2 };
    assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(timed_out));
    assert_eq!(barrier.wait(), Err(BarrierError::Broken { by: MemberId::DRIVER }));
    barrier.reset();
    scope(|s| {
        s.spawn(|| barrier.wait().unwrap());
        barrier.wait().unwrap();
    });
    scope(|s| {
        let alone = s.spawn(|| barrier.wait());
        while barrier.waiting() == 0 {
            std::thread::yield_now();
        }
        barrier.reset();
        assert_eq!(alone.join().unwrap(), Err(BarrierError::Broken { by: MemberId::NOBODY }));
    });
    assert_eq!(barrier.broken_by(), None);
}

#[test]
fn counters_lose_nothing() {
    let (plain, sharded) = (Counter::new(0).unwrap(), ShardedCounter::new().unwrap());
    scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                for _ in 0..ROUNDS {
                    plain.add(2);
                    plain.sub(1);
                    sharded.add(1);
                }
            });
        }
    });
    assert_eq!((plain.get(), sharded.sum()), (u64::from(THREADS * ROUNDS), u64::from(THREADS * ROUNDS)));
    assert_eq!((sharded.take(), sharded.sum()), (u64::from(THREADS * ROUNDS), 0));
}

/// An object that lies where another lay before, with which `before` was done.
fn in_the_place_of<H: Remote>(make: impl Fn() -> H, before: impl Fn(&H)) -> H {
    loop {
        let old = make();
        before(&old);
        let at = old.wire();
        drop(old);
        // The smallest hole that fits is the one just made, unless another test took it.
        let new = make();
        if new.wire() == at {
            return new;
        }
    }
}

#[test]
fn a_reader_may_read_again_behind_a_waiting_writer_and_never_write() {
    let lock = RwLock::new(0u32).unwrap();
    let first = lock.read().unwrap();
    assert!(matches!(lock.write(), Err(LockError::WouldDeadlock)), "it would wait for itself");
    scope(|s| {
        let writer = s.spawn(|| *lock.write().unwrap() += 1);
        while lock.writer().is_none() {
            std::thread::yield_now();
        }
        assert!(s.spawn(|| lock.try_read().is_err()).join().unwrap(), "others wait behind the writer");
        let second = lock.read().unwrap();
        assert_eq!((*first, *second, lock.readers()), (0, 0, 2));
        drop(first);
        let third = lock.read().unwrap();
        drop(second);
        assert_eq!(*third, 0);
        drop(third);
        writer.join().unwrap();
    });
    assert_eq!(*lock.read().unwrap(), 1);
    assert_eq!(lock.readers(), 0);
    // A forgotten guard keeps the words' mark, and the thread's note of it is of no use to a lock that comes
    // to lie there.
    std::mem::forget(lock.read().unwrap());
    assert!(matches!(lock.try_write(), Err(LockError::WouldDeadlock)));
    drop(lock);
    let next = in_the_place_of(|| RwLock::new(5u32).unwrap(), |old| std::mem::forget(old.read().unwrap()));
    assert!(next.try_write().is_ok() && next.read().is_ok());
    // Nor does it let the thread in beside a writer on another's mark.
    scope(|s| {
        let (reads, read) = mpsc::channel();
        let (done, leave) = mpsc::channel::<()>();
        let next = &next;
        let other = s.spawn(move || {
            let guard = next.read().unwrap();
            reads.send(()).unwrap();
            let _ = leave.recv();
            drop(guard);
        });
        read.recv().unwrap();
        let writer = s.spawn(|| *next.write().unwrap() += 1);
        while next.writer().is_none() {
            std::thread::yield_now();
        }
        assert!(next.try_read().is_err(), "a writer waits, and this thread reads another lock");
        drop(done);
        other.join().unwrap();
        writer.join().unwrap();
    });
    assert_eq!(*next.read().unwrap(), 6);
}

#[test]
fn a_barrier_is_left_with_its_last_handle_whatever_lay_there_before() {
    let me = crate::base::member::current_member();
    // As a launch does it, whose handles run no last-drop hook.
    let next = in_the_place_of(|| Barrier::new(2).unwrap(), |old| drop(Barrier::arrived(old.place().lend())));
    let hooks = [(); 2].map(|()| Barrier::arrived(next.place().lend()).unwrap());
    for (left, on_last_drop) in hooks.into_iter().enumerate() {
        assert!(next.takes_part(me), "after {left} of 2");
        on_last_drop();
    }
    assert!(!next.takes_part(me));
}

#[test]
fn every_wait_can_have_an_end() {
    const SHORT: Duration = Duration::from_millis(1);
    let (lock, changed) = (Lock::new(0u8).unwrap(), Condition::new().unwrap());
    let (semaphore, bounded) = (Semaphore::new(2).unwrap(), BoundedSemaphore::new(2).unwrap());
    let (again, timed_out) = changed.wait_while_timeout(lock.lock().unwrap(), SHORT, |value| *value == 0);
    assert!(timed_out && *again.unwrap() == 0);
    let (again, timed_out) = changed.wait_while_timeout(lock.lock().unwrap(), SHORT, |value| *value == 1);
    assert!(!timed_out && again.is_ok());
    let _one = (semaphore.acquire().unwrap(), bounded.acquire().unwrap());
    assert!(semaphore.try_acquire_many(2).is_err() && semaphore.acquire_many_timeout(2, SHORT).is_err());
    assert!(bounded.try_acquire_many(2).is_err() && bounded.acquire_many_timeout(2, SHORT).is_err());
    assert!(semaphore.try_acquire_many(1).is_ok());
    assert_eq!(
        (semaphore.holders(), bounded.holders()),
        (vec![(MemberId::DRIVER, 1)], vec![(MemberId::DRIVER, 1)])
    );
}

#[test]
fn a_thread_reads_and_writes_until_its_very_end() {
    use std::cell::RefCell;
    use std::sync::LazyLock;

    static LOCK: LazyLock<RwLock<u32>> = LazyLock::new(|| RwLock::new(1).unwrap());

    /// Dropped after all other values of its thread, since it is the first of them.
    #[derive(Default)]
    struct Last(Option<ReadGuard<'static, u32>>);
    impl Drop for Last {
        fn drop(&mut self) {
            drop(self.0.take());
            let seen = *LOCK.read().unwrap();
            *LOCK.write().unwrap() += seen;
        }
    }
    thread_local!(static LAST: RefCell<Last> = RefCell::default());

    let ended = std::thread::spawn(|| {
        assert!(LAST.with_borrow(|last| last.0.is_none()));
        LAST.with_borrow_mut(|last| last.0 = Some(LOCK.read().unwrap()));
    });
    ended.join().unwrap();
    assert_eq!((LOCK.readers(), *LOCK.write().unwrap()), (0, 2));
}
