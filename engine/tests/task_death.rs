//! Workers that die, stop or misbehave with tasks in their hands: an error for what they ran, and nothing
//! else.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::{Backend, ExitCause, Pool, TaskError};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

fn pool() -> Pool {
    Pool::builder().workers(2).build().unwrap()
}

fn send(pid: u32, signal: Signal) {
    // A worker that has ended meanwhile is no trouble.
    let _gone = Pid::from_raw(pid as i32).map(|pid| kill_process(pid, signal));
}

/// Kills workers, each when it has begun a task: three deaths in a row before any work would break the pool.
fn kill_those_that_work(pool: &Pool, is_over: &AtomicBool) {
    let mut begun = [0; 2];
    while !is_over.load(Ordering::Relaxed) {
        for (worker, begun) in pool.stats().workers.iter().zip(&mut begun) {
            if worker.tasks > *begun {
                *begun = worker.tasks;
                send(worker.pid, Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the thread that kills, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn aborts(n: u8) -> u8 {
    if n == 0 {
        std::process::abort()
    }
    n
}

/// Waits until a worker has begun a task.
fn until_begun(pool: &Pool, tasks: u64) {
    while pool.stats().workers.iter().map(|worker| worker.tasks).sum::<u64>() < tasks {
        std::thread::yield_now();
    }
}

#[test]
fn a2_an_idle_worker_that_is_killed_is_replaced_silently() {
    let pool = pool();
    for round in 0..10u64 {
        let before = pool.worker_pids();
        send(before[round as usize % 2], Signal::KILL);
        let values = pool.tasks().always_out().map(|n: u64| n + 1, round..round + 50).unwrap();
        assert_eq!(values, (round + 1..round + 51).collect::<Vec<_>>());
        // Every worker serves before the next kill: three deaths in a row before any work would break the
        // pool.
        while pool.insights().deaths <= round {
            std::thread::yield_now();
        }
        pool.broadcast(0..2, |_, _| ()).unwrap();
    }
}

#[test]
fn a3_a_function_that_always_kills_its_worker_breaks_nothing() {
    let pool = pool();
    for _ in 0..8 {
        let error = pool.apply(aborts, 0).unwrap_err();
        let TaskError::WorkerDied { cause, .. } = error else { panic!("{error}") };
        assert!(matches!(cause, ExitCause::Signal { number: 6, .. }), "{cause}");
    }
    assert_eq!(pool.apply(|n: u8| n, 7).unwrap(), 7);
}

#[test]
fn a1_kills_from_outside_lose_only_items_in_work() {
    let pool = pool();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| kill_those_that_work(&pool, &is_over));
        let work = |n: u64| (0..2000u64).fold(n, |sum, k| std::hint::black_box(sum ^ k));
        let mut lost = 0;
        for _ in 0..40 {
            let results = pool.tasks().always_out().chunksize(16).try_map(work, 0..400).unwrap();
            assert_eq!(results.len(), 400);
            for (n, result) in (0..400).zip(results) {
                match result {
                    Ok(value) => assert_eq!(value, work(n)),
                    Err(TaskError::WorkerDied { item, .. }) => {
                        assert_eq!(item as u64, n);
                        lost += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            let words = pool.tasks().retry(1000).chunksize(4).map(|n: usize| "x".repeat(n), 0..60).unwrap();
            assert!(words.iter().zip(0..).all(|(word, n)| word.len() == n));
        }
        let deaths = pool.insights().deaths;
        assert!(deaths > 0 && lost <= deaths, "{lost} items lost by {deaths} deaths");
    });
    assert_eq!(pool.map(|n: u64| n, 0..10).unwrap().len(), 10);
}

#[test]
fn a6_a_payload_whose_drop_panics_is_a_panic_like_any_other() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let pool = pool();
    let error = pool
        .apply(
            |n: u8| {
                if n == 0 {
                    std::panic::panic_any(Bomb)
                }
            },
            0,
        )
        .unwrap_err();
    assert!(matches!(error, TaskError::Panicked { .. }), "{error}");
    assert_eq!(pool.insights().deaths, 0);
}

#[test]
fn a9_a_stack_overflow_is_a_death() {
    fn deep(n: u64) -> u64 {
        std::hint::black_box(if n == u64::MAX { 0 } else { deep(n + 1) + 1 })
    }
    let pool = pool();
    let error = pool.apply(deep, 0).unwrap_err();
    assert!(matches!(error, TaskError::WorkerDied { .. }), "{error}");
    assert_eq!(pool.apply(|n: u8| n, 7).unwrap(), 7);
}

#[test]
fn a14_a_stopped_worker_is_killed_at_the_time_limit() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let limited = pool.tasks().timeout(Duration::from_millis(100));
    let task = limited.apply_async(|()| std::thread::sleep(LONG), ());
    until_begun(&pool, 1);
    send(pool.worker_pids()[0], Signal::STOP);
    assert!(matches!(task.get(), Err(TaskError::TimedOut { .. })));
    assert_eq!(pool.apply(|n: u8| n, 7).unwrap(), 7);
}

#[test]
fn a15_memory_that_cannot_be_had_is_an_error() {
    /// Asks for memory, which an optimiser must not find needless.
    fn room_for(len: usize) -> usize {
        std::hint::black_box(Vec::<u8>::with_capacity(len)).len()
    }
    let pool = pool();
    let error = pool.apply(room_for, usize::MAX).unwrap_err();
    assert!(matches!(error, TaskError::Panicked { .. }), "{error}");
    let error = pool.apply(room_for, 1 << 62).unwrap_err();
    assert!(matches!(error, TaskError::WorkerDied { .. }), "{error}");
}

#[test]
fn a16_a_leaking_worker_gives_way() {
    let pool = Pool::builder().workers(1).max_worker_growth(20 << 20).build().unwrap();
    let leak = |_: u32| {
        std::mem::forget(std::hint::black_box(vec![1u8; 1 << 20]));
        std::process::id()
    };
    let pids = pool.tasks().chunksize(1).map(leak, 0..400).unwrap();
    let mut workers = pids.clone();
    workers.dedup();
    // 400 MiB in workers that are weighed at most every 50 ms; all tasks were done.
    assert!(pids.len() == 400 && pool.insights().deaths == 0);
    assert!(workers.len() > 1, "one worker leaked 400 MiB");
}

#[test]
fn a_worker_that_dies_while_it_asks_for_room_loses_its_item_only() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| kill_those_that_work(&pool, &is_over));
        for len in [100, 5_000, 300_000] {
            let grown = |(n, len): (usize, usize)| "x".repeat(n * len / 20);
            let items = (0..20).map(|n| (n, len));
            let values = pool.tasks().retry(1000).chunksize(3).map(grown, items).unwrap();
            assert!(values.iter().zip(0..).all(|(value, n)| *value == grown((n, len))));
        }
    });
}

#[test]
fn cancelling_what_runs_ends_that_worker_only() {
    let pool = pool();
    let slow = pool.apply_async(|()| std::thread::sleep(LONG), ());
    until_begun(&pool, 1);
    let other = pool.map_async(|n: u64| n * n, 0..1000);
    slow.cancel();
    assert!(matches!(slow.get(), Err(TaskError::Cancelled { .. })));
    assert_eq!(other.get().unwrap().len(), 1000);
}

#[test]
fn terminating_ends_whatever_runs() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(2).backend(backend).build().unwrap();
        let until_told = |()| {
            while !phalanx::is_cancelled() {
                std::thread::yield_now();
            }
        };
        let running: Vec<_> = (0..2).map(|_| pool.apply_async(until_told, ())).collect();
        until_begun(&pool, 2);
        let waiting = pool.map_async(|n: u64| n, 0..100_000);
        pool.terminate();
        drop(running);
        assert!(waiting.get().is_err());
        assert!(matches!(pool.apply(|n: u8| n, 1), Err(TaskError::PoolClosed)));
    }
}

#[test]
fn a_pool_dropped_by_a_panic_does_not_wait_for_its_tasks() {
    let outcome = std::panic::catch_unwind(|| {
        let pool = pool();
        let _slow = pool.apply_async(|()| std::thread::sleep(LONG), ());
        until_begun(&pool, 1);
        panic!("the program's own");
    });
    assert!(outcome.is_err());
}
