//! How results are printed.

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::team::Runtime;
use super::verification::{Check, Verdict};
use crate::harness::Setup;
use crate::report::{Goal, Record, Report, Target};
use crate::statistics::median;
use serde::Serialize;

/// The result of one runtime: its runs, and their common verdict.
pub struct Line {
    runtime: Runtime,
    workers: usize,
    runs: Vec<Measured>,
    /// The worst of all runs.
    pub verdict: Verdict,
}

/// The line that `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    bench: &'a str,
    class: &'a str,
    runtime: &'a str,
    workers: usize,
    seconds: f64,
    mops: f64,
    verified: bool,
}

impl Line {
    /// Collects the runs of one runtime.
    pub fn of(runtime: Runtime, setup: &Setup, runs: Vec<Measured>) -> Line {
        let workers = if runtime == Runtime::Serial { 1 } else { setup.workers() };
        let verdicts: Vec<Verdict> = runs.iter().map(Measured::verdict).collect();
        let worst = [Verdict::Unsuccessful, Verdict::NoValues].into_iter().find(|bad| verdicts.contains(bad));
        Line { runtime, workers, runs, verdict: worst.unwrap_or(Verdict::Successful) }
    }

    fn median_of(&self, value: impl Fn(&Measured) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        median(&values)
    }

    fn record(&self, bench: &str) -> Record {
        let mops = self.runs.iter().map(Measured::mops).collect();
        Record::of(bench, self.runtime.name(), self.workers, mops, "Mop/s")
    }

    fn print(&self, benchmark: &dyn Benchmark, class: Class) {
        println!(
            "\n{} class {}: {}; {}, {}",
            benchmark.name().to_uppercase(),
            class.letter(),
            benchmark.size(class),
            self.runtime.name(),
            if self.workers == 1 { "1 worker".into() } else { format!("{} workers", self.workers) },
        );
        println!("  time         = {:.4} s", self.median_of(|run| run.seconds));
        println!("  rate         = {:.2} Mop/s", self.median_of(Measured::mops));
        match self.verdict {
            Verdict::Successful => println!("  Verification = SUCCESSFUL"),
            Verdict::Unsuccessful => println!("  Verification = UNSUCCESSFUL"),
            Verdict::NoValues => println!(
                "  Verification = NOT PERFORMED: no official values are published for class {} of {}",
                class.letter(),
                benchmark.name().to_uppercase()
            ),
        }
    }
}

/// Prints all runtimes of one benchmark: text with a comparison where there are several, or one object each.
pub fn print(lines: &[Line], benchmark: &dyn Benchmark, class: Class, report: &mut Report) {
    for line in lines {
        if report.is_json() {
            let json = Json {
                bench: benchmark.name(),
                class: class.letter(),
                runtime: line.runtime.name(),
                workers: line.workers,
                seconds: line.median_of(|run| run.seconds),
                mops: line.median_of(Measured::mops),
                verified: line.verdict == Verdict::Successful,
            };
            report.object(&json);
        } else {
            line.print(benchmark, class);
        }
        let mut wrong: Vec<&Check> =
            line.runs.iter().flat_map(|run| &run.checks).filter(|check| !check.holds).collect();
        wrong.truncate(5);
        for check in wrong {
            eprintln!("phalanx-bench: {} of {}: {}", benchmark.name(), line.runtime.name(), check.what);
        }
    }
    if lines.len() > 1 {
        let bench = benchmark.name();
        let records: Vec<Record> = lines.iter().map(|line| line.record(bench)).collect();
        let serial = if bench == "ep" { 1.9 } else { 1.7 };
        // Stated for these classes and two workers.
        let goals = [Goal::AtLeastPeer(1.0, "rayon"), Goal::AtLeastPeer(serial, "serial")];
        let stated = matches!(class, Class::A | Class::B) && lines.iter().any(|line| line.workers == 2);
        let targets: Vec<Target> = goals
            .into_iter()
            .filter(|_| stated)
            .map(|goal| Target { bench, variant: "phalanx", goal })
            .collect();
        report.compare(&records, &targets);
    }
}
