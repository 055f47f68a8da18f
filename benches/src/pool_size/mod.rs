//! `pool-size`: how many workers are right for a workload, or for a command of another program.

mod command;
pub mod findings;
mod show;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::report::Report;
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::options::{Common, workload};
use crate::sizing::sizes::pool_sizes;
use crate::sizing::turns::{Taken, Turns, time_pool};
use crate::sizing::workload::Workload;
use crate::sizing::{chart, workloads};
use clap::Args;
use command::External;
use findings::{Rule, judge};
use phalanx::topology::{Limits, Machine, Request, plan};
use serde_json::json;
use show::BENCH;
use std::path::PathBuf;

/// What is measured if nothing is named.
const DEFAULT: &str = "triad";

/// How many workers are right: speed-up of a workload or a command over pool sizes, and what limits it
#[derive(Debug, Args)]
#[command(after_help = workloads::help())]
pub struct PoolSize {
    /// Built-in workload
    #[arg(value_name = "WORKLOAD", default_value = DEFAULT, value_parser = workload, conflicts_with = "command")]
    workload: &'static Workload,

    /// Pool sizes to measure [default: every size up to the number of cores; above 16 cores, powers of two
    /// and all cores]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4096))]
    sizes: Vec<u32>,

    /// How much slower than the best the recommended size may be, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    within: u32,

    /// Also draw the speed-ups into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    common: Common,

    /// Measure this command instead, in which {} stands for the number of workers
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Bench for PoolSize {
    const NAME: &'static str = "pool-size";
    // It takes its time, and says nothing of how Phalanx compares.
    const IN_ALL: bool = false;
    const HAS_ONE_TEAM: bool = false;

    fn measures() -> Vec<&'static str> {
        vec![BENCH]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let subject = self.subject()?;
        chart::check(self.svg.as_deref())?;
        let (machine, limits) = self.common.machine()?;
        let sizes = self.sizes(setup)?;
        if self.common.plan {
            return self.show_plan(&subject, &sizes, &machine, &limits, setup, report);
        }
        let cores = plan(&machine, &limits, &Request::default())?.workers.len();
        report.remark(&format!("pool-size on {}: {}\n", Report::machine(), subject.text(&self.common)));
        let (foreign, turns) = (Foreign::watch(), Turns::new(setup, &self.common, report)?);
        let names: Vec<String> =
            sizes.iter().map(|size| format!("{size} worker{}", if *size == 1 { "" } else { "s" })).collect();
        let Taken { samples, is_cut } = turns.take(&names, |index, turn| match &subject {
            Subject::Workload(workload) => {
                time_pool(workload, self.common.elements_of(workload), sizes[index], turn)
            }
            Subject::Command(command) => {
                if turn.is_first() {
                    command.run(sizes[index])?;
                }
                turn.take(|| command.run(sizes[index]))
            }
        })?;
        let within = f64::from(self.within) / 100.0;
        let rule = Rule { cores, within, resamples: self.common.resamples(), seed: self.common.seed };
        let found = judge(&sizes, &samples, rule);
        let shares = foreign.shares();
        if report.is_json() {
            let lines = show::lines(&found, subject.name(), &subject.parameters(&self.common))?;
            lines.iter().for_each(|line| report.object(line));
            report.object(&foreign::json(BENCH, shares));
        } else {
            print!("{}", show::text(&found, within));
            report.remark(&foreign::text(shares));
        }
        if let Some(file) = &self.svg {
            chart::save(file, &show::chart(&found, subject.name()))?;
        }
        if is_cut {
            return Err("interrupted: the figures above are of the turns until then".into());
        }
        Ok(())
    }
}

/// What is measured.
enum Subject {
    Workload(&'static Workload),
    Command(External),
}

impl Subject {
    fn name(&self) -> &str {
        match self {
            Subject::Workload(workload) => workload.name,
            Subject::Command(_) => "command",
        }
    }

    fn text(&self, common: &Common) -> String {
        match self {
            Subject::Workload(own) => {
                format!("{}, {}; {} elements", own.name, own.about, common.elements_of(own))
            }
            Subject::Command(command) => format!("`{}`", command.text()),
        }
    }

    fn parameters(&self, common: &Common) -> serde_json::Value {
        match self {
            Subject::Workload(own) => json!({"elements": common.elements_of(own), "seed": common.seed}),
            Subject::Command(command) => json!({"command": command.text(), "seed": common.seed}),
        }
    }
}

impl PoolSize {
    fn subject(&self) -> Outcome<Subject> {
        if self.command.is_empty() {
            return Ok(Subject::Workload(self.workload));
        }
        Ok(Subject::Command(External::new(&self.command)?))
    }

    /// The sizes in growing order, each once.
    fn sizes(&self, setup: &Setup) -> Outcome<Vec<usize>> {
        if self.sizes.is_empty() {
            return Ok(pool_sizes(self.common.most_workers(setup)?));
        }
        let mut sizes: Vec<usize> = self.sizes.iter().map(|size| *size as usize).collect();
        sizes.sort_unstable();
        sizes.dedup();
        Ok(sizes)
    }

    /// Prints the sizes and where their workers would sit.
    fn show_plan(
        &self,
        subject: &Subject,
        sizes: &[usize],
        machine: &Machine,
        limits: &Limits,
        setup: &Setup,
        report: &Report,
    ) -> Outcome<()> {
        let (budget, rounds) = self.common.time(setup);
        if !report.is_json() {
            println!(
                "pool-size would measure {}{}: {} sizes, {rounds} rounds, {:.1} s of samples\n  workers",
                subject.text(&self.common),
                if self.common.described.is_elsewhere() { ", on the machine described" } else { "" },
                sizes.len(),
                budget.as_secs_f64() * sizes.len() as f64
            );
        }
        for size in sizes {
            let request = Request { workers: Some(*size), ..Request::default() };
            let plan = plan(machine, limits, &request)?;
            let cpus: Vec<String> = plan.workers.iter().map(|place| place.cpuset.to_string()).collect();
            let shared = *size > plan.places;
            match (report.is_json(), subject) {
                (true, _) => report.object(&json!({
                    "bench": BENCH, "variant": subject.name(), "planned": true, "workers": size, "cpus": cpus,
                    "parameters": subject.parameters(&self.common)
                })),
                (false, Subject::Command(command)) => {
                    println!("  {size:>7}  `{}`", command.line(*size))
                }
                (false, _) => println!(
                    "  {size:>7}  CPUs {}{}",
                    cpus.join(" | "),
                    if shared { ", more than there are cores" } else { "" }
                ),
            }
        }
        Ok(())
    }
}
