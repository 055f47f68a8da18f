//! Maps that run in the calling thread because they are quick keep what workers promise, or do not run there.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::{Backend, Pool, PoolBuilder, TaskError, current_rank};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static PREPARED: AtomicU64 = AtomicU64::new(0);

fn builder() -> PoolBuilder {
    Pool::builder().workers(2)
}

fn process(_: u64) -> u32 {
    std::process::id()
}

/// Calls it until the pool knows that it is quick.
fn teach<R: phalanx::Output>(pool: &Pool, function: impl Fn(u64) -> R + Copy + Send + Sync + 'static) {
    for _ in 0..50 {
        pool.tasks().always_out().map(function, 0..1000).unwrap();
    }
}

fn runs_here(ids: &[u32]) -> bool {
    ids.contains(&std::process::id())
}

#[test]
fn a_quick_map_that_has_always_ended_well_may_run_here_as_rank_0_and_is_counted() {
    let pool = builder().build().unwrap();
    teach(&pool, process);
    let rank = |_: u64| (std::process::id(), current_rank());
    teach(&pool, rank);
    let items = |pool: &Pool| pool.insights().workers.iter().map(|worker| worker.items).sum::<u64>();
    let before = items(&pool);
    let ranks = pool.map(rank, 0..3).unwrap();
    assert!(ranks.iter().all(|(_, rank)| rank.is_some_and(|rank| rank < 2)));
    assert_eq!(items(&pool) - before, 3);
    // Whether it is quick enough is the machine's affair; this one's result does not depend on it.
    let own = std::process::id();
    assert!(ranks.iter().filter(|(id, _)| *id == own).all(|(_, rank)| *rank == Some(0)));
}

#[test]
fn nothing_runs_here_that_could_tell_the_difference() {
    let own = std::process::id();
    let pool = builder().build().unwrap();
    teach(&pool, process);
    assert!(!runs_here(&pool.map_async(process, 0..2).get().unwrap()));
    assert!(!runs_here(&pool.tasks().timeout(Duration::from_secs(60)).map(process, 0..2).unwrap()));
    assert!(!runs_here(&pool.tasks().progress(|_, _| ()).map(process, 0..2).unwrap()));
    assert!(!runs_here(&pool.tasks().always_out().map(process, 0..2).unwrap()));
    assert_ne!(pool.apply(process, 0).unwrap(), own);
    let prepared: [fn(PoolBuilder) -> PoolBuilder; 4] = [
        |pool| pool.initializer(|value| PREPARED.store(value, Ordering::Relaxed), 7),
        |pool| pool.preload(|| PREPARED.store(7, Ordering::Relaxed)),
        |pool| pool.max_tasks_per_worker(1_000_000),
        |pool| pool.native_threads(1),
    ];
    for prepare in prepared {
        let pool = prepare(builder()).build().unwrap();
        teach(&pool, process);
        assert!(!runs_here(&pool.map(process, 0..2).unwrap()));
    }
    assert_eq!(PREPARED.load(Ordering::Relaxed), 0);
}

#[test]
fn an_initializer_has_run_wherever_an_item_runs() {
    let pool = builder().initializer(|value| PREPARED.store(value, Ordering::Relaxed), 7).build().unwrap();
    let look = |_: u64| PREPARED.load(Ordering::Relaxed);
    teach(&pool, look);
    assert_eq!(pool.map(look, 0..3).unwrap(), [7, 7, 7]);
}

#[test]
fn a_function_that_ended_badly_never_runs_here() {
    fn assert_stays_out(function: impl Fn(u64) -> u32 + Copy + Send + Sync + 'static) {
        let pool = builder().build().unwrap();
        teach(&pool, function);
        assert!(pool.tasks().always_out().map(function, [999_999]).is_err());
        teach(&pool, function);
        assert!(!runs_here(&pool.map(function, 0..2).unwrap()));
        // It does what it did before: in a worker.
        assert!(pool.map(function, [999_999]).is_err());
    }
    assert_stays_out(|n| if n == 999_999 { panic!("on purpose") } else { std::process::id() });
    assert_stays_out(|n| if n == 999_999 { std::process::exit(0) } else { std::process::id() });
}

#[test]
fn a_closed_pool_takes_nothing_here_either() {
    for backend in [Backend::Processes, Backend::Threads, Backend::Inline] {
        let pool = builder().backend(backend).build().unwrap();
        teach(&pool, process);
        pool.close();
        assert!(matches!(pool.map(process, 0..2), Err(TaskError::PoolClosed)));
        assert!(
            matches!(pool.try_map(process, 0..2), Err(TaskError::PoolClosed)) || backend != Backend::Inline
        );
        assert!(matches!(pool.apply(process, 0), Err(TaskError::PoolClosed)));
        assert!(matches!(pool.map_async(process, 0..2).get(), Err(TaskError::PoolClosed)));
        assert!(matches!(pool.imap(process, 0..2).next(), Some(Err(TaskError::PoolClosed))));
    }
}

#[test]
fn progress_is_told_on_every_backend() {
    for backend in [Backend::Processes, Backend::Threads, Backend::Inline] {
        let pool = builder().backend(backend).build().unwrap();
        let seen = std::sync::Arc::new(AtomicU64::new(0));
        let tasks = || {
            seen.store(0, Ordering::Relaxed);
            let note = seen.clone();
            pool.tasks().progress(move |done, all| {
                assert_ne!(all, Some(0));
                note.store(done as u64, Ordering::Relaxed);
            })
        };
        assert_eq!(tasks().map(|n: u64| n, 0..100).unwrap().len(), 100);
        assert_eq!(seen.load(Ordering::Relaxed), 100);
        assert_eq!(tasks().imap(|n: u64| n, 0..100).count(), 100);
        assert_eq!(seen.load(Ordering::Relaxed), 100);
        assert_eq!(tasks().apply(|n: u64| n, 1).unwrap(), 1);
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        assert_eq!(tasks().try_map(|n: u64| n, 0..7).unwrap().len(), 7);
        assert_eq!(seen.load(Ordering::Relaxed), 7);
    }
}
