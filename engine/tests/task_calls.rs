//! The program's own code on its way to a result: callbacks, progress, wakers, iterators, destructors. It may
//! use the pool, end it and panic, and harms nobody else.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::sync::Event;
use phalanx::{AsyncResult, Backend, Pool, TaskError, as_completed, wait_first};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// Longer than anything takes: a hang.
const LONG: Duration = Duration::from_secs(60);

fn pool() -> Pool {
    Pool::builder().workers(2).build().unwrap()
}

fn both() -> [Pool; 2] {
    [Backend::Processes, Backend::Threads]
        .map(|backend| Pool::builder().workers(2).backend(backend).build().unwrap())
}

#[test]
fn a_callback_may_use_every_method_of_the_pool() {
    for pool in both() {
        let pool = Arc::new(pool);
        let (told, tells) = mpsc::channel();
        let inner = pool.clone();
        let result = pool.apply_async(|n: u64| n, 1).on_success(move |n| {
            let sum = inner.apply(|n: u64| n + 1, *n).unwrap();
            let map = inner.tasks().progress(|_, _| ()).map(|n: u64| n, 0..100).unwrap().len();
            inner.resize(1).unwrap();
            let stats =
                inner.stats().workers.len() + inner.insights().workers.len() + inner.worker_pids().len();
            told.send((sum, map, stats > 0)).unwrap();
        });
        assert_eq!(tells.recv_timeout(LONG).unwrap(), (2, 100, true));
        assert_eq!(result.get().unwrap(), 1);
    }
}

#[test]
fn a_callback_may_end_the_pool() {
    let ends: [fn(Arc<Pool>); 3] = [|pool| pool.join(), |pool| pool.terminate(), drop];
    for end in ends {
        for pool in both() {
            let pool = Arc::new(pool);
            let (told, tells) = mpsc::channel();
            let inner = pool.clone();
            let result = pool.apply_async(|n: u64| n, 1).on_success(move |_| {
                end(inner);
                told.send(()).unwrap();
            });
            drop(pool);
            tells.recv_timeout(LONG).unwrap();
            assert_eq!(result.get().unwrap(), 1);
        }
    }
}

#[test]
fn a_callback_that_submits_while_the_pool_is_terminated_gets_an_error() {
    let pool = Arc::new(pool());
    let called = Arc::new(AtomicUsize::new(0));
    let results: Vec<_> = (0..6000u64)
        .map(|n| {
            let (again, called) = (pool.clone(), called.clone());
            pool.apply_async(|_: u64| std::thread::sleep(Duration::from_millis(100)), n).on_error(move |_| {
                assert!(matches!(
                    again.apply(|n: u64| n, 1),
                    Err(TaskError::PoolClosed | TaskError::PoolBroken { .. })
                ));
                called.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    pool.terminate();
    let failed = results.into_iter().map(AsyncResult::get).filter(Result::is_err).count();
    assert!(failed > 5900);
    assert_eq!(called.load(Ordering::Relaxed), failed);
}

#[test]
fn a_callback_that_panics_harms_nothing_else() {
    let pool = pool();
    for round in 0..20 {
        let early = pool.apply_async(|n: u64| n, round).on_success(|_| panic!("on purpose, early"));
        assert_eq!(early.get().unwrap(), round);
        let late = pool.apply_async(|n: u64| n, round);
        late.wait();
        assert_eq!(late.on_success(|_| panic!("on purpose, late")).get().unwrap(), round);
        let (told, tells) = mpsc::channel();
        let _nobody_waits = pool
            .apply_async(|n: u64| n, round)
            .on_success(|_| panic!("on purpose, with nobody waiting"))
            .on_success(move |n| told.send(*n).unwrap());
        assert_eq!(tells.recv_timeout(LONG).unwrap(), round);
    }
    let map =
        pool.tasks().progress(|_, _| panic!("on purpose, in progress")).map(|n: u64| n, 0..100).unwrap();
    assert_eq!(map.len(), 100);
    let stream = pool.tasks().progress(|_, _| panic!("on purpose, in progress")).imap(|n: u64| n, 0..100);
    assert_eq!(stream.map(Result::unwrap).sum::<u64>(), 4950);
    // Limits are still watched.
    let slow = |()| std::thread::sleep(Duration::from_secs(3600));
    let late = pool.tasks().timeout(Duration::from_millis(20)).apply(slow, ());
    assert!(matches!(late, Err(TaskError::TimedOut { .. })));
}

#[test]
fn a_callback_may_wait_for_a_task_that_runs_into_its_limit() {
    let pool = Arc::new(pool());
    let (told, tells) = mpsc::channel();
    let inner = pool.clone();
    let _result = pool.apply_async(|n: u64| n, 1).on_success(move |_| {
        let slow = |()| std::thread::sleep(Duration::from_secs(3600));
        let late = inner.tasks().timeout(Duration::from_millis(20)).apply(slow, ());
        told.send(matches!(late, Err(TaskError::TimedOut { .. }))).unwrap();
    });
    assert!(tells.recv_timeout(LONG).unwrap());
}

#[test]
fn a_slow_callback_delays_neither_limits_nor_other_results() {
    let pool = pool();
    let (hold, held) = mpsc::channel::<()>();
    let (told, tells) = mpsc::channel();
    // Not before the callback is attached, which would be called at once, here.
    let gate = Event::new().unwrap();
    let blocked = pool.apply_async(|gate: Event| gate.wait(), gate.clone()).on_success(move |()| {
        told.send(()).unwrap();
        let _released = held.recv_timeout(LONG);
    });
    gate.set();
    tells.recv_timeout(LONG).unwrap();
    assert!(!blocked.ready());
    let slow = |()| std::thread::sleep(Duration::from_secs(3600));
    let late = pool.tasks().timeout(Duration::from_millis(20)).apply(slow, ());
    assert!(matches!(late, Err(TaskError::TimedOut { .. })));
    assert_eq!(pool.map(|n: u64| n, 0..10_000).unwrap().len(), 10_000);
    hold.send(()).unwrap();
    blocked.get().unwrap();
}

#[test]
fn a_map_inside_a_progress_callback_ends_at_once() {
    let pool = Arc::new(pool());
    let (inner, seen) = (pool.clone(), Arc::new(AtomicUsize::new(0)));
    let count = seen.clone();
    let progress = move |done, _| {
        assert_eq!(inner.tasks().always_out().map(|n: u64| n, 0..10).unwrap().len(), 10);
        count.store(done, Ordering::Relaxed);
    };
    let began = std::time::Instant::now();
    for _ in 0..20 {
        let progress = progress.clone();
        assert_eq!(pool.tasks().chunksize(5).progress(progress).map(|n: u64| n, 0..50).unwrap().len(), 50);
        assert_eq!(seen.swap(0, Ordering::Relaxed), 50);
    }
    // Each of up to 200 inner maps took a second when they waited for a thread that was not to come.
    assert!(began.elapsed() < LONG);
}

#[test]
fn progress_never_goes_back_and_comes_without_anybody_waiting() {
    let pool = pool();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (told, tells) = mpsc::channel();
    let note = seen.clone();
    let _result = pool
        .tasks()
        .chunksize(3)
        .progress(move |done, all| {
            note.lock().unwrap().push((done, all));
            if done == 1000 {
                told.send(()).unwrap();
            }
        })
        .map_async(|n: u64| n, 0..1000);
    tells.recv_timeout(LONG).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted() && seen.iter().all(|(_, all)| *all == Some(1000)));
}

#[test]
fn results_with_callbacks_are_found_by_who_waits_for_several() {
    let pool = Arc::new(pool());
    let inner = pool.clone();
    let (told, tells) = mpsc::channel();
    // On the thread that makes callbacks, which therefore cannot come to those of the inner results.
    let _outer = pool.apply_async(|n: u64| n, 1).on_success(move |_| {
        let called = Arc::new(AtomicUsize::new(0));
        let submit = |n| {
            let called = called.clone();
            inner.apply_async(|n: u64| n, n).on_success(move |_| {
                called.fetch_add(1, Ordering::Relaxed);
            })
        };
        let first = [submit(1), submit(2)];
        assert!(wait_first(&first, LONG).is_some());
        let sum: u64 = as_completed((0..10).map(submit)).map(|(_, value)| value.unwrap()).sum();
        told.send((sum, called.load(Ordering::Relaxed) >= 11)).unwrap();
    });
    assert_eq!(tells.recv_timeout(LONG).unwrap(), (45, true));
}

#[test]
fn a_result_that_was_taken_is_not_waited_for() {
    let pool = pool();
    let results: Vec<_> = (0..3u64).map(|n| pool.apply_async(|n: u64| n, n)).collect();
    assert_eq!(results[1].get_timeout(LONG).unwrap(), 1);
    assert!(wait_first(&results[1..2], LONG) == Some(0));
    let mut values: Vec<_> = as_completed(results).map(|(place, value)| (place, value.ok())).collect();
    values.sort_unstable();
    assert_eq!(values, [(0, Some(0)), (1, None), (2, Some(2))]);
}

/// A waker that does what it is told to.
struct Does<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn poll<T: Send + 'static>(result: &mut AsyncResult<T>, waker: &Waker) -> bool {
    Pin::new(result).poll(&mut Context::from_waker(waker)).is_ready()
}

#[test]
fn a_waker_may_panic_and_use_the_pool() {
    let pool = Arc::new(pool());
    let (told, tells) = mpsc::channel();
    let told = Mutex::new(told);
    let inner = pool.clone();
    let waker = Waker::from(Arc::new(Does(move || {
        let slow = |()| std::thread::sleep(Duration::from_secs(3600));
        let late = inner.tasks().timeout(Duration::from_millis(20)).apply(slow, ());
        assert!(matches!(late, Err(TaskError::TimedOut { .. })));
        told.lock().unwrap().send(inner.map(|n: u64| n, 0..100).unwrap().len()).unwrap();
        panic!("on purpose, in a waker");
    })));
    for _ in 0..3 {
        let gate = Duration::from_millis(5);
        let mut result = pool.apply_async(std::thread::sleep, gate);
        if !poll(&mut result, &waker) {
            assert_eq!(tells.recv_timeout(LONG).unwrap(), 100);
            // Found by the thread on duty as well.
            assert_eq!(pool.apply(|n: u64| n, 5).unwrap(), 5);
        }
    }
}

static INNER: Mutex<Option<Arc<Pool>>> = Mutex::new(None);
static IN_DRIVER: AtomicBool = AtomicBool::new(false);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// A result whose reading and whose end call the pool, in the program that reads it.
#[derive(serde::Serialize)]
struct Caller(u64);

fn nested() -> Option<u64> {
    let pool = INNER.lock().unwrap().clone().filter(|_| IN_DRIVER.load(Ordering::Relaxed))?;
    pool.tasks().always_out().map(|n: u64| n, 0..10).ok().map(|values| values.into_iter().sum())
}

impl<'de> serde::Deserialize<'de> for Caller {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(source)?;
        Ok(Caller(value + nested().unwrap_or(0)))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if nested().is_some() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose, in a destructor");
        }
    }
}

#[test]
fn values_may_call_the_pool_when_they_are_read_and_dropped() {
    let pool = Arc::new(pool());
    // Workers have begun, and have a static of their own.
    assert_eq!(pool.apply(|n: u64| n, 1).unwrap(), 1);
    *INNER.lock().unwrap() = Some(pool.clone());
    IN_DRIVER.store(true, Ordering::Relaxed);
    let value = pool.apply(Caller, 1).unwrap();
    assert_eq!(value.0, 46);
    std::mem::forget(value);
    // Nobody wants these: whoever collects drops them, which harms no other call.
    for n in 0..20 {
        drop(pool.apply_async(Caller, n));
        assert_eq!(pool.apply(|n: u64| n + 1, n).unwrap(), n + 1);
    }
    pool.join();
    IN_DRIVER.store(false, Ordering::Relaxed);
    INNER.lock().unwrap().take();
    assert!(DROPPED.load(Ordering::Relaxed) > 0);
}

#[test]
fn an_iterator_may_call_the_pool_and_panic() {
    let pool = pool();
    let items = (0..100u64).map(|n| pool.apply(|n: u64| n + 1, n).unwrap());
    assert_eq!(pool.map(|n: u64| n, items).unwrap().into_iter().sum::<u64>(), 5050);
    let items = (0..100u64).map(|n| if n == 50 { panic!("on purpose, in the input") } else { n });
    let panicked = catch_unwind(AssertUnwindSafe(|| pool.map(|n: u64| n, items)));
    assert!(panicked.is_err());
    assert_eq!(pool.map(|n: u64| n, 0..10).unwrap().len(), 10);
}

#[test]
fn an_imap_goes_on_after_a_panic_of_its_iterator() {
    for pool in both() {
        for chunk in [1, 3] {
            let input = (0..20u64).map(|n| if n == 7 { panic!("on purpose, in the input") } else { n });
            let mut results = pool.tasks().chunksize(chunk).window(64).imap(|n: u64| n, input);
            let mut next = || catch_unwind(AssertUnwindSafe(|| results.next_timeout(LONG)));
            assert!(next().is_err());
            let given: Vec<u64> = std::iter::from_fn(|| next().unwrap().map(Result::unwrap)).collect();
            assert_eq!(given, (0..20).filter(|n| *n != 7).collect::<Vec<_>>());
        }
    }
}

/// An argument whose destructor panics in the program, for each that was sent.
#[derive(serde::Serialize, serde::Deserialize)]
struct Fuse(u64, bool);

impl Drop for Fuse {
    fn drop(&mut self) {
        assert!(!self.1, "on purpose, in a destructor");
    }
}

#[test]
fn an_argument_whose_destructor_panics_was_sent() {
    fn defused(mut fuse: Fuse) -> u64 {
        fuse.1 = false;
        fuse.0
    }
    for pool in both() {
        let input = || (0..20).map(|n| Fuse(n, true));
        assert_eq!(pool.map(defused, input()).unwrap().into_iter().sum::<u64>(), 190);
        let lazily = pool.tasks().chunksize(3).imap(defused, input());
        assert_eq!(lazily.map(Result::unwrap).sum::<u64>(), 190);
        assert_eq!(pool.apply(defused, Fuse(5, true)).unwrap(), 5);
    }
}
