//! Bad inputs and unusual ways to use a pool: clear errors, or the right result; never a hang.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, processes, within};
use phalanx::sync::Event;
use phalanx::{Backend, Edge, LaunchError, PerWorker, Pool, PoolError, Progress, Schedule};
use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn backends() -> [Pool; 3] {
    [Backend::Processes, Backend::Threads, Backend::Inline]
        .map(|backend| Pool::builder().workers(2).backend(backend).build().unwrap())
}

#[test]
fn h1_chunk_sizes_and_lengths() {
    for pool in backends() {
        assert!(matches!(pool.launch().chunk(0).for_each(0..8, |_| ()), Err(LaunchError::ChunkZero)));
        let many = pool.launch().chunk(1).for_each(0..usize::MAX, |_| ());
        match many {
            Err(error @ LaunchError::TooManyChunks { .. }) => {
                assert!(error.to_string().contains("at least"), "{error}")
            }
            other => panic!("{other:?}"),
        }
        for (n, chunk) in [(0, 1), (1, 1), (1, 100), (7, 3), (7, 7), (7, 8), (1000, 999), (1000, usize::MAX)]
        {
            let mut y = pool.zeros::<u32>(n).unwrap();
            for schedule in [
                Schedule::Static,
                Schedule::Dynamic(0),
                Schedule::Dynamic(u32::MAX),
                Schedule::Guided,
                Schedule::Stealing,
            ] {
                y.fill(0);
                let launch = pool.launch().chunk(chunk).schedule(schedule);
                launch.for_each(y.split_mut(), |y| y.iter_mut().for_each(|y| *y += 1)).unwrap();
                assert!(y.as_slice().iter().all(|y| *y == 1), "{n} {chunk} {schedule:?} {pool:?}");
            }
        }
        let none = pool.reduce(0..0, 7_u64, |i| i.len() as u64, |a, b| a + b).unwrap();
        assert_eq!(none, 7);
    }
}

#[test]
fn halos_of_any_width_are_right_or_refused() {
    for pool in backends() {
        let x = pool.from_fn(10, |i| i as u64).unwrap();
        // Wider than the array is possible.
        let wide =
            pool.launch().chunk(10).reduce(x.halo(25, Edge::Fill(3)), 0, |x| x.iter().sum(), |a, b| a + b);
        assert_eq!(wide.unwrap(), 45 + 150);
        for wide in [usize::MAX, usize::MAX / 2, usize::MAX / 2 - 4, isize::MAX as usize / 16] {
            for edge in [Edge::Clamp, Edge::Wrap, Edge::Fill(1)] {
                let refused = pool.for_each(x.halo(wide, edge), |_| ());
                assert!(
                    matches!(refused, Err(LaunchError::BadGrant { .. } | LaunchError::Alloc(_))),
                    "{refused:?}"
                );
                let refused = pool.region((&x, wide, code(edge)), |team, (x, wide, edge)| {
                    team.phase(x.halo(wide, coded(edge)), |x| x.len()).map(|_| 0_u64)
                });
                assert!(refused.unwrap_err().to_string().contains("larger than any memory"));
            }
            // Nothing is shown beyond the ends, so any width has its rows.
            let sum = pool.reduce(x.halo(wide, Edge::Shrink), 0, |x| x.iter().sum(), |a, b| a + b).unwrap();
            let chunks = pool.reduce(x.split(), 0, |_| 1_u64, |a, b| a + b).unwrap();
            assert_eq!(sum, 45 * chunks);
        }
        let none = pool.zeros::<u64>(0).unwrap();
        for edge in [Edge::Clamp, Edge::Wrap, Edge::Fill(1), Edge::Shrink] {
            pool.for_each(none.halo(3, edge), |_| ()).unwrap();
            pool.region((&none, code(edge)), |team, (none, edge)| {
                team.phase(none.halo(3, coded(edge)), |x| x.len()).map(|_| 0_u64)
            })
            .unwrap();
        }
    }
}

fn code(edge: Edge<u64>) -> u8 {
    [Edge::Shrink, Edge::Clamp, Edge::Wrap, Edge::Fill(1)].iter().position(|known| *known == edge).unwrap()
        as u8
}

fn coded(code: u8) -> Edge<u64> {
    [Edge::Shrink, Edge::Clamp, Edge::Wrap, Edge::Fill(1)][code as usize]
}

#[test]
fn h1_slices_of_arrays_in_a_region() {
    for pool in backends() {
        let mut arrays: Vec<_> = (0..13).map(|index| pool.zeros::<u64>(index).unwrap()).collect();
        match pool.region(&mut arrays[..], |_, _| Ok(0u64)) {
            Err(LaunchError::BadGrant { why, .. }) => {
                assert!(why.contains("13") && why.contains("12"), "{why}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.region(&mut arrays[..0], |_, arrays| Ok(arrays.len() as u64)).unwrap(), 0);
        assert_eq!(rows_of_all(&pool, &mut arrays[..12]), (0..12).sum::<u64>());
        for (index, array) in arrays[..12].iter().enumerate() {
            assert!(array.as_slice().iter().all(|value| *value == index as u64), "{index}");
        }
    }
}

/// Writes each array's place in the slice to all of its elements; gives how many there are.
fn rows_of_all(pool: &Pool, arrays: &mut [phalanx::SharedArray<u64>]) -> u64 {
    pool.region(arrays, |team, mut arrays| {
        let mut rows = 0;
        for (index, array) in arrays.iter_mut().enumerate() {
            rows += array.rows() as u64;
            team.phase(array.split_mut(), |array| array.fill(index as u64))?;
        }
        Ok(rows)
    })
    .unwrap()
}

#[test]
fn h1_lengths_that_disagree() {
    for pool in backends() {
        let (mut y, x) = (pool.zeros::<f64>(10).unwrap(), pool.zeros::<f64>(11).unwrap());
        match pool.for_each((y.split_mut(), x.split()), |_| ()) {
            Err(error @ LaunchError::Lengths { .. }) => {
                let text = error.to_string();
                assert!(text.contains("10") && text.contains("11"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(pool.for_each(2.5, |_| ()), Err(LaunchError::NoLength { .. })));
        assert!(matches!(
            pool.launch().retry(1).for_each(y.split_mut(), |_| ()),
            Err(LaunchError::NotRepeatable)
        ));
        assert_right(&pool);
    }
}

#[test]
fn f7_numbers_of_workers_that_make_no_sense() {
    for backend in [Backend::Processes, Backend::Threads] {
        for workers in [0, 1_000_000, usize::MAX] {
            match Pool::builder().backend(backend).workers(workers).build() {
                Err(PoolError::Placement(error)) => assert!(!error.to_string().is_empty()),
                Err(other) => panic!("{other}"),
                Ok(pool) => panic!("{pool:?} with {workers} workers"),
            }
        }
    }
}

#[test]
fn f7_more_workers_than_cores() {
    within(LONG, || {
        let pool = processes(24);
        assert_right(&pool);
        let sum = pool.region(0_u64, |team, _| team.all_reduce(1_u64, |a, b| a + b)).unwrap();
        assert_eq!(sum, 24);
    });
}

#[test]
fn h5_a_launch_inside_a_kernel_runs_inline() {
    within(LONG, || {
        for pool in backends() {
            static INNER: OnceLock<Pool> = OnceLock::new();
            let sums = pool.reduce(
                0..8,
                0_u64,
                |i| {
                    // A pool made inside a kernel has no workers of its own.
                    let pool = INNER.get_or_init(|| Pool::new().unwrap());
                    let mut y = pool.zeros::<u64>(100).unwrap();
                    pool.for_each(y.split_mut(), |y| y.fill(1)).unwrap();
                    let deep = pool.reduce(y.split(), 0, |y| y.iter().sum::<u64>(), |a, b| a + b).unwrap();
                    deep * i.len() as u64
                },
                |a, b| a + b,
            );
            assert_eq!(sums.unwrap(), 800);
        }
    });
}

#[test]
fn h5_a_launch_inside_a_progress_callback_runs_inline() {
    within(LONG, || {
        let pool = processes(2);
        let calls = Cell::new(0);
        let callback = |progress: Progress| {
            assert_eq!(progress.len, 2);
            assert_right(&pool);
            assert_eq!(pool.stats().workers.len(), 2);
            calls.set(calls.get() + 1);
        };
        let launch = pool.launch().progress(&callback).timeout(Duration::from_millis(350)).chunk(1);
        let outcome = launch.for_each(0..2, |_| while !phalanx::is_cancelled() {});
        assert!(matches!(outcome, Err(LaunchError::TimedOut { .. })));
        assert!(calls.get() >= 1);
        assert_right(&pool);
    });
}

#[test]
fn a_panicking_progress_callback_unwinds_when_the_launch_is_over() {
    within(LONG, || {
        for pool in [processes(2), Pool::builder().workers(2).backend(Backend::Threads).build().unwrap()] {
            let mut y = pool.zeros::<u64>(2).unwrap();
            let callback = |_: Progress| panic!("no more");
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let launch = pool.launch().progress(&callback).chunk(1);
                launch.for_each(y.split_mut(), |y| {
                    while !phalanx::is_cancelled() {}
                    y[0] += 1;
                })
            }));
            let payload = outcome.unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"no more"));
            // Nobody writes any more, the gate is open, and numbers go on.
            let seen = y.to_vec();
            assert_right(&pool);
            assert_eq!(y.to_vec(), seen);
        }
    });
}

#[test]
fn d16_launches_from_several_threads() {
    within(LONG, || {
        for pool in backends() {
            let pool = Arc::new(pool);
            let hands: Vec<_> = (0..8)
                .map(|_| {
                    let pool = pool.clone();
                    std::thread::spawn(move || (0..10).for_each(|_| assert_right(&pool)))
                })
                .collect();
            hands.into_iter().for_each(|hand| hand.join().unwrap());
        }
    });
}

#[test]
fn d16_pools_made_and_dropped_by_several_threads() {
    within(LONG, || {
        let hands: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| (0..4).for_each(|_| assert_right(&processes(2))))).collect();
        hands.into_iter().for_each(|hand| hand.join().unwrap());
    });
}

#[test]
fn d3_the_thread_that_made_a_pool_may_end() {
    within(LONG, || {
        let pool = std::thread::spawn(|| processes(2)).join().unwrap();
        let pids = pool.worker_pids();
        assert_right(&pool);
        assert_eq!(pool.worker_pids(), pids);
        assert_eq!(pool.stats().respawns, 0);
    });
}

#[test]
fn d15_the_last_owner_may_be_any_thread() {
    within(LONG, || {
        let pool = Arc::new(processes(2));
        let other = std::thread::spawn({
            let pool = pool.clone();
            move || assert_right(&pool)
        });
        drop(pool);
        other.join().unwrap();
    });
}

#[test]
fn a_pool_in_a_static() {
    static POOL: OnceLock<Pool> = OnceLock::new();
    assert_right(POOL.get_or_init(|| processes(2)));
}

#[test]
fn h9_a_seat_that_was_forgotten_harms_nobody() {
    within(LONG, || {
        for _ in 0..3 {
            let pool = processes(2);
            std::mem::forget(pool.join_here().unwrap());
            assert_right(&pool);
            drop(pool);
            // Very likely at the address of the first.
            let pool = processes(2);
            assert_right(&pool);
        }
    });
}

/// The CPUs that the calling thread may use, as the kernel tells them.
fn own_cpus() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_owned()
}

#[test]
fn seats_of_several_pools_may_be_given_up_in_any_order() {
    let before = own_cpus();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let pools = [processes(2), processes(2), processes(1)];
        let mut seats = [0, 1, 2].map(|i| Some(pools[i].join_here().unwrap()));
        for i in order {
            drop(seats[i].take());
            pools.iter().for_each(assert_right);
        }
        assert_eq!(own_cpus(), before, "{order:?}");
    }
}

#[test]
fn a_seat_may_be_given_up_by_a_callback_of_its_launch() {
    within(LONG, || {
        let pool = processes(2);
        let (seat, called) =
            (std::cell::RefCell::new(Some(pool.join_here().unwrap())), Event::new().unwrap());
        let give_up = |_: phalanx::Progress| {
            drop(seat.borrow_mut().take());
            called.set();
        };
        // The worker's part lasts until the callback has been called.
        let launch = pool.launch().schedule(Schedule::Static).chunk(1).progress(&give_up);
        launch
            .for_each((&called, 0..2), |(called, part)| {
                if part.start == 1 {
                    called.wait()
                }
            })
            .unwrap();
        let mut pids = pool.zeros::<u64>(2).unwrap();
        pool.broadcast(pids.split_mut(), |_, pid| pid[0] = u64::from(std::process::id())).unwrap();
        assert!(!pids.as_slice().contains(&u64::from(std::process::id())), "still in the seat");
        assert_right(&pool);
    });
}

#[test]
fn the_callers_own_share_can_be_cancelled_and_may_panic() {
    within(LONG, || {
        for pool in [processes(2), Pool::builder().backend(Backend::Inline).build().unwrap()] {
            let seat = pool.join_here().unwrap();
            let token = phalanx::CancelToken::new();
            let canceller = std::thread::spawn({
                let token = token.clone();
                move || {
                    std::thread::sleep(Duration::from_millis(20));
                    token.cancel()
                }
            });
            let outcome =
                pool.launch().cancel(&token).chunk(1).for_each(0..4, |_| while !phalanx::is_cancelled() {});
            assert!(matches!(outcome, Err(LaunchError::Cancelled { .. })), "{outcome:?}");
            canceller.join().unwrap();
            let limited = pool.launch().timeout(Duration::from_millis(10)).chunk(1);
            let outcome = limited.for_each(0..4, |_| while !phalanx::is_cancelled() {});
            assert!(matches!(outcome, Err(LaunchError::TimedOut { .. })), "{outcome:?}");
            let outcome = limited.for_each(0..1 << 20, |_| std::thread::yield_now());
            assert!(matches!(outcome, Err(LaunchError::TimedOut { .. })), "{outcome:?}");
            let outcome = pool.launch().chunk(1).for_each(0..4, |_| panic!("each"));
            assert!(matches!(outcome, Err(LaunchError::Panicked { .. })), "{outcome:?}");
            assert_right(&pool);
            drop(seat);
            assert_right(&pool);
        }
    });
}

#[test]
fn a_seat_beside_a_dying_worker() {
    within(LONG, || {
        let pool = processes(2);
        let seat = pool.join_here().unwrap();
        let launch = pool.launch().schedule(Schedule::Static).chunk(1);
        let outcome = launch.for_each(0..4, |i| {
            if i.start == 2 {
                std::process::abort()
            }
        });
        match outcome {
            Err(LaunchError::WorkerDied { deaths, lost, .. }) => {
                assert_eq!((deaths[0].rank, lost[0].range()), (1, 2..3));
            }
            other => panic!("{other:?}"),
        }
        assert_right(&pool);
        drop(seat);
    });
}

#[test]
fn h13_two_pools_and_one_array() {
    let (a, b) = (processes(2), processes(1));
    let mut y = a.from_fn(300_000, |i| i as u64).unwrap();
    let sum = |pool: &Pool, y: &phalanx::SharedArray<u64, ndarray::Ix1>| {
        pool.reduce(y.split(), 0, |y| y.iter().sum::<u64>(), |a, b| a + b).unwrap()
    };
    assert_eq!(sum(&a, &y), sum(&b, &y));
    b.for_each(y.split_mut(), |y| y.iter_mut().for_each(|y| *y += 1)).unwrap();
    assert_eq!(sum(&a, &y), 299_999 * 300_000 / 2 + 300_000);
}

#[test]
fn states_are_made_anew_in_a_successor() {
    let pool = processes(1);
    let state = PerWorker::scratch(|_| 0_u64);
    let count = |pool: &Pool| {
        let mut seen = pool.zeros::<u64>(1).unwrap();
        pool.for_each((seen.split_mut(), &state), |(seen, count)| {
            *count += 1;
            seen[0] = *count;
        })
        .unwrap();
        seen.as_slice()[0]
    };
    assert_eq!((count(&pool), count(&pool)), (1, 2));
    let _died = pool.for_each(0..1, |_| std::process::abort());
    assert_eq!(count(&pool), 1);
}

#[test]
fn reductions_with_retried_chunks_have_the_same_bits() {
    within(LONG, || {
        let pool = processes(3);
        let x = pool.from_fn(200_000, |i| 1.0 / (i as f64 + 1.0)).unwrap();
        let mut tries = pool.zeros::<u32>(1).unwrap();
        let sum = |tries: &mut phalanx::SharedArray<u32, ndarray::Ix1>, deadly: u32| {
            pool.launch().retry(2).retry_in_place().chunk(500).reduce(
                (x.split(), 0..200_000, tries.atomic(), deadly),
                0.0,
                |(x, i, tries, deadly)| {
                    let hit =
                        i.start == 77_000 && deadly > tries[0].load(std::sync::atomic::Ordering::SeqCst);
                    if hit {
                        tries[0].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::process::abort();
                    }
                    x.iter().sum::<f64>()
                },
                |a, b| a + b,
            )
        };
        let whole = sum(&mut tries, 0).unwrap();
        let retried = sum(&mut tries, 2).unwrap();
        assert_eq!(whole.to_bits(), retried.to_bits());
        assert_eq!(tries.as_slice(), [2]);
        // One retry too few.
        tries.fill(0);
        assert!(matches!(sum(&mut tries, 3), Err(LaunchError::WorkerDied { .. })));
        assert_right(&pool);
    });
}

fn exits() {
    std::process::exit(3);
}

fn panics() {
    panic!("in preload");
}

fn starts_a_thread() {
    std::thread::spawn(std::thread::park);
}

#[test]
fn e5_processes_that_end_while_they_start_are_reported_at_once() {
    within(LONG, || {
        fn build_after(preload: impl Fn() + Copy + Send + Sync + 'static) -> Result<Pool, PoolError> {
            Pool::builder().workers(2).preload(preload).build()
        }
        let text = build_after(exits).unwrap_err().to_string();
        assert!(text.contains("status 3"), "{text}");
        let text = build_after(panics).unwrap_err().to_string();
        assert!(text.contains("SIGABRT") || text.contains("status"), "{text}");
        let text = build_after(starts_a_thread).unwrap_err().to_string();
        assert!(text.contains("more than one thread"), "{text}");
        assert_right(&processes(2));
    });
}

#[test]
fn a_retry_where_every_rank_has_its_own_part_is_refused() {
    let pool = processes(2);
    for outcome in
        [pool.launch().retry(1).broadcast((), |_, ()| ()), pool.launch().retry(1).region((), |_, ()| Ok(()))]
    {
        assert!(matches!(outcome, Err(LaunchError::BadGrant { what: "retry()", .. })), "{outcome:?}");
    }
}

#[test]
fn sizes_at_the_end_of_the_number_line_are_right_or_refused() {
    for pool in backends() {
        // Two chunks that end where numbers do: neither is lost.
        let half = usize::MAX / 2 + 1;
        let launch = pool.launch().chunk(half);
        let ends = launch.reduce(0..usize::MAX, 0, |i| i.len() as u64, |a, b| a + b);
        assert_eq!(ends.unwrap(), usize::MAX as u64, "{pool:?}");
        let seen = Cell::new(0);
        let told = |progress: Progress| seen.set(progress.done.max(seen.get()));
        pool.launch().chunk(half).progress(&told).for_each(0..usize::MAX, |_| ()).unwrap();
        let forever = pool.launch().timeout(Duration::MAX).grace(Duration::MAX);
        forever.for_each(0..8, |_| ()).unwrap();
        let x = phalanx::SharedArray::<u64, _>::zeros((2, 3)).unwrap();
        assert!(matches!(pool.for_each(x.split_axis(usize::MAX), |_| ()), Err(LaunchError::BadGrant { .. })));
        assert!(matches!(
            pool.for_each(x.split_at(&[0, usize::MAX]), |_| ()),
            Err(LaunchError::BadGrant { .. })
        ));
        assert!(pool.zeros::<u64>(usize::MAX).is_err());
        assert!(phalanx::SharedArray::<u8, _>::zeros((usize::MAX, 2)).is_err());
        assert_right(&pool);
    }
}
