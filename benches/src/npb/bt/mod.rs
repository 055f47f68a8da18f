//! BT: implicit steps whose factors are block tridiagonal systems of 5x5 blocks along each line.
//!
//! After section 4.2 of the NPB specification. What is timed, how operations are counted and the verification
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
use solve::Blocks;

/// BT.
pub struct Bt;

fn problem(class: Class) -> Problem {
    let (side, steps, dt) = match class {
        Class::S => (12, 60, 0.01),
        Class::W => (24, 200, 0.0008),
        Class::A => (64, 200, 0.0008),
        Class::B => (102, 200, 0.0003),
        Class::C => (162, 200, 0.0001),
        Class::D => (408, 250, 0.00002),
    };
    Problem { grid: Grid { side }, steps, dt }
}

impl Benchmark for Bt {
    fn name(&self) -> &'static str {
        "bt"
    }

    fn size(&self, class: Class) -> String {
        problem(class).size()
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let problem = problem(class);
        let (time, found) = runtime::run::<Adi<Blocks>>(&problem, team)?;
        let side = problem.grid.side as f64;
        let per_step = 3478.8 * side.powi(3) - 17655.7 * side * side + 28023.7 * side;
        Ok(Measured {
            seconds: time.as_secs_f64(),
            operations: per_step * problem.steps as f64,
            checks: norms::checks(problem.grid, &found, verification::bt(class)?),
        })
    }
}
