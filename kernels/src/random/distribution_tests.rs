//! Distributions against their moments and tails, and reproducibility.

use super::*;
use crate::inline::launching;
use crate::testing::{pool, pools};

const COUNT: usize = 60_000;

/// Mean and variance lie within 5 standard errors, for a distribution whose fourth moment is this many
/// squared variances at most.
fn check(x: &[f64], mean: f64, variance: f64, kurtosis: f64) {
    let n = x.len() as f64;
    let got = x.iter().sum::<f64>() / n;
    let spread = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    assert!((got - mean).abs() <= 5.0 * (variance / n).sqrt() + 1e-12, "mean {got}, not {mean}");
    let limit = 5.0 * variance * ((kurtosis - 1.0) / n).sqrt() + 1e-12;
    assert!((spread - variance).abs() <= limit, "variance {spread}, not {variance}");
}

#[test]
fn floats_have_the_moments_of_their_distributions() {
    let mut x = pool().zeros::<f64>(COUNT).unwrap();
    exponential(pool(), &mut x, 1, 3.0).unwrap();
    check(x.as_slice(), 3.0, 9.0, 9.0);
    let above = x.as_slice().iter().filter(|x| **x > 3.0).count() as f64 / COUNT as f64;
    assert!((above - (-1f64).exp()).abs() < 0.01);
    for shape in [0.05, 0.5, 1.0, 2.5, 400.0] {
        gamma(pool(), &mut x, 2, shape, 2.0).unwrap();
        check(x.as_slice(), 2.0 * shape, 4.0 * shape, 3.0 + 6.0 / shape);
    }
    for (a, b) in [(0.5, 0.5), (1.0, 3.0), (20.0, 5.0), (0.01, 0.02)] {
        beta(pool(), &mut x, 3, a, b).unwrap();
        let sum: f64 = a + b;
        check(x.as_slice(), a / sum, a * b / (sum * sum * (sum + 1.0)), 60.0);
        assert!(x.as_slice().iter().all(|x| (0.0..=1.0).contains(x)));
    }
}

#[test]
fn counts_have_the_chances_of_their_distributions() {
    let mut counts = pool().zeros::<u64>(COUNT).unwrap();
    let floats = |counts: &SharedArray<u64>| counts.as_slice().iter().map(|n| *n as f64).collect::<Vec<_>>();
    for mean in [0.0, 0.3, 9.9, 10.0, 45.5, 1e6] {
        poisson(pool(), &mut counts, 4, mean).unwrap();
        check(&floats(&counts), mean, mean, 3.0 + 1.0 / f64::max(mean, 0.1));
    }
    for (trials, p) in
        [(0, 0.5), (7, 0.0), (7, 1.0), (20, 0.3), (20, 0.9), (100, 0.5), (1000, 0.01), (4_000_000, 0.7)]
    {
        binomial(pool(), &mut counts, 5, trials, p).unwrap();
        let variance = trials as f64 * p * (1.0 - p);
        check(&floats(&counts), trials as f64 * p, variance, 3.0 + 1.0 / variance.max(0.1));
        assert!(counts.as_slice().iter().all(|n| *n <= trials));
    }
    // Chi-squared over the counts 30 ..= 60 of 45.5 and over all of 100 coins: both are drawn by rejection.
    poisson(pool(), &mut counts, 6, 45.5).unwrap();
    let chance = |k: f64| (k * 45.5f64.ln() - 45.5 - libm::lgamma(k + 1.0)).exp();
    assert!(chi(&counts, 30..=60, chance) < 31.0 + 5.0 * 62f64.sqrt());
    binomial(pool(), &mut counts, 7, 100, 0.5).unwrap();
    let chance = |k: f64| {
        (libm::lgamma(101.0) - libm::lgamma(k + 1.0) - libm::lgamma(101.0 - k) + 100.0 * 0.5f64.ln()).exp()
    };
    assert!(chi(&counts, 38..=62, chance) < 25.0 + 5.0 * 50f64.sqrt());
}

fn chi(counts: &SharedArray<u64>, range: std::ops::RangeInclusive<u64>, chance: impl Fn(f64) -> f64) -> f64 {
    range
        .map(|k| {
            let seen = counts.as_slice().iter().filter(|n| **n == k).count() as f64;
            let expected = chance(k as f64) * COUNT as f64;
            (seen - expected).powi(2) / expected
        })
        .sum()
}

#[test]
fn elements_depend_on_seed_and_index_only() {
    let run = |pool: &Pool, len: usize| {
        let (mut a, mut b, mut c) = (
            pool.zeros::<f64>(len).unwrap(),
            pool.zeros::<f32>(len).unwrap(),
            pool.zeros::<f64>(len).unwrap(),
        );
        let (mut n, mut m) = (pool.zeros::<u64>(len).unwrap(), pool.zeros::<u64>(len).unwrap());
        exponential(pool, &mut a, 9, 1.0).unwrap();
        gamma(pool, &mut b, 9, 0.7, 1.0).unwrap();
        beta(pool, &mut c, 9, 2.0, 3.0).unwrap();
        poisson(pool, &mut n, 9, 12.0).unwrap();
        binomial(pool, &mut m, 9, 50, 0.4).unwrap();
        (a.to_vec(), b.to_vec(), c.to_vec(), n.to_vec(), m.to_vec())
    };
    let long = run(&pools()[0], 3000);
    for pool in pools() {
        assert!(launching(|| run(pool, 3000)) == long);
    }
    let short = run(pool(), 777);
    assert!(short.0 == long.0[..777] && short.1 == long.1[..777] && short.2 == long.2[..777]);
    assert!(short.3 == long.3[..777] && short.4 == long.4[..777]);
}

#[test]
fn parameters_without_sense_are_refused() {
    let (mut x, mut n) = (pool().zeros::<f64>(3).unwrap(), pool().zeros::<u64>(3).unwrap());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(exponential(pool(), &mut x, 1, bad).is_err());
        assert!(gamma(pool(), &mut x, 1, bad, 1.0).is_err() && gamma(pool(), &mut x, 1, 1.0, bad).is_err());
        assert!(beta(pool(), &mut x, 1, bad, 1.0).is_err() && beta(pool(), &mut x, 1, 1.0, bad).is_err());
    }
    for bad in [-1.0, f64::NAN, f64::INFINITY, 1e10] {
        assert!(matches!(poisson(pool(), &mut n, 1, bad), Err(KernelError::Argument { .. })));
        assert!(matches!(binomial(pool(), &mut n, 1, 5, bad), Err(KernelError::Argument { .. })));
    }
    assert!(binomial(pool(), &mut n, 1, 1 << 33, 0.5).is_err());
    assert!(x.as_slice() == [0.0; 3] && n.as_slice() == [0; 3]);
}
