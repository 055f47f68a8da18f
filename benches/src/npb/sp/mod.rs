//! SP: implicit steps whose factors are made diagonal, so that each line is three scalar pentadiagonal
//! systems.
//!
//! After section 4.3 of the NPB specification. What is timed, how operations are counted and the verification
//! are as in the reference implementation. `flow` has the equations and the steps.

mod solve;

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::flow::grid::Grid;
use super::flow::norms;
use super::flow::problem::Problem;
use super::flow::runtime;
use super::flow::stages::Adi;
use super::team::Team;
use super::verification;
use crate::harness::Outcome;
use solve::Diagonal;

/// SP.
pub struct Sp;

fn problem(class: Class) -> Problem {
    let (side, steps, dt) = match class {
        Class::S => (12, 100, 0.015),
        Class::W => (36, 400, 0.0015),
        Class::A => (64, 400, 0.0015),
        Class::B => (102, 400, 0.001),
        Class::C => (162, 400, 0.00067),
        Class::D => (408, 500, 0.0003),
    };
    Problem { grid: Grid { side }, steps, dt }
}

impl Benchmark for Sp {
    fn name(&self) -> &'static str {
        "sp"
    }

    fn size(&self, class: Class) -> String {
        problem(class).size()
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let problem = problem(class);
        let (time, found) = runtime::run::<Adi<Diagonal>>(&problem, team)?;
        let side = problem.grid.side as f64;
        let per_step = 881.174 * side.powi(3) - 4683.91 * side * side + 11484.5 * side - 19272.4;
        Ok(Measured {
            seconds: time.as_secs_f64(),
            operations: per_step * problem.steps as f64,
            checks: norms::checks(problem.grid, &found, verification::sp(class)?),
        })
    }
}
