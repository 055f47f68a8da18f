//! Memory of workers, and of an array that all have swept.

use crate::cli::Memory;
use crate::harness::{Outcome, Setup};
use crate::report::{Goal, Record, Report, Target};
use crate::watchdog;
use phalanx::Backend;
use std::time::Duration;

const TARGETS: &[Target] = &[
    Target { bench: "memory_idle_worker", variant: "phalanx-processes", goal: Goal::Below(2e6) },
    Target { bench: "memory_ratio", variant: "phalanx-processes", goal: Goal::Below(1.01) },
];

/// Runs the bench.
pub fn run(setup: &Setup, options: &Memory, report: &mut Report) -> Outcome<()> {
    watchdog::note("memory of phalanx-processes".into());
    let workers = setup.workers();
    let record =
        |bench: &str, value: f64, unit| [Record::of(bench, "phalanx-processes", workers, vec![value], unit)];
    let pool = setup.pool(Backend::Processes)?;
    pool.region((), |_team, ()| Ok(()))?;
    std::thread::sleep(Duration::from_millis(20));
    let idle = pool.memory();
    report.group(&record("memory_idle_worker", idle.workers_pss as f64 / workers as f64, "bytes"), TARGETS);

    let len = (options.mib << 20) as usize / size_of::<u64>();
    let array = pool.from_fn(len, |i| i as u64)?;
    // Every worker reads all of it, and so does the driver.
    let expected = (0..len as u64).fold(0, u64::wrapping_add);
    let sums = pool.launch().region_each(&array, |_team, array| Ok(sum(array.view())))?;
    if sums.results.iter().chain([&sum(array.as_slice())]).any(|sum| *sum != expected) {
        return Err("a worker read wrong values".into());
    }
    let swept = pool.memory();
    report.group(&record("memory_ratio", swept.pss as f64 / array.len_bytes() as f64, "x"), TARGETS);
    report.group(&record("memory_page_tables", swept.page_tables as f64, "bytes"), TARGETS);
    Ok(())
}

fn sum(slice: &[u64]) -> u64 {
    slice.iter().copied().fold(0, u64::wrapping_add)
}
