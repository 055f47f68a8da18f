//! Parts of an array in tasks and processes: each is one writer's at a time, whoever dies, panics, is run
//! again or cannot be stopped, and the array comes back whole or not at all.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, send, within};
use ndarray::Ix2;
use phalanx::sync::{Event, LockError};
use phalanx::{ArrayPart, ArrayParts, Backend, Pool, Process, SharedArray, TaskError};
use rustix::process::Signal;
use std::sync::Mutex;
use std::time::Duration;

const BACKENDS: [Backend; 3] = [Backend::Processes, Backend::Threads, Backend::Inline];
/// Elements of an array in the arena, and of one in a segment of its own.
const SIZES: [usize; 2] = [1000, 1 << 19];

fn pool(backend: Backend) -> Pool {
    Pool::builder().workers(2).backend(backend).build().unwrap()
}

/// Writes each row's number, and some more.
fn number((part, more): (ArrayPart<u64>, u64)) -> usize {
    let mut rows = part.overwrite().unwrap();
    let first = part.rows().start as u64;
    rows.iter_mut().zip(first..).for_each(|(row, i)| *row = i + more);
    rows.len()
}

fn assert_numbered(array: &SharedArray<u64>, more: u64) {
    let wrong = array.as_slice().iter().enumerate().find(|(i, row)| **row != *i as u64 + more);
    assert_eq!(wrong, None);
}

fn is_poisoned<T>(error: &LockError<T>) -> bool {
    matches!(error, LockError::OwnerDied(_))
}

#[test]
fn every_kind_of_call_writes_parts_in_place() {
    for (backend, len) in BACKENDS.into_iter().flat_map(|backend| SIZES.map(|len| (backend, len))) {
        let pool = pool(backend);
        let parts = pool.zeros::<u64>(len).unwrap().into_parts(&[0, 1, 1, len / 2, len]).unwrap();
        assert_eq!(parts.len(), 6);
        let sizes = pool.map(number, parts.iter().map(|part| (part.clone(), 1))).unwrap();
        assert_eq!(sizes, [0, 1, 0, len / 2 - 1, len - len / 2, 0]);
        let array = parts.join().unwrap();
        assert_numbered(&array, 1);

        let parts = array.into_chunks(len / 7).unwrap();
        assert_eq!((parts.len(), parts[7].rows()), (8, len / 7 * 7..len));
        let swap = |part: ArrayPart<u64>, more: u64| number((part, more));
        assert_eq!(pool.starmap(swap, parts.iter().cloned().zip(0..8)).unwrap().len(), 8);
        for sizes in pool.imap_unordered(number, parts.iter().map(|part| (part.clone(), 2))) {
            sizes.unwrap();
        }
        pool.apply_async(number, (parts[3].clone(), 2)).get().unwrap();
        let array = parts.join().unwrap();
        assert_numbered(&array, 2);

        let whole = array.into_parts(&[]).unwrap();
        assert_eq!(pool.apply(number, (whole[0].clone(), 5)).unwrap(), len);
        assert_numbered(&whole.join().unwrap(), 5);
    }
}

#[test]
fn rows_of_more_axes_are_views() {
    let fill = |part: ArrayPart<f32, Ix2>| {
        let mut rows = part.lock().unwrap();
        assert_eq!(rows.view().dim(), (part.rows().len(), 5));
        for ((i, j), element) in rows.view_mut().indexed_iter_mut() {
            *element = (part.rows().start + i) as f32 * 10.0 + j as f32;
        }
        part.shape().to_vec()
    };
    for backend in BACKENDS {
        let array = SharedArray::<f32, Ix2>::zeros((7, 5)).unwrap();
        let parts = array.into_chunks(3).unwrap();
        let shapes = pool(backend).map(fill, parts.iter().cloned()).unwrap();
        assert_eq!(shapes, [[3, 5], [3, 5], [1, 5]]);
        let array = parts.join().unwrap();
        assert_eq!((array.view()[(6, 4)], array.view()[(3, 0)], array.shape()), (64.0, 30.0, &[7, 5][..]));
    }
    // No rows: no chunks, or one empty part.
    let empty = || SharedArray::<f32, Ix2>::zeros((0, 5)).unwrap();
    assert_eq!(empty().into_chunks(3).unwrap().join().unwrap().shape(), [0, 5]);
    let parts = empty().into_parts(&[]).unwrap();
    assert!(parts[0].overwrite().unwrap().is_empty());
    assert_eq!(parts.join().unwrap().shape(), [0, 5]);
}

#[test]
fn processes_write_parts() {
    for len in SIZES {
        let parts = SharedArray::<u64>::zeros(len).unwrap().into_chunks(len / 2).unwrap();
        let processes: Vec<_> =
            parts.iter().map(|part| Process::spawn(number, (part.clone(), 3)).unwrap()).collect();
        for process in processes {
            assert_eq!(process.join().unwrap(), len / 2);
        }
        assert_numbered(&parts.join().unwrap(), 3);
    }
}

#[test]
fn who_dies_while_writing_leaves_a_part_that_says_so_until_it_is_written_again() {
    let die = |part: ArrayPart<u64>| {
        let mut rows = part.lock().unwrap();
        rows[0] = 77;
        if part.rows().start == 500 {
            send(std::process::id(), Signal::KILL);
            std::thread::park();
        }
    };
    let pool = pool(Backend::Processes);
    let parts = pool.zeros::<u64>(1000).unwrap().into_chunks(250).unwrap();
    let results = pool.tasks().chunksize(1).try_map(die, parts.iter().cloned()).unwrap();
    let died: Vec<bool> =
        results.iter().map(|result| matches!(result, Err(TaskError::WorkerDied { .. }))).collect();
    assert_eq!(died, [false, false, true, false]);

    let error = parts.join().unwrap_err();
    assert!(error.part() == 2 && is_poisoned(error.cause()), "{error}");
    let parts = error.into_parts();
    assert!(parts[2].is_poisoned() && !parts[1].is_poisoned());
    // In another process, which is told too.
    let told = |part: ArrayPart<u64>| match part.lock() {
        Err(LockError::OwnerDied(guard)) => guard[0],
        other => panic!("{other:?}"),
    };
    assert_eq!(pool.apply(told, parts[2].clone()).unwrap(), 77);
    pool.apply(number, (parts[2].clone(), 0)).unwrap();
    let array = parts.join().unwrap();
    assert_eq!((array.as_slice()[500], array.as_slice()[501], array.as_slice()[750]), (500, 501, 77));
}

#[test]
fn a_panic_while_writing_is_told_at_the_join_and_can_be_accepted() {
    let give_up = |part: ArrayPart<u64>| {
        let mut rows = part.overwrite().unwrap();
        rows.fill(1);
        assert!(part.rows().start != 0, "half way");
    };
    for backend in BACKENDS {
        let pool = pool(backend);
        let parts = pool.zeros::<u64>(10).unwrap().into_chunks(5).unwrap();
        let results = pool.tasks().try_map(give_up, parts.iter().cloned()).unwrap();
        assert!(results[0].is_err() && results[1].is_ok());
        let error = parts.join().unwrap_err();
        assert_eq!(error.part(), 0);
        assert!(error.to_string().starts_with("part 0 of the array cannot be taken back: "), "{error}");
        let parts = error.into_parts();
        parts.clear_poison().unwrap();
        assert_eq!(parts.join().unwrap().as_slice(), [1; 10]);
    }
}

#[test]
fn items_that_are_run_again_after_deaths_and_time_limits_write_all_their_rows() {
    use phalanx::shared::AtomicArray;
    use std::sync::atomic::Ordering;
    type Item = (ArrayPart<u64>, AtomicArray<u64>, Event);
    let flaky = |(part, tries, never): Item| {
        let first = part.rows().start;
        let mut rows = part.overwrite().unwrap();
        rows.fill(u64::MAX);
        match (tries[first / 100].fetch_add(1, Ordering::Relaxed), first % 300) {
            (0, 0) => std::process::abort(),
            (0, 100) => never.wait(),
            (0, _) => panic!("once"),
            _ => rows.fill(first as u64),
        }
    };
    for round in 0..5 {
        let pool = pool(Backend::Processes);
        let tries = AtomicArray::<u64>::zeros(20).unwrap();
        let never = Event::new().unwrap();
        let parts = pool.zeros::<u64>(2000).unwrap().into_chunks(100).unwrap();
        let items = parts.iter().map(|part| (part.clone(), tries.clone(), never.clone()));
        let tasks = pool.tasks().chunksize(1 + round).timeout(Duration::from_millis(300)).retry(1);
        tasks.retry_on(|_| true).map(flaky, items).unwrap();
        let array = parts.join().unwrap();
        assert!(array.as_slice().iter().enumerate().all(|(i, row)| *row == i as u64 / 100 * 100));
        assert!((0..20).all(|i| tries[i].load(Ordering::Relaxed) == 2));
    }
}

#[test]
fn a_thread_that_cannot_be_stopped_keeps_its_part_until_it_ends() {
    let hold = |(part, has_it, end): (ArrayPart<u64>, Event, Event)| {
        let mut rows = part.overwrite().unwrap();
        has_it.set();
        end.wait();
        rows.fill(9);
    };
    within(LONG, move || {
        let pool = pool(Backend::Threads);
        let (has_it, end) = (Event::new().unwrap(), Event::new().unwrap());
        let parts = pool.zeros::<u64>(10).unwrap().into_chunks(5).unwrap();
        let tasks = pool.tasks().timeout(Duration::from_millis(200));
        let outcome = tasks.apply(hold, (parts[1].clone(), has_it.clone(), end.clone()));
        assert!(matches!(outcome, Err(TaskError::TimedOut { .. })), "{outcome:?}");
        has_it.wait();
        let error = parts.join_timeout(Duration::from_millis(20)).unwrap_err();
        assert!(error.part() == 1 && matches!(error.cause(), LockError::TimedOut { .. }), "{error}");
        // Part 0 can be had again, and another item at part 1 waits.
        let parts = error.into_parts();
        parts[0].lock().unwrap().fill(8);
        assert!(matches!(parts[1].try_lock(), Err(LockError::TimedOut { .. })));
        end.set();
        assert_eq!(parts.join().unwrap().as_slice(), [8, 8, 8, 8, 8, 9, 9, 9, 9, 9]);
    });
}

/// What a worker has kept.
static KEPT: Mutex<Vec<ArrayPart<u64>>> = Mutex::new(Vec::new());

#[test]
fn a_handle_is_worth_nothing_once_the_parts_are_joined() {
    let keep = |part: ArrayPart<u64>| {
        part.overwrite().unwrap().fill(1);
        KEPT.lock().unwrap().push(part);
    };
    let try_it = |()| {
        let part = KEPT.lock().unwrap().pop().unwrap();
        let outcomes = [part.lock().err(), part.try_lock().err()].map(|error| error.unwrap().map(drop));
        assert!(outcomes.iter().all(|error| matches!(error, LockError::Joined)), "{outcomes:?}");
        assert!(matches!(part.overwrite(), Err(LockError::Joined)));
        part.rows()
    };
    for backend in BACKENDS {
        let pool = Pool::builder().workers(1).backend(backend).build().unwrap();
        let parts = SharedArray::<u64>::zeros(SIZES[1]).unwrap().into_chunks(1000).unwrap();
        let here = parts[4].clone();
        pool.apply(keep, parts[3].clone()).unwrap();
        let array = parts.join().unwrap();
        assert_eq!((array.as_slice()[2999], array.as_slice()[3000]), (0, 1));
        drop(array);
        assert!(matches!(here.lock(), Err(LockError::Joined)) && !here.is_poisoned());
        assert!(matches!(pool.apply(number, (here, 0)), Err(TaskError::Panicked { .. })));
        assert_eq!(pool.apply(try_it, ()).unwrap(), 3000..4000);
    }
}

#[test]
fn writers_of_one_part_take_turns() {
    let add = |part: ArrayPart<u64>| {
        for _ in 0..500 {
            let mut rows = part.lock().unwrap();
            let before = rows[0];
            rows.fill(before + 1);
            assert!(rows.iter().all(|row| *row == before + 1));
        }
    };
    for backend in BACKENDS {
        let parts = SharedArray::<u64>::zeros(64).unwrap().into_parts(&[]).unwrap();
        let items = std::iter::repeat_n(parts[0].clone(), 8);
        pool(backend).tasks().chunksize(1).map(add, items).unwrap();
        assert_eq!(parts.join().unwrap().as_slice(), [4000; 64]);
    }
}

#[test]
fn kills_from_outside_lose_no_part_and_leave_no_row_half_written() {
    let slow = |part: ArrayPart<u64>| {
        let first = part.rows().start as u64;
        let mut rows = part.overwrite().unwrap();
        for round in 0..200 {
            rows.iter_mut().zip(first..).for_each(|(row, i)| *row = i + round);
        }
    };
    within(LONG, move || {
        let pool = pool(Backend::Processes);
        let parts = pool.zeros::<u64>(100_000).unwrap().into_chunks(1000).unwrap();
        let victims = pool.clone();
        let kill_one = move |done: usize, _| {
            // 0 while it is being replaced.
            let pid = victims.worker_pids()[done % 2];
            if done.is_multiple_of(5) && pid != 0 {
                send(pid, Signal::KILL);
            }
        };
        let tasks = pool.tasks().chunksize(3).retry(u32::MAX).progress(kill_one);
        tasks.map(slow, parts.iter().cloned()).unwrap();
        assert_numbered(&parts.join().unwrap(), 199);
    });
}

#[test]
fn parts_that_are_dropped_free_the_array() {
    let segments = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.contains("memfd:")).count()
    };
    let child = std::env::var_os("PARTS_ALONE").is_some();
    if !child {
        // Alone: other tests map segments too.
        let own = std::env::current_exe().unwrap();
        let status = std::process::Command::new(own)
            .args(["--exact", "parts_that_are_dropped_free_the_array"])
            .env("PARTS_ALONE", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let pool = pool(Backend::Processes);
    let round = |joins: bool| {
        let parts: ArrayParts<u64> = SharedArray::zeros(SIZES[1]).unwrap().into_chunks(1 << 17).unwrap();
        pool.map(number, parts.iter().map(|part| (part.clone(), 0))).unwrap();
        if joins {
            assert_numbered(&parts.join().unwrap(), 0);
        }
    };
    round(false);
    let before = segments();
    (0..20).for_each(|i| round(i % 2 == 0));
    assert_eq!(segments(), before);
}

#[test]
#[should_panic(expected = "a cut at row 3, after row 4 of an array of 9 rows")]
fn cuts_that_decrease_are_refused() {
    drop(SharedArray::<u64>::zeros(9).unwrap().into_parts(&[4, 3]));
}

#[test]
#[should_panic(expected = "a cut at row 10, after row 4 of an array of 9 rows")]
fn cuts_outside_are_refused() {
    drop(SharedArray::<u64>::zeros(9).unwrap().into_parts(&[4, 10]));
}
