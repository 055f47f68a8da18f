//! A long map in which some items crash, loop forever, eat all memory, fail or panic: all others finish, and
//! the bad ones are listed by index and cause.

mod job;

use clap::Parser;
use common::{Closing, Result, grouped};
use job::{Field, Trouble, steps, work};
use phalanx::{ExitCause, Pool, TaskError};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Maps a function over many items, some of which crash, loop forever, eat all memory, fail or panic.
#[derive(Debug, Parser)]
#[command(
    name = "survivor",
    after_help = "Examples:\n  survivor --items 1M --one-in 20k\n  survivor --items 1M --one-in 20k --peer python3\n\n\
        Exit codes: 0 every item ended as planted and no worker is missing, 1 one did not, 2 an option is wrong."
)]
struct Options {
    /// Items of the map
    #[arg(long, default_value = "100k", value_parser = common::count)]
    items: u64,
    /// One item in so many is bad, of five kinds
    #[arg(long, default_value = "5k", value_parser = at_least_one)]
    one_in: u64,
    /// Milliseconds that one item may take
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Bytes of memory that a worker may allocate
    #[arg(long, default_value = "256M", value_parser = common::count)]
    memory: u64,
    /// Number of bad items to list
    #[arg(long, default_value_t = 20)]
    list: usize,
    /// Number of workers [default: one per physical core this process may use]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    workers: Option<u16>,
    /// Afterwards run the same job with concurrent.futures and joblib, by this Python
    #[arg(long, value_name = "PYTHON")]
    peer: Option<String>,
}

fn at_least_one(text: &str) -> std::result::Result<u64, String> {
    common::count(text).and_then(|count| if count > 0 { Ok(count) } else { Err("at least 1".into()) })
}

type Outcomes = Vec<std::result::Result<u64, TaskError>>;

fn main() -> ExitCode {
    let options = Options::parse();
    common::run("survivor", || survive(&options))
}

fn survive(options: &Options) -> Result<()> {
    let field = Field { one_in: options.one_in, memory: options.memory };
    let team = pool(options.workers, field)?;
    let (outcomes, seconds) = run(&team, options)?;
    let bad = listed(&outcomes, options.list);
    common::outln!("{} of {} items have a result", grouped(options.items - bad), grouped(options.items));
    let deaths = check(&outcomes, field)?;
    common::outln!("every item ended as planted: {}", census(field, options.items));
    check_strength(&team, deaths)?;
    common::outln!("{deaths} workers were lost and replaced; the pool is at full strength");
    let one = pool(Some(1), field)?;
    let (again, serial_seconds) = run(&one, options)?;
    check(&again, field)?;
    common::outln!("one worker gives the same");
    let closing = Closing::new(&team, seconds, options.items as f64, "items");
    common::out!("{}", closing.beside("one worker", serial_seconds));
    options.peer.as_ref().map_or(Ok(()), |python| run_peer(python, options, team.workers()))
}

fn pool(workers: Option<u16>, field: Field) -> Result<Pool> {
    let builder = Pool::builder().name("survivor").initializer(job::prepare, field);
    let builder = workers.iter().fold(builder, |builder, &workers| builder.workers(workers.into()));
    Ok(builder.build()?)
}

/// The map, and how long it took.
fn run(pool: &Pool, options: &Options) -> Result<(Outcomes, f64)> {
    let begin = Instant::now();
    let tasks = pool.tasks().timeout(Duration::from_millis(options.limit)).progress_bar("items");
    let outcomes = tasks.try_map_results(work, 0..options.items)?;
    Ok((outcomes, begin.elapsed().as_secs_f64()))
}

/// Prints the first `most` bad items, and returns the number of all.
fn listed(outcomes: &Outcomes, most: usize) -> u64 {
    let bad = || outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    for error in bad().take(most) {
        // The lines after the first are the calls that led to a panic, if the environment asks for them.
        common::outln!("{}", error.to_string().lines().next().unwrap_or_default());
    }
    let count = bad().count();
    if count > most {
        common::outln!("... and {} more", count - most);
    }
    count as u64
}

/// What went wrong with an item, as this program calls it; `None` for what it does not plant.
fn trouble_of(error: &TaskError) -> Option<Trouble> {
    match error {
        TaskError::WorkerDied { cause: ExitCause::Signal { number, .. }, .. } => match *number {
            SEGV => Some(Trouble::Crash),
            ABORT => Some(Trouble::Glutton),
            _ => None,
        },
        TaskError::TimedOut { .. } => Some(Trouble::Endless),
        TaskError::Failed { .. } => Some(Trouble::Failure),
        TaskError::Panicked { .. } => Some(Trouble::Panic),
        _ => None,
    }
}

const SEGV: i32 = rustix::process::Signal::SEGV.as_raw();
/// An allocation that fails ends a Rust program by this.
const ABORT: i32 = rustix::process::Signal::ABORT.as_raw();

/// Compares every outcome with what was planted. Returns how many workers that cost.
fn check(outcomes: &Outcomes, field: Field) -> Result<u64> {
    let mut deaths = 0;
    for (item, outcome) in (0..).zip(outcomes) {
        let planted = field.trouble(item);
        let is_right = match outcome {
            Ok(found) => planted.is_none() && *found == steps(item),
            Err(error) => {
                planted.is_some() && trouble_of(error) == planted && error.item() == Some(item as usize)
            }
        };
        if !is_right {
            return Err(format!("item {item}: planted {planted:?}, but {outcome:?}").into());
        }
        deaths += u64::from(planted.is_some_and(Trouble::is_fatal));
    }
    Ok(deaths)
}

/// How many of each kind are planted.
fn census(field: Field, items: u64) -> String {
    let planted: Vec<Trouble> = (0..items).filter_map(|item| field.trouble(item)).collect();
    let count = |kind: Trouble| {
        format!("{} {}", planted.iter().filter(|planted| **planted == kind).count(), kind.name())
    };
    Trouble::ALL.map(count).join(", ")
}

/// Calls every worker once: each is a living process of its own.
fn check_strength(pool: &Pool, deaths: u64) -> Result<()> {
    let mut pids = pool.zeros::<u64>(pool.workers())?;
    pool.broadcast(pids.split_mut(), |_rank, pid| pid.fill(std::process::id().into()))?;
    let mut pids = pids.to_vec();
    pids.sort_unstable();
    pids.dedup();
    if pids.len() != pool.workers() {
        return Err(format!("{} of {} workers are left", pids.len(), pool.workers()).into());
    }
    let counted = pool.insights().deaths;
    if counted == deaths { Ok(()) } else { Err(format!("{counted} deaths instead of {deaths}").into()) }
}

fn run_peer(python: &str, options: &Options, workers: usize) -> Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/survivor/peer.py");
    let numbers = [options.items, options.one_in, options.memory, workers as u64].map(|n| n.to_string());
    let names = ["--items", "--one-in", "--memory", "--workers"];
    let arguments = names.iter().zip(&numbers).flat_map(|(name, number)| [*name, number.as_str()]);
    let status = Command::new(python).arg(script).args(arguments).status();
    let status = status.map_err(|error| common::refuse(format!("{python} cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(format!("{python}: {status}").into()) }
}
