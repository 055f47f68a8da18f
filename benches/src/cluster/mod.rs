//! `cluster`: messages between drivers beside bare MPI, and what the network's constants predict for many nodes.

pub mod driver;
mod installed;
mod job;
mod loggp;
mod model;
mod predict;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::report::Report;
use clap::Args;
use installed::find;
use job::{EXCHANGE, Job};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FUTURES: &str = include_str!("futures.py");

/// What can be measured by itself, in the order in which it is.
const PARTS: [&str; 5] = ["exchange", "collectives", "heat", "map", "npy"];

/// Messages between drivers of a cluster, beside bare MPI in C; predictions for many nodes
#[derive(Debug, Args)]
#[command(after_help = "\
Starts two processes on this machine, with each MPI that is found, and the same in C: that takes cc and mpi.h. Jobs \
take turns. Measured are exchanges of ghost rows, all_reduce, barrier and reduce; heat with two drivers of one worker \
and one driver of two, beside one C process a core with the same loop; tasks by cluster::lead, beside mpi4py.futures where \
Python has it; and .npy files, by two drivers and by one.")]
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

    /// MiB of the files that are written and read
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    mib: u32,

    /// Where they are written: a folder that all machines share [default: one for temporary files]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// The Python that may have mpi4py
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,

    /// Measure only these (exchange, collectives, heat, map, npy)
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = PARTS)]
    only: Vec<String>,

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
        names.extend(["cluster_map_squares", "cluster_map_1ms", "cluster_npy_save", "cluster_npy_load"]);
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
        let futures = self.futures(folder.path());
        if let Err(why) = &futures {
            report.remark(&format!("mpi4py.futures is absent: {why}"));
        }
        for mpi in &found {
            let peer = mpi.compile(&folder);
            if let Err(why) = &peer {
                report.remark(&format!("{} in C is absent: {why}", mpi.name));
            }
            let job = Job {
                mpi,
                launch: self.launch.as_deref(),
                own: std::env::current_exe()?,
                peer: peer.ok(),
                futures: futures.clone().ok(),
            };
            self.measure(&job, folder.path(), setup, report)?;
        }
        Ok(())
    }
}

impl ClusterBench {
    fn measure(&self, job: &Job<'_>, folder: &Path, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let folder = self.folder.as_deref().unwrap_or(folder);
        for part in
            PARTS.iter().filter(|part| self.only.is_empty() || self.only.iter().any(|own| own == *part))
        {
            match *part {
                "exchange" => job.exchange(setup, report)?,
                "collectives" => job.collectives(setup, report)?,
                "heat" => job.heat(self.cells as usize, setup, report)?,
                "map" => job.map(setup, report)?,
                _ => job.npy(self.mib as usize, folder, setup, report)?,
            }
        }
        Ok(())
    }

    /// The words that start tasks through mpi4py.
    fn futures(&self, folder: &Path) -> Result<Vec<String>, String> {
        let script = folder.join("futures.py");
        std::fs::write(&script, FUTURES).map_err(|error| format!("cannot write its script: {error}"))?;
        let mut probe = Command::new(&self.python);
        let probe = probe.args(["-c", "import mpi4py"]).stdin(Stdio::null()).output();
        match probe {
            Ok(probe) if probe.status.success() => {
                let script = script.display().to_string();
                Ok(vec![self.python.clone(), "-m".into(), "mpi4py.futures".into(), script])
            }
            Ok(_) => Err(format!("{} does not have mpi4py", self.python)),
            Err(error) => Err(format!("{} cannot be started: {error}", self.python)),
        }
    }
}
