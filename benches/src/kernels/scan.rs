//! The scan family.

use super::case::{Case, Context, Entry, Work, same};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use phalanx::SharedArray;
use phalanx_kernels::scan;
use rayon::prelude::*;

const INCLUSIVE: &[Target] =
    &[Target { bench: "kernels/inclusive_sum", variant: "phalanx", goal: Goal::AtLeastPeer(1.0, "rayon") }];

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[Entry {
    name: "inclusive_sum",
    about: "prefix sums of u64",
    targets: INCLUSIVE,
    prepare: inclusive_sum,
}];

/// Elements of one of rayon's pieces: 512 KiB, as our chunks.
const PIECE: usize = 64 << 10;

/// Prefix sums of one piece from what stands before it.
fn spread(out: &mut [u64], x: &[u64], mut running: u64) {
    for (out, x) in out.iter_mut().zip(x) {
        running += x;
        *out = running;
    }
}

fn inclusive_sum(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(8);
    let x_at = |i: usize| (i % 1021) as u64;
    // Sum of 0..=1020 for each whole round, and of the rest of the last one.
    let want = |i: usize| {
        let (rounds, rest) = ((i + 1) / 1021, ((i + 1) % 1021) as u64);
        rounds as u64 * (1020 * 1021 / 2) + rest * rest.saturating_sub(1) / 2
    };
    let ours =
        |(out, x): &mut (SharedArray<u64>, SharedArray<u64>)| Ok(scan::inclusive_sum(&context.pool, out, x)?);
    let plain = move || (vec![0u64; len], (0..len).map(x_at).collect::<Vec<u64>>());
    let rayon = |(out, x): &mut (Vec<u64>, Vec<u64>)| {
        let mut before: Vec<u64> = x.par_chunks(PIECE).map(|x| x.iter().sum()).collect();
        before.iter_mut().fold(0, |sum, piece| sum + std::mem::replace(piece, sum));
        let sources = x.par_chunks(PIECE).zip(before);
        out.par_chunks_mut(PIECE).zip(sources).for_each(|(out, (x, before))| spread(out, x, before));
    };
    let serial = |(out, x): &mut (Vec<u64>, Vec<u64>)| {
        spread(out, x, 0);
        Ok(())
    };
    Ok(Case::new(Work::Bytes((16 * len) as f64))
        .variant(
            "phalanx",
            (context.pool.zeros::<u64>(len)?, context.pool.from_fn(len, x_at)?),
            ours,
            move |(out, _)| same(out.as_slice(), want),
        )
        .rayon(context, plain, rayon, move |(out, _)| same(out, want))
        .variant("serial", plain(), serial, move |(out, _)| same(out, want)))
}
