//! A pool that is ended from within: by its kernels, tasks, callbacks and workers' states, and while the
//! program exits.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::within;
use parking_lot::Mutex;
use phalanx::{Backend, LaunchError, PerWorker, Pool, PoolError, TaskError};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Longer than any of this takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(250);

/// One pool for functions that capture nothing.
struct Stage(Mutex<Option<Arc<Pool>>>);

impl Stage {
    const fn new() -> Stage {
        Stage(Mutex::new(None))
    }

    fn set(&self, backend: Backend) -> Arc<Pool> {
        let pool =
            Arc::new(Pool::builder().workers(2).backend(backend).max_workers(3).trace(true).build().unwrap());
        *self.0.lock() = Some(pool.clone());
        pool
    }

    fn pool(&self) -> Option<Arc<Pool>> {
        self.0.lock().clone()
    }
}

/// Ends the pool of a stage in the way of that number.
fn end(stage: &Stage, way: u32) {
    match way % 4 {
        0 => stage.pool().iter().for_each(|pool| pool.join()),
        1 => stage.pool().iter().for_each(|pool| pool.terminate()),
        2 => stage.pool().iter().for_each(|pool| {
            pool.close();
            pool.terminate();
            pool.join();
        }),
        _ => drop(stage.0.lock().take()),
    }
}

fn assert_closed(pool: &Pool) {
    assert!(matches!(pool.apply(|n: u8| n, 1), Err(TaskError::PoolClosed)));
    assert!(matches!(pool.for_each(0..8, |_| ()), Err(LaunchError::PoolClosed)));
}

#[test]
fn a_task_may_end_its_own_pool() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        for backend in [Backend::Threads, Backend::Inline] {
            for way in 0..3 {
                for _ in 0..20 {
                    let pool = STAGE.set(backend);
                    let results: Vec<_> = (0..40)
                        .map(|n| {
                            pool.apply_async(
                                |(n, way)| {
                                    if n == 5 {
                                        end(&STAGE, way)
                                    }
                                    n
                                },
                                (n, way),
                            )
                        })
                        .collect();
                    for (n, result) in results.into_iter().enumerate() {
                        match result.get() {
                            Ok(value) => assert_eq!(value, n as u32),
                            Err(error) => assert!(matches!(error, TaskError::PoolClosed), "{error}"),
                        }
                    }
                    assert_closed(&pool);
                    pool.join();
                    assert_closed(&pool);
                }
            }
        }
    });
}

#[test]
fn a_kernel_may_end_its_own_pool() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        for backend in [Backend::Threads, Backend::Inline] {
            for round in 0..60u32 {
                let pool = STAGE.set(backend);
                let seat = (round % 2 == 0).then(|| pool.join_here().unwrap());
                let mut marks = phalanx::SharedArray::<u32, _>::zeros(64).unwrap();
                let outcome =
                    pool.launch().chunk(1).for_each((marks.split_mut(), round % 3), |(mark, way)| {
                        end(&STAGE, way);
                        mark.fill(7);
                    });
                match outcome {
                    Ok(()) => assert_eq!(marks.as_slice(), [7; 64]),
                    Err(error) => assert!(matches!(error, LaunchError::PoolClosed), "{error}"),
                }
                assert_closed(&pool);
                drop(seat);
                pool.terminate();
            }
        }
    });
}

/// Tells of its end: that of the thread which keeps it.
struct Ended(mpsc::Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _nobody_waits = self.0.send(());
    }
}

#[test]
fn a_task_may_drop_the_last_handle_of_its_pool() {
    static STAGE: Stage = Stage::new();
    static TELL: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);
    thread_local! {
        static KEPT: Mutex<Option<Ended>> = const { Mutex::new(None) };
    }
    within(PATIENCE, || {
        for _ in 0..40 {
            let (tell, told) = mpsc::channel();
            *TELL.lock() = Some(tell);
            let pool = STAGE.set(Backend::Threads);
            let drops = |_: u32| {
                KEPT.with(|kept| *kept.lock() = TELL.lock().clone().map(Ended));
                while STAGE.pool().is_some_and(|pool| Arc::strong_count(&pool) > 2) {
                    std::thread::yield_now();
                }
                end(&STAGE, 3);
            };
            let result = pool.apply_async(drops, 0);
            let later: Vec<_> = (0..20).map(|n| pool.apply_async(|n: u32| n + 1, n)).collect();
            drop(pool);
            result.get().unwrap();
            for (n, result) in later.into_iter().enumerate() {
                assert_eq!(result.get().unwrap(), n as u32 + 1, "what was under way is done");
            }
            TELL.lock().take();
            // The sender that the worker's thread keeps goes when the thread ends.
            told.recv().unwrap();
            assert!(told.recv().is_err());
        }
    });
}

/// A worker's state that launches, calls and ends the pool when it is dropped, by the worker's own thread.
struct Meddler(&'static Stage);

impl Drop for Meddler {
    fn drop(&mut self) {
        if let Some(pool) = self.0.pool() {
            let _outcome = pool.for_each(0..8, |_| ());
            let _outcome = pool.apply(|n: u32| n, 1);
            drop(pool);
            (0..4).for_each(|way| end(self.0, way));
        }
    }
}

#[test]
fn a_state_of_a_worker_may_end_its_pool() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        for round in 0..20 {
            let pool = STAGE.set(Backend::Threads);
            let state = PerWorker::new(|_| Meddler(&STAGE));
            pool.launch()
                .chunk(1)
                .schedule(phalanx::Schedule::Static)
                .for_each((0..2, &state), |_| ())
                .unwrap();
            if round % 2 == 0 {
                drop(state);
                // States of dropped handles go at the next launch, if there is one yet.
                let _outcome = pool.broadcast((), |_, ()| ());
                STAGE.0.lock().take();
            }
            pool.join();
            assert_closed(&pool);
        }
    });
}

/// The threads that a worker has for parallel methods are the worker: what they ask of its pool, the pool
/// does not wait for.
#[test]
fn a_thread_of_a_worker_may_launch_and_end_its_pool() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        for way in 0..3 {
            let pool = Pool::builder().workers(2).threads_per_worker(2).backend(Backend::Threads);
            let pool = Arc::new(pool.build().unwrap());
            *STAGE.0.lock() = Some(pool.clone());
            let outcome = pool.for_each((0..4, way), |(_, way)| {
                rayon::broadcast(|_| {
                    let sum =
                        STAGE.pool().unwrap().reduce(0..10, 0, |range| range.sum(), |a: usize, b| a + b);
                    assert!(matches!(sum, Ok(45) | Err(LaunchError::PoolClosed)));
                    end(&STAGE, way);
                });
            });
            assert!(matches!(outcome, Ok(()) | Err(LaunchError::PoolClosed)), "{outcome:?}");
            assert_closed(&pool);
        }
    });
}

/// Here the launch that is waited for waits itself: for a thread that its kernel started.
#[test]
fn a_launch_that_waits_its_turn_ends_at_its_time_limit() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        static IS_AT_WORK: AtomicBool = AtomicBool::new(false);
        static MAY_END: AtomicBool = AtomicBool::new(false);
        let wait_for = |flag: &AtomicBool| {
            while !flag.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
        };
        let pool = STAGE.set(Backend::Threads);
        std::thread::scope(|scope| {
            let long = scope.spawn(|| {
                pool.for_each(0..2, |_| {
                    IS_AT_WORK.store(true, Ordering::Release);
                    while !MAY_END.load(Ordering::Acquire) {
                        std::thread::yield_now();
                    }
                })
            });
            wait_for(&IS_AT_WORK);
            let late = pool.launch().timeout(Duration::from_millis(20)).for_each(0..8, |_| ());
            MAY_END.store(true, Ordering::Release);
            assert!(matches!(late, Err(LaunchError::TimedOut { .. })), "{late:?}");
            long.join().unwrap().unwrap();
        });
        assert_eq!(pool.reduce(0..10, 0, |range| range.sum(), |a: usize, b| a + b).unwrap(), 45);
    });
}

/// All that a callback may ask of its pool; numbers from 10 on end it.
fn meddle(stage: &Stage, what: u32) {
    let Some(pool) = stage.pool() else { return };
    match what {
        0 => drop(pool.stats()),
        1 => drop(pool.insights()),
        2 => drop(pool.last_launch()),
        // A callback that comes at once is called by who attached it, who may.
        3 => assert!(matches!(pool.resize(3), Err(PoolError::Inside) | Ok(()))),
        4 => assert!(pool.write_trace("/nonexistent/trace").is_err()),
        5 => drop(pool.apply_async(|n: u32| n, 1)),
        6 => pool.for_each(0..8, |_| ()).unwrap(),
        7 => drop((pool.worker_pids(), pool.memory(), pool.workers())),
        way => {
            drop(pool);
            end(stage, way - 10);
        }
    }
}

const MEDDLING: [u32; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13];

#[test]
fn a_callback_of_a_task_may_ask_anything_of_its_pool() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        for backend in [Backend::Processes, Backend::Threads, Backend::Inline] {
            for what in MEDDLING {
                let pool = STAGE.set(backend);
                let (tell, told) = mpsc::channel();
                let watched = pool.apply_async(|n: u32| n, 1).on_success(move |_| {
                    meddle(&STAGE, what);
                    tell.send(()).unwrap();
                });
                drop(pool);
                // Not waited for here: the pool's own thread takes it off the board.
                told.recv().unwrap();
                assert_eq!(watched.get().unwrap(), 1);
                let pool = STAGE.0.lock().take();
                if let Some(pool) = pool {
                    if what >= 10 {
                        assert_closed(&pool);
                    } else {
                        assert_eq!(pool.apply(|n: u32| n, 1).unwrap(), 1);
                    }
                }
            }
        }
    });
}

#[test]
fn a_waiting_thread_may_meet_callbacks_that_ask_anything_of_the_pool() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        for backend in [Backend::Processes, Backend::Threads, Backend::Inline] {
            for what in MEDDLING {
                let pool = STAGE.set(backend);
                let progress = move |done: usize, _| {
                    if done == 20 {
                        meddle(&STAGE, what)
                    }
                };
                let outcome =
                    pool.tasks().always_out().chunksize(1).progress(progress).map(|n: u32| n, 0..20);
                match outcome {
                    Ok(values) => assert_eq!(values, Vec::from_iter(0..20)),
                    Err(error) => assert!(matches!(error, TaskError::PoolClosed), "{error}"),
                }
                STAGE.0.lock().take();
            }
        }
    });
}

#[test]
fn a_callback_of_a_launch_may_ask_anything_of_its_pool() {
    static STAGE: Stage = Stage::new();
    within(PATIENCE, || {
        for backend in [Backend::Processes, Backend::Threads] {
            for what in MEDDLING {
                let pool = STAGE.set(backend);
                let calls = AtomicUsize::new(0);
                let progress = |_| {
                    if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                        meddle(&STAGE, what);
                    }
                };
                let outcome = pool
                    .launch()
                    .chunk(1)
                    .progress(&progress)
                    .for_each(0..2, |_| std::thread::sleep(Duration::from_millis(150)));
                assert!(calls.load(Ordering::Relaxed) > 0);
                match outcome {
                    Ok(()) => {}
                    Err(error) => assert!(matches!(error, LaunchError::PoolClosed) && what > 10, "{error}"),
                }
                STAGE.0.lock().take();
            }
        }
    });
}

#[test]
fn callbacks_may_submit_while_the_pool_is_terminated_beyond_what_its_board_holds() {
    within(PATIENCE, || {
        for backend in [Backend::Processes, Backend::Threads] {
            let pool = Arc::new(Pool::builder().workers(1).backend(backend).build().unwrap());
            let closed = Arc::new(AtomicUsize::new(0));
            let block = |_: u32| {
                while !phalanx::is_cancelled() {
                    std::thread::yield_now();
                }
            };
            let results: Vec<_> = (0..6000)
                .map(|n| {
                    let (pool, closed) = (pool.clone(), closed.clone());
                    pool.clone().apply_async(block, n).on_error(move |error| {
                        assert!(matches!(error, TaskError::PoolClosed), "{error}");
                        assert!(matches!(pool.apply_async(|n: u32| n, 1).get(), Err(TaskError::PoolClosed)));
                        pool.terminate();
                        closed.fetch_add(1, Ordering::Relaxed);
                    })
                })
                .collect();
            pool.terminate();
            assert_eq!(closed.load(Ordering::Relaxed), 6000);
            assert!(results.into_iter().all(|result| matches!(result.get(), Err(TaskError::PoolClosed))));
        }
    });
}

const WHAT: &str = "AT_EXIT";

/// A static pool whose program works with it, and ends it, in `atexit`: after the main thread has let go of
/// its own values.
#[test]
#[allow(unsafe_code)]
fn a_static_pool_works_and_ends_while_the_program_exits() {
    static STAGE: Stage = Stage::new();
    extern "C" fn at_exit() {
        let pool = STAGE.pool().unwrap();
        let seat = pool.join_here().unwrap();
        let sum = pool.reduce(0..1000, 0, |range| range.sum::<usize>(), |a, b| a + b).unwrap();
        drop(seat);
        assert_eq!(sum, 499_500);
        assert_eq!(pool.map(|text: String| text.len(), ["a".to_string(), "bc".into()]).unwrap(), [1, 2]);
        assert!(matches!(pool.apply(|_: u8| -> u8 { panic!("told") }, 1), Err(TaskError::Panicked { .. })));
        drop(pool);
        end(&STAGE, std::env::var(WHAT).unwrap().parse().unwrap());
        println!("ended well");
    }
    if std::env::var(WHAT).is_ok() {
        // On the main thread: the harness runs a single test there.
        let pool = STAGE.set(if cfg!(miri) { Backend::Threads } else { Backend::Processes });
        let seat = pool.join_here().unwrap();
        pool.for_each(0..8, |_| ()).unwrap();
        drop(seat);
        assert_eq!(pool.map(|text: String| text.len(), ["a".to_string(), "bc".into()]).unwrap(), [1, 2]);
        drop(pool);
        // SAFETY: a plain function that unwinds into no foreign code.
        assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
        std::process::exit(0);
    }
    for way in 0..4 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_static_pool_works_and_ends_while_the_program_exits",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(WHAT, way.to_string())
            .output()
            .unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("ended well"), "{text}");
    }
}
