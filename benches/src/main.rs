//! Measures Phalanx beside other runtimes on this machine: launches, barriers, streams, locks, memory, and
//! what is left of it when other programs keep the cores busy.
//!
//! Every figure is a median of samples of variants that take turns in one run; results are verified before a
//! rate is printed. `docs/benchmarks.md` says what each bench does and how the numbers are to be read.
//!
//! To add a bench: a file with a type that holds its options and implements [`bench::Bench`], a line in
//! [`benches::BENCHES`], and its rows in `docs/benchmarks.md`.

mod all;
mod bench;
mod benches;
mod c2c;
mod chunk;
mod cli;
mod cluster;
mod compare;
mod described;
mod doctor;
mod harness;
mod head;
mod kernels;
mod launch;
mod launch_observed;
mod launch_spread;
mod memory;
mod memory_map;
mod noise;
mod npb;
mod page;
mod peers;
mod pool_size;
mod queue;
mod quiet_pipe;
mod report;
mod saturation;
mod scale;
mod sizing;
mod statistics;
mod stream;
mod sync;
mod tasks;
mod top;
mod topo;
mod tune;
mod usage;
mod watchdog;

use bench::Listed;
use clap::ArgMatches;
use cli::{Cli, Request};
use harness::{Outcome, Setup};
use phalanx::tuning::ProfileError;
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_pipe::install();
    let (cli, request) = cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let missed = match request {
        Request::List => {
            print!("{}", cli::list());
            Ok(0)
        }
        Request::Hog(hog) => hog.run(),
        Request::Driver(driver) => driver.run(),
        Request::Inspect(inspection, options) => {
            return match inspection.run(&options, &cli.options, cli.json) {
                Ok(0) => ExitCode::SUCCESS,
                Ok(_) => ExitCode::FAILURE,
                Err(error) => failed(&*error),
            };
        }
        Request::Run(benches) => run(&cli, &benches),
    };
    match missed {
        Ok(missed) if missed > 0 && cli.check => {
            eprintln!("phalanx-bench: {missed} stated targets were missed");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failed(&*error),
    }
}

fn failed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ExitCode {
    eprintln!("phalanx-bench: {error}");
    // As bad options: nothing was measured, since it could not be stored.
    if error.is::<ProfileError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Runs what was asked for; returns how many targets were missed.
fn run(cli: &Cli, benches: &[(&Listed, ArgMatches)]) -> Outcome<usize> {
    let setup = Setup::new(&cli.options)?;
    let mut report = Report::new(cli.json);
    if cli.json {
        report.object(&head::line(std::env::args()));
    }
    if benches.iter().any(|(bench, _)| bench.has_one_team) {
        report.headline(&setup.places, &setup.reason);
    }
    watchdog::start();
    for (bench, options) in benches {
        bench.run(options, &setup, &mut report)?;
    }
    Ok(report.missed())
}
