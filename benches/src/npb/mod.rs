//! The NAS Parallel Benchmarks, after their specification (NPB 3.4,
//! <https://www.nas.nasa.gov/software/npb.html>).
//!
//! Each benchmark is one algorithm with three runtimes: one region of a Phalanx pool (SPMD), rayon, and
//! serial; the inner loops are the same functions. What is timed, how operations are counted and how results
//! are verified is as in the reference implementations. Results are verified before a rate is printed, and a
//! wrong one is exit status 1.
//!
//! A new benchmark is a file with a type that implements [`Benchmark`], and a line each in [`Name`] and
//! [`named`].

mod benchmark;
mod bt;
mod cg;
mod class;
mod ep;
mod flow;
mod ft;
mod is;
mod lu;
mod memory;
mod mg;
mod output;
mod random;
pub(crate) mod simd;
mod sp;
mod team;
#[cfg(test)]
mod tests;
mod verification;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::peers::pin::{Unpin, pin};
use crate::peers::rayon as rayon_peer;
use crate::report::Report;
use crate::watchdog;
use benchmark::{Benchmark, Measured};
use clap::{Args, ValueEnum};
use class::Class;
use output::Line;
use phalanx::Backend;
use team::{Runtime, Team};
use verification::Verdict;

/// Which of the NAS Parallel Benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Embarrassingly parallel: Gaussian deviates.
    Ep,
    /// Integer sort: ranks of keys.
    Is,
    /// Conjugate gradient: the smallest eigenvalue of a sparse matrix.
    Cg,
    /// Multigrid: Poisson's equation on a cube.
    Mg,
    /// Fourier transform: a diffusion equation in three dimensions.
    Ft,
    /// Scalar pentadiagonal systems: a gas flow by alternating directions.
    Sp,
    /// Block tridiagonal systems: the same flow.
    Bt,
    /// Over-relaxation: the same flow, from corner to corner.
    Lu,
}

/// The benchmark of this name.
fn named(name: Name) -> Box<dyn Benchmark> {
    match name {
        Name::Ep => Box::new(ep::Ep),
        Name::Is => Box::new(is::Is),
        Name::Cg => Box::new(cg::Cg),
        Name::Mg => Box::new(mg::Mg),
        Name::Ft => Box::new(ft::Ft),
        Name::Sp => Box::new(sp::Sp),
        Name::Bt => Box::new(bt::Bt),
        Name::Lu => Box::new(lu::Lu),
    }
}

/// The NAS Parallel Benchmarks.
#[derive(Debug, Args)]
pub struct Npb {
    /// The benchmark
    #[arg(value_name = "BENCHMARK")]
    name: Name,

    /// The problem's size
    #[arg(long, value_name = "CLASS", default_value = "S", ignore_case = true)]
    class: Class,

    /// Runtimes; several are compared in one run
    #[arg(long, value_name = "RUNTIMES", value_delimiter = ',', default_value = "phalanx")]
    runtime: Vec<Runtime>,

    /// Runs of each, taking turns; the median is printed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
}

impl Bench for Npb {
    const NAME: &'static str = "npb";
    const IN_ALL: bool = false;

    fn measures() -> Vec<&'static str> {
        Name::value_variants().iter().map(|name| named(*name).name()).collect()
    }

    /// Runs a benchmark on all runtimes that were asked for, taking turns. A result that does not verify is
    /// an error, after all have been printed.
    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let benchmark = named(self.name);
        let count = self.runtime.len();
        let mut runs: Vec<Vec<Measured>> = self.runtime.iter().map(|_| Vec::new()).collect();
        for round in 0..self.repeat as usize {
            for turn in 0..count {
                let index = (round + turn) % count;
                let runtime = self.runtime[index];
                let what =
                    format!("{} class {} of {}", benchmark.name(), self.class.letter(), runtime.name());
                watchdog::note_long(what.clone());
                let measured = turn_of(setup, &*benchmark, self.class, runtime)
                    .map_err(|error| format!("{what} failed: {error}"))?;
                runs[index].push(measured);
            }
        }
        let lines: Vec<Line> =
            self.runtime.iter().zip(runs).map(|(runtime, runs)| Line::of(*runtime, setup, runs)).collect();
        output::print(&lines, &*benchmark, self.class, report);
        match lines.iter().filter(|line| line.verdict != Verdict::Successful).count() {
            0 => Ok(()),
            bad => Err(format!("{bad} of {count} runtimes gave results that did not verify").into()),
        }
    }
}

/// One run. The team exists only meanwhile, so that no idle team takes cores from another.
fn turn_of(setup: &Setup, benchmark: &dyn Benchmark, class: Class, runtime: Runtime) -> Outcome<Measured> {
    match runtime {
        Runtime::Serial => {
            let _unpin = Unpin::later()?;
            if let Some(place) = setup.places.first() {
                pin(place);
            }
            benchmark.run(class, &Team::Serial)
        }
        Runtime::Rayon => benchmark.run(class, &Team::Rayon(&rayon_peer::team(&setup.places)?)),
        Runtime::Phalanx => benchmark.run(class, &Team::Phalanx(&setup.pool(Backend::Processes)?)),
    }
}
