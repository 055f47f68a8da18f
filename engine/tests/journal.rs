//! Maps with a journal go on where they were, whoever was killed.
//!
//! # Safety
//! The array's file lies in a folder of the test, of which one program at a time is the user.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::{Backend, CancelToken, FrozenArray, Journal, JournalError, Pool, SharedArray, TaskError};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ITEMS: u64 = 300;
const KILLS: usize = 6;
/// Names the folder for the program that is killed.
const FOLDER: &str = "PHALANX_TEST_JOURNAL";

/// Notes in a file of the folder that the item ran, and computes something. The last item ends when it may.
fn work((folder, n): (PathBuf, u64)) -> (u64, String) {
    note(&folder, n);
    let until = Instant::now() + Duration::from_micros(300);
    while Instant::now() < until || n == ITEMS - 1 && !may_end(&folder).exists() {
        std::thread::yield_now();
    }
    (n * n, format!("item {n}"))
}

fn note(folder: &Path, n: u64) {
    let mut runs = OpenOptions::new().create(true).append(true).open(folder.join("runs")).unwrap();
    runs.write_all(&n.to_le_bytes()).unwrap();
}

fn may_end(folder: &Path) -> PathBuf {
    folder.join("may_end")
}

/// How often each item ran.
fn runs(folder: &Path) -> Vec<usize> {
    let mut counts = vec![0; ITEMS as usize];
    let bytes = fs::read(folder.join("runs")).unwrap_or_default();
    bytes.chunks(8).for_each(|n| counts[u64::from_le_bytes(n.try_into().unwrap()) as usize] += 1);
    counts
}

fn items(folder: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
    let folder = folder.to_owned();
    (0..ITEMS).map(move |n| (folder.clone(), n))
}

fn expected() -> Vec<(u64, String)> {
    (0..ITEMS).map(|n| (n * n, format!("item {n}"))).collect()
}

fn journal(folder: &Path) -> PathBuf {
    folder.join("journal")
}

fn pools() -> impl Iterator<Item = Pool> {
    let backends = [Backend::Processes, Backend::Threads, Backend::Inline];
    backends.into_iter().map(|backend| Pool::builder().workers(2).backend(backend).build().unwrap())
}

/// The program that is killed: a test of this file, run as another process.
#[test]
fn go_on() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let pool = Pool::builder().workers(2).build().unwrap();
    let results = pool.tasks().journal(journal(&folder)).map(work, items(&folder)).unwrap();
    assert_eq!(results, expected());
}

fn program(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--test-threads", "1"]).env(FOLDER, folder).stdout(Stdio::null());
    command
}

#[test]
fn a_program_that_is_killed_again_and_again_runs_nothing_twice_that_it_had_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let len = || fs::metadata(journal(folder)).map_or(0, |about| about.len());
    let mut before = 0;
    // Killed when there is something new in the journal: the first time its head, then some records. Or when
    // only the last item is left.
    for kills in 0..KILLS {
        let mut child = program("go_on", folder).spawn().unwrap();
        while len() <= before && runs(folder)[ITEMS as usize - 1] <= kills {
            assert!(child.try_wait().unwrap().is_none(), "it cannot have ended");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(len() >= before, "what was written is kept");
        before = len();
    }
    fs::write(may_end(folder), "").unwrap();
    assert!(program("go_on", folder).status().unwrap().success());
    let counts = runs(folder);
    assert!(counts.iter().all(|count| *count >= 1));
    // A kill costs what is in work, and what ended in the 10 ms before.
    assert!(counts.iter().all(|count| *count <= KILLS + 1), "{counts:?}");
    assert!(counts.iter().filter(|count| **count == 1).count() > 0, "nothing was kept: {counts:?}");
    // All is there: nothing runs again.
    assert!(program("go_on", folder).status().unwrap().success());
    assert_eq!(runs(folder), counts);
}

#[test]
fn what_a_journal_has_does_not_run_again_and_the_rest_does() {
    for pool in pools() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(may_end(folder), "").unwrap();
        let map = || pool.tasks().journal(journal(folder)).map(work, items(folder));
        assert_eq!(map().unwrap(), expected());
        assert_eq!(runs(folder), vec![1; ITEMS as usize]);
        let len = fs::metadata(journal(folder)).unwrap().len();
        for eighths in [8, 7, 4, 1] {
            let journal = OpenOptions::new().write(true).open(journal(folder)).unwrap();
            journal.set_len(len * eighths / 8).unwrap();
            let before: usize = runs(folder).iter().sum();
            assert_eq!(map().unwrap(), expected());
            let ran = runs(folder).iter().sum::<usize>() - before;
            let share = ITEMS as usize * (8 - eighths as usize) / 8;
            assert!(
                ran.abs_diff(share) < 20,
                "{ran} of {ITEMS} items ran for {eighths} eighths of a journal"
            );
        }
    }
}

fn picky(n: u64) -> u64 {
    assert!(n % 7 != 3, "no {n}");
    n + 1
}

#[test]
fn items_that_fail_are_not_kept_and_run_again() {
    for pool in pools() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal(folder.path());
        let results = pool.tasks().journal(&path).try_map(picky, 0..50).unwrap();
        for (n, result) in (0..).zip(&results) {
            match result {
                Ok(value) => assert_eq!((*value, n % 7 == 3), (n + 1, false)),
                Err(TaskError::Panicked { item, message, .. }) => {
                    assert_eq!((*item as u64, message.as_str()), (n, format!("no {n}").as_str()));
                }
                Err(error) => panic!("{error}"),
            }
        }
        // The second time the failed ones are all that is left, and keep their own indices.
        let again = pool.tasks().journal(&path).try_map(picky, 0..50).unwrap();
        let failed = |results: &[Result<u64, TaskError>]| -> Vec<usize> {
            results.iter().filter_map(|result| result.as_ref().err()?.item()).collect()
        };
        assert_eq!(failed(&again), [3, 10, 17, 24, 31, 38, 45]);
        assert_eq!(failed(&results), failed(&again));
        let error = pool.tasks().journal(&path).map(picky, 0..50).unwrap_err();
        assert!(
            matches!(error, JournalError::Task(TaskError::Panicked { item, .. }) if item % 7 == 3),
            "{error}"
        );
    }
}

fn dies((marker, n): (PathBuf, u64)) -> u64 {
    if n == 5 && fs::remove_file(&marker).is_ok() {
        std::process::abort();
    }
    n
}

#[test]
fn a_worker_that_dies_costs_its_item_and_the_next_call_goes_on() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    fs::write(&marker, "").unwrap();
    let map = || {
        pool.tasks()
            .chunksize(1)
            .journal(journal(folder.path()))
            .map(dies, (0..20).map(|n| (marker.clone(), n)))
    };
    let error = map().unwrap_err();
    assert!(matches!(error, JournalError::Task(TaskError::WorkerDied { item: 5, .. })), "{error}");
    assert_eq!(map().unwrap(), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_call_that_is_cancelled_keeps_what_was_done() {
    for pool in pools() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal(folder.path());
        let token = CancelToken::new();
        let cancel = token.clone();
        let tasks = pool.tasks().chunksize(1).window(4).cancel(&token);
        let tasks = tasks.progress(move |done, _| {
            if done == 10 {
                cancel.cancel()
            }
        });
        let results = tasks.journal(&path).try_map(same, 0..1000).unwrap();
        let done = results.iter().filter(|result| result.is_ok()).count();
        assert!((10..1000).contains(&done), "{done}");
        for (item, result) in results.iter().enumerate() {
            match result {
                Ok(value) => assert_eq!(*value, item as u64),
                Err(error) => {
                    assert!(matches!(error, TaskError::Cancelled { item: i } if *i == item), "{error}")
                }
            }
        }
        let rest = std::sync::Arc::new(std::sync::Mutex::new(0));
        let most = rest.clone();
        let tasks = pool.tasks().progress(move |done, _| *most.lock().unwrap() = done);
        assert_eq!(tasks.journal(&path).map(same, 0..1000).unwrap(), (0..1000).collect::<Vec<_>>());
        assert_eq!(*rest.lock().unwrap(), 1000 - done, "what was done does not run again");
    }
}

const STEPS: usize = 60;
const ROWS: usize = 500;

fn square(at: usize) -> f64 {
    (at as f64).powi(2)
}

/// As [`go_on`], for launches over an array in a file.
#[test]
fn go_on_with_steps() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let pool = Pool::builder().workers(2).build().unwrap();
    let file = folder.join("squares.npy");
    // SAFETY: only one such program runs at a time.
    let mut squares = match unsafe { SharedArray::<f64>::attach_npy(&file) } {
        Ok(squares) => squares,
        // SAFETY: as above.
        Err(_) => unsafe { SharedArray::create_npy(&file, STEPS * ROWS) }.unwrap(),
    };
    let mut journal = Journal::open(journal(&folder), &("squares", STEPS, ROWS)).unwrap();
    for step in (0..STEPS).filter(|step| *step + 1 < STEPS || may_end(&folder).exists()) {
        if journal.is_done(step) {
            continue;
        }
        note(&folder, step as u64);
        let rows = step * ROWS..(step + 1) * ROWS;
        pool.launch()
            .chunk(50)
            .for_each((squares.range_mut(rows.clone()).split_out(), rows), |(squares, rows)| {
                squares.iter_mut().zip(rows).for_each(|(square_of, at)| *square_of = square(at));
            })
            .unwrap();
        journal.note(step, &(step, "value")).unwrap();
    }
    while !may_end(&folder).exists() {
        std::thread::yield_now();
    }
}

#[test]
fn launches_over_a_file_go_on_with_the_step_that_was_in_work() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = || program("go_on_with_steps", folder);
    let done = || runs(folder).iter().filter(|count| **count > 0).count();
    for kill in 1..=KILLS {
        let mut child = program().spawn().unwrap();
        while done() < (kill * STEPS / (KILLS + 1)).min(STEPS - 1) {
            assert!(child.try_wait().unwrap().is_none(), "it cannot have ended");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    fs::write(may_end(folder), "").unwrap();
    assert!(program().status().unwrap().success());
    let counts = runs(folder);
    assert!(counts[..STEPS].iter().all(|count| *count >= 1));
    assert!(counts.iter().sum::<usize>() <= STEPS + KILLS, "a kill costs the step in work: {counts:?}");
    let squares = SharedArray::<f64>::load_npy(folder.join("squares.npy")).unwrap();
    assert!(squares.as_slice().iter().enumerate().all(|(at, value)| *value == square(at)));
    // The journal says the same, with the values; and is of this job only.
    let path = journal(folder);
    let open = |job: (&str, usize, usize)| Journal::open(&path, &job);
    let kept = open(("squares", STEPS, ROWS)).unwrap();
    assert_eq!((kept.len(), kept.is_done(STEPS - 1), kept.is_done(STEPS)), (STEPS, true, false));
    assert_eq!(kept.get::<(usize, String)>(7).unwrap(), Some((7, "value".into())));
    assert_eq!(kept.get::<(usize, String)>(STEPS).unwrap(), None);
    assert!(matches!(kept.get::<bool>(7), Err(JournalError::Value { .. })));
    assert!(matches!(open(("squares", STEPS, ROWS)), Err(JournalError::InUse { .. })));
    drop(kept);
    assert!(matches!(open(("squares", STEPS, 2)), Err(JournalError::OtherItems { .. })));
    let other = Journal::open(&path, &"squares");
    assert!(matches!(other, Err(JournalError::OtherFunction { .. })));
}

fn same(n: u64) -> u64 {
    n
}

fn length(array: FrozenArray<u64>) -> usize {
    array.len()
}

fn lends(n: u64) -> phalanx::sync::Lock<u64> {
    phalanx::sync::Lock::new(n).unwrap()
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let map = |name: &str, count: u64| pool.tasks().journal(path(name)).map(same, 0..count);
    assert_eq!(map("a", 10).unwrap().len(), 10);
    assert!(map("empty", 0).unwrap().is_empty());
    let other = map("a", 11).unwrap_err();
    assert!(matches!(other, JournalError::OtherItems { journal: 10, call: 11, .. }), "{other}");
    let other = pool.tasks().journal(path("a")).map(same, (0..10).rev()).unwrap_err();
    assert!(matches!(other, JournalError::OtherItems { journal: 10, call: 10, .. }), "{other}");
    let other = pool.tasks().journal(path("a")).map(|n: u64| n + 1, 0..10).unwrap_err();
    assert!(matches!(other, JournalError::OtherFunction { .. }), "{other}");
    // Two closures of one function have one name.
    let journal = || pool.tasks().journal(path("closures"));
    assert_eq!(journal().map(|n: u64| n + 1, 0..3).unwrap(), [1, 2, 3]);
    let other = journal().map(|n: u64| n + 2, 0..3).unwrap_err();
    assert!(matches!(other, JournalError::OtherFunction { .. }), "{other}");

    let array = SharedArray::<u64>::zeros(3).unwrap().freeze().unwrap();
    let handle = pool.tasks().journal(path("b")).map(length, [array]).unwrap_err();
    assert!(matches!(handle, JournalError::Value { .. }), "{handle}");
    assert!(!path("b").exists(), "refused before there is a file");
    let threads = Pool::builder().workers(1).backend(Backend::Threads).build().unwrap();
    let handle = threads.tasks().journal(path("c")).map(lends, 0..3).unwrap_err();
    assert!(matches!(handle, JournalError::Value { .. }), "{handle}");

    fs::write(path("d"), "a text").unwrap();
    assert!(matches!(map("d", 3).unwrap_err(), JournalError::NotAJournal { .. }));
    assert_eq!(fs::read(path("d")).unwrap(), b"a text");
    assert!(matches!(map("no/folder", 3).unwrap_err(), JournalError::Io { doing: "opened", .. }));
    assert!(matches!(map(".", 3).unwrap_err(), JournalError::Io { .. }));
    for device in ["/dev/full", "/dev/zero"] {
        let error = pool.tasks().journal(device).map(same, 0..3).unwrap_err();
        assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
    }
}
