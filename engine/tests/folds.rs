//! Launches that return any type that travels, that may fail, or that end early: on every backend, for every
//! team and schedule, beside deaths.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, processes, send, within};
use phalanx::{Backend, LaunchError, Pool, Schedule, TryError};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SCHEDULES: [Schedule; 4] =
    [Schedule::Static, Schedule::Dynamic(3), Schedule::Guided, Schedule::Stealing];

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

fn count(counts: &mut HashMap<u64, u64>, keys: &[u64]) {
    for key in keys {
        *counts.entry(*key).or_default() += 1;
    }
}

fn add(counts: &mut HashMap<u64, u64>, more: HashMap<u64, u64>) {
    for (key, count) in more {
        *counts.entry(key).or_default() += count;
    }
}

#[test]
fn groups_are_counted_on_every_backend() {
    for pool in pools() {
        for (n, groups) in [(0u64, 1u64), (1, 1), (100, 7), (300_007, 5000)] {
            let keys = pool.from_fn(n as usize, |i| i as u64).unwrap();
            let mut keys = keys;
            keys.as_mut_slice().iter_mut().for_each(|key| *key = *key * 7 % groups);
            let counts = pool.fold(keys.split(), HashMap::new, count, add).unwrap();
            let mut expected = HashMap::new();
            count(&mut expected, keys.as_slice());
            assert_eq!(counts, expected, "{pool:?} {n}");
        }
    }
}

#[test]
fn a_fold_has_the_same_bits_for_every_team_and_schedule() {
    // Neither of its parts may be taken in another order.
    type Digest = (f64, String, Vec<usize>);
    let mut seen = Vec::<Digest>::new();
    for pool in pools() {
        let x = pool.from_fn(100_003, |i| 1.0 / (i as f64 + 1.0)).unwrap();
        for schedule in SCHEDULES {
            let digest: Digest = pool
                .launch()
                .schedule(schedule)
                .chunk(100)
                .fold(
                    (x.split(), 0..100_003),
                    || (0.0, String::new(), Vec::new()),
                    |digest: &mut Digest, (x, span)| {
                        digest.0 += x.iter().sum::<f64>();
                        digest.1.push_str(&format!("{} ", span.start));
                        digest.2.push(span.end);
                    },
                    |digest, more| {
                        digest.0 += more.0;
                        digest.1.push_str(&more.1);
                        digest.2.extend(more.2);
                    },
                )
                .unwrap();
            assert_eq!(digest.2.len(), 1001);
            assert!(digest.2.is_sorted());
            seen.push(digest);
        }
    }
    assert!(seen.iter().all(|digest| digest.0.to_bits() == seen[0].0.to_bits() && *digest == seen[0]));
}

/// Shared memory that this process has in its page tables: where the results lay, if they stayed.
fn shared_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssShmem:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hundred_megabytes_of_results_come_back_and_go_again() {
    let pool = Pool::builder().workers(2).build().unwrap();
    for _ in 0..3 {
        // 200 chunks with half a megabyte each.
        let texts = pool
            .launch()
            .chunk(1)
            .fold(
                0..200,
                BTreeMap::new,
                |texts, span| {
                    texts.insert(span.start, span.start.to_string().repeat((512 << 10) / 3));
                },
                |texts, mut more| texts.append(&mut more),
            )
            .unwrap();
        assert_eq!(texts.len(), 200);
        assert!(
            texts
                .iter()
                .all(|(key, text)| text.len() >= (512 << 10) / 3 && text.starts_with(&key.to_string()))
        );
        assert!(texts[&199].as_bytes().chunks_exact(3).all(|part| part == b"199"));
        drop(texts);
    }
    let left = shared_kib();
    assert!(left < 20_000, "{left} KiB stay");
}

#[test]
fn accumulators_of_the_operands_are_gathered_too() {
    for pool in pools() {
        let keys = pool.from_fn(10_000, |i| i as u64 % 10).unwrap();
        let mut histogram = pool.zeros::<u64>(10).unwrap();
        let longest = pool
            .fold(
                (keys.split(), histogram.reduce(0, |a, b| a + b)),
                String::new,
                |text, (keys, histogram)| {
                    for key in keys {
                        histogram[*key as usize] += 1;
                    }
                    if keys.len().to_string().len() > text.len() {
                        *text = keys.len().to_string();
                    }
                },
                |a, b| {
                    if b.len() > a.len() {
                        *a = b
                    }
                },
            )
            .unwrap();
        assert_eq!(histogram.as_slice(), [1000; 10]);
        assert!(!longest.is_empty());
    }
}

/// A type that refuses to be written, or to be read.
#[derive(Debug, Default)]
struct Stubborn(u8);

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            1 => Err(serde::ser::Error::custom("it will not be written")),
            2 => panic!("it panics when written"),
            other => other.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Stubborn, D::Error> {
        match u8::deserialize(deserializer)? {
            3 => Err(serde::de::Error::custom("it will not be read")),
            other => Ok(Stubborn(other)),
        }
    }
}

#[test]
fn what_cannot_travel_is_a_typed_error() {
    for pool in pools() {
        for (how, text) in
            [(1u8, "it will not be written"), (2, "it panics when written"), (3, "it will not be read")]
        {
            let outcome = pool.launch().chunk(10).fold(
                (0..100, how),
                Stubborn::default,
                |value, (span, how)| {
                    if span.start == 50 {
                        value.0 = how;
                    }
                },
                |_, _| (),
            );
            match outcome {
                Err(error @ LaunchError::Codec { span, .. }) => {
                    assert_eq!(span.range(), 50..60);
                    assert!(
                        error.to_string().contains(text) && error.to_string().contains("folds.rs"),
                        "{error}"
                    );
                }
                other => panic!("{other:?}"),
            }
            let outcome = pool.launch().chunk(10).try_for_each((0..100, how), |(span, how)| {
                if span.start == 50 { Err(Stubborn(how)) } else { Ok(()) }
            });
            match outcome {
                Err(TryError::Launch(LaunchError::Codec { span, why, .. })) => {
                    assert_eq!(span.range(), 50..60);
                    assert!(why.contains(text), "{why}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_right(&pool);
    }
}

#[test]
fn a_panic_of_combine_reaches_the_caller_and_leaves_the_pool_right() {
    let pool = processes(2);
    let x = pool.from_fn(10_000, |i| i as u64).unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pool.fold(x.split(), Vec::new, |all, x| all.extend_from_slice(x), |_: &mut Vec<u64>, _| panic!("no"))
    }));
    assert!(outcome.is_err());
    let all = pool
        .fold(
            x.split(),
            Vec::new,
            |all, x| all.extend_from_slice(x),
            |all: &mut Vec<u64>, more| all.extend(more),
        )
        .unwrap();
    assert_eq!(all, x.as_slice());
}

#[test]
fn a_panic_of_the_kernel_is_told_as_in_other_launches() {
    for pool in pools() {
        let outcome = pool.fold(
            0..100,
            Vec::<usize>::new,
            |_, span| assert!(!span.contains(&42), "forty-two"),
            |_, _| (),
        );
        assert!(
            matches!(&outcome, Err(LaunchError::Panicked { message, .. }) if message.contains("forty-two")),
            "{outcome:?}"
        );
        assert_right(&pool);
    }
}

#[test]
fn the_error_of_the_lowest_chunk_is_told_for_every_team_and_schedule() {
    for pool in pools() {
        for schedule in SCHEDULES {
            for _ in 0..20 {
                let outcome = pool.launch().schedule(schedule).chunk(10).try_for_each(0..1000, |span| {
                    let at = [310, 311, 640, 990].into_iter().find(|bad| span.contains(bad));
                    at.map_or(Ok(()), |at| Err(format!("{at} is bad")))
                });
                match outcome {
                    Err(TryError::Kernel { span, error, site }) => {
                        assert_eq!((span.range(), error.as_str()), (310..320, "310 is bad"));
                        assert!(site.contains("folds.rs"));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn chunks_below_a_failed_one_are_run_and_those_far_above_are_not() {
    for pool in pools() {
        let mut ran = pool.zeros::<u32>(100_000).unwrap();
        let outcome = pool.launch().chunk(1).schedule(Schedule::Dynamic(1)).try_for_each(
            (ran.split_mut(), 0..100_000),
            |(ran, span)| {
                ran[0] += 1;
                if span.start == 500 { Err(span.start as u64) } else { Ok(()) }
            },
        );
        assert!(matches!(outcome, Err(TryError::Kernel { error: 500, .. })));
        assert!(ran.as_slice()[..=500].iter().all(|count| *count == 1));
        let above = ran.as_slice()[501..].iter().sum::<u32>();
        assert!(above < 90_000, "{above} chunks above the failed one were run");
    }
}

#[test]
fn a_try_reduce_that_does_not_fail_is_a_reduce() {
    for pool in pools() {
        let x = pool.from_fn(300_001, |i| 1.0 / (i as f64 + 1.0)).unwrap();
        let sum = pool.reduce(x.split(), 0.0, |x| x.iter().sum::<f64>(), |a, b| a + b).unwrap();
        let tried = pool
            .try_reduce(x.split(), 0.0, |x| Ok::<_, String>(x.iter().sum::<f64>()), |a, b| a + b)
            .unwrap();
        assert_eq!(sum.to_bits(), tried.to_bits());
        let failed = pool.try_reduce(
            (x.split(), 0..300_001),
            0.0,
            |(x, span)| if span.contains(&200_000) { Err((span.start, x.len())) } else { Ok(x[0]) },
            |a, b| a + b,
        );
        assert!(
            matches!(failed, Err(TryError::Kernel { span, error: (start, _), .. }) if span.lo == start && span.range().contains(&200_000))
        );
        assert_eq!(
            pool.try_reduce(0..0, 7u64, |_| Err("never called".to_string()), |a, b| a + b).unwrap(),
            7
        );
    }
}

#[test]
fn a_try_fold_gives_its_value_or_the_lowest_error() {
    for pool in pools() {
        for bad in [usize::MAX, 999, 400, 0] {
            let outcome = pool.launch().chunk(10).try_fold(
                (0..1000, bad),
                Vec::new,
                |seen: &mut Vec<usize>, (span, bad)| {
                    if span.end > bad {
                        return Err(BTreeMap::from([(span.start, "bad".to_string())]));
                    }
                    seen.extend(span);
                    Ok(())
                },
                |seen, more| seen.extend(more),
            );
            match outcome {
                Ok(seen) => assert!(bad == usize::MAX && seen == (0..1000).collect::<Vec<_>>()),
                Err(TryError::Kernel { error, .. }) => {
                    assert_eq!(error.keys().copied().collect::<Vec<_>>(), [bad / 10 * 10]);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn errors_convert_into_those_of_the_program() {
    fn boxed(pool: &Pool) -> Result<(), Box<dyn std::error::Error>> {
        pool.try_for_each(0..10, |_| Err("text".to_string()))?;
        Ok(())
    }
    fn ours(pool: &Pool) -> Result<(), phalanx::Error> {
        pool.try_for_each(0..10, |_| Err("text".to_string()))?;
        Ok(())
    }
    let pool = Pool::builder().backend(Backend::Inline).build().unwrap();
    for text in [boxed(&pool).unwrap_err().to_string(), ours(&pool).unwrap_err().to_string()] {
        assert!(text.contains("folds.rs") && text.contains("0..10") && text.ends_with("text"), "{text}");
    }
}

#[test]
fn the_first_is_found_for_every_team_and_schedule() {
    for pool in pools() {
        for n in [0usize, 1, 63, 100_000] {
            for at in [0, 1, 62, 50_000, 99_999, 100_000] {
                let x = pool.from_fn(n, |i| i as u64).unwrap();
                let mut x = x;
                x.as_mut_slice().iter_mut().for_each(|x| *x = u64::from(*x >= at as u64) * *x);
                let expected = x.as_slice().iter().position(|x| *x > 0);
                for schedule in SCHEDULES {
                    let launch = || pool.launch().schedule(schedule);
                    assert_eq!(launch().position_first(x.split(), |x| x > 0).unwrap(), expected);
                    assert_eq!(
                        launch().find_first(x.split(), |x| x > 0).unwrap(),
                        expected.map(|i| i as u64)
                    );
                    assert_eq!(launch().any(x.split(), |x| x > 0).unwrap(), expected.is_some());
                    assert_eq!(launch().all(x.split(), |x| x == 0).unwrap(), expected.is_none());
                }
            }
        }
        let grid = pool.from_shape_fn((100, 200), |(i, j)| (i * j) as u32).unwrap();
        assert_eq!(pool.position_first(grid.split_flat(), |v| v == 99 * 199).unwrap(), Some(100 * 200 - 1));
        assert_eq!(pool.position_first(1000..2000, |i| i >= 1500).unwrap(), Some(500));
        assert_eq!(pool.find_first(1000..2000, |i| i >= 1500).unwrap(), Some(1500));
        #[allow(clippy::reversed_empty_ranges, reason = "an empty range on purpose")]
        let nothing = pool.find_first(5..3, |_| true).unwrap();
        assert_eq!(nothing, None);
    }
}

#[test]
fn launches_inside_kernels_fold_and_find_inline() {
    thread_local! {
        static POOL: Pool = Pool::new().unwrap();
    }
    for pool in pools() {
        let texts = pool
            .launch()
            .chunk(5)
            .fold(
                0..10,
                String::new,
                |text, span| {
                    POOL.with(|inner| {
                        let found = inner.find_first(span.clone(), |i| i % 5 == 3).unwrap();
                        let all = inner.fold(
                            span,
                            Vec::new,
                            |all: &mut Vec<usize>, s| all.extend(s),
                            |a, b| a.extend(b),
                        );
                        text.push_str(&format!("{found:?} {:?};", all.unwrap()));
                    });
                },
                |a, b| a.push_str(&b),
            )
            .unwrap();
        assert_eq!(texts, "Some(3) [0, 1, 2, 3, 4];Some(8) [5, 6, 7, 8, 9];");
    }
}

/// Ends this process as a fault does, if it is the first to come here.
fn die_once(tries: &[AtomicU64]) {
    if tries[0].fetch_add(1, Ordering::SeqCst) == 0 {
        let _never = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
        loop {
            std::hint::spin_loop();
        }
    }
}

#[test]
fn a_death_changes_no_result_that_is_retried_and_is_told_otherwise() {
    within(LONG, || {
        let pool = processes(2);
        for at in [0, 495, 999] {
            let launch = || pool.launch().chunk(1).retry_in_place();
            let mut tries = pool.zeros::<u64>(1).unwrap();
            let mut fold = |retries| {
                tries.as_mut_slice()[0] = 0;
                launch().retry(retries).fold(
                    (0..1000, at, tries.atomic()),
                    Vec::new,
                    |all: &mut Vec<usize>, (span, at, tries)| {
                        all.extend(span.clone());
                        // Longer than what fits beside the leaf.
                        all.extend([span.start; 40]);
                        if span.start == at {
                            die_once(tries);
                        }
                    },
                    |all, more| all.extend(more),
                )
            };
            let all = fold(1).unwrap();
            assert!(all.is_sorted() && all.len() == 41_000);
            match fold(0) {
                Err(LaunchError::WorkerDied { lost, .. }) => assert!(lost[0].range().contains(&at)),
                other => panic!("{other:?}"),
            }
            let mut tries = pool.zeros::<u64>(1).unwrap();
            let error = launch().retry(1).try_for_each((0..1000, at, tries.atomic()), |(span, at, tries)| {
                if span.start == at {
                    die_once(tries);
                }
                if span.start >= 495 { Err(span.start) } else { Ok(()) }
            });
            assert!(matches!(error, Err(TryError::Kernel { error: 495, .. })), "{error:?}");
            let mut tries = pool.zeros::<u64>(1).unwrap();
            let found =
                launch().retry(1).find_map_first((0..1000, at, tries.atomic()), |(span, at, tries)| {
                    if span.start == at {
                        die_once(tries);
                    }
                    (span.start >= 700).then(|| "x".repeat(span.start))
                });
            assert_eq!(found.unwrap().map(|text| text.len()), Some(700));
            assert_right(&pool);
        }
    });
}

#[test]
fn kills_at_random_instants_give_right_results_or_deaths() {
    within(LONG, || {
        let pool = Arc::new(processes(2));
        let stop = Arc::new(AtomicBool::new(false));
        let killer = std::thread::spawn({
            let (pool, stop) = (pool.clone(), stop.clone());
            move || {
                let (mut seed, mut kills) = (7u64, 0);
                while !stop.load(Ordering::Relaxed) {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    std::thread::sleep(Duration::from_micros(2000 + (seed >> 33) % 50_000));
                    let pids = pool.worker_pids();
                    if let Some(pid) = pids.get((seed >> 20) as usize % pids.len().max(1)) {
                        send(*pid, Signal::KILL);
                        kills += 1;
                    }
                }
                kills
            }
        });
        let mut keys = phalanx::SharedArray::<u64>::zeros(30_000).unwrap();
        for (i, key) in keys.as_mut_slice().iter_mut().enumerate() {
            *key = (i as u64).wrapping_mul(0x9e37_79b9) % 3000;
        }
        let mut expected = HashMap::new();
        count(&mut expected, keys.as_slice());
        let first = keys.as_slice().iter().position(|key| *key == 2999);
        let (mut right, began) = (0, Instant::now());
        while began.elapsed() < Duration::from_secs(4) {
            match pool.launch().retry(100).fold(keys.split(), HashMap::new, count, add) {
                Ok(counts) => {
                    assert_eq!(counts, expected);
                    right += 1;
                }
                Err(error) => assert!(matches!(error, LaunchError::WorkerDied { .. }), "{error}"),
            }
            match pool.launch().retry(100).position_first(keys.split(), |key| key == 2999) {
                Ok(found) => assert_eq!(found, first),
                Err(error) => assert!(matches!(error, LaunchError::WorkerDied { .. }), "{error}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        let kills = killer.join().unwrap();
        assert!(right > 3 && kills > 10, "{right} folds were right beside {kills} kills");
        assert_right(&pool);
    });
}

#[test]
fn time_limits_and_tokens_end_them_as_other_launches() {
    for pool in pools() {
        let slow = pool.launch().timeout(Duration::from_millis(20)).fold(
            0..4,
            String::new,
            |_, _| while !phalanx::is_cancelled() {},
            |_, _| (),
        );
        assert!(matches!(slow, Err(LaunchError::TimedOut { .. })), "{slow:?}");
        let token = phalanx::CancelToken::new();
        token.cancel();
        let never = pool.launch().cancel(&token).try_for_each(0..4, |_| Err("never called".to_string()));
        assert!(matches!(never, Err(TryError::Launch(LaunchError::Cancelled { .. }))), "{never:?}");
        assert_right(&pool);
    }
}

#[test]
fn the_caller_in_its_seat_folds_and_searches_too() {
    let pool = processes(2);
    let _seat = pool.join_here().unwrap();
    let x = pool.from_fn(10_000, |i| i as u64).unwrap();
    let all = pool
        .fold(x.split(), Vec::new, |all, x| all.extend_from_slice(x), |all: &mut Vec<u64>, b| all.extend(b))
        .unwrap();
    assert_eq!(all, x.as_slice());
    assert_eq!(pool.position_first(x.split(), |x| x == 9_876).unwrap(), Some(9_876));
    let failed = pool.try_for_each(x.split(), |x| if x[0] > 5000 { Err(x[0] / 5000) } else { Ok(()) });
    assert!(matches!(failed, Err(TryError::Kernel { error: 1, .. })), "{failed:?}");
}

#[test]
fn long_chunks_that_are_not_wanted_any_more_can_return() {
    within(LONG, || {
        for pool in pools() {
            // Chunk 1 would never end by itself; chunk 0 answers later, if both run at once.
            let outcome = pool.launch().chunk(1).try_for_each(0..2, |span| {
                assert!(!(span.start == 0 && phalanx::is_cancelled()));
                if span.start == 0 {
                    std::thread::sleep(Duration::from_millis(20));
                }
                while span.start == 1 && !phalanx::is_cancelled() {}
                Err::<(), usize>(span.start)
            });
            assert!(matches!(outcome, Err(TryError::Kernel { error: 0, .. })), "{outcome:?}");
            let found = pool.launch().chunk(1).find_map_first(0..2, |span| {
                while span.start == 1 && !phalanx::is_cancelled() {}
                // Offered too late, and not the lowest.
                Some(span.start)
            });
            assert_eq!(found.unwrap(), Some(0));
            pool.for_each(0..100, |_| assert!(!phalanx::is_cancelled())).unwrap();
        }
    });
}
