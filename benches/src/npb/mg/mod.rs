//! MG: V-cycles of a multigrid method for Poisson's equation on a periodic cube, with 27-point operators.
//!
//! After section 2.6 of the NPB specification. What is timed, how operations are counted (58 per point and
//! cycle) and the verification are as in the reference implementation. Operators are fused where one reads
//! what the other wrote (`cycle`), which changes the order in which memory is visited and not what is
//! computed; the reference's norm of the residual before the first cycle, of which it makes no use, is left
//! out.

mod cycle;
mod runtime;
mod source;
mod stencil;
#[cfg(test)]
mod tests;

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::memory;
use super::team::Team;
use super::verification::{self, Check};
use crate::harness::Outcome;
use runtime::{Problem, Solved};

/// MG.
pub struct Mg;

fn problem(class: Class) -> Problem {
    let (top, cycles) = match class {
        Class::S => (5, 4),
        Class::W => (7, 4),
        Class::A => (8, 4),
        Class::B => (8, 20),
        Class::C => (9, 20),
        Class::D => (10, 50),
    };
    // Smoothers for small and for large numbers of cycles; the specification's S(a) and S(b).
    let weights = if class <= Class::A {
        [-3.0 / 8.0, 1.0 / 32.0, -1.0 / 64.0]
    } else {
        [-3.0 / 17.0, 1.0 / 33.0, -1.0 / 61.0]
    };
    Problem { top, cycles, weights }
}

impl Benchmark for Mg {
    fn name(&self) -> &'static str {
        "mg"
    }

    fn size(&self, class: Class) -> String {
        let problem = problem(class);
        format!("{}^3 points, {} V-cycles", problem.side(), problem.cycles)
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let problem = problem(class);
        memory::check(problem.bytes())?;
        let solved = match team {
            Team::Serial => runtime::serial(problem),
            Team::Rayon(threads) => runtime::rayon(problem, threads),
            Team::Phalanx(pool) => runtime::phalanx(problem, pool)?,
        };
        measured(class, &problem, &solved)
    }
}

fn measured(class: Class, problem: &Problem, solved: &Solved) -> Outcome<Measured> {
    let official = verification::mg(class)?;
    let checks = official.map(|official| Check::relative("the residual's norm", solved.norm, official, 1e-8));
    Ok(Measured {
        seconds: solved.time.as_secs_f64(),
        operations: 58.0 * problem.cycles as f64 * (problem.side() as f64).powi(3),
        checks: checks.into_iter().collect(),
    })
}
