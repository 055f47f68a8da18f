//! The stencil family. Counted are the input read once and the result written once.

use super::case::{Case, Context, Entry, Work, near};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use ndarray::{Array2, Ix2, Ix3};
use phalanx::SharedArray;
use phalanx_kernels::stencil::{self, Boundary};
use rayon::prelude::*;
use std::ops::Range;

macro_rules! at_least {
    ($bench:literal) => {
        &[Target {
            bench: concat!("kernels/", $bench),
            variant: "phalanx",
            goal: Goal::AtLeastPeer(1.0, "rayon"),
        }]
    };
}

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "star_2d",
        about: "5 points of a matrix of float64",
        targets: at_least!("star_2d"),
        prepare: star_2d,
    },
    Entry {
        name: "star_3d",
        about: "7 points in space, float64",
        targets: at_least!("star_3d"),
        prepare: star_3d,
    },
    Entry {
        name: "heat_2d",
        about: "10 steps on a plate, float64",
        targets: at_least!("heat_2d"),
        prepare: heat_2d,
    },
    Entry {
        name: "heat_3d",
        about: "10 steps in space, float64",
        targets: at_least!("heat_3d"),
        prepare: heat_3d,
    },
    Entry {
        name: "convolve_2d",
        about: "kernel of 5 x 5, float32",
        targets: at_least!("convolve_2d"),
        prepare: convolve_2d,
    },
    Entry {
        name: "convolve_separable",
        about: "column and row of 9, float32",
        targets: at_least!("convolve_separable"),
        prepare: convolve_separable,
    },
];

/// Bytes of rows in one of rayon's pieces.
const PIECE_BYTES: usize = 512 << 10;
/// Diffusivity times step over the square of the spacing.
const R: f64 = 0.125;
/// Steps of the heat equation in one run.
const STEPS: usize = 10;

fn value(index: usize) -> f64 {
    ((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1u64 << 24) as f64
}

/// Filled by rayon, so that its pages lie where its threads are.
fn plain<T: Send + Copy + Default>(len: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let mut array = vec![T::default(); len];
    array.par_iter_mut().with_min_len(1 << 15).enumerate().for_each(|(index, to)| *to = f(index));
    array
}

/// Compares sums of parts spread over both arrays.
fn alike<T: Copy + Into<f64>>(got: &[T], want: &[T]) -> Outcome<()> {
    for index in (0..want.len()).step_by((want.len() / 5000).max(1)) {
        let (got, want): (f64, f64) = (got[index].into(), want[index].into());
        near(got, want, 1e-5).or_else(|error| if (got - want).abs() < 1e-6 { Ok(()) } else { Err(error) })?;
    }
    Ok(())
}

/// One row of a sum over neighbours, away from the ends: five points.
fn five(out: &mut [f64], up: &[f64], here: &[f64], down: &[f64], [centre, side]: [f64; 2]) {
    let inner = out.len() - 2;
    let (left, right, here) = (&here[..inner], &here[2..][..inner], &here[1..][..inner]);
    let (up, down) = (&up[1..][..inner], &down[1..][..inner]);
    for (j, out) in out[1..=inner].iter_mut().enumerate() {
        *out = centre * here[j] + side * (up[j] + down[j] + left[j] + right[j]);
    }
}

/// A step on a plate whose border is fixed.
fn plate_rows(u: &[f64], side: usize, rows: Range<usize>, out: &mut [f64], weights: [f64; 2]) {
    for (i, out) in rows.zip(out.chunks_exact_mut(side)) {
        let row = |i: usize| &u[i * side..][..side];
        if i == 0 || i + 1 == side {
            out.copy_from_slice(row(i));
            continue;
        }
        (out[0], out[side - 1]) = (row(i)[0], row(i)[side - 1]);
        five(out, row(i - 1), row(i), row(i + 1), weights);
    }
}

fn rayon_plate(u: &[f64], side: usize, out: &mut [f64], weights: [f64; 2]) {
    let rows = (PIECE_BYTES / 8 / side).max(1);
    out.par_chunks_mut(rows * side).enumerate().for_each(|(piece, out)| {
        let first = piece * rows;
        plate_rows(u, side, first..first + out.len() / side, out, weights);
    });
}

/// A step in space whose border is fixed, for some rows counted over all planes.
fn space_rows(u: &[f64], side: usize, rows: Range<usize>, out: &mut [f64], [centre, near]: [f64; 2]) {
    for (at, out) in rows.zip(out.chunks_exact_mut(side)) {
        let (i, j) = (at / side, at % side);
        let row = |at: usize| &u[at * side..][..side];
        if i == 0 || i + 1 == side || j == 0 || j + 1 == side {
            out.copy_from_slice(row(at));
            continue;
        }
        let (here, inner) = (row(at), side - 2);
        (out[0], out[side - 1]) = (here[0], here[side - 1]);
        let cut = |row: usize| &u[row * side + 1..][..inner];
        let (up, down, front, back) = (cut(at - side), cut(at + side), cut(at - 1), cut(at + 1));
        let (left, right, here) = (&here[..inner], &here[2..][..inner], &here[1..][..inner]);
        for (k, out) in out[1..=inner].iter_mut().enumerate() {
            *out = centre * here[k] + near * (up[k] + down[k] + front[k] + back[k] + left[k] + right[k]);
        }
    }
}

fn rayon_space(u: &[f64], side: usize, out: &mut [f64], weights: [f64; 2]) {
    let rows = (PIECE_BYTES / 8 / side).max(1);
    out.par_chunks_mut(rows * side).enumerate().for_each(|(piece, out)| {
        let first = piece * rows;
        space_rows(u, side, first..first + out.len() / side, out, weights);
    });
}

type Pair<D> = (SharedArray<f64, D>, SharedArray<f64, D>);
type PlainPair = (Vec<f64>, Vec<f64>);

fn star_2d(context: &Context) -> Outcome<Case<'_>> {
    let side = context.len(8).isqrt();
    let weights: [&[f64]; 2] = [&[1.0, -2.0, 1.0], &[1.0, -2.0, 1.0]];
    let a = context.pool.from_shape_fn((side, side), |(i, j)| value(i * 65_536 + j))?;
    let source = move |at: usize| value(at / side * 65_536 + at % side);
    let mut want = vec![0.0; side * side];
    plate_rows(a.as_slice(), side, 0..side, &mut want, [-4.0, 1.0]);
    let inner = move |got: &[f64]| {
        let pick = |all: &[f64]| {
            all[side..side * (side - 1)].chunks(side).map(|row| row[side / 3]).collect::<Vec<_>>()
        };
        alike(&pick(got), &pick(&want))
    };
    let checks = [inner.clone(), inner];
    let [ours_check, rayon_check] = checks;
    let ours = move |(a, out): &mut Pair<Ix2>| {
        Ok(stencil::star_2d(&context.pool, weights, a, Boundary::Nearest, out)?)
    };
    let rayon = move |(a, out): &mut PlainPair| rayon_plate(a, side, out, [-4.0, 1.0]);
    Ok(Case::new(Work::Bytes((16 * side * side) as f64))
        .variant("phalanx", (a, context.pool.zeros_nd((side, side))?), ours, move |s| {
            ours_check(s.1.as_slice())
        })
        .rayon(
            context,
            || (plain(side * side, source), plain(side * side, |_| 0.0)),
            rayon,
            move |s| rayon_check(&s.1),
        ))
}

fn star_3d(context: &Context) -> Outcome<Case<'_>> {
    let side = (context.len(8) as f64).cbrt() as usize;
    let second: &[f64] = &[1.0, -2.0, 1.0];
    let a = context.pool.from_shape_fn((side, side, side), |(i, j, k)| value((i * 1024 + j) * 1024 + k))?;
    let copy = a.to_vec();
    let mut want = vec![0.0; side * side * side];
    space_rows(a.as_slice(), side, 0..side * side, &mut want, [-6.0, 1.0]);
    let inner = move |got: &[f64]| {
        let pick = |all: &[f64]| {
            let planes = all.chunks(side * side).skip(1).take(side - 2);
            planes.map(|plane| plane[side / 3 * side + side / 2]).collect::<Vec<_>>()
        };
        alike(&pick(got), &pick(&want))
    };
    let [ours_check, rayon_check] = [inner.clone(), inner];
    let ours = move |(a, out): &mut Pair<Ix3>| {
        Ok(stencil::star_3d(&context.pool, [second; 3], a, Boundary::Nearest, out)?)
    };
    let rayon = move |(a, out): &mut PlainPair| rayon_space(a, side, out, [-6.0, 1.0]);
    Ok(Case::new(Work::Bytes((16 * side * side * side) as f64))
        .variant("phalanx", (a, context.pool.zeros_nd((side, side, side))?), ours, move |s| {
            ours_check(s.1.as_slice())
        })
        .rayon(
            context,
            move || (copy, plain(side * side * side, |_| 0.0)),
            rayon,
            move |s| rayon_check(&s.1),
        ))
}

fn heat_2d(context: &Context) -> Outcome<Case<'_>> {
    let side = context.len(8).isqrt();
    let a = context.pool.from_shape_fn((side, side), |(i, j)| value(i * 65_536 + j))?;
    let source = move |at: usize| value(at / side * 65_536 + at % side);
    let ours = move |(u, scratch): &mut Pair<Ix2>| Ok(stencil::heat_2d(&context.pool, u, scratch, R, STEPS)?);
    let rayon = move |(u, scratch): &mut PlainPair| {
        for _ in 0..STEPS {
            rayon_plate(u, side, scratch, [1.0 - 4.0 * R, R]);
            std::mem::swap(u, scratch);
        }
    };
    // The mean of a plate changes only through its border; values stay in 0..1 and even out.
    let check = move |u: &[f64]| bounded(u);
    Ok(Case::new(Work::Bytes((16 * side * side * STEPS) as f64))
        .variant("phalanx", (a, context.pool.zeros_nd((side, side))?), ours, move |s| check(s.0.as_slice()))
        .rayon(
            context,
            || (plain(side * side, source), plain(side * side, |_| 0.0)),
            rayon,
            move |s| check(&s.0),
        ))
}

fn heat_3d(context: &Context) -> Outcome<Case<'_>> {
    let side = (context.len(8) as f64).cbrt() as usize;
    let a = context.pool.from_shape_fn((side, side, side), |(i, j, k)| value((i * 1024 + j) * 1024 + k))?;
    let copy = a.to_vec();
    let ours = move |(u, scratch): &mut Pair<Ix3>| Ok(stencil::heat_3d(&context.pool, u, scratch, R, STEPS)?);
    let rayon = move |(u, scratch): &mut PlainPair| {
        for _ in 0..STEPS {
            rayon_space(u, side, scratch, [1.0 - 6.0 * R, R]);
            std::mem::swap(u, scratch);
        }
    };
    let check = move |u: &[f64]| bounded(u);
    Ok(Case::new(Work::Bytes((16 * side * side * side * STEPS) as f64))
        .variant("phalanx", (a, context.pool.zeros_nd((side, side, side))?), ours, move |s| {
            check(s.0.as_slice())
        })
        .rayon(context, move || (copy, plain(side * side * side, |_| 0.0)), rayon, move |s| check(&s.0)))
}

/// Values of the heat equation stay between the first ones, and their mean near that.
fn bounded(u: &[f64]) -> Outcome<()> {
    let (mut low, mut high, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    for &value in u {
        (low, high, sum) = (low.min(value), high.max(value), sum + value);
    }
    if low < 0.0 || high > 1.0 || !sum.is_finite() {
        return Err(format!("values lie in {low}..{high} instead of 0..1").into());
    }
    near(sum / u.len() as f64, 0.5, 0.02)
}

/// One row of a sum over shifted rows of equal length.
fn weighted<const N: usize>(out: &mut [f32], rows: [&[f32]; N], weights: [f32; N], fresh: bool) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (j, out) in out.iter_mut().enumerate() {
        let mut sum = if fresh { 0.0 } else { *out };
        for tap in 0..N {
            sum += weights[tap] * rows[tap][j];
        }
        *out = sum;
    }
}

type Images = (SharedArray<f32, Ix2>, SharedArray<f32, Ix2>);

fn image(context: &Context) -> Outcome<(usize, Images, Vec<f32>)> {
    let side = (context.len(4) / 4).isqrt();
    let a = context.pool.from_shape_fn((side, side), |(i, j)| value(i * 65_536 + j) as f32)?;
    let copy = a.to_vec();
    Ok((side, (a, context.pool.zeros_nd((side, side))?), copy))
}

/// Compares two results away from the border.
fn interior(side: usize, margin: usize, want: &[f32]) -> impl Fn(&[f32]) -> Outcome<()> + Clone + use<> {
    let pick = move |all: &[f32]| -> Vec<f32> {
        (margin..side - margin).map(|i| all[i * side + margin + i % (side - 2 * margin)]).collect()
    };
    let want = pick(want);
    move |got| alike(&pick(got), &want)
}

fn convolve_2d(context: &Context) -> Outcome<Case<'_>> {
    let (side, images, copy) = image(context)?;
    let kernel = Array2::from_shape_fn((5, 5), |(u, v)| (1 + u + 2 * v) as f32 / 100.0);
    let flat: Vec<f32> = kernel.as_slice().unwrap_or_default().iter().rev().copied().collect();
    let piece = move |a: &[f32], rows: Range<usize>, out: &mut [f32]| {
        for (i, out) in rows.zip(out.chunks_exact_mut(side)) {
            if i < 2 || i + 2 >= side {
                continue;
            }
            for u in 0..5 {
                let from = &a[(i + u - 2) * side..][..side];
                let rows: [&[f32]; 5] = std::array::from_fn(|v| &from[v..]);
                let weights = std::array::from_fn(|v| flat[5 * u + v]);
                weighted(&mut out[2..side - 2], rows, weights, u == 0);
            }
        }
    };
    let mut want = vec![0.0; side * side];
    piece(&copy, 0..side, &mut want);
    let check = interior(side, 2, &want);
    let [ours_check, rayon_check] = [check.clone(), check];
    let ours = move |(a, out): &mut Images| {
        Ok(stencil::convolve_2d(&context.pool, a, &kernel, Boundary::Reflect, out)?)
    };
    let rows = (PIECE_BYTES / 4 / side).max(1);
    let rayon = move |(a, out): &mut (Vec<f32>, Vec<f32>)| {
        out.par_chunks_mut(rows * side).enumerate().for_each(|(index, out)| {
            piece(a, index * rows..index * rows + out.len() / side, out);
        });
    };
    Ok(Case::new(Work::Flops((50 * side * side) as f64))
        .variant("phalanx", images, ours, move |s| ours_check(s.1.as_slice()))
        .rayon(context, move || (copy, plain(side * side, |_| 0.0f32)), rayon, move |s| rayon_check(&s.1)))
}

const COLUMN: [f32; 9] = [0.01, 0.05, 0.1, 0.2, 0.28, 0.2, 0.1, 0.05, 0.01];

fn convolve_separable(context: &Context) -> Outcome<Case<'_>> {
    let (side, images, copy) = image(context)?;
    // Rows of a piece along their own axis into a buffer, then the columns from it.
    let piece = move |a: &[f32], rows: Range<usize>, out: &mut [f32], buffer: &mut Vec<f32>| {
        let first = rows.start.saturating_sub(4);
        let last = (rows.end + 4).min(side);
        buffer.resize((last - first) * side, 0.0);
        for (i, to) in (first..last).zip(buffer.chunks_exact_mut(side)) {
            let from = &a[i * side..][..side];
            weighted::<9>(&mut to[4..side - 4], std::array::from_fn(|v| &from[v..]), COLUMN, true);
        }
        for (i, out) in rows.zip(out.chunks_exact_mut(side)) {
            if i >= 4 && i + 4 < side {
                let from: [&[f32]; 9] =
                    std::array::from_fn(|u| &buffer[(i + u - 4 - first) * side..][..side]);
                weighted::<9>(out, from, COLUMN, true);
            }
        }
    };
    let mut want = vec![0.0; side * side];
    piece(&copy, 0..side, &mut want, &mut Vec::new());
    let check = interior(side, 4, &want);
    let [ours_check, rayon_check] = [check.clone(), check];
    let ours = move |(a, out): &mut Images| {
        Ok(stencil::convolve_separable(&context.pool, a, &COLUMN, &COLUMN, Boundary::Reflect, out)?)
    };
    let rows = (PIECE_BYTES / 4 / side).max(64);
    let rayon = move |(a, out): &mut (Vec<f32>, Vec<f32>)| {
        out.par_chunks_mut(rows * side).enumerate().for_each_init(Vec::new, |buffer, (index, out)| {
            piece(a, index * rows..index * rows + out.len() / side, out, buffer);
        });
    };
    Ok(Case::new(Work::Flops((36 * side * side) as f64))
        .variant("phalanx", images, ours, move |s| ours_check(s.1.as_slice()))
        .rayon(context, move || (copy, plain(side * side, |_| 0.0f32)), rayon, move |s| rayon_check(&s.1)))
}
