//! The dense family.

use super::case::{Case, Context, Entry, Work, near, same};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use ndarray::Ix2;
use phalanx::SharedArray;
use phalanx_kernels::dense;
use rayon::prelude::*;

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "gemm",
        about: "product of two float64 matrices of 2048 x 2048",
        targets: &[
            Target { bench: "kernels/gemm", variant: "phalanx", goal: Goal::AtLeastPeer(1.9, "one-core") },
            Target { bench: "kernels/gemm", variant: "phalanx", goal: Goal::AtLeastPeer(1.0, "rayon") },
        ],
        prepare: gemm,
    },
    Entry {
        name: "gemv",
        about: "float64 matrix times vector",
        targets: &[Target {
            bench: "kernels/gemv",
            variant: "phalanx",
            goal: Goal::AtLeastPeer(1.0, "rayon"),
        }],
        prepare: gemv,
    },
    Entry {
        name: "transpose",
        about: "transpose of a float64 matrix",
        targets: &[Target {
            bench: "kernels/transpose",
            variant: "phalanx",
            goal: Goal::AtLeastPeer(1.0, "rayon"),
        }],
        prepare: transpose,
    },
    Entry { name: "transpose_in_place", about: "the same where it lies", targets: &[], prepare: in_place },
];

/// Side of the product's matrices.
const SIDE: usize = 2048;

type Matrix = SharedArray<f64, Ix2>;

fn a_at(i: usize, j: usize) -> f64 {
    ((i * 31 + j * 17) % 64) as f64 / 64.0 - 0.5
}

/// `c = a b` for some rows of `a` and `c`.
#[allow(unsafe_code)]
fn product(a: &[f64], b: &[f64], c: &mut [f64]) {
    let rows = c.len() / SIDE;
    assert!(a.len() == rows * SIDE && b.len() == SIDE * SIDE && c.len() == rows * SIDE);
    let (stride, one) = (SIDE as isize, 1);
    // SAFETY: three row-major matrices of the sizes asserted.
    unsafe {
        gemm::gemm(
            rows,
            SIDE,
            SIDE,
            c.as_mut_ptr(),
            one,
            stride,
            false,
            a.as_ptr(),
            one,
            stride,
            b.as_ptr(),
            one,
            stride,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn gemm(context: &Context) -> Outcome<Case<'_>> {
    let pool = &context.pool;
    let make = || pool.from_shape_fn((SIDE, SIDE), |(i, j)| a_at(i, j));
    let state: (Matrix, Matrix, Matrix) = (make()?, make()?, pool.zeros_nd((SIDE, SIDE))?);
    // Sixty-fourths: every sum is exact in any order.
    let want = |i: usize, j: usize| (0..SIDE).map(|l| a_at(i, l) * a_at(l, j)).sum::<f64>();
    let check = move |c: &[f64]| {
        (0..200).map(|at| (at * 7919 % SIDE, at * 104_729 % SIDE)).try_for_each(|(i, j)| {
            if c[i * SIDE + j] == want(i, j) { Ok(()) } else { near(c[i * SIDE + j], want(i, j), 0.0) }
        })
    };
    let plain = || {
        let make = || (0..SIDE * SIDE).map(|at| a_at(at / SIDE, at % SIDE)).collect::<Vec<_>>();
        (make(), make(), vec![0.0; SIDE * SIDE])
    };
    let ours = |(a, b, c): &mut (Matrix, Matrix, Matrix)| Ok(dense::gemm(pool, 1.0, a, b, 0.0, c)?);
    let rayon = |(a, b, c): &mut (Vec<f64>, Vec<f64>, Vec<f64>)| {
        let rows = SIDE / rayon::current_num_threads() / 2;
        c.par_chunks_mut(rows * SIDE).zip(a.par_chunks(rows * SIDE)).for_each(|(c, a)| product(a, b, c));
    };
    let alone = |(a, b, c): &mut (Vec<f64>, Vec<f64>, Vec<f64>)| {
        product(a, b, c);
        Ok(())
    };
    Ok(Case::new(Work::Flops(2.0 * (SIDE as f64).powi(3)))
        .variant("phalanx", state, ours, move |s| check(s.2.as_slice()))
        .rayon(context, plain, rayon, move |s| check(&s.2))
        .variant("one-core", plain(), alone, move |s| check(&s.2)))
}

/// Inner product in 32 lanes.
fn dot(a: &[f64], x: &[f64]) -> f64 {
    let ((a, a_rest), (x, x_rest)) = (a.as_chunks::<32>(), x.as_chunks::<32>());
    let mut sums = [0.0; 32];
    for (a, x) in a.iter().zip(x) {
        for lane in 0..32 {
            sums[lane] += a[lane] * x[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(x_rest).map(|(a, x)| a * x).sum::<f64>()
}

fn gemv(context: &Context) -> Outcome<Case<'_>> {
    let side = context.len(8).isqrt();
    let pool = &context.pool;
    let x = pool.from_fn(side, |j| (j % 7) as f64)?;
    let plain_x = x.to_vec();
    let want: Vec<f64> = (0..side).map(|i| (0..side).map(|j| a_at(i, j) * (j % 7) as f64).sum()).collect();
    let check = move |y: &[f64]| same(y, |i| want[i]);
    let [ours_check, rayon_check] = [check.clone(), check];
    let state: (Matrix, SharedArray<f64>) =
        (pool.from_shape_fn((side, side), |(i, j)| a_at(i, j))?, pool.zeros(side)?);
    let ours = move |(a, y): &mut (Matrix, SharedArray<f64>)| Ok(dense::gemv(pool, 1.0, a, &x, 0.0, y)?);
    let plain = || {
        let mut a = vec![0.0; side * side];
        a.par_chunks_mut(side).enumerate().for_each(|(i, row)| {
            row.iter_mut().enumerate().for_each(|(j, a)| *a = a_at(i, j));
        });
        (a, vec![0.0; side])
    };
    let rayon = move |(a, y): &mut (Vec<f64>, Vec<f64>)| {
        y.par_iter_mut().with_min_len(8).zip(a.par_chunks(side)).for_each(|(y, a)| *y = dot(a, &plain_x));
    };
    Ok(Case::new(Work::Bytes((8 * side * side) as f64))
        .variant("phalanx", state, ours, move |s| ours_check(s.1.as_slice()))
        .rayon(context, plain, rayon, move |s| rayon_check(&s.1)))
}

/// A tile of 32 x 32 through a buffer, as a careful program does it.
fn transpose_rows(a: &[f64], side: usize, first: usize, out: &mut [f64]) {
    const TILE: usize = 32;
    let rows = out.len() / side;
    let mut buffer = [[0.0; TILE]; TILE];
    for left in (0..rows).step_by(TILE) {
        for top in (0..side).step_by(TILE) {
            let (width, height) = (TILE.min(rows - left), TILE.min(side - top));
            for (i, line) in buffer[..height].iter_mut().enumerate() {
                line[..width].copy_from_slice(&a[(top + i) * side + first + left..][..width]);
            }
            for j in 0..width {
                let to = &mut out[(left + j) * side + top..][..height];
                to.iter_mut().zip(&buffer).for_each(|(to, line)| *to = line[j]);
            }
        }
    }
}

fn transpose(context: &Context) -> Outcome<Case<'_>> {
    let side = context.len(8).isqrt();
    let pool = &context.pool;
    let at = |i: usize, j: usize| (i * 100_000 + j) as f64;
    let check = move |out: &[f64]| same(out, |place| at(place % side, place / side));
    let state: (Matrix, Matrix) =
        (pool.from_shape_fn((side, side), |(i, j)| (i * 100_000 + j) as f64)?, pool.zeros_nd((side, side))?);
    let ours = |(a, out): &mut (Matrix, Matrix)| Ok(dense::transpose(pool, a, out)?);
    let plain = || {
        let mut a = vec![0.0; side * side];
        a.par_chunks_mut(side).enumerate().for_each(|(i, row)| {
            row.iter_mut().enumerate().for_each(|(j, a)| *a = at(i, j));
        });
        (a, vec![0.0; side * side])
    };
    let rayon = move |(a, out): &mut (Vec<f64>, Vec<f64>)| {
        out.par_chunks_mut(64 * side)
            .enumerate()
            .for_each(|(piece, out)| transpose_rows(a, side, piece * 64, out));
    };
    Ok(Case::new(Work::Bytes((16 * side * side) as f64))
        .variant("phalanx", state, ours, move |s| check(s.1.as_slice()))
        .rayon(context, plain, rayon, move |s| check(&s.1)))
}

fn in_place(context: &Context) -> Outcome<Case<'_>> {
    let side = context.len(8).isqrt();
    let pool = &context.pool;
    let state: (Matrix, bool) = (pool.from_shape_fn((side, side), |(i, j)| (i * 100_000 + j) as f64)?, false);
    let ours = |(a, turned): &mut (Matrix, bool)| {
        *turned = !*turned;
        Ok(dense::transpose_in_place(pool, a)?)
    };
    let check = move |(a, turned): &(Matrix, bool)| {
        same(a.as_slice(), |place| {
            let (i, j) = (place / side, place % side);
            (if *turned { j * 100_000 + i } else { i * 100_000 + j }) as f64
        })
    };
    Ok(Case::new(Work::Bytes((16 * side * side) as f64)).variant("phalanx", state, ours, check))
}
