//! The parts of FT that one thread or rank runs: on planes of the space, and on slabs of the spectrum.
//!
//! | array | order | cut along |
//! |---|---|---|
//! | space | z, y, x | z |
//! | spectrum, evolved | y, z, x | y |
//!
//! The transform along y is made in planes of constant z, those along z and x in slabs of constant y; between them each
//! reads the other's array in runs of whole lines or of a block of columns. So no transposition is a step of its own, and each array is
//! visited once a step.

use super::lines::{Lines, columns, columns_into, scaled_columns_into};
use crate::npb::random::{Random, SEED};
use bytemuck::cast_slice_mut;
use num_complex::Complex64;
use rustfft::FftDirection;
use std::f64::consts::PI;

/// The diffusivity.
const ALPHA: f64 = 1e-6;
/// Elements in a checksum.
const SAMPLES: usize = 1024;

/// A problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Points along x, y and z.
    pub size: [usize; 3],
    /// Time steps.
    pub steps: usize,
}

impl Problem {
    /// All points.
    pub fn points(&self) -> usize {
        self.size.iter().product()
    }

    /// Bytes of all arrays.
    pub fn bytes(&self) -> usize {
        3 * self.points() * size_of::<Complex64>()
    }

    /// Elements of a plane of constant z.
    pub fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Elements of a slab of constant y.
    pub fn slab(&self) -> usize {
        self.size[0] * self.size[2]
    }
}

/// Plans and buffers of one thread.
pub struct Worker {
    problem: Problem,
    /// By axis.
    forward: [Lines; 3],
    inverse: [Lines; 3],
    /// By axis, for the time step in work: the factor by which a wave of this index has decayed.
    decay: [Vec<f64>; 3],
    step: usize,
    /// Of each plane: where in it the checksum's elements lie.
    samples: Vec<Vec<usize>>,
}

impl Worker {
    /// For this problem.
    pub fn new(problem: Problem) -> Worker {
        let [nx, ny, nz] = problem.size;
        let mut samples = vec![Vec::new(); nz];
        for j in 1..=SAMPLES {
            samples[5 * j % nz].push(3 * j % ny * nx + j % nx);
        }
        Worker {
            problem,
            forward: problem.size.map(|len| Lines::new(len, FftDirection::Forward)),
            inverse: problem.size.map(|len| Lines::new(len, FftDirection::Inverse)),
            decay: problem.size.map(|len| vec![1.0; len]),
            step: 0,
            samples,
        }
    }

    /// The initial state in plane `z`, transformed along y.
    pub fn begin(&mut self, z: usize, plane: &mut [Complex64]) {
        let numbers: &mut [f64] = cast_slice_mut(plane);
        fill(&mut Random::new(SEED).after((z * numbers.len()) as u64), numbers);
        columns(&mut self.forward[1], plane, self.problem.size[0]);
    }

    /// Slab `y` of the spectrum, from the planes that [`Self::begin`] made.
    pub fn spectrum(&mut self, y: usize, space: &[Complex64], slab: &mut [Complex64]) {
        let nx = self.problem.size[0];
        columns_into(&mut self.forward[2], space, y * nx, self.problem.plane(), slab, nx);
        self.forward[0].contiguous(slab);
    }

    /// Slab `y` of the spectrum at a time step, transformed back along z and x.
    pub fn evolve(&mut self, step: usize, y: usize, spectrum: &[Complex64], slab: &mut [Complex64]) {
        self.set_step(step);
        let own = self.decay[1][y];
        let columns: Vec<f64> = self.decay[0].iter().map(|factor| factor * own).collect();
        let nx = self.problem.size[0];
        scaled_columns_into(&mut self.inverse[2], spectrum, [&self.decay[2], &columns], slab, nx);
        self.inverse[0].contiguous(slab);
    }

    /// Plane `z` of the space, from the slabs that [`Self::evolve`] made; gives the sum of the checksum's elements in it.
    pub fn finish(&mut self, z: usize, evolved: &[Complex64], plane: &mut [Complex64]) -> Complex64 {
        let nx = self.problem.size[0];
        columns_into(&mut self.inverse[1], evolved, z * nx, self.problem.slab(), plane, nx);
        self.samples[z].iter().map(|at| plane[*at]).sum()
    }

    fn set_step(&mut self, step: usize) {
        if self.step == step {
            return;
        }
        self.step = step;
        for decay in &mut self.decay {
            let len = decay.len();
            for (index, factor) in decay.iter_mut().enumerate() {
                // Indices from half the length on are waves of negative frequency.
                let wave = if index < len / 2 { index as f64 } else { index as f64 - len as f64 };
                *factor = (-4.0 * ALPHA * PI * PI * wave * wave * step as f64).exp();
            }
        }
    }
}

crate::npb::simd::multiversion! {
    fn fill(random: &mut Random, numbers: &mut [f64]) {
        random.fill(numbers);
    }
}
