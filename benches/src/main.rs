//! Measures Phalanx beside other runtimes on this machine: launches, barriers, streams, locks, memory, and what is left of it
//! when other programs keep the cores busy.
//!
//! Every figure is a median of samples of variants that take turns in one run; results are verified before a rate is
//! printed. `docs/benchmarks.md` says what each bench does and how the numbers are to be read.

mod cli;
mod harness;
mod kernels;
mod launch;
mod memory;
mod noise;
mod npb;
mod peers;
mod queue;
mod report;
mod stream;
mod sync;
mod tasks;
mod watchdog;

use clap::Parser;
use cli::{Cli, Command};
use harness::Outcome;
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Hog { cpu } = cli.command {
        noise::hog(cpu);
    }
    match run(&cli) {
        Ok(missed) if missed > 0 && cli.check => {
            eprintln!("phalanx-bench: {missed} stated targets were missed");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phalanx-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; gives how many targets were missed.
fn run(cli: &Cli) -> Outcome<usize> {
    let setup = harness::Setup::new(cli)?;
    let mut report = Report::new(cli.json);
    report.headline(&setup);
    watchdog::start();
    match &cli.command {
        Command::Launch(options) => {
            launch::run(&setup, options, &mut report)?;
            if let Some(hogs) = options.noise {
                noise::run(&setup, &cli::Noise { hogs: Some(hogs), ..cli::Noise::default() }, &mut report)?;
            }
        }
        Command::Stream(options) => stream::run(&setup, options, &mut report)?,
        Command::Memory(options) => memory::run(&setup, options, &mut report)?,
        Command::Queue(options) => queue::run(&setup, options, &mut report)?,
        Command::Noise(options) => noise::run(&setup, options, &mut report)?,
        Command::Tasks(options) => tasks::run(&setup, options, &mut report)?,
        Command::Sync(options) => sync::run(&setup, options, &mut report)?,
        Command::Kernels(options) => kernels::run(&setup, options, &mut report)?,
        Command::Npb(options) => npb::run(&setup, options, &mut report)?,
        Command::All(options) => {
            launch::run(&setup, options, &mut report)?;
            noise::run(&setup, &cli::Noise::default(), &mut report)?;
            stream::run(
                &setup,
                &cli::Stream { vs: options.vs.clone(), ..cli::Stream::default() },
                &mut report,
            )?;
            memory::run(&setup, &cli::Memory::default(), &mut report)?;
            sync::run(&setup, &cli::Sync::default(), &mut report)?;
            queue::run(&setup, &cli::Queue::default(), &mut report)?;
        }
        Command::Hog { .. } => {}
    }
    Ok(report.missed())
}
