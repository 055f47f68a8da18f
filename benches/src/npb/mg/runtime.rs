//! The V-cycles on each runtime.
//!
//! All three make the same calls of the same sweeps. With threads and with workers each has one slab of
//! neighbouring planes of each level, and each computes the bottom of the cycle for itself.

use super::cycle::{self, Ascent, Bottom, Scratch, Source};
use super::source::Charges;
use crate::harness::Outcome;
use crate::npb::memory::{self, flat, flat_mut};
use ndarray::Ix2;
use phalanx::region::{RegionMut, RegionRef};
use phalanx::{Pool, RegionError, SharedArray, Team};
use rayon::ThreadPool;
use rayon::prelude::*;
use std::mem::swap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// log2 of the points per direction of the largest level that every thread or rank computes for itself.
const BOTTOM: u32 = 4;

/// A problem.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// log2 of the points per direction.
    pub top: u32,
    /// V-cycles.
    pub cycles: usize,
    /// The smoother's weights: centre, face, edge.
    pub weights: [f64; 3],
}

impl Problem {
    /// Points per direction.
    pub fn side(&self) -> usize {
        1 << self.top
    }

    /// Levels, by the log2 of their sides, that have residuals in memory that all share. The finest has none.
    fn residual_levels(&self) -> Range<u32> {
        BOTTOM..self.top
    }

    /// Levels that have values in memory that all share, but the finest, which has two.
    fn value_levels(&self) -> Range<u32> {
        BOTTOM + 1..self.top
    }

    /// Bytes of all arrays.
    pub fn bytes(&self) -> usize {
        // Two of values and one right-hand side, and an eighth, a 64th ... of two more.
        let finest = size_of::<f64>() << (3 * self.top);
        3 * finest + 2 * finest / 7
    }

    fn ascent<'a>(
        &self,
        level: u32,
        rhs: &'a [f64],
        coarse: &'a [f64],
        old: Option<&'a [f64]>,
    ) -> Ascent<'a> {
        Ascent { side: 1 << level, rhs, coarse, old, weights: self.weights }
    }

    /// The L2 norm, from the sum of squares.
    fn norm(&self, squares: f64) -> f64 {
        (squares / (1u64 << (3 * self.top)) as f64).sqrt()
    }
}

/// What a run returns.
#[derive(Clone, Copy, Debug)]
pub struct Solved {
    /// L2 norm of the residual at the end.
    pub norm: f64,
    /// Time of the cycles.
    pub time: Duration,
}

/// The arrays of the runtimes that have no shared memory.
struct Grids {
    rhs: Vec<f64>,
    values: [Vec<f64>; 2],
    residuals: Vec<Vec<f64>>,
    coarse: Vec<Vec<f64>>,
}

impl Grids {
    fn new(problem: Problem) -> Grids {
        let grid = |level: u32| memory::zeroed(1 << (3 * level));
        let mut rhs = grid(problem.top);
        Charges::of(problem.side()).place(&mut rhs);
        Grids {
            rhs,
            values: [grid(problem.top), grid(problem.top)],
            residuals: problem.residual_levels().map(grid).collect(),
            coarse: problem.value_levels().map(grid).collect(),
        }
    }
}

/// How sweeps over all planes of a level are run.
trait Sweeps {
    /// Runs `sweep` on slabs of `out`, which has planes of `area` points, and adds what it returns.
    fn planes(
        &mut self,
        out: &mut [f64],
        area: usize,
        sweep: impl Fn(Range<usize>, &mut [f64], &mut Scratch) -> f64 + Sync,
    ) -> f64;
    /// Runs `sweep` on slabs of `0..count` and adds what it returns.
    fn sum(&mut self, count: usize, sweep: impl Fn(Range<usize>, &mut Scratch) -> f64 + Sync) -> f64;
}

struct Alone(Scratch);

impl Sweeps for Alone {
    fn planes(
        &mut self,
        out: &mut [f64],
        area: usize,
        sweep: impl Fn(Range<usize>, &mut [f64], &mut Scratch) -> f64 + Sync,
    ) -> f64 {
        sweep(0..out.len() / area, out, &mut self.0)
    }

    fn sum(&mut self, count: usize, sweep: impl Fn(Range<usize>, &mut Scratch) -> f64 + Sync) -> f64 {
        sweep(0..count, &mut self.0)
    }
}

/// One slab per thread, each with a scratch of its own: more slabs would compute more planes twice.
struct Threads(Vec<Scratch>);

impl Sweeps for Threads {
    fn planes(
        &mut self,
        out: &mut [f64],
        area: usize,
        sweep: impl Fn(Range<usize>, &mut [f64], &mut Scratch) -> f64 + Sync,
    ) -> f64 {
        let slab = (out.len() / area).div_ceil(self.0.len());
        let slabs = out.par_chunks_mut(slab * area).zip(&mut self.0).enumerate();
        slabs
            .map(|(index, (out, scratch))| {
                let first = index * slab;
                sweep(first..first + out.len() / area, out, scratch)
            })
            .sum()
    }

    fn sum(&mut self, count: usize, sweep: impl Fn(Range<usize>, &mut Scratch) -> f64 + Sync) -> f64 {
        let slab = count.div_ceil(self.0.len());
        let slabs = self.0.par_iter_mut().enumerate();
        slabs
            .map(|(index, scratch)| {
                sweep((index * slab).min(count)..((index + 1) * slab).min(count), scratch)
            })
            .sum()
    }
}

/// Runs `cycles` V-cycles from zeros; returns the norm.
fn cycles(problem: Problem, cycles: usize, grids: &mut Grids, sweeps: &mut impl Sweeps) -> f64 {
    let Grids { rhs, values: [values, spare], residuals, coarse } = grids;
    let (top, side) = (problem.top, problem.side());
    let mut bottom = Bottom::new(1 << BOTTOM, problem.weights);
    for _ in 0..cycles {
        for level in problem.residual_levels().rev() {
            let (out, finer) = residuals.split_at_mut((level - BOTTOM) as usize + 1);
            let out = &mut out[(level - BOTTOM) as usize];
            let source = finer.first().map_or(Source::Of(rhs, values), |fine| Source::Given(fine));
            sweeps.planes(out, 1 << (2 * level), |planes, out, scratch| {
                cycle::descend(2 << level, source, planes, out, scratch)
            });
        }
        let solved = bottom.solve(&residuals[0]);
        for level in BOTTOM + 1..=top {
            let at = (level - BOTTOM) as usize;
            let (below, here) = coarse.split_at_mut(at - 1);
            let coarser = below.last().map_or(solved, |values| values.as_slice());
            let (ascent, out) = match here.first_mut() {
                None => (problem.ascent(level, rhs, coarser, Some(values)), &mut *spare),
                Some(out) => (problem.ascent(level, &residuals[at], coarser, None), out),
            };
            sweeps.planes(out, 1 << (2 * level), |planes, out, scratch| {
                cycle::ascend(ascent, planes, out, scratch);
                0.0
            });
        }
        swap(values, spare);
    }
    problem.norm(sweeps.sum(side, |planes, scratch| cycle::norm(side, [rhs, values], planes, scratch)))
}

/// Warms up with one cycle, as the reference does, sets the values to zero again, and takes the time of all
/// cycles.
fn solve_with(problem: Problem, mut grids: Grids, sweeps: &mut impl Sweeps) -> Solved {
    let area = problem.side() * problem.side();
    cycles(problem, 1, &mut grids, sweeps);
    for values in &mut grids.values {
        sweeps.planes(values, area, |_, values, _| {
            values.fill(0.0);
            0.0
        });
    }
    let began = Instant::now();
    let norm = cycles(problem, problem.cycles, &mut grids, sweeps);
    Solved { norm, time: began.elapsed() }
}

/// On the calling thread.
pub fn serial(problem: Problem) -> Solved {
    solve_with(problem, Grids::new(problem), &mut Alone(Scratch::new(problem.side())))
}

/// On rayon's threads.
pub fn rayon(problem: Problem, threads: &ThreadPool) -> Solved {
    let scratch = (0..threads.current_num_threads()).map(|_| Scratch::new(problem.side()));
    let mut sweeps = Threads(scratch.collect());
    threads.install(|| solve_with(problem, Grids::new(problem), &mut sweeps))
}

/// On a pool's workers.
pub fn phalanx(problem: Problem, pool: &Pool) -> Outcome<Solved> {
    let grid = |level: u32| memory::shared(pool, (1 << level, 1 << (2 * level)));
    let (mut values, mut spare) = (grid(problem.top)?, grid(problem.top)?);
    let mut residuals = problem.residual_levels().map(grid).collect::<Outcome<Vec<_>>>()?;
    let mut coarse = problem.value_levels().map(grid).collect::<Outcome<Vec<_>>>()?;
    let mut rhs = grid(problem.top)?;
    Charges::of(problem.side()).place(rhs.as_mut_slice());
    let mut cycles =
        |cycles: usize, values: &mut SharedArray<f64, Ix2>, spare: &mut SharedArray<f64, Ix2>| {
            let parameters = [problem.top as usize, cycles];
            let finest = (&rhs, values, spare);
            let operands = (finest, &mut residuals[..], &mut coarse[..], parameters, problem.weights);
            pool.region(operands, body)
        };
    cycles(1, &mut values, &mut spare)?;
    pool.broadcast((values.split_mut(), spare.split_mut()), |_, (mut values, mut spare)| {
        values.fill(0.0);
        spare.fill(0.0);
    })?;
    let began = Instant::now();
    let norm = cycles(problem.cycles, &mut values, &mut spare)?;
    Ok(Solved { norm, time: began.elapsed() })
}

type Level<'w> = RegionMut<'w, f64, Ix2>;
type Finest<'w> = (RegionRef<'w, f64, Ix2>, Level<'w>, Level<'w>);

/// One rank's part of all cycles.
fn body<'w>(
    team: &mut Team<'w>,
    (finest, residuals, coarse, [top, cycles], weights): (
        Finest<'w>,
        Vec<Level<'w>>,
        Vec<Level<'w>>,
        [usize; 2],
        [f64; 3],
    ),
) -> Result<f64, RegionError> {
    let problem = Problem { top: top as u32, cycles, weights };
    let (rhs, values, spare) = finest;
    let mut rank = Rank {
        problem,
        rhs: flat(rhs.view())?,
        values,
        spare,
        residuals,
        coarse,
        bottom: Bottom::new(1 << BOTTOM, weights),
        scratch: Scratch::new(problem.side()),
    };
    for _ in 0..cycles {
        rank.down(team)?;
        rank.up(team)?;
    }
    rank.norm(team)
}

/// What a rank holds: handles of what all share, and buffers of its own.
struct Rank<'w> {
    problem: Problem,
    rhs: &'w [f64],
    values: Level<'w>,
    spare: Level<'w>,
    residuals: Vec<Level<'w>>,
    coarse: Vec<Level<'w>>,
    bottom: Bottom,
    scratch: Scratch,
}

impl Rank<'_> {
    /// A phase for each level's residuals.
    fn down(&mut self, team: &mut Team<'_>) -> Result<(), RegionError> {
        let scratch = &mut self.scratch;
        for level in self.problem.residual_levels().rev() {
            let (out, finer) = self.residuals.split_at_mut((level - BOTTOM) as usize + 1);
            let out = &mut out[(level - BOTTOM) as usize];
            let (count, fine_side) = (1 << level, 2 << level);
            match finer.first() {
                None => {
                    team.phase((0..count, out.split_mut(), self.values.whole()), |(planes, out, values)| {
                        let source = Source::Of(self.rhs, flat(values)?);
                        cycle::descend(fine_side, source, planes, flat_mut(out)?, scratch);
                        Ok::<_, RegionError>(())
                    })??
                }
                Some(fine) => {
                    team.phase((0..count, out.split_mut(), fine.whole()), |(planes, out, fine)| {
                        cycle::descend(
                            fine_side,
                            Source::Given(flat(fine)?),
                            planes,
                            flat_mut(out)?,
                            scratch,
                        );
                        Ok::<_, RegionError>(())
                    })??
                }
            }
        }
        Ok(())
    }

    /// A phase for each level's values. What the first one starts from, every rank computes for itself.
    fn up(&mut self, team: &mut Team<'_>) -> Result<(), RegionError> {
        let (problem, scratch, bottom) = (self.problem, &mut self.scratch, &mut self.bottom);
        for level in BOTTOM + 1..problem.top {
            let at = (level - BOTTOM) as usize;
            let (below, here) = self.coarse.split_at_mut(at - 1);
            let rhs = self.residuals[at].whole();
            let out = here[0].split_mut();
            let count = 1 << level;
            match below.last() {
                None => {
                    let residuals = self.residuals[0].whole();
                    team.phase((0..count, out, rhs, residuals), |(planes, out, rhs, residuals)| {
                        let coarser = bottom.solve(flat(residuals)?);
                        let ascent = problem.ascent(level, flat(rhs)?, coarser, None);
                        cycle::ascend(ascent, planes, flat_mut(out)?, scratch);
                        Ok::<_, RegionError>(())
                    })??;
                }
                Some(coarser) => {
                    team.phase((0..count, out, rhs, coarser.whole()), |(planes, out, rhs, coarser)| {
                        let ascent = problem.ascent(level, flat(rhs)?, flat(coarser)?, None);
                        cycle::ascend(ascent, planes, flat_mut(out)?, scratch);
                        Ok::<_, RegionError>(())
                    })??;
                }
            }
        }
        self.finish(team)
    }

    /// The finest level of the way up: new values from old ones.
    fn finish(&mut self, team: &mut Team<'_>) -> Result<(), RegionError> {
        let (problem, bottom, scratch) = (self.problem, &mut self.bottom, &mut self.scratch);
        // Without levels between, the bottom's values are the next coarser ones.
        let coarser = self.coarse.last().unwrap_or(&self.residuals[0]);
        let is_bottom = self.coarse.is_empty();
        let operands = (0..problem.side(), self.spare.split_mut(), self.values.whole(), coarser.whole());
        team.phase(operands, |(planes, out, old, coarser)| {
            let coarser = flat(coarser)?;
            let coarser = if is_bottom { bottom.solve(coarser) } else { coarser };
            let ascent = problem.ascent(problem.top, self.rhs, coarser, Some(flat(old)?));
            cycle::ascend(ascent, planes, flat_mut(out)?, scratch);
            Ok::<_, RegionError>(())
        })??;
        swap(&mut self.values, &mut self.spare);
        Ok(())
    }

    fn norm(&mut self, team: &mut Team<'_>) -> Result<f64, RegionError> {
        let (side, rhs, scratch) = (self.problem.side(), self.rhs, &mut self.scratch);
        let squares = team.phase((0..side, self.values.whole()), |(planes, values)| {
            Ok::<_, RegionError>(cycle::norm(side, [rhs, flat(values)?], planes, scratch))
        })??;
        Ok(self.problem.norm(team.all_reduce(squares, |a, b| a + b)?))
    }
}
