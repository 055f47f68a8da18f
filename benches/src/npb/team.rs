//! What a benchmark runs on.

use clap::ValueEnum;
use phalanx::Pool;

/// What a benchmark runs on, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// Worker processes of this engine.
    Phalanx,
    /// The same algorithm on rayon.
    Rayon,
    /// The same algorithm on one core.
    Serial,
}

impl Runtime {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Phalanx => "phalanx",
            Runtime::Rayon => "rayon",
            Runtime::Serial => "serial",
        }
    }
}

/// The threads or processes that compute. Its members are pinned to the cores that all runtimes share; a
/// serial run's thread to the first.
pub enum Team<'a> {
    /// The calling thread.
    Serial,
    /// Threads that steal work. `install` the timed part.
    Rayon(&'a rayon::ThreadPool),
    /// Worker processes. The timed part is one region.
    Phalanx(&'a Pool),
}

impl Team<'_> {
    /// Its threads or processes.
    pub fn size(&self) -> usize {
        match self {
            Team::Serial => 1,
            Team::Rayon(threads) => threads.current_num_threads(),
            Team::Phalanx(pool) => pool.workers(),
        }
    }
}
