//! The time steps on each runtime: all make the same calls, plane by plane and slab by slab.

use super::transform::{Problem, Worker};
use crate::harness::Outcome;
use crate::npb::memory::{self, flat, flat_mut, for_each};
use ndarray::Ix2;
use num_complex::Complex64;
use phalanx::region::RegionMut;
use phalanx::{Pool, RegionError, Team};
use rayon::ThreadPool;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a run returns.
#[derive(Clone, Debug)]
pub struct Evolved {
    /// Of each time step.
    pub checksums: Vec<Complex64>,
    /// Time of everything, from the initial state on.
    pub time: Duration,
}

/// The arrays of the runtimes that have no shared memory.
struct Arrays {
    space: Vec<Complex64>,
    spectrum: Vec<Complex64>,
    evolved: Vec<Complex64>,
}

impl Arrays {
    fn new(problem: Problem) -> Arrays {
        let array = || memory::zeroed(problem.elements());
        Arrays { space: array(), spectrum: array(), evolved: array() }
    }
}

/// Before the clock starts, all is done once with one time step, so that all memory is there; the reference
/// does much the same.
fn timed(mut work: impl FnMut(usize) -> Outcome<Vec<Complex64>>, steps: usize) -> Outcome<Evolved> {
    work(steps.min(1))?;
    let began = Instant::now();
    let checksums = work(steps)?;
    Ok(Evolved { checksums, time: began.elapsed() })
}

/// On the calling thread.
pub fn serial(problem: Problem) -> Outcome<Evolved> {
    let Arrays { mut space, mut spectrum, mut evolved } = Arrays::new(problem);
    let (plane, slab) = (problem.plane(), problem.slab());
    let run = |steps| {
        let mut worker = Worker::new(problem);
        space.chunks_mut(plane).enumerate().for_each(|(z, plane)| worker.begin(z, plane));
        spectrum.chunks_mut(slab).enumerate().for_each(|(y, slab)| worker.spectrum(y, &space, slab));
        let mut step = |step| {
            let slabs = evolved.chunks_mut(slab).zip(spectrum.chunks(slab)).enumerate();
            slabs.for_each(|(y, (slab, spectrum))| worker.evolve(step, y, spectrum, slab));
            let planes = space.chunks_mut(plane).enumerate();
            planes.map(|(z, plane)| worker.finish(z, &evolved, plane)).sum::<Complex64>()
        };
        Ok((1..=steps).map(|at| step(at) / problem.points() as f64).collect())
    };
    timed(run, problem.steps)
}

/// On rayon's threads.
pub fn rayon(problem: Problem, threads: &ThreadPool) -> Outcome<Evolved> {
    let Arrays { mut space, mut spectrum, mut evolved } = Arrays::new(problem);
    let (plane, slab) = (problem.plane(), problem.slab());
    // One worker per thread, not one per piece of work.
    let run = |steps| {
        let workers: Vec<_> =
            (0..threads.current_num_threads()).map(|_| Mutex::new(Worker::new(problem))).collect();
        let mine = || {
            workers[::rayon::current_thread_index().unwrap_or(0)]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        space.par_chunks_mut(plane).enumerate().for_each(|(z, plane)| mine().begin(z, plane));
        spectrum.par_chunks_mut(slab).enumerate().for_each(|(y, slab)| mine().spectrum(y, &space, slab));
        let mut step = |step| {
            let slabs = evolved.par_chunks_mut(slab).zip(spectrum.par_chunks(slab)).enumerate();
            slabs.for_each(|(y, (slab, spectrum))| mine().evolve(step, y, spectrum, slab));
            let planes = space.par_chunks_mut(plane).enumerate();
            planes.map(|(z, plane)| mine().finish(z, &evolved, plane)).sum::<Complex64>()
        };
        Ok((1..=steps).map(|at| step(at) / problem.points() as f64).collect())
    };
    threads.install(|| timed(run, problem.steps))
}

/// On a pool's workers.
pub fn phalanx(problem: Problem, pool: &Pool) -> Outcome<Evolved> {
    let [nx, ny, nz] = problem.size;
    let mut space = memory::shared(pool, (nz, problem.plane()))?;
    let mut spectrum = memory::shared(pool, (ny, problem.slab()))?;
    let mut evolved = memory::shared(pool, (ny, problem.slab()))?;
    let run = |steps| {
        let operands = (&mut space, &mut spectrum, &mut evolved, [nx, ny, nz, steps]);
        let sums = pool.region(operands, |team, (space, spectrum, evolved, [nx, ny, nz, steps])| {
            let problem = Problem { size: [nx, ny, nz], steps };
            let mut rank = Rank { problem, worker: Worker::new(problem), space, spectrum, evolved };
            rank.begin(team)?;
            let mut sums = [Complex64::default(); MOST_STEPS];
            for (step, sum) in (1..=steps).zip(&mut sums) {
                *sum = rank.step(step, team)?;
            }
            Ok(sums)
        })?;
        Ok(sums[..steps].iter().map(|sum| sum / problem.points() as f64).collect())
    };
    timed(run, problem.steps)
}

/// Time steps whose checksums a region's result has room for.
const MOST_STEPS: usize = 32;

/// What a rank holds.
struct Rank<'w> {
    problem: Problem,
    worker: Worker,
    space: RegionMut<'w, Complex64, Ix2>,
    spectrum: RegionMut<'w, Complex64, Ix2>,
    evolved: RegionMut<'w, Complex64, Ix2>,
}

impl Rank<'_> {
    fn begin(&mut self, team: &mut Team<'_>) -> Result<(), RegionError> {
        let (worker, [_, ny, nz]) = (&mut self.worker, self.problem.size);
        let (plane, slab) = (self.problem.plane(), self.problem.slab());
        for_each(team, (0..nz, self.space.split_mut()), |(planes, own)| {
            let own = flat_mut(own)?.chunks_mut(plane);
            planes.zip(own).for_each(|(z, plane)| worker.begin(z, plane));
            Ok(())
        })?;
        for_each(team, (0..ny, self.spectrum.split_mut(), self.space.whole()), |(slabs, own, space)| {
            let (own, space) = (flat_mut(own)?.chunks_mut(slab), flat(space)?);
            slabs.zip(own).for_each(|(y, slab)| worker.spectrum(y, space, slab));
            Ok(())
        })
    }

    /// One time step; returns the sum of the checksum's elements.
    fn step(&mut self, step: usize, team: &mut Team<'_>) -> Result<Complex64, RegionError> {
        let (worker, [_, ny, nz]) = (&mut self.worker, self.problem.size);
        let (plane, slab) = (self.problem.plane(), self.problem.slab());
        for_each(
            team,
            (0..ny, self.evolved.split_mut(), self.spectrum.split()),
            |(slabs, own, spectrum)| {
                let own = flat_mut(own)?.chunks_mut(slab).zip(flat(spectrum)?.chunks(slab));
                slabs.zip(own).for_each(|(y, (slab, spectrum))| worker.evolve(step, y, spectrum, slab));
                Ok(())
            },
        )?;
        let operands = (0..nz, self.space.split_mut(), self.evolved.whole());
        let mut outcome = Ok(());
        let sum = team.reduce_chunks(
            operands,
            Complex64::default(),
            |(planes, own, evolved)| match (flat_mut(own), flat(evolved)) {
                (Ok(own), Ok(evolved)) => {
                    let planes = planes.zip(own.chunks_mut(plane));
                    planes.map(|(z, plane)| worker.finish(z, evolved, plane)).sum::<Complex64>()
                }
                (Err(error), _) | (_, Err(error)) => {
                    outcome = Err(error);
                    Complex64::default()
                }
            },
            |a, b| a + b,
        )?;
        outcome.map(|()| sum)
    }
}
