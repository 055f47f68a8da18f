//! A run on each runtime: prepared and warmed up, timed, judged.

use super::crew::{Alone, Crew, Rank, Threads};
use super::equations::Five;
use super::grid::Grid;
use super::setup::judge;
use crate::harness::Outcome;
use crate::npb::memory;
use crate::npb::team::Team;
use bytemuck::{Pod, Zeroable};
use phalanx::Pool;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// A problem.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// Its points.
    pub grid: Grid,
    /// Time steps.
    pub steps: usize,
    /// Length of a time step.
    pub dt: f64,
}

impl Problem {
    /// For the printed headline.
    pub fn size(&self) -> String {
        format!("{}^3 points, {} steps", self.grid.side, self.steps)
    }

    /// Bytes of the four arrays that all share, and of as many like them as members keep for themselves.
    fn bytes(&self, kept: usize) -> usize {
        (4 + kept) * self.grid.elements() * size_of::<f64>()
    }
}

/// What a run ends with.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Found {
    /// Sum of found of the right-hand side.
    pub residual: Five,
    /// Sum of found of the difference from the exact solution.
    pub error: Five,
    /// A surface integral of the pressure, where a benchmark wants it.
    pub surface: f64,
}

/// What a benchmark does with a crew. Stages keep nothing but the arrays.
pub trait Stages: 'static {
    /// How much members keep for themselves, in arrays.
    const KEPT: usize = 0;

    /// Sets all arrays, and sets u back after one step, so that all memory and code has been used.
    fn prepare<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error>;
    /// Makes all steps.
    fn advance<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error>;
    /// Compares u with the exact solution.
    fn judge<C: Crew>(crew: &mut C, problem: &Problem) -> Result<Found, C::Error> {
        judge(crew, problem)
    }
}

/// Runs all stages; the steps are what is timed.
pub fn run<T: Stages>(problem: &Problem, team: &Team<'_>) -> Outcome<(Duration, Found)> {
    memory::check(problem.bytes(T::KEPT))?;
    let grid = problem.grid;
    match team {
        Team::Serial => Ok(in_this_process::<T, _>(&mut Alone::new(grid), problem)),
        Team::Rayon(threads) => {
            let mut crew = Threads::new(grid, threads.current_num_threads());
            Ok(threads.install(|| in_this_process::<T, _>(&mut crew, problem)))
        }
        Team::Phalanx(pool) => on_pool::<T>(problem, pool),
    }
}

fn in_this_process<T: Stages, C>(crew: &mut C, problem: &Problem) -> (Duration, Found)
where
    C: Crew<Error = Infallible>,
{
    let Ok(()) = T::prepare(crew, problem);
    let began = Instant::now();
    let Ok(()) = T::advance(crew, problem);
    let time = began.elapsed();
    let Ok(found) = T::judge(crew, problem);
    (time, found)
}

/// Each stage is one region.
fn on_pool<T: Stages>(problem: &Problem, pool: &Pool) -> Outcome<(Duration, Found)> {
    let grid = problem.grid;
    let array = |row: usize| memory::shared::<f64, _>(pool, (grid.side, row));
    let (sheets, rows) = (grid.sheet(), grid.row());
    let mut arrays =
        [array(sheets)?, array(sheets)?, array(sheets)?, array(sheets)?, array(rows)?, array(rows)?];
    let mut stage = |body: Body| {
        let parameters = ([grid.side, problem.steps], problem.dt, body as u8);
        pool.region((&mut arrays[..], parameters), |team, (arrays, ([side, steps], dt, body))| {
            let problem = Problem { grid: Grid { side }, steps, dt };
            let mut crew = Rank::new(team, problem.grid, arrays)?;
            let mut found = Found::default();
            match body {
                PREPARE => T::prepare(&mut crew, &problem)?,
                ADVANCE => T::advance(&mut crew, &problem)?,
                _ => found = T::judge(&mut crew, &problem)?,
            }
            Ok(found)
        })
    };
    stage(Body::Prepare)?;
    let began = Instant::now();
    stage(Body::Advance)?;
    let time = began.elapsed();
    Ok((time, stage(Body::Judge)?))
}

/// Which stage a region runs; as a number, since operands are plain values.
#[derive(Clone, Copy)]
enum Body {
    Prepare,
    Advance,
    Judge,
}

const PREPARE: u8 = Body::Prepare as u8;
const ADVANCE: u8 = Body::Advance as u8;
