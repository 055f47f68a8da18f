//! Locks, semaphores, barriers and counters as operands of launches and regions, on every backend, and what
//! becomes of them when a worker dies with them in its hands.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::{
    Barrier, BarrierError, BoundedSemaphore, Condition, Counter, Event, Lock, LockError, RLock, RwLock,
    Semaphore, ShardedCounter,
};
use phalanx::{Backend, LaunchError, Pool, Schedule};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(3).build().unwrap(),
        Pool::builder().workers(2).backend(Backend::Threads).build().unwrap(),
        Pool::builder().backend(Backend::Inline).build().unwrap(),
    ]
}

fn processes(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

/// Ends the calling worker as a crash would: nothing is unwound, nothing given back.
fn die() -> ! {
    std::process::abort()
}

#[test]
fn counters_count_every_chunk_exactly_once() {
    for pool in pools() {
        let (plain, sharded) = (Counter::new(5).unwrap(), ShardedCounter::new().unwrap());
        for _ in 0..10 {
            pool.launch()
                .chunk(7)
                .for_each((0..1000, &plain, &sharded), |(range, plain, sharded)| {
                    for i in range {
                        plain.add(i as u64);
                        sharded.add(1);
                    }
                })
                .unwrap();
        }
        assert_eq!(plain.get(), 5 + 10 * 499_500, "{pool:?}");
        assert_eq!(sharded.sum(), 10_000, "{pool:?}");
    }
}

#[test]
fn a_lock_protects_what_it_guards() {
    for pool in pools() {
        let (lock, nested, shared) =
            (Lock::new([0u64; 3]).unwrap(), RLock::new(0u64).unwrap(), RwLock::new([0u64; 2]).unwrap());
        pool.launch()
            .chunk(10)
            .for_each((0..10_000, &lock, &nested, &shared), |(range, lock, nested, shared)| {
                for i in range {
                    let mut sums = lock.lock().unwrap();
                    // Read, change and write in steps that only a lock keeps together.
                    let before = *sums;
                    sums[0] = before[0] + 1;
                    sums[1] = before[1] + i as u64;
                    sums[2] = sums[0] * 2;
                    drop(sums);
                    let outer = nested.lock().unwrap();
                    let inner = nested.lock().unwrap();
                    inner.set(outer.get() + 1);
                    drop((inner, outer));
                    {
                        let now = shared.read().unwrap();
                        assert_eq!(now[0], now[1]);
                    }
                    let mut now = shared.write().unwrap();
                    now[0] += 1;
                    now[1] = now[0];
                }
            })
            .unwrap();
        assert_eq!(*lock.lock().unwrap(), [10_000, 49_995_000, 20_000], "{pool:?}");
        assert_eq!(nested.lock().unwrap().get(), 10_000);
        assert_eq!(*shared.read().unwrap(), [10_000; 2]);
    }
}

#[test]
fn a_semaphore_lets_so_many_in_and_no_more() {
    for pool in pools() {
        let gate = Semaphore::new(1).unwrap();
        let bounded = BoundedSemaphore::new(2).unwrap();
        let (inside, most) = (Counter::new(0).unwrap(), Counter::new(0).unwrap());
        pool.launch()
            .chunk(1)
            .for_each((0..500, &gate, &bounded, &inside, &most), |(_, gate, bounded, inside, most)| {
                let _two = bounded.acquire().unwrap();
                let _one = gate.acquire().unwrap();
                if inside.add(1) != 0 {
                    most.add(1);
                }
                inside.sub(1);
            })
            .unwrap();
        assert_eq!(most.get(), 0, "{pool:?}");
        assert_eq!((gate.available(), bounded.available()), (1, 2));
    }
}

#[test]
fn ranks_of_a_region_meet_at_a_barrier_and_wait_for_an_event() {
    for pool in pools() {
        let size = pool.workers() as u64;
        let barrier = Barrier::new(size as u32).unwrap();
        let (event, condition) = (Event::new().unwrap(), Condition::new().unwrap());
        let (turn, arrived) = (Lock::new(0u64).unwrap(), Counter::new(0).unwrap());
        let seen = pool
            .launch()
            .region_each((&barrier, &event, &condition, &turn, &arrived, size), |team, handles| {
                let (barrier, event, condition, turn, arrived, size) = handles;
                arrived.add(1);
                barrier.wait().unwrap();
                let seen = arrived.get();
                if team.rank() == 0 {
                    event.set();
                } else {
                    event.wait();
                }
                // In rank order, by a condition.
                let rank = team.rank() as u64;
                let guard = turn.lock().unwrap();
                let mut guard = condition.wait_while(guard, |turn| *turn != rank).unwrap();
                *guard += 1;
                drop(guard);
                condition.notify_all();
                let _ = size;
                Ok(seen)
            })
            .unwrap();
        assert_eq!(seen.results, vec![size; size as usize], "{pool:?}");
        assert_eq!(*turn.lock().unwrap(), size);
    }
}

#[test]
fn a_worker_killed_with_the_lock_hands_it_on_as_suspect() {
    let pool = processes(2);
    let lock = Lock::new([1u64, 1]).unwrap();
    let died = pool.launch().chunk(1).for_each((0..1, &lock), |(_, lock)| {
        let mut pair = lock.lock().unwrap();
        pair[0] = 7;
        die()
    });
    let Err(LaunchError::WorkerDied { deaths, lost, .. }) = died else { panic!("{died:?}") };
    assert_eq!((deaths.len(), lost.len()), (1, 1));
    // The driver: told of the death, with the guard; dropping it uncleared keeps the warning.
    let Err(LockError::OwnerDied(guard)) = lock.lock_timeout(LONG) else { panic!("no warning") };
    assert_eq!(*guard, [7, 1]);
    drop(guard);
    // A worker: told as well, and repairs.
    let repairs = Counter::new(0).unwrap();
    pool.launch()
        .chunk(1)
        .for_each((0..20, &lock, &repairs), |(_, lock, repairs)| match lock.lock_timeout(LONG) {
            Ok(mut pair) => {
                pair[0] += 1;
                pair[1] += 1;
            }
            Err(LockError::OwnerDied(mut pair)) => {
                *pair = [1, 1];
                pair.clear_poison();
                repairs.add(1);
            }
            Err(other) => panic!("{other}"),
        })
        .unwrap();
    assert_eq!(repairs.get(), 1);
    assert_eq!(*lock.lock().unwrap(), [20, 20]);
}

#[test]
fn a_waiting_worker_inherits_the_lock_of_a_dead_one() {
    let pool = processes(2);
    let (lock, held, inherited) = (Lock::new(0u64).unwrap(), Event::new().unwrap(), Counter::new(0).unwrap());
    let died = pool.launch().chunk(1).schedule(Schedule::Static).for_each(
        (0..2, &lock, &held, &inherited),
        |(range, lock, held, inherited)| {
            if range.start == 0 {
                let _guard = lock.lock().unwrap();
                held.set();
                die()
            }
            held.wait();
            if let Err(LockError::OwnerDied(mut guard)) = lock.lock_timeout(LONG) {
                guard.clear_poison();
                inherited.add(1);
            }
        },
    );
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    assert_eq!(inherited.get(), 1);
    assert!(lock.lock().is_ok());
}

#[test]
fn dead_readers_do_not_keep_a_writer_out() {
    let pool = processes(2);
    let lock = RwLock::new(3u64).unwrap();
    let died = pool.launch().chunk(1).for_each((0..1, &lock), |(_, lock)| {
        let _reading = lock.read().unwrap();
        die()
    });
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    // Readers change nothing: no warning.
    *lock.write_timeout(LONG).unwrap() += 1;
    assert_eq!(*lock.read().unwrap(), 4);
}

#[test]
fn permits_of_the_dead_come_back() {
    let pool = processes(2);
    let (open, bounded) = (Semaphore::new(2).unwrap(), BoundedSemaphore::new(3).unwrap());
    let died = pool.launch().chunk(1).for_each((0..1, &open, &bounded), |(_, open, bounded)| {
        let _all = open.acquire_many(2).unwrap();
        let _two = bounded.acquire_many(2).unwrap();
        die()
    });
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    assert!(open.acquire_timeout(LONG).is_ok());
    assert_eq!((open.available(), bounded.available()), (2, 3));
}

#[test]
fn a_barrier_is_broken_by_a_death_until_it_is_reset() {
    let pool = processes(2);
    let (barrier, broken) = (Barrier::new(2).unwrap(), Counter::new(0).unwrap());
    let run = |dies: bool| {
        pool.launch().chunk(1).schedule(Schedule::Static).for_each(
            (0..2, &barrier, &broken, u8::from(dies)),
            |(range, barrier, broken, dies)| {
                if range.start == 0 && dies == 1 {
                    die()
                }
                match barrier.wait_timeout(LONG) {
                    Ok(_) => {}
                    Err(BarrierError::Broken { .. }) => {
                        broken.add(1);
                    }
                    Err(other) => panic!("{other}"),
                }
            },
        )
    };
    assert!(matches!(run(true), Err(LaunchError::WorkerDied { .. })));
    assert_eq!(broken.get(), 1);
    assert!(barrier.broken_by().is_some());
    barrier.reset();
    run(false).unwrap();
    assert_eq!(broken.get(), 1);
}

#[test]
fn handles_live_on_when_a_pool_ends_and_serve_the_next_one() {
    let (lock, counter) = (Lock::new(0u64).unwrap(), Counter::new(0).unwrap());
    for round in 1..=3 {
        let pool = processes(2);
        pool.for_each((0..100, &lock, &counter), |(range, lock, counter)| {
            counter.add(range.len() as u64);
            *lock.lock().unwrap() += range.len() as u64;
        })
        .unwrap();
        drop(pool);
        assert_eq!((counter.get(), *lock.lock().unwrap()), (100 * round, 100 * round));
    }
}

#[test]
fn a_retry_is_refused_where_a_lost_attempt_may_have_counted() {
    let pool = processes(1);
    let counter = Counter::new(0).unwrap();
    let refused = pool.launch().retry(1).for_each((0..10, &counter), |_| ());
    assert!(matches!(refused, Err(LaunchError::NotRepeatable)), "{refused:?}");
    pool.launch().retry(1).retry_in_place().for_each((0..10, &counter), |_| ()).unwrap();
}
