//! What is to be solved, and what a run ends with.

use super::equations::Five;
use super::grid::Grid;
use bytemuck::{Pod, Zeroable};

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
    pub fn bytes(&self, kept: usize) -> usize {
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
