//! Workloads over arrays of two axes.

use crate::harness::Outcome;
use crate::sizing::workload::{Cut, Job, compare, is_near, wrong};
use ndarray::Ix2;
use phalanx::{Edge, Pool, SharedArray};
use phalanx_kernels::particles;

/// Elements in a row of the plate.
pub const WIDTH: usize = 1024;
/// Of the step: less than a quarter, or it would not be stable.
const R: f64 = 0.125;

struct Heat {
    out: SharedArray<f64, Ix2>,
    u: SharedArray<f64, Ix2>,
}

/// Heights whose steps are exact in binary.
pub fn height(row: usize, column: usize) -> f64 {
    ((row * 7 + column * 13) % 64) as f64
}

pub fn heat(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    let shape = (len.div_ceil(WIDTH), WIDTH);
    let u = pool.from_shape_fn(shape, |(row, column)| height(row, column))?;
    Ok(Box::new(Heat { out: pool.zeros_nd(shape)?, u }))
}

/// One row of the next step; the first and the last column stay.
pub fn row(out: &mut [f64], above: &[f64], here: &[f64], below: &[f64]) {
    out.copy_from_slice(here);
    let inner = out.len() - 2;
    let (left, right, middle) = (&here[..inner], &here[2..], &here[1..][..inner]);
    let (above, below) = (&above[1..][..inner], &below[1..][..inner]);
    for (j, out) in out[1..=inner].iter_mut().enumerate() {
        *out = (1.0 - 4.0 * R) * middle[j] + R * (above[j] + below[j] + left[j] + right[j]);
    }
}

/// A height after one step, by its place on a plate of so many rows.
pub fn next_height(place: usize, rows: usize) -> f64 {
    let (i, j) = (place / WIDTH, place % WIDTH);
    if j == 0 || j == WIDTH - 1 {
        return height(i, j);
    }
    let sides = height(i.saturating_sub(1), j)
        + height((i + 1).min(rows - 1), j)
        + height(i, j - 1)
        + height(i, j + 1);
    (1.0 - 4.0 * R) * height(i, j) + R * sides
}

/// Checks what one step left.
pub fn check_heat(out: &[f64]) -> Outcome<()> {
    let rows = out.len() / WIDTH;
    compare(out, 1, |place| next_height(place, rows))
}

impl Job for Heat {
    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()> {
        let operands = (self.out.split_out(), self.u.halo(1, Edge::Clamp));
        Ok(cut.launch(pool).for_each(operands, |(mut out, u)| {
            for (i, mut out) in out.outer_iter_mut().enumerate() {
                let rows = [0, 1, 2].map(|k| u.row(i + k));
                if let (Some(out), [Some(above), Some(here), Some(below)]) =
                    (out.as_slice_mut(), [0, 1, 2].map(|k| rows[k].as_slice()))
                {
                    row(out, above, here, below);
                }
            }
        })?)
    }

    fn check(&self) -> Outcome<()> {
        check_heat(self.out.as_slice())
    }

    fn own_chunk(&self, pool: &Pool) -> Outcome<Option<usize>> {
        let operands = (self.out.split(), self.u.halo(1, Edge::Clamp));
        Ok(Some(pool.reduce(operands, 0, |(out, _)| out.nrows() as u64, u64::max)? as usize))
    }
}

struct Bodies {
    out: SharedArray<f64, Ix2>,
    positions: SharedArray<f64, Ix2>,
    masses: SharedArray<f64>,
}

/// Keeps bodies that meet from flying apart.
const SOFTENING: f64 = 0.01;

pub fn nbody(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    let coordinate = |(body, axis): (usize, usize)| {
        ((body * 3 + axis) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64 / u64::MAX as f64
    };
    Ok(Box::new(Bodies {
        out: pool.zeros_nd((len, 3))?,
        positions: pool.from_shape_fn((len, 3), coordinate)?,
        masses: pool.from_fn(len, |_| 1.0)?,
    }))
}

impl Job for Bodies {
    fn run(&mut self, pool: &Pool, _: Cut) -> Outcome<()> {
        let Bodies { out, positions, masses } = self;
        Ok(particles::accelerations(pool, out, positions, masses, SOFTENING)?)
    }

    /// The first and the last body against a plain sum.
    fn check(&self) -> Outcome<()> {
        let (out, positions) = (self.out.as_slice(), self.positions.as_slice());
        for body in [0, self.masses.len() - 1] {
            let mut sum = [0.0; 3];
            for other in positions.chunks_exact(3) {
                let d = [0, 1, 2].map(|axis| other[axis] - positions[3 * body + axis]);
                let r2 = d.iter().map(|d| d * d).sum::<f64>() + SOFTENING * SOFTENING;
                (0..3).for_each(|axis| sum[axis] += d[axis] / (r2 * r2.sqrt()));
            }
            for axis in 0..3 {
                let (got, want) = (out[3 * body + axis], sum[axis]);
                if !is_near(got, want, 1e-9 * self.masses.len() as f64) || got == 0.0 {
                    return wrong(3 * body + axis, got, want);
                }
            }
        }
        Ok(())
    }
}
