//! `c2c`: how long a cache line takes from one core to another, for every pair of cores.

mod bounce;
mod clusters;
mod map;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::report::{Record, Report};
use crate::statistics::median;
use crate::watchdog;
use bounce::{Pair, Way};
use clap::Args;
use clusters::clusters;
use map::Matrix;
use phalanx::topology::{CpuSet, Limits, Machine};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// Rounds of one sample.
const ROUNDS: u32 = 2_000;
/// More pairs than this take minutes: say which to take.
const MANY: usize = 128;

/// How long a cache line takes from core to core, for every pair, and the clusters of cores that this shows
#[derive(Debug, Args)]
pub struct CoreToCore {
    /// CPUs to take [default: all that this process may use, at most 128 of them]
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuSet>,

    /// NUMA node of the cache line [default: where the kernel puts it]
    #[arg(long, value_name = "N")]
    home: Option<u32>,

    /// Also draw the times of stores as a heat map into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

impl Bench for CoreToCore {
    const NAME: &'static str = "c2c";
    // Its pairs grow with the square of the CPUs.
    const IN_ALL: bool = false;

    fn measures() -> Vec<&'static str> {
        vec![Way::Store.name(), Way::Exchange.name()]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let (machine, limits) = (Machine::detect()?, Limits::detect());
        let cpus = self.cpus(&limits)?;
        if cpus.len() < 2 {
            report.remark("c2c: this process may use one CPU, and a pair needs two");
            return Ok(());
        }
        let home =
            self.home.map_or("where the kernel puts it".to_owned(), |node| format!("NUMA node {node}"));
        report.remark(&format!(
            "c2c: pairs of {} CPUs: {}; home of the line: {home}",
            cpus.len(),
            pairs(cpus.len())
        ));
        let mut stores = Matrix::new(cpus.clone());
        for way in [Way::Store, Way::Exchange] {
            let mut matrix = Matrix::new(cpus.clone());
            for a in 0..cpus.len() {
                for b in a + 1..cpus.len() {
                    progress(&matrix, way, report);
                    watchdog::note(format!("{} between CPUs {} and {}", way.name(), cpus[a], cpus[b]));
                    let mut samples = Pair { cpus: (cpus[a], cpus[b]), home: self.home }.samples(
                        way,
                        ROUNDS,
                        setup.budget,
                    )?;
                    if report.is_json() {
                        let variant = format!("{}-{}", cpus[a], cpus[b]);
                        report.object(&Record::of(way.name(), &variant, 2, samples.clone(), "ns"));
                    }
                    samples.sort_unstable_by(f64::total_cmp);
                    matrix.set(a, b, median(&samples));
                }
            }
            if !report.is_json() {
                println!("\n{} [ns one way, median]\n{}", way.name(), map::text(&matrix));
            }
            if way == Way::Store {
                stores = matrix;
            }
        }
        report.remark(&clusters(&stores).compared_with(&machine));
        if let Some(file) = &self.svg {
            svg::save(file, &map::draw(&stores))
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        Ok(())
    }
}

impl CoreToCore {
    fn cpus(&self, limits: &Limits) -> Outcome<Vec<u32>> {
        let Some(asked) = &self.cpus else { return Ok(limits.allowed.iter().take(MANY).collect()) };
        let denied = asked.difference(&limits.allowed);
        if !denied.is_empty() {
            return Err(format!("this process may not use CPUs {denied}, only {}", limits.allowed).into());
        }
        Ok(asked.iter().collect())
    }
}

fn pairs(cpus: usize) -> usize {
    cpus * (cpus - 1) / 2
}

/// How far it is, where a person may be waiting.
fn progress(matrix: &Matrix, way: Way, report: &Report) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() && !report.is_json() {
        let done = matrix.known();
        let _ =
            write!(terminal, "\r{} pair {} of {}\x1b[K\r", way.name(), done + 1, pairs(matrix.cpus().len()));
    }
}
