//! Memory of workers, and of an array that all workers have read.

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::report::{Goal, Record, Report, Target};
use crate::watchdog;
use clap::Args;
use phalanx::Backend;
use std::time::Duration;

const IDLE: &str = "memory_idle_worker";
const RATIO: &str = "memory_ratio";
const TABLES: &str = "memory_page_tables";

const TARGETS: &[Target] = &[
    Target { bench: IDLE, variant: "phalanx-processes", goal: Goal::Below(2e6) },
    Target { bench: RATIO, variant: "phalanx-processes", goal: Goal::Below(1.01) },
];

/// Memory of workers, and of an array that all workers have read.
#[derive(Debug, Args)]
pub struct Memory {
    /// MiB of the array that all workers read
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,
}

impl Bench for Memory {
    const NAME: &'static str = "memory";

    fn measures() -> Vec<&'static str> {
        vec![IDLE, RATIO, TABLES]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        watchdog::note("memory of phalanx-processes".into());
        let workers = setup.workers();
        let record = |bench: &str, value: f64, unit| {
            [Record::of(bench, "phalanx-processes", workers, vec![value], unit)]
        };
        let pool = setup.pool(Backend::Processes)?;
        pool.region((), |_team, ()| Ok(()))?;
        std::thread::sleep(Duration::from_millis(20));
        let idle = pool.memory();
        report.group(&record(IDLE, idle.workers_pss as f64 / workers as f64, "bytes"), TARGETS);

        let len = (self.mib << 20) as usize / size_of::<u64>();
        let array = pool.from_fn(len, |i| i as u64)?;
        // Every worker reads all of it, and so does the driver.
        let expected = (0..len as u64).fold(0, u64::wrapping_add);
        let sums = pool.launch().region_each(&array, |_team, array| Ok(sum(array.view())))?;
        if sums.results.iter().chain([&sum(array.as_slice())]).any(|sum| *sum != expected) {
            return Err("a worker read wrong values".into());
        }
        let swept = pool.memory();
        report.group(&record(RATIO, swept.pss as f64 / array.len_bytes() as f64, "x"), TARGETS);
        report.group(&record(TABLES, swept.page_tables as f64, "bytes"), TARGETS);
        Ok(())
    }
}

fn sum(slice: &[u64]) -> u64 {
    slice.iter().copied().fold(0, u64::wrapping_add)
}
