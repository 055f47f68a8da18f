//! The sparse family. A product is counted by its matrix, 12 bytes per entry.

use super::case::{Case, Context, Entry, Work, near};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use phalanx::SharedArray;
use phalanx_kernels::sparse::{self, Csr, SolverOptions};
use rayon::prelude::*;

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "spmv",
        about: "sparse product, 7 entries a row",
        targets: &[Target {
            bench: "kernels/spmv",
            variant: "phalanx",
            goal: Goal::AtLeastPeer(1.0, "rayon"),
        }],
        prepare: spmv_grid,
    },
    Entry {
        name: "spmv_uneven",
        about: "sparse product, rows of 1 to 20,000 entries",
        targets: &[Target {
            bench: "kernels/spmv_uneven",
            variant: "phalanx",
            goal: Goal::AtLeastPeer(1.0, "rayon"),
        }],
        prepare: spmv_uneven,
    },
    Entry {
        name: "cg",
        about: "conjugate gradients on a grid of 100 x 100 x 100",
        targets: &[Target { bench: "kernels/cg", variant: "phalanx", goal: Goal::AtLeastPeer(1.0, "rayon") }],
        prepare: cg,
    },
];

/// A matrix as plain vectors.
#[derive(Clone)]
struct Plain {
    offsets: Vec<u64>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Plain {
    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    fn share(&self) -> Outcome<Csr<f64>> {
        let shape = (self.rows(), self.rows());
        let columns = SharedArray::from_slice(&self.columns)?;
        let values = SharedArray::from_slice(&self.values)?;
        Ok(Csr::from_parts(shape, SharedArray::from_slice(&self.offsets)?, columns, values)?)
    }

    /// One row times a vector.
    #[inline]
    fn row(&self, row: usize, x: &[f64]) -> f64 {
        let place = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let (columns, values) = (&self.columns[place.clone()], &self.values[place]);
        let ((columns, c_rest), (values, v_rest)) = (columns.as_chunks::<4>(), values.as_chunks::<4>());
        let mut sums = [0.0; 4];
        for (columns, values) in columns.iter().zip(values) {
            for lane in 0..4 {
                sums[lane] += values[lane] * x[columns[lane] as usize];
            }
        }
        let rest: f64 = c_rest.iter().zip(v_rest).map(|(column, value)| value * x[*column as usize]).sum();
        sums.iter().sum::<f64>() + rest
    }

    /// Rayon's product: work stealing chooses the rows of a piece.
    fn times(&self, x: &[f64], y: &mut [f64]) {
        y.par_iter_mut().with_min_len(64).enumerate().for_each(|(row, y)| *y = self.row(row, x));
    }
}

/// The 7-point Laplacian on a cube.
fn grid(side: usize) -> Plain {
    let rows = side * side * side;
    let mut plain = Plain { offsets: vec![0], columns: Vec::new(), values: Vec::new() };
    for row in 0..rows {
        let place = [row / side / side, row / side % side, row % side];
        let steps = [side * side, side, 1];
        let mut put = |column: usize, value: f64| {
            plain.columns.push(column as u32);
            plain.values.push(value);
        };
        (0..3).filter(|&axis| place[axis] > 0).for_each(|axis| put(row - steps[axis], -1.0));
        put(row, 6.05);
        (0..3).rev().filter(|&axis| place[axis] + 1 < side).for_each(|axis| put(row + steps[axis], -1.0));
        plain.offsets.push(plain.columns.len() as u64);
    }
    plain
}

/// Few long rows among many short ones.
fn uneven(rows: usize) -> Plain {
    let mut plain = Plain { offsets: vec![0], columns: Vec::new(), values: Vec::new() };
    for row in 0..rows {
        let len = if row % 4096 < 2 { 20_000.min(rows) } else { 1 + row % 9 };
        let stride = rows / len;
        for entry in 0..len {
            plain.columns.push((entry * stride) as u32);
            plain.values.push(1.0 + (entry % 3) as f64);
        }
        plain.offsets.push(plain.columns.len() as u64);
    }
    plain
}

fn x_at(index: usize) -> f64 {
    (index % 97) as f64 - 48.0
}

fn spmv(context: &Context, plain: Plain) -> Outcome<Case<'_>> {
    let (a, rows, entries) = (plain.share()?, plain.rows(), plain.columns.len());
    let pool = &context.pool;
    let x: Vec<f64> = (0..rows).map(x_at).collect();
    // Whole numbers and twentieths: sums differ by rounding only.
    let want: Vec<f64> = (0..rows).map(|row| plain.row(row, &x)).collect();
    let check = move |y: &[f64]| {
        y.iter()
            .zip(&want)
            .try_for_each(|(y, want)| if (y - want).abs() < 1e-6 { Ok(()) } else { near(*y, *want, 1e-12) })
    };
    let [ours_check, rayon_check] = [check.clone(), check];
    let state = (a, pool.from_slice(&x)?, pool.zeros::<f64>(rows)?);
    let ours = move |(a, x, y): &mut (Csr<f64>, SharedArray<f64>, SharedArray<f64>)| {
        Ok(sparse::spmv(pool, 1.0, a, x, 0.0, y)?)
    };
    let rayon = |(a, x, y): &mut (Plain, Vec<f64>, Vec<f64>)| a.times(x, y);
    Ok(Case::new(Work::Bytes((12 * entries) as f64))
        .variant("phalanx", state, ours, move |s| ours_check(s.2.as_slice()))
        .rayon(context, move || (plain, x, vec![0.0; rows]), rayon, move |s| rayon_check(&s.2)))
}

fn spmv_grid(context: &Context) -> Outcome<Case<'_>> {
    let side = (context.len(12) as f64 / 7.0).cbrt() as usize;
    spmv(context, grid(side))
}

fn spmv_uneven(context: &Context) -> Outcome<Case<'_>> {
    spmv(context, uneven(context.len(12) / 15))
}

fn cg(context: &Context) -> Outcome<Case<'_>> {
    const SIDE: usize = 100;
    const ITERATIONS: f64 = 40.0;
    let plain = grid(SIDE);
    let (a, rows, entries) = (plain.share()?, plain.rows(), plain.columns.len());
    let pool = &context.pool;
    let b: Vec<f64> = (0..rows).map(x_at).collect();
    let shared_b = pool.from_slice(&b)?;
    let options = SolverOptions { relative: 1e-8, ..SolverOptions::default() };
    let residual = {
        let (plain, b) = (plain.clone(), b.clone());
        move |x: &[f64]| {
            let norm =
                |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
            let left = norm(&mut (0..rows).map(|row| b[row] - plain.row(row, x)));
            let right = norm(&mut b.iter().copied());
            if left < 2e-8 * right { Ok(()) } else { Err(format!("the residual is {left}").into()) }
        }
    };
    let [ours_check, rayon_check] = [residual.clone(), residual];
    let ours = move |(a, x): &mut (Csr<f64>, SharedArray<f64>)| {
        x.fill(0.0);
        sparse::conjugate_gradient(pool, a, &shared_b, x, options)?;
        Ok(())
    };
    let rayon = move |(a, x): &mut (Plain, Vec<f64>)| rayon_cg(a, &b, x, 1e-8);
    // The same solution counts as the same work, even if one runtime needs more iterations.
    Ok(Case::new(Work::Bytes(12.0 * entries as f64 * ITERATIONS))
        .variant("phalanx", (a, pool.zeros(rows)?), ours, move |s| ours_check(s.1.as_slice()))
        .rayon(context, move || (plain, vec![0.0; rows]), rayon, move |s| rayon_check(&s.1)))
}

/// Conjugate gradients with sweeps joined where their operands are the same.
fn rayon_cg(a: &Plain, b: &[f64], x: &mut [f64], relative: f64) {
    const PIECE: usize = 4096;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    x.fill(0.0);
    let (mut r, mut p, mut q) = (b.to_vec(), b.to_vec(), vec![0.0; b.len()]);
    let mut rr: f64 = b.par_chunks(PIECE).map(|b| dot(b, b)).sum();
    let enough = relative * rr.sqrt();
    while rr.sqrt() > enough {
        let pieces = q.par_chunks_mut(PIECE).zip(p.par_chunks(PIECE)).enumerate();
        let pq: f64 = pieces
            .map(|(piece, (q, own))| {
                q.iter_mut().enumerate().for_each(|(row, q)| *q = a.row(piece * PIECE + row, &p));
                dot(q, own)
            })
            .sum();
        let (alpha, before) = (rr / pq, rr);
        let vectors = x.par_chunks_mut(PIECE).zip(r.par_chunks_mut(PIECE));
        rr = vectors
            .zip(p.par_chunks(PIECE).zip(q.par_chunks(PIECE)))
            .map(|((x, r), (p, q))| {
                x.iter_mut().zip(p).for_each(|(x, p)| *x += alpha * p);
                r.iter_mut().zip(q).for_each(|(r, q)| *r -= alpha * q);
                dot(r, r)
            })
            .sum();
        let beta = rr / before;
        p.par_chunks_mut(PIECE).zip(r.par_chunks(PIECE)).for_each(|(p, r)| {
            p.iter_mut().zip(r).for_each(|(p, r)| *p = r + beta * *p);
        });
    }
}
