//! Squares that take a while, on more and fewer workers.

use crate::{Outcome, Setting};
use phalanx::{Backend, current_rank};
use std::thread::sleep;
use std::time::Duration;

/// Sleeping shows how many run at the same time; it says nothing about computing.
fn square_slowly((n, takes): (u64, Duration)) -> u64 {
    sleep(takes);
    n * n
}

fn print(squares: &[u64]) {
    for (n, square) in (1..).zip(squares) {
        println!("{n} squared is {square}");
    }
}

pub fn squares(setting: &Setting) -> Outcome {
    let (cores, takes) = (setting.cores, setting.unit * 2);
    println!("Executing with all available CPU cores: {cores}");
    let squares = setting.pool(cores)?.map(square_slowly, (1..=8).map(|n| (n, takes)))?;
    println!("Results with all cores:");
    print(&squares);

    println!("Executing with limited CPU cores: 4 out of {cores}");
    let squares = setting.pool(4)?.map(square_slowly, (1..=16).map(|n| (n, takes)))?;
    println!("Results with limited cores:");
    print(&squares);
    Ok(())
}

/// Threads whatever the setting: `backend` alone makes the difference.
pub fn threading(setting: &Setting) -> Outcome {
    let pool = setting.builder(8).backend(Backend::Threads).build()?;
    let square = |(n, takes): (u64, Duration)| {
        sleep(takes);
        println!("Thread Thread-{} finished computing {n}", current_rank().map_or(0, |rank| rank + 1));
        n * n
    };
    let squares = pool.tasks().chunksize(1).map(square, (1..=8).map(|n| (n, setting.unit * 2)))?;
    println!("Results with threading:");
    print(&squares);
    Ok(())
}
