//! Steps of a region whose chunks are shared out: `for_each` and `reduce_chunks`.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, deaths, processes, within};
use phalanx::sync::Counter;
use phalanx::{Backend, Edge, LaunchError, Pool};
use std::time::Duration;

fn backends(workers: usize) -> [Pool; 2] {
    [Backend::Processes, Backend::Threads]
        .map(|backend| Pool::builder().workers(workers).backend(backend).build().unwrap())
}

#[test]
fn every_row_is_done_once_whatever_the_length() {
    for workers in [1, 2, 3, 7, 11] {
        for pool in backends(workers) {
            for len in [0, 1, 5, 16, 113, 1_000, 70_001] {
                let mut times = pool.zeros::<u32>(len).unwrap();
                let mut at = pool.zeros::<u64>(len).unwrap();
                pool.region((&mut times, &mut at, len), |team, (mut times, mut at, len)| {
                    for _ in 0..3 {
                        team.for_each((times.split_mut(), at.split_mut(), 0..len), |(times, at, rows)| {
                            assert_eq!(times.len(), rows.len());
                            times.iter_mut().for_each(|times| *times += 1);
                            at.iter_mut().zip(rows).for_each(|(at, row)| *at = row as u64);
                        })?;
                    }
                    Ok(())
                })
                .unwrap();
                assert!(times.as_slice().iter().all(|times| *times == 3), "{workers} workers, {len} rows");
                assert!(at.as_slice().iter().zip(0..).all(|(at, row)| *at == row));
            }
        }
    }
}

#[test]
fn parts_go_to_whoever_comes_first_whole() {
    let pool = processes(3);
    let cuts: Vec<usize> = (0..=40).map(|part| part * part).collect();
    let mut y = pool.zeros::<u64>(1600).unwrap();
    let offsets = pool.from_slice(&cuts).unwrap();
    pool.region((&mut y, &offsets), |team, (mut y, offsets)| {
        let cuts: Vec<usize> = offsets.view().to_vec();
        team.for_each((y.split_at_mut(&cuts), 0..40), |(rows, parts)| {
            let first = cuts[parts.start];
            for part in parts {
                rows[cuts[part] - first..cuts[part + 1] - first].fill(part as u64);
            }
        })
    })
    .unwrap();
    let part_of = |row: usize| cuts.iter().filter(|cut| **cut <= row).count() - 1;
    assert!(y.as_slice().iter().enumerate().all(|(row, part)| *part == part_of(row) as u64));
}

/// Waits until `counter` has reached `target`, or for a minute.
fn wait_for(counter: &Counter, target: u64) {
    let until = std::time::Instant::now() + LONG;
    while counter.get() < target {
        assert!(std::time::Instant::now() < until, "nobody else does the chunks of a rank that is held up");
        std::thread::yield_now();
    }
}

#[test]
fn others_do_the_chunks_of_a_rank_that_is_held_up() {
    for pool in backends(3) {
        let done = Counter::new(0).unwrap();
        let mut y = pool.zeros::<u64>(48).unwrap();
        pool.region((&mut y, &done), |team, (mut y, done)| {
            let rank = team.rank();
            // Rank 0 does not get past its first row before all others are done.
            team.for_each((y.split_mut(), 0..48), |(y, rows)| {
                if rank == 0 && rows.contains(&0) {
                    wait_for(&done, 47);
                }
                y.fill(1);
                done.add(rows.len() as u64);
            })
        })
        .unwrap();
        assert!(y.as_slice().iter().all(|y| *y == 1));
    }
}

#[test]
fn others_do_the_leaves_of_a_rank_that_is_held_up_and_the_bits_are_the_same() {
    let values = |i: usize| (i as f64 * 0.37).sin() * 1e3;
    let pool = processes(3);
    let x = pool.from_fn(100_000, values).unwrap();
    let want = pool.reduce(x.split(), 0.0, |x| x.iter().sum::<f64>(), |a, b| a + b).unwrap();
    for pool in backends(3) {
        let done = Counter::new(0).unwrap();
        let x = pool.from_fn(100_000, values).unwrap();
        let sum = pool
            .region((&x, &done), |team, (x, done)| {
                let mut held_up = team.rank() == 1;
                team.reduce_chunks(
                    (x.split(), 0..100_000),
                    0.0,
                    |(x, rows)| {
                        if std::mem::take(&mut held_up) {
                            // Its own chunk has some leaves; those of other chunks are done by others.
                            wait_for(&done, 90_000);
                        }
                        done.add(rows.len() as u64);
                        x.iter().sum::<f64>()
                    },
                    |a, b| a + b,
                )
            })
            .unwrap();
        assert_eq!(sum.to_bits(), want.to_bits());
    }
}

#[test]
fn halos_with_edges_are_those_of_launches() {
    for edge in [Edge::Clamp, Edge::Wrap, Edge::Fill(-7.0), Edge::Shrink] {
        let pool = processes(3);
        let x = pool.from_fn(3_001, |i| i as f64).unwrap();
        let mut y = pool.zeros::<f64>(3_001).unwrap();
        let code = match edge {
            Edge::Shrink => 0,
            Edge::Clamp => 1,
            Edge::Wrap => 2,
            _ => 3,
        };
        pool.region((&x, &mut y, code), |team, (x, mut y, code)| {
            let edge = [Edge::Shrink, Edge::Clamp, Edge::Wrap, Edge::Fill(-7.0)][code as usize];
            team.for_each((y.split_mut(), x.halo(2, edge), 0..3_001), |(y, x, rows)| {
                let lead = if edge == Edge::Shrink { rows.start.min(2) } else { 2 };
                for (i, y) in y.iter_mut().enumerate() {
                    let at = i + lead;
                    let far = if at >= 2 { x[at - 2] } else { 0.5 };
                    *y = far + x.get(at + 2).copied().unwrap_or(0.5);
                }
            })
        })
        .unwrap();
        let source = |i: i64| match edge {
            _ if (0..3_001).contains(&i) => i as f64,
            Edge::Clamp => i.clamp(0, 3_000) as f64,
            Edge::Wrap => i.rem_euclid(3_001) as f64,
            Edge::Fill(value) => value,
            Edge::Shrink => 0.5,
        };
        for (i, y) in y.as_slice().iter().enumerate() {
            assert_eq!(*y, source(i as i64 - 2) + source(i as i64 + 2), "{edge:?}, row {i}");
        }
    }
}

#[test]
fn a_for_each_and_a_phase_are_different_steps() {
    for pool in backends(2) {
        let mut x = pool.zeros::<f64>(1000).unwrap();
        let outcome = pool.region(&mut x, |team, mut x| {
            if team.rank() == 0 {
                team.for_each(x.split_mut(), |x| x.fill(1.0))
            } else {
                team.phase(x.split_mut(), |x| x.fill(1.0))
            }
        });
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains("a for_each") && text.contains("a phase"), "{text}");
        assert!(x.as_slice().iter().all(|x| *x == 0.0), "nothing was opened");
        assert_right(&pool);
    }
}

#[test]
fn a_kill_in_a_chunk_ends_the_region_with_an_error_and_the_pool_heals() {
    within(LONG, || {
        let pool = processes(3);
        let mut x = pool.zeros::<f64>(1000).unwrap();
        let outcome = pool.launch().timeout(Duration::from_secs(50)).region(&mut x, |team, mut x| {
            team.for_each((x.split_mut(), 0..1000), |(x, rows)| {
                if rows.contains(&700) {
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                        .unwrap();
                }
                x.fill(1.0);
            })
        });
        let (deaths, _, _) = deaths(outcome);
        assert_eq!(deaths.len(), 1);
        assert_right(&pool);
    });
}

#[test]
fn a_panic_in_a_chunk_is_reported() {
    for pool in backends(3) {
        let mut x = pool.zeros::<f64>(1000).unwrap();
        let outcome = pool.region(&mut x, |team, mut x| {
            team.for_each((x.split_mut(), 0..1000), |(_, rows)| assert!(!rows.contains(&10), "row ten"))
        });
        match outcome {
            Err(LaunchError::Panicked { message, .. }) => assert!(message.contains("row ten"), "{message}"),
            other => panic!("{other:?}"),
        }
        assert_right(&pool);
    }
}
