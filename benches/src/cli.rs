//! The command line.

use crate::npb::Class;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures Phalanx beside other runtimes.
#[derive(Debug, Parser)]
#[command(
    name = "phalanx-bench",
    about = "Measures Phalanx beside other runtimes on this machine",
    long_about = "Measures Phalanx beside other runtimes on this machine. Variants take turns in one run, each with a team \
        of its own that exists only while it is measured (idle teams of some runtimes spin), pinned to the same cores. \
        Figures are medians with 5th and 95th percentiles; n is the number of samples.",
    after_help = "Examples:\n  \
        phalanx-bench launch --vs rayon,forkunion\n  \
        phalanx-bench launch --only launch_empty,phase_barrier --seconds 0.2\n  \
        phalanx-bench stream --vs rayon --json\n  \
        phalanx-bench kernels sum,dot --vs rayon\n  \
        phalanx-bench npb cg --class A --runtime phalanx,rayon,serial --repeat 3\n  \
        phalanx-bench --check all\n\n\
        JSON is one object per line: bench, variant, workers, n, median, p5, p95, unit; \
        of npb: bench, class, runtime, workers, seconds, mops, verified.\n\
        Exit codes: 0 done; 1 a result was wrong, a launch failed or hung, or with --check a target was missed; 2 bad options."
)]
pub struct Cli {
    /// What to measure
    #[command(subcommand)]
    pub command: Command,

    /// Number of workers [default: one per physical core this process may use]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub workers: Option<u32>,

    /// Seconds of samples per bench and variant, warm-up apart
    #[arg(long, global = true, value_name = "S", default_value = "0.5", value_parser = seconds)]
    pub seconds: f64,

    /// Turns in which that time is spent; variants alternate turn by turn
    #[arg(long, global = true, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    /// Measure only these variants in launch benches (phalanx-processes, phalanx-caller-seat, phalanx-threads, ...)
    #[arg(long, global = true, value_name = "VARIANTS", value_delimiter = ',')]
    pub variants: Vec<String>,

    /// Print one JSON object per line instead of tables
    #[arg(long, global = true)]
    pub json: bool,

    /// Exit with 1 when a stated target is missed
    #[arg(long, global = true)]
    pub check: bool,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Launches, barriers, start and respawn
    Launch(Launch),
    /// STREAM copy, scale, add and triad over shared arrays
    Stream(Stream),
    /// Memory of workers, and of an array that all have swept
    Memory(Memory),
    /// Items through queues between processes
    Queue(Queue),
    /// A region of many phases while other processes keep the cores busy
    Noise(Noise),
    /// Calls through the pool: map, apply, apply_async, imap, start and stop
    Tasks(Tasks),
    /// Locks, other primitives and shared objects, alone and against another process
    Sync(Sync),
    /// Numeric kernels over shared arrays
    Kernels(Kernels),
    /// The NAS Parallel Benchmarks
    Npb(Npb),
    /// launch, noise, stream, memory, sync and queue, with their defaults
    All(Launch),
    /// Keeps a core busy for ever (started by `noise`)
    #[command(hide = true)]
    Hog {
        /// CPU to run on.
        cpu: u32,
    },
}

/// Runtimes to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Work-stealing threads; the caller waits.
    Rayon,
    /// Fork-join threads; the caller takes part.
    #[value(name = "forkunion")]
    ForkUnion,
    /// Nothing but Phalanx.
    None,
}

/// Options of `launch`.
#[derive(Clone, Debug, Args)]
pub struct Launch {
    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon,forkunion")]
    pub vs: Vec<Peer>,

    /// Run only these benches (launch_empty, launch_chunks, launch_after_sleep, phase_barrier, phase_step, pool_start,
    /// pool_drop, respawn)
    #[arg(long, value_name = "BENCHES", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Barriers or phases per region of phase_barrier and phase_step
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,

    /// Measure phase_noise too, with this many busy processes [default: one per worker]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0")]
    pub noise: Option<u32>,
}

/// Options of `stream`.
#[derive(Clone, Debug, Args)]
pub struct Stream {
    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon")]
    pub vs: Vec<Peer>,

    /// MiB of each of the three arrays
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    pub mib: u64,

    /// KiB of one chunk, for every parallel variant
    #[arg(long, value_name = "KIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    pub chunk: u64,

    /// Ask for huge pages for the shared arrays
    #[arg(long)]
    pub huge: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Stream { vs: vec![Peer::Rayon], mib: 256, chunk: 256, huge: false }
    }
}

/// Options of `tasks`.
#[derive(Clone, Debug, Args)]
pub struct Tasks {
    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon")]
    pub vs: Vec<Peer>,

    /// Run only these benches (map_squares, apply_empty, apply_async_gather, imap_item, pool_start_stop)
    #[arg(long, value_name = "BENCHES", value_delimiter = ',')]
    pub only: Vec<String>,
}

/// Options of `memory`.
#[derive(Clone, Debug, Args)]
pub struct Memory {
    /// MiB of the array that all sweep
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    pub mib: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { mib: 1024 }
    }
}

/// Options of `queue`.
#[derive(Clone, Debug, Args)]
pub struct Queue {
    /// Small items per sample
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub items: u64,

    /// Items of 1 MB per sample
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub large: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Queue { items: 100_000, large: 50 }
    }
}

/// Options of `noise`.
#[derive(Clone, Debug, Args)]
pub struct Noise {
    /// Busy processes, pinned in turn to the workers' cores [default: one per worker]
    #[arg(long = "noise", value_name = "N")]
    pub hogs: Option<u32>,

    /// Phases per region
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub phases: u64,

    /// Microseconds of work per rank and phase, on a quiet core
    #[arg(long, value_name = "US", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..100_000))]
    pub work: u64,
}

impl Default for Noise {
    fn default() -> Self {
        Noise { hogs: None, phases: 10_000, work: 10 }
    }
}

/// Options of `sync`.
#[derive(Clone, Debug, Args)]
pub struct Sync {
    /// Run only these benches (lock_pair, lock_contended, sync_pair, shared_op, sync_contended, barrier)
    #[arg(long, value_name = "BENCHES", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Operations of each worker in one sample of a contended bench
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub pairs: u64,
}

impl Default for Sync {
    fn default() -> Self {
        Sync { only: Vec::new(), pairs: 20_000 }
    }
}

/// Options of `kernels`.
#[derive(Clone, Debug, Args)]
pub struct Kernels {
    /// Run only these kernels
    #[arg(value_name = "NAME", value_delimiter = ',')]
    pub names: Vec<String>,

    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon")]
    pub vs: Vec<Peer>,

    /// MiB of each long array
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    pub mib: u64,

    /// Show what there is, and run nothing
    #[arg(long)]
    pub list: bool,
}

/// Which of the NAS Parallel Benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NpbName {
    /// Embarrassingly parallel: Gaussian deviates.
    Ep,
    /// Integer sort: ranks of keys.
    Is,
    /// Conjugate gradient: the smallest eigenvalue of a sparse matrix.
    Cg,
    /// Multigrid: Poisson's equation on a cube.
    Mg,
    /// Fourier transform: a diffusion equation in three dimensions.
    Ft,
}

/// On what a benchmark of NPB runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NpbRuntime {
    /// Worker processes of this engine.
    Phalanx,
    /// The same algorithm on rayon.
    Rayon,
    /// The same algorithm on one core.
    Serial,
}

impl NpbRuntime {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            NpbRuntime::Phalanx => "phalanx",
            NpbRuntime::Rayon => "rayon",
            NpbRuntime::Serial => "serial",
        }
    }
}

/// Options of `npb`.
#[derive(Clone, Debug, Args)]
pub struct Npb {
    /// The benchmark
    #[arg(value_name = "BENCHMARK")]
    pub name: NpbName,

    /// The problem's size
    #[arg(long, value_name = "CLASS", default_value = "S", ignore_case = true)]
    pub class: Class,

    /// What it runs on; several are compared in one run
    #[arg(long, value_name = "RUNTIMES", value_delimiter = ',', default_value = "phalanx")]
    pub runtime: Vec<NpbRuntime>,

    /// Runs of each, taking turns; the median is printed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: u32,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 100.0 => Ok(seconds),
        _ => Err("give a number of seconds above 0 and up to 100".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_are_taken_before_and_after_the_subcommand() {
        let cli = Cli::try_parse_from(["b", "--json", "launch", "--vs", "rayon", "--seconds", "2"]);
        let cli = cli.unwrap_or_else(|error| panic!("{error}"));
        assert!(cli.json);
        assert_eq!(cli.seconds, 2.0);
        assert!(matches!(cli.command, Command::Launch(Launch { ref vs, .. }) if *vs == [Peer::Rayon]));
    }

    #[test]
    fn npb_takes_a_class_and_several_runtimes() {
        let cli = Cli::try_parse_from(["b", "npb", "cg", "--class", "a", "--runtime", "rayon,serial"]);
        let cli = cli.unwrap_or_else(|error| panic!("{error}"));
        let Command::Npb(npb) = cli.command else { panic!("not npb") };
        assert_eq!((npb.name, npb.class), (NpbName::Cg, Class::A));
        assert_eq!(npb.runtime, [NpbRuntime::Rayon, NpbRuntime::Serial]);
        assert!(Cli::try_parse_from(["b", "npb", "cg", "--class", "X"]).is_err());
        assert!(Cli::try_parse_from(["b", "npb", "xy"]).is_err());
    }

    #[test]
    fn a_bad_time_is_refused() {
        for bad in ["0", "-1", "nan", "x", "1e9"] {
            assert!(Cli::try_parse_from(["b", "launch", "--seconds", bad]).is_err(), "{bad}");
        }
    }
}
