//! FT: the heat equation on a periodic box, solved by three-dimensional Fourier transforms.
//!
//! After section 2.7 of the NPB specification: a random state is transformed, each of its waves decays by
//! exp(-4 alpha pi^2 k^2 t), and at each time step t the state is transformed back, of which 1024 elements
//! are summed. What is timed (everything, from the random numbers on), how operations are counted and how
//! results are verified is as in the reference implementation; as in the specification each step's decay is
//! that since the beginning, from one small table per axis.

mod lines;
mod runtime;
#[cfg(test)]
mod tests;
mod transform;

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::memory;
use super::team::Team;
use super::verification::{self, Check};
use crate::harness::Outcome;
use runtime::Evolved;
use transform::Problem;

/// FT.
pub struct Ft;

fn problem(class: Class) -> Problem {
    let (size, steps) = match class {
        Class::S => ([64, 64, 64], 6),
        Class::W => ([128, 128, 32], 6),
        Class::A => ([256, 256, 128], 6),
        Class::B => ([512, 256, 256], 20),
        Class::C => ([512, 512, 512], 20),
        Class::D => ([2048, 1024, 1024], 25),
    };
    Problem { size, steps }
}

impl Benchmark for Ft {
    fn name(&self) -> &'static str {
        "ft"
    }

    fn size(&self, class: Class) -> String {
        let Problem { size: [x, y, z], steps } = problem(class);
        format!("{x} x {y} x {z} points, {steps} time steps")
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let problem = problem(class);
        memory::check(problem.bytes())?;
        let evolved = match team {
            Team::Serial => runtime::serial(problem)?,
            Team::Rayon(threads) => runtime::rayon(problem, threads)?,
            Team::Phalanx(pool) => runtime::phalanx(problem, pool)?,
        };
        measured(class, problem, &evolved)
    }
}

fn measured(class: Class, problem: Problem, evolved: &Evolved) -> Outcome<Measured> {
    let points = problem.points() as f64;
    let log = points.ln();
    Ok(Measured {
        seconds: evolved.time.as_secs_f64(),
        operations: points * (14.8157 + 7.19641 * log + (5.23518 + 7.21113 * log) * problem.steps as f64),
        checks: compared(class, evolved)?,
    })
}

fn compared(class: Class, evolved: &Evolved) -> Outcome<Vec<Check>> {
    let Some(official) = verification::ft(class)? else { return Ok(Vec::new()) };
    let mut checks =
        vec![Check::exact("the number of checksums", evolved.checksums.len() as i64, official.len() as i64)];
    for (step, (sum, official)) in evolved.checksums.iter().zip(official).enumerate() {
        checks.push(Check::complex(&format!("checksum {}", step + 1), [sum.re, sum.im], official, 1e-12));
    }
    Ok(checks)
}
