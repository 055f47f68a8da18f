use super::any;
use super::*;
use crate::error::KernelError;
use crate::inline::launching;
use crate::number::Number;
use crate::testing::{Dice, LENGTHS, pool, pools};
use ndarray::Array2;
use phalanx::{Element, Pool, SharedArray};
use proptest::prelude::*;

fn shared<T: Element>(values: &[T]) -> SharedArray<T> {
    SharedArray::from_slice(values).unwrap()
}

/// As close as rounding lets two orders of summation be.
fn near(a: f64, b: f64, scale: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-13 * scale
}

/// The naive twins: plain loops, no care for speed.
mod naive {
    pub fn extreme(x: &[f64], better: impl Fn(f64, f64) -> bool) -> usize {
        let mut best = 0;
        for (i, &value) in x.iter().enumerate() {
            if x[best].is_nan() {
                break;
            }
            if value.is_nan() || better(value, x[best]) {
                best = i;
            }
        }
        best
    }

    pub fn histogram(x: &[f64], edges: &[f64]) -> Vec<u64> {
        let bins = edges.len() - 1;
        let mut counts = vec![0; bins];
        for &x in x {
            for bin in 0..bins {
                let closed = bin == bins - 1 && x == edges[bins];
                if (edges[bin] <= x && x < edges[bin + 1]) || closed {
                    counts[bin] += 1;
                }
            }
        }
        counts
    }
}

/// Every reduction of floats against its naive twin.
fn check_floats(pool: &Pool, x: &[f64], y: &[f64]) {
    let (sx, sy) = (shared(x), shared(y));
    let size: f64 = x.iter().map(|x| x.abs()).sum();
    let plain: f64 = x.iter().sum();
    assert!(near(sum(pool, &sx).unwrap(), plain, size));
    assert!(near(sum_compensated(pool, &sx).unwrap(), plain, size));
    let products = x.iter().zip(y).map(|(x, y)| x * y);
    assert!(near(dot(pool, &sx, &sy).unwrap(), products.clone().sum(), products.map(f64::abs).sum()));
    assert!(near(norm1(pool, &sx).unwrap(), size, size));
    let squares: f64 = x.iter().map(|x| x * x).sum();
    assert!(near(norm2(pool, &sx).unwrap(), squares.sqrt(), squares.sqrt()));
    assert_eq!(count_if(pool, &sx, |x| x > 0.25).unwrap(), x.iter().filter(|&&x| x > 0.25).count());
    assert_eq!(any(pool, &sx, |x| x > 0.99).unwrap(), x.iter().any(|&x| x > 0.99));
    assert_eq!(all(pool, &sx, |x| x > -0.99).unwrap(), x.iter().all(|&x| x > -0.99));
    let (mean_got, n) = (mean(pool, &sx).unwrap(), x.len() as f64);
    assert!(near(mean_got, plain / n, size / n), "{mean_got}");
    let (naive_mean, got) = (plain / n, moments(pool, &sx).unwrap());
    let power = |k: i32| x.iter().map(|x| (x - naive_mean).powi(k)).sum::<f64>();
    let scale = squares.max(1e-300);
    assert!(near(got.m2, power(2), 10.0 * scale) && near(got.m3, power(3), 10.0 * scale), "{got:?}");
    assert!(near(got.m4, power(4), 10.0 * scale) && got.count == x.len() as u64);
    assert!(near(
        variance(pool, &sx, 1).unwrap(),
        if n > 1.0 { power(2) / (n - 1.0) } else { f64::NAN },
        scale
    ));
    if !x.is_empty() {
        let (low, high) = (naive::extreme(x, |a, b| a < b), naive::extreme(x, |a, b| a > b));
        assert_eq!((argmin(pool, &sx).unwrap(), argmax(pool, &sx).unwrap()), (low, high));
        assert_eq!((min(pool, &sx).unwrap(), max(pool, &sx).unwrap()), (x[low], x[high]));
        assert_eq!(norm_inf(pool, &sx).unwrap(), x.iter().fold(0.0, |a, b| b.abs().max(a)));
    }
}

/// Every reduction of integers against its naive twin.
fn check_bytes(pool: &Pool, x: &[u8]) {
    let sx = shared(x);
    assert_eq!(sum(pool, &sx).unwrap(), x.iter().map(|&x| u64::from(x)).sum::<u64>());
    assert_eq!(dot(pool, &sx, &sx).unwrap(), x.iter().map(|&x| u64::from(x) * u64::from(x)).sum::<u64>());
    let mut counts = vec![0; x.iter().max().map_or(0, |&max| usize::from(max) + 1)];
    x.iter().for_each(|&x| counts[usize::from(x)] += 1);
    assert_eq!(bincount(pool, &sx, 0).unwrap().as_slice(), counts);
    counts.resize(counts.len().max(1000), 0);
    assert_eq!(bincount(pool, &sx, 1000).unwrap().as_slice(), counts);
    if let Some(low) = x.iter().min() {
        assert_eq!(min(pool, &sx).unwrap(), *low);
        assert_eq!(argmin(pool, &sx).unwrap(), x.iter().position(|x| x == low).unwrap());
    }
}

#[test]
fn every_length_inline_and_launched() {
    let mut dice = Dice(3);
    for len in LENGTHS {
        let (x, y) = (dice.units(len), dice.units(len));
        let bytes: Vec<u8> = x.iter().map(|x| (x * 127.0) as i8 as u8).collect();
        check_floats(pool(), &x, &y);
        check_bytes(pool(), &bytes);
        launching(|| {
            check_floats(pool(), &x, &y);
            check_bytes(pool(), &bytes);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_values(x in prop::collection::vec(-1.0f64..1.0, 0..5000), bytes in prop::collection::vec(proptest::prelude::any::<u8>(), 0..5000)) {
        launching(|| {
            check_floats(pool(), &x, &x);
            check_bytes(pool(), &bytes);
        });
    }

    #[test]
    fn extremes_of_any_values(x in prop::collection::vec(prop_oneof![9 => -4i32..4, 1 => Just(i32::MAX)], 1..300)) {
        // Few distinct values, so that equal ones abound; the largest stands for NaN.
        let x: Vec<f64> = x.into_iter().map(|x| if x == i32::MAX { f64::NAN } else { f64::from(x) }).collect();
        let (low, high) = (naive::extreme(&x, |a, b| a < b), naive::extreme(&x, |a, b| a > b));
        launching(|| {
            prop_assert_eq!((argmin(pool(), &x).unwrap(), argmax(pool(), &x).unwrap()), (low, high));
            let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
            prop_assert!(same(min(pool(), &x).unwrap(), x[low]) && same(max(pool(), &x).unwrap(), x[high]));
            prop_assert_eq!(norm_inf(pool(), &x).unwrap().is_nan(), x[low].is_nan());
            Ok(())
        })?;
    }

    #[test]
    fn histograms_count_by_the_borders_as_rounded(x in prop::collection::vec(-3.0f64..3.0, 0..300), low in -2.0f64..0.5, width in 1e-3f64..3.0, bins in 1usize..50) {
        let first = histogram(pool(), &x, bins, low..low + width).unwrap();
        prop_assert_eq!(&first.counts, &naive::histogram(&x, &first.edges));
        // Elements on borders are the hard ones.
        let mut hard = x;
        hard.extend(first.edges.iter().flat_map(|&e| [e, e.next_up(), e.next_down()]));
        hard.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        launching(|| {
            let second = histogram(pool(), &hard, bins, low..low + width).unwrap();
            prop_assert_eq!(second.counts, naive::histogram(&hard, &second.edges));
            Ok(())
        })?;
    }
}

#[test]
fn the_same_bits_for_every_number_of_workers() {
    let mut dice = Dice(4);
    let (x, y) = (shared(&dice.units(300_007)), shared(&dice.units(300_007)));
    let single = shared(&x.as_slice().iter().map(|&x| x as f32).collect::<Vec<_>>());
    let bits = |pool: &Pool| {
        let m = moments(pool, &x).unwrap();
        [
            sum(pool, &x).unwrap().to_bits(),
            u64::from(sum(pool, &single).unwrap().to_bits()),
            sum_compensated(pool, &x).unwrap().to_bits(),
            dot(pool, &x, &y).unwrap().to_bits(),
            norm1(pool, &x).unwrap().to_bits(),
            norm2(pool, &x).unwrap().to_bits(),
            mean(pool, &single).unwrap().to_bits(),
            m.m2.to_bits() ^ m.m3.to_bits().rotate_left(7) ^ m.m4.to_bits().rotate_left(13),
            argmin(pool, &x).unwrap() as u64,
            min(pool, &x).unwrap().to_bits(),
        ]
    };
    let first = bits(&pools()[0]);
    for pool in &pools()[1..] {
        assert_eq!(bits(pool), first);
    }
    assert_eq!(bits(&Pool::builder().workers(2).backend(phalanx::Backend::Inline).build().unwrap()), first);
}

#[test]
fn many_bins_and_many_values() {
    let mut dice = Dice(5);
    let x: Vec<u32> = (0..200_000).map(|_| (dice.roll() % 300_000) as u32).collect();
    let mut counts = vec![0u64; *x.iter().max().unwrap() as usize + 1];
    x.iter().for_each(|&x| counts[x as usize] += 1);
    assert_eq!(bincount(pool(), &x, 0).unwrap().as_slice(), counts, "counted atomically");
    let got = histogram(pool(), &x, counts.len(), 0.0..counts.len() as f64).unwrap();
    assert_eq!(got.counts, counts);
    for bins in [100, 3000, 100_000] {
        let got = histogram(pool(), &x, bins, 0.0..300_000.0).unwrap();
        let mut want = vec![0; bins];
        x.iter().for_each(|&x| want[x as usize / (300_000 / bins)] += 1);
        assert_eq!(got.counts, want, "{bins}");
    }
}

#[test]
fn numpy_decides_about_special_values() {
    let pool = pool();
    assert_eq!(sum::<f64>(pool, &[]).unwrap(), 0.0);
    assert_eq!(sum(pool, &[-0.0f64]).unwrap().to_bits(), 0, "the sum begins from +0");
    assert!(sum(pool, &[f64::INFINITY, f64::NEG_INFINITY]).unwrap().is_nan());
    assert_eq!(sum(pool, &[f64::MAX, f64::MAX]).unwrap(), f64::INFINITY);
    assert_eq!(sum_compensated(pool, &[f64::INFINITY, 1.0]).unwrap(), f64::INFINITY);
    assert!(sum_compensated(pool, &[f64::NAN, 1.0]).unwrap().is_nan());
    assert_eq!(sum(pool, &[u64::MAX, 2]).unwrap(), 1, "integers wrap around");
    assert_eq!(sum(pool, &[i8::MIN, i8::MIN]).unwrap(), -256);
    assert!(mean::<f64>(pool, &[]).unwrap().is_nan());
    assert!(variance::<f64>(pool, &[], 0).unwrap().is_nan());
    assert!(variance(pool, &[1.0], 1).unwrap().is_nan());
    assert_eq!(variance(pool, &[7.0; 3], 0).unwrap(), 0.0);
    assert!(variance(pool, &[1.0, f64::INFINITY], 0).unwrap().is_nan());
    assert_eq!(mean(pool, &[1.0, f64::INFINITY]).unwrap(), f64::INFINITY);
    assert!(moments(pool, &[2.0; 5]).unwrap().skewness().is_nan());
    assert_eq!((min(pool, &[u8::MAX]).unwrap(), max(pool, &[i64::MIN]).unwrap()), (255, i64::MIN));
    // Far from zero, digits are kept.
    let far = pool.from_fn(100_000, |i| 1e9 + (i % 2) as f64).unwrap();
    assert!((variance(pool, &far, 0).unwrap() - 0.25).abs() < 1e-9);
}

#[test]
fn the_precision_of_sums() {
    let x = pool().from_fn(3_000_000, |_| 0.1f32).unwrap();
    let exact = 3_000_000.0 * f64::from(0.1f32);
    assert!((f64::from(sum(pool(), &x).unwrap()) / exact - 1.0).abs() < 1e-6);
    assert_eq!(sum_compensated(pool(), &x).unwrap(), exact as f32);
    // Everything cancels but ones.
    let y = pool().from_fn(300_000, |i| [1e17, 1.0, -1e17][i % 3]).unwrap();
    assert_eq!(sum_compensated(pool(), &y).unwrap(), 100_000.0);
}

#[test]
fn any_kind_of_input() {
    let table = Array2::from_shape_fn((150, 200), |(i, j)| (i * j) as f64);
    let want = table.sum();
    assert_eq!(sum(pool(), &table).unwrap(), want);
    assert_eq!(sum(pool(), &table.t()).unwrap(), want);
    assert_eq!(sum(pool(), &table.view().into_dyn()).unwrap(), want);
    assert_eq!(argmax(pool(), &table).unwrap(), 150 * 200 - 1);
    assert_eq!(dot(pool(), &table, &pool().from_ndarray(&table).unwrap()).unwrap(), (&table * &table).sum());
    let row = Array2::from_elem((1, 50_000), 2u16);
    assert_eq!(sum(pool(), &pool().from_ndarray(&row).unwrap()).unwrap(), 100_000);
}

#[test]
fn bad_arguments_are_refused() {
    let pool = pool();
    let none: [f64; 0] = [];
    for refused in [
        min(pool, &none).map(drop),
        max(pool, &none).map(drop),
        argmin(pool, &none).map(drop),
        argmax(pool, &none).map(drop),
        norm_inf(pool, &none).map(drop),
    ] {
        assert!(matches!(refused, Err(KernelError::Empty { .. })));
    }
    assert!(matches!(dot(pool, &[1.0, 2.0], &[1.0]), Err(KernelError::Shape { what: "y", .. })));
    for (bins, range) in [
        (0, 0.0..1.0),
        (3, 1.0..1.0),
        (3, 2.0..1.0),
        (3, 0.0..f64::INFINITY),
        (3, f64::NAN..1.0),
        (usize::MAX, 0.0..1.0),
        (3, f64::MIN..f64::MAX),
        (3, 0.0..5e-324),
        (2, 0.0..1e-323),
        (100, 1.0..1.0 + 10.0 * f64::EPSILON),
    ] {
        assert!(matches!(histogram(pool, &[1.0], bins, range), Err(KernelError::Argument { .. })));
    }
    assert!(matches!(bincount(pool, &[3, -1], 0), Err(KernelError::Argument { what: "x", .. })));
    assert!(matches!(bincount(pool, &[u64::MAX], 0), Err(KernelError::Memory(_))));
}

#[test]
fn words_carry_every_type() {
    fn there_and_back<T: Number>(values: &[T]) {
        for value in values {
            assert_eq!(bytemuck::bytes_of(&T::from_word(value.to_word())), bytemuck::bytes_of(value));
        }
    }
    there_and_back(&[-1.5f32, f32::NAN, -0.0]);
    there_and_back(&[-1.5f64, f64::NAN, f64::INFINITY]);
    there_and_back(&[i8::MIN, -1, 0, i8::MAX]);
    there_and_back(&[u64::MAX, 0]);
}
