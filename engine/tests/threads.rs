//! The threads backend under everything at once, small enough for ThreadSanitizer: workers, callers and the
//! engine's own threads share one address space here, so every unordered access of the protocols is a race
//! that it sees.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::sync::{Counter, Lock};
use phalanx::{Backend, Edge, LaunchError, Pool, Queue, Schedule, SharedArray};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

const ROUNDS: u64 = 20;

fn pool() -> Pool {
    Pool::builder().workers(3).max_workers(4).backend(Backend::Threads).build().unwrap()
}

/// Launches of every kind from one caller.
fn launches(pool: &Pool, seed: u64) {
    let n = 3000;
    let x = SharedArray::from_fn(n, |i| i as u64 + seed).unwrap();
    let mut y = SharedArray::<u64, _>::zeros(n).unwrap();
    for schedule in [Schedule::Static, Schedule::Dynamic(1), Schedule::Guided, Schedule::Stealing] {
        let launch = pool.launch().chunk(64).schedule(schedule);
        launch
            .for_each((y.split_mut(), x.split()), |(y, x)| {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = 2 * x;
                }
            })
            .unwrap();
        assert!(y.as_slice().iter().zip(x.as_slice()).all(|(y, x)| *y == 2 * x));
    }
    let sum = pool.reduce(x.split(), 0, |x| x.iter().sum::<u64>(), |a, b| a + b).unwrap();
    assert_eq!(sum, x.as_slice().iter().sum::<u64>());
    pool.scan(y.split_out(), x.split(), 0, |a, b| a + b).unwrap();
    assert_eq!(y.as_slice()[n - 1], sum);
    pool.map_into(y.split_out(), x.split(), |x| x + 1).unwrap();
    assert!(y.as_slice().iter().zip(x.as_slice()).all(|(y, x)| *y == x + 1));
    let mut v = SharedArray::<u64, _>::zeros(n).unwrap();
    let mut region = || {
        pool.region((&mut y, &mut v), |team, (mut u, mut v)| {
            let mut total = 0;
            for _ in 0..4 {
                team.phase((v.split_mut(), u.halo(1, Edge::Clamp)), |(v, u)| {
                    for (i, v) in v.iter_mut().enumerate() {
                        *v = u[i].max(u[i + 1]).max(u[i + 2]);
                    }
                })?;
                total = team.all_reduce(1_u64, |a, b| a + b)?;
                std::mem::swap(&mut u, &mut v);
            }
            Ok(total)
        })
    };
    // A resize may come while the region is prepared for the ranks that there are; then nothing has run.
    let total =
        std::iter::repeat_with(&mut region).find(|total| !matches!(total, Err(LaunchError::Resized { .. })));
    assert!((1..=4).contains(&total.unwrap().unwrap()));
}

/// Tasks of every kind from one caller.
fn tasks(pool: &Pool, seed: u64) {
    let tasks = || pool.tasks().always_out().chunksize(7);
    assert!(
        tasks()
            .map(|n: u64| n * n, seed..seed + 100)
            .unwrap()
            .into_iter()
            .eq((seed..seed + 100).map(|n| n * n))
    );
    let words = tasks().imap(|n: u64| "x".repeat(n as usize), 0..50).map(Result::unwrap);
    assert!(words.zip(0..).all(|(word, n)| word.len() == n));
    let called = std::sync::Arc::new(AtomicU64::new(0));
    let results: Vec<_> = (0..30)
        .map(|n: u64| {
            let called = called.clone();
            pool.apply_async(|n: u64| n + 1, n).on_success(move |_| {
                called.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    assert!(results.into_iter().map(|result| result.get().unwrap()).eq(1..=30));
    let faults = tasks().try_map(|n: u64| if n == 3 { panic!("on purpose") } else { n }, 0..10).unwrap();
    assert_eq!(faults.iter().filter(|result| result.is_err()).count(), 1);
}

#[test]
fn launches_tasks_and_resizing_from_many_threads() {
    let pool = pool();
    scope(|s| {
        s.spawn(|| (0..ROUNDS).for_each(|seed| launches(&pool, seed)));
        s.spawn(|| (0..ROUNDS).for_each(|seed| tasks(&pool, seed)));
        s.spawn(|| (0..ROUNDS).for_each(|seed| tasks(&pool, seed)));
        s.spawn(|| (0..ROUNDS as usize).for_each(|n| pool.resize(1 + n % 4).unwrap()));
        s.spawn(|| {
            for _ in 0..ROUNDS {
                let stats = pool.stats();
                assert!(stats.workers.len() <= 4);
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn queues_and_locks_between_workers_and_callers() {
    let pool = pool();
    for _ in 0..ROUNDS {
        let (queue, lock, count) =
            (Queue::<Vec<u64>>::bounded(4).unwrap(), Lock::new([0u64; 2]).unwrap(), Counter::new(0).unwrap());
        scope(|s| {
            let reader = s.spawn(|| queue.iter().map(|item| item.unwrap().len()).sum::<usize>());
            let writers: Vec<_> = (0..3)
                .map(|_| {
                    let puts = |queue: Queue<Vec<u64>>| {
                        (0..20).for_each(|n| queue.put(&vec![n; n as usize * 10]).unwrap());
                    };
                    pool.apply_async(puts, queue.clone())
                })
                .collect();
            pool.for_each((0..100, &lock, &count), |(range, lock, count)| {
                for _ in range {
                    let mut pair = lock.lock().unwrap();
                    pair[0] += 1;
                    pair[1] += 1;
                    count.add(1);
                }
            })
            .unwrap();
            writers.into_iter().for_each(|writer| writer.get().unwrap());
            queue.close();
            assert_eq!(reader.join().unwrap(), 3 * 1900);
        });
        assert_eq!((*lock.lock().unwrap(), count.get()), ([100, 100], 100));
    }
}

#[test]
fn pools_come_and_go_with_work_in_them() {
    for round in 0..ROUNDS {
        let pool = pool();
        let result = pool.apply_async(|n: u64| n, round);
        scope(|s| {
            s.spawn(|| pool.map(|n: u64| n, 0..round).unwrap());
            s.spawn(|| launches(&pool, round));
        });
        drop(pool);
        assert_eq!(result.get().unwrap(), round);
    }
}
