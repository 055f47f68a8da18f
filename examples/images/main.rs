//! A folder of pictures through decoders that may crash, hang or leak: a bad file costs itself only.
//!
//! `job` is what is done for a file, `filter` the arithmetic, `generate` makes pictures to try it on, `peer`
//! is the same with threads of rayon.

mod filter;
mod generate;
mod job;
mod outcome;
mod peer;
#[cfg(test)]
mod tests;

use clap::{Parser, Subcommand, ValueEnum};
use common::{Closing, Result, Team, count, grouped, refuse};
use generate::{Plan, generate};
use job::{Job, process, read_back};
use outcome::Outcome;
use phalanx::{CancelToken, Pool, Tasks};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Finds the edges in all pictures of a folder (PNG and JPEG), whatever some of the files do to their
/// decoder.
///
/// Each picture is decoded, blurred, sent through Sobel's filter, equalised and encoded as OUT/NAME.png.
#[derive(Debug, Parser)]
#[command(
    name = "images",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  images photos edges\n  images generate 1000 photos --hostile 7 --width 1024 --height 768\n\n\
        Without a folder, pictures are made for the run, and removed.\n\
        Exit codes: 0 every file is done or listed with what is wrong with it, 1 a result is wrong, or the run was \
        interrupted or failed, 2 a folder or an option is wrong."
)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The pictures: files named .png, .jpg or .jpeg
    #[arg(value_name = "FOLDER", requires = "out")]
    folder: Option<PathBuf>,

    /// The folder for the results, made if it is not there
    #[arg(value_name = "OUT")]
    out: Option<PathBuf>,

    #[command(flatten)]
    made: Made,

    /// Milliseconds that one file may take
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,

    /// How often a file that ended its worker is tried again
    #[arg(long, value_name = "N", default_value_t = 1)]
    retry: u32,

    /// Bytes of memory that a worker may allocate
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = count)]
    memory: u64,

    /// Number of bad files to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    list: usize,

    /// Leave out the check: results read back, and computed again by one worker
    #[arg(long)]
    no_check: bool,

    /// Runtime that processes the files
    #[arg(long, value_name = "RUNTIME", default_value = "phalanx")]
    runtime: Runtime,

    /// Afterwards run the same with --runtime rayon, and report how that ended
    #[arg(long)]
    peer: bool,

    #[command(flatten)]
    team: Team,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Runtime {
    /// Worker processes
    Phalanx,
    /// Threads of rayon, all of which the first file that crashes ends
    Rayon,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct Made {
    /// Pictures that are made if no folder is given
    #[arg(long, value_name = "N", default_value = "60", value_parser = count)]
    files: u64,
    /// How many of them are hostile
    #[arg(long, value_name = "N", default_value = "7", value_parser = count)]
    hostile: u64,
    /// Their width
    #[arg(long, value_name = "PIXELS", default_value_t = 320, value_parser = clap::value_parser!(u32).range(1..=16384))]
    width: u32,
    /// Their height
    #[arg(long, value_name = "PIXELS", default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=16384))]
    height: u32,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write pictures to try the program on
    Generate {
        /// How many
        #[arg(value_parser = count)]
        files: u64,
        /// The folder to write to
        folder: PathBuf,
        /// How many of them are hostile
        #[arg(long, value_name = "N", default_value = "0", value_parser = count)]
        hostile: u64,
        /// Their width
        #[arg(long, value_name = "PIXELS", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=16384))]
        width: u32,
        /// Their height
        #[arg(long, value_name = "PIXELS", default_value_t = 768, value_parser = clap::value_parser!(u32).range(1..=16384))]
        height: u32,
        #[command(flatten)]
        team: Team,
    },
}

fn main() -> ExitCode {
    common::run("images", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    // The first Ctrl-C lets the files that are running finish, and what was made for the run is removed.
    let stop = CancelToken::on_ctrl_c()?;
    if let Some(Command::Generate { files, folder, hostile, width, height, team }) = &options.command {
        let plan = Plan { files: *files, hostile: *hostile, width: *width, height: *height };
        return generate(&team.pool("images")?, plan, folder, &stop);
    }
    if let (Some(folder), Some(out)) = (&options.folder, &options.out) {
        return whole(options, folder, out, &stop).map(drop);
    }
    let place = tempfile::tempdir()?;
    let (folder, out) = (place.path().join("in"), place.path().join("out"));
    let Made { files, hostile, width, height } = options.made;
    let plan = Plan { files, hostile, width, height };
    generate(&options.team.pool("images")?, plan, &folder, &stop)?;
    let bad = whole(options, &folder, &out, &stop)?;
    if bad as u64 != hostile {
        return Err(format!("{bad} files are bad, and not the {hostile} that were made so").into());
    }
    Ok(())
}

/// Names of the pictures in a folder, in order.
fn names(folder: &Path) -> Result<Vec<PathBuf>> {
    let fails = |error: std::io::Error| refuse(format!("{}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fails)? {
        let name = PathBuf::from(entry.map_err(fails)?.file_name());
        let kind = name.extension().unwrap_or_default().to_ascii_lowercase();
        if ["png", "jpg", "jpeg"].into_iter().any(|known| kind == known) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(refuse(format!("{} has no files named .png, .jpg or .jpeg", folder.display())));
    }
    names.sort();
    Ok(names)
}

/// All files of a folder. Returns how many are bad.
fn whole(options: &Options, folder: &Path, out: &Path, stop: &CancelToken) -> Result<usize> {
    let names = names(folder)?;
    std::fs::create_dir_all(out).map_err(|error| refuse(format!("{}: {error}", out.display())))?;
    let same = [folder, out].map(Path::canonicalize);
    if let [Ok(folder), Ok(out)] = &same
        && folder == out
    {
        return Err(refuse("the results would be pictures of the same folder: give another one for them"));
    }
    let jobs: Vec<Job> = names
        .iter()
        .map(|name| Job {
            from: folder.join(name).into_os_string(),
            to: Some(out.join(name.with_added_extension("png")).into_os_string()),
            memory: options.memory / 2,
        })
        .collect();
    match options.runtime {
        Runtime::Phalanx => by_workers(options, &names, &jobs, stop),
        Runtime::Rayon => peer::by_threads(options, &jobs),
    }
}

fn by_workers(options: &Options, names: &[PathBuf], jobs: &[Job], stop: &CancelToken) -> Result<usize> {
    let pool = options.team.builder("images").initializer(prepare, options.memory).build()?;
    let begin = Instant::now();
    let outcomes = tasks(&pool, options, stop).try_map_results(process, jobs.to_vec())?;
    let seconds = begin.elapsed().as_secs_f64();
    outcome::uninterrupted(&outcomes, stop)?;
    outcome::all_could_be_written(&outcomes)?;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    common::outln!("{} of {} files are done", grouped(done as u64), grouped(outcomes.len() as u64));
    outcome::list(options.list, options.retry, names, &outcomes);
    let pixels = outcomes.iter().flatten().map(|done| f64::from(done.width) * f64::from(done.height)).sum();
    let mut closing = Closing::new(&pool, seconds, pixels, "pixels");
    if !options.no_check {
        let alone = check(&pool, options, jobs, &outcomes, stop)?;
        common::outln!("verified    results read back, and those of one worker, have the same checksums");
        closing = closing.beside("one worker, who was spared the bad files", alone);
    }
    common::out!("{closing}");
    if options.peer {
        peer::beside(options, &jobs[0], names.len(), pool.workers(), seconds)?;
    }
    if options.folder.is_none() {
        outcome::compare_with_plan(names, &outcomes)?;
        common::outln!("every file ended as it was made to");
    }
    Ok(outcomes.len() - done)
}

/// Prepares a worker, also those that take the place of dead ones.
fn prepare(memory: u64) -> std::result::Result<(), String> {
    common::limit_memory(memory)
}

/// How files are done: each has its own time limit, and is tried again if it ended its worker.
fn tasks<'p>(pool: &'p Pool, options: &Options, stop: &CancelToken) -> Tasks<'p> {
    let tasks = pool.tasks().chunksize(1).timeout(Duration::from_millis(options.limit)).cancel(stop);
    tasks.retry(options.retry).retry_on(outcome::ended_its_worker).progress_bar("files")
}

/// Results read back by the team, and computed again by one worker. Returns what that one took.
fn check(
    pool: &Pool,
    options: &Options,
    jobs: &[Job],
    outcomes: &[Outcome],
    stop: &CancelToken,
) -> Result<f64> {
    let good = || jobs.iter().zip(outcomes).filter_map(|(job, outcome)| Some((job, outcome.as_ref().ok()?)));
    let written = good().filter_map(|(job, _)| Some(Job { from: job.to.clone()?, ..job.clone() }));
    let back = tasks(pool, options, stop).try_map_results(read_back, written)?;
    let alone = options.team.builder("images").workers(1).initializer(prepare, options.memory).build()?;
    let begin = Instant::now();
    let again = good().map(|(job, _)| Job { to: None, ..job.clone() });
    let again = tasks(&alone, options, stop).try_map_results(process, again)?;
    let seconds = begin.elapsed().as_secs_f64();
    outcome::uninterrupted(&again, stop)?;
    for (((job, done), back), again) in good().zip(&back).zip(&again) {
        if !matches!((back, again), (Ok(back), Ok(again)) if back == done && again == done) {
            let name = Path::new(&job.from).display();
            return Err(format!("{name}: first {done:?}, read back {back:?}, by one worker {again:?}").into());
        }
    }
    Ok(seconds)
}
