//! Kernels that stretch their inputs, and kernels that select, give what naive loops give, for all shapes and
//! teams.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use ndarray::{Array2, Array3, ArrayD, Ix3, IxDyn, s};
use phalanx::{Element, Pool, Shape, SharedArray};
use phalanx_kernels::select::{Side, compress, isin, nonzero, searchsorted, take};
use phalanx_kernels::spectral::Complex;
use phalanx_kernels::{KernelError, elementwise};
use proptest::prelude::*;
use std::sync::LazyLock;

fn pools() -> &'static [Pool] {
    static POOLS: LazyLock<Vec<Pool>> = LazyLock::new(|| {
        [1, 2, 3, 7].into_iter().map(|n| Pool::builder().workers(n).build().unwrap()).collect()
    });
    &POOLS
}

fn pool() -> &'static Pool {
    &pools()[1]
}

/// Numbers that look random and are the same in every run.
fn roll(seed: usize) -> u64 {
    let z = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

/// Runs a kernel on every team, compares the results, and returns what it gave.
fn same<U: Element + PartialEq + std::fmt::Debug, D: Shape>(
    run: impl Fn(&Pool) -> Result<SharedArray<U, D>, KernelError>,
) -> Vec<U> {
    let first = run(&pools()[0]).unwrap().to_vec();
    for pool in &pools()[1..] {
        assert!(run(pool).unwrap().as_slice() == first);
    }
    first
}

/// The shape of an input that is stretched to `shape`: bits of `form` are axes of length 1, and the first
/// axes of that length may be missing.
fn smaller(shape: [usize; 3], form: usize) -> Vec<usize> {
    let mut own: Vec<usize> =
        shape.iter().enumerate().map(|(at, length)| if form >> at & 1 == 1 { 1 } else { *length }).collect();
    while form & 8 != 0 && own.len() > 1 && own[0] == 1 {
        own.remove(0);
    }
    own
}

fn numbers(shape: &[usize], salt: usize) -> ArrayD<i64> {
    let mut seed = salt;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        seed += 1;
        (roll(seed) % 1000) as i64 - 500
    })
}

fn check(shape: [usize; 3], forms: [usize; 4]) {
    let [x, y, z, w] = [0, 1, 2, 3].map(|n| numbers(&smaller(shape, forms[n]), 1000 * n));
    let dim = Ix3(shape[0], shape[1], shape[2]);
    let [a, b, c, d] = [&x, &y, &z, &w].map(|x| {
        let wide = x.broadcast(IxDyn(&shape)).unwrap();
        wide.iter().copied().collect::<Vec<_>>()
    });
    let got = same(|pool| {
        let mut out = pool.zeros_nd::<i64, _>(dim)?;
        elementwise::zip4(pool, &mut out, &x, &y, &z, &w, |x, y, z, w| 7 * x - 3 * y + z * w).map(|()| out)
    });
    let want: Vec<i64> = (0..a.len()).map(|i| 7 * a[i] - 3 * b[i] + c[i] * d[i]).collect();
    assert!(got == want, "{shape:?} {forms:?}");
    let got = same(|pool| {
        let mut out = pool.zeros_nd::<i64, _>(dim)?;
        elementwise::clip(pool, &mut out, &x, &y, &z).map(|()| out)
    });
    let want: Vec<i64> = (0..a.len()).map(|i| a[i].max(b[i]).min(c[i])).collect();
    assert!(got == want, "{shape:?} {forms:?}");
    let mut less = pool().zeros_nd::<u8, _>(dim).unwrap();
    elementwise::less(pool(), &mut less, &x, &y).unwrap();
    let want: Vec<u8> = a.iter().zip(&b).map(|(a, b)| u8::from(a < b)).collect();
    assert_eq!(less.as_slice(), want);
}

#[test]
fn every_way_to_stretch_inputs() {
    for shape in [[2, 3, 4], [1, 1, 1], [1, 30_011, 1], [3, 4001, 3], [30, 7, 100], [2, 3, 2600], [4, 0, 3]] {
        for form in 0..16 {
            check(shape, [form, 0, (form * 5 + 3) % 16, 7]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_shapes(shape in [1usize..30, 1..40, 1..50], forms in [0usize..16, 0..16, 0..16, 0..16]) {
        check(shape, forms);
    }

    #[test]
    fn any_mask_and_any_places(len in 0usize..90_000, odds in 1u64..9, seed in 0usize..1000) {
        let x: Vec<u32> = (0..len).map(|i| roll(i + seed) as u32).collect();
        let mask: Vec<u8> = (0..len).map(|i| u8::from(roll(2 * i + seed).is_multiple_of(odds))).collect();
        let kept: Vec<u32> = x.iter().zip(&mask).filter(|(_, m)| **m != 0).map(|(x, _)| *x).collect();
        prop_assert_eq!(same(|pool| compress(pool, &x, &mask)), kept);
        let set: Vec<u64> = (0..len as u64).filter(|i| mask[*i as usize] != 0).collect();
        prop_assert_eq!(same(|pool| nonzero(pool, &mask)), set.clone());
        if len > 0 {
            let places: Vec<i64> = (0..30_000).map(|i| (roll(i) % (2 * len as u64)) as i64 - len as i64).collect();
            let want: Vec<u32> = places.iter().map(|i| x[i.rem_euclid(len as i64) as usize]).collect();
            let got = same(|pool| {
                let mut out = pool.zeros(places.len())?;
                take(pool, &mut out, &x, &places).map(|()| out)
            });
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn places_in_sorted_arrays(len in 0usize..300, count in 0usize..30_000, kinds in 1u64..400) {
        let value = |i: usize| match roll(i) % kinds { 0 => f64::NAN, 1 => -0.0, x => x as f64 - 2.0 };
        let mut sorted: Vec<f64> = (0..len).map(value).collect();
        sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
        let values: Vec<f64> = (0..count).map(|i| value(i + 1_000_000)).collect();
        for side in [Side::Left, Side::Right] {
            let got = same(|pool| {
                let mut out = pool.zeros(count)?;
                searchsorted(pool, &mut out, &sorted, &values, side).map(|()| out)
            });
            let before = |x: &f64, value: f64| match side {
                Side::Left => *x < value || (value.is_nan() && !x.is_nan()),
                Side::Right => *x <= value || value.is_nan(),
            };
            let want: Vec<u64> =
                values.iter().map(|v| sorted.iter().filter(|x| before(x, *v)).count() as u64).collect();
            prop_assert_eq!(got, want);
        }
        let got = same(|pool| {
            let mut out = pool.zeros(count)?;
            isin(pool, &mut out, &values, &sorted).map(|()| out)
        });
        let want: Vec<u8> = values.iter().map(|v| u8::from(sorted.contains(v))).collect();
        prop_assert_eq!(got, want);
    }
}

#[test]
fn special_values_are_numpys() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = [1.0, nan, -inf, nan];
    let y = [nan, 2.0, 3.0, nan];
    let mut out = pool().zeros(4).unwrap();
    for kernel in [elementwise::minimum::<f64, _>, elementwise::maximum] {
        kernel(pool(), &mut out, &x, &y).unwrap();
        assert_eq!(out.as_slice().iter().map(|x| x.is_nan()).collect::<Vec<_>>(), [true, true, false, true]);
    }
    elementwise::clip(pool(), &mut out, &x, &[0.0], &[0.5]).unwrap();
    assert!(out.as_slice()[..3].iter().map(|x| x.to_bits()).eq([0.5, nan, 0.0].map(f64::to_bits)));
    let mut wrapped = pool().zeros(1).unwrap();
    elementwise::add(pool(), &mut wrapped, &[i8::MAX], &[1]).unwrap();
    assert_eq!(wrapped.as_slice(), [i8::MIN]);
}

#[test]
fn views_and_complex_numbers_are_inputs() {
    let x = Array3::from_shape_fn((30, 40, 20), |(i, j, k)| Complex::new(i as f64, (j + k) as f64));
    let view = x.slice(s![..;-1, ..;2, ..]);
    let scale = Array2::from_shape_fn((20, 1), |(i, _)| Complex::new(0.0, i as f64));
    let mut out = pool().zeros_nd::<Complex<f64>, _>((30, 20, 20)).unwrap();
    elementwise::zip2(pool(), &mut out, &view, &scale, |x, y| x * y).unwrap();
    assert_eq!(out.view(), &view * &scale);
}

#[test]
fn what_does_not_fit_is_refused_and_out_is_unchanged() {
    let mut out = pool().from_fn(3, |_| 7.0).unwrap();
    let refused = [
        elementwise::add(pool(), &mut out, &[1.0, 2.0], &[1.0]),
        elementwise::add(pool(), &mut out, &[1.0], &Array2::zeros((1, 3))),
        elementwise::select(pool(), &mut out, &[1u8], &[1.0], &[1.0; 4]),
    ];
    assert!(refused.iter().all(|refused| matches!(refused, Err(KernelError::Shape { .. }))));
    let bad = take(pool(), &mut out, &[1.0, 2.0], &[0, 1, 2]);
    assert!(matches!(bad, Err(KernelError::Index { at: 2, len: 2, .. })));
    let bad = take(pool(), &mut out, &[1.0, 2.0], &[0, -3, 9]);
    assert!(matches!(bad, Err(KernelError::Index { at: 1, len: 2, .. })));
    assert!(matches!(compress(pool(), &[1.0, 2.0], &[1u8]), Err(KernelError::Shape { what: "mask", .. })));
    assert_eq!(out.as_slice(), [7.0; 3]);
    let many: Vec<i8> = (0..20_000).map(|i| if i == 17_000 { i8::MIN } else { (i % 100) as i8 }).collect();
    let mut out = pool().zeros::<u8>(20_000).unwrap();
    let bad = take(pool(), &mut out, &[0u8; 100], &many);
    assert!(matches!(bad, Err(KernelError::Index { at: 17_000, len: 100, .. })));
}

#[test]
fn a_function_that_panics_is_an_error_wherever_it_runs() {
    for len in [3, 30_000] {
        let x = pool().from_fn(len, |i| i as u64).unwrap();
        let mut out = pool().zeros::<u64>(len).unwrap();
        let failed =
            elementwise::zip2(
                pool(),
                &mut out,
                &x,
                &[1u64],
                |x, y| if x == 2 { panic!("two") } else { x / y },
            );
        assert!(matches!(failed, Err(KernelError::Launch(_))));
    }
}
