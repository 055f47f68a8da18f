//! `chunk`: which chunk size and which schedule are right for a workload.

mod findings;
mod schedule;
mod show;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::report::Report;
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::options::{Common, workload};
use crate::sizing::sizes::chunk_sizes;
use crate::sizing::turns::{Turns, time_job};
use crate::sizing::workload::{Chunks, Cut, Workload};
use crate::sizing::{chart, workloads};
use clap::Args;
use clap::builder::PossibleValuesParser;
use findings::{Way, judge};
use phalanx::Backend;
use schedule::{QUEUE, SCHEDULES};
use serde_json::json;
use show::{BENCH, Context};
use std::path::PathBuf;

/// Which chunk size is right: time of a workload over chunk sizes and schedules, and what the engine chose
#[derive(Debug, Args)]
#[command(after_help = workloads::help())]
pub struct Chunk {
    /// Built-in workload
    #[arg(value_name = "WORKLOAD", default_value = "triad", value_parser = workload)]
    workload: &'static Workload,

    /// Chunk sizes to measure [default: powers of four up to one chunk for each worker, and the engine's own]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    chunks: Vec<u64>,

    /// Schedules to measure [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = PossibleValuesParser::new(SCHEDULES.map(|(name, _)| name)))]
    schedules: Vec<String>,

    /// How much slower than the best still counts as good, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    within: u32,

    /// Also draw the times into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

impl Bench for Chunk {
    const NAME: &'static str = "chunk";
    // As `pool-size`.
    const IN_ALL: bool = false;
    const HAS_ONE_TEAM: bool = false;

    fn measures() -> Vec<&'static str> {
        vec![BENCH]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let elements = self.common.elements_of(self.workload);
        chart::check(self.svg.as_deref())?;
        let (units, unit) = self.units(elements)?;
        let workers = self.common.most_workers(setup)?;
        self.common.machine()?;
        let foreign = Foreign::watch();
        // The engine cuts alike for every team.
        let backend = if self.common.plan { Backend::Inline } else { Backend::Processes };
        let pool = Setup::pool_of(workers, backend)?;
        let mut job = (self.workload.prepare)(&pool, elements)?;
        let own = job.own_chunk(&pool)?;
        let ways = self.ways(units, workers, own);
        let within = f64::from(self.within) / 100.0;
        let context = Context { name: self.workload.name, unit: &unit, units, workers, own, within };
        if self.common.plan {
            self.show_plan(&ways, &context, setup, report);
            return Ok(());
        }
        report.remark(&format!(
            "chunk on {}: {}, {}; {units} {unit}, {workers} workers\n",
            Report::machine(),
            self.workload.name,
            self.workload.about
        ));
        let turns = Turns::new(setup, &self.common, report)?;
        let names: Vec<String> = ways.iter().map(Way::name).collect();
        let taken = turns.take(&names, |index, turn| {
            let cut = Cut { chunk: ways[index].chunk, schedule: schedule::named(ways[index].schedule) };
            time_job(&mut *job, &pool, cut, turn)
        })?;
        drop((job, pool));
        let shares = foreign.shares();
        let found = judge(&ways, &taken.samples, within, self.common.resamples(), self.common.seed);
        if report.is_json() {
            let parameters = json!({"elements": elements, "units": unit, "seed": self.common.seed});
            show::lines(&found, &context, &parameters)?.iter().for_each(|line| report.object(line));
            report.object(&foreign::json(BENCH, shares));
        } else {
            print!("{}", show::text(&found, &context));
            report.remark(&foreign::text(shares));
        }
        if let Some(file) = &self.svg {
            chart::save(file, &show::chart(&found, &context))?;
        }
        if taken.is_cut {
            return Err("interrupted: the figures above are of the turns until then".into());
        }
        Ok(())
    }
}

impl Chunk {
    /// How many units the job has, and what they are.
    fn units(&self, elements: usize) -> Outcome<(usize, String)> {
        match self.workload.chunks {
            Chunks::Launch { elements: 1 } => Ok((elements, "elements".into())),
            Chunks::Launch { elements: each } => {
                Ok((elements.div_ceil(each), format!("rows of {each} elements")))
            }
            Chunks::Tasks if !self.schedules.is_empty() => {
                Err("tasks have no schedules: whoever is free takes the next chunk".into())
            }
            Chunks::Tasks => Ok((elements, "items".into())),
            Chunks::Kernel => Err(format!(
                "{} chooses its chunks itself, by what it computes: there is nothing to compare",
                self.workload.name
            )
            .into()),
        }
    }

    /// The engine's own way, then every chunk size on every schedule.
    fn ways(&self, units: usize, workers: usize, own: Option<usize>) -> Vec<Way> {
        let mut sizes: Vec<usize> = self.chunks.iter().map(|size| *size as usize).collect();
        if sizes.is_empty() {
            sizes = chunk_sizes(units, workers, own, self.workload.chunks);
        }
        sizes.sort_unstable();
        sizes.dedup();
        let wanted = |name: &str| self.schedules.is_empty() || self.schedules.iter().any(|own| own == name);
        let schedules: Vec<&'static str> = match self.workload.chunks {
            Chunks::Tasks => vec![QUEUE],
            _ => SCHEDULES.iter().map(|(name, _)| *name).filter(|name| wanted(name)).collect(),
        };
        let first = if self.workload.chunks == Chunks::Tasks { QUEUE } else { SCHEDULES[0].0 };
        let mut ways = vec![Way { chunk: None, schedule: first }];
        let each = |schedule| sizes.iter().map(move |size| Way { chunk: Some(*size), schedule });
        ways.extend(schedules.into_iter().flat_map(each));
        ways
    }

    fn show_plan(&self, ways: &[Way], context: &Context<'_>, setup: &Setup, report: &Report) {
        let (budget, rounds) = self.common.time(setup);
        if !report.is_json() {
            println!(
                "chunk would measure {} over {} {} on {} workers: {} ways, {rounds} rounds, {:.1} s of samples",
                context.name,
                context.units,
                context.unit,
                context.workers,
                ways.len(),
                budget.as_secs_f64() * ways.len() as f64
            );
        }
        for way in ways {
            if report.is_json() {
                report.object(&json!({
                    "bench": BENCH, "variant": context.name, "planned": true, "workers": context.workers,
                    "parameters": {"chunk": way.chunk, "schedule": way.schedule, "units": context.units}
                }));
            } else {
                println!("  {}", way.name());
            }
        }
    }
}
