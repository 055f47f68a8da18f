//! The end of a pool beside what runs in it: other threads launch, call and end it, all at once.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::within;
use phalanx::{Backend, LaunchError, Pool, PoolError, TaskError};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Longer than any of this takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(250);

const LEN: usize = 4096;

fn pool(backend: Backend) -> Pool {
    Pool::builder().workers(2).max_workers(3).backend(backend).build().unwrap()
}

/// One of the ways in which a pool ends, by number.
fn end(pool: &Pool, way: usize) {
    if way.is_multiple_of(2) { pool.join() } else { pool.terminate() }
}

/// Has `others` at work while the pool ends, which happens after so many of them were done as the round says.
fn beside_an_end(backend: Backend, rounds: usize, others: fn(&Pool, &AtomicUsize)) {
    for round in 0..rounds {
        let (pool, done) = (pool(backend), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(|| others(&pool, &done))));
            scope.spawn(|| {
                while done.load(Ordering::SeqCst) < round % 7 {
                    std::thread::yield_now();
                }
                end(&pool, round);
            });
        });
    }
}

/// Launches of all kinds until the pool is closed. Each one that says so has run on every element.
fn launch_until_closed(pool: &Pool, done: &AtomicUsize) {
    let mut array = phalanx::SharedArray::<u64, _>::zeros(LEN).unwrap();
    for number in 1u64.. {
        let outcome = match number % 4 {
            0 => pool.broadcast((array.split_mut(), number), |_, (part, number)| part.fill(number)),
            1 => pool
                .launch()
                .chunk(64)
                .for_each((array.split_mut(), number), |(part, number)| part.fill(number)),
            2 => pool
                .reduce(
                    (array.split_out(), number),
                    0,
                    |(part, number)| {
                        part.fill(number);
                        part.len() as u64
                    },
                    |a, b| a + b,
                )
                .map(|sum| assert_eq!(sum, LEN as u64)),
            _ => pool.region((&mut array, number), |team, (mut array, number)| {
                team.phase(array.split_mut(), |part| part.fill(number))
            }),
        };
        match outcome {
            Ok(()) => {
                let wrong = array.as_slice().iter().filter(|value| **value != number).count();
                assert_eq!(wrong, 0, "launch {number} said Ok and did not run");
                done.fetch_add(1, Ordering::SeqCst);
            }
            Err(LaunchError::PoolClosed) => return,
            Err(error) => panic!("launch {number}: {error}"),
        }
    }
}

#[test]
fn a_launch_beside_an_end_runs_or_says_that_the_pool_is_closed_threads() {
    within(PATIENCE, || beside_an_end(Backend::Threads, 120, launch_until_closed));
}

#[test]
fn a_launch_beside_an_end_runs_or_says_that_the_pool_is_closed_processes() {
    within(PATIENCE, || beside_an_end(Backend::Processes, 30, launch_until_closed));
}

#[test]
fn a_launch_beside_an_end_runs_or_says_that_the_pool_is_closed_inline() {
    within(PATIENCE, || beside_an_end(Backend::Inline, 100, launch_until_closed));
}

/// Calls of all kinds until the pool is closed. What gives results gives the right ones.
fn call_until_closed(pool: &Pool, done: &AtomicUsize) {
    for number in 1u64.. {
        let expected: Vec<u64> = (number..number + 40).map(|n| n * n).collect();
        let outcome = match number % 3 {
            0 => pool.tasks().always_out().map(|n: u64| n * n, number..number + 40),
            1 => pool.imap(|n: u64| n * n, number..number + 40).collect(),
            _ => {
                let results: Vec<_> =
                    (number..number + 40).map(|n| pool.apply_async(|n: u64| n * n, n)).collect();
                results.into_iter().map(phalanx::AsyncResult::get).collect()
            }
        };
        match outcome {
            Ok(values) => assert_eq!(values, expected),
            Err(TaskError::PoolClosed) => return,
            Err(error) => panic!("call {number}: {error}"),
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_call_beside_an_end_gives_its_result_or_says_that_the_pool_is_closed_threads() {
    within(PATIENCE, || beside_an_end(Backend::Threads, 100, call_until_closed));
}

#[test]
fn a_call_beside_an_end_gives_its_result_or_says_that_the_pool_is_closed_processes() {
    within(PATIENCE, || beside_an_end(Backend::Processes, 30, call_until_closed));
}

#[test]
fn a_call_beside_an_end_gives_its_result_or_says_that_the_pool_is_closed_inline() {
    within(PATIENCE, || beside_an_end(Backend::Inline, 100, call_until_closed));
}

/// Sizes until the pool is closed, beside launches of one thread.
fn resize_until_closed(pool: &Pool, done: &AtomicUsize) {
    for number in 0.. {
        match pool.resize(1 + number % 3) {
            Ok(()) => assert!((1..=3).contains(&pool.workers())),
            Err(PoolError::PoolClosed) => return,
            Err(error) => panic!("resize {number}: {error}"),
        }
        match pool.for_each(0..100, |_| ()) {
            Ok(()) => done.fetch_add(1, Ordering::SeqCst),
            Err(LaunchError::PoolClosed) => return,
            Err(error) => panic!("launch {number}: {error}"),
        };
    }
}

#[test]
fn a_pool_may_end_while_it_is_resized_threads() {
    within(PATIENCE, || beside_an_end(Backend::Threads, 60, resize_until_closed));
}

#[test]
fn a_pool_may_end_while_it_is_resized_processes() {
    within(PATIENCE, || beside_an_end(Backend::Processes, 15, resize_until_closed));
}

/// Several threads end several pools at once; each pool runs its own function on its own items to the last.
#[test]
fn pools_that_end_beside_each_other_never_mix() {
    within(PATIENCE, || {
        for round in 0..30 {
            let backend = if round % 3 == 0 { Backend::Processes } else { Backend::Threads };
            let (one, other) = (pool(backend), pool(backend));
            let start = Barrier::new(4);
            let (ones, others) = (0..500u64).fold((Vec::new(), Vec::new()), |(mut ones, mut others), n| {
                ones.push(one.apply_async(|n: u64| n + 1_000_000, n));
                others.push(other.apply_async(|n: u64| n + 2_000_000, n));
                (ones, others)
            });
            std::thread::scope(|scope| {
                for (way, pool) in [&one, &other, &one, &other].into_iter().enumerate() {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        end(pool, round + way / 2);
                    });
                }
            });
            for (results, plus) in [(ones, 1_000_000), (others, 2_000_000)] {
                for (n, result) in results.into_iter().enumerate() {
                    match result.get() {
                        Ok(value) => assert_eq!(value, n as u64 + plus),
                        Err(error) => assert!(matches!(error, TaskError::PoolClosed), "{error}"),
                    }
                }
            }
        }
    });
}

/// Ends in every order, from several threads, again and again: afterwards everything says that the pool is
/// closed.
#[test]
fn ends_are_repeatable_in_any_order() {
    let steps: [fn(&Pool); 3] = [Pool::close, Pool::join, Pool::terminate];
    within(PATIENCE, move || {
        for (round, backend) in
            (0..27).flat_map(|n| [Backend::Processes, Backend::Threads, Backend::Inline].map(|b| (n, b)))
        {
            let pool = pool(backend);
            let order = [round % 3, round / 3 % 3, round / 9];
            std::thread::scope(|scope| {
                for turn in 0..2 {
                    let pool = &pool;
                    scope.spawn(move || order.iter().skip(turn).for_each(|step| steps[*step](pool)));
                }
            });
            pool.join();
            assert_closed(&pool);
            pool.terminate();
            pool.close();
            assert_closed(&pool);
        }
    });
}

fn assert_closed(pool: &Pool) {
    assert!(matches!(pool.for_each(0..8, |_| ()), Err(LaunchError::PoolClosed)));
    assert!(matches!(pool.apply(|n: u8| n, 1), Err(TaskError::PoolClosed)));
    assert!(matches!(pool.map(|n: u8| n, 0..3), Err(TaskError::PoolClosed)));
    assert!(matches!(pool.map_async(|n: u8| n, 0..3).get(), Err(TaskError::PoolClosed)));
    assert!(matches!(pool.try_map(|n: u8| n, 0..3).map(|_| ()), Err(TaskError::PoolClosed) | Ok(())));
    let mut endless = pool.imap(|n: u8| n, std::iter::repeat(1));
    assert!(matches!(endless.next(), Some(Err(TaskError::PoolClosed))));
    assert!(endless.next().is_none(), "it is said once");
    assert!(matches!(pool.resize(1), Err(PoolError::PoolClosed)));
    let seat = pool.join_here().unwrap();
    assert!(matches!(pool.for_each(0..8, |_| ()), Err(LaunchError::PoolClosed)));
    drop(seat);
    let (_stats, _last, _pids) = (pool.stats(), pool.last_launch(), pool.worker_pids());
}

/// What runs when a pool is terminated was not done because the pool was closed, not because some worker
/// died.
#[test]
fn tasks_that_run_at_a_termination_say_that_the_pool_was_closed() {
    for backend in [Backend::Processes, Backend::Threads] {
        within(PATIENCE, move || {
            let pool = pool(backend);
            let endless = |_: u32| {
                while !phalanx::is_cancelled() {
                    std::thread::yield_now();
                }
            };
            let results: Vec<_> = (0..5000).map(|n| pool.apply_async(endless, n)).collect();
            while pool.stats().workers.iter().take(2).any(|worker| worker.tasks == 0) {
                std::thread::yield_now();
            }
            pool.terminate();
            for result in results {
                let outcome = result.get();
                assert!(matches!(outcome, Err(TaskError::PoolClosed)), "{outcome:?}");
            }
        });
    }
}

/// A launch that would never end is ended by a termination, from the caller's seat too.
#[test]
fn a_launch_that_runs_at_a_termination_says_that_the_pool_was_closed() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    fn endless() {
        RUNS.fetch_add(1, Ordering::SeqCst);
        while !phalanx::is_cancelled() {
            std::thread::yield_now();
        }
    }
    for seated in [false, true] {
        within(PATIENCE, move || {
            RUNS.store(0, Ordering::SeqCst);
            let pool = pool(Backend::Threads);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let _seat = seated.then(|| pool.join_here().unwrap());
                    let outcome = pool.launch().chunk(1).for_each(0..8, |_| endless());
                    assert!(matches!(outcome, Err(LaunchError::PoolClosed)), "{outcome:?}");
                });
                while RUNS.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
                pool.terminate();
            });
        });
    }
}

/// As above where nothing is asked to stop: the workers are killed.
#[test]
fn a_launch_whose_workers_are_killed_by_a_termination_says_that_the_pool_was_closed() {
    within(PATIENCE, || {
        let (pool, runs) = (pool(Backend::Processes), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let first = AtomicUsize::new(0);
                let tell = |_| {
                    if first.fetch_add(1, Ordering::Relaxed) == 0 {
                        runs.wait();
                    }
                };
                let outcome = pool.launch().chunk(1).progress(&tell).for_each(0..8, |_| {
                    loop {
                        std::thread::park()
                    }
                });
                assert!(matches!(outcome, Err(LaunchError::PoolClosed)), "{outcome:?}");
            });
            runs.wait();
            pool.terminate();
        });
    });
}
