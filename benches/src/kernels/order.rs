//! The order family.

use super::case::{Case, Context, Entry, Work, same};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use phalanx::SharedArray;
use phalanx_kernels::order::{self, Key};
use rayon::prelude::*;
use rdst::RadixSort as _;
use voracious_radix_sort::RadixSort as _;

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "sort",
        about: "50 million u64 at 256 MiB, evenly spread (more or fewer with --mib)",
        targets: &[
            Target { bench: "kernels/sort", variant: "phalanx", goal: Goal::AtLeastPeer(1.0, "rayon") },
            Target { bench: "kernels/sort", variant: "phalanx", goal: Goal::AtLeastPeer(1.0, "voracious") },
            Target { bench: "kernels/sort", variant: "phalanx", goal: Goal::AtLeastPeer(1.0, "rdst") },
        ],
        prepare: sort_even,
    },
    Entry { name: "sort_crowded", about: "u64 of all magnitudes", targets: &[], prepare: sort_crowded },
    Entry { name: "sort_f64", about: "float64 in 0 .. 1", targets: &[], prepare: sort_f64 },
    Entry { name: "sort_by", about: "pairs of u32 by a comparison, stably", targets: &[], prepare: sort_by },
    Entry { name: "argsort", about: "indices of u32, stably", targets: &[], prepare: argsort },
    Entry { name: "select_nth", about: "median of u64", targets: &[], prepare: select_nth },
    Entry { name: "unique", about: "distinct ones of 1000 values", targets: &[], prepare: unique },
];

/// SplitMix64 of the index (<https://prng.di.unimi.it/splitmix64.c>).
fn mixed(index: usize) -> u64 {
    let z = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn keys<T: Send>(len: usize, f: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    (0..len).into_par_iter().map(f).collect()
}

/// Whether keys are in order and the same as before, by order and sum of their words' hashes.
fn sorted<T: Key>(got: &[T], hash: u64) -> Outcome<()>
where
    T::Word: Into<u64>,
{
    if !got.is_sorted_by_key(|key| key.to_word()) {
        return Err("the elements are not in order".into());
    }
    if hash_of(got) != hash {
        return Err("the elements are not those that were there before".into());
    }
    Ok(())
}

fn hash_of<T: Key>(keys: &[T]) -> u64
where
    T::Word: Into<u64>,
{
    keys.iter().fold(0, |sum, key| sum.wrapping_add(mixed(key.to_word().into() as usize)))
}

/// Sorting in place, beside rayon's.
fn sort_keys<'c, T: Key>(
    context: &'c Context,
    f: fn(usize) -> T,
    rayon: fn(&mut [T]),
) -> Outcome<(Case<'c>, usize, u64)>
where
    T::Word: Into<u64>,
{
    let len = 50_000_000 * context.mib / 256;
    let hash = hash_of(&keys(len, f));
    let x = context.pool.zeros::<T>(len)?;
    let mut case = Case::new(Work::Elements(len as f64)).variant_anew(
        "phalanx",
        x,
        move |x| fill(x.as_mut_slice(), f),
        |x| Ok(order::sort(&context.pool, x)?),
        move |x| sorted(x.as_slice(), hash),
    );
    if let Some(team) = &context.team {
        let run = move |x: &mut Vec<T>| {
            team.install(|| rayon(x));
            Ok(())
        };
        case = case.variant_anew("rayon", keys(len, f), move |x| fill(x, f), run, move |x| sorted(x, hash));
    }
    Ok((case, len, hash))
}

fn fill<T: Send>(x: &mut [T], f: impl Fn(usize) -> T + Sync) {
    x.par_iter_mut().enumerate().for_each(|(i, x)| *x = f(i));
}

fn sort_u64(context: &Context, f: fn(usize) -> u64) -> Outcome<Case<'_>> {
    let (mut case, len, hash) = sort_keys(context, f, |x| x.par_sort_unstable())?;
    if let Some(team) = &context.team {
        let anew = move |x: &mut Vec<u64>| fill(x, f);
        let voracious = |x: &mut Vec<u64>| {
            team.install(|| x.voracious_mt_sort(team.current_num_threads()));
            Ok(())
        };
        let rdst = |x: &mut Vec<u64>| {
            team.install(|| x.radix_sort_unstable());
            Ok(())
        };
        case = case
            .variant_anew("voracious", keys(len, f), anew, voracious, move |x| sorted(x, hash))
            .variant_anew("rdst", keys(len, f), anew, rdst, move |x| sorted(x, hash));
    }
    Ok(case)
}

fn sort_even(context: &Context) -> Outcome<Case<'_>> {
    sort_u64(context, mixed)
}

fn sort_crowded(context: &Context) -> Outcome<Case<'_>> {
    sort_u64(context, |i| mixed(i) >> (mixed(!i) % 64))
}

fn sort_f64(context: &Context) -> Outcome<Case<'_>> {
    let unit = |i| (mixed(i) >> 11) as f64 / (1u64 << 53) as f64;
    Ok(sort_keys(context, unit, |x| x.par_sort_unstable_by(f64::total_cmp))?.0)
}

fn sort_by(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(8);
    let pair = |i| [(mixed(i) % 100_000) as u32, i as u32];
    let check = |x: &[[u32; 2]]| match x.is_sorted() {
        true => Ok(()),
        false => Err("the pairs are not in stable order".into()),
    };
    let mut case = Case::new(Work::Elements(len as f64)).variant_anew(
        "phalanx",
        context.pool.zeros::<[u32; 2]>(len)?,
        move |x: &mut SharedArray<[u32; 2]>| fill(x.as_mut_slice(), pair),
        |x| Ok(order::sort_by(&context.pool, x, |a, b| a[0].cmp(&b[0]))?),
        move |x| check(x.as_slice()),
    );
    if let Some(team) = &context.team {
        let run = |x: &mut Vec<[u32; 2]>| {
            team.install(|| x.par_sort_by(|a, b| a[0].cmp(&b[0])));
            Ok(())
        };
        case = case.variant_anew("rayon", keys(len, pair), move |x| fill(x, pair), run, move |x| check(x));
    }
    Ok(case)
}

fn argsort(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(8);
    let key = |i| mixed(i) as u32;
    let check = move |order: &[u64]| {
        let ascends = order.windows(2).all(|pair| {
            let [a, b] = [pair[0], pair[1]].map(|i| (key(i as usize), i));
            a < b
        });
        if ascends { Ok(()) } else { Err("the indices are not in stable order".into()) }
    };
    let x = context.pool.from_fn(len, key)?;
    Ok(Case::new(Work::Elements(len as f64))
        .variant(
            "phalanx",
            (context.pool.zeros::<u64>(len)?, x),
            |(order, x)| Ok(order::argsort(&context.pool, order, x)?),
            move |(order, _)| check(order.as_slice()),
        )
        .rayon(
            context,
            || (vec![0u64; len], keys(len, key)),
            |(order, x)| {
                // Keys and indices side by side: sorting indices alone would miss the cache at every
                // comparison.
                let mut pairs: Vec<(u32, u64)> =
                    x.par_iter().enumerate().map(|(i, key)| (*key, i as u64)).collect();
                pairs.par_sort_unstable();
                order.par_iter_mut().zip(pairs).for_each(|(order, pair)| *order = pair.1);
            },
            move |(order, _)| check(order),
        ))
}

fn select_nth(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(8);
    let mut all = keys(len, mixed);
    let want = *all.select_nth_unstable(len / 2).1;
    drop(all);
    let check = move |got: u64| same(&[got], |_| want);
    let serial = move |(x, got): &mut (Vec<u64>, u64)| {
        // As a program does that must not change its data.
        *got = *x.clone().select_nth_unstable(len / 2).1;
        Ok(())
    };
    Ok(Case::new(Work::Elements(len as f64))
        .variant(
            "phalanx",
            (context.pool.from_fn(len, mixed)?, 0),
            move |(x, got)| {
                *got = order::select_nth(&context.pool, x, len / 2)?;
                Ok(())
            },
            move |(_, got)| check(*got),
        )
        .variant("serial", (keys(len, mixed), 0), serial, move |(_, got)| check(*got)))
}

fn unique(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(8);
    let value = |i| mixed(i) % 1000;
    let check = |got: &[u64]| match got.len() {
        1000 => same(got, |i| i as u64),
        other => Err(format!("{other} values instead of 1000").into()),
    };
    Ok(Case::new(Work::Elements(len as f64))
        .variant(
            "phalanx",
            (context.pool.from_fn(len, value)?, vec![]),
            |(x, got)| {
                *got = order::unique(&context.pool, x)?.to_vec();
                Ok(())
            },
            move |(_, got)| check(got),
        )
        .rayon(
            context,
            || (keys(len, value), vec![]),
            |(x, got)| {
                *got = x.clone();
                got.par_sort_unstable();
                got.dedup();
            },
            move |(_, got)| check(got),
        ))
}
