//! Items that are run again: after which errors, how often, when, and what ends that.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::shared::AtomicArray;
use phalanx::{Backend, Pool, TaskError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn pools() -> Vec<Pool> {
    [Backend::Processes, Backend::Threads, Backend::Inline].map(pool).into()
}

fn pool(backend: Backend) -> Pool {
    Pool::builder().workers(2).backend(backend).build().unwrap()
}

fn any(_: &TaskError) -> bool {
    true
}

/// Counts how often each item was begun.
fn tries(items: usize) -> AtomicArray<u64> {
    AtomicArray::zeros(items).unwrap()
}

/// Begins an item; returns how often it was begun before.
fn begin(tries: &AtomicArray<u64>, n: usize) -> u64 {
    tries[n].fetch_add(1, Ordering::Relaxed)
}

fn with(tries: &AtomicArray<u64>, items: usize) -> impl Iterator<Item = (AtomicArray<u64>, usize)> {
    (0..items).map(move |n| (tries.clone(), n))
}

#[test]
fn what_panics_is_run_again_as_often_as_wanted_and_nothing_else_is() {
    for pool in pools() {
        for chunk in [1, 3, 7, 100] {
            let tries = tries(50);
            // Item 10 never ends well, items 3 and 4 the third time, 49 the second time.
            let flaky = |(tries, n): (AtomicArray<u64>, usize)| {
                let before = begin(&tries, n);
                let bad = match n {
                    10 => true,
                    3 | 4 => before < 2,
                    49 => before < 1,
                    _ => false,
                };
                assert!(!bad, "try {before} of {n}");
                "w".repeat(n)
            };
            let tasks = pool.tasks().chunksize(chunk).retry(2).retry_on(any);
            let results = tasks.try_map(flaky, with(&tries, 50)).unwrap();
            for (n, result) in results.into_iter().enumerate() {
                let begun = tries[n].load(Ordering::Relaxed);
                match result {
                    Ok(word) => assert_eq!(
                        (word.len(), begun),
                        (n, [1, 2, 3][usize::from(n == 49) + 2 * usize::from(n == 3 || n == 4)])
                    ),
                    Err(TaskError::Panicked { item, message, .. }) => {
                        assert_eq!((n, item, message.as_str(), begun), (10, 10, "try 2 of 10", 3));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

#[test]
fn numbers_keep_their_places_when_some_are_run_again() {
    let pool = pool(Backend::Processes);
    // Numbers as arguments and results: the first time that a worker sees an odd one, it panics.
    let flaky = |n: u64| {
        static SEEN: [AtomicUsize; 1000] = [const { AtomicUsize::new(0) }; 1000];
        let is_first = SEEN[n as usize].fetch_add(1, Ordering::Relaxed) == 0;
        assert!(n.is_multiple_of(2) || !is_first, "not yet");
        n * 3
    };
    let results = pool.tasks().chunksize(100).retry(5).retry_on(any).map(flaky, 0..1000).unwrap();
    assert_eq!(results, (0..1000).map(|n| n * 3).collect::<Vec<u64>>());
}

#[test]
fn what_a_worker_dies_of_or_takes_too_long_for_is_run_again() {
    let pool = pool(Backend::Processes);
    for chunk in [1, 4, 100] {
        let tries = tries(30);
        let flaky = |(tries, n): (AtomicArray<u64>, usize)| {
            match (begin(&tries, n), n % 10) {
                (0, 3) => std::process::abort(),
                (0 | 1, 6) => std::thread::sleep(Duration::from_secs(3600)),
                (1, 3) => panic!("the second time"),
                _ => {}
            }
            n
        };
        let tasks = pool.tasks().chunksize(chunk).timeout(150 * MS).retry(2).retry_on(any);
        assert_eq!(tasks.map(flaky, with(&tries, 30)).unwrap(), (0..30).collect::<Vec<_>>());
        let begun: Vec<u64> = (0..10).map(|n| tries[n].load(Ordering::Relaxed)).collect();
        assert_eq!(begun, [1, 1, 1, 3, 1, 1, 3, 1, 1, 1]);
    }
}

#[test]
fn without_a_word_only_deaths_are_run_again() {
    let pool = pool(Backend::Processes);
    let tries = tries(4);
    let bad = |(tries, n): (AtomicArray<u64>, usize)| match (n, begin(&tries, n)) {
        (0, _) => panic!("always"),
        (1, _) => std::thread::sleep(Duration::from_secs(3600)),
        (2, 0..=1) => std::process::abort(),
        _ => {}
    };
    let tasks = pool.tasks().timeout(2000 * MS).retry(2);
    let results = tasks.try_map(bad, with(&tries, 4)).unwrap();
    assert!(matches!(results[0], Err(TaskError::Panicked { item: 0, .. })));
    assert!(matches!(results[1], Err(TaskError::TimedOut { item: 1, .. })));
    assert!(results[2].is_ok() && results[3].is_ok());
    let begun: Vec<u64> = (0..4).map(|n| tries[n].load(Ordering::Relaxed)).collect();
    assert_eq!(begun, [1, 1, 3, 1]);
}

#[test]
fn the_predicate_decides_by_the_error_and_may_panic() {
    for pool in pools() {
        let tries = tries(4);
        let fails = |(tries, n): (AtomicArray<u64>, usize)| {
            begin(&tries, n);
            panic!("{}", ["again", "enough", "bad predicate", "again"][n]);
        };
        let tasks = pool.tasks().chunksize(4).retry(3).retry_on(|error| {
            let TaskError::Panicked { message, .. } = error else { return false };
            assert_ne!(message, "bad predicate");
            message == "again"
        });
        let results: Vec<Result<(), _>> = tasks.try_map(fails, with(&tries, 4)).unwrap();
        assert!(results.iter().all(|result| matches!(result, Err(TaskError::Panicked { .. }))));
        let begun: Vec<u64> = (0..4).map(|n| tries[n].load(Ordering::Relaxed)).collect();
        assert_eq!(begun, [4, 1, 1, 4]);
    }
}

/// An error with a meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Fetch {
    Busy { after_ms: u64 },
    Gone(String),
}

#[test]
fn errors_that_functions_return_are_the_items_errors_and_can_be_tried_again() {
    for pool in pools() {
        let tries = tries(6);
        let fetch = |(tries, n): (AtomicArray<u64>, usize)| match (n, begin(&tries, n)) {
            (1, _) => Err(Fetch::Gone("one".into())),
            (2, 0) => Err(Fetch::Busy { after_ms: 3 }),
            (3, _) => panic!("three"),
            (4, _) => Err(Fetch::Busy { after_ms: 4 }),
            _ => Ok(format!("page {n}")),
        };
        let is_busy = |error: &TaskError| matches!(error.failure(), Some(Fetch::Busy { .. }));
        let tasks = pool.tasks().chunksize(3).retry(1).retry_on(is_busy);
        let results = tasks.try_map_results(fetch, with(&tries, 6)).unwrap();
        assert_eq!(results[1].as_ref().unwrap_err().failure(), Some(&Fetch::Gone("one".into())));
        assert_eq!(results[1].as_ref().unwrap_err().item(), Some(1));
        assert_eq!(results[1].as_ref().unwrap_err().to_string(), "item 1 failed: Gone(\"one\")");
        assert_eq!(results[1].as_ref().unwrap_err().failure::<String>(), None);
        assert!(matches!(results[3], Err(TaskError::Panicked { item: 3, .. })));
        assert_eq!(results[4].as_ref().unwrap_err().failure(), Some(&Fetch::Busy { after_ms: 4 }));
        let pages: Vec<_> = results.iter().flatten().cloned().collect();
        assert_eq!(pages, ["page 0", "page 2", "page 5"]);
        let begun: Vec<u64> = (0..6).map(|n| tries[n].load(Ordering::Relaxed)).collect();
        assert_eq!(begun, [1, 1, 2, 1, 2, 1]);

        let error = pool.tasks().map_results(fetch, with(&tries, 2)).unwrap_err();
        assert_eq!(error.failure(), Some(&Fetch::Gone("one".into())));
        assert_eq!(pool.tasks().map_results(fetch, with(&tries, 1)).unwrap(), ["page 0"]);
        let nothing: Vec<String> = pool.tasks().map_results(fetch, with(&tries, 0)).unwrap();
        assert_eq!(nothing, [""; 0]);
    }
}

#[test]
fn threads_go_on_with_the_rest_while_an_item_that_they_cannot_stop_is_run_again() {
    let pool = pool(Backend::Threads);
    let tries = tries(8);
    let flaky = |(tries, n): (AtomicArray<u64>, usize)| {
        match (n, begin(&tries, n)) {
            // In the same chunk, before and after the item that takes too long.
            (1 | 3 | 5, 0) => panic!("not yet"),
            (4, 0) => {
                while !phalanx::is_cancelled() {
                    std::thread::sleep(MS);
                }
            }
            _ => {}
        }
        n
    };
    let tasks = pool.tasks().chunksize(8).timeout(100 * MS).retry(1).retry_on(any);
    assert_eq!(tasks.map(flaky, with(&tries, 8)).unwrap(), (0..8).collect::<Vec<_>>());
    let begun: Vec<u64> = (0..8).map(|n| tries[n].load(Ordering::Relaxed)).collect();
    assert_eq!(begun, [1, 2, 1, 2, 2, 2, 1, 1]);
    pool.close();
    pool.join();
}

#[test]
fn pauses_pass_without_holding_a_worker_up() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(1).backend(backend).build().unwrap();
        let tries = tries(1);
        let flaky = |(tries, n): (AtomicArray<u64>, usize)| assert!(begin(&tries, n) > 2, "not yet");
        let began = Instant::now();
        let tasks = pool.tasks().retry(3).retry_on(any).backoff(100 * MS, 150 * MS);
        let result = tasks.apply_async(flaky, (tries.clone(), 0));
        // The only worker is free meanwhile.
        let mut others = 0;
        while !result.ready() {
            assert_eq!(pool.apply(|n: u64| n + 1, 1).unwrap(), 2);
            others += 1;
        }
        result.get().unwrap();
        assert!(began.elapsed() >= 400 * MS, "{:?}", began.elapsed());
        assert!(others > 3, "{others}");
        assert_eq!(tries[0].load(Ordering::Relaxed), 4);
    }
}

#[test]
fn what_pauses_is_waited_for_by_join_and_given_up_by_terminate_and_cancel() {
    for backend in [Backend::Processes, Backend::Threads] {
        let flaky = |(tries, n): (AtomicArray<u64>, usize)| assert!(begin(&tries, n) > 0, "not yet");
        let start = |pool: &Pool, pause: Duration| {
            let tries = tries(1);
            let tasks = pool.tasks().retry(1).retry_on(any).backoff(pause, pause);
            let result = tasks.apply_async(flaky, (tries.clone(), 0));
            while tries[0].load(Ordering::Relaxed) == 0 {
                std::thread::sleep(MS);
            }
            result
        };
        let hour = Duration::from_secs(3600);
        let one = pool(backend);
        let result = start(&one, 200 * MS);
        one.close();
        one.join();
        result.get().unwrap();

        let other = pool(backend);
        let (cancelled, terminated) = (start(&other, hour), start(&other, Duration::MAX));
        assert!(!cancelled.wait_timeout(50 * MS));
        cancelled.cancel();
        assert!(matches!(cancelled.get(), Err(TaskError::Cancelled { .. })));
        other.terminate();
        assert!(matches!(terminated.get(), Err(TaskError::PoolClosed)));
    }
}

#[test]
fn a_map_that_ends_early_leaves_nothing_that_pauses() {
    let pool = pool(Backend::Processes);
    let late = |n: u64| match n {
        0 => panic!("again"),
        9 => panic!("enough"),
        _ => std::thread::sleep(50 * MS),
    };
    let tasks = pool.tasks().chunksize(1).retry(1).backoff(Duration::from_secs(3600), Duration::MAX);
    let is_again = |error: &TaskError| error.to_string().contains("again");
    let error = tasks.retry_on(is_again).map(late, 0..10).unwrap_err();
    assert!(matches!(error, TaskError::Panicked { item: 9, .. }), "{error}");
    pool.close();
    pool.join();
}

#[test]
fn imap_yields_in_order_what_was_run_again() {
    for pool in pools() {
        let flaky = |(tries, n): (AtomicArray<u64>, usize)| {
            assert!(n % 3 != 0 || begin(&tries, n) > 0, "not yet");
            n
        };
        let tries = [tries(200), tries(200)];
        let options = || pool.tasks().retry(1).retry_on(any).chunksize(7);
        let results: Vec<_> = options().imap(flaky, with(&tries[0], 200)).map(Result::unwrap).collect();
        assert_eq!(results, (0..200).collect::<Vec<_>>());
        let mut results: Vec<_> =
            options().imap_unordered(flaky, with(&tries[1], 200)).map(Result::unwrap).collect();
        results.sort_unstable();
        assert_eq!(results, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn workers_that_are_killed_at_random_lose_nothing_under_retries() {
    let pool = pool(Backend::Processes);
    let is_over = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (pool, ended) = (&pool, is_over.clone());
        scope.spawn(move || {
            while ended.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(7 * MS);
                for pid in pool.worker_pids() {
                    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
                        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    }
                    std::thread::sleep(3 * MS);
                }
            }
        });
        for chunk in [1, 5, 40] {
            let work = |n: u64| {
                std::thread::sleep(Duration::from_micros(300));
                if n % 7 == 6 { Err(format!("no {n}")) } else { Ok("w".repeat(n as usize % 90)) }
            };
            let tasks = pool.tasks().chunksize(chunk).retry(1_000_000);
            let died = |error: &TaskError| matches!(error, TaskError::WorkerDied { .. });
            let tasks = tasks.retry_on(died).backoff(MS, 5 * MS);
            for (n, result) in tasks.try_map_results(work, 0..300).unwrap().into_iter().enumerate() {
                match result {
                    Ok(word) => assert!(n % 7 != 6 && word.len() == n % 90),
                    Err(error) => assert_eq!(error.failure(), Some(&format!("no {n}"))),
                }
            }
        }
        is_over.store(1, Ordering::Relaxed);
    });
}
