//! Sizes and durations that no memory and no clock can hold, and inputs that are wrong about their length.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::{Backend, Connection, Manager, Pipe, Pool, Process, Queue, recommended_workers};
use std::time::Duration;

/// An input that says what it is told to of its length.
struct Says<I>(I, (usize, Option<usize>));

impl<I: Iterator> Iterator for Says<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

/// An input that begins again after its end.
struct Again(u64);

impl Iterator for Again {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 += 1;
        (!self.0.is_multiple_of(10)).then_some(self.0)
    }
}

const SIZES: [usize; 7] = [1, 3, 4096, usize::MAX / 16 + 1, 1 << 60, 1 << 61, usize::MAX];

fn pools() -> [Pool; 2] {
    [Backend::Processes, Backend::Threads]
        .map(|backend| Pool::builder().workers(2).backend(backend).build().unwrap())
}

#[test]
fn chunks_of_any_size_hold_what_there_is() {
    for pool in pools() {
        let beside = pool.from_fn(10_000, |i| i as u64).unwrap();
        let expected: Vec<u64> = (0..10_000).map(|n| n + 1).collect();
        for size in SIZES {
            let unknown = || (0..10_000u64).filter(|_| true);
            assert_eq!(pool.tasks().chunksize(size).map(|n| n + 1, 0..10_000u64).unwrap(), expected);
            assert_eq!(pool.tasks().chunksize(size).map(|n| n + 1, unknown()).unwrap(), expected);
            let wide: Vec<u128> = (0..1000).collect();
            assert_eq!(pool.tasks().chunksize(size).map(|n: u128| n, wide.clone()).unwrap(), wide);
            let imap: Result<Vec<u64>, _> = pool.tasks().chunksize(size).imap(|n| n + 1, unknown()).collect();
            assert_eq!(imap.unwrap(), expected);
            let windowed = pool.tasks().chunksize(size).window(size).imap(|n| n + 1, 0..10_000u64);
            assert_eq!(windowed.map(Result::unwrap).collect::<Vec<_>>(), expected);
            let text = pool.tasks().chunksize(size).map(|n: String| n + "!", ["a", "b"].map(String::from));
            assert_eq!(text.unwrap(), ["a!", "b!"]);
        }
        let first: Vec<_> = pool.tasks().window(usize::MAX).imap(|n: u64| n, 0..).take(5).collect();
        assert_eq!(first.into_iter().map(Result::unwrap).sum::<u64>(), 10);
        assert!(beside.as_slice().iter().enumerate().all(|(i, value)| *value == i as u64));
    }
}

#[test]
fn limits_of_any_length_end_nothing_early() {
    for pool in pools() {
        for limit in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)] {
            assert_eq!(pool.tasks().timeout(limit).apply(|n: u64| n, 1).unwrap(), 1);
            assert_eq!(pool.tasks().timeout(limit).map(|n: u64| n, 0..100).unwrap().len(), 100);
            let result =
                pool.tasks().timeout(limit).apply_async(std::thread::sleep, Duration::from_millis(30));
            assert!(result.wait_timeout(limit));
            result.get_timeout(limit).unwrap();
        }
        let slow = |()| std::thread::sleep(Duration::from_secs(3600));
        if pool.worker_pids().len() == 2 {
            let late = pool.tasks().timeout(Duration::from_millis(20)).apply(slow, ());
            assert!(matches!(late, Err(phalanx::TaskError::TimedOut { .. })));
        }
    }
}

#[test]
fn what_an_input_says_of_its_length_is_not_believed() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let says = [
        (0, Some(0)),
        (7, Some(7)),
        (100_000, Some(100_000)),
        (usize::MAX, None),
        (usize::MAX, Some(usize::MAX)),
        (1 << 40, Some(1 << 40)),
    ];
    for says in says {
        let expected: Vec<u64> = (0..5000).collect();
        let input = || Says(0..5000u64, says);
        assert_eq!(pool.map(|n: u64| n, input()).unwrap(), expected, "{says:?}");
        assert_eq!(pool.map_async(|n: u64| n, input()).get().unwrap(), expected, "{says:?}");
        let each = pool.try_map(|n: u64| n, input()).unwrap();
        assert_eq!(each.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected, "{says:?}");
        for chunk in [1, 10, 100_000] {
            let given = pool.tasks().chunksize(chunk).imap(|n: u64| n, input());
            assert_eq!(given.map(Result::unwrap).collect::<Vec<_>>(), expected, "{says:?}");
            let given = pool.tasks().chunksize(chunk).map(|n: u64| n, input());
            assert_eq!(given.unwrap(), expected, "{says:?}");
        }
        let words = pool.imap(|word: String| word.len(), Says((0..50).map(|n| "w".repeat(n)), says));
        assert_eq!(words.map(Result::unwrap).sum::<usize>(), 1225);
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let note = seen.clone();
        let progress = move |done: usize, all: Option<usize>| note.lock().unwrap().push((done, all));
        pool.tasks().chunksize(100).progress(progress).map(|n: u64| n, input()).unwrap();
        assert!(seen.lock().unwrap().iter().all(|(done, all)| all.is_none_or(|all| all >= *done)));
    }
}

#[test]
fn an_input_ends_at_its_first_end() {
    let pool = Pool::builder().workers(2).build().unwrap();
    for chunk in [1, 2, 100] {
        let expected: Vec<u64> = (1..10).collect();
        assert_eq!(pool.tasks().chunksize(chunk).map(|n: u64| n, Again(0)).unwrap(), expected);
        let given = pool.tasks().chunksize(chunk).imap(|n: u64| n, Again(0));
        assert_eq!(given.map(Result::unwrap).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn pools_of_any_numbers_are_refused_or_made() {
    for backend in [Backend::Processes, Backend::Threads, Backend::Inline] {
        let builder = || Pool::builder().backend(backend).workers(1);
        for number in [1 << 20, 1 << 33, usize::MAX / 2 + 1, usize::MAX] {
            let more = [
                builder().workers(number).build(),
                builder().max_workers(number).build(),
                builder().threads_per_worker(number).build(),
                builder().workers(number).max_workers(number).threads_per_worker(number).build(),
            ];
            for made in more {
                assert!(made.is_err() || backend == Backend::Inline, "{number} {backend}");
            }
        }
        let ages = [Duration::MAX, Duration::from_secs(1 << 61), Duration::from_millis(u64::MAX)];
        for age in ages {
            let pool = builder()
                .max_worker_age(age)
                .max_worker_growth(u64::MAX)
                .max_tasks_per_worker(u64::MAX)
                .build()
                .unwrap();
            let before = pool.worker_pids();
            for n in 0..50 {
                assert_eq!(pool.apply(|n: u64| n, n).unwrap(), n);
            }
            assert_eq!(pool.worker_pids(), before);
            // No more than there may be.
            pool.resize(usize::MAX).unwrap();
            assert_eq!(pool.workers(), 1);
        }
        assert!(recommended_workers(u64::MAX) >= 1);
    }
}

#[test]
fn waits_of_any_length_end_when_there_is_something() {
    let queue = Queue::<u64>::new().unwrap();
    let (one, other): (Connection<u64, u64>, Connection<u64, u64>) = Pipe::duplex().unwrap();
    for limit in [Duration::MAX, Duration::from_secs(1 << 62)] {
        queue.put_timeout(&1, limit).unwrap();
        assert_eq!(queue.get_timeout(limit).unwrap(), 1);
        one.send_timeout(&2, limit).unwrap();
        assert!(other.poll(limit).unwrap());
        assert_eq!(other.recv_timeout(limit).unwrap(), 2);
        let process = Process::spawn(|n: u64| n + 1, 1).unwrap();
        assert_eq!(process.join_timeout(limit).unwrap(), 2);
        let manager = Manager::new().unwrap();
        let hosted = manager.host(1u64).unwrap();
        assert_eq!(hosted.call_timeout(|n: &mut u64, by: u64| *n + by, 2, limit).unwrap(), 3);
    }
    for bytes in [1 << 62, usize::MAX / 2, usize::MAX - 63, usize::MAX] {
        assert!(Queue::<u64>::with_capacity_bytes(bytes).is_err());
    }
}
