//! `topo`: the machine, and where the workers of a pool would sit on it.

mod drawing;
mod planned;
mod table;

use crate::bench::Inspection;
use crate::described::Described;
use crate::harness::{Options, Outcome};
use clap::Args;
use phalanx::Placement;
use phalanx::topology::{Limits, Machine, Request, plan};
use planned::Planned;
use std::path::PathBuf;

/// The machine as a tree, and the core of every worker for each placement, side by side
#[derive(Debug, Args)]
pub struct Topo {
    /// Placements to plan: per-core, per-pu, compact, scatter, per-l3, per-node, cpus:LIST (one per option)
    #[arg(long = "policy", value_name = "PLACEMENT", default_values = ["per-core", "compact", "scatter"])]
    policies: Vec<Placement>,

    /// Threads that each worker will run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: u32,

    #[command(flatten)]
    described: Described,

    /// Also draw the machine and its workers into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

impl Inspection for Topo {
    const NAME: &'static str = "topo";

    fn run(&self, options: &Options, json: bool) -> Outcome<usize> {
        let (machine, limits) = self.described.machine()?;
        let plans = self.plans(&machine, &limits, options.workers)?;
        if json {
            plans.iter().try_for_each(|planned| -> Outcome<()> {
                println!("{}", serde_json::to_string(&table::record(planned))?);
                Ok(())
            })?;
        } else {
            print!("{machine}\n{}", table::text(&machine, &plans));
        }
        if let Some(file) = &self.svg {
            svg::save(file, &drawing::draw(&machine, &plans))
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        Ok(0)
    }
}

impl Topo {
    fn plans(&self, machine: &Machine, limits: &Limits, workers: Option<u32>) -> Outcome<Vec<Planned>> {
        let planned = |policy: &Placement| {
            let request = Request {
                placement: policy.clone(),
                workers: workers.map(|workers| workers as usize),
                threads_per_worker: self.threads as usize,
            };
            let plan = plan(machine, limits, &request).map_err(|error| format!("{policy}: {error}"))?;
            Ok(Planned { policy: policy.to_string(), plan })
        };
        self.policies.iter().map(planned).collect()
    }
}
