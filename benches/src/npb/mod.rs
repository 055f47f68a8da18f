//! The NAS Parallel Benchmarks, after their specification (NPB 3.4, <https://www.nas.nasa.gov/software/npb.html>).
//!
//! Each benchmark is one algorithm with three runtimes: one region of a Phalanx pool (SPMD), rayon, and serial; the inner
//! loops are the same functions. What is timed, how operations are counted and how results are verified is as in the
//! reference implementations. Results are verified before a rate is printed, and a wrong one is exit status 1.
//!
//! A new benchmark is a file with a type that implements [`Benchmark`], and a line in [`benchmark`].

mod cg;
mod class;
mod ep;
mod ft;
mod is;
mod memory;
mod mg;
mod output;
#[allow(dead_code, reason = "some is for benchmarks to come")]
mod random;
mod simd;
#[cfg(test)]
mod tests;
#[allow(dead_code, reason = "some is for benchmarks to come")]
mod verification;

pub use class::Class;

use crate::cli::{Npb, NpbName, NpbRuntime};
use crate::harness::{Outcome, Setup};
use crate::peers::{Unpin, pin, rayon as rayon_peer};
use crate::report::Report;
use crate::watchdog;
use output::Line;
use phalanx::{Backend, Pool};
use verification::{Check, Verdict};

/// On what a run computes. Its members are pinned to the cores that all runtimes share; a serial run's thread to the first.
pub enum Team<'a> {
    /// The calling thread.
    Serial,
    /// Threads that steal work. `install` the timed part.
    Rayon(&'a rayon::ThreadPool),
    /// Worker processes. The timed part is one region.
    Phalanx(&'a Pool),
}

/// One of the benchmarks.
pub trait Benchmark {
    /// Its short name, lower case.
    fn name(&self) -> &'static str;
    /// The size of a class, for people.
    fn size(&self, class: Class) -> String;
    /// Prepares, runs the timed part once, and compares the result.
    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured>;
}

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Time of the timed part.
    pub seconds: f64,
    /// Operations in it, as the reference implementation counts them.
    pub operations: f64,
    /// Comparisons with official values; none where none are published.
    pub checks: Vec<Check>,
}

impl Measured {
    /// The rate.
    pub fn mops(&self) -> f64 {
        self.operations / self.seconds / 1e6
    }

    /// What the comparisons come to.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.checks)
    }
}

/// The benchmark of this name.
fn benchmark(name: NpbName) -> Box<dyn Benchmark> {
    match name {
        NpbName::Ep => Box::new(ep::Ep),
        NpbName::Is => Box::new(is::Is),
        NpbName::Cg => Box::new(cg::Cg),
        NpbName::Mg => Box::new(mg::Mg),
        NpbName::Ft => Box::new(ft::Ft),
    }
}

/// Runs a benchmark on all runtimes that were asked for, taking turns. A result that does not verify is an error, after
/// all have been printed.
pub fn run(setup: &Setup, options: &Npb, report: &mut Report) -> Outcome<()> {
    let benchmark = benchmark(options.name);
    let count = options.runtime.len();
    let mut runs: Vec<Vec<Measured>> = options.runtime.iter().map(|_| Vec::new()).collect();
    for round in 0..options.repeat as usize {
        for turn in 0..count {
            let index = (round + turn) % count;
            let runtime = options.runtime[index];
            let what = format!("{} class {} of {}", benchmark.name(), options.class.letter(), runtime.name());
            watchdog::note_long(what.clone());
            let measured = turn_of(setup, &*benchmark, options.class, runtime)
                .map_err(|error| format!("{what} failed: {error}"))?;
            runs[index].push(measured);
        }
    }
    let lines: Vec<Line> =
        options.runtime.iter().zip(runs).map(|(runtime, runs)| Line::of(*runtime, setup, runs)).collect();
    output::print(&lines, &*benchmark, options.class, report);
    match lines.iter().filter(|line| line.verdict != Verdict::Successful).count() {
        0 => Ok(()),
        bad => Err(format!("{bad} of {count} runtimes gave results that did not verify").into()),
    }
}

/// One run. The team exists only meanwhile, so that no idle team takes cores from another.
fn turn_of(setup: &Setup, benchmark: &dyn Benchmark, class: Class, runtime: NpbRuntime) -> Outcome<Measured> {
    match runtime {
        NpbRuntime::Serial => {
            let _unpin = Unpin::later()?;
            if let Some(place) = setup.places.first() {
                pin(place);
            }
            benchmark.run(class, &Team::Serial)
        }
        NpbRuntime::Rayon => benchmark.run(class, &Team::Rayon(&rayon_peer::team(&setup.places)?)),
        NpbRuntime::Phalanx => benchmark.run(class, &Team::Phalanx(&setup.pool(Backend::Processes)?)),
    }
}
