//! Pools of workers: the small programs with which texts explain Python's `multiprocessing.Pool`.
//!
//! Usage: `pools [squares|threading|..|all]`, by default all of them. `--backend threads` runs the same on
//! threads, `--unit-ms` scales all sleeping, and `--workers` replaces the number of cores.

mod calls;
mod log;
mod settings;
mod shared;
mod sizes;
mod squares;

use clap::{Parser, Subcommand};
use phalanx::process::cpu_count;
use phalanx::{Backend, Pool, PoolBuilder};
use std::time::Duration;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Pools of workers.
#[derive(Parser)]
struct Arguments {
    /// What workers are: processes or threads.
    #[arg(long, default_value_t = Backend::Processes, global = true)]
    backend: Backend,
    /// Number of workers where all cores are used; by default the number of CPUs.
    #[arg(long, global = true)]
    workers: Option<usize>,
    /// How long a task of one unit sleeps, in milliseconds.
    #[arg(long, default_value_t = 1000, global = true)]
    unit_ms: u64,
    #[command(subcommand)]
    topic: Option<Topic>,
}

#[derive(Clone, Copy, Subcommand)]
enum Topic {
    /// Squares on all cores, and on four.
    Squares,
    /// Squares on threads that report when they are done.
    Threading,
    /// Ten items and the processes that worked on them.
    Processing,
    /// One call at a time, waited for or not; functions of two arguments.
    Calls,
    /// Results as they come: in order, and as they finish.
    Lazy,
    /// A task that takes too long.
    Timeout,
    /// An item that fails, and those that do not.
    Errors,
    /// A thousand items, a hundred per task.
    Chunked,
    /// Computing in a pool while threads wait for something.
    Io,
    /// A list that a manager hosts.
    List,
    /// A counter and an array that all workers change.
    Shared,
    /// Mappers, converters and a writer, with queues between them.
    Pipeline,
    /// What every worker does first.
    Initializer,
    /// Workers that are replaced after a number of tasks.
    MaxTasks,
    /// The three ways to start worker processes.
    StartMethods,
    /// How long the same work takes with pools of several sizes.
    PoolSizes,
    /// Pool sizes that fit the load of the machine.
    Adaptive,
    /// How long a function takes, in the log.
    Monitored,
    /// A hundred tasks with a progress bar.
    Progress,
    /// All of these.
    All,
}

const ALL: [Topic; 19] = [
    Topic::Squares,
    Topic::Threading,
    Topic::Processing,
    Topic::Calls,
    Topic::Lazy,
    Topic::Timeout,
    Topic::Errors,
    Topic::Chunked,
    Topic::Io,
    Topic::List,
    Topic::Shared,
    Topic::Pipeline,
    Topic::Initializer,
    Topic::MaxTasks,
    Topic::StartMethods,
    Topic::PoolSizes,
    Topic::Adaptive,
    Topic::Monitored,
    Topic::Progress,
];

/// What the command line chooses.
struct Setting {
    backend: Backend,
    cores: usize,
    unit: Duration,
}

impl Setting {
    fn builder(&self, workers: usize) -> PoolBuilder {
        Pool::builder().backend(self.backend).workers(workers)
    }

    /// Returns a pool of that many workers.
    fn pool(&self, workers: usize) -> Result<Pool, phalanx::pool::PoolError> {
        self.builder(workers).build()
    }
}

fn main() -> Outcome {
    let arguments = Arguments::parse();
    let cores = match arguments.workers {
        Some(workers) => workers,
        None => cpu_count()?.logical,
    };
    let unit = Duration::from_millis(arguments.unit_ms);
    let setting = Setting { backend: arguments.backend, cores, unit };
    match arguments.topic.unwrap_or(Topic::All) {
        Topic::All => ALL.iter().try_for_each(|topic| run(*topic, &setting)),
        topic => run(topic, &setting),
    }
}

fn run(topic: Topic, setting: &Setting) -> Outcome {
    match topic {
        Topic::Squares => squares::squares(setting),
        Topic::Threading => squares::threading(setting),
        Topic::Processing => calls::processing(setting),
        Topic::Calls => calls::calls(setting),
        Topic::Lazy => calls::lazy(setting),
        Topic::Timeout => calls::timeout(setting),
        Topic::Errors => calls::errors(setting),
        Topic::Chunked => calls::chunked(setting),
        Topic::Io => shared::io(setting),
        Topic::List => shared::list(setting),
        Topic::Shared => shared::counter_and_array(setting),
        Topic::Pipeline => shared::pipeline(setting),
        Topic::Initializer => settings::initializer(setting),
        Topic::MaxTasks => settings::max_tasks(setting),
        Topic::StartMethods => settings::start_methods(setting),
        Topic::PoolSizes => sizes::pool_sizes(setting),
        Topic::Adaptive => sizes::adaptive(setting),
        Topic::Monitored => log::monitored(setting),
        Topic::Progress => sizes::progress(setting),
        Topic::All => Ok(()),
    }
}
