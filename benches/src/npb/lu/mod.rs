//! LU: implicit steps by symmetric successive over-relaxation: a lower and an upper triangular system of the
//! whole grid per step, each solved from corner to corner.
//!
//! After section 4.4 of the NPB specification. What is timed, how operations are counted and the verification
//! are as in the reference implementation. `flow` has the equations and the right-hand side.
//!
//! A point waits for its neighbours of three directions. Within a plane, as many rows as a vector has numbers
//! are solved side by side, each one point behind the last (`skew`). Ranks have a block of neighbouring slabs
//! each and go through the planes one behind the other: in each phase of a sweep, a rank is one plane behind
//! the one that it waits for, and reads what that one's last row handed over in the phase before.

mod block;
mod gas;
mod integral;
mod skew;
#[cfg(test)]
mod tests;

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::flow::adi::{Explicit, advance_slab};
use super::flow::crew::Crew;
use super::flow::grid::Grid;
use super::flow::norms;
use super::flow::problem::{Found, Problem};
use super::flow::runtime;
use super::flow::setup::{begin, judge, right_hand_side, set_up};
use super::flow::stages::Stages;
use super::flow::wave::Way;
use super::team::Team;
use super::verification::{self, Check};
use crate::harness::Outcome;

/// LU.
pub struct Lu;

fn problem(class: Class) -> Problem {
    let (side, steps, dt) = match class {
        Class::S => (12, 50, 0.5),
        Class::W => (33, 300, 0.0015),
        Class::A => (64, 250, 2.0),
        Class::B => (102, 250, 2.0),
        Class::C => (162, 250, 2.0),
        Class::D => (408, 300, 1.0),
    };
    Problem { grid: Grid { side }, steps, dt }
}

struct Relaxation;

impl Stages for Relaxation {
    /// The solution of the lower system, and the state in its order.
    const KEPT: usize = 2;

    fn prepare<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error> {
        set_up(crew, problem)?;
        steps(crew, problem, 1)?;
        begin(crew, problem)
    }

    fn advance<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error> {
        steps(crew, problem, problem.steps)
    }

    fn judge<C: Crew>(crew: &mut C, problem: &Problem) -> Result<Found, C::Error> {
        let found = judge(crew, problem)?;
        let own =
            crew.slabs(|y, slab, _, _| [integral::of_slab(problem.grid, y, slab.u), 0.0, 0.0, 0.0, 0.0])?;
        let [surface, ..] = crew.total(own)?;
        Ok(Found { surface, ..found })
    }
}

fn steps<C: Crew>(crew: &mut C, problem: &Problem, count: usize) -> Result<(), C::Error> {
    for _ in 0..count {
        right_hand_side(crew, problem)?;
        crew.sweep(Way::Forth, |block, z, at| block::lower(problem, block, z, at))?;
        crew.sweep(Way::Back, |block, z, at| block::upper(problem, block, z, at))?;
        crew.slabs(|y, slab, rhs, bundle| advance_slab::<Explicit>(problem, y, slab, rhs, bundle))?;
    }
    Ok(())
}

impl Benchmark for Lu {
    fn name(&self) -> &'static str {
        "lu"
    }

    fn size(&self, class: Class) -> String {
        problem(class).size()
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let problem = problem(class);
        let slabs = problem.grid.side;
        if team.size() > slabs {
            let why = format!("class {} has {slabs} slabs, one per worker at least", class.letter());
            return Err(format!("{why}; take at most {slabs} workers or a larger class").into());
        }
        let (time, found) = runtime::run::<Relaxation>(&problem, team)?;
        let side = problem.grid.side as f64;
        let per_step = 1984.77 * side.powi(3) - 10923.3 * side * side + 27770.9 * side - 144_010.0;
        Ok(Measured {
            seconds: time.as_secs_f64(),
            operations: per_step * problem.steps as f64,
            checks: compared(class, problem.grid, &found)?,
        })
    }
}

fn compared(class: Class, grid: Grid, found: &Found) -> Outcome<Vec<Check>> {
    let Some(official) = verification::lu(class)? else { return Ok(Vec::new()) };
    let mut checks = norms::checks(grid, found, Some(official.norms));
    checks.push(Check::relative("the surface integral", found.surface, official.surface, 1e-8));
    Ok(checks)
}
