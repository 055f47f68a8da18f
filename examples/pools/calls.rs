//! The calls of a pool, and what goes wrong in them.

use crate::{Outcome, Setting};
use phalanx::{AsyncResult, TaskError, is_cancelled};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

fn square(n: i64) -> i64 {
    n * n
}

fn cube(n: i64) -> i64 {
    n * n * n
}

pub fn processing(setting: &Setting) -> Outcome {
    let pool = setting.pool(4)?;
    let worked = pool.tasks().chunksize(1).map(|_: u32| std::process::id(), 0..10)?;
    for (x, pid) in worked.iter().enumerate() {
        println!("Processing {x} in process {pid}");
    }
    assert!(worked.iter().collect::<BTreeSet<_>>().len() <= 4, "as many processes as workers at most");
    Ok(())
}

pub fn calls(setting: &Setting) -> Outcome {
    let pool = setting.pool(4)?;
    println!("{:?}", pool.starmap(i64::pow, [(2, 3), (3, 4), (4, 5)])?);
    println!("{}", pool.apply(square, 5)?);
    println!("{}", pool.apply(cube, 3)?);
    for result in [pool.apply_async(square, 5), pool.apply_async(cube, 3)] {
        println!("Task submitted.");
        println!("{}", result.get()?);
    }
    let results: Vec<_> = (0..10).map(|n| pool.apply_async(square, n)).collect();
    println!("{:?}", results.into_iter().map(AsyncResult::get).collect::<Result<Vec<_>, _>>()?);
    println!("{:?}", pool.map_async(square, 1..=5).get()?);
    Ok(())
}

pub fn lazy(setting: &Setting) -> Outcome {
    let pool = setting.pool(4)?;
    // The input is infinite: items are taken only as results are asked for.
    for square in pool.imap(square, 0..).take(10) {
        println!("{}", square?);
    }
    let sleeper = |(n, unit): (u32, Duration)| {
        sleep(unit * n);
        n * n
    };
    for square in pool.imap_unordered(sleeper, [3, 1, 2].map(|n| (n, setting.unit))) {
        println!("{}", square?);
    }
    Ok(())
}

pub fn timeout(setting: &Setting) -> Outcome {
    let pool = setting.pool(2)?;
    let slow = |takes: Duration| {
        let began = Instant::now();
        // A process would be killed while it sleeps; a thread has to check.
        while began.elapsed() < takes && !is_cancelled() {
            sleep(Duration::from_millis(1));
        }
    };
    let result = pool.apply_async(slow, setting.unit * 5);
    match result.get_timeout(setting.unit * 3) {
        Err(TaskError::NotReady { .. }) => println!("Task timed out."),
        other => println!("Task ended: {other:?}"),
    }
    // The task would go on; cancelling it frees the worker.
    result.cancel();
    println!("The next call gives {}.", pool.apply(square, 5)?);
    Ok(())
}

/// An element of a mixed list.
#[derive(Serialize, Deserialize)]
enum Item {
    Number(i64),
    Word(String),
}

pub fn errors(setting: &Setting) -> Outcome {
    let square = |item: Item| match item {
        Item::Number(n) => n * n,
        Item::Word(word) => panic!("Error computing square of {word}: not a number"),
    };
    let items = [Item::Number(1), Item::Number(2), Item::Word("three".into()), Item::Number(4)];
    let results = setting.pool(2)?.try_map(square, items)?;
    let texts: Vec<String> = results
        .into_iter()
        .map(|result| match result {
            Ok(square) => square.to_string(),
            Err(TaskError::Panicked { message, .. }) => format!("'{message}'"),
            Err(other) => other.to_string(),
        })
        .collect();
    println!("[{}]", texts.join(", "));
    Ok(())
}

pub fn chunked(setting: &Setting) -> Outcome {
    let doubled = setting.pool(4)?.tasks().chunksize(100).map(|n: u64| n * 2, 0..1000)?;
    println!("Processed in chunks of 100: {:?} to {:?}", &doubled[..4], &doubled[996..]);
    Ok(())
}
