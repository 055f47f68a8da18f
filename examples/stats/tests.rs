//! The statistics against naive twins: sort everything, add everything.

use crate::analysis::{Statistics, Value, analyse, analyse_small};
use crate::quantile::{PERCENTS, interpolate, position};
use crate::sweep::Serial;
use half::f16;
use phalanx_kernels::profile::{Keyed, Small};
use proptest::prelude::*;

fn real(x: impl Into<f64>) -> Value {
    Value::Real(x.into())
}

fn whole(x: impl Into<i128>) -> Value {
    Value::Whole(x.into())
}

fn stats<T: Keyed>(data: &[T], to_value: fn(T) -> Value) -> Statistics {
    analyse(&mut Serial::new(data, &|_| ()), to_value).unwrap()
}

fn small<T: Small>(data: &[T]) -> Statistics {
    analyse_small(&mut Serial::new(data, &|_| ())).unwrap()
}

/// Compares with the naive twin over `(value, float64)` pairs; `gap` is the difference in the element type.
fn check<T: Copy + PartialOrd>(got: &Statistics, data: &[T], to_value: fn(T) -> Value, gap: fn(T, T) -> f64) {
    #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
    let mut kept: Vec<(T, u64)> = data.iter().copied().zip(0..).filter(|(x, _)| *x == *x).collect();
    assert_eq!((got.count, got.nan), (data.len() as u64, (data.len() - kept.len()) as u64));
    kept.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap().then(a.1.cmp(&b.1)));
    let n = kept.len();
    if n == 0 {
        assert!(got.mean.is_nan() && got.std.is_nan() && got.min.is_none() && got.max.is_none());
        assert!(got.percentiles.iter().all(|p| p.is_nan()));
        return;
    }
    let last = kept[n - 1].0;
    let argmax = kept.iter().find(|(x, _)| *x == last).unwrap().1;
    assert_eq!(got.min, Some((to_value(kept[0].0), kept[0].1)));
    assert_eq!(got.max, Some((to_value(last), argmax)));
    for (percent, got) in PERCENTS.into_iter().zip(got.percentiles) {
        let (low, high, weight) = position(percent, n as u64);
        let (a, b) = (kept[low as usize].0, kept[high as usize].0);
        let value = interpolate(to_value(a).to_f64(), to_value(b).to_f64(), gap(a, b), weight);
        assert!(value == got || (value.is_nan() && got.is_nan()), "percentile {percent}: {got}, not {value}");
    }
    let values: Vec<f64> = kept.iter().map(|(x, _)| to_value(*x).to_f64()).collect();
    check_moments(got, &values);
    let edges: Vec<f64> = got.histogram.edges.iter().map(|e| e.to_f64()).collect();
    assert!(edges.windows(2).all(|pair| pair[0] <= pair[1]), "{edges:?}");
    assert_eq!(got.histogram.counts.len() + 1, edges.len());
    assert_eq!(got.histogram.counts.iter().sum::<u64>(), n as u64);
    for (i, &count) in got.histogram.counts.iter().enumerate() {
        let end = i + 2 == edges.len();
        let (from, to) = (got.histogram.edges[i], got.histogram.edges[i + 1]);
        let inside = |x: &&(T, u64)| match (to_value(x.0), from, to) {
            (Value::Whole(x), Value::Whole(from), Value::Whole(to)) => x >= from && (x < to || end),
            (x, from, to) => x.to_f64() >= from.to_f64() && (x.to_f64() < to.to_f64() || end),
        };
        assert_eq!(kept.iter().filter(inside).count() as u64, count, "bar {i} of {edges:?}");
    }
    assert!(got.histogram.draw().lines().all(|line| line.chars().count() <= 80), "{}", got.histogram.draw());
}

fn check_moments(got: &Statistics, values: &[f64]) {
    let n = values.len() as f64;
    let (low, high) = (values[0], values[values.len() - 1]);
    if low.is_infinite() || high.is_infinite() {
        assert!(got.std.is_nan());
        assert!(got.mean == low + high || (low + high).is_nan() && got.mean.is_nan());
        return;
    }
    // Squares of large numbers overflow, here and in NumPy, and those of small ones vanish, unless they are
    // counted in other units.
    let unit = match low.abs().max(high.abs()) {
        size if size > 1e150 => 2f64.powi(-1000),
        size if size < 1e-130 => 2f64.powi(900),
        _ => 1.0,
    };
    let scaled: Vec<f64> = values.iter().map(|x| x * unit).collect();
    let (values, size) = (&scaled, low.abs().max(high.abs()) * unit);
    let (got_mean, got_std) = (got.mean * unit, got.std * unit);
    // Neumaier's compensated sums: the naive twin of a sum of millions must not be the less exact one.
    let exact = |terms: &mut dyn Iterator<Item = f64>| {
        let (mut sum, mut lost) = (0.0f64, 0.0);
        for x in terms {
            let next = sum + x;
            lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
            sum = next;
        }
        sum + lost
    };
    let mean = exact(&mut values.iter().copied()) / n;
    let variance = exact(&mut values.iter().map(|x| (x - mean).powi(2))) / n;
    let size = size + f64::MIN_POSITIVE;
    assert!((got_mean - mean).abs() <= 1e-12 * size + 5e-324 * unit, "mean {got_mean} not {mean}");
    assert!(
        (got_std - variance.sqrt()).abs() <= 1e-9 * variance.sqrt() + 1e-12 * size + 5e-324 * unit,
        "std {got_std} not {}",
        variance.sqrt()
    );
}

fn check_f64(data: &[f64]) {
    check(&stats(data, real), data, real, |a, b| b - a);
}
fn check_f32(data: &[f32]) {
    check(&stats(data, real), data, real, |a, b| f64::from(b - a));
}
fn check_i64(data: &[i64]) {
    check(&stats(data, whole), data, whole, i64::gap);
}

fn odd_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3f64,
        2 => (-20..20i32).prop_map(f64::from),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![
            f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 5e-324, -5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN,
        ]),
    ]
}

proptest! {
    #[test]
    fn floats(data in prop::collection::vec(odd_float(), 1..300)) {
        check_f64(&data);
        check_f32(&data.iter().map(|&x| x as f32).collect::<Vec<_>>());
        let halves: Vec<f16> = data.iter().map(|&x| f16::from_f64(x)).collect();
        check(&small(&halves), &halves, |x| Value::Real(x.to_f64()), |a, b| f16::from_f64(b.to_f64() - a.to_f64()).to_f64());
    }

    #[test]
    fn repeated(data in prop::collection::vec(odd_float(), 1..4), times in 1..200usize) {
        check_f64(&data.repeat(times));
    }

    #[test]
    fn integers(data in prop::collection::vec(prop_oneof![any::<i64>(), -9..9i64, Just(i64::MIN), Just(i64::MAX)], 1..300)) {
        check_i64(&data);
        let unsigned: Vec<u64> = data.iter().map(|&x| x as u64).collect();
        check(&stats(&unsigned, whole), &unsigned, whole, u64::gap);
        let unsigned: Vec<u32> = data.iter().map(|&x| x as u32).collect();
        check(&stats(&unsigned, whole), &unsigned, whole, u32::gap);
        let signed: Vec<i32> = data.iter().map(|&x| x as i32).collect();
        check(&stats(&signed, whole), &signed, whole, i32::gap);
        macro_rules! narrow { ($($t:ident)*) => { $(
            let narrow: Vec<$t> = data.iter().map(|&x| x as $t).collect();
            check(&small(&narrow), &narrow, whole, |a, b| f64::from(b) - f64::from(a));
        )* } }
        narrow!(i8 u8 i16 u16);
    }
}

/// Enough values for sampling, several chunks and the refining passes.
fn many(n: u64, value: impl Fn(u64) -> f64) -> Vec<f64> {
    (0..n).map(|i| value(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11)).collect()
}

#[test]
fn large() {
    let uniform = many(3_000_000, |x| x as f64 / (1u64 << 53) as f64 + 1e6);
    check_f64(&uniform);
    let mut sorted = uniform.clone();
    sorted.sort_by(f64::total_cmp);
    check_f64(&sorted);
    sorted.reverse();
    check_f64(&sorted);
    check_f64(&many(3_000_000, |x| (x % 7) as f64 * 1e5));
    check_f64(&many(3_000_000, |x| if x % 100_003 == 0 { 1e300 } else { (x % 1000) as f64 * 1e-3 }));
    // The sample sees one narrow cluster only, or NaN only; nearly all values lie elsewhere.
    let spike: Vec<f64> = uniform
        .iter()
        .map(|&x| x - 1e6)
        .enumerate()
        .map(|(i, x)| if i < 2_990_000 { x * 1e-9 + 5.0 } else { x })
        .collect();
    check_f64(&spike);
    check_f32(&uniform.iter().map(|&x| (x - 1e6) as f32).collect::<Vec<_>>());
    check_i64(&many(2_500_000, |x| x as f64).iter().map(|&x| (x as i64) << 10).collect::<Vec<_>>());
}

#[test]
fn values_at_the_ends_of_the_range_have_a_mean() {
    check_f64(&many(20_000, |x| if x % 3 == 0 { 1e308 } else { -1e308 }));
    check_f64(&[1e308, -1e308, 1e308, -1e308]);
    check_f64(&[f64::MAX; 100]);
    let got = stats(&[1e308, -1e308], real);
    assert_eq!((got.mean, got.std), (0.0, 1e308));
    assert_eq!(got.percentiles[3], 0.0, "the median");
    let tiny = stats(&many(10_000, |x| (x % 11) as f64 * 1e-200), real);
    assert!((tiny.std / 10f64.sqrt() / 1e-200 - 1.0).abs() < 1e-2, "{:e}", tiny.std);
}

#[test]
fn bars_of_a_narrow_range_are_told_apart() {
    let labels = |data: &[f64]| {
        let text = stats(data, real).histogram.draw();
        text.lines()
            .filter_map(|line| {
                line.trim_start()
                    .strip_prefix('[')?
                    .split([',', ']', ')'])
                    .next()
                    .map(str::trim)
                    .map(str::to_owned)
            })
            .collect::<Vec<_>>()
    };
    for (start, step) in [(1.7e9, 1.0), (1.7e9, 1e-6), (1e300, 1e290), (-1.7e9, 3600.0), (1.0, 1e-9)] {
        let data: Vec<f64> = (0..5000).map(|i| start + f64::from(i) * step).collect();
        let labels = labels(&data);
        assert!(labels.len() > 5, "{labels:?}");
        assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{labels:?}");
        check_f64(&data);
    }
    let whole: Vec<i64> = (0..5000).map(|i| 1_700_000_000 + i).collect();
    let text = stats(&whole, whole_number).histogram.draw();
    assert!(text.contains("[1700000000,"), "{text}");
}

fn whole_number(x: i64) -> Value {
    Value::Whole(x.into())
}

#[test]
fn values_that_no_sample_saw() {
    // Values only where the sample does not look: found by asking which positions it takes.
    let n = 40_000;
    let data: Vec<f64> =
        (0..n).map(|i| if i % 512 == 511 { 1e9 + f64::from(i % 7) } else { f64::NAN }).collect();
    check_f64(&data);
}

/// Rates of both kinds of passes on one core. Run it with
/// `cargo test --release -p phalanx-examples --bin stats -- --ignored --nocapture rates`.
#[test]
#[ignore = "a measurement: prints rates, asserts nothing of them"]
fn rates() {
    fn rate<T: Keyed>(name: &str, data: &[T], low: T, high: T) {
        use phalanx_kernels::profile::{
            Intervals, MOST_INTERVALS, Plan, TABLE, gather_slice, summarise_slice,
        };
        let (low_key, exponent) = T::plan_grid(low, high);
        let plan = Plan { centre: 0.1, low_key, exponent };
        let at = |i: u64| low.key() + (high.key() - low.key()) / 8 * (i + 1);
        let mut wanted = Intervals { len: 7, low: [0; MOST_INTERVALS], high: [0; MOST_INTERVALS] };
        (0..7).for_each(|i| (wanted.low[i as usize], wanted.high[i as usize]) = (at(i), at(i) + 1));
        let best = |work: &mut dyn FnMut(&[T])| {
            let seconds = (0..5).map(|_| {
                let start = std::time::Instant::now();
                data.chunks((4 << 20) / size_of::<T>()).for_each(&mut *work);
                start.elapsed().as_secs_f64()
            });
            size_of_val(data) as f64 / seconds.fold(f64::MAX, f64::min) / 1e9
        };
        let (mut table, mut keys) = (vec![0; TABLE], Vec::new());
        let first = best(&mut |chunk| {
            std::hint::black_box(summarise_slice(chunk, 0, &plan, &mut table));
        });
        let second = best(&mut |chunk| gather_slice(chunk, &wanted, &mut keys));
        println!("{name}: pass 1 {first:.2} GB/s, pass 2 {second:.2} GB/s");
    }
    let data = many(1 << 24, |x| x as f64 / (1u64 << 52) as f64 - 1.0);
    rate("f64", &data, -1.0, 1.0);
    rate("f64 constant", &vec![0.5; 1 << 24], -1.0, 1.0);
    rate("f32", &data.iter().map(|&x| x as f32).collect::<Vec<_>>(), -1.0, 1.0);
    rate(
        "i64",
        &data.iter().map(|&x| (x * 1e18) as i64).collect::<Vec<_>>(),
        -1_000_000_000_000_000_000,
        1 << 59,
    );
    rate("i32", &data.iter().map(|&x| (x * 1e9) as i32).collect::<Vec<_>>(), -1_000_000_000, 1_000_000_000);
    macro_rules! small { ($($t:ident)*) => { $(
        let narrow: Vec<$t> = data.iter().map(|&x| (x * 1e5) as i64 as $t).collect();
        let (start, mut table) = (std::time::Instant::now(), vec![0; $t::CODES]);
        narrow.chunks((4 << 20) / size_of::<$t>()).for_each(|c| {
            std::hint::black_box(phalanx_kernels::profile::tally_slice(c, 0, &mut table));
        });
        println!("{}: {:.2} GB/s", stringify!($t), size_of_val(&narrow[..]) as f64 / start.elapsed().as_secs_f64() / 1e9);
    )* } }
    small!(u8 i16);
}
