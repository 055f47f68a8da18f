//! Scans and searches, with parameters and without: on every backend, for every team and schedule, beside
//! deaths.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, processes, within};
use phalanx::{Backend, Captured, LaunchError, Pool, Schedule, Val};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

const SCHEDULES: [Schedule; 5] =
    [Schedule::Static, Schedule::Dynamic(1), Schedule::Dynamic(3), Schedule::Guided, Schedule::Stealing];

/// One pool of each kind.
fn pools() -> Vec<Pool> {
    let base = || Pool::builder();
    vec![
        base().workers(1).build().unwrap(),
        base().workers(3).build().unwrap(),
        base().workers(3).backend(Backend::Threads).build().unwrap(),
        base().backend(Backend::Inline).build().unwrap(),
    ]
}

/// An affine map modulo a prime, as its two coefficients. Composition is associative, but not commutative.
type Affine = [u64; 2];

fn compose(first: Affine, then: Affine, modulus: u64) -> Affine {
    [first[0] * then[0] % modulus, (first[1] * then[0] + then[1]) % modulus]
}

const MODULUS: u64 = 1_000_003;

/// The prefixes by their definition.
fn prefixes(input: &[Affine], identity: Affine, exclusive: bool) -> Vec<Affine> {
    let mut running = None;
    let mut out = Vec::new();
    for item in input {
        let next = running.map_or(*item, |before| compose(before, *item, MODULUS));
        out.push(if exclusive { running.unwrap_or(identity) } else { next });
        running = Some(next);
    }
    out
}

#[test]
fn scans_compute_prefixes_for_every_team_schedule_and_length() {
    for pool in pools() {
        for n in [0, 1, 2, 63, 64, 65, 1000, 40_001] {
            let x = pool.from_fn(n, |i| [i as u64 * 7 % 1013 + 1, i as u64 * 31 % 997]).unwrap();
            let mut out = pool.zeros::<Affine>(n).unwrap();
            // Not neutral, so that it shows where it is used.
            let identity = [5, 6];
            let inclusive = prefixes(x.as_slice(), identity, false);
            let exclusive = prefixes(x.as_slice(), identity, true);
            for schedule in SCHEDULES {
                for chunk in [1, 7, 1000] {
                    if n / chunk > 5000 {
                        continue;
                    }
                    let launch = pool.launch().schedule(schedule).chunk(chunk);
                    let with = launch.with(MODULUS);
                    with.scan(out.split_out(), x.split(), identity, compose).unwrap();
                    assert_eq!(out.as_slice(), inclusive, "{pool:?} {n} {schedule:?} {chunk}");
                    with.scan_exclusive(out.split_out(), x.split(), identity, compose).unwrap();
                    assert_eq!(out.as_slice(), exclusive, "{pool:?} {n} {schedule:?} {chunk}");
                    launch
                        .scan_exclusive(out.split_out(), x.split(), identity, |a, b| compose(a, b, MODULUS))
                        .unwrap();
                    assert_eq!(out.as_slice(), exclusive, "{pool:?} {n} {schedule:?} {chunk}");
                }
            }
        }
    }
}

#[test]
fn a_scan_has_the_same_bits_for_every_team_and_schedule() {
    let mut first: Option<Vec<u64>> = None;
    for pool in pools() {
        let x = pool.from_fn(300_007, |i| ((i * 7919 % 1009) as f64).sqrt() + 0.1).unwrap();
        let mut out = pool.zeros::<f64>(x.len()).unwrap();
        for schedule in SCHEDULES {
            let launch = pool.launch().schedule(schedule);
            for with_parameter in [false, true] {
                if with_parameter {
                    launch.with(1.5).scan(out.split_out(), x.split(), 0.0, |a, b, k| a / k + b).unwrap();
                } else {
                    launch.scan(out.split_out(), x.split(), 0.0, |a, b| a / 1.5 + b).unwrap();
                }
                let bits: Vec<u64> = out.as_slice().iter().map(|x| x.to_bits()).collect();
                assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{pool:?} {schedule:?}");
            }
        }
    }
}

#[test]
fn a_scan_whose_worker_dies_is_done_again_with_retry() {
    within(LONG, || {
        let pool = processes(3);
        let x = pool.from_fn(10_000, |i| i as u64).unwrap();
        let mut out = pool.zeros::<u64>(10_000).unwrap();
        let died = phalanx::sync::Counter::new(0).unwrap();
        for at in [17_u64, 5000, 9999] {
            for sweep in [1_u64, 2] {
                let before = died.get();
                let launch = pool.launch().chunk(100).retry(2).retry_in_place();
                let sum = launch.with((at, before + sweep, &died)).scan(
                    out.split_out(),
                    x.split(),
                    0,
                    |a, b, (at, when, died)| {
                        // Only in the sweep that is meant.
                        if b == at && died.add(1) + 1 == when {
                            let _never =
                                rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
                        }
                        a + b
                    },
                );
                sum.unwrap();
                assert!(died.get() > before, "nobody died");
                let mut total = 0;
                for (i, sum) in out.as_slice().iter().enumerate() {
                    total += i as u64;
                    assert_eq!(*sum, total);
                }
            }
        }
        assert_right(&pool);
    });
}

#[test]
fn a_panic_of_the_combining_function_is_an_error() {
    for pool in [processes(2), Pool::builder().workers(2).backend(Backend::Threads).build().unwrap()] {
        let x = pool.from_fn(1000, |i| i as u64).unwrap();
        let mut out = pool.zeros::<u64>(1000).unwrap();
        let outcome = pool.with(700).scan(out.split_out(), x.split(), 0, |a, b, limit| {
            assert!(b < limit, "{b} is too much");
            a + b
        });
        assert!(matches!(outcome, Err(LaunchError::Panicked { .. })), "{outcome:?}");
        assert_right(&pool);
    }
}

#[derive(Serialize, Deserialize)]
struct Filter {
    names: Vec<String>,
    least: u64,
}

#[test]
fn searches_take_parameters() {
    for pool in pools() {
        let x = pool.from_fn(10_000, |i| i as u64).unwrap();
        let table = pool.from_fn(10, |i| i as u64 * 1000).unwrap();
        let filter = Captured::new(&Filter { names: vec!["77".into()], least: 4000 }).unwrap();
        for schedule in SCHEDULES {
            let launch = pool.launch().schedule(schedule).chunk(100);
            for (limit, expected) in
                [(0_u64, Some(0)), (5432, Some(5432)), (9999, Some(9999)), (10_000, None)]
            {
                let with = launch.with(limit);
                assert_eq!(with.position_first(x.split(), |x, limit| x >= limit).unwrap(), expected);
                assert_eq!(
                    with.find_first(x.split(), |x, limit| x >= limit).unwrap(),
                    expected.map(|at| at as u64)
                );
                assert_eq!(with.any(x.split(), |x, limit| x >= limit).unwrap(), expected.is_some());
                assert_eq!(with.all(x.split(), |x, limit| x < limit).unwrap(), expected.is_none());
            }
            let found = launch
                .with((table.whole(), Val(3_u32)))
                .find_first(x.split(), |x, (table, which)| x > table[which as usize]);
            assert_eq!(found.unwrap(), Some(3001));
            let found = launch.with(&filter).find_first((x.split(), 0..10_000), |(x, i), filter| {
                x >= filter.least
                    && x == i as u64
                    && filter.names.iter().all(|name| !x.to_string().contains(name))
            });
            assert_eq!(found.unwrap(), Some((4000, 4000)));
        }
        // No elements, one, and indices.
        let none = pool.zeros::<u64>(0).unwrap();
        assert_eq!(pool.with(1).find_first(none.split(), |_, _| true).unwrap(), None);
        assert_eq!(pool.with(1).position_first(0..0, |_, _| true).unwrap(), None);
        assert!(!pool.with(1).any(none.split(), |_, _| true).unwrap());
        assert!(pool.with(1).all(none.split(), |_, _| false).unwrap());
        assert_eq!(pool.with(7).find_first(7..8, |i, k| i == k).unwrap(), Some(7));
        assert_eq!(pool.with(99_991 * 7).find_first(2..1000, |i, p| p % i == 0).unwrap(), Some(7));
        // Rows of more dimensions.
        let m = pool.from_shape_fn((30, 20), |(i, j)| (100 * i + j) as u64).unwrap();
        assert_eq!(pool.with(507).position_first(m.split(), |x, k| x == k).unwrap(), Some(5 * 20 + 7));
        assert_eq!(pool.with(507).position_first(m.split_flat(), |x, k| x == k).unwrap(), Some(107));
    }
}

#[test]
fn parts_of_different_shapes_are_refused_by_every_search() {
    let pool = Pool::builder().backend(Backend::Inline).build().unwrap();
    let (m, x) = (pool.zeros_nd::<u64, _>((4, 5)).unwrap(), pool.zeros::<u64>(4).unwrap());
    let refused = |outcome: Result<(), LaunchError>| match outcome {
        Err(error @ LaunchError::BadGrant { .. }) => {
            let text = error.to_string();
            assert!(text.contains("[4]") && text.contains("[4, 5]"), "{text}");
        }
        other => panic!("{other:?}"),
    };
    let pair = || (m.split(), x.split());
    refused(pool.position_first(pair(), |_| true).map(drop));
    refused(pool.find_first(pair(), |_| true).map(drop));
    refused(pool.any(pair(), |_| true).map(drop));
    refused(pool.all(pair(), |_| true).map(drop));
    refused(pool.with(1).position_first(pair(), |_, _| true).map(drop));
    refused(pool.with(1).find_first(pair(), |_, _| true).map(drop));
    refused(pool.with(1).any(pair(), |_, _| true).map(drop));
    refused(pool.with(1).all(pair(), |_, _| true).map(drop));
    let mut short = pool.zeros::<u64>(3).unwrap();
    let outcome = pool.with(1).scan(short.split_out(), x.split(), 0, |a, b, _| a + b);
    assert!(matches!(outcome, Err(LaunchError::Lengths { .. })), "{outcome:?}");
}

#[test]
fn searches_of_endless_chunks_end_with_the_answer() {
    within(LONG, || {
        for pool in pools() {
            // Every chunk has more elements than a life is long.
            assert_eq!(pool.find_first(2..usize::MAX, |n| n % 1_000_003 == 0).unwrap(), Some(1_000_003));
            assert_eq!(pool.position_first(2..usize::MAX, |n| n % 7 == 0).unwrap(), Some(5));
            assert!(pool.any(0..usize::MAX, |n| n > 1_000_000).unwrap());
            if pool.workers() > 1 {
                // The first chunk has no answer, the second has one soon.
                let launch = pool.launch().chunk(usize::MAX / 2);
                assert!(launch.any(0..usize::MAX, |n| n > usize::MAX / 2 + 1000).unwrap());
            }
            assert!(!pool.all(0..usize::MAX, |n| n < 1_000_000).unwrap());
        }
    });
}
