//! Regions whose ranks die, panic, disagree or fail: an error on all ranks, soon, and the next launch is
//! right.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, deaths, processes, send, signal, state_of, within};
use phalanx::{Backend, LaunchError, Pool, RegionError};
use rustix::process::Signal;
use std::time::Duration;

fn die() {
    let _never = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    loop {
        std::hint::spin_loop();
    }
}

/// Teams that meet all to all, and in a tree.
const SIZES: [usize; 2] = [3, 11];

#[test]
fn a_death_breaks_the_team_and_names_the_dead() {
    within(LONG, || {
        for size in SIZES {
            let pool = processes(size);
            let outcome = pool.region(0_u64, |team, _| {
                for round in 0..100 {
                    team.barrier()?;
                    if team.rank() == 1 && round == 50 {
                        die();
                    }
                }
                Ok(0_u64)
            });
            let (deaths, lost, text) = deaths(outcome.map(drop));
            assert_eq!((deaths.len(), deaths[0].rank, lost.len()), (1, 1, 0), "{text}");
            assert_eq!(signal(deaths[0].cause), libc::SIGKILL);
            assert!(text.contains("SIGKILL") && text.contains("region_faults.rs"), "{text}");
            assert_right(&pool);
            assert_eq!(
                pool.region(0_u64, |team, _| team.all_reduce(1_u64, |a, b| a + b)).unwrap(),
                size as u64
            );
        }
    });
}

#[test]
fn a_death_is_the_error_even_if_others_panic_over_it() {
    within(LONG, || {
        let pool = processes(3);
        let outcome = pool.region(0_u64, |team, _| {
            if team.rank() == 2 {
                die();
            }
            team.barrier().unwrap();
            Ok(0_u64)
        });
        assert_eq!(deaths(outcome.map(drop)).0[0].rank, 2);
        assert_right(&pool);
    });
}

#[test]
fn kills_from_outside_during_regions() {
    within(LONG, || {
        let pool = std::sync::Arc::new(processes(3));
        for round in 0..20_u64 {
            let killer = std::thread::spawn({
                let pool = pool.clone();
                move || {
                    std::thread::sleep(Duration::from_micros(round * 170));
                    send(pool.worker_pids()[round as usize % 3], Signal::KILL);
                }
            });
            let outcome = pool.region(0_u64, |team, _| {
                let mut sum = 0;
                for _ in 0..300 {
                    sum = team.all_reduce(1_u64, |a, b| a + b)?;
                }
                Ok(sum)
            });
            match outcome {
                Ok(sum) => assert_eq!(sum, 3),
                Err(LaunchError::WorkerDied { deaths, .. }) => assert_eq!(deaths[0].rank as u64, round % 3),
                // Killed three times in a row while idle.
                Err(LaunchError::PoolBroken { .. }) => return,
                Err(other) => panic!("{other}"),
            }
            killer.join().unwrap();
        }
    });
}

#[test]
fn an_idle_death_just_before_a_region_is_no_error() {
    within(LONG, || {
        let pool = processes(2);
        for round in 0..20 {
            let pid = pool.worker_pids()[round % 2];
            send(pid, Signal::KILL);
            // At some time between the death and the start of the successor.
            while round % 4 > 1 && state_of(pid).is_some_and(|state| state != 'Z') {
                std::thread::yield_now();
            }
            match pool.region(0_u64, |team, _| team.all_reduce(1_u64, |a, b| a + b)) {
                Ok(sum) => assert_eq!(sum, 2),
                // The kill came when the region had begun.
                Err(LaunchError::WorkerDied { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    });
}

fn region_error(outcome: Result<u64, LaunchError>) -> String {
    match outcome {
        Err(LaunchError::Region { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

fn backends(size: usize) -> [Pool; 2] {
    [processes(size), Pool::builder().workers(size).backend(Backend::Threads).build().unwrap()]
}

#[test]
fn ranks_that_disagree_are_told_where() {
    for size in SIZES {
        for pool in backends(size) {
            let outcome = pool.region(0_u64, |team, _| {
                if team.rank() == 1 {
                    team.broadcast(0, 1_u64)
                } else {
                    team.barrier()?;
                    Ok(0)
                }
            });
            let text = region_error(outcome);
            assert!(text.contains("different steps") && text.contains("a broadcast"), "{text}");
            // A rank that leaves while others go on.
            let outcome = pool.region(0_u64, |team, _| {
                if team.rank() != 0 {
                    team.barrier()?;
                }
                Ok(0)
            });
            let text = region_error(outcome);
            assert!(text.contains("the body's end"), "{text}");
            // An error that the body swallows stays an error.
            let outcome = pool.region(0_u64, |team, _| {
                let _swallowed =
                    if team.rank() == 0 { team.barrier() } else { team.broadcast(0, 1_u64).map(drop) };
                let _swallowed = team.barrier();
                Ok(0)
            });
            region_error(outcome);
            assert_right(&pool);
        }
    }
}

#[test]
fn different_phases_of_different_arrays_are_a_disagreement() {
    for pool in backends(2) {
        let mut x = pool.zeros::<f64>(1000).unwrap();
        let mut y = pool.zeros::<f64>(1000).unwrap();
        let outcome = pool.region((&mut x, &mut y), |team, (mut x, mut y)| {
            let mine = if team.rank() == 0 { x.split_mut() } else { y.split_mut() };
            team.phase(mine, |part| part.fill(1.0))?;
            Ok(0)
        });
        assert!(region_error(outcome).contains("a phase"));
        assert!(x.as_slice().iter().chain(y.as_slice()).all(|x| *x == 0.0), "nothing was opened");
        assert_right(&pool);
    }
}

#[test]
fn a_panic_poisons_and_is_told() {
    for size in SIZES {
        for pool in backends(size) {
            let outcome = pool.region(0_u64, |team, _| {
                team.barrier()?;
                if team.rank() == 2 {
                    panic!("rank two gives up");
                }
                team.barrier()?;
                Ok(0_u64)
            });
            match outcome {
                Err(LaunchError::Panicked { rank: 2, message, .. }) => {
                    assert_eq!(message, "rank two gives up")
                }
                other => panic!("{other:?}"),
            }
            assert_right(&pool);
        }
    }
}

#[test]
fn an_error_of_the_body_is_told_with_its_rank() {
    for pool in backends(3) {
        let outcome = pool.region(0_u64, |team, _| {
            if team.rank() == 1 {
                return Err(RegionError::new("no convergence"));
            }
            team.barrier()?;
            Ok(0_u64)
        });
        match outcome {
            Err(LaunchError::Region { rank: 1, message, .. }) => assert_eq!(message, "no convergence"),
            other => panic!("{other:?}"),
        }
        assert_right(&pool);
    }
}

#[test]
fn a_rank_that_never_arrives_is_killed_at_the_time_limit() {
    within(LONG, || {
        let pool = processes(3);
        let launch = pool.launch().timeout(Duration::from_millis(40)).grace(Duration::from_millis(5));
        let outcome = launch.region(0_u64, |team, _| {
            while team.rank() == 1 {
                std::hint::spin_loop();
            }
            team.barrier()?;
            Ok(0_u64)
        });
        assert!(matches!(outcome, Err(LaunchError::TimedOut { .. })), "{outcome:?}");
        assert_right(&pool);
    });
}

#[test]
fn parts_of_a_phase_are_each_ranks_own_and_bad_offsets_are_refused() {
    for size in [1, 2, 3] {
        for pool in backends(size) {
            let mut x = pool.zeros::<u64>(1000).unwrap();
            let y = pool.from_fn(1000, |i| i as u64).unwrap();
            // As many parts as ranks, and more; one is empty, and the ends are left out.
            for cuts in [size.max(2), 5 * size] {
                let sum = pool.region((&mut x, &y, cuts as u64), |team, (mut x, y, cuts)| {
                    let mut offsets: Vec<usize> =
                        (0..=cuts as usize).map(|part| 7 + part * part * 3).collect();
                    offsets[1] = offsets[0];
                    let rank = team.rank() as u64;
                    let own = team.phase((x.split_at_mut(&offsets), y.split_at(&offsets)), |(x, y)| {
                        x.fill(rank + 1);
                        y.iter().sum::<u64>()
                    })?;
                    team.all_reduce(own, |a, b| a + b)
                });
                let last = 7 + cuts * cuts * 3;
                let first = 7;
                let want: u64 = (first as u64..last as u64).sum();
                assert_eq!(sum.unwrap(), want);
                assert!(x.as_slice()[first..last].iter().all(|x| (1..=size as u64).contains(x)));
                assert!(x.as_slice()[first..last].is_sorted(), "parts go to ranks in order");
                assert!(x.as_slice()[..first].iter().chain(&x.as_slice()[last..]).all(|x| *x == 0));
            }
            for which in 0..3_usize {
                let outcome = pool.region((&mut x, which), |team, (mut x, which)| {
                    let offsets = [vec![0, 500, 400], vec![0, 1001], vec![]][which].clone();
                    team.phase(x.split_at_mut(&offsets), |x| x.fill(9))?;
                    Ok(0)
                });
                assert!(region_error(outcome).contains("ascend"));
            }
            assert!(x.as_slice().iter().all(|x| *x != 9), "nothing was opened");
            assert_right(&pool);
        }
    }
}

#[test]
fn ranks_with_different_offsets_disagree() {
    for pool in backends(2) {
        let mut x = pool.zeros::<f64>(1000).unwrap();
        let outcome = pool.region(&mut x, |team, mut x| {
            let offsets = [0, 500 + team.rank(), 1000];
            team.phase(x.split_at_mut(&offsets), |part| part.fill(1.0))?;
            Ok(0)
        });
        assert!(region_error(outcome).contains("a phase"));
        assert!(x.as_slice().iter().all(|x| *x == 0.0), "nothing was opened");
        assert_right(&pool);
    }
}
