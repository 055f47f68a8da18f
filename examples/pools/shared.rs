//! What workers share: lists, counters, arrays, queues; and threads beside them.

use crate::{Outcome, Setting};
use phalanx::channel::Queue;
use phalanx::manager::ListProxy;
use phalanx::shared::{Array, Value};
use phalanx::{AsyncResult, Manager};
use std::collections::BTreeMap;
use std::thread::{scope, sleep};

pub fn io(setting: &Setting) -> Outcome {
    let pool = setting.pool(4)?;
    let unit = setting.unit;
    let squares = scope(|threads| {
        let waiting: Vec<_> = (0..5).map(|_| threads.spawn(move || sleep(unit))).collect();
        let squares = pool.map(|n: u64| n * n, 0..5);
        for (n, thread) in waiting.into_iter().enumerate() {
            if thread.join().is_ok() {
                println!("I/O-bound task completed for {n}");
            }
        }
        squares
    })?;
    println!("CPU-bound results: {squares:?}");
    Ok(())
}

pub fn list(setting: &Setting) -> Outcome {
    let manager = Manager::new()?;
    let numbers = manager.list::<i64>()?;
    numbers.extend(vec![1, 2, 3, 4])?;
    let double = |(numbers, index): (ListProxy<i64>, usize)| {
        let number = numbers.get(index).map_err(|error| error.to_string())?.unwrap_or(0);
        numbers.set(index, number * 2).map(|_| number * 2).map_err(|error| error.to_string())
    };
    let tasks = (0..numbers.len()?).map(|index| (numbers.clone(), index));
    let doubled = setting.pool(2)?.map(double, tasks)?.into_iter().collect::<Result<Vec<_>, String>>()?;
    println!("Processed list: {doubled:?}");
    println!("Shared list: {:?}", numbers.to_vec()?);
    Ok(())
}

pub fn counter_and_array(setting: &Setting) -> Outcome {
    let (counter, array) = (Value::new(0i32)?, Array::<f64>::zeros(10)?);
    println!("Counter: {}", counter.get()?);
    println!("Array: {:?}", array.to_vec()?);
    let count = |(counter, array, n): (Value<i32>, Array<f64>, usize)| {
        let counted = counter.update(|count| count + 1).map(drop);
        counted.and_then(|()| array.set(n, n as f64 / 2.0)).map_err(|error| error.to_string())
    };
    let tasks = (0..10).map(|n| (counter.clone(), array.clone(), n));
    setting.pool(4)?.map(count, tasks)?.into_iter().collect::<Result<(), String>>()?;
    println!("Counter: {}", counter.get()?);
    println!("Array: {:?}", array.to_vec()?);
    Ok(())
}

/// A word and its number in the input.
type Word = (u64, String);
/// What was found out about it.
type Measured = (u64, String, usize);

const MAPPERS: usize = 10;
const CONVERTERS: usize = 10;
const TEXT: &str = "the quick brown fox jumps over the lazy dog while five boxing wizards look on";

fn map_words((words, measured): (Queue<Word>, Queue<Measured>)) -> Result<(), String> {
    for word in words.iter() {
        let (number, word) = word.map_err(|error| error.to_string())?;
        let letters = word.chars().count();
        measured.put(&(number, word, letters)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn convert_words((measured, lines): (Queue<Measured>, Queue<Word>)) -> Result<(), String> {
    for found in measured.iter() {
        let (number, word, letters) = found.map_err(|error| error.to_string())?;
        let line = format!("{} has {letters} letters", word.to_uppercase());
        lines.put(&(number, line)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Lines arrive in any order and are written in that of the input.
fn write_lines(lines: Queue<Word>) -> Result<u64, String> {
    let (mut early, mut next) = (BTreeMap::new(), 0);
    for line in lines.iter() {
        let (number, line) = line.map_err(|error| error.to_string())?;
        early.insert(number, line);
        while let Some(line) = early.remove(&next) {
            println!("Line {next}: {line}");
            next += 1;
        }
    }
    Ok(next)
}

fn all_done(tasks: Vec<AsyncResult<Result<(), String>>>) -> Outcome {
    tasks.into_iter().try_for_each(|task| Ok(task.get()??))
}

pub fn pipeline(setting: &Setting) -> Outcome {
    // Every task waits for others, so each needs a worker of its own.
    let pool = setting.pool(MAPPERS + CONVERTERS + 1)?;
    let (words, measured, lines) = (Queue::bounded(4)?, Queue::bounded(4)?, Queue::bounded(4)?);
    let map = |_| pool.apply_async(map_words, (words.clone(), measured.clone()));
    let mappers = (0..MAPPERS).map(map).collect();
    let convert = |_| pool.apply_async(convert_words, (measured.clone(), lines.clone()));
    let converters = (0..CONVERTERS).map(convert).collect();
    let writer = pool.apply_async(write_lines, lines.clone());
    for (number, word) in (0..).zip(TEXT.split(' ')) {
        words.put(&(number, word.to_string()))?;
    }
    // A queue is closed when nothing more will be put; its readers end when they have emptied it.
    words.close();
    all_done(mappers)?;
    measured.close();
    all_done(converters)?;
    lines.close();
    println!("{} lines written", writer.get()??);
    Ok(())
}
