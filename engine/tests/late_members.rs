//! Workers that are ended in a task while a launch that needs every rank waits for them: a successor takes
//! part.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, processes, send, within};
use phalanx::{LaunchError, Pool, TaskError};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn endless() {
    loop {
        std::hint::spin_loop();
    }
}

/// Launches that need all ranks, beside tasks that `end` ends while they run.
fn beside(pool: Pool, end: fn(&Pool)) {
    within(2 * LONG, move || {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    end(&pool);
                }
            });
            for round in 0..30u64 {
                let mut ranks = pool.zeros::<u64>(64).unwrap();
                pool.broadcast((ranks.split_mut(), round), |rank, (block, round)| {
                    block.fill(round + rank as u64)
                })
                .unwrap();
                assert_eq!((ranks.as_slice()[0], ranks.as_slice()[63]), (round, round + 1));
                let sum = pool.region(&mut ranks, |team, _| {
                    let sum = team.all_reduce(team.rank() as u64 + 1, |a, b| a + b)?;
                    team.all_reduce(sum, |a, b| a + b)
                });
                assert_eq!(sum.unwrap(), 6);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_right(&pool);
    });
}

#[test]
fn a_task_at_its_limit_costs_no_launch_that_waits_for_its_worker() {
    beside(processes(2), |pool| {
        let outcome = pool.tasks().timeout(Duration::from_millis(5)).apply(|()| endless(), ());
        assert!(matches!(outcome, Err(TaskError::TimedOut { .. })), "{outcome:?}");
    });
}

#[test]
fn a_cancelled_task_costs_no_launch_that_waits_for_its_worker() {
    beside(processes(2), |pool| {
        let task = pool.apply_async(|()| endless(), ());
        std::thread::sleep(Duration::from_millis(5));
        task.cancel();
        assert!(task.get().is_err());
    });
}

#[test]
fn a_launch_that_waits_for_a_successor_may_end_before_it_comes() {
    within(LONG, || {
        let pool = processes(2);
        let task = pool.apply_async(|()| endless(), ());
        let worker = loop {
            if let Some(worker) = pool.stats().workers.iter().find(|worker| worker.tasks > 0) {
                break worker.pid;
            }
        };
        std::thread::scope(|scope| {
            let launch = scope.spawn(|| {
                let limited = pool.launch().timeout(Duration::from_millis(200));
                limited.broadcast(0..2, |_, _| ())
            });
            let outcome = launch.join().unwrap();
            assert!(matches!(outcome, Err(LaunchError::TimedOut { .. })), "{outcome:?}");
            send(worker, Signal::KILL);
        });
        assert!(task.get().is_err());
        assert_right(&pool);
    });
}
