//! Reproducibility against naive twins that draw one element at a time, and sanity of the distributions for
//! fixed seeds.

use super::*;
use crate::inline::launching;
use crate::testing::{LENGTHS, pool, pools};
use proptest::prelude::*;

/// The naive twin of 64-bit draws.
fn draw(seed: u64, domain: Domain, index: u64, attempt: u32) -> u64 {
    let words = philox::block(&philox::keys(seed), domain, index / 2, attempt);
    let half = 2 * (index % 2) as usize;
    words[half] | words[half + 1] << 32
}

fn naive_uniform(seed: u64, index: u64) -> f64 {
    (draw(seed, Domain::Uniform, index, 0) >> 11) as f64 / (1u64 << 53) as f64
}

fn naive_uniform_f32(seed: u64, index: u64) -> f32 {
    let words = philox::block(&philox::keys(seed), Domain::Uniform, index / 4, 0);
    (words[(index % 4) as usize] >> 8) as f32 / (1 << 24) as f32
}

fn naive_normal(seed: u64, index: u64) -> f64 {
    let p = ((draw(seed, Domain::Normal, index, 0) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    quantile::quantiles(&[p])[0]
}

fn naive_integer(seed: u64, index: u64, low: i64, high: i64) -> i64 {
    let count = (high as i128 - low as i128 + 1) as u128;
    let refused = (1u128 << 64) % count;
    (0..)
        .map(|attempt| u128::from(draw(seed, Domain::Integer, index, attempt)) * count)
        .find(|product| u128::from(*product as u64) >= refused)
        .map(|product| (low as i128 + (product >> 64) as i128) as i64)
        .unwrap()
}

#[test]
fn elements_depend_on_seed_and_index_only() {
    let seed = 0x0123_4567_89ab_cdef;
    launching(|| {
        for len in LENGTHS {
            for pool in pools() {
                let (mut x, mut y) = (pool.zeros::<f64>(len).unwrap(), pool.zeros::<f32>(len).unwrap());
                let mut n = pool.zeros::<i64>(len).unwrap();
                uniform(pool, &mut x, seed, 0.0..1.0).unwrap();
                uniform(pool, &mut y, seed, 0.0..1.0).unwrap();
                integers(pool, &mut n, seed, -5..=1 << 62).unwrap();
                let each = || (0..len as u64).step_by(if len > 5000 { 37 } else { 1 });
                for i in each() {
                    assert_eq!(x.as_slice()[i as usize], naive_uniform(seed, i));
                    assert_eq!(y.as_slice()[i as usize], naive_uniform_f32(seed, i));
                    assert_eq!(n.as_slice()[i as usize], naive_integer(seed, i, -5, 1 << 62));
                }
                normal(pool, &mut x, seed, 1.0, 3.0).unwrap();
                normal(pool, &mut y, seed, 1.0, 3.0).unwrap();
                for i in each() {
                    let expected = 1.0 + 3.0 * naive_normal(seed, i);
                    assert_eq!(x.as_slice()[i as usize], expected);
                    assert_eq!(y.as_slice()[i as usize], expected as f32);
                }
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn integers_are_the_twins(seed in any::<u64>(), low in any::<i64>(), high in any::<i64>(), len in 0usize..300) {
        let (low, high) = (low.min(high), low.max(high));
        let mut n = SharedArray::<i64>::zeros(len).unwrap();
        integers(pool(), &mut n, seed, low..=high).unwrap();
        for (i, n) in n.as_slice().iter().enumerate() {
            prop_assert_eq!(*n, naive_integer(seed, i as u64, low, high));
        }
    }

    #[test]
    fn parts_of_any_place_are_the_same(seed in any::<u64>(), start in 0u64..1 << 40, len in 0usize..300) {
        let mut part = vec![0.0f64; len];
        Draw::fill_uniform(&mut part, start, seed, 0.0, 1.0);
        for (i, x) in part.iter().enumerate() {
            prop_assert_eq!(*x, naive_uniform(seed, start + i as u64));
        }
    }
}

#[test]
fn uniform_numbers_are_spread_evenly() {
    let mut x = pool().zeros::<f64>(200_000).unwrap();
    uniform(pool(), &mut x, 3, -2.0..6.0).unwrap();
    let x = x.as_slice();
    assert!(x.iter().all(|x| (-2.0..6.0).contains(x)));
    let bins = x.iter().fold([0.0; 64], |mut bins, x| {
        bins[((x + 2.0) * 8.0) as usize] += 1.0;
        bins
    });
    assert!(chi_square(&bins) < 120.0, "chi square of 63 degrees is below 120 but for 2 of 100,000 seeds");
    // Neighbours have nothing to do with each other.
    let product: f64 =
        x.windows(2).map(|pair| (pair[0] - 2.0) * (pair[1] - 2.0)).sum::<f64>() / x.len() as f64;
    assert!(product.abs() < 0.06, "the covariance of neighbours is {product}");
}

fn chi_square(bins: &[f64]) -> f64 {
    let expected = bins.iter().sum::<f64>() / bins.len() as f64;
    bins.iter().map(|n| (n - expected).powi(2) / expected).sum()
}

#[test]
fn normal_numbers_have_the_moments_of_the_distribution() {
    let mut x = pool().zeros::<f64>(200_000).unwrap();
    normal(pool(), &mut x, 11, 5.0, 2.0).unwrap();
    let moment =
        |k: i32| x.as_slice().iter().map(|x| ((x - 5.0) / 2.0).powi(k)).sum::<f64>() / x.len() as f64;
    // Five standard errors each.
    assert!(moment(1).abs() < 5.0 / 447.0 && (moment(2) - 1.0).abs() < 5.0 * 1.42 / 447.0);
    assert!(moment(3).abs() < 5.0 * 3.9 / 447.0 && (moment(4) - 3.0).abs() < 5.0 * 9.8 / 447.0);
    let beyond_two = x.as_slice().iter().filter(|x| (**x - 5.0).abs() > 4.0).count() as f64 / x.len() as f64;
    assert!((beyond_two - 0.0455).abs() < 0.0025);
}

#[test]
fn integers_are_unbiased_where_the_naive_modulus_is_not() {
    // A plain remainder would draw the lower half of this range twice as often as the upper.
    let high = 3 * (1u64 << 62) - 1;
    let mut n = pool().zeros::<u64>(100_000).unwrap();
    integers(pool(), &mut n, 5, 0..=high).unwrap();
    let bins = n.as_slice().iter().fold([0.0; 48], |mut bins, n| {
        bins[(*n / (1 << 58)) as usize] += 1.0;
        bins
    });
    assert!(chi_square(&bins) < 98.0, "{}", chi_square(&bins));
    let mut dice = pool().zeros::<i8>(60_000).unwrap();
    integers(pool(), &mut dice, 5, -3..=2).unwrap();
    let bins = dice.as_slice().iter().fold([0.0; 6], |mut bins, n| {
        bins[(n + 3) as usize] += 1.0;
        bins
    });
    assert!(chi_square(&bins) < 30.0);
}

#[test]
fn whole_ranges_and_single_numbers_are_ranges() {
    let mut n = SharedArray::<u64>::zeros(100).unwrap();
    integers(pool(), &mut n, 9, 0..=u64::MAX).unwrap();
    assert_eq!(n.as_slice()[3], draw(9, Domain::Integer, 3, 0));
    let mut n = SharedArray::<i64>::zeros(100).unwrap();
    integers(pool(), &mut n, 9, i64::MIN..=i64::MAX).unwrap();
    assert!(n.as_slice().iter().any(|n| *n < 0) && n.as_slice().iter().any(|n| *n > 0));
    integers(pool(), &mut n, 9, -7..=-7).unwrap();
    assert_eq!(n.as_slice(), [-7; 100]);
    let mut x = SharedArray::<f32>::zeros(5000).unwrap();
    let (low, high) = (1.0f32, 1.0f32.next_up());
    uniform(pool(), &mut x, 9, low..high).unwrap();
    assert_eq!(x.as_slice(), [1.0; 5000], "the end of a range is never drawn");
}

#[test]
fn bad_arguments_are_refused_before_anything_is_written() {
    let mut x = SharedArray::<f64>::from_slice(&[7.0]).unwrap();
    let inf = f64::INFINITY;
    for range in [1.0..1.0, 2.0..1.0, 0.0..inf, -inf..0.0, f64::NAN..1.0, -f64::MAX..f64::MAX] {
        let refused = uniform(pool(), &mut x, 0, range);
        assert!(matches!(refused, Err(KernelError::Argument { what: "range", .. })));
    }
    for (mean, deviation) in [(f64::NAN, 1.0), (0.0, inf), (0.0, -1.0)] {
        assert!(matches!(normal(pool(), &mut x, 0, mean, deviation), Err(KernelError::Argument { .. })));
    }
    #[allow(clippy::reversed_empty_ranges)]
    let refused = integers(pool(), &mut SharedArray::<u8>::zeros(1).unwrap(), 0, 2..=1);
    assert!(matches!(refused, Err(KernelError::Argument { what: "range", .. })));
    assert_eq!(x.as_slice(), [7.0]);
}

#[test]
fn a_range_may_be_written_in_any_way() {
    let draw = |fill: &dyn Fn(&mut SharedArray<i8>) -> Result<(), KernelError>| {
        let mut x = SharedArray::<i8>::zeros(5000).unwrap();
        fill(&mut x).map(|()| x.to_vec())
    };
    let closed = draw(&|x| integers(pool(), x, 3, -2..=4)).unwrap();
    assert!(
        (-2..=4).all(|value| closed.contains(&value)) && closed.iter().all(|value| (-2..=4).contains(value))
    );
    assert_eq!(draw(&|x| integers(pool(), x, 3, -2..5)).unwrap(), closed);
    let all = draw(&|x| integers(pool(), x, 3, ..)).unwrap();
    assert!(all.contains(&i8::MIN) && all.contains(&i8::MAX));
    assert_eq!(draw(&|x| integers(pool(), x, 3, i8::MIN..)).unwrap(), all);
    assert_eq!(draw(&|x| integers(pool(), x, 3, ..=i8::MAX)).unwrap(), all);
    for refused in [draw(&|x| integers(pool(), x, 3, 5..5)), draw(&|x| integers(pool(), x, 3, ..i8::MIN))] {
        assert!(matches!(refused, Err(KernelError::Argument { what: "range", .. })));
    }
}
