//! Reductions at the ends of the range of floats: scaling the elements scales the results, and nothing else.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool};
use proptest::prelude::*;

/// Powers of two by which ordinary numbers become huge, tiny, and partly subnormal.
const SCALES: [i32; 9] = [-1040, -1022, -600, -300, 0, 300, 500, 600, 1018];

fn close(a: f64, b: f64, error: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= error * b.abs()
}

/// `x` times a power of two, rounded where it becomes subnormal.
fn scaled(x: &[f64], exponent: i32) -> Vec<f64> {
    let (half, rest) = (2f64.powi(exponent / 2), 2f64.powi(exponent - exponent / 2));
    x.iter().map(|x| x * half * rest).collect()
}

/// The naive twin: distances as parts of the largest number.
fn naive(x: &[f64]) -> (f64, f64, f64, f64) {
    let largest = x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
    let unit = 2f64.powi(if largest > 1.0 { -1000 } else { 1000 });
    let parts: Vec<f64> = x.iter().map(|x| x * unit / (largest * unit)).collect();
    let n = x.len() as f64;
    let mean = parts.iter().sum::<f64>() / n;
    let power = |k| parts.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
    let norm = parts.iter().map(|x| x * x).sum::<f64>().sqrt();
    (mean * largest, norm * largest, power(2).sqrt() * largest, power(3) / power(2).powf(1.5))
}

fn check(x: &[f64]) {
    let (mean_want, norm, std, skewness) = naive(x);
    // What a subnormal number may be off.
    let error = 1e-11 + 1e-320 / std;
    let largest = x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
    assert!((mean(pool(), x).unwrap() - mean_want).abs() <= error * largest, "{mean_want:e}");
    assert!(close(norm2(pool(), x).unwrap(), norm, error), "{norm:e}");
    let m = moments(pool(), x).unwrap();
    assert!((m.mean() - mean_want).abs() <= error * largest, "{m:?}");
    assert!(close(m.std(0), std, error), "{m:?}, {std:e}");
    assert!((m.skewness() - skewness).abs() < error * (1.0 + skewness.abs()), "{m:?}, {skewness}");
    let (var, both) = (variance(pool(), x, 0).unwrap(), m.variance(0));
    assert!(close(var, both, 1e-9) || (var - both).abs() < 1e-320, "{var:e} or {both:e}");
}

#[test]
fn results_scale_as_the_elements_do() {
    let mut dice = Dice(17);
    for len in [2, 3, 100, 5000, 12_000] {
        let x = dice.units(len);
        let far: Vec<f64> = x.iter().map(|x| x + 5.0).collect();
        for exponent in SCALES {
            check(&scaled(&x, exponent));
            check(&scaled(&far, exponent));
            launching(|| check(&scaled(&x, exponent)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn norms_are_right_whatever_the_sizes_of_the_elements(bits in prop::collection::vec(proptest::prelude::any::<u64>(), 1..100)) {
        let x: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|x| x.is_finite()).collect();
        let want = x.iter().fold(0.0f64, |sum, x| sum.hypot(*x));
        let got = norm2(pool(), &x).unwrap();
        prop_assert!(close(got, want, 1e-13 + 1e-322 / want), "{got:e}, {want:e}");
        let single: Vec<f32> = x.iter().map(|x| *x as f32).filter(|x| x.is_finite()).collect();
        let want = single.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let got = f64::from(norm2(pool(), &single).unwrap());
        prop_assert!(close(got, want, 1e-5 + 3e-45 / want) || want > f64::from(f32::MAX), "{got:e}, {want:e}");
    }

    #[test]
    fn equal_elements_have_no_spread(value: f64, len in 1usize..30_000) {
        prop_assume!(value.is_finite());
        let x = vec![value; len];
        let m = moments(pool(), &x).unwrap();
        prop_assert_eq!((m.mean(), m.variance(0), m.std(0)), (value, 0.0, 0.0));
        prop_assert!(m.skewness().is_nan() && m.kurtosis().is_nan());
        prop_assert_eq!(variance(pool(), &x, 0).unwrap(), 0.0);
    }
}

#[test]
fn elements_that_are_almost_equal_keep_their_shape() {
    // A third of them is one step of rounding larger; SciPy's exact results for 0, 0, 1.
    for value in [0.1, 1.0, 1e15, -3e-200] {
        let next = if value < 0.0 { f64::next_down } else { f64::next_up };
        let x: Vec<f64> = (0..30_000).map(|i| if i % 3 == 0 { next(value) } else { value }).collect();
        let m = moments(pool(), &x).unwrap();
        assert!(close(m.skewness().abs(), 0.5f64.sqrt(), 1e-3), "{value}: {}", m.skewness());
        assert!(close(m.kurtosis(), -1.5, 1e-3), "{value}: {}", m.kurtosis());
    }
}

#[test]
fn what_is_infinite_or_no_number_stays_so() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    assert_eq!(norm2(pool(), &[1.0, -inf]).unwrap(), inf);
    assert!(norm2(pool(), &[inf, nan]).unwrap().is_nan());
    assert_eq!(norm2(pool(), &[f64::MAX; 4]).unwrap(), inf, "the norm itself is too large");
    assert_eq!(norm2(pool(), &[0.0, -0.0]).unwrap(), 0.0);
    assert_eq!(mean(pool(), &[f64::MAX; 3]).unwrap(), f64::MAX);
    assert_eq!(mean(pool(), &[1e308, 1e308, -1e308, -1e308]).unwrap(), 0.0);
    assert_eq!(mean(pool(), &[1e308, inf]).unwrap(), inf);
    assert_eq!(moments(pool(), &[1.0, inf]).unwrap().mean(), inf);
    assert!(variance(pool(), &[1.0, nan], 0).unwrap().is_nan());
    assert_eq!(variance(pool(), &[1e200, -1e200], 0).unwrap(), inf, "the variance itself is too large");
    assert_eq!(moments(pool(), &[1e200, -1e200]).unwrap().std(0), 1e200);
    assert_eq!(variance(pool(), &[3e-162, 0.0], 0).unwrap(), 0.0, "and too small");
}

#[test]
fn moments_in_different_units_are_combined() {
    let (small, large): (Vec<f64>, Vec<f64>) =
        ((0..50).map(|i| f64::from(i) * 1e-200).collect(), vec![1e200, 3e200, -1e200]);
    let of = |x: &[f64]| moments(pool(), x).unwrap();
    let all: Vec<f64> = small.iter().chain(&large).copied().collect();
    for both in [Moments::combine(of(&small), of(&large)), Moments::combine(of(&large), of(&small))] {
        let want = of(&all);
        assert_eq!(both.count, 53);
        assert!(
            close(both.mean(), want.mean(), 1e-12) && close(both.std(1), want.std(1), 1e-12),
            "{both:?} {want:?}"
        );
        assert!(
            close(both.skewness(), want.skewness(), 1e-12) && close(both.kurtosis(), want.kurtosis(), 1e-12)
        );
    }
}
