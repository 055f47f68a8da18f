//! What the program gets of exit functions where workers die, panic, take too long or are terminated.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;
mod exit;

use common::{LONG, within};
use exit::{BACKENDS, add, builder, rank, take_sum};
use phalanx::sync::{Counter, Event};
use phalanx::{Backend, ExitCause, ExitError, Pool, is_cancelled};
use std::sync::OnceLock;
use std::time::Duration;

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
            (0, Err(ExitError::Panicked { rank: 0, message, location, .. })) => {
                assert_eq!(message, "no luck");
                assert_eq!(location.contains("exit_faults.rs"), backend == Backend::Processes, "{location}");
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
