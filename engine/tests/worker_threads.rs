//! Workers with threads of their own: rayon and ndarray inside kernels.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use ndarray::parallel::prelude::*;
use ndarray::{Array2, Axis};
use phalanx::{Backend, LaunchError, Pool};

fn pools() -> Vec<Pool> {
    let base = || Pool::builder().workers(1).threads_per_worker(2);
    vec![base().build().unwrap(), base().backend(Backend::Threads).build().unwrap()]
}

#[test]
fn rayon_in_a_kernel_uses_the_workers_threads() {
    for pool in pools() {
        let threads =
            pool.reduce(0..10, 0, |_| rayon::current_num_threads() as u64, |a, b| a.max(b)).unwrap();
        assert_eq!(threads, 2, "{pool:?}");
        // The kernel itself runs on one of them, and they are the worker's, by name.
        pool.for_each(0..1, |_| {
            assert!(rayon::current_thread_index().is_some());
            let names = rayon::broadcast(|_| std::thread::current().name().unwrap_or("").to_string());
            assert_eq!(names, ["phalanx 0.0", "phalanx 0.1"]);
            assert_eq!((phalanx::current_rank(), phalanx::current_team_size()), (Some(0), Some(1)));
        })
        .unwrap();
    }
}

#[test]
fn parallel_methods_work_on_views() {
    for pool in pools() {
        let mut line = pool.from_fn(100_000, |i| i as f64).unwrap();
        pool.for_each(line.split_mut(), |part| part.par_iter_mut().for_each(|x| *x = *x * 2.0 + 1.0))
            .unwrap();
        assert!(line.as_slice().iter().enumerate().all(|(i, x)| *x == 2.0 * i as f64 + 1.0));
        let start = Array2::from_shape_fn((300, 40), |(i, j)| (i * 40 + j) as f64);
        let mut plane = phalanx::SharedArray::from_ndarray(&start).unwrap();
        pool.launch()
            .chunk(100)
            .for_each(plane.split_mut(), |mut rows| {
                rows.par_mapv_inplace(|x| x + 1.0);
                rows.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut row| row[0] = 0.0);
            })
            .unwrap();
        let mut expected = start.mapv(|x| x + 1.0);
        expected.column_mut(0).fill(0.0);
        assert_eq!(plane.view(), expected);
        let sum = pool
            .reduce(line.split(), 0.0, |part| part.par_iter().map(|x| x.floor()).sum::<f64>(), |a, b| a + b)
            .unwrap();
        assert_eq!(sum, 100_000.0 * 100_000.0);
    }
}

#[test]
fn a_panic_on_any_of_the_threads_is_reported_with_its_place() {
    for pool in pools() {
        let line = line!() + 2;
        let failed = pool.launch().chunk(1000).for_each(0..1000, |range| {
            range.into_par_iter().for_each(|i| assert!(i != 700, "the bad one is {i}"));
        });
        let Err(LaunchError::Panicked { rank, message, location, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!((rank, message.as_str()), (0, "the bad one is 700"));
        if !pool.worker_pids().is_empty() {
            assert!(location.contains(&format!("tests/worker_threads.rs:{line}:")), "{location}");
        }
        // And the worker serves on.
        pool.for_each(0..10, |range| range.into_par_iter().for_each(|_| ())).unwrap();
    }
}

#[test]
fn threads_are_pinned_each_to_a_core_of_the_worker() {
    for pool in pools() {
        let refused = pool.stats().workers[0].refused.clone();
        // Sum of the CPUs in each thread's mask, and how many masks there are.
        let mut masks = pool.zeros::<u64>(2 * 1024).unwrap();
        pool.launch()
            .chunk(2 * 1024)
            .for_each(masks.split_mut(), |masks| {
                let found = rayon::broadcast(|_| {
                    let set = rustix::thread::sched_getaffinity(None).unwrap();
                    (0..1024).filter(|cpu| set.is_set(*cpu)).collect::<Vec<usize>>()
                });
                for (mask, cpus) in masks.chunks_mut(1024).zip(found) {
                    cpus.into_iter().for_each(|cpu| mask[cpu] = 1);
                }
            })
            .unwrap();
        let (first, second) = masks.as_slice().split_at(1024);
        let count = |mask: &[u64]| mask.iter().sum::<u64>();
        let cores = std::thread::available_parallelism().unwrap().get();
        if cores < 2 || !refused.is_empty() {
            // Nothing to pin to: then at least both may run.
            assert!(count(first) > 0 && count(second) > 0);
            continue;
        }
        assert_eq!((count(first), count(second)), (1, 1), "{pool:?} {refused:?}");
        assert_ne!(first, second);
    }
}
