//! Parked workers: who serves, what parked ones keep, and what becomes of those that die meanwhile.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::send;
use phalanx::{Backend, PerWorker, Pool, PoolError, SharedArray, Val, current_rank};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

const BOTH: [Backend; 2] = [Backend::Processes, Backend::Threads];

fn pool(backend: Backend, workers: usize) -> Pool {
    Pool::builder().workers(workers).backend(backend).build().unwrap()
}

/// The ranks that a launch ran on, and how many each worker has counted.
fn serve(pool: &Pool, counts: &PerWorker<u64>) -> Vec<(usize, u64)> {
    let mut seen = pool.zeros::<u64>(8).unwrap();
    pool.broadcast((counts, seen.atomic()), |rank, (count, seen)| {
        *count += 1;
        seen[rank].store(*count, Ordering::Relaxed);
    })
    .unwrap();
    seen.as_slice().iter().copied().enumerate().filter(|(_, count)| *count > 0).collect()
}

/// The ranks that tasks ran on.
fn ranks_of_tasks(pool: &Pool) -> BTreeSet<usize> {
    let ranks = pool.tasks().always_out().map(|_: u64| current_rank().unwrap(), 0..2000).unwrap();
    ranks.into_iter().collect()
}

fn sum_of_sines(pool: &Pool) -> u64 {
    let x = pool.from_fn(100_000, |i| (i as f64).sin()).unwrap();
    pool.reduce(x.split(), 0.0, |x| x.iter().sum::<f64>(), |a, b| a + b).unwrap().to_bits()
}

#[test]
fn parked_workers_take_no_part_and_come_back_with_all_they_had() {
    for backend in BOTH {
        let pool = pool(backend, 4);
        let counts = PerWorker::new(|_rank| 0u64);
        let (pids, bits) = (pool.worker_pids(), sum_of_sines(&pool));
        assert_eq!(serve(&pool, &counts), [(0, 1), (1, 1), (2, 1), (3, 1)]);
        for (serving, expected) in [
            (2, vec![(0, 2), (1, 2)]),
            (1, vec![(0, 3)]),
            (3, vec![(0, 4), (1, 3), (2, 2)]),
            (99, vec![(0, 5), (1, 4), (2, 3), (3, 2)]),
        ] {
            pool.park(serving).unwrap();
            let serving = serving.min(4);
            assert_eq!((pool.workers(), pool.parked()), (serving, 4 - serving));
            assert_eq!(serve(&pool, &counts), expected);
            assert!(ranks_of_tasks(&pool).iter().all(|rank| *rank < serving));
            assert_eq!(sum_of_sines(&pool), bits);
            let size = pool.region((), |team, ()| Ok(team.size() as u64)).unwrap();
            assert_eq!(size, serving as u64);
        }
        assert_eq!(pool.worker_pids(), pids);
        assert_eq!(pool.stats().respawns, 0);
    }
}

#[test]
fn what_is_made_while_workers_are_parked_reaches_them_afterwards() {
    let pool = pool(Backend::Processes, 3);
    pool.park(1).unwrap();
    // More than a socket holds.
    for i in 0..3000 {
        let mut x = pool.zeros::<u64>(20_000).unwrap();
        pool.for_each((x.split_mut(), Val(i)), |(x, i)| x.fill(i)).unwrap();
    }
    let mut kept: Vec<SharedArray<u64>> = (0..500).map(|_| pool.zeros(20_000).unwrap()).collect();
    let pids = pool.worker_pids();
    pool.unpark().unwrap();
    for x in &mut kept {
        pool.broadcast(x.atomic(), |rank, x| x[rank].store(rank as u64 + 1, Ordering::Relaxed)).unwrap();
    }
    assert!(kept.iter().all(|x| x.as_slice()[..4] == [1, 2, 3, 0]));
    assert_eq!(pool.worker_pids(), pids);
}

#[test]
fn parked_workers_let_go_of_what_is_dropped() {
    let pool = pool(Backend::Processes, 2);
    let parked = pool.worker_pids()[1];
    let mapped = || {
        let maps = std::fs::read_to_string(format!("/proc/{parked}/maps")).unwrap();
        maps.lines().filter(|line| line.contains("memfd:phalanx")).count()
    };
    let before = mapped();
    let x = pool.zeros::<u64>(1 << 22).unwrap();
    pool.broadcast(x.whole(), |_, x| assert_eq!(x[0], 0)).unwrap();
    assert_eq!(mapped(), before + 1);
    pool.park(1).unwrap();
    drop(x);
    // Tells the workers; the parked one looks at its mail every few seconds.
    pool.for_each(0..100, |_| ()).unwrap();
    while mapped() > before {
        std::thread::yield_now();
    }
}

#[test]
fn a_task_that_runs_is_finished_and_others_go_to_those_that_serve() {
    static STAGE: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(Backend::Threads, 2);
    let wait_for = |stage| {
        while STAGE.load(Ordering::SeqCst) < stage {
            std::thread::yield_now();
        }
    };
    // One task on each worker; the parked one's ends after the pool has parked it.
    let hold = || {
        STAGE.fetch_add(1, Ordering::SeqCst);
        while STAGE.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        current_rank().unwrap()
    };
    let tasks: Vec<_> = (0..2).map(|_| pool.apply_async(move |()| hold(), ())).collect();
    wait_for(2);
    pool.park(1).unwrap();
    let after: Vec<_> = (0..200).map(|_| pool.apply_async(|()| current_rank().unwrap(), ())).collect();
    STAGE.store(3, Ordering::SeqCst);
    let ranks: BTreeSet<_> = tasks.into_iter().map(|task| task.get().unwrap()).collect();
    assert_eq!(ranks, BTreeSet::from([0, 1]));
    assert!(after.into_iter().all(|task| task.get().unwrap() == 0));
}

#[test]
fn each_task_wakes_a_worker_that_serves() {
    for backend in BOTH {
        let pool = pool(backend, 4);
        for serving in [1, 3, 1, 4, 2, 1] {
            pool.park(serving).unwrap();
            for n in 0..50u64 {
                // Long enough for all to fall asleep, now and then.
                let until = std::time::Instant::now() + std::time::Duration::from_micros(n * 10);
                while std::time::Instant::now() < until {}
                let rank = pool.apply(|()| current_rank().unwrap(), ()).unwrap();
                assert!(rank < serving);
            }
        }
    }
}

#[test]
fn a_parked_worker_that_was_killed_is_replaced_when_it_is_wanted() {
    let pool = pool(Backend::Processes, 3);
    let counts = PerWorker::scratch(|_rank| 0u64);
    serve(&pool, &counts);
    pool.park(1).unwrap();
    let before = pool.worker_pids();
    send(before[2], Signal::KILL);
    while pool.worker_pids()[2] != 0 {
        std::thread::yield_now();
    }
    // Its death is nobody's business meanwhile.
    assert_eq!(serve(&pool, &counts), [(0, 2)]);
    pool.park(2).unwrap();
    assert_eq!(serve(&pool, &counts), [(0, 3), (1, 2)]);
    assert_eq!(pool.worker_pids()[2], 0);
    pool.unpark().unwrap();
    assert_eq!(serve(&pool, &counts), [(0, 4), (1, 3), (2, 1)]);
    let after = pool.worker_pids();
    assert_eq!(after[..2], before[..2]);
    assert!(after[2] != 0 && after[2] != before[2]);
}

#[test]
fn a_resize_ends_the_parking() {
    for backend in BOTH {
        let pool = Pool::builder().workers(3).max_workers(4).backend(backend).build().unwrap();
        let counts = PerWorker::scratch(|_rank| 0u64);
        serve(&pool, &counts);
        pool.park(1).unwrap();
        pool.resize(2).unwrap();
        assert_eq!((pool.workers(), pool.parked()), (2, 0));
        assert_eq!(serve(&pool, &counts), [(0, 2), (1, 2)]);
        pool.unpark().unwrap();
        assert_eq!(pool.workers(), 2);
        pool.park(1).unwrap();
        pool.resize(4).unwrap();
        assert_eq!(serve(&pool, &counts).into_iter().map(|(rank, _)| rank).collect::<Vec<_>>(), [0, 1, 2, 3]);
        pool.park(0).unwrap();
        assert_eq!((pool.workers(), pool.parked()), (1, 3));
    }
}

#[test]
fn pools_end_while_workers_are_parked() {
    for backend in BOTH {
        for end in [Pool::join, Pool::terminate, |_: &Pool| ()] {
            let pool = pool(backend, 3);
            let pids = pool.worker_pids();
            pool.park(1).unwrap();
            let task = pool.apply_async(|n: u64| n + 1, 1);
            assert_eq!(task.get().unwrap(), 2);
            end(&pool);
            drop(pool);
            assert!(pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()));
        }
        let pool = pool(backend, 2);
        pool.join();
        assert!(matches!(pool.park(1), Err(PoolError::PoolClosed)));
        assert!(matches!(pool.unpark(), Err(PoolError::PoolClosed)));
    }
}

#[test]
fn parked_workers_run_the_exit_function() {
    for backend in BOTH {
        let pool = Pool::builder().workers(3).backend(backend).at_exit(|| current_rank().unwrap()).build();
        let pool = pool.unwrap();
        pool.park(1).unwrap();
        pool.join();
        assert_eq!(pool.exit_results::<usize>().unwrap(), [0, 1, 2]);
    }
}

#[test]
fn nobody_parks_from_inside_and_an_inline_pool_stays_as_it_is() {
    let pool = pool(Backend::Threads, 2);
    static POOL: std::sync::OnceLock<Pool> = std::sync::OnceLock::new();
    let inside = POOL.get_or_init(|| pool.clone());
    assert!(matches!(inside.apply(|()| POOL.get().unwrap().park(1).is_err(), ()), Ok(true)));
    let inline = self::pool(Backend::Inline, 2);
    inline.park(1).unwrap();
    assert_eq!((inline.workers(), inline.parked()), (1, 0));
}

#[test]
fn parking_beside_tasks_and_launches_loses_none() {
    for backend in BOTH {
        let pool = pool(backend, 3);
        std::thread::scope(|scope| {
            let parker = scope.spawn(|| (0..300).try_for_each(|round| pool.park(1 + round % 3)));
            let tasks = scope.spawn(|| pool.tasks().always_out().map(|n: u64| n + 1, 0..20_000).unwrap());
            for _ in 0..300 {
                let sum = pool.reduce(0..1000, 0u64, |span| span.map(|i| i as u64).sum(), |a, b| a + b);
                assert_eq!(sum.unwrap(), 499_500);
            }
            assert!(tasks.join().unwrap().into_iter().eq(1..=20_000));
            parker.join().unwrap().unwrap();
        });
    }
}
