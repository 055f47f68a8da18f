//! Launches on every backend and start method.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::{Backend, Pool, Schedule, StartMethod};

/// One pool of each kind.
fn pools() -> Vec<Pool> {
    let base = || Pool::builder();
    vec![
        base().workers(2).build().unwrap(),
        base().workers(3).start_method(StartMethod::ForkServer).build().unwrap(),
        base().workers(3).backend(Backend::Threads).build().unwrap(),
        base().backend(Backend::Inline).build().unwrap(),
    ]
}

#[test]
fn axpy_and_dot_agree_with_a_plain_loop_on_every_backend() {
    for pool in pools() {
        for n in [0usize, 1, 7, 63, 64, 65, 1000, 300_007] {
            let x = pool.from_fn(n, |i| (i % 17) as f64).unwrap();
            let mut y = pool.from_fn(n, |i| i as f64).unwrap();
            pool.for_each((y.split_mut(), x.split(), 2.5), |(y, x, a)| {
                for (y, x) in y.iter_mut().zip(x) {
                    *y += a * x
                }
            })
            .unwrap();
            let expected: Vec<f64> = (0..n).map(|i| i as f64 + 2.5 * (i % 17) as f64).collect();
            assert_eq!(y.as_slice(), expected, "{pool:?} {n}");
            let count =
                pool.reduce((x.split(), y.split()), 0u64, |(x, _)| x.len() as u64, |a, b| a + b).unwrap();
            assert_eq!(count as usize, n);
        }
    }
}

#[test]
fn reductions_have_the_same_bits_for_every_team_and_schedule() {
    let sum = |pool: &Pool, schedule| {
        let x = pool.from_fn(1_000_003, |i| 1.0 / (i as f64 + 1.0)).unwrap();
        pool.launch()
            .schedule(schedule)
            .reduce(x.split(), 0.0, |x| x.iter().sum::<f64>(), |a, b| a + b)
            .unwrap()
    };
    let mut bits = std::collections::BTreeSet::new();
    for workers in [1, 2, 3, 7] {
        for backend in [Backend::Processes, Backend::Threads] {
            let pool = Pool::builder().workers(workers).backend(backend).build().unwrap();
            for schedule in [Schedule::Static, Schedule::Dynamic(3), Schedule::Guided, Schedule::Stealing] {
                bits.insert(sum(&pool, schedule).to_bits());
            }
        }
    }
    assert_eq!(bits.len(), 1, "{bits:?}");
}
