//! Conjugate gradients with the Jacobi preconditioner, in one region: three steps of the team an iteration.
//!
//! ```text
//! q = A p;      alpha = (r, z) / (p, q)        z = r / diagonal, which is not stored
//! x += alpha p; r -= alpha q                   with the new (r, z) and (r, r)
//! p = z + beta p, beta = new (r, z) / old (r, z)
//! ```
//!
//! After Saad, *Iterative Methods for Sparse Linear Systems*, 2nd ed., algorithm 9.1.

use crate::grid::{Grid, dot};
use common::Result;
use ndarray::Ix3;
use phalanx::{Edge, Pool, Queue, RegionError, SharedArray};

/// The solution, and the norm of the residual over that of `f` after each iteration.
pub struct Solved {
    pub x: SharedArray<f64, Ix3>,
    pub history: Vec<f64>,
}

/// Iterates until the residual is `tolerance` times `f`, or `most` iterations are made.
pub fn solve(
    pool: &Pool,
    grid: Grid,
    f: &SharedArray<f64, Ix3>,
    tolerance: f64,
    most: usize,
) -> Result<Solved> {
    let shape = (grid.0, grid.0, grid.0);
    let [mut x, mut r, mut p, mut q] =
        [pool.zeros_nd(shape)?, pool.zeros_nd(shape)?, pool.zeros_nd(shape)?, pool.zeros_nd(shape)?];
    let (sender, receiver) = Queue::<f64>::pair()?;
    let mut history = Vec::new();
    std::thread::scope(|scope| {
        let vectors = (&mut x, &mut r, &mut p, &mut q);
        let run = scope.spawn(move || {
            let operands = (vectors, f, (grid.0, tolerance, most), &sender);
            pool.region(operands, |team, ((mut x, mut r, mut p, mut q), f, (n, tolerance, most), sender)| {
                let grid = Grid(n);
                // x = 0, r = f, p = z.
                let [mut rz, ff] = team.reduce_chunks(
                    (0..n, r.split_mut(), p.split_mut(), f.split()),
                    [0.0; 2],
                    |(planes, mut r, mut p, f)| {
                        r.assign(&f);
                        let mut sums = [0.0; 2];
                        for ((i, r), mut p) in planes.zip(r.outer_iter()).zip(p.outer_iter_mut()) {
                            let inverse = 1.0 / grid.plane(i).diagonal();
                            p.zip_mut_with(&r, |p, r| *p = r * inverse);
                            let square =
                                dot(r.as_slice().unwrap_or_default(), r.as_slice().unwrap_or_default());
                            sums = [sums[0] + square * inverse, sums[1] + square];
                        }
                        sums
                    },
                    add,
                )?;
                for _ in 0..most {
                    let pq = team.reduce_chunks(
                        (0..n, q.split_mut(), p.halo(1, Edge::Fill(0.0))),
                        0.0,
                        |(planes, mut q, p)| grid.apply(planes.start, &mut q, &p),
                        |a, b| a + b,
                    )?;
                    let alpha = rz / pq;
                    let [new, rr] = team.reduce_chunks(
                        (0..n, x.split_mut(), r.split_mut(), p.split(), q.split()),
                        [0.0; 2],
                        |(planes, mut x, mut r, p, q)| {
                            let mut sums = [0.0; 2];
                            let steps = x.outer_iter_mut().zip(r.outer_iter_mut());
                            let along = p.outer_iter().zip(q.outer_iter());
                            for ((i, (mut x, mut r)), (p, q)) in planes.zip(steps).zip(along) {
                                x.zip_mut_with(&p, |x, p| *x += alpha * p);
                                r.zip_mut_with(&q, |r, q| *r -= alpha * q);
                                let r = r.as_slice().unwrap_or_default();
                                let square = dot(r, r);
                                let inverse = 1.0 / grid.plane(i).diagonal();
                                sums = [sums[0] + square * inverse, sums[1] + square];
                            }
                            sums
                        },
                        add,
                    )?;
                    let residual = (rr / ff).sqrt();
                    if team.rank() == 0 {
                        sender.send(&residual).map_err(RegionError::new)?;
                    }
                    if residual <= tolerance {
                        break;
                    }
                    let beta = new / rz;
                    rz = new;
                    team.phase((0..n, p.split_mut(), r.split()), |(planes, mut p, r)| {
                        for ((i, mut p), r) in planes.zip(p.outer_iter_mut()).zip(r.outer_iter()) {
                            let inverse = 1.0 / grid.plane(i).diagonal();
                            p.zip_mut_with(&r, |p, r| *p = r * inverse + beta * *p);
                        }
                    })?;
                }
                Ok(0)
            })
        });
        for residual in receiver.iter() {
            history.push(residual?);
        }
        run.join().map_err(|_| "the thread of the region panicked")??;
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    Ok(Solved { x, history })
}

fn add(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}
