//! The stream family. Counted as STREAM does, without the line that a store reads first.

use super::case::{Case, Context, Entry, Work, same};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use phalanx::SharedArray;
use phalanx_kernels::stream;
use rayon::prelude::*;

macro_rules! at_least {
    ($bench:literal) => {
        &[Target {
            bench: concat!("kernels/", $bench),
            variant: "phalanx",
            goal: Goal::AtLeastPeer(0.98, "rayon"),
        }]
    };
}

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry { name: "fill", about: "out = a", targets: at_least!("fill"), prepare: fill },
    Entry { name: "copy", about: "out = x", targets: at_least!("copy"), prepare: copy },
    Entry { name: "scale", about: "out = a x", targets: at_least!("scale"), prepare: scale },
    Entry { name: "add", about: "out = x + y", targets: at_least!("add"), prepare: add },
    Entry { name: "triad", about: "out = x + a y", targets: at_least!("triad"), prepare: triad },
    Entry { name: "axpy", about: "y = a x + y", targets: at_least!("axpy"), prepare: axpy },
    Entry { name: "axpby", about: "y = a x + b y", targets: at_least!("axpby"), prepare: axpby },
    Entry { name: "map", about: "out = sqrt(x)", targets: at_least!("map"), prepare: map },
    Entry { name: "map2", about: "out = max(x, y)", targets: at_least!("map2"), prepare: map2 },
];

/// Elements of one of rayon's pieces: 256 KiB, as our chunks.
const PIECE: usize = 32 << 10;
const A: f64 = 0.4;
const B: f64 = 0.5;

fn x_at(index: usize) -> f64 {
    1.0 + (index % 1021) as f64
}
fn y_at(index: usize) -> f64 {
    3.0 - (index % 509) as f64
}

/// The three arrays of each runtime: out, x, y.
type Shared = [SharedArray<f64>; 3];
type Plain = [Vec<f64>; 3];

fn shared(context: &Context) -> Outcome<Shared> {
    let len = context.len(8);
    let pool = &context.pool;
    Ok([pool.from_fn(len, |_| 0.0)?, pool.from_fn(len, x_at)?, pool.from_fn(len, y_at)?])
}

fn plain(len: usize) -> Plain {
    // Filled piece by piece by the threads that will read them, so that their pages lie where ours would.
    let filled = |f: fn(usize) -> f64| {
        let mut array = vec![0.0; len];
        array.par_chunks_mut(PIECE).enumerate().for_each(|(piece, part)| {
            part.iter_mut().enumerate().for_each(|(i, x)| *x = f(piece * PIECE + i));
        });
        array
    };
    [filled(|_| 0.0), filled(x_at), filled(y_at)]
}

/// The three variants of a kernel that computes `out` from `x` and `y`, piece by piece.
fn case<'c>(
    context: &'c Context,
    arrays: usize,
    ours: impl Fn(&'c Context, &mut Shared) -> Result<(), phalanx_kernels::KernelError> + 'c,
    piece: impl Fn(&mut [f64], &[f64], &[f64]) + Send + Sync + Copy + 'c,
    check: impl Fn(&[f64]) -> Outcome<()> + Copy + 'c,
) -> Outcome<Case<'c>> {
    let len = context.len(8);
    let rayon = move |[out, x, y]: &mut Plain| {
        let sources = x.par_chunks(PIECE).zip(y.par_chunks(PIECE));
        out.par_chunks_mut(PIECE).zip(sources).for_each(|(out, (x, y))| piece(out, x, y));
    };
    let serial = move |[out, x, y]: &mut Plain| {
        piece(out, x, y);
        Ok(())
    };
    Ok(Case::new(Work::Bytes((8 * arrays * len) as f64))
        .variant(
            "phalanx",
            shared(context)?,
            move |arrays| Ok(ours(context, arrays)?),
            move |[out, ..]| check(out.as_slice()),
        )
        .rayon(context, || plain(len), rayon, move |[out, ..]| check(out))
        .variant("serial", plain(len), serial, move |[out, ..]| check(out)))
}

fn fill(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, ..]: &mut Shared| stream::fill(&c.pool, out, A);
    case(context, 1, ours, |out, _, _| out.fill(A), is(|_| A))
}

fn copy(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, x, _]: &mut Shared| stream::copy(&c.pool, out, x);
    case(context, 2, ours, |out, x, _| out.copy_from_slice(x), is(x_at))
}

fn scale(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, x, _]: &mut Shared| stream::scale(&c.pool, out, A, x);
    case(
        context,
        2,
        ours,
        |out, x, _| out.iter_mut().zip(x).for_each(|(out, x)| *out = A * x),
        is(|i| A * x_at(i)),
    )
}

fn add(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, x, y]: &mut Shared| stream::add(&c.pool, out, x, y);
    case(context, 3, ours, |out, x, y| zip(out, x, y, |x, y| x + y), is(|i| x_at(i) + y_at(i)))
}

fn triad(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, x, y]: &mut Shared| stream::triad(&c.pool, out, x, A, y);
    case(context, 3, ours, |out, x, y| zip(out, x, y, |x, y| x + A * y), is(|i| x_at(i) + A * y_at(i)))
}

fn map(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, x, _]: &mut Shared| stream::map(&c.pool, out, x, f64::sqrt);
    case(
        context,
        2,
        ours,
        |out, x, _| out.iter_mut().zip(x).for_each(|(out, x)| *out = x.sqrt()),
        is(|i| x_at(i).sqrt()),
    )
}

fn map2(context: &Context) -> Outcome<Case<'_>> {
    let larger = |x: f64, y: f64| if x > y { x } else { y };
    let ours = move |c: &Context, [out, x, y]: &mut Shared| stream::map2(&c.pool, out, x, y, larger);
    case(context, 3, ours, move |out, x, y| zip(out, x, y, larger), is(move |i| larger(x_at(i), y_at(i))))
}

fn zip(out: &mut [f64], x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) {
    out.iter_mut().zip(x).zip(y).for_each(|((out, x), y)| *out = f(*x, *y));
}

/// Checks every element against the function.
fn is(want: impl Fn(usize) -> f64 + Copy) -> impl Fn(&[f64]) -> Outcome<()> + Copy {
    move |got| same(got, want)
}

fn axpy(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, x, _]: &mut Shared| stream::axpy(&c.pool, out, B, x);
    // The output grows by B x from run to run: exactly, since all its values are halves of whole numbers.
    let check = |got: &[f64]| {
        let runs = got[0] / (B * x_at(0));
        if runs < 1.0 || runs.fract() != 0.0 {
            return Err(format!("element 0 is {}", got[0]).into());
        }
        same(got, |i| runs * B * x_at(i))
    };
    let piece =
        |out: &mut [f64], x: &[f64], _: &[f64]| out.iter_mut().zip(x).for_each(|(out, x)| *out += B * x);
    case(context, 3, ours, piece, check)
}

fn axpby(context: &Context) -> Outcome<Case<'_>> {
    let ours = |c: &Context, [out, x, _]: &mut Shared| stream::axpby(&c.pool, out, B, x, 0.0);
    let piece = |out: &mut [f64], x: &[f64], _: &[f64]| {
        out.iter_mut().zip(x).for_each(|(out, x)| *out = B * x + ZERO * *out);
    };
    case(context, 3, ours, piece, is(|i| B * x_at(i)))
}

const ZERO: f64 = 0.0;
