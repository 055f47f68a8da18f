//! `cluster`: messages between drivers beside bare MPI, and what the network's constants predict for many nodes.

pub mod driver;
mod installed;
mod loggp;
mod model;
mod predict;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::report::{Goal, Record, Report, Target};
use crate::watchdog;
use clap::Args;
use driver::Driver;
use installed::{Installed, find, samples};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Lengths of messages, in bytes.
const EXCHANGE: [(usize, &str); 7] = [
    (8, "cluster_exchange_8"),
    (64, "cluster_exchange_64"),
    (1 << 10, "cluster_exchange_1024"),
    (8 << 10, "cluster_exchange_8192"),
    (64 << 10, "cluster_exchange_65536"),
    (256 << 10, "cluster_exchange_262144"),
    (1 << 20, "cluster_exchange_1048576"),
];
/// What Phalanx may take longer than bare MPI, in nanoseconds.
const ABOVE: f64 = 2000.0;
/// How many times as long a sum of one value may take.
const FACTOR: f64 = 1.5;
/// Runs of one job: of short messages, and of heat.
const RUNS: usize = 1000;
const SWEEPS: usize = 200;

/// Messages between drivers of a cluster, beside bare MPI in C; predictions for many nodes
#[derive(Debug, Args)]
#[command(after_help = "\
Starts two processes on this machine, with each MPI that is found, and the same in C: that takes cc and mpi.h. Jobs \
take turns. Measured are exchanges of ghost rows, all_reduce, barrier and reduce, and heat with two drivers of one \
worker and one driver of two, beside one C process a core with the same loop. Not measured yet: tasks (cluster::lead, \
mpi4py.futures) and files.")]
pub struct ClusterBench {
    /// Measure with the MPI in this folder (with bin, lib and include); may be repeated [default: those in
    /// PHALANX_MPI_WHEELS, or on the path]
    #[arg(long, value_name = "FOLDER")]
    mpi: Vec<PathBuf>,

    /// Start jobs with these words instead, as "mpirun -n {} --host a,b": over a network. {} is the number of
    /// processes
    #[arg(long, value_name = "WORDS")]
    launch: Option<String>,

    /// Cells of an edge of the plate that heat is measured on
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    cells: u32,

    /// Predict times on up to 4096 nodes for heat3d, CG and map, from constants that are measured here
    #[arg(long)]
    model: bool,

    #[command(flatten)]
    predict: predict::Options,
}

impl Bench for ClusterBench {
    const NAME: &'static str = "cluster";
    // It takes an MPI.
    const IN_ALL: bool = false;
    const HAS_ONE_TEAM: bool = false;

    fn measures() -> Vec<&'static str> {
        let mut names: Vec<&str> = EXCHANGE.iter().map(|(_, name)| *name).collect();
        names.extend(["cluster_all_reduce", "cluster_barrier", "cluster_reduce", "cluster_heat"]);
        names.extend([predict::CONSTANTS, predict::PREDICTION]);
        names
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let found = find(&self.mpi);
        let folder = tempfile::Builder::new().prefix("phalanx-bench-").tempdir()?;
        if self.model {
            return self.predict.run(&found, self.launch.as_deref(), &folder, setup, report);
        }
        if found.is_empty() {
            return Err("no MPI here: name its folder with --mpi, or put its launcher on the path".into());
        }
        for mpi in &found {
            let peer = mpi.compile(&folder);
            if let Err(why) = &peer {
                report.remark(&format!("{} in C is absent: {why}", mpi.name));
            }
            let job =
                Job { mpi, launch: self.launch.as_deref(), own: std::env::current_exe()?, peer: peer.ok() };
            job.exchange(setup, report)?;
            job.collectives(setup, report)?;
            job.heat(self.cells as usize, setup, report)?;
        }
        Ok(())
    }
}

/// Jobs with one MPI.
struct Job<'a> {
    mpi: &'a Installed,
    launch: Option<&'a str>,
    own: PathBuf,
    peer: Option<PathBuf>,
}

/// The samples of one program's runs, by name.
type Named = Vec<(String, Vec<f64>)>;

impl Job<'_> {
    fn ours(&self, drivers: usize, words: &[String]) -> Outcome<Named> {
        let mut all = vec![self.own.display().to_string(), Driver::NAME.to_owned()];
        all.extend_from_slice(words);
        self.run(drivers, &all)
    }

    fn theirs(&self, words: &[String]) -> Outcome<Option<Named>> {
        let Some(peer) = &self.peer else { return Ok(None) };
        let mut all = vec![peer.display().to_string()];
        all.extend_from_slice(words);
        self.run(2, &all).map(Some)
    }

    fn run(&self, count: usize, words: &[String]) -> Outcome<Named> {
        watchdog::note(format!("{} under {}", words.join(" "), self.mpi.name));
        Ok(samples(&self.mpi.run(self.launch, count, words)?))
    }

    fn exchange(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let mut words = vec!["exchange".to_owned(), RUNS.to_string()];
        words.extend(EXCHANGE.iter().map(|(bytes, _)| bytes.to_string()));
        let (mut ours, mut theirs) = (Named::new(), Named::new());
        for _ in 0..setup.rounds {
            add(&mut ours, self.ours(2, &words)?);
            add(&mut theirs, self.theirs(&words)?.unwrap_or_default());
        }
        for (bytes, bench) in EXCHANGE {
            let name = format!("exchange_{bytes}");
            let goal = Goal::AbovePeer(ABOVE, self.mpi.variants().1);
            self.report(bench, (&ours, &name), (&theirs, &name), Some(goal), report)?;
        }
        Ok(())
    }

    fn collectives(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let peer = self.mpi.variants().1;
        let goal = || Some(Goal::BelowPeer(FACTOR, peer));
        let calls = [
            ("cluster_all_reduce", "all_reduce", "allreduce", goal()),
            ("cluster_barrier", "barrier", "barrier", goal()),
            // With a launch, and a round of messages more.
            ("cluster_reduce", "reduce", "allreduce", None),
        ];
        for (bench, own, other, goal) in calls {
            let (mut ours, mut theirs) = (Named::new(), Named::new());
            for _ in 0..setup.rounds {
                add(&mut ours, self.ours(2, &[own.into(), RUNS.to_string()])?);
                add(&mut theirs, self.theirs(&[other.into(), RUNS.to_string()])?.unwrap_or_default());
            }
            self.report(bench, (&ours, own), (&theirs, other), goal, report)?;
        }
        Ok(())
    }

    fn report(
        &self,
        bench: &'static str,
        (ours, own): (&Named, &str),
        (theirs, other): (&Named, &str),
        goal: Option<Goal>,
        report: &mut Report,
    ) -> Outcome<()> {
        let (variant, peer) = self.mpi.variants();
        let missing = || format!("{bench} under {}: no samples were printed", self.mpi.name);
        let mut group = vec![Record::of(bench, variant, 2, taken(ours, own).ok_or_else(missing)?, "ns")];
        group.extend(taken(theirs, other).map(|samples| Record::of(bench, peer, 2, samples, "ns")));
        let targets: Vec<Target> = goal.map(|goal| Target { bench, variant, goal }).into_iter().collect();
        report.group(&group, &targets);
        Ok(())
    }

    /// Time of a sweep.
    fn heat(&self, cells: usize, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let words = ["heat".to_owned(), SWEEPS.to_string(), cells.to_string()];
        let with = |workers: usize| [&words[..], &["--workers".into(), workers.to_string()]].concat();
        let (own, peer) = self.mpi.variants();
        let mut columns = vec![(format!("{own}-2x1"), Vec::new()), (format!("{own}-1x2"), Vec::new())];
        let mut bare = Vec::new();
        for _ in 0..setup.rounds {
            let two = self.ours(2, &with(1))?;
            let one = self.ours(1, &with(2))?;
            let theirs = self.theirs(&words)?;
            let check = taken(&two, "check");
            let others = [taken(&one, "check"), theirs.as_ref().and_then(|named| taken(named, "check"))];
            check_all(check, others)?;
            columns[0].1.extend(taken(&two, "heat").unwrap_or_default());
            columns[1].1.extend(taken(&one, "heat").unwrap_or_default());
            bare.extend(theirs.and_then(|named| taken(&named, "heat")).unwrap_or_default());
        }
        if !bare.is_empty() {
            columns.push((format!("{peer}-2"), bare));
        }
        let sweep = |samples: Vec<f64>| samples.into_iter().map(|ns| ns / SWEEPS as f64).collect();
        let record = |(variant, samples): (String, Vec<f64>)| {
            Record::of("cluster_heat", &variant, 2, sweep(samples), "ns")
        };
        report.group(&columns.into_iter().map(record).collect::<Vec<_>>(), &[]);
        Ok(())
    }
}

/// Whether all plates have the same sum, but for the order of additions.
fn check_all(first: Option<Vec<f64>>, others: [Option<Vec<f64>>; 2]) -> Outcome<()> {
    let first = first.and_then(|sums| sums.first().copied()).ok_or("heat printed no sum")?;
    for other in others.into_iter().flatten().flatten() {
        if (other / first - 1.0).abs().is_nan() || (other / first - 1.0).abs() > 1e-9 {
            return Err(format!("heat has two results: {first} and {other}").into());
        }
    }
    Ok(())
}

fn add(all: &mut Named, more: Named) {
    for (name, samples) in more {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(samples),
            None => all.push((name, samples)),
        }
    }
}

fn taken(named: &Named, name: &str) -> Option<Vec<f64>> {
    named.iter().find(|(known, _)| known == name).map(|(_, samples)| samples.clone())
}

impl Installed {
    /// The variants of both programs with this MPI.
    fn variants(&self) -> (&'static str, &'static str) {
        if self.name == "mpich" { ("phalanx-mpich", "c-mpich") } else { ("phalanx-openmpi", "c-openmpi") }
    }
}

/// Runs the peer's measurement of LogGP's constants.
fn constants(mpi: &Installed, launch: Option<&str>, peer: &Path, sizes: &[usize]) -> Outcome<Named> {
    let mut words = vec![peer.display().to_string(), "loggp".into(), RUNS.to_string()];
    words.extend(sizes.iter().map(usize::to_string));
    watchdog::note(format!("{} under {}", words.join(" "), mpi.name));
    Ok(samples(&mpi.run(launch, 2, &words)?))
}

/// A folder for programs that are compiled now.
type Folder = TempDir;
