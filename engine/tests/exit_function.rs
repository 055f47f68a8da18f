//! The function that every worker runs at its end, and what the program gets of it, whatever becomes of the
//! workers.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, within};
use phalanx::sync::{Counter, Event};
use phalanx::{
    Backend, ExitCause, ExitError, PerWorker, Pool, PoolBuilder, Schedule, current_rank, is_cancelled,
};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

const BACKENDS: [Backend; 3] = [Backend::Processes, Backend::Threads, Backend::Inline];

fn builder(backend: Backend, workers: usize) -> PoolBuilder {
    Pool::builder().backend(backend).workers(workers)
}

/// What became of the function in each worker: its rank, and what it returned.
fn outcomes<R: phalanx::Output>(pool: &Pool) -> Vec<(usize, Result<R, ExitError>)> {
    let outcomes = pool.exit_outcomes().unwrap();
    outcomes.into_iter().map(|outcome| (outcome.rank, outcome.result)).collect()
}

/// Ends this worker as the kernel would when memory runs out.
fn kill_this_process() -> ! {
    common::send(std::process::id(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

fn rank() -> usize {
    current_rank().expect("an exit function has a rank")
}

thread_local!(static SUM: Cell<u64> = const { Cell::new(0) });

fn add(n: u64) {
    SUM.set(SUM.get() + n);
}

/// What this worker's tasks have added up, which nobody gets twice.
fn take_sum() -> u64 {
    SUM.take()
}

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

static HANDLES: OnceLock<(Counter, Event)> = OnceLock::new();

/// Gives the workers of a pool handles that its exit function finds.
fn keep((counter, event): (Counter, Event)) {
    let _kept_before = HANDLES.set((counter, event));
}

fn kept() -> &'static (Counter, Event) {
    HANDLES.get().unwrap()
}

/// One pool of threads at a time has its handles in the static; worker processes have their own.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Calls a test with the handles that `keep` keeps.
fn with_handles(test: impl Fn(Backend, &(Counter, Event))) {
    let _only = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let handles = HANDLES.get_or_init(|| (Counter::new(0).unwrap(), Event::new().unwrap()));
    for backend in BACKENDS {
        handles.0.set(0);
        handles.1.clear();
        test(backend, handles);
    }
}

#[test]
fn dropping_the_pool_runs_it_in_every_worker() {
    with_handles(|backend, handles| {
        let pool = builder(backend, 3).initializer(keep, handles.clone());
        let pool = pool.at_exit(|| kept().0.add(1)).build().unwrap();
        let workers = pool.workers();
        drop(pool);
        assert_eq!(handles.0.get(), workers as u64, "{backend}");
    });
}

#[test]
fn terminate_runs_it_in_no_worker() {
    with_handles(|backend, handles| {
        let pool = builder(backend, 3).initializer(keep, handles.clone());
        let pool = pool.at_exit(|| kept().0.add(1)).build().unwrap();
        pool.terminate();
        let all: Vec<_> =
            (0..pool.workers()).map(|rank| (rank, Err(ExitError::Terminated { rank }))).collect();
        assert_eq!(outcomes::<u64>(&pool), all, "{backend}");
        assert_eq!(pool.exit_results::<u64>(), Err(ExitError::Terminated { rank: 0 }));
        assert_eq!(handles.0.get(), 0, "{backend}");
    });
}

#[test]
fn terminate_ends_functions_that_run_already() {
    with_handles(|backend, handles| {
        let handles = handles.clone();
        within(LONG, move || {
            let pool = builder(backend, 2).initializer(keep, handles.clone());
            let wait = || {
                kept().0.add(1);
                while !is_cancelled() {
                    std::thread::yield_now();
                }
                "cancelled".to_string()
            };
            let pool = pool.at_exit(wait).build().unwrap();
            let workers = pool.workers();
            let joining = std::thread::spawn({
                let pool = pool.clone();
                move || pool.join()
            });
            while handles.0.get() < workers as u64 {
                std::thread::yield_now();
            }
            assert_eq!(pool.exit_results::<String>(), Err(ExitError::NotOver));
            pool.terminate();
            joining.join().unwrap();
            for (rank, outcome) in outcomes::<String>(&pool) {
                match backend {
                    Backend::Processes => assert_eq!(outcome, Err(ExitError::Terminated { rank })),
                    _ => assert_eq!(outcome.unwrap(), "cancelled"),
                }
            }
            assert_eq!(outcomes::<String>(&pool).len(), workers);
        });
    });
}

#[test]
fn a_worker_killed_in_it_is_told_from_those_that_were_not() {
    within(LONG, || {
        let die = || if rank() == 1 { kill_this_process() } else { rank() };
        let pool = builder(Backend::Processes, 3).at_exit(die).build().unwrap();
        let pids = pool.worker_pids();
        pool.join();
        let outcomes = outcomes::<usize>(&pool);
        assert_eq!((&outcomes[0], &outcomes[2]), (&(0, Ok(0)), &(2, Ok(2))));
        match &outcomes[1] {
            (1, Err(ExitError::Died { rank: 1, pid, cause, .. })) => {
                assert_eq!((*pid, common::signal(*cause)), (pids[1], 9));
            }
            other => panic!("{other:?}"),
        }
        let text = pool.exit_results::<usize>().unwrap_err().to_string();
        assert!(text.contains("worker 1") && text.contains("was killed by SIGKILL"), "{text}");
        assert!(pids.into_iter().all(|pid| common::state_of(pid).is_none()));
    });
}

#[test]
fn a_worker_that_exits_in_it_has_no_result() {
    let pool = builder(Backend::Processes, 2).at_exit(|| -> u8 { std::process::exit(0) }).build().unwrap();
    pool.join();
    let outcomes = outcomes::<u8>(&pool);
    let ended = |outcome: &(usize, Result<u8, ExitError>)| {
        matches!(outcome.1, Err(ExitError::Died { cause: ExitCause::Exit(0), .. }))
    };
    assert!(outcomes.len() == 2 && outcomes.iter().all(ended), "{outcomes:?}");
}

#[test]
fn a_panic_is_told_with_its_place() {
    for backend in BACKENDS {
        let fail = || if rank() == 0 { panic!("no {}", "luck") } else { rank() };
        let pool = builder(backend, 2).at_exit(fail).build().unwrap();
        pool.join();
        let outcomes = outcomes::<usize>(&pool);
        match &outcomes[0] {
            (0, Err(ExitError::Panicked { rank: 0, message, location })) => {
                assert_eq!(message, "no luck");
                assert_eq!(
                    location.contains("exit_function.rs"),
                    backend == Backend::Processes,
                    "{location}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(outcomes[1..].iter().all(|(rank, outcome)| outcome == &Ok(*rank)), "{outcomes:?}");
        assert_eq!(outcomes.len(), pool.workers());
    }
}

#[test]
fn a_function_that_exceeds_its_limit_has_no_result() {
    for backend in BACKENDS {
        within(LONG, move || {
            let limit = Duration::from_millis(100);
            let hang = || {
                // A worker process is killed here; nobody else can be.
                while rank() == 0 && (is_in_process() || !is_cancelled()) {
                    std::thread::yield_now();
                }
                rank()
            };
            let pool = builder(backend, 2).at_exit(hang).exit_timeout(limit).build().unwrap();
            pool.join();
            let outcomes = outcomes::<usize>(&pool);
            assert_eq!(outcomes[0], (0, Err(ExitError::TimedOut { rank: 0, limit })), "{backend}");
            assert_eq!(outcomes.len(), pool.workers());
        });
    }
}

/// Whether this is a worker process.
fn is_in_process() -> bool {
    std::fs::read_to_string("/proc/self/comm").is_ok_and(|name| name.starts_with("phalanx"))
}

#[test]
fn a_worker_that_was_stopped_is_killed_at_the_limit() {
    within(LONG, || {
        let limit = Duration::from_millis(100);
        let pool = builder(Backend::Processes, 2).at_exit(rank).exit_timeout(limit).build().unwrap();
        common::send(pool.worker_pids()[1], rustix::process::Signal::STOP);
        pool.join();
        let outcomes = outcomes::<usize>(&pool);
        assert_eq!(outcomes[1], (1, Err(ExitError::TimedOut { rank: 1, limit })));
        assert_eq!(outcomes.len(), 2);
    });
}

#[test]
fn limits_beyond_the_clock_are_none() {
    for backend in BACKENDS {
        let pool = builder(backend, 2).at_exit(rank).exit_timeout(Duration::MAX).build().unwrap();
        pool.join();
        assert_eq!(pool.exit_results::<usize>().unwrap().len(), pool.workers());
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
fn each_death_is_told_between_the_results_of_those_that_retired() {
    within(LONG, || {
        let pool = builder(Backend::Processes, 2).max_tasks_per_worker(5).at_exit(take_sum).build().unwrap();
        let run = |n: u64| if n % 17 == 3 { std::process::abort() } else { add(1) };
        let failed = (0..100).filter(|n| pool.tasks().always_out().apply(run, *n).is_err()).count();
        pool.join();
        let outcomes = outcomes::<u64>(&pool);
        let is_death =
            |result: &&(usize, Result<u64, ExitError>)| matches!(result.1, Err(ExitError::Died { .. }));
        assert_eq!((outcomes.iter().filter(is_death).count(), failed), (6, 6));
        let results = outcomes.iter().filter(|outcome| !is_death(outcome)).map(|(_, result)| result);
        assert!(results.clone().all(|result| matches!(result, Ok(0..=5))), "{outcomes:?}");
        assert!(results.count() > 2);
    });
}

#[test]
fn a_worker_that_died_at_a_task_and_its_successor_are_told_apart() {
    within(LONG, || {
        let pool = builder(Backend::Processes, 2).at_exit(rank).build().unwrap();
        let pid = pool.worker_pids()[0];
        pool.broadcast(0..2, |_, _| {
            if rank() == 0 {
                kill_this_process();
            }
        })
        .unwrap_err();
        common::assert_right(&pool);
        pool.broadcast(0..2, |_, _| ()).unwrap();
        pool.join();
        let outcomes = outcomes::<usize>(&pool);
        assert!(
            matches!(&outcomes[0], (0, Err(ExitError::Died { pid: died, .. })) if *died == pid),
            "{outcomes:?}"
        );
        assert_eq!(outcomes[1..], [(0, Ok(0)), (1, Ok(1))]);
        assert!(pool.exit_results::<usize>().is_err(), "results that lack a worker's are not complete");
    });
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

#[test]
fn kills_from_outside_while_the_pool_ends_leave_one_line_for_each_worker() {
    within(LONG, || {
        for round in 0..30 {
            let pool =
                builder(Backend::Processes, 3).at_exit(|| vec![rank() as u8; 100_000]).build().unwrap();
            let pids = pool.worker_pids();
            let killer = std::thread::spawn(move || {
                (0..round * 50).for_each(|_| std::thread::yield_now());
                pids.into_iter().for_each(|pid| common::send(pid, rustix::process::Signal::KILL));
            });
            pool.join();
            killer.join().unwrap();
            let outcomes = outcomes::<Vec<u8>>(&pool);
            // One that was killed before the end began may have a successor.
            for rank in 0..3 {
                let of_rank: Vec<_> = outcomes.iter().filter(|(of, _)| *of == rank).collect();
                assert!(!of_rank.is_empty(), "rank {rank} of {outcomes:?}");
                for (_, outcome) in of_rank {
                    match outcome {
                        Ok(bytes) => assert_eq!(bytes, &vec![rank as u8; 100_000]),
                        Err(ExitError::Died { cause, .. }) => assert_eq!(common::signal(*cause), 9),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    });
}
