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
use ndarray::{ArrayView2, Ix3};
use phalanx::region::{RegionMut, RegionRef};
use phalanx::{Edge, Pool, Queue, RegionError, SharedArray, Team};

/// What a step of the team returns.
type Step<T> = std::result::Result<T, RegionError>;

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
    let (mut x, mut r) = (pool.zeros_nd(shape)?, pool.zeros_nd(shape)?);
    let (mut p, mut q) = (pool.zeros_nd(shape)?, pool.zeros_nd(shape)?);
    let (sender, receiver) = Queue::<f64>::pair()?;
    let mut history = Vec::new();
    std::thread::scope(|scope| {
        let vectors = (&mut x, &mut r, &mut p, &mut q);
        // The thread owns the sender, so the queue ends with the region.
        let run = scope.spawn(move || {
            let operands = (vectors, f, (grid.0, tolerance, most), &sender);
            pool.region(operands, |team, ((x, r, p, q), f, (n, tolerance, most), sender)| {
                let mut system = System { grid: Grid(n), x, r, p, q };
                let [mut rz, ff] = system.begin(team, &f)?;
                for _ in 0..most {
                    let alpha = rz / system.product(team)?;
                    let [new, rr] = system.advance(team, alpha)?;
                    let residual = (rr / ff).sqrt();
                    if team.rank() == 0 {
                        sender.send(&residual).map_err(RegionError::new)?;
                    }
                    if residual <= tolerance {
                        break;
                    }
                    system.turn(team, new / rz)?;
                    rz = new;
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

/// A vector that the region writes.
type Vector<'w> = RegionMut<'w, f64, Ix3>;

/// The vectors of the method, and its steps, which all ranks take together.
struct System<'w> {
    grid: Grid,
    x: Vector<'w>,
    r: Vector<'w>,
    p: Vector<'w>,
    q: Vector<'w>,
}

impl<'w> System<'w> {
    /// x = 0, r = f, p = z. Returns (r, z) and (r, r).
    fn begin(&mut self, team: &mut Team<'w>, f: &RegionRef<'w, f64, Ix3>) -> Step<[f64; 2]> {
        let grid = self.grid;
        team.reduce_chunks(
            (0..grid.0, self.r.split_mut(), self.p.split_mut(), f.split()),
            [0.0; 2],
            |(planes, mut r, mut p, f)| {
                r.assign(&f);
                let mut sums = [0.0; 2];
                for ((i, r), mut p) in planes.zip(r.outer_iter()).zip(p.outer_iter_mut()) {
                    let inverse = 1.0 / grid.plane(i).diagonal();
                    p.zip_mut_with(&r, |p, r| *p = r * inverse);
                    sums = add(sums, squares(&r, inverse));
                }
                sums
            },
            add,
        )
    }

    /// q = A p. Returns (p, q).
    fn product(&mut self, team: &mut Team<'w>) -> Step<f64> {
        let grid = self.grid;
        team.reduce_chunks(
            (0..grid.0, self.q.split_mut(), self.p.halo(1, Edge::Fill(0.0))),
            0.0,
            |(planes, mut q, p)| grid.apply(planes.start, &mut q, &p),
            |a, b| a + b,
        )
    }

    /// x += alpha p, r -= alpha q. Returns the new (r, z) and (r, r).
    fn advance(&mut self, team: &mut Team<'w>, alpha: f64) -> Step<[f64; 2]> {
        let grid = self.grid;
        team.reduce_chunks(
            (0..grid.0, self.x.split_mut(), self.r.split_mut(), self.p.split(), self.q.split()),
            [0.0; 2],
            |(planes, mut x, mut r, p, q)| {
                let mut sums = [0.0; 2];
                let changed = x.outer_iter_mut().zip(r.outer_iter_mut());
                let along = p.outer_iter().zip(q.outer_iter());
                for ((i, (mut x, mut r)), (p, q)) in planes.zip(changed).zip(along) {
                    x.zip_mut_with(&p, |x, p| *x += alpha * p);
                    r.zip_mut_with(&q, |r, q| *r -= alpha * q);
                    sums = add(sums, squares(&r.view(), 1.0 / grid.plane(i).diagonal()));
                }
                sums
            },
            add,
        )
    }

    /// p = z + beta p.
    fn turn(&mut self, team: &mut Team<'w>, beta: f64) -> Step<()> {
        let grid = self.grid;
        team.phase((0..grid.0, self.p.split_mut(), self.r.split()), |(planes, mut p, r)| {
            for ((i, mut p), r) in planes.zip(p.outer_iter_mut()).zip(r.outer_iter()) {
                let inverse = 1.0 / grid.plane(i).diagonal();
                p.zip_mut_with(&r, |p, r| *p = r * inverse + beta * *p);
            }
        })
    }
}

/// What a plane adds to (r, z) and (r, r).
fn squares(r: &ArrayView2<'_, f64>, inverse: f64) -> [f64; 2] {
    let r = r.as_slice().unwrap_or_default();
    let square = dot(r, r);
    [square * inverse, square]
}

fn add(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}
