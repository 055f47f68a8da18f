//! Kernels by key give what naive loops give, for runs of every length and all teams.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use ndarray::{Array2, s};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::KernelError;
use phalanx_kernels::group::{bincount, fold_by_key, reduce_by_key, run_lengths};
use std::sync::LazyLock;

fn pools() -> &'static [Pool] {
    static POOLS: LazyLock<Vec<Pool>> = LazyLock::new(|| {
        [1, 2, 3, 7].into_iter().map(|n| Pool::builder().workers(n).build().unwrap()).collect()
    });
    &POOLS
}

/// Numbers that look random and are the same in every run.
fn roll(seed: usize) -> u64 {
    let z = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

/// Keys of runs of some lengths in turn.
fn keys(len: usize, lengths: &[usize]) -> Vec<i32> {
    let runs = (0..).zip(lengths.iter().cycle());
    runs.flat_map(|(key, length)| std::iter::repeat_n(key, *length)).take(len).collect()
}

#[test]
fn runs_of_every_length_within_and_across_parts() {
    const PART: usize = 1 << 15;
    let patterns: [&[usize]; 8] =
        [&[1], &[3], &[PART], &[PART - 1], &[PART + 1], &[4 * PART], &[1, 70_000, 2], &[40, 1]];
    for len in [0, 1, 2, 9999, 10_000, PART, PART + 1, 3 * PART - 1, 5 * PART + 7] {
        for pattern in patterns {
            let keys = keys(len, pattern);
            let values: Vec<u64> = (0..len).map(roll).collect();
            // An operator that does not commute: composition of lines.
            let after = |f: [u64; 2], g: [u64; 2]| {
                [f[0].wrapping_mul(g[0]), f[1].wrapping_mul(g[0]).wrapping_add(g[1])]
            };
            let lift = |x: u64| [x | 1, x >> 3];
            let runs: Vec<&[i32]> = keys.chunk_by(|a, b| a == b).collect();
            let kinds: Vec<i32> = runs.iter().map(|run| run[0]).collect();
            let lengths: Vec<u64> = runs.iter().map(|run| run.len() as u64).collect();
            let mut rest = &values[..];
            let mut folds = Vec::new();
            for run in &runs {
                let (own, others) = rest.split_at(run.len());
                folds.push(own.iter().map(|x| lift(*x)).reduce(after).unwrap());
                rest = others;
            }
            for pool in pools() {
                let (got, counts) = run_lengths(pool, &keys).unwrap();
                assert_eq!((got.as_slice(), counts.as_slice()), (&*kinds, &*lengths), "{len}, {pattern:?}");
                let (got, folded) = fold_by_key(pool, &keys, &values, lift, after).unwrap();
                assert!(got.as_slice() == kinds && folded.as_slice() == folds, "{len}, {pattern:?}");
            }
        }
    }
}

#[test]
fn floats_have_the_same_bits_for_every_number_of_workers() {
    let len = 200_003;
    let keys: Vec<f64> = (0..len).map(|i| if i < 90_000 { f64::NAN } else { (i / 1000) as f64 }).collect();
    let values: Vec<f64> = (0..len).map(|i| roll(i) as f64).collect();
    let sums = |pool: &Pool| reduce_by_key(pool, &keys, &values, |a, b| a + b).unwrap().1.to_vec();
    let first = sums(&pools()[0]);
    assert_eq!(first.len(), 1 + 111);
    assert!(pools().iter().all(|pool| sums(pool) == first));
    let x: Vec<u16> = (0..len).map(|i| (roll(i) % 1000) as u16).collect();
    let weighted = |pool: &Pool| bincount(pool, &x, &values, 0).unwrap().to_vec();
    let first = weighted(&pools()[0]);
    assert!(pools().iter().all(|pool| weighted(pool) == first));
}

#[test]
fn weights_are_added_for_every_value() {
    for (len, kinds) in [(0, 1), (100, 7), (9_999, 40_000), (60_000, 10), (60_000, 30_000), (60_000, 100_000)]
    {
        let x: Vec<u32> = (0..len).map(|i| (roll(i) % kinds) as u32).collect();
        let weights: Vec<f64> = (0..len).map(|i| (roll(i + 1) % 100) as f64).collect();
        let mut sums = vec![0.0; x.iter().max().map_or(5, |x| (*x as usize + 1).max(5))];
        x.iter().zip(&weights).for_each(|(x, w)| sums[*x as usize] += w);
        for pool in pools() {
            assert_eq!(bincount(pool, &x, &weights, 5).unwrap().as_slice(), sums);
        }
    }
    let table = Array2::from_shape_fn((200, 300), |(i, j)| (i + j) % 3);
    let weights = Array2::from_elem((200, 600), 1.0);
    let sums = bincount(&pools()[1], &table, &weights.slice(s![.., ..;2]), 0).unwrap();
    assert_eq!(sums.as_slice(), [20_000.0; 3]);
}

#[test]
fn bad_arguments_and_functions_that_panic_are_errors() {
    let pool = &pools()[1];
    let refused = reduce_by_key(pool, &[1, 2], &[1.0], |a, b| a + b);
    assert!(matches!(refused, Err(KernelError::Shape { what: "values", .. })));
    assert!(matches!(bincount(pool, &[1, -2], &[1.0, 1.0], 0), Err(KernelError::Argument { what: "x", .. })));
    assert!(matches!(bincount(pool, &[1, 2], &[1.0], 0), Err(KernelError::Shape { what: "weights", .. })));
    assert!(matches!(bincount(pool, &[u64::MAX], &[1.0], 0), Err(KernelError::Memory(_))));
    for len in [10, 100_000] {
        let keys = SharedArray::from_fn(len, |_| 1u8).unwrap();
        let failed = reduce_by_key(pool, &keys, &keys, |_, _| panic!("no sum"));
        assert!(matches!(failed, Err(KernelError::Launch(_))));
    }
}
