//! Chaos: mixed load on pools whose workers are killed, stopped and continued at random.
//!
//! Every result is compared with a sequential model, every call is timed, and at the end everything that a
//! program can leak is counted. `load`, `tasks` and `objects` make the calls, `hunter` disturbs them,
//! `watchdog` ends a run that hangs, and `census` counts.

mod census;
mod hunter;
mod load;
mod objects;
mod tally;
mod tasks;
mod trouble;
mod watchdog;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use phalanx::{Backend, Pool, StartMethod};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Kills and stops workers at random under load, and checks that nothing hangs, is wrong or leaks.
#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    after_help = "Example:\n  chaos --seconds 60 --seed 7\n\nExit codes: 0 all right, 1 a wrong result, a leak or a \
        call that hangs, 2 an option is wrong."
)]
struct Options {
    /// Seconds to run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seed that makes the random choices of load and disturbance repeatable (not their timing)
    #[arg(long)]
    seed: Option<u64>,
    /// Workers of each pool
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Mean time between two disturbances, in microseconds
    #[arg(long, default_value_t = 6000, value_parser = clap::value_parser!(u64).range(100..))]
    every: u64,
}

/// Calls to one pool before it is dropped and another made.
const CALLS_OF_A_POOL: u64 = 300;

fn main() -> ExitCode {
    let options = Options::parse();
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = options.seed.unwrap_or_else(|| clock().map_or(1, |since| since.subsec_nanos().into()));
    println!("chaos: seed {seed}, {} workers, {} s", options.workers, options.seconds);
    match run(&options, seed) {
        Ok(tally) => {
            println!("chaos: {tally}");
            if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pool(options: &Options, method: StartMethod) -> Result<Pool, phalanx::pool::PoolError> {
    Pool::builder()
        .workers(usize::from(options.workers))
        .backend(Backend::Processes)
        .start_method(method)
        .build()
}

fn run(options: &Options, seed: u64) -> Result<tally::Tally, phalanx::Error> {
    let mut dice = common::Dice::new(seed);
    let mut tally = tally::Tally::default();
    let dog = watchdog::Watchdog::start();
    let mut load = load::Load::new()?;
    // What is made once and kept is no leak: the arena, a first pool's thread-locals, the watch thread.
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let pool = pool(options, method)?;
        load.step(&pool, &mut dice, &mut tally, &dog);
        // Each call is made often enough to meet a killed process.
        for (name, call) in tasks::CALLS.iter().chain([objects::CALLS; 12].iter().flatten()) {
            if let Err(trouble) = dog.watched(name, || call(&pool, &mut dice, &mut tally)) {
                tally.error(name, &trouble);
            }
        }
    }
    tally = tally::Tally::default();
    let before = census::Census::take();
    let bar = ProgressBar::new(options.seconds).with_style(
        ProgressStyle::with_template("{elapsed} of {len} s {wide_bar} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let end = Instant::now() + Duration::from_secs(options.seconds);
    while Instant::now() < end {
        let method = if dice.below(2) == 0 { StartMethod::Spawn } else { StartMethod::ForkServer };
        let made = dog.watched("making a pool", || pool(options, method))?;
        tally.pools += 1;
        let pool = Arc::new(made);
        let hunter = hunter::Hunter::start(&pool, options.every, dice.roll());
        for _ in 0..CALLS_OF_A_POOL {
            let serves = load.step(&pool, &mut dice, &mut tally, &dog);
            bar.set_position(
                options.seconds.saturating_sub(end.saturating_duration_since(Instant::now()).as_secs()),
            );
            bar.set_message(format!("{} calls, {} wrong", tally.calls, tally.wrong));
            if !serves || Instant::now() >= end {
                break;
            }
        }
        let prey = dog.watched("ending the hunt", || hunter.end());
        tally.kills += prey.kills;
        tally.stops += prey.stops;
        // Unless the pool gave up, it has healed and returns right results.
        dog.watched("a last call", || load.calm(&pool, &mut tally));
        tally.respawns += pool.stats().respawns;
        dog.watched("dropping a pool", || drop(pool));
    }
    bar.finish_and_clear();
    tally.leaks = before.lasting_growth();
    Ok(tally)
}
