//! A run on each runtime: prepared and warmed up, timed, judged.

use super::crew::{Alone, Crew, Rank, Threads};
use super::grid::Grid;
use super::problem::{Found, Problem};
use super::stages::Stages;
use crate::harness::Outcome;
use crate::npb::memory;
use crate::npb::team::Team;
use phalanx::Pool;
use std::convert::Infallible;
use std::time::{Duration, Instant};

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
