//! C libraries that let one caller in at a time: serial in threads, parallel in worker processes.
//!
//! `library` is one that is not thread-safe, behind a lock of ours; `hdf5` is HDF5, which has a lock of its
//! own.

mod hdf5;
mod library;

use clap::Parser;
use common::{Closing, Result};
use phalanx::{Backend, CancelToken, Pool, SharedArray};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Periods of van der Pol's oscillator by a C library that allows one caller at a time, and sums of datasets
/// by HDF5.
#[derive(Debug, Parser)]
#[command(
    name = "native",
    after_help = "Examples:\n  native\n  native --points 100k --workers 8\n\n\
        Exit codes: 0 done (also where there is no C compiler or no HDF5), 1 a result is wrong, 2 an option is wrong."
)]
struct Options {
    /// Values of mu, from 0.5 to 4.5
    #[arg(long, default_value = "5k", value_parser = common::count)]
    points: u64,
    /// Compressed datasets of 2 MiB that are read by HDF5, if it is installed
    #[arg(long, default_value = "64", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    datasets: u16,
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
    // The first Ctrl-C ends the launch and thereby the program in good order: the folder does not stay
    // behind.
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
    common::outln!("{:<24}{}", "HDF5", by_hdf5(options, workers, folder.path(), &stop)?);
    common::out!("{}", closing.beside("threads behind a lock", locked));
    Ok(())
}

/// Reads all datasets of a file by threads and by processes. Returns what that took.
fn by_hdf5(options: &Options, workers: u16, folder: &Path, stop: &CancelToken) -> Result<String> {
    let Some(library) = hdf5::build(folder)? else {
        return Ok("skipped: it is not installed (in Debian: libhdf5-dev)".to_owned());
    };
    let operands = (library, folder.join("datasets.h5"));
    hdf5::load(operands.clone())?;
    let datasets = i32::from(options.datasets);
    hdf5::write(datasets)?;
    let read = |backend| -> Result<(Vec<f64>, f64)> {
        let builder = Pool::builder().name("native").backend(backend).workers(workers.into());
        let pool = builder.initializer(hdf5::load, operands.clone()).build()?;
        let mut sums = pool.zeros::<f64>(options.datasets.into())?;
        let begin = Instant::now();
        let launch = pool.launch().chunk(1).cancel(stop);
        launch.for_each((0..sums.len(), sums.split_out()), |(datasets, sums)| {
            datasets.zip(sums).for_each(|(dataset, sum)| *sum = hdf5::sum(dataset as i32));
        })?;
        Ok((sums.to_vec(), begin.elapsed().as_secs_f64()))
    };
    let (of_processes, seconds) = read(Backend::Processes)?;
    let (of_threads, locked) = read(Backend::Threads)?;
    let expected: Vec<f64> = (0..datasets).map(hdf5::expected).collect();
    if of_processes != expected || of_threads != expected {
        return Err("a dataset that HDF5 has read is not what was written".into());
    }
    Ok(format!(
        "{datasets} datasets: threads {locked:.3} s, processes {seconds:.3} s, {:.2} x; the sums are right",
        locked / seconds
    ))
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
