//! The particles family. Both variants are bound by square roots and divisions, of which wide vectors of this
//! machine's processor do no more per cycle than narrow ones, so they are expected to be equal.

use super::case::{Case, Context, Entry, Work, near};
use crate::harness::Outcome;
use ndarray::{Array2, Ix2};
use phalanx::{Backend, Pool, SharedArray};
use phalanx_kernels::{Real, particles};
use rayon::prelude::*;

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "nbody",
        about: "accelerations of 8192 bodies, float64",
        targets: &[],
        prepare: nbody::<f64>,
    },
    Entry { name: "nbody_f32", about: "the same in float32", targets: &[], prepare: nbody::<f32> },
];

const BODIES: usize = 8192;
/// As the kernel documents.
const FLOPS: f64 = 20.0;
const SOFTENING: f64 = 0.01;

fn coordinate<T: Real>(body: usize, axis: usize) -> T {
    T::from_f64(((body * 3 + axis) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64 / u64::MAX as f64)
}

/// Checks that all forces add up to zero, and the force on the first body, which is known.
fn check<T: Real>(out: &[T], first: [f64; 3]) -> Outcome<()> {
    let (tolerance, scale) = (if size_of::<T>() == 4 { 1e-3 } else { 1e-11 }, BODIES as f64);
    for axis in 0..3 {
        let sum: f64 = out.iter().skip(axis).step_by(3).map(|a| (*a).to_f64()).sum();
        near(1.0 + sum / (scale * scale), 1.0, tolerance)?;
        near(out[axis].to_f64(), first[axis], tolerance)?;
    }
    Ok(())
}

fn nbody<T: Real>(context: &Context) -> Outcome<Case<'_>> {
    let positions = context.pool.from_shape_fn((BODIES, 3), |(body, axis)| coordinate::<T>(body, axis))?;
    let masses = context.pool.from_fn(BODIES, |_| T::ONE)?;
    let first = first_acceleration(positions.as_slice());
    let alone = Pool::builder().workers(1).backend(Backend::Inline).build()?;
    let state = || -> Outcome<State<T>> {
        Ok((
            context.pool.zeros_nd((BODIES, 3))?,
            context.pool.from_ndarray(&positions.view())?,
            context.pool.from_ndarray(&masses.view())?,
        ))
    };
    let run = |pool: &Pool, (out, positions, masses): &mut State<T>| {
        Ok(particles::accelerations(pool, out, positions, masses, T::from_f64(SOFTENING))?)
    };
    let table = || Array2::from_shape_fn((BODIES, 3), |(body, axis)| coordinate::<T>(body, axis));
    Ok(Case::new(Work::Flops(FLOPS * (BODIES * BODIES) as f64))
        .variant("phalanx", state()?, move |s| run(&context.pool, s), move |s| check(s.0.as_slice(), first))
        .rayon(
            context,
            || (vec![T::ZERO; 3 * BODIES], table(), vec![T::ONE; BODIES]),
            |(out, positions, masses)| plain(out, positions.as_slice().unwrap_or(&[]), masses),
            move |s| check(&s.0, first),
        )
        .variant("serial", state()?, move |s| run(&alone, s), move |s| check(s.0.as_slice(), first)))
}

type State<T> = (SharedArray<T, Ix2>, SharedArray<T, Ix2>, SharedArray<T>);

fn first_acceleration<T: Real>(positions: &[T]) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for other in positions.chunks_exact(3).skip(1) {
        let d = [0, 1, 2].map(|axis| other[axis].to_f64() - positions[axis].to_f64());
        let r2 = d.iter().map(|d| d * d).sum::<f64>() + SOFTENING * SOFTENING;
        (0..3).for_each(|axis| sum[axis] += d[axis] / (r2 * r2.sqrt()));
    }
    sum
}

/// As a careful program does it: 16 bodies at a time, which the compiler turns into vectors of the
/// instruction set that the program was built for.
fn plain<T: Real>(out: &mut [T], positions: &[T], masses: &[T]) {
    const LANES: usize = 16;
    let square = T::from_f64(SOFTENING * SOFTENING);
    out.par_chunks_mut(3 * LANES).enumerate().for_each(|(block, rows)| {
        let (mut at, mut sums) = ([[T::ZERO; LANES]; 3], [[T::ZERO; LANES]; 3]);
        for (index, x) in positions[3 * LANES * block..][..rows.len()].iter().enumerate() {
            at[index % 3][index / 3] = *x;
        }
        for (other, mass) in positions.chunks_exact(3).zip(masses) {
            for lane in 0..LANES {
                let d = [other[0] - at[0][lane], other[1] - at[1][lane], other[2] - at[2][lane]];
                let r2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + square;
                let pull = *mass / (r2 * r2.sqrt());
                for axis in 0..3 {
                    sums[axis][lane] = sums[axis][lane] + d[axis] * pull;
                }
            }
        }
        rows.iter_mut().enumerate().for_each(|(index, a)| *a = sums[index % 3][index / 3]);
    });
}
