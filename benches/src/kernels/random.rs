//! The random family. Rayon's variants draw each element from SplitMix64 of its index, a weaker and cheaper
//! generator.

use super::case::{Case, Context, Entry, Work, near};
use crate::harness::Outcome;
use phalanx::{Backend, Pool, SharedArray};
use phalanx_kernels::{KernelError, random};
use rayon::prelude::*;

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry { name: "uniform", about: "float64 in 0 .. 1", targets: &[], prepare: uniform },
    Entry { name: "normal", about: "normal float64", targets: &[], prepare: normal },
    Entry { name: "integers", about: "u64 from 0 to 999", targets: &[], prepare: integers },
];

fn mixed(index: usize) -> u64 {
    let z = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unit(index: usize) -> f64 {
    (mixed(index) >> 11) as f64 / (1u64 << 53) as f64
}

type Fill<T> = fn(&Pool, &mut SharedArray<T>) -> Result<(), KernelError>;

/// A fill on workers, in one thread, and by a formula on rayon; the mean of the elements is checked.
fn fill<'c, T: phalanx::Element + Default>(
    context: &'c Context,
    ours: Fill<T>,
    rayon: fn(usize) -> T,
    as_f64: fn(T) -> f64,
    mean: f64,
    tolerance: f64,
) -> Outcome<Case<'c>> {
    let len = context.len(8);
    let alone = Pool::builder().workers(1).backend(Backend::Inline).build()?;
    let check = move |x: &[T]| {
        near(1.0 + x.iter().map(|x| as_f64(*x)).sum::<f64>() / len as f64, 1.0 + mean, tolerance)
    };
    let serial = context.pool.zeros::<T>(len)?;
    Ok(Case::new(Work::Elements(len as f64))
        .variant(
            "phalanx",
            context.pool.zeros::<T>(len)?,
            move |x| Ok(ours(&context.pool, x)?),
            move |x| check(x.as_slice()),
        )
        .rayon(
            context,
            || vec![T::default(); len],
            move |x| x.par_iter_mut().enumerate().for_each(|(i, x)| *x = rayon(i)),
            move |x| check(x),
        )
        .variant("serial", serial, move |x| Ok(ours(&alone, x)?), move |x| check(x.as_slice())))
}

fn uniform(context: &Context) -> Outcome<Case<'_>> {
    fill(context, |pool, x| random::uniform(pool, x, 1, 0.0..1.0), unit, |x: f64| x, 0.5, 1e-2)
}

fn normal(context: &Context) -> Outcome<Case<'_>> {
    // Box and Muller's: the usual way to two normal numbers from two uniform ones; here one of each.
    let draw = |i| (-2.0 * (1.0 - unit(2 * i)).ln()).sqrt() * (std::f64::consts::TAU * unit(2 * i + 1)).cos();
    fill(context, |pool, x| random::normal(pool, x, 1, 0.0, 1.0), draw, |x: f64| x, 0.0, 1e-2)
}

fn integers(context: &Context) -> Outcome<Case<'_>> {
    let draw = |i| ((u128::from(mixed(i)) * 1000) >> 64) as u64;
    fill(context, |pool, x| random::integers(pool, x, 1, 0..=999), draw, |x: u64| x as f64, 499.5, 1e-2)
}
