//! A task that is cut short, by a death, a time limit or its own panic: what had ended keeps its outcome, the
//! item in work is lost, alone, and the rest runs.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::{Backend, Pool, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_millis(500);

fn pool_of(backend: Backend) -> Pool {
    Pool::builder().workers(2).backend(backend).build().unwrap()
}

fn pools() -> [Pool; 3] {
    [Backend::Processes, Backend::Threads, Backend::Inline].map(pool_of)
}

/// Kills its process where `n` says so; panics for some, and gives a long text for others, which outgrows any
/// guess.
fn ends_badly(n: usize) -> String {
    match n % 100 {
        37 => std::process::abort(),
        5 | 60 => panic!("number {n}"),
        _ => "x".repeat(n % 100 * 30),
    }
}

fn is_right(n: usize, result: &Result<String, TaskError>) -> bool {
    match (n % 100, result) {
        (37, Err(TaskError::WorkerDied { item, .. })) => *item == n,
        (5 | 60, Err(TaskError::Panicked { item, message, .. })) => {
            *item == n && *message == format!("number {n}")
        }
        (rest, Ok(text)) => ![5, 37, 60].contains(&rest) && text.len() == rest * 30,
        _ => false,
    }
}

#[test]
fn a_death_loses_the_item_in_work_beside_large_results_and_panics() {
    let pool = pool_of(Backend::Processes);
    for chunk in [50, 100, 400] {
        let results = pool.tasks().always_out().chunksize(chunk).try_map(ends_badly, 0..400).unwrap();
        assert_eq!(results.len(), 400);
        for (n, result) in results.iter().enumerate() {
            assert!(is_right(n, result), "item {n} of chunks of {chunk}: {result:?}");
        }
    }
}

#[test]
fn an_item_that_is_run_again_is_the_one_that_was_lost() {
    let pool = pool_of(Backend::Processes);
    let runs = |n: u64| {
        if n == 33 {
            std::process::abort()
        }
        "y".repeat(n as usize * 40)
    };
    let results = pool.tasks().always_out().retry(2).chunksize(50).try_map(runs, 0..100).unwrap();
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(text) => assert!(n != 33 && text.len() == n * 40, "item {n}"),
            Err(error) => assert!(n == 33 && error.item() == Some(33), "item {n}: {error}"),
        }
    }
    assert!(pool.insights().deaths >= 3);
}

#[test]
fn a_time_limit_loses_the_item_in_work() {
    let late = |n: u32| {
        match n {
            // Without a backtrace, whose making may take longer than the limit.
            5 => std::panic::resume_unwind(Box::new("number 5")),
            12 => {
                while !phalanx::is_cancelled() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                // Where it is killed, it must not end first.
                if std::env::var_os("PHALANX_WORKER").is_some() {
                    std::thread::sleep(LONG);
                }
            }
            _ => {}
        }
        "z".repeat(n as usize * 50)
    };
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = pool_of(backend);
        let results = pool.tasks().timeout(LIMIT).chunksize(30).try_map(late, 0..60).unwrap();
        for (n, result) in results.iter().enumerate() {
            match result {
                Ok(text) => assert!(n != 5 && n != 12 && text.len() == n * 50, "item {n}"),
                Err(TaskError::Panicked { item, .. }) => assert!(n == 5 && *item == 5),
                Err(TaskError::TimedOut { item, .. }) => assert!(n == 12 && *item == 12, "item {n}"),
                Err(error) => panic!("{backend:?}, item {n}: {error}"),
            }
        }
        assert_eq!(pool.apply(|n: u8| n, 3).unwrap(), 3);
    }
}

/// A number whose code panics where the second says so.
#[derive(Clone, Debug)]
struct Touchy(u64, Touch);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Touch {
    None,
    Serialize,
    Drop,
}

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.1 != Touch::Serialize, "cannot be written");
        // What comes out is harmless where it is read.
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Touchy(u64::deserialize(deserializer)?, Touch::None))
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        assert!(self.1 != Touch::Drop, "cannot be dropped");
    }
}

#[test]
fn a_result_whose_own_code_panics_costs_itself_only() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = pool_of(backend);
        let make = |(n, touch): (u64, Touch)| Touchy(n, touch);
        for touch in [Touch::Serialize, Touch::Drop] {
            let items = (0..40).map(|n| (n, if n % 20 == 3 { touch } else { Touch::None }));
            let results = pool.tasks().always_out().chunksize(20).try_map(make, items).unwrap();
            assert_eq!(results.len(), 40);
            for (n, result) in (0u64..).zip(&results) {
                match result {
                    Ok(value) => assert!(n % 20 != 3 && value.0 == n, "item {n}: {value:?}"),
                    Err(TaskError::Panicked { item, message, .. }) => {
                        assert!(n % 20 == 3 && *item as u64 == n && message.contains("cannot be"), "{n}")
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

#[test]
fn panics_among_numbers_and_texts_keep_their_places_everywhere() {
    for pool in pools() {
        let numbers = |n: u64| if n.is_multiple_of(7) { panic!("number {n}") } else { n };
        let texts = |n: u64| if n.is_multiple_of(7) { panic!("number {n}") } else { "t".repeat(n as usize) };
        for chunk in [1, 9, 100] {
            let tasks = || pool.tasks().chunksize(chunk);
            let numbers = tasks().try_map(numbers, 0..100).unwrap();
            let texts = tasks().try_map(texts, 0..100).unwrap();
            for (n, (number, text)) in (0u64..).zip(numbers.iter().zip(&texts)) {
                match (number, text) {
                    (Ok(number), Ok(text)) => assert!(*number == n && text.len() as u64 == n),
                    (Err(number), Err(text)) => {
                        assert!(n.is_multiple_of(7) && number.item() == text.item());
                        assert_eq!(number.item(), Some(n as usize));
                    }
                    other => panic!("item {n}: {other:?}"),
                }
            }
        }
    }
}
