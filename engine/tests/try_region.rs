//! Regions whose bodies return errors of their own: the caller receives that of the lowest rank that failed
//! by itself, on every backend, and the next launch is right.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, deaths, processes, send, within};
use phalanx::{Backend, BodyError, LaunchError, Pool, RegionError, Team, TryError};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Teams of one, teams that meet all to all, and one that meets in a tree.
const SIZES: [usize; 4] = [1, 2, 3, 11];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Failure {
    Diverged { rank: usize, step: u64 },
    Team(String),
    Long(Vec<u64>),
}

/// One pool of each kind.
fn backends(size: usize) -> Vec<Pool> {
    let of = |backend| Pool::builder().workers(size).backend(backend).build().unwrap();
    let mut pools = vec![of(Backend::Processes), of(Backend::Threads)];
    if size == 1 {
        pools.push(of(Backend::Inline));
    }
    pools
}

fn own<R: std::fmt::Debug>(outcome: Result<R, TryError<Failure>>) -> (usize, Failure) {
    match outcome {
        Err(TryError::Body { site, rank, error }) => {
            assert!(site.contains("try_region.rs"), "{site}");
            (rank, error)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_error_is_that_of_the_lowest_rank_that_failed() {
    for size in SIZES {
        for pool in backends(size) {
            for first in [0, size / 2, size - 1] {
                for _ in 0..3 {
                    let outcome = pool.try_region(first, |team, first| {
                        for step in 0..20_u64 {
                            team.barrier()?;
                            if step == 13 && team.rank() >= first {
                                return Err(Failure::Diverged { rank: team.rank(), step }.into());
                            }
                        }
                        Ok(0_u64)
                    });
                    assert_eq!(
                        own(outcome),
                        (first, Failure::Diverged { rank: first, step: 13 }),
                        "{pool:?}"
                    );
                }
            }
            assert_right(&pool);
        }
    }
}

#[test]
fn without_an_error_it_is_a_region() {
    for size in SIZES {
        for pool in backends(size) {
            let mut x = pool.zeros::<u64>(1000).unwrap();
            let sum = pool.try_region((&mut x, 3_u64), |team, (mut x, value)| {
                team.phase(x.split_mut(), |x| x.fill(value))?;
                let sum = team.reduce_chunks(x.split(), 0, |x| x.iter().sum(), |a, b| a + b)?;
                if sum != 3000 {
                    Err("a wrong sum".to_string())?;
                }
                Ok(sum)
            });
            assert_eq!(sum.unwrap(), 3000);
            let ranks = pool.launch().try_region_each((), |team, ()| {
                team.barrier()?;
                if team.size() == 0 {
                    Err(0_u8)?
                }
                Ok(team.rank())
            });
            assert_eq!(ranks.unwrap().results, (0..size).collect::<Vec<_>>());
        }
    }
}

/// A part of a body, of which the body takes the error on by `?`.
fn divide(team: &mut Team<'_>, by: u64) -> Result<u64, Failure> {
    100_u64.checked_div(by).ok_or_else(|| Failure::Diverged { rank: team.rank(), step: by })
}

#[test]
fn the_question_mark_takes_errors_of_steps_and_of_the_body() {
    for pool in backends(2) {
        let outcome = pool.try_region(0_u64, |team, zero| {
            team.barrier()?;
            let value = divide(team, if team.rank() == 1 { zero } else { 4 })?;
            Ok(team.all_reduce(value, |a, b| a + b)?)
        });
        assert_eq!(own(outcome), (1, Failure::Diverged { rank: 1, step: 0 }));
        let outcome = pool.try_region((), |_, ()| {
            let parsed = "nonsense".parse::<u64>().map_err(|error| Failure::Team(error.to_string()))?;
            Ok(parsed)
        });
        assert_eq!(own(outcome), (0, Failure::Team("invalid digit found in string".into())));
    }
}

#[test]
fn what_a_body_makes_of_a_broken_team_is_not_the_reason() {
    for size in SIZES {
        for pool in backends(size) {
            let outcome = pool.try_region((), |team, ()| {
                if team.rank() + 1 == team.size() {
                    return Err(Failure::Diverged { rank: team.rank(), step: 0 }.into());
                }
                // Lower ranks, with errors of their own type.
                team.barrier().map_err(|error| Failure::Team(error.to_string()))?;
                Ok(0_u64)
            });
            assert_eq!(own(outcome), (size - 1, Failure::Diverged { rank: size - 1, step: 0 }));
            let outcome = pool.try_region((), |team, ()| {
                if team.rank() + 1 == team.size() {
                    return Err(Failure::Diverged { rank: team.rank(), step: 0 }.into());
                }
                let _swallowed = team.barrier();
                Ok(0_u64)
            });
            assert_eq!(own(outcome).0, size - 1);
            assert_right(&pool);
        }
    }
}

#[test]
fn errors_of_steps_are_errors_of_the_launch() {
    for pool in backends(3) {
        let mut x = pool.zeros::<u64>(100).unwrap();
        let outcome: Result<u64, TryError<Failure>> = pool.try_region(&mut x, |team, mut x| {
            team.phase((x.split_mut(), 0..99), |_| ())?;
            Ok(0)
        });
        match outcome {
            Err(TryError::Launch(LaunchError::Region { rank: 0, message, .. })) => {
                assert!(message.contains("100 and 99 rows"), "{message}")
            }
            other => panic!("{other:?}"),
        }
        // Ranks that disagree, and have errors of their own about it.
        let outcome: Result<u64, TryError<Failure>> = pool.try_region((), |team, ()| {
            let met = if team.rank() == 0 { team.barrier() } else { team.broadcast(0, 1_u64).map(drop) };
            met.map_err(|error| Failure::Team(error.to_string()))?;
            Ok(0)
        });
        match outcome {
            Err(TryError::Launch(LaunchError::Region { message, .. })) => {
                assert!(message.contains("different steps"), "{message}")
            }
            other => panic!("{other:?}"),
        }
        let outcome: Result<u64, TryError<Failure>> =
            pool.try_region((), |_, ()| Err(RegionError::new("no convergence").into()));
        assert!(format!("{outcome:?}").ends_with(": no convergence)"), "{outcome:?}");
        assert_right(&pool);
    }
}

#[test]
fn panics_and_deaths_come_before_errors() {
    within(LONG, || {
        for pool in backends(3) {
            let outcome = pool.try_region((), |team, ()| {
                if team.rank() == 2 {
                    panic!("rank two gives up");
                }
                Err::<u64, _>(Failure::Diverged { rank: team.rank(), step: 0 }.into())
            });
            assert!(
                matches!(&outcome, Err(TryError::Launch(LaunchError::Panicked { rank: 2, .. }))),
                "{outcome:?}"
            );
            assert_right(&pool);
        }
        let pool = processes(3);
        let outcome = pool.try_region((), |team, ()| {
            team.barrier()?;
            if team.rank() == 1 {
                let _never = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
                loop {
                    std::hint::spin_loop();
                }
            }
            if team.rank() == 2 {
                Err(Failure::Diverged { rank: 2, step: 0 })?;
            }
            team.barrier()?;
            Ok(0_u64)
        });
        match outcome {
            Err(TryError::Launch(error)) => assert_eq!(deaths(Err(error)).0[0].rank, 1),
            other => panic!("{other:?}"),
        }
        assert_right(&pool);
        let limited = pool.launch().timeout(Duration::from_millis(40)).grace(Duration::from_millis(5));
        let outcome = limited.try_region((), |team, ()| {
            while team.rank() == 1 {
                std::hint::spin_loop();
            }
            team.barrier()?;
            Err::<u64, _>(BodyError::Own(Failure::Diverged { rank: team.rank(), step: 0 }))
        });
        assert!(matches!(&outcome, Err(TryError::Launch(LaunchError::TimedOut { .. }))), "{outcome:?}");
        assert_right(&pool);
    });
}

#[test]
fn kills_from_outside_while_bodies_fail() {
    within(LONG, || {
        let pool = std::sync::Arc::new(processes(3));
        for round in 0..30_u64 {
            let killer = std::thread::spawn({
                let pool = pool.clone();
                move || {
                    std::thread::sleep(Duration::from_micros(round * 110));
                    send(pool.worker_pids()[round as usize % 3], Signal::KILL);
                }
            });
            let outcome = pool.try_region(300, |team, steps| {
                for _ in 0..steps {
                    team.barrier()?;
                }
                Err::<u64, _>(Failure::Long(vec![team.rank() as u64; 10_000]).into())
            });
            match outcome {
                Err(TryError::Body { rank: 0, error, .. }) => {
                    assert_eq!(error, Failure::Long(vec![0; 10_000]))
                }
                Err(TryError::Launch(LaunchError::WorkerDied { deaths, .. })) => {
                    assert_eq!(deaths[0].rank as u64, round % 3)
                }
                // Killed three times in a row while idle.
                Err(TryError::Launch(LaunchError::PoolBroken { .. })) => return,
                other => panic!("{other:?}"),
            }
            killer.join().unwrap();
        }
    });
}

/// An error that cannot be encoded.
#[derive(Debug, Deserialize)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _to: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it will not go"))
    }
}

#[test]
fn errors_of_any_length_travel_and_those_that_cannot_are_told() {
    for pool in backends(3) {
        for len in [0, 1, 100_000] {
            let outcome = pool.try_region(len, |team, len| {
                team.barrier()?;
                Err::<u64, _>(Failure::Long((0..len).map(|i| i + team.rank() as u64).collect()).into())
            });
            assert_eq!(own(outcome), (0, Failure::Long((0..len).collect())));
        }
        let outcome = pool.try_region((), |team, ()| {
            team.barrier()?;
            if team.rank() == 1 {
                return Err(Stubborn.into());
            }
            team.barrier()?;
            Ok(0_u64)
        });
        match outcome {
            Err(TryError::Launch(LaunchError::Codec { why, .. })) => assert!(why.contains("it will not go")),
            other => panic!("{other:?}"),
        }
        assert_right(&pool);
    }
}

#[test]
fn inside_a_kernel_a_region_may_fail_too() {
    for pool in backends(2) {
        let mut seen = pool.zeros::<u64>(10).unwrap();
        pool.for_each((seen.split_mut(), 0..10), |(seen, span)| {
            let inner = Pool::builder().build().unwrap();
            let outcome = inner.try_region(span.start as u64, |team, start| {
                team.barrier()?;
                Err::<u64, _>(start.into())
            });
            match outcome {
                Err(TryError::Body { rank: 0, error, .. }) => seen.fill(error + 1),
                other => panic!("{other:?}"),
            }
        })
        .unwrap();
        assert!(seen.as_slice().iter().all(|seen| *seen > 0));
    }
}
