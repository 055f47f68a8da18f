//! What is computed, exactly: heat in a square or cube without losses spreads so that each of its modes, a
//! product of cosines, decays by a factor of its own in each step. That holds for the grid's equation, not
//! for the continuous one only, so it checks every cell to the last digits.

use std::f64::consts::PI;

/// Half waves along the axes.
const MODES: [[usize; 3]; 4] = [[1, 2, 0], [5, 3, 1], [12, 17, 4], [60, 45, 9]];

/// How much of a difference to a neighbour is evened out in a step: half of what is stable in three
/// dimensions.
pub const SHARE: f64 = 1.0 / 12.0;

/// A square or a cube of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::NoUninit)]
#[repr(C)]
pub struct Grid {
    pub side: usize,
    /// 2 or 3.
    pub dimensions: usize,
}

impl Grid {
    /// Cells of equal place along the first axis: a line, or a plane of lines.
    pub fn row(self) -> usize {
        self.side.pow(self.dimensions as u32 - 1)
    }

    /// The cosines of every mode along every axis, one after the other.
    pub fn cosines(self) -> Vec<f64> {
        let axis = |half_waves: usize| {
            (0..self.side).map(move |i| (PI * half_waves as f64 * (i as f64 + 0.5) / self.side as f64).cos())
        };
        MODES.iter().flat_map(|mode| mode[..self.dimensions].iter().flat_map(move |m| axis(*m))).collect()
    }

    /// What is left of the modes after some steps, all of which begin with the same part.
    pub fn amplitudes(self, steps: u64) -> [f64; MODES.len()] {
        MODES.map(|mode| {
            let axis = |half_waves: &usize| 2.0 * (PI * *half_waves as f64 / self.side as f64).cos() - 2.0;
            let factor = 1.0 + SHARE * mode[..self.dimensions].iter().map(axis).sum::<f64>();
            factor.powf(steps as f64) / MODES.len() as f64
        })
    }

    /// The temperatures of row `i`, which are 1 in the mean.
    pub fn exact(self, i: usize, cosines: &[f64], amplitudes: [f64; MODES.len()], row: &mut [f64]) {
        let table =
            |mode: usize, axis: usize| &cosines[(mode * self.dimensions + axis) * self.side..][..self.side];
        row.fill(1.0);
        for (line, cells) in row.chunks_exact_mut(self.side).enumerate() {
            for (mode, amplitude) in amplitudes.into_iter().enumerate() {
                let in_plane = if self.dimensions == 3 { table(mode, 1)[line] } else { 1.0 };
                let weight = amplitude * table(mode, 0)[i] * in_plane;
                let cosines = table(mode, self.dimensions - 1);
                cells.iter_mut().zip(cosines).for_each(|(cell, cosine)| *cell += weight * cosine);
            }
        }
    }
}
