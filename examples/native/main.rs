//! A C library that is not thread-safe: serial behind a lock in threads, parallel in worker processes.

mod library;

use clap::Parser;
use common::{Closing, Result};
use phalanx::{Backend, CancelToken, Pool, SharedArray};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Periods of van der Pol's oscillator, by a C library that allows one caller at a time.
#[derive(Debug, Parser)]
#[command(
    name = "native",
    after_help = "Examples:\n  native\n  native --points 100k --workers 8\n\n\
        Exit codes: 0 done (also where there is no C compiler), 1 a result is wrong, 2 an option is wrong."
)]
struct Options {
    /// Values of mu, from 0.5 to 4.5
    #[arg(long, default_value = "5k", value_parser = common::count)]
    points: u64,
    /// Number of workers [default: one per physical core this process may use]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    workers: Option<u16>,
}

/// The period for mu = 1.
const PERIOD_OF_ONE: f64 = 6.663_286_859_323_13;
/// Points that a worker takes at a time: some are much more work than others.
const CHUNK: usize = 16;

fn main() -> ExitCode {
    let options = Options::parse();
    common::run("native", || compare(&options))
}

fn compare(options: &Options) -> Result<()> {
    // The first Ctrl-C ends the launch and thereby the program in good order: the folder does not stay behind.
    let stop = CancelToken::on_ctrl_c()?;
    let folder = tempfile::tempdir()?;
    let Some(library) = library::build(folder.path())? else {
        common::outln!("skipped: there is no C compiler (cc), so there is no library to call");
        return Ok(());
    };
    let points = usize::try_from(options.points)?;
    let team = |backend, workers: Option<u16>| pool(&library, backend, workers);
    let processes = team(Backend::Processes, options.workers)?;
    let workers = u16::try_from(processes.workers())?;
    let (periods, seconds) = sweep(&processes, points, &stop)?;
    let closing = Closing::new(&processes, seconds, points as f64, "periods");
    let known = processes.apply(library::period, 1.0)?;
    if (known - PERIOD_OF_ONE).abs() > 1e-8 {
        return Err(format!("the period for mu = 1 is {known}, instead of {PERIOD_OF_ONE}").into());
    }
    common::outln!("period for mu = 1: {known:.8}, as published");
    drop(processes);

    let (of_one, serial) = sweep(&team(Backend::Processes, Some(1))?, points, &stop)?;
    let (of_threads, locked) = sweep(&team(Backend::Threads, Some(workers))?, points, &stop)?;
    if of_one.as_slice() != periods.as_slice() || of_threads.as_slice() != periods.as_slice() {
        return Err("threads and processes have different results".into());
    }
    common::outln!("one process, processes, and threads behind a lock have the same results");
    common::outln!("{:<24}{serial:>8.3} s", "one process");
    common::outln!("{:<24}{locked:>8.3} s, {:.2} x", "threads behind a lock", serial / locked);
    common::outln!("{:<24}{seconds:>8.3} s, {:.2} x", "processes", serial / seconds);
    common::out!("{}", closing.beside("threads behind a lock", locked));
    Ok(())
}

fn pool(library: &Path, backend: Backend, workers: Option<u16>) -> Result<Pool> {
    let builder =
        Pool::builder().name("native").backend(backend).initializer(library::load, library.to_owned());
    let builder = workers.iter().fold(builder, |builder, &workers| builder.workers(workers.into()));
    Ok(builder.build()?)
}

/// The periods for `points` values of mu, and the seconds that took.
fn sweep(pool: &Pool, points: usize, stop: &CancelToken) -> Result<(SharedArray<f64>, f64)> {
    let spacing = 4.0 / points as f64;
    let mu = pool.from_fn_with(points, spacing, |i, spacing| 0.5 + i as f64 * spacing)?;
    let mut periods = pool.zeros::<f64>(points)?;
    let begin = Instant::now();
    pool.launch().chunk(CHUNK).cancel(stop).map_into(periods.split_out(), mu.split(), library::period)?;
    Ok((periods, begin.elapsed().as_secs_f64()))
}
