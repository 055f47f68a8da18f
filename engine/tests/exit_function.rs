//! The function that every worker runs at its end, and what the program gets of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;
mod exit;

use common::{LONG, within};
use exit::{BACKENDS, add, builder, rank, take_sum};
use phalanx::sync::Counter;
use phalanx::{Backend, ExitError, PerWorker, Pool, PoolBuilder, Schedule};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn what_tasks_left_in_statics_is_handed_over() {
    for backend in BACKENDS {
        let pool = builder(backend, 3).at_exit(take_sum).build().unwrap();
        // So fast a function would soon run in the caller, whose statics no worker sees.
        for _ in 0..50 {
            pool.map(add, 1..=20).unwrap();
        }
        pool.join();
        let sums = pool.exit_results::<u64>().unwrap();
        assert_eq!((sums.len(), sums.iter().sum::<u64>()), (pool.workers(), 50 * 210), "{backend}");
        // Asked again, they are the same.
        assert_eq!(pool.exit_results::<u64>().unwrap(), sums);
    }
}

#[test]
fn what_launches_left_in_states_is_handed_over_by_rank() {
    for backend in BACKENDS {
        let state = PerWorker::new(|rank| vec![rank as u64]);
        let pool =
            builder(backend, 3).at_exit_with(&state, |state| (rank(), state.unwrap())).build().unwrap();
        for n in 1..=3 {
            pool.broadcast((n, &state), |rank, (n, state)| state.push(10 * rank as u64 + n)).unwrap();
        }
        // The pool keeps the states though nobody else does.
        drop(state);
        pool.for_each(0..10, |_| ()).unwrap();
        pool.join();
        let expected = |rank: usize| {
            (rank, vec![rank as u64, 10 * rank as u64 + 1, 10 * rank as u64 + 2, 10 * rank as u64 + 3])
        };
        let all: Vec<_> = (0..pool.workers()).map(expected).collect();
        assert_eq!(pool.exit_results::<(usize, Vec<u64>)>().unwrap(), all, "{backend}");
    }
}

#[test]
fn workers_with_threads_of_their_own_hand_over_too() {
    for backend in [Backend::Processes, Backend::Threads] {
        let state = PerWorker::new(|_| 0u64);
        let pool = builder(backend, 2).threads_per_worker(2);
        let pool = pool.at_exit_with(&state, |state| (rank(), state, rayon::current_num_threads()));
        let pool = pool.build().unwrap();
        pool.broadcast(&state, |rank, state| *state = 7 + rank as u64).unwrap();
        pool.join();
        let results = pool.exit_results::<(usize, Option<u64>, usize)>().unwrap();
        assert_eq!(results, [(0, Some(7), 2), (1, Some(8), 2)], "{backend}");
    }
}

#[test]
fn a_seat_hands_over_when_it_is_given_up() {
    for backend in BACKENDS {
        let state = PerWorker::scratch(|_| 0u64);
        let pool = builder(backend, 2).at_exit_with(&state, |state| state).build().unwrap();
        let count = || pool.broadcast(&state, |_, state| *state += 1).unwrap();
        count();
        let seat = pool.join_here().unwrap();
        (0..3).for_each(|_| count());
        pool.join();
        let expected: &[_] = match backend {
            Backend::Inline => &[Some(4)],
            _ => {
                assert_eq!(pool.exit_results::<Option<u64>>(), Err(ExitError::NotOver));
                &[Some(1), Some(3), Some(4)]
            }
        };
        drop(seat);
        assert_eq!(pool.exit_results::<Option<u64>>().unwrap(), expected, "{backend}");
    }
}

#[test]
fn a_pool_inside_a_kernel_runs_it_there() {
    fn sums(n: u64) -> u64 {
        let state = PerWorker::new(|_| 0u64);
        let pool = Pool::builder().at_exit_with(&state, |state| state).build().unwrap();
        pool.for_each((0..n as usize, &state), |(span, state)| *state += span.sum::<usize>() as u64).unwrap();
        pool.join();
        pool.exit_results::<Option<u64>>().unwrap().into_iter().flatten().sum()
    }
    for backend in BACKENDS {
        let pool = builder(backend, 2).build().unwrap();
        assert_eq!(pool.map(sums, [10, 100]).unwrap(), [45, 4950], "{backend}");
        let mut out = pool.zeros::<u64>(2).unwrap();
        pool.launch().chunk(1).for_each(out.split_mut(), |out| out[0] = sums(10)).unwrap();
        assert_eq!(out.as_slice(), [45, 45], "{backend}");
    }
}

#[test]
fn a_pool_that_cannot_be_built_ends_in_spite_of_it() {
    for backend in [Backend::Processes, Backend::Threads] {
        within(LONG, move || {
            let first = |()| if current_thread_is_rank_0() { Ok(()) } else { Err("not this one") };
            let outcome = builder(backend, 3).initializer(first, ()).at_exit(take_sum).build();
            let error = outcome.map(drop).unwrap_err().to_string();
            assert!(error.contains("not this one"), "{error}");
        });
    }
}

/// An initializer has no rank yet; a worker's name ends with it.
fn current_thread_is_rank_0() -> bool {
    std::fs::read_to_string("/proc/thread-self/comm").is_ok_and(|name| name.trim_end().ends_with(" 0"))
}

#[test]
fn a_worker_that_has_no_state_is_given_none() {
    for backend in BACKENDS {
        let state = PerWorker::new(|_| 7u64);
        let pool = builder(backend, 2).at_exit_with(&state, |state| state).build().unwrap();
        pool.join();
        assert_eq!(pool.exit_results::<Option<u64>>().unwrap(), vec![None; pool.workers()], "{backend}");
    }
}

#[test]
fn a_function_without_a_result_has_one_unit_for_each_worker() {
    for backend in BACKENDS {
        let pool = builder(backend, 2).at_exit(|| ()).build().unwrap();
        pool.join();
        assert_eq!(pool.exit_results::<()>().unwrap().len(), pool.workers(), "{backend}");
    }
}

#[test]
fn large_results_arrive_whole() {
    const BYTES: usize = 10 << 20;
    for backend in BACKENDS {
        let text = || (rank() as u8, "0123456789abcdef".repeat(BYTES / 16));
        let pool = builder(backend, 2).at_exit(text).build().unwrap();
        pool.join();
        let texts = pool.exit_results::<(u8, String)>().unwrap();
        assert_eq!(texts.len(), pool.workers(), "{backend}");
        for (index, (rank, text)) in texts.iter().enumerate() {
            assert_eq!((usize::from(*rank), text.len()), (index, BYTES), "{backend}");
            assert!(text.as_bytes().chunks(16).all(|chunk| chunk == b"0123456789abcdef"));
        }
    }
}

#[test]
fn those_that_a_resize_dismisses_hand_over_too() {
    for backend in [Backend::Processes, Backend::Threads] {
        within(LONG, move || {
            let state = PerWorker::scratch(|_| 0u64);
            let pool = builder(backend, 3).at_exit_with(&state, |state| (rank(), state)).build().unwrap();
            let count = |pool: &Pool| {
                let all = pool.launch().chunk(1).schedule(Schedule::Static);
                all.for_each((0..pool.workers(), &state), |(_, state)| *state += 1)
            };
            count(&pool).unwrap();
            pool.resize(1).unwrap();
            pool.resize(2).unwrap();
            count(&pool).unwrap();
            pool.join();
            let results = pool.exit_results::<(usize, Option<u64>)>().unwrap();
            let of = |of: usize| results.iter().filter(move |(rank, _)| *rank == of).filter_map(|(_, n)| *n);
            let counts = [0, 1, 2].map(|rank| of(rank).sum::<u64>());
            assert_eq!(counts, [2, 2, 1], "{backend}: {results:?}");
            // Rank 1 either served on or has a successor.
            assert!(results.is_sorted_by_key(|(rank, _)| *rank) && (3..=4).contains(&results.len()));
        });
    }
}

#[test]
fn workers_that_retire_hand_over_too() {
    within(LONG, || {
        let pool = builder(Backend::Processes, 1).max_tasks_per_worker(2).at_exit(take_sum).build().unwrap();
        for _ in 0..7 {
            pool.tasks().always_out().apply(add, 1).unwrap();
        }
        // Its successor serves when this has run, so all before it have ended.
        pool.broadcast(0..1, |_, _| ()).unwrap();
        pool.join();
        let sums = pool.exit_results::<u64>().unwrap();
        assert_eq!(sums, [2, 2, 2, 1]);
    });
}

/// Numbers that are the same in every run.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn no_task_is_missing_whoever_leaves_and_comes() {
    for backend in [Backend::Processes, Backend::Threads] {
        within(LONG, move || {
            let pool = builder(backend, 3).max_workers(4).max_tasks_per_worker(5).at_exit(take_sum);
            let pool = pool.build().unwrap();
            let (mut total, mut seed, mut maps) = (0, 7, Vec::new());
            for round in 0..30 {
                let items = 0..next(&mut seed) % 20;
                total += items.clone().sum::<u64>();
                maps.push(pool.map_async(add, items));
                if round % 3 == 0 {
                    pool.resize(1 + next(&mut seed) as usize % 4).unwrap();
                }
            }
            pool.join();
            assert!(maps.into_iter().all(|map| map.get().is_ok()));
            let sums = pool.exit_results::<u64>().unwrap();
            assert_eq!(sums.iter().sum::<u64>(), total, "{backend}: {sums:?}");
            assert!(backend == Backend::Threads || sums.len() > 4, "{sums:?}");
        });
    }
}

#[test]
fn results_of_another_type_or_of_no_function_are_refused() {
    for backend in BACKENDS {
        let pool = builder(backend, 2).at_exit(|| 1u64).build().unwrap();
        assert_eq!(pool.exit_results::<u64>(), Err(ExitError::NotOver));
        pool.join();
        // It would be read without an error.
        let error = pool.exit_results::<u32>().unwrap_err();
        assert_eq!(error, ExitError::WrongType { returned: "u64", asked: "u32" });
        assert_eq!(pool.exit_results::<u64>().unwrap(), vec![1; pool.workers()]);
        let plain = builder(backend, 2).exit_timeout(LONG).build().unwrap();
        plain.join();
        assert_eq!(plain.exit_results::<u64>(), Err(ExitError::NotSet));
    }
}

/// Values that cannot be written, or not be read.
#[derive(Debug, PartialEq, Eq)]
enum Odd {
    Unwritten,
    Panics,
    Unread,
}

impl Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Odd::Unwritten => Err(serde::ser::Error::custom("not written")),
            Odd::Panics => panic!("a bad serialiser"),
            Odd::Unread => serializer.serialize_u8(3),
        }
    }
}

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Odd, D::Error> {
        Err(serde::de::Error::custom("not read"))
    }
}

#[test]
fn a_result_that_cannot_travel_is_told_for_its_worker() {
    let why = |pool: &Pool| {
        pool.join();
        match pool.exit_results::<Odd>() {
            Err(ExitError::Codec { rank: 0, why }) => why,
            other => panic!("{other:?}"),
        }
    };
    for backend in BACKENDS {
        let pool = |builder: PoolBuilder| builder.build().unwrap();
        assert_eq!(why(&pool(builder(backend, 2).at_exit(|| Odd::Unwritten))), "not written");
        let panicked = why(&pool(builder(backend, 2).at_exit(|| Odd::Panics)));
        assert!(panicked.contains("a bad serialiser"), "{panicked}");
        assert_eq!(why(&pool(builder(backend, 2).at_exit(|| Odd::Unread))), "not read");
        let handle = pool(builder(backend, 2).at_exit(|| Counter::new(0).ok()));
        handle.join();
        match handle.exit_results::<Option<Counter>>().map(drop) {
            Err(ExitError::Codec { rank: 0, why }) => assert!(why.contains("a counter"), "{why}"),
            other => panic!("{backend}: {other:?}"),
        }
    }
}

#[test]
fn it_may_launch_and_log_and_end_its_own_pool() {
    for backend in BACKENDS {
        let work = || {
            tracing::info!("exit");
            let pool = Pool::new().unwrap();
            let x = pool.from_fn(1000, |i| i as u64).unwrap();
            pool.reduce(x.split(), 0, |x| x.iter().sum(), |a, b| a + b).unwrap()
        };
        let pool = builder(backend, 2).at_exit(work).build().unwrap();
        pool.join();
        assert_eq!(pool.exit_results::<u64>().unwrap(), vec![499_500; pool.workers()], "{backend}");
    }
}

#[test]
fn its_own_pool_is_at_its_end() {
    static THREADS: LazyLock<Pool> =
        LazyLock::new(|| builder(Backend::Threads, 2).at_exit(|| use_of(&THREADS)).build().unwrap());
    static INLINE: LazyLock<Pool> =
        LazyLock::new(|| builder(Backend::Inline, 1).at_exit(|| use_of(&INLINE)).build().unwrap());
    fn use_of(pool: &Pool) -> (String, String) {
        pool.join();
        let task = pool.apply(|n: u64| n, 1).map(|n| n.to_string());
        (task.unwrap_or_else(|error| error.to_string()), pool.exit_results::<u8>().unwrap_err().to_string())
    }
    within(LONG, || {
        for pool in [&*THREADS, &*INLINE] {
            pool.join();
            for (task, results) in pool.exit_results::<(String, String)>().unwrap() {
                assert!(task.contains("closed"), "{task}");
                assert!(results.contains("asked for as u8"), "{results}");
            }
        }
    });
}

#[test]
fn no_launch_or_task_comes_after_it() {
    static AFTER: AtomicU64 = AtomicU64::new(0);
    thread_local!(static IS_OVER: Cell<bool> = const { Cell::new(false) });
    fn note(_: u64) {
        AFTER.fetch_add(u64::from(IS_OVER.get()), Ordering::Relaxed);
    }
    within(LONG, || {
        for _ in 0..20 {
            let pool = builder(Backend::Threads, 3).at_exit(|| IS_OVER.set(true)).build().unwrap();
            let user = pool.clone();
            let using = std::thread::spawn(move || {
                while user.for_each(0..100, |_| note(0)).is_ok() && user.map(note, 0..100).is_ok() {}
            });
            pool.map(note, 0..100).unwrap();
            pool.join();
            using.join().unwrap();
            assert_eq!(pool.exit_results::<()>().unwrap().len(), 3);
        }
    });
    assert_eq!(AFTER.load(Ordering::Relaxed), 0);
}
