//! `scale`: strong and weak scaling of a workload, and where it stands under the roofs of the machine.

mod peak;
mod picture;
mod roof;
mod show;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::pool_size::findings::{Row, Rule, judge};
use crate::report::Report;
use crate::sizing::bootstrap::Interval;
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::options::{Common, workload};
use crate::sizing::sizes::pool_sizes;
use crate::sizing::turns::{Turns, time_pool};
use crate::sizing::workload::Workload;
use crate::sizing::{chart, workloads};
use clap::Args;
use phalanx::Backend;
use phalanx::topology::Machine;
use roof::{Work, position};
use serde_json::json;
use show::{ROOFLINE, Roofline, Scaling};
use std::path::PathBuf;

/// Names of its records.
const STRONG: &str = "scale_strong";
const WEAK: &str = "scale_weak";

/// MiB of the arrays that the memory's roof is measured on: at least, at most, and with `--quick`.
const MIB: (usize, usize, usize) = (64, 512, 16);
/// Together they are so many times as large as the last-level caches.
const BEYOND: f64 = 4.0;

/// How a workload scales: strong and weak scaling, and its share of what the machine can do (roofline)
#[derive(Debug, Args)]
#[command(after_help = workloads::help())]
pub struct Scale {
    /// Built-in workload
    #[arg(value_name = "WORKLOAD", default_value = "triad", value_parser = workload)]
    workload: &'static Workload,

    /// Pool sizes to measure [default: as pool-size]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4096))]
    sizes: Vec<u32>,

    /// Also draw scaling and roofs into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

impl Bench for Scale {
    const NAME: &'static str = "scale";
    // As `pool-size`.
    const IN_ALL: bool = false;
    const HAS_ONE_TEAM: bool = false;

    fn measures() -> Vec<&'static str> {
        vec![STRONG, WEAK, ROOFLINE]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        chart::check(self.svg.as_deref())?;
        let (machine, _) = self.common.machine()?;
        let runs = self.runs(setup)?;
        let own = self.workload;
        if self.common.plan {
            self.show_plan(&runs, setup, report);
            return Ok(());
        }
        let elements = self.common.elements_of(own);
        report.remark(&format!(
            "scale on {}: {}, {}; {elements} elements",
            Report::machine(),
            own.name,
            own.about
        ));
        let (foreign, turns) = (Foreign::watch(), Turns::new(setup, &self.common, report)?);
        let names: Vec<String> = runs.iter().map(Run::name).collect();
        let taken =
            turns.take(&names, |index, turn| time_pool(own, runs[index].elements, runs[index].size, turn))?;
        let mut kinds: Vec<(bool, Vec<Row>, Vec<usize>)> = Vec::new();
        for is_weak in [false, true] {
            let (own, samples): (Vec<Run>, Vec<Vec<f64>>) = runs
                .iter()
                .zip(&taken.samples)
                .filter(|(run, _)| run.is_weak == is_weak)
                .map(|(run, s)| (*run, s.clone()))
                .unzip();
            let (rows, elements) = self.show(is_weak, &own, &samples, report)?;
            kinds.push((is_weak, rows, elements));
        }
        if !own.is_linear {
            report.remark("\n  weak scaling: not measured, the work grows faster than the elements");
        }
        let mut pictures = vec![picture::gains(own.name, &scalings(&kinds))];
        let largest = kinds[0].1.last().map(|row| (row.size, row.seconds));
        if let Some((workers, seconds)) = largest.filter(|_| !turns.is_stopped()) {
            let line = self.roofline(&machine, workers, &seconds, report)?;
            pictures.push(picture::roofline(own.name, &line.peak, line.position.as_ref()));
        }
        if let Some(file) = &self.svg {
            chart::save_all(file, &pictures)?;
        }
        let shares = foreign.shares();
        if report.is_json() {
            report.object(&foreign::json(Scale::NAME, shares));
        }
        report.remark(&foreign::text(shares));
        if taken.is_cut {
            return Err("interrupted: the figures above are of the turns until then".into());
        }
        Ok(())
    }
}

/// What is timed: a pool of a size with so many elements.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    is_weak: bool,
    size: usize,
    elements: usize,
}

impl Run {
    fn name(&self) -> String {
        let kind = if self.is_weak { "weak" } else { "strong" };
        format!("{kind}, {} workers, {} elements", self.size, self.elements)
    }
}

/// The runs of both kinds of scaling. At the largest size both do the same work, so that the weak one has a
/// worker's share of it at one worker.
fn runs(sizes: &[usize], elements: usize, is_linear: bool) -> Vec<Run> {
    let largest = sizes.iter().copied().max().unwrap_or(1);
    let share = (elements / largest).max(1);
    let strong = sizes.iter().map(|size| Run { is_weak: false, size: *size, elements });
    let weak = sizes.iter().map(|size| Run { is_weak: true, size: *size, elements: share * size });
    strong.chain(weak.filter(|_| is_linear)).collect()
}

/// Those that have rows.
fn scalings(kinds: &[(bool, Vec<Row>, Vec<usize>)]) -> Vec<Scaling<'_>> {
    let known = kinds.iter().filter(|(_, rows, _)| !rows.is_empty());
    known
        .map(|(is_weak, rows, elements)| Scaling {
            bench: if *is_weak { WEAK } else { STRONG },
            rows,
            elements: elements.clone(),
            is_weak: *is_weak,
        })
        .collect()
}

impl Scale {
    fn runs(&self, setup: &Setup) -> Outcome<Vec<Run>> {
        let mut sizes: Vec<usize> = self.sizes.iter().map(|size| *size as usize).collect();
        if sizes.is_empty() {
            sizes = pool_sizes(self.common.most_workers(setup)?);
        }
        sizes.sort_unstable();
        sizes.dedup();
        Ok(runs(&sizes, self.common.elements_of(self.workload), self.workload.is_linear))
    }

    /// Shows one kind of scaling and returns its rows.
    fn show(
        &self,
        is_weak: bool,
        runs: &[Run],
        samples: &[Vec<f64>],
        report: &Report,
    ) -> Outcome<(Vec<Row>, Vec<usize>)> {
        let sizes: Vec<usize> = runs.iter().map(|run| run.size).collect();
        let rule = Rule {
            cores: usize::MAX,
            within: 0.0,
            resamples: self.common.resamples(),
            seed: self.common.seed,
        };
        let rows = judge(&sizes, samples, rule).rows;
        let elements_of =
            |row: &Row| runs.iter().find(|run| run.size == row.size).map_or(0, |run| run.elements);
        let elements: Vec<usize> = rows.iter().map(elements_of).collect();
        let bench = if is_weak { WEAK } else { STRONG };
        let scaling = Scaling { bench, rows: &rows, elements: elements.clone(), is_weak };
        if report.is_json() {
            scaling.lines(self.workload.name)?.iter().for_each(|line| report.object(line));
        } else if !rows.is_empty() {
            print!("{}", scaling.text());
        }
        Ok((rows, elements))
    }

    /// Measures the roofs on the largest team and places the workload under them.
    fn roofline(
        &self,
        machine: &Machine,
        workers: usize,
        seconds: &Interval,
        report: &Report,
    ) -> Outcome<Roofline<'_>> {
        let last = machine.caches().iter().map(|cache| cache.level).max().unwrap_or(0);
        let caches: f64 =
            machine.caches().iter().filter(|own| own.level == last).map(|own| own.size_bytes as f64).sum();
        let mib = if self.common.quick {
            MIB.2
        } else {
            ((caches * BEYOND / 3.0) as usize >> 20).clamp(MIB.0, MIB.1)
        };
        let pool = Setup::pool_of(workers, Backend::Processes)?;
        let peak = peak::measure(&pool, workers, mib, peak::STEPS)?;
        let elements = self.common.elements_of(self.workload);
        let bytes = self.workload.bytes * elements as f64;
        let work = Work { flops: (self.workload.flops)(elements) * elements as f64, bytes };
        let line = Roofline {
            name: self.workload.name,
            workers,
            peak,
            position: position(work, &peak, seconds),
            data: (bytes, caches),
        };
        if report.is_json() {
            report.object(&line.json());
        } else {
            print!("{}", line.text());
        }
        Ok(line)
    }

    fn show_plan(&self, runs: &[Run], setup: &Setup, report: &Report) {
        let (budget, rounds) = self.common.time(setup);
        if !report.is_json() {
            println!(
                "scale would measure {}: {} runs, {rounds} rounds, {:.1} s of samples, then the roofs",
                self.workload.name,
                runs.len(),
                budget.as_secs_f64() * runs.len() as f64
            );
        }
        for run in runs {
            if report.is_json() {
                report.object(&json!({
                    "bench": if run.is_weak { WEAK } else { STRONG }, "variant": self.workload.name, "planned": true,
                    "workers": run.size, "parameters": {"elements": run.elements}
                }));
            } else {
                println!("  {}", run.name());
            }
        }
        if !report.is_json() && !self.workload.is_linear {
            println!("  no weak scaling: the work grows faster than the elements");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_runs_grow_to_the_strong_ones() {
        let all = runs(&[1, 2, 4], 1000, true);
        let elements = |is_weak| {
            all.iter().filter(|run| run.is_weak == is_weak).map(|run| run.elements).collect::<Vec<_>>()
        };
        assert_eq!(elements(false), [1000; 3]);
        assert_eq!(elements(true), [250, 500, 1000]);
        assert_eq!(runs(&[1, 2], 1000, false).len(), 2);
        assert!(runs(&[64], 3, true).iter().all(|run| run.elements > 0));
    }
}
