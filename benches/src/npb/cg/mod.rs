//! CG: the smallest eigenvalue of a large sparse matrix by inverse iteration, each step solved by conjugate
//! gradients.
//!
//! After section 2.5 of the NPB specification: `iterations` outer steps (one more, untimed, before), each of
//! 25 steps of the conjugate gradient method without preconditioning and one residual;
//! `zeta = shift + 1 / (x . z)` is the result. A product reads 10 bytes per non-zero and does 2 operations;
//! the direction vector is gathered from the second cache. Operations are counted as the reference does, from
//! the nominal number of non-zeros.
//!
//! The solver is written once over `Crew`: who has which rows, and how sums come together. Ranks share only
//! the direction vector; all others are private. Rows are cut where non-zeros are even.

mod crew;
mod matrix;
mod size;
mod slab;
#[cfg(test)]
mod tests;

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::memory;
use super::team::Team;
use super::verification::{self, Check};
use crate::harness::Outcome;
use crew::{Alone, Crew, Rank, Stolen, Sums};
use matrix::{Outline, Sparse, WIDTH};
use phalanx::Pool;
use size::{STEPS, Size};
use slab::Slab;
use std::time::Instant;

/// Slabs per thread of rayon, so that there is something to steal.
const SLABS_PER_THREAD: usize = 4;

/// CG.
pub struct Cg;

/// Runs the outer steps from x = 1; returns zeta and the last residual's norm.
fn solve<C: Crew>(
    crew: &mut C,
    matrix: &Sparse<'_>,
    iterations: usize,
    shift: f64,
) -> Result<[f64; 2], C::Error> {
    let mut result = [0.0; 2];
    for _ in 0..iterations {
        let [off, xz, zz] = conjugate_gradient(crew, matrix)?;
        let factor = 1.0 / zz.sqrt();
        crew.each(|slab| {
            slab.normalise(factor);
            0.0
        })?;
        result = [shift + 1.0 / xz, off.sqrt()];
    }
    Ok(result)
}

/// Solves A z = x; returns |x - A z|^2, x . z and z . z.
fn conjugate_gradient<C: Crew>(crew: &mut C, matrix: &Sparse<'_>) -> Result<Sums, C::Error> {
    let mut rho = crew.each(Slab::begin)?;
    crew.set(|slab, p| slab.first_direction(p))?;
    for _ in 0..STEPS {
        let [pq, ..] = crew.get(|slab, p| [slab.product(matrix, p), 0.0, 0.0])?;
        let alpha = rho / pq;
        let before = rho;
        rho = crew.each(|slab| slab.reduce_residual(alpha))?;
        let beta = rho / before;
        crew.set(|slab, p| slab.next_direction(alpha, beta, p))?;
    }
    crew.set(|slab, p| slab.solution(p))?;
    crew.get(|slab, p| slab.judge(matrix, p))
}

impl Benchmark for Cg {
    fn name(&self) -> &'static str {
        "cg"
    }

    fn size(&self, class: Class) -> String {
        let size = Size::of(class);
        format!("{} rows, {} iterations", size.rows, size.iterations)
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let size = Size::of(class);
        let outline = Outline::new(&size);
        let (seconds, [zeta, _residual]) = match team {
            Team::Serial => on_threads(&size, &outline, |matrix, iterations| {
                let slab = Slab::new(0..size.rows);
                let mut crew = Alone { slab, p: direction(matrix) };
                solve(&mut crew, matrix, iterations, size.shift)
            })?,
            Team::Rayon(threads) => on_threads(&size, &outline, |matrix, iterations| {
                let bounds = matrix.balanced(SLABS_PER_THREAD * threads.current_num_threads());
                let slabs = bounds.windows(2).map(|pair| Slab::new(pair[0]..pair[1])).collect();
                let mut crew = Stolen { slabs, p: direction(matrix) };
                threads.install(|| solve(&mut crew, matrix, iterations, size.shift))
            })?,
            Team::Phalanx(pool) => on_pool(&size, &outline, pool)?,
        };
        Ok(Measured { seconds, operations: size.operations(), checks: compared(class, zeta)? })
    }
}

fn compared(class: Class, zeta: f64) -> Outcome<Vec<Check>> {
    let Some(official) = verification::cg(class)? else { return Ok(Vec::new()) };
    Ok(vec![Check::relative("zeta", zeta, official, 1e-10)])
}

/// Room for p: whole column blocks.
fn direction(matrix: &Sparse<'_>) -> Vec<f64> {
    memory::zeroed(matrix.blocks * WIDTH)
}

/// Fills a matrix in this process's memory, solves once untimed with one outer step, and once timed.
fn on_threads<E>(
    size: &Size,
    outline: &Outline,
    solve: impl Fn(&Sparse<'_>, usize) -> Result<[f64; 2], E>,
) -> Outcome<(f64, [f64; 2])>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let starts = outline.starts();
    let nonzeros = starts[starts.len() - 1] as usize;
    let (mut columns, mut values) = (memory::zeroed(nonzeros), memory::zeroed(nonzeros));
    outline.fill(&mut columns, &mut values);
    let matrix = Sparse { starts: &starts, columns: &columns, values: &values, blocks: outline.blocks() };
    solve(&matrix, 1)?;
    let began = Instant::now();
    let result = solve(&matrix, size.iterations)?;
    Ok((began.elapsed().as_secs_f64(), result))
}

/// The same with a matrix in shared memory; each solution is one region.
fn on_pool(size: &Size, outline: &Outline, pool: &Pool) -> Outcome<(f64, [f64; 2])> {
    let starts = pool.from_slice(&outline.starts())?;
    let nonzeros = starts.as_slice()[starts.len() - 1] as usize;
    let mut columns = memory::shared::<u16, _>(pool, nonzeros)?;
    let mut values = memory::shared::<f64, _>(pool, nonzeros)?;
    outline.fill(columns.as_mut_slice(), values.as_mut_slice());
    let mut p = memory::shared::<f64, _>(pool, outline.blocks() * WIDTH)?;
    let mut solution = |iterations: usize| {
        let operands = (&mut p, &starts, &columns, &values, iterations, size.shift);
        pool.region(operands, |team, (p, starts, columns, values, iterations, shift)| {
            let blocks = p.rows() / WIDTH;
            let matrix =
                Sparse { starts: starts.view(), columns: columns.view(), values: values.view(), blocks };
            let bounds = matrix.balanced(team.size());
            let slab = Slab::new(bounds[team.rank()]..bounds[team.rank() + 1]);
            solve(&mut Rank { team, slab, bounds, p }, &matrix, iterations, shift)
        })
    };
    solution(1)?;
    let began = Instant::now();
    let result = solution(size.iterations)?;
    Ok((began.elapsed().as_secs_f64(), result))
}
