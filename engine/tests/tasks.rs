//! Calls of functions in workers: results, errors, order, ends.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::{Backend, Pool, TaskError, as_completed, wait_all, wait_first};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

fn pools() -> Vec<Pool> {
    [Backend::Processes, Backend::Threads, Backend::Inline]
        .map(|backend| Pool::builder().workers(2).backend(backend).build().unwrap())
        .into()
}

#[test]
fn calls_give_what_the_function_returns() {
    for pool in pools() {
        assert_eq!(pool.apply(|n: i64| n * n, 5).unwrap(), 25);
        assert_eq!(pool.apply(|(a, b): (String, String)| a + &b, ("a".into(), "b".into())).unwrap(), "ab");
        assert_eq!(pool.apply(|()| (), ()).unwrap(), ());
        let results: Vec<_> = (0..10).map(|n| pool.apply_async(|n: u64| n * n, n)).collect();
        let squares: Vec<_> = results.into_iter().map(|result| result.get().unwrap()).collect();
        assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
        assert_eq!(pool.starmap(i64::pow, [(2, 3), (3, 4), (4, 5)]).unwrap(), [8, 81, 1024]);
        let three = |a: u8, b: String, c: f32| format!("{a}{b}{c}");
        assert_eq!(pool.starmap(three, [(1, "x".to_string(), 0.5)]).unwrap(), ["1x0.5"]);
    }
}

#[test]
fn maps_keep_the_order_for_every_length_and_chunk() {
    for pool in pools() {
        for len in [0, 1, 2, 7, 100, 5000] {
            for chunk in [None, Some(1), Some(3), Some(1000)] {
                let tasks = pool.tasks();
                let tasks = match chunk {
                    Some(chunk) => tasks.chunksize(chunk),
                    None => tasks,
                };
                let expected: Vec<u64> = (0..len).map(|n| n * 3).collect();
                assert_eq!(tasks.map(|n: u64| n * 3, 0..len).unwrap(), expected);
            }
            let words: Vec<String> = (0..len).map(|n| "w".repeat(n as usize % 50)).collect();
            let doubled: Vec<String> = words.iter().map(|word| format!("{word}{word}")).collect();
            assert_eq!(pool.map(|word: String| word.repeat(2), words).unwrap(), doubled);
        }
    }
}

#[test]
fn more_tasks_than_the_board_holds_wait_their_turn() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let results: Vec<_> = (0..20_000u32).map(|n| pool.apply_async(|n: u32| n + 1, n)).collect();
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.get().unwrap(), n as u32 + 1);
    }
}

#[test]
fn large_arguments_and_results_travel() {
    for pool in pools() {
        // Larger than any room that was guessed for it.
        let text = pool.apply(|len: usize| "x".repeat(len), 3_000_000).unwrap();
        assert_eq!(text.len(), 3_000_000);
        let back = pool.apply(|text: String| text.len(), text).unwrap();
        assert_eq!(back, 3_000_000);
        let rows = pool.tasks().chunksize(4).map(|n: usize| vec![n as f64; n * 100], 0..50).unwrap();
        assert!(
            rows.iter()
                .enumerate()
                .all(|(n, row)| row.len() == n * 100 && row.iter().all(|x| *x == n as f64))
        );
    }
}

#[test]
fn one_bad_item_loses_nothing_else() {
    let square = |text: String| text.parse::<i64>().expect("a number").pow(2);
    let items = || ["1", "2", "three", "4"].map(String::from);
    for pool in pools() {
        for chunk in [1, 2, 4] {
            let results = pool.tasks().chunksize(chunk).try_map(square, items()).unwrap();
            let good: Vec<_> = results.iter().map(|result| result.as_ref().ok().copied()).collect();
            assert_eq!(good, [Some(1), Some(4), None, Some(16)]);
            let error = results[2].as_ref().unwrap_err();
            assert!(
                matches!(error, TaskError::Panicked { item: 2, message, .. } if message.contains("a number"))
            );
        }
        assert!(matches!(pool.map(square, items()), Err(TaskError::Panicked { item: 2, .. })));
        assert_eq!(pool.apply(|n: i32| n, 1).unwrap(), 1);
    }
}

#[test]
fn numbers_keep_their_places_beside_bad_items() {
    for pool in pools() {
        let results = pool
            .tasks()
            .chunksize(4)
            .try_map(
                |n: u64| {
                    assert!(n % 3 != 1);
                    n * 10
                },
                0..9,
            )
            .unwrap();
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok(value) => assert_eq!(value, n as u64 * 10),
                Err(error) => assert!(n % 3 == 1 && error.item() == Some(n), "{error}"),
            }
        }
    }
}

#[test]
fn workers_are_other_processes_and_few() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let pids: BTreeSet<u32> =
        pool.tasks().chunksize(1).map(|_: u8| std::process::id(), 0..100).unwrap().into_iter().collect();
    let workers: BTreeSet<u32> = pool.worker_pids().into_iter().collect();
    assert!(pids.is_subset(&workers), "{pids:?} {workers:?}");
}

#[test]
fn a_dead_worker_loses_only_what_it_ran() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let results = pool
        .tasks()
        .chunksize(5)
        .try_map(
            |n: u32| {
                if n == 7 {
                    std::process::abort()
                }
                n
            },
            0..50,
        )
        .unwrap();
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(value) => assert_eq!(*value, n as u32),
            Err(error) => {
                assert!(n == 7 && matches!(error, TaskError::WorkerDied { item: 7, .. }), "{error}")
            }
        }
    }
    assert!(results[7].is_err());
    assert_eq!(pool.map(|n: u32| n, 0..10).unwrap().len(), 10);
    assert_eq!(pool.insights().deaths, 1);
}

#[test]
fn exit_with_success_is_no_success() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let error = pool
        .apply(
            |n: u8| {
                if n == 0 {
                    std::process::exit(0)
                }
            },
            0,
        )
        .unwrap_err();
    assert!(matches!(error, TaskError::WorkerDied { .. }), "{error}");
    assert_eq!(pool.apply(|n: u8| n, 3).unwrap(), 3);
}

#[test]
fn lost_items_are_run_again_where_asked_for() {
    let pool = Pool::builder().workers(2).build().unwrap();
    // Two deaths at most: the third worker finds the files.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    let once = |(path, n): (std::path::PathBuf, u32)| {
        let mark = path.join(n.to_string());
        if n % 10 == 3 && !mark.exists() {
            std::fs::write(mark, "").unwrap();
            std::process::abort();
        }
        n
    };
    let items = (0..30).map(|n| (path.clone(), n));
    let values = pool.tasks().chunksize(4).retry(1).map(once, items).unwrap();
    assert_eq!(values, (0..30).collect::<Vec<_>>());
}

#[test]
fn a_task_that_runs_too_long_is_ended_and_the_pool_goes_on() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let limit = Duration::from_millis(50);
    let nap = |n: u32| {
        if n == 2 {
            std::thread::sleep(LONG)
        }
        n
    };
    let results = pool.tasks().timeout(limit).chunksize(2).try_map(nap, 0..8).unwrap();
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(value) => assert_eq!(*value, n as u32),
            Err(error) => assert!(n == 2 && matches!(error, TaskError::TimedOut { item: 2, .. }), "{error}"),
        }
    }
    assert!(results[2].is_err());
    assert_eq!(pool.map(|n: u32| n, 0..10).unwrap().len(), 10);
}

#[test]
fn waiting_can_end_before_the_task_does() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let slow = pool.apply_async(|()| std::thread::sleep(LONG), ());
    assert!(matches!(slow.get_timeout(Duration::from_millis(10)), Err(TaskError::NotReady { .. })));
    assert!(!slow.ready() && slow.successful().is_none());
    let waiting = pool.apply_async(|n: u8| n, 1);
    waiting.cancel();
    assert!(matches!(waiting.get(), Err(TaskError::Cancelled { .. })));
    slow.cancel();
    assert!(matches!(slow.get(), Err(TaskError::Cancelled { .. })));
    assert_eq!(pool.apply(|n: u8| n, 3).unwrap(), 3);
}

#[test]
fn threads_report_what_they_cannot_stop() {
    let pool = Pool::builder().workers(1).backend(Backend::Threads).build().unwrap();
    let until_told = |()| {
        while !phalanx::is_cancelled() {
            std::thread::yield_now()
        }
    };
    let error = pool.tasks().timeout(Duration::from_millis(20)).apply(until_told, ()).unwrap_err();
    assert!(matches!(error, TaskError::TimedOut { still_running: true, .. }), "{error}");
    assert_eq!(pool.apply(|n: u8| n, 3).unwrap(), 3);
}

#[test]
fn insights_count_the_time_of_all_items_of_a_chunk_with_a_limit_too() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(1).backend(backend).build().unwrap();
        let nap = |_: u64| std::thread::sleep(Duration::from_millis(20));
        for limit in [None, Some(LONG)] {
            let before = pool.insights();
            let tasks = pool.tasks().chunksize(5);
            let tasks = if let Some(limit) = limit { tasks.timeout(limit) } else { tasks };
            tasks.map(nap, 0..10).unwrap();
            let after = pool.insights();
            let [was, is] = [&before, &after].map(|insights| &insights.workers[0]);
            assert_eq!((is.tasks - was.tasks, is.items - was.items), (2, 10), "{limit:?}");
            assert!(is.working - was.working >= Duration::from_millis(200), "{limit:?}: {after}");
            // The second chunk waited for the first.
            assert!(is.queued - was.queued >= Duration::from_millis(100), "{limit:?}: {after}");
            assert!(after.slowest[0].duration >= Duration::from_millis(100), "{limit:?}: {after}");
        }
    }
}

#[test]
fn insights_tell_how_long_workers_took_to_start_and_to_initialize() {
    let nap = Duration::from_millis(30);
    for backend in [Backend::Processes, Backend::Threads] {
        let builder = Pool::builder().workers(2).backend(backend);
        let pool = builder.initializer(std::thread::sleep, nap).build().unwrap();
        for worker in pool.insights().workers {
            assert!(worker.initializing >= nap && worker.starting >= worker.initializing, "{worker:?}");
        }
        let pool = Pool::builder().workers(2).backend(backend).build().unwrap();
        assert!(pool.insights().workers.iter().all(|worker| worker.initializing.is_zero()));
    }
}

#[test]
fn callbacks_come_without_anybody_waiting() {
    for pool in pools() {
        let (sender, receiver) = mpsc::channel();
        let other = sender.clone();
        let good =
            pool.apply_async(|n: u32| n + 1, 1).on_success(move |n| sender.send(n.to_string()).unwrap());
        let bad = pool.apply_async(|n: u32| -> u32 { panic!("no {n}") }, 7).on_error(move |error| {
            other.send(error.to_string()).unwrap();
        });
        let mut told = [receiver.recv().unwrap(), receiver.recv().unwrap()];
        told.sort();
        assert_eq!(told[0], "2");
        assert!(told[1].contains("no 7"), "{told:?}");
        good.wait();
        bad.wait();
        assert_eq!(good.successful(), Some(true));
        assert_eq!(bad.successful(), Some(false));
    }
}

#[test]
fn results_are_futures() {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut context = std::task::Context::from_waker(&waker);
        loop {
            match std::pin::Pin::new(&mut future).poll(&mut context) {
                std::task::Poll::Ready(value) => return value,
                std::task::Poll::Pending => std::thread::park(),
            }
        }
    }
    for pool in pools() {
        assert_eq!(block_on(pool.apply_async(|n: u32| n * 2, 21)).unwrap(), 42);
        assert_eq!(block_on(pool.map_async(|n: u32| n * 2, 0..3)).unwrap(), [0, 2, 4]);
    }
}

#[test]
fn imap_is_lazy_and_bounded() {
    for pool in pools() {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let endless = (0u64..).inspect(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let mut squares = pool.tasks().window(10).imap(|n: u64| n * n, endless);
        for n in 0..100 {
            assert_eq!(squares.next().unwrap().unwrap(), n * n);
            assert!(taken.load(Ordering::Relaxed) <= n as usize + 1 + 10);
        }
    }
}

#[test]
fn imap_gives_every_item_once() {
    for pool in pools() {
        for chunk in [1, 7] {
            let ordered: Vec<u32> =
                pool.tasks().chunksize(chunk).imap(|n: u32| n + 1, 0..500).map(Result::unwrap).collect();
            assert_eq!(ordered, (1..=500).collect::<Vec<_>>());
            let any: BTreeSet<u32> = pool
                .tasks()
                .chunksize(chunk)
                .imap_unordered(|n: u32| n + 1, 0..500)
                .map(Result::unwrap)
                .collect();
            assert_eq!(any, (1..=500).collect());
        }
        assert!(pool.imap(|n: u32| n, 0..0).next().is_none());
    }
}

#[test]
fn unordered_results_come_as_they_are_done() {
    let pool = Pool::builder().workers(2).build().unwrap();
    // The first item ends only when its worker is told that the second was given.
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("second");
    let wait_for_mark = |(n, mark): (u32, std::path::PathBuf)| {
        while n == 1 && !mark.exists() {
            std::thread::yield_now();
        }
        n
    };
    let items = [(1, mark.clone()), (2, mark.clone())];
    let mut results = pool.tasks().chunksize(1).imap_unordered(wait_for_mark, items);
    assert_eq!(results.next().unwrap().unwrap(), 2);
    std::fs::write(&mark, "").unwrap();
    assert_eq!(results.next().unwrap().unwrap(), 1);
    assert!(results.next().is_none());
}

#[test]
fn several_results_can_be_waited_for() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let results: Vec<_> = (0..20u64).map(|n| pool.submit(|n: u64| n * 2, n)).collect();
    assert!(wait_first(&results, LONG).is_some());
    assert!(wait_all(&results, LONG));
    let mut places: Vec<_> = as_completed(results)
        .map(|(place, value)| {
            assert_eq!(value.unwrap(), place as u64 * 2);
            place
        })
        .collect();
    places.sort();
    assert_eq!(places, (0..20).collect::<Vec<_>>());
}

#[test]
fn many_threads_use_one_pool() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let mut array = pool.zeros::<u64>(1000).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..50 {
                    let values = pool.tasks().chunksize(3).map(|n: u64| n + 1, thread..thread + 20).unwrap();
                    assert_eq!(values[0], thread + 1, "round {round}");
                }
            });
        }
        for _ in 0..50 {
            pool.for_each(array.split_mut(), |part| part.iter_mut().for_each(|x| *x += 1)).unwrap();
        }
    });
    assert!(array.as_slice().iter().all(|x| *x == 50));
}

#[test]
fn launches_go_on_beside_a_long_task() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let slow = pool.apply_async(|()| std::thread::sleep(LONG), ());
    while pool.stats().workers.iter().all(|worker| worker.tasks == 0) {
        std::thread::yield_now();
    }
    let x = pool.from_fn(10_000, |i| i as f64).unwrap();
    let sum = pool.reduce(x.split(), 0.0, |x| x.iter().sum(), |a, b| a + b).unwrap();
    assert_eq!(sum, 49_995_000.0);
    slow.cancel();
}

#[test]
fn closing_joining_and_terminating() {
    for pool in pools().into_iter().take(2) {
        let results: Vec<_> = (0..100u32).map(|n| pool.apply_async(|n: u32| n, n)).collect();
        pool.close();
        assert!(matches!(pool.apply(|n: u32| n, 1), Err(TaskError::PoolClosed)));
        pool.join();
        assert!(results.into_iter().enumerate().all(|(n, result)| result.get().unwrap() == n as u32));
        assert!(matches!(pool.map(|n: u32| n, 0..3), Err(TaskError::PoolClosed)));
        assert!(matches!(pool.imap(|n: u32| n, 0..3).next(), Some(Err(TaskError::PoolClosed))));
    }
    let pool = Pool::builder().workers(2).build().unwrap();
    let slow: Vec<_> = (0..5).map(|_| pool.apply_async(|()| std::thread::sleep(LONG), ())).collect();
    pool.terminate();
    assert!(slow.into_iter().all(|result| result.get().is_err()));
}

#[test]
fn dropping_a_pool_drains_it() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::builder().workers(2).build().unwrap();
    for n in 0..20 {
        let path = folder.path().join(n.to_string());
        drop(pool.apply_async(|path: std::path::PathBuf| std::fs::write(path, "").unwrap(), path));
    }
    drop(pool);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 20);
}

#[test]
fn workers_give_way_after_so_many_tasks() {
    let pool = Pool::builder().workers(2).max_tasks_per_worker(5).build().unwrap();
    let pids: Vec<u32> = pool.tasks().chunksize(1).map(|_: u32| std::process::id(), 0..100).unwrap();
    for pid in pids.iter().collect::<BTreeSet<_>>() {
        assert!(pids.iter().filter(|other| *other == pid).count() <= 5);
    }
    assert_eq!(pool.insights().deaths, 0);
}

#[test]
fn shared_objects_are_arguments() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let (lock, counter) = (phalanx::sync::Lock::new(0u64).unwrap(), phalanx::sync::Counter::new(0).unwrap());
    let items = (1..=100u64).map(|n| (lock.clone(), counter.clone(), n));
    let add = |(lock, counter, n): (phalanx::sync::Lock<u64>, phalanx::sync::Counter, u64)| {
        *lock.lock().unwrap() += n;
        counter.add(1);
    };
    pool.map(add, items).unwrap();
    assert_eq!((*lock.lock().unwrap(), counter.get()), (5050, 100));
}

#[test]
fn frozen_arrays_are_arguments_also_of_workers_that_come_later() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let array = pool.from_fn(1 << 20, |i| i as f64).unwrap().freeze().unwrap();
    let sum = |(array, n): (phalanx::FrozenArray<f64, ndarray::Ix1>, usize)| {
        if n == 3 {
            std::process::abort();
        }
        array.as_slice().iter().take(n).sum::<f64>()
    };
    let items = (0..20).map(|n| (array.clone(), n));
    let sums = pool.tasks().chunksize(1).try_map(sum, items).unwrap();
    for (n, result) in sums.iter().enumerate().filter(|(n, _)| *n != 3) {
        let expected: f64 = (0..n).map(|i| i as f64).sum();
        assert_eq!(*result.as_ref().unwrap(), expected);
    }
    assert!(sums[3].is_err());
}

static SET_BY_INITIALIZER: std::sync::OnceLock<(u64, String)> = std::sync::OnceLock::new();

#[test]
fn an_initializer_runs_in_every_worker_also_in_later_ones() {
    let initialize = |(number, text): (u64, String)| {
        SET_BY_INITIALIZER.set((number, text)).map_err(|_| "it ran twice".to_string())
    };
    let pool = Pool::builder().workers(2).initializer(initialize, (7, "seven".into())).build().unwrap();
    let read = |n: u64| {
        if n == 5 {
            std::process::abort();
        }
        SET_BY_INITIALIZER.get().cloned()
    };
    let results = pool.tasks().chunksize(1).try_map(read, 0..20).unwrap();
    for (n, result) in results.into_iter().enumerate().filter(|(n, _)| *n != 5) {
        assert_eq!(result.unwrap(), Some((7, "seven".into())), "{n}");
    }
}

#[test]
fn a_failing_initializer_is_the_error_of_making_the_pool() {
    for backend in [Backend::Processes, Backend::Threads, Backend::Inline] {
        let builder = || Pool::builder().workers(2).backend(backend);
        let panicked =
            builder().initializer(|has: bool| assert!(has, "no licence"), false).build().unwrap_err();
        assert!(panicked.to_string().contains("no licence"), "{panicked}");
        let refused = builder().initializer(|_: ()| Err::<(), _>("no file"), ()).build().unwrap_err();
        assert!(refused.to_string().contains("no file"), "{refused}");
    }
}

#[test]
fn native_libraries_are_told_their_threads() {
    let read = |name: String| std::env::var(name).ok();
    let pool = Pool::builder().workers(1).build().unwrap();
    assert_eq!(pool.apply(read, "OMP_NUM_THREADS".into()).unwrap(), Some("1".into()));
    let pool = Pool::builder().workers(1).native_threads(3).build().unwrap();
    assert_eq!(pool.apply(read, "OPENBLAS_NUM_THREADS".into()).unwrap(), Some("3".into()));
    assert!(std::env::var("OMP_NUM_THREADS").is_err());
}

#[test]
fn a_pool_grows_and_shrinks_while_it_works() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(1).max_workers(4).backend(backend).build().unwrap();
        let results: Vec<_> = (0..2000u64).map(|n| pool.apply_async(|n: u64| n + 1, n)).collect();
        for workers in [3, 1, 4, 2, 9, 0, 2] {
            pool.resize(workers).unwrap();
            let expected = workers.clamp(1, 4);
            assert_eq!(pool.workers(), expected);
            let x = pool.from_fn(10_000, |i| i as f64).unwrap();
            assert_eq!(pool.reduce(x.split(), 0.0, |x| x.iter().sum(), |a, b| a + b).unwrap(), 49_995_000.0);
            let mut ranks = pool.zeros::<u64>(expected).unwrap();
            pool.broadcast(ranks.split_mut(), |rank, mine| mine.fill(rank as u64 + 1)).unwrap();
            assert!(ranks.as_slice().iter().zip(1..).all(|(rank, n)| *rank == n), "{workers} {backend}");
        }
        for (n, result) in results.into_iter().enumerate() {
            assert_eq!(result.get().unwrap(), n as u64 + 1);
        }
        assert_eq!(pool.insights().deaths, 0);
    }
}

#[test]
fn what_has_not_begun_is_dropped_by_an_error_and_by_leaving_an_imap() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let count = phalanx::sync::Counter::new(0).unwrap();
    let work = |(count, n): (phalanx::sync::Counter, u64)| {
        // Long enough for all others to be handed over meanwhile.
        std::thread::sleep(Duration::from_millis(if n == 0 { 200 } else { 2 }));
        assert!(n != 0, "the first");
        count.add(1);
    };
    let items = || (0..500).map(|n| (count.clone(), n));
    assert!(pool.tasks().chunksize(1).map(work, items()).is_err());
    // Queued behind whatever is left of the map.
    pool.apply(|()| (), ()).unwrap();
    assert!(count.get() < 400, "{}", count.get());

    let before = count.get();
    let mut results = pool.tasks().chunksize(1).window(500).imap(work, items());
    assert!(results.next().unwrap().is_err());
    drop(results);
    pool.apply(|()| (), ()).unwrap();
    assert!(count.get() - before < 400, "{}", count.get() - before);
}

#[test]
fn the_first_of_results_of_several_pools_is_found() {
    let (slow, quick) =
        (Pool::builder().workers(1).build().unwrap(), Pool::builder().workers(1).build().unwrap());
    let nap = |ms: u64| std::thread::sleep(Duration::from_millis(ms));
    let results = [slow.submit(nap, 3_600_000), quick.submit(nap, 1)];
    assert_eq!(wait_first(&results, LONG), Some(1));
    slow.terminate();
}
