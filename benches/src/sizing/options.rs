//! Options that the commands share, and what follows from them.

use super::workload::Workload;
use super::workloads;
use crate::described::Described;
use crate::harness::{Outcome, Setup};
use clap::Args;
use phalanx::topology::{Limits, Machine, Request, plan};
use std::time::Duration;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 1000;
/// What `--quick` makes of the time and the rounds.
const QUICK: (u32, u32) = (5, 3);

/// Options of all commands that ask how much of the machine is right.
#[derive(Debug, Args)]
pub struct Common {
    /// Fewer elements, rounds and resamples: for a first look, not for results
    #[arg(long)]
    pub quick: bool,

    /// Elements of the workload [default: its own]
    #[arg(long, value_name = "N", value_parser = elements)]
    pub elements: Option<usize>,

    /// Seed of the resampling that intervals come from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Show what would be measured, and measure nothing
    #[arg(long)]
    pub plan: bool,

    #[command(flatten)]
    pub described: Described,
}

fn elements(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=1 << 32).contains(&count) => Ok(count),
        _ => Err("give a number of elements from 1 to 4294967296".into()),
    }
}

/// Parses a workload's name.
pub fn workload(name: &str) -> Result<&'static Workload, String> {
    workloads::named(name).map_err(|error| error.to_string())
}

impl Common {
    /// The elements of one run.
    pub fn elements_of(&self, workload: &Workload) -> usize {
        self.elements.unwrap_or(if self.quick { workload.quick } else { workload.elements })
    }

    /// How often samples are drawn again.
    pub fn resamples(&self) -> usize {
        if self.quick { RESAMPLES / 5 } else { RESAMPLES }
    }

    /// Time for the samples of one variant, and the rounds in which it is spent.
    pub fn time(&self, setup: &Setup) -> (Duration, u32) {
        match self.quick {
            true => (setup.budget / QUICK.0, setup.rounds.min(QUICK.1)),
            false => (setup.budget, setup.rounds),
        }
    }

    /// The machine that is meant. Another one than this can only be planned for.
    pub fn machine(&self) -> Outcome<(Machine, Limits)> {
        if self.described.is_elsewhere() && !self.plan {
            return Err(
                "--from and --synthetic describe another machine: add --plan, nothing can be measured there"
                    .into(),
            );
        }
        self.described.machine()
    }

    /// The largest number of workers: as asked for, or what a pool has by default on the machine that is
    /// meant.
    pub fn most_workers(&self, setup: &Setup) -> Outcome<usize> {
        if !self.described.is_elsewhere() {
            return Ok(setup.workers());
        }
        let (machine, limits) = self.machine()?;
        let request = Request { workers: setup.asked, threads_per_worker: 1, ..Request::default() };
        Ok(plan(&machine, &limits, &request)?.workers.len())
    }
}
