//! Calls of tasks: every item is right, or lost to a death that names it.

use crate::tally::Tally;
use crate::trouble::{Kind, Trouble};
use common::Dice;
use phalanx::{Pool, TaskError};
use std::time::Duration;

pub type Call = (&'static str, fn(&Pool, &mut Dice, &mut Tally) -> Result<(), Trouble>);

pub const CALLS: [Call; 8] = [
    ("map with retry", map_with_retry),
    ("try_map", try_map),
    ("imap", imap),
    ("apply_async", apply_async),
    ("a task without end", endless),
    ("a cancelled task", cancelled),
    ("an item that panics", panicking),
    ("resize", resize),
];

/// Runs so often that hardly any of its items dies each time.
const TIMES: u32 = 1000;

fn collatz(n: u64) -> u64 {
    let mut steps = 0;
    let mut x = n + 1;
    while x != 1 {
        x = if x.is_multiple_of(2) { x / 2 } else { 3 * x + 1 };
        steps += 1;
    }
    steps
}

/// A text of up to some kilobytes: results of all lengths, so that they outgrow the room first given to them.
fn text(n: usize) -> String {
    format!("{n}:").repeat(1 + (n * 37) % 900)
}

fn map_with_retry(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let (first, items) = (dice.below(1000), 1 + dice.below(400));
    let tasks = pool.tasks().always_out().retry(TIMES).chunksize(1 + dice.below(40) as usize);
    let steps = tasks.map(collatz, first..first + items)?;
    if !steps.iter().copied().eq((first..first + items).map(collatz)) {
        tally.wrong("map with retry", "a result is wrong");
    }
    Ok(())
}

fn try_map(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let items = 1 + dice.below(300) as usize;
    let tasks = pool.tasks().always_out().chunksize(1 + dice.below(60) as usize);
    let results = tasks.try_map(text, 0..items)?;
    if results.len() != items {
        tally.wrong("try_map", &format!("{} results of {items} items", results.len()));
    }
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(said) if said == text(n) => {}
            Ok(_) => tally.wrong("try_map", &format!("item {n} is wrong")),
            Err(TaskError::WorkerDied { item, .. }) if item == n => tally.expected(Kind::Died),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn imap(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let items = 1 + dice.below(200);
    let tasks = pool.tasks().retry(TIMES).chunksize(1 + dice.below(9) as usize).window(64);
    // Now and then the reader stops early.
    let reads = if dice.below(4) == 0 { dice.below(items) } else { items };
    let mut seen = 0;
    for (n, steps) in (0..reads).zip(tasks.imap(collatz, 0..items)) {
        if steps? != collatz(n) {
            tally.wrong("imap", &format!("item {n} is wrong"));
        }
        seen += 1;
    }
    if seen != reads {
        tally.wrong("imap", &format!("{seen} results of {reads} items"));
    }
    Ok(())
}

fn apply_async(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let first = dice.below(10_000);
    let results: Vec<_> =
        (first..first + 100).map(|n| (n, pool.tasks().retry(TIMES).apply_async(collatz, n))).collect();
    for (n, result) in results {
        if result.get()? != collatz(n) {
            tally.wrong("apply_async", &format!("task {n} is wrong"));
        }
    }
    Ok(())
}

fn endless(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let limit = Duration::from_micros(dice.below(20_000));
    let spins = |_: u32| -> u32 {
        loop {
            std::hint::spin_loop();
        }
    };
    match pool.tasks().timeout(limit).apply(spins, 0) {
        Err(TaskError::TimedOut { .. }) => tally.expected(Kind::TimedOut),
        Err(error) => return Err(error.into()),
        Ok(_) => tally.wrong("a task without end", "it ended"),
    }
    Ok(())
}

fn cancelled(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let spins = |_: u32| -> u32 {
        loop {
            std::hint::spin_loop();
        }
    };
    let result = pool.apply_async(spins, 0);
    std::thread::sleep(Duration::from_micros(dice.below(4000)));
    result.cancel();
    match result.get() {
        Err(TaskError::Cancelled { .. }) => tally.expected(Kind::Cancelled),
        Err(error) => return Err(error.into()),
        Ok(_) => tally.wrong("a cancelled task", "it ended"),
    }
    Ok(())
}

fn panicking(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let tasks = pool.tasks().always_out().retry(TIMES).chunksize(1 + dice.below(20) as usize);
    let results = tasks.try_map(
        |n: u64| {
            assert!(n % 7 != 3, "on purpose");
            collatz(n)
        },
        0..50,
    )?;
    for (n, result) in (0..).zip(results) {
        match result {
            Ok(steps) if n % 7 != 3 && steps == collatz(n) => {}
            Err(TaskError::Panicked { .. }) if n % 7 == 3 => tally.expected(Kind::Panicked),
            Ok(_) => tally.wrong("an item that panics", &format!("item {n} is wrong")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Also to sizes for which the machine has no room: the pool then becomes as large as it can.
fn resize(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let asked = 1 + dice.below(8) as usize;
    pool.resize(asked)?;
    if !(1..=asked).contains(&pool.workers()) {
        tally.wrong("resize", &format!("{} workers instead of {asked}", pool.workers()));
    }
    Ok(())
}
