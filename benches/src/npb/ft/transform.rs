//! The parts of FT that one thread or rank runs: on planes of the space, and on slabs of the spectrum.
//!
//! | array | order | cut along |
//! |---|---|---|
//! | space | z, y, x | z |
//! | spectrum, evolved | y, z, x | y |
//!
//! The transform along y is made in planes of constant z, those along z and x in slabs of constant y; between
//! them each reads the other's array in whole lines of x. So no transposition is a step of its own. A plane
//! or slab is first filled line by line, which memory likes best, and then transformed in the cache: of class
//! B it has 2 MiB. Bytes per point and time step: 96, of which a third is the lines that stores read first.

use super::lines::{Lines, columns};
use crate::npb::random::{Random, SEED};
use crate::npb::simd::multiversion;
use bytemuck::cast_slice_mut;
use num_complex::Complex64;
use rustfft::FftDirection;
use std::f64::consts::PI;

/// The diffusivity.
const ALPHA: f64 = 1e-6;
/// Elements behind each line of x, so that the rows of a column do not all lie in the same few lines of the
/// cache.
const PADDING: usize = 8;
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
        3 * self.elements() * size_of::<Complex64>()
    }

    /// Elements from one line of x to the next.
    fn line(&self) -> usize {
        self.size[0] + PADDING
    }

    /// Elements of a plane of constant z.
    pub fn plane(&self) -> usize {
        self.line() * self.size[1]
    }

    /// Elements of a slab of constant y.
    pub fn slab(&self) -> usize {
        self.line() * self.size[2]
    }

    /// Elements of an array.
    pub fn elements(&self) -> usize {
        self.line() * self.size[1] * self.size[2]
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
            samples[5 * j % nz].push(3 * j % ny * problem.line() + j % nx);
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
        let ([nx, ny, _], line) = (self.problem.size, self.problem.line());
        let mut random = Random::new(SEED).after((2 * z * nx * ny) as u64);
        for row in plane.chunks_exact_mut(line) {
            fill(&mut random, cast_slice_mut(&mut row[..nx]));
        }
        columns(&mut self.forward[1], plane, nx, line);
    }

    /// Slab `y` of the spectrum, from the planes that [`Self::begin`] made.
    pub fn spectrum(&mut self, y: usize, space: &[Complex64], slab: &mut [Complex64]) {
        let (nx, line) = (self.problem.size[0], self.problem.line());
        for (row, plane) in slab.chunks_exact_mut(line).zip(space.chunks_exact(self.problem.plane())) {
            row[..nx].copy_from_slice(&plane[y * line..][..nx]);
            self.forward[0].contiguous(&mut row[..nx]);
        }
        columns(&mut self.forward[2], slab, nx, line);
    }

    /// Slab `y` of the spectrum at a time step, transformed back along z and x.
    pub fn evolve(&mut self, step: usize, y: usize, spectrum: &[Complex64], slab: &mut [Complex64]) {
        self.set_step(step);
        let (nx, line) = (self.problem.size[0], self.problem.line());
        let own = self.decay[1][y];
        for (z, (row, waves)) in slab.chunks_exact_mut(line).zip(spectrum.chunks_exact(line)).enumerate() {
            scale(&mut row[..nx], &waves[..nx], own * self.decay[2][z], &self.decay[0]);
            self.inverse[0].contiguous(&mut row[..nx]);
        }
        columns(&mut self.inverse[2], slab, nx, line);
    }

    /// Plane `z` of the space, from the slabs that [`Self::evolve`] made; returns the sum of the checksum's
    /// elements in it.
    pub fn finish(&mut self, z: usize, evolved: &[Complex64], plane: &mut [Complex64]) -> Complex64 {
        let (nx, line) = (self.problem.size[0], self.problem.line());
        for (row, slab) in plane.chunks_exact_mut(line).zip(evolved.chunks_exact(self.problem.slab())) {
            row[..nx].copy_from_slice(&slab[z * line..][..nx]);
        }
        columns(&mut self.inverse[1], plane, nx, line);
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

multiversion! {
    fn scale(out: &mut [Complex64], waves: &[Complex64], factor: f64, factors: &[f64]) {
        for ((out, wave), own) in out.iter_mut().zip(waves).zip(factors) {
            *out = wave * (factor * own);
        }
    }

    fn fill(random: &mut Random, numbers: &mut [f64]) {
        random.fill(numbers);
    }
}
