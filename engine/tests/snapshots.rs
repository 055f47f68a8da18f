//! Readers of an array that a region changes see whole publications alone, in order, on every backend,
//! whoever is killed or stopped meanwhile, and hold up nobody.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, processes, send, within};
use ndarray::{Dimension, Ix1, Ix2, IxDyn};
use phalanx::region::RegionPublisher;
use phalanx::shared::{Publication, Publisher, Snapshot};
use phalanx::sync::Event;
use phalanx::{Backend, LaunchError, Pool, Process, RegionError, Shape, SharedArray};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(20);

fn pools() -> Vec<Pool> {
    let of = |workers, backend| Pool::builder().workers(workers).backend(backend).build().unwrap();
    vec![
        of(3, Backend::Processes),
        of(1, Backend::Processes),
        of(11, Backend::Threads),
        of(3, Backend::Threads),
        of(1, Backend::Inline),
    ]
}

/// Publishes `steps` steps, each of which fills the array with its own number. Returns the last one that was
/// published.
fn run<D: Shape>(
    pool: &Pool,
    array: &mut SharedArray<u64, D>,
    publisher: &mut Publisher<u64, D>,
    steps: std::ops::RangeInclusive<u64>,
) -> Result<u64, LaunchError> {
    let operands = (array, publisher, *steps.start(), *steps.end());
    pool.region(operands, |team, (mut array, mut publisher, first, last)| {
        let mut published = 0;
        for step in first..=last {
            team.phase(array.split_mut(), |rows| D::elements_mut(rows).fill(step))?;
            let publisher: &mut RegionPublisher<'_, u64, D> = &mut publisher;
            if publisher.publish(team, step, array.split())? {
                published = step;
            }
        }
        Ok(published)
    })
}

/// Whether it is whole. Returns its step.
#[track_caller]
fn check<D: Dimension>(frame: &Publication<u64, D>) -> u64 {
    let Publication { step, data, .. } = frame;
    assert!(data.iter().all(|element| element == step), "step {step} is torn: {data:?}");
    *step
}

/// Reads until told to stop; steps and numbers rise. Returns how many publications it saw.
fn watch<D: Shape>(mut snapshot: Snapshot<u64, D>, is_over: &AtomicBool) -> usize {
    let (mut seen, mut last) = (0, (0, 0));
    loop {
        // What was published before is seen by the round that begins after it.
        let ends = is_over.load(Ordering::SeqCst);
        match snapshot.next_timeout(Duration::from_millis(1)).unwrap() {
            Some(frame) => {
                let now = (frame.number, check(&frame));
                assert!(now > last && now.1 > last.1, "{now:?} after {last:?}");
                (seen, last) = (seen + 1, now);
                let latest = snapshot.latest().unwrap().unwrap();
                assert!(latest.number >= frame.number && check(&latest) >= now.1);
                assert!(snapshot.step().unwrap() >= Some(latest.step));
            }
            None if ends => return seen,
            None => {}
        }
    }
}

fn publications_are_whole<D: Shape>(pool: &Pool, shape: D, steps: u64) {
    let (mut publisher, snapshot) = pool.snapshot::<u64, _>(shape.clone()).unwrap();
    let mut array = pool.zeros_nd::<u64, _>(shape.clone()).unwrap();
    assert_eq!((snapshot.latest().unwrap(), snapshot.step().unwrap()), (None, None));
    assert_eq!(snapshot.shape(), shape.slice());
    let is_over = &AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let snapshot = snapshot.clone();
                scope.spawn(move || watch(snapshot, is_over))
            })
            .collect();
        let last = run(pool, &mut array, &mut publisher, 1..=steps);
        is_over.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
        last.unwrap()
    });
    let latest = snapshot.latest().unwrap().unwrap();
    assert_eq!((check(&latest), latest.data.raw_dim()), (last, shape));
    assert!((1..=steps).contains(&last), "{last} of {steps}");
    // Nobody reads any more, so nothing is skipped.
    assert_eq!(run(pool, &mut array, &mut publisher, steps + 1..=steps + 9).unwrap(), steps + 9);
    assert_eq!(snapshot.latest().unwrap().unwrap().number, latest.number + 9);
}

#[test]
fn readers_of_a_running_region_see_whole_publications_in_order() {
    within(LONG, || {
        for pool in pools() {
            publications_are_whole(&pool, Ix1(1000), 1000);
            publications_are_whole(&pool, Ix1(300_000), 30);
            publications_are_whole(&pool, Ix1(1), 300);
            publications_are_whole(&pool, Ix1(0), 300);
            publications_are_whole(&pool, Ix2(37, 53), 300);
            publications_are_whole(&pool, Ix2(0, 5), 100);
            publications_are_whole(&pool, IxDyn(&[5, 7, 3]), 300);
            assert_right(&pool);
        }
    });
}

#[test]
fn with_one_reader_nothing_is_skipped() {
    within(LONG, || {
        for pool in pools() {
            let (mut publisher, snapshot) = pool.snapshot::<u64, _>(20_000).unwrap();
            let mut array = pool.zeros::<u64>(20_000).unwrap();
            let is_over = &AtomicBool::new(false);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        if let Some(frame) = snapshot.latest().unwrap() {
                            check(&frame);
                        }
                    }
                });
                let all = pool.region((&mut array, &mut publisher), |team, (mut array, mut publisher)| {
                    let mut all = true;
                    for step in 1..=200_u64 {
                        team.phase(array.split_mut(), |rows| rows.fill(step))?;
                        all &= publisher.publish(team, step, array.split())?;
                    }
                    Ok(u8::from(all))
                });
                is_over.store(true, Ordering::Relaxed);
                reader.join().unwrap();
                assert_eq!(all.unwrap(), 1);
            });
        }
    });
}

#[test]
fn killed_ranks_tear_nothing_and_block_nobody() {
    within(LONG, || {
        let pool = Arc::new(processes(3));
        let (mut publisher, snapshot) = pool.snapshot::<u64, _>((60, 500)).unwrap();
        let mut array = pool.zeros_nd::<u64, _>((60, 500)).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (snapshot, is_over) = (snapshot.clone(), is_over.clone());
            move || watch(snapshot, &is_over)
        });
        let (mut first, mut failed) = (1, 0);
        for round in 0..40_u64 {
            let killer = std::thread::spawn({
                let pool = pool.clone();
                move || {
                    std::thread::sleep(Duration::from_micros(500 + round * 190));
                    // Rank 0 holds the lock, so mostly that one.
                    send(pool.worker_pids()[[0, 1, 0, 2][round as usize % 4]], Signal::KILL);
                }
            });
            match run(&pool, &mut array, &mut publisher, first..=first + 300) {
                Ok(_) => {}
                Err(LaunchError::WorkerDied { .. }) => failed += 1,
                Err(other) => panic!("{other}"),
            }
            killer.join().unwrap();
            first = snapshot.step().unwrap().unwrap_or(0).max(first) + 1000;
            // All three buffers can be published again.
            for step in first..first + 5 {
                assert_eq!(run(&pool, &mut array, &mut publisher, step..=step).unwrap(), step);
                assert_eq!(check(&snapshot.latest().unwrap().unwrap()), step);
            }
            first += 5;
        }
        is_over.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() > 100 && failed > 10, "only {failed} regions failed");
    });
}

/// A rank that dies between the others' copies.
#[test]
fn a_rank_that_dies_before_it_has_copied_leaves_the_last_publication() {
    within(LONG, || {
        let pool = processes(3);
        let (mut publisher, mut snapshot) = pool.snapshot::<u64, _>(900).unwrap();
        let mut array = pool.zeros::<u64>(900).unwrap();
        run(&pool, &mut array, &mut publisher, 1..=7).unwrap();
        for dying in 0..3_usize {
            let outcome =
                pool.region((&mut array, &mut publisher, dying), |team, (array, mut publisher, dying)| {
                    if team.rank() == dying {
                        let _never = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
                        std::thread::sleep(LONG);
                    }
                    publisher.publish(team, 8, array.split())?;
                    Ok(0)
                });
            assert!(matches!(outcome, Err(LaunchError::WorkerDied { .. })), "{outcome:?}");
            assert_eq!(check(&snapshot.latest().unwrap().unwrap()), 7);
        }
        assert_eq!(snapshot.next_timeout(SOON).unwrap().unwrap().step, 7);
        assert_eq!(snapshot.next_timeout(SOON).unwrap(), None);
    });
}

#[test]
fn readers_that_are_stopped_or_killed_hold_up_nobody() {
    within(LONG, || {
        let pool = processes(2);
        let (mut publisher, snapshot) = pool.snapshot::<u64, _>(100_000).unwrap();
        let mut array = pool.zeros::<u64>(100_000).unwrap();
        run(&pool, &mut array, &mut publisher, 1..=1).unwrap();
        for how in [Signal::STOP, Signal::KILL] {
            for round in 0..8 {
                let reading = Event::new().unwrap();
                let readers: Vec<Process<()>> = (0..2)
                    .map(|_| {
                        let arguments = (snapshot.clone(), reading.clone());
                        let read = |(snapshot, reading): (Snapshot<u64, Ix1>, Event)| loop {
                            let frame = snapshot.latest().expect("a publication").expect("a publication");
                            assert!(frame.data.iter().all(|element| *element == frame.step));
                            reading.set();
                        };
                        Process::spawn(read, arguments).unwrap()
                    })
                    .collect();
                reading.wait();
                std::thread::sleep(Duration::from_micros(130 * round));
                readers.iter().for_each(|reader| send(reader.pid(), how));
                // Two stopped readers may each keep a buffer, so all may be skipped, but nobody waits.
                let began = Instant::now();
                let step = snapshot.step().unwrap().unwrap();
                run(&pool, &mut array, &mut publisher, step + 1..=step + 20).unwrap();
                assert!(began.elapsed() < LONG / 4);
                check(&snapshot.latest().unwrap().unwrap());
                readers.iter().for_each(Process::kill);
                readers.into_iter().for_each(|reader| drop(reader.join()));
                // Once they are dead, what they kept is free.
                let step = snapshot.step().unwrap().unwrap();
                for step in step + 1..step + 5 {
                    assert_eq!(run(&pool, &mut array, &mut publisher, step..=step).unwrap(), step);
                }
            }
        }
    });
}

fn message(outcome: Result<u64, LaunchError>) -> String {
    match outcome {
        Err(LaunchError::Region { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_published() {
    for pool in [processes(2), Pool::builder().workers(2).backend(Backend::Threads).build().unwrap()] {
        let (mut publisher, snapshot) = pool.snapshot::<u64, _>((10, 20)).unwrap();
        for shape in [(10, 19), (9, 20), (20, 10), (0, 0)] {
            let mut array = pool.zeros_nd::<u64, _>(shape).unwrap();
            let text = message(run(&pool, &mut array, &mut publisher, 1..=1));
            assert!(text.contains("[10, 20]") && text.contains("cannot publish"), "{text}");
        }
        let mut array = pool.zeros_nd::<u64, _>((12, 20)).unwrap();
        let text = message(pool.region((&mut array, &mut publisher), |team, (array, mut publisher)| {
            publisher.publish(team, team.rank() as u64, array.range(1..11).split())?;
            Ok(0)
        }));
        assert!(text.contains("rank 1 is at step 1, but rank 0 at 0"), "{text}");
        // Ranks that name different arrays, or do something else.
        let mut other = pool.zeros_nd::<u64, _>((10, 20)).unwrap();
        let text = message(pool.region(
            (&mut array, &mut other, &mut publisher),
            |team, (array, other, mut publisher)| {
                let own = array.range(1..11);
                let from = if team.rank() == 0 { own.split() } else { other.split() };
                publisher.publish(team, 1, from)?;
                Ok(0)
            },
        ));
        assert!(text.contains("different steps"), "{text}");
        let text = message(pool.region((&mut other, &mut publisher), |team, (other, mut publisher)| {
            if team.rank() == 0 {
                publisher.publish(team, 1, other.split())?;
            } else {
                team.barrier()?;
            }
            Ok(0)
        }));
        assert!(text.contains("different steps"), "{text}");
        assert_eq!(snapshot.latest().unwrap(), None);
        // Nothing of this stays: a range of rows is published.
        let step = pool.region((&mut array, &mut publisher), |team, (mut array, mut publisher)| {
            team.phase((0..12, array.split_mut()), |(rows, mut part)| {
                part.outer_iter_mut().zip(rows).for_each(|(mut row, i)| row.fill(i as u64));
            })?;
            publisher.publish(team, 5, array.range(1..11).split())?;
            Ok(5_u64)
        });
        let frame = snapshot.latest().unwrap().unwrap();
        assert_eq!((step.unwrap(), frame.step), (5, 5));
        assert!(frame.data.outer_iter().zip(1..).all(|(row, i)| row.iter().all(|element| *element == i)));
        assert_right(&pool);
    }
}

#[test]
fn a_panic_or_error_in_the_middle_of_a_region_leaves_the_last_publication() {
    for pool in [processes(2), Pool::builder().workers(2).backend(Backend::Threads).build().unwrap()] {
        let (mut publisher, snapshot) = pool.snapshot::<u64, _>(100).unwrap();
        let mut array = pool.zeros::<u64>(100).unwrap();
        for (step, rank) in [(1_u64, 0_usize), (2, 1)] {
            let outcome = pool.region(
                (&mut array, &mut publisher, step, rank),
                |team, (mut array, mut publisher, step, rank)| {
                    team.phase(array.split_mut(), |part| part.fill(step))?;
                    publisher.publish(team, step, array.split())?;
                    if team.rank() == rank {
                        Err(RegionError::new("that is all"))?;
                    }
                    publisher.publish(team, 100, array.split())?;
                    Ok(0)
                },
            );
            assert_eq!(message(outcome), "that is all");
            assert_eq!(check(&snapshot.latest().unwrap().unwrap()), step);
        }
    }
}

#[test]
fn the_program_itself_publishes_between_launches() {
    let pool = processes(2);
    let (mut publisher, mut snapshot) = pool.snapshot::<f32, _>((4, 6)).unwrap();
    assert_eq!(snapshot.next_timeout(Duration::ZERO).unwrap(), None);
    let mut array = pool.zeros_nd::<f32, _>((4, 6)).unwrap();
    for step in 1..=5_u16 {
        pool.for_each(array.split_mut(), |mut rows| rows += 1.0).unwrap();
        assert!(publisher.publish(step.into(), array.view()).unwrap());
        let frame = snapshot.next_timeout(SOON).unwrap().unwrap();
        assert_eq!((frame.number, frame.step), (step.into(), step.into()));
        assert!(frame.data.iter().all(|element| *element == f32::from(step)));
    }
    // Any layout.
    let transposed = ndarray::Array2::from_shape_fn((6, 4), |(i, j)| (10 * i + j) as f32);
    assert!(publisher.publish(6, transposed.t()).unwrap());
    assert_eq!(snapshot.latest().unwrap().unwrap().data, transposed.t());
    // A reader that comes later has not seen it; a clone has, if the original had.
    assert_eq!(publisher.snapshot().next_timeout(Duration::ZERO).unwrap().unwrap().step, 6);
    assert!(snapshot.next_timeout(Duration::ZERO).unwrap().is_some());
    assert!(snapshot.clone().next_timeout(Duration::ZERO).unwrap().is_none());
    // The publisher's end takes nothing away.
    drop(publisher);
    assert_eq!(snapshot.step().unwrap(), Some(6));
    let began = Instant::now();
    assert!(snapshot.next_timeout(SOON).unwrap().is_none() && began.elapsed() >= SOON);
}

#[test]
fn kernels_and_bodies_read_snapshots_too() {
    for pool in pools() {
        let (mut publisher, snapshot) = pool.snapshot::<u64, _>(10).unwrap();
        assert!(publisher.publish(9, ndarray::ArrayView1::from(&[3; 10])).unwrap());
        let mut out = pool.zeros::<u64>(100).unwrap();
        pool.for_each((out.split_mut(), &snapshot), |(out, snapshot)| {
            let frame = snapshot.latest().expect("no fork").expect("published");
            out.fill(frame.step + frame.data[9]);
        })
        .unwrap();
        assert!(out.as_slice().iter().all(|out| *out == 12));
        // One publisher, whose readers are ranks of the same region.
        let sum = pool.region((&mut out, &snapshot), |team, (_out, snapshot)| {
            let step = snapshot.step().map_err(RegionError::new)?.unwrap_or(0);
            team.all_reduce(step, |a, b| a + b)
        });
        assert_eq!(sum.unwrap(), 9 * pool.workers() as u64);
    }
}

#[test]
fn inside_a_kernel_a_region_publishes_too() {
    for pool in pools() {
        let mut seen = pool.zeros::<u64>(6).unwrap();
        pool.for_each((seen.split_mut(), 0..6), |(seen, span)| {
            let inner = Pool::builder().build().unwrap();
            let (mut publisher, snapshot) = inner.snapshot::<u64, _>(50).unwrap();
            let mut array = inner.zeros::<u64>(50).unwrap();
            let first = span.start as u64 + 1;
            let last = run(&inner, &mut array, &mut publisher, first..=first + 4).unwrap();
            let frame = snapshot.latest().unwrap().unwrap();
            assert_eq!((check(&frame), last, frame.number), (first + 4, first + 4, 5));
            seen.fill(last);
        })
        .unwrap();
        assert!(seen.as_slice().iter().all(|seen| *seen >= 5));
    }
}

#[test]
fn lengths_that_no_memory_has_are_refused() {
    let pool = Pool::builder().backend(Backend::Inline).build().unwrap();
    for len in [usize::MAX, usize::MAX / 8, usize::MAX / 24, 1 << 50] {
        let error = pool.snapshot::<u64, _>(len).unwrap_err();
        assert!(matches!(error, phalanx::Error::Sync(_)), "{error}");
    }
    assert!(pool.snapshot::<u64, _>((usize::MAX, usize::MAX, 2)).is_err());
    // Axes beyond what travels.
    let (mut publisher, _snapshot) = pool.snapshot::<u8, _>(IxDyn(&[1; 7])).unwrap();
    assert!(publisher.publish(1, ndarray::ArrayD::zeros(IxDyn(&[1; 7])).view()).unwrap());
    let outcome = pool.region(&mut publisher, |_, _| Ok(0));
    assert!(matches!(outcome, Err(LaunchError::BadGrant { .. })), "{outcome:?}");
}
