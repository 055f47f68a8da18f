//! What kernels are given besides arrays, and which functions can be kernels: on workers of every kind.
#![allow(clippy::unwrap_used)]

use bytemuck::NoUninit;
use phalanx::{Backend, Captured, LaunchError, Pool, SharedArray, Val, azip};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn pools() -> [Pool; 3] {
    let pool = |backend| Pool::builder().workers(2).backend(backend).build().unwrap();
    [Backend::Processes, Backend::Threads, Backend::Inline].map(pool)
}

#[derive(Clone, Copy, Debug, PartialEq, NoUninit)]
#[repr(u8)]
enum Mode {
    Add,
    Keep,
}

#[test]
fn flags_options_characters_and_enums_are_operands() {
    for pool in pools() {
        let mut y = pool.zeros::<u64>(1000).unwrap();
        let operands =
            (y.split_out(), 0..1000, true, Some(7u32), None::<f64>, 'x', Val(Mode::Add), Duration::MAX);
        pool.for_each(operands, |(y, range, flag, seven, none, letter, mode, longest)| {
            let is_right = flag && none.is_none() && letter == 'x' && longest == Duration::MAX;
            for (y, i) in y.iter_mut().zip(range) {
                *y = match (is_right, mode, seven) {
                    (true, Mode::Add, Some(seven)) => i as u64 + u64::from(seven),
                    _ => 0,
                };
            }
        })
        .unwrap();
        assert!(y.as_slice().iter().enumerate().all(|(i, y)| *y == i as u64 + 7));
        let kept = pool.region((&y, [Some(true); 3], Val(Mode::Keep)), |_team, (_y, flags, mode)| {
            Ok(u64::from(flags == [Some(true); 3] && mode == Mode::Keep))
        });
        assert_eq!(kept.unwrap(), 1);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Rule {
    Scale(f64),
    Rename { from: String, to: Option<String> },
    Table(BTreeMap<String, Vec<u32>>),
}

fn rules() -> Vec<Rule> {
    let table = (0..1000).map(|i| (format!("key {i}"), vec![i; 300])).collect();
    vec![Rule::Scale(2.5), Rule::Rename { from: "a".into(), to: None }, Rule::Table(table)]
}

#[test]
fn a_kernel_reads_captured_values_of_any_serde_type() {
    for pool in pools() {
        let rules = Captured::new(&rules()).unwrap();
        let name = Captured::new(&"rows".to_string()).unwrap();
        let count = pool
            .reduce(
                (0..100, &rules, &name, &rules),
                0u64,
                |(range, rules, name, again)| {
                    let Rule::Table(table) = &rules[2] else { return 0 };
                    let is_right = rules == again && name == "rows" && table["key 999"] == vec![999; 300];
                    range.len() as u64 * u64::from(is_right)
                },
                |a, b| a + b,
            )
            .unwrap();
        assert_eq!(count, 100);
        let length = pool.region((&name, 1u8), |_team, (name, _)| Ok(name.len() as u64)).unwrap();
        assert_eq!(length, 4);
    }
}

/// Counts in each process how often it was decoded.
#[derive(Serialize)]
struct Counted;
static DECODED: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Counted, D::Error> {
        serde::de::IgnoredAny::deserialize(from)?;
        DECODED.fetch_add(1, Ordering::Relaxed);
        Ok(Counted)
    }
}

#[test]
fn a_captured_value_is_decoded_once_in_each_worker() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let counted = Captured::new(&Counted).unwrap();
    for _ in 0..10 {
        let most = pool
            .launch()
            .chunk(1)
            .reduce((0..20, &counted), 0, |_| DECODED.load(Ordering::Relaxed) as u64, u64::max)
            .unwrap();
        assert_eq!(most, 1);
    }
    assert_eq!(DECODED.load(Ordering::Relaxed), 0, "the driver decodes nothing");
}

/// Encodes as a number and refuses to be decoded.
struct OneWay;

impl Serialize for OneWay {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: serde::Deserializer<'de>>(_from: D) -> Result<OneWay, D::Error> {
        Err(serde::de::Error::custom("there is no way back"))
    }
}

#[test]
fn a_value_that_cannot_travel_is_an_error() {
    for pool in pools() {
        let one_way = Captured::new(&OneWay).unwrap();
        let outcome = pool.for_each((0..10, &one_way), |_| ());
        let Err(LaunchError::Decode { why, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("OneWay") && why.contains("there is no way back"), "{why}");
        pool.for_each(0..10, |_| ()).unwrap();
    }
    let lock = phalanx::sync::Lock::new(1u64).unwrap();
    let refused = Captured::new(&lock).map(|_| ());
    assert!(matches!(refused, Err(LaunchError::Encode { .. })), "{refused:?}");
}

#[test]
fn elements_are_mapped_in_any_dimension_from_several_inputs_with_parameters() {
    for pool in pools() {
        let x = pool.from_shape_fn((30, 7, 5), |(i, j, k)| (i * 35 + j * 5 + k) as f64).unwrap();
        let y = pool.from_shape_fn((30, 7, 5), |(i, _, _)| i as f64).unwrap();
        assert!(
            x.as_slice().iter().enumerate().all(|(i, x)| *x == i as f64),
            "indices come in row-major order"
        );
        let mut out = pool.zeros_nd::<f64, _>((30, 7, 5)).unwrap();
        pool.map_into(out.split_out(), (x.split(), y.split()), |(x, y)| x - y).unwrap();
        assert_eq!(out.view()[(29, 6, 4)], 1049.0 - 29.0);

        let scale = Captured::new(&Rule::Scale(0.5)).unwrap();
        let shift = SharedArray::from_slice(&[10.0, 20.0]).unwrap();
        let parameters = (&scale, shift.whole(), true);
        pool.with(parameters)
            .map_into(out.split_mut(), x.split(), |x, (rule, shift, flag)| match rule {
                Rule::Scale(factor) if flag => x * factor + shift[1],
                _ => f64::NAN,
            })
            .unwrap();
        assert!(out.as_slice().iter().enumerate().all(|(i, out)| *out == i as f64 * 0.5 + 20.0));

        pool.with(3usize).fill_with(out.split_out(), |(i, j, k), m| (i * j * k * m) as f64).unwrap();
        assert_eq!(out.view()[(29, 6, 4)], (29 * 6 * 4 * 3) as f64);
        let squares = pool.from_fn_with((4, 4), 10, |(i, j), tens| (tens * i + j) as u32).unwrap();
        assert_eq!(squares.view()[(3, 2)], 32);
        let mut indices = pool.zeros::<u64>(10).unwrap();
        pool.map_into(indices.split_out(), 5..15, |i| i as u64).unwrap();
        assert_eq!(indices.as_slice()[9], 14);
    }
}

#[test]
fn inputs_of_another_shape_are_refused() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let (x, short) = (pool.zeros_nd::<f64, _>((6, 4)).unwrap(), pool.zeros::<f64>(6).unwrap());
    let mut out = pool.zeros_nd::<f64, _>((6, 4)).unwrap();
    let flat = pool.map_into(out.split_out(), short.split(), |x| x);
    assert!(matches!(&flat, Err(LaunchError::BadGrant { why, .. }) if why.contains("[6, 4]")), "{flat:?}");
    let range = pool.map_into(out.split_out(), (x.split(), 0..6), |(x, _)| x);
    assert!(matches!(range, Err(LaunchError::BadGrant { .. })), "{range:?}");
    let wide = pool.zeros_nd::<f64, _>((6, 5)).unwrap();
    let wider = pool.map_into(out.split_out(), wide.split(), |x| x);
    assert!(matches!(wider, Err(LaunchError::BadGrant { .. })), "{wider:?}");
    let rows = azip!(pool, (out in out.split_mut(), &x in wide.split()) { *out = x });
    assert!(
        matches!(&rows, Err(LaunchError::Panicked { message, .. }) if message.contains("different lengths"))
    );
}

#[test]
fn azip_loops_over_the_elements_of_all_operands() {
    for pool in pools() {
        let x = pool.from_shape_fn((50, 20), |(i, j)| (20 * i + j) as f64).unwrap();
        let (mut y, mut z) =
            (pool.zeros_nd::<f64, _>((50, 20)).unwrap(), pool.zeros_nd::<u8, _>((50, 20)).unwrap());
        let (a, is_on) = (3.0, true);
        let (y_out, z_out) = (y.split_out(), z.split_out());
        azip!(pool.launch().retry(1), [a, is_on], (y in y_out, z in z_out, &x in x.split()) {
            *y = if is_on { a * x } else { x };
            *z = u8::from(x > 500.0);
        })
        .unwrap();
        assert_eq!(
            (y.view()[(49, 19)], z.as_slice().iter().map(|z| u64::from(*z)).sum::<u64>()),
            (2997.0, 499)
        );
    }
}

fn halve(y: &mut [f64]) {
    y.iter_mut().for_each(|y| *y /= 2.0);
}

fn add((y, x): (&mut [f64], &[f64])) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
}

/// A library's function, which passes on what it is given.
fn transformed<F>(pool: &Pool, y: &mut SharedArray<f64>, f: F) -> Result<f64, LaunchError>
where
    F: Fn(f64) -> f64 + Copy + Send + Sync + 'static,
{
    pool.for_each(y.split_mut(), move |y| y.iter_mut().for_each(|y| *y = f(*y)))?;
    pool.reduce(y.split(), 0.0, move |y| y.iter().map(|y| f(*y)).sum(), |a, b| a + b)
}

#[test]
fn named_functions_are_kernels_and_libraries_pass_functions_on() {
    for pool in pools() {
        let (mut y, x) = (pool.from_fn(100, |i| i as f64).unwrap(), pool.from_fn(100, |_| 1.0).unwrap());
        pool.for_each(y.split_mut(), halve).unwrap();
        pool.for_each((y.split_mut(), x.split()), add).unwrap();
        assert_eq!(y.as_slice()[8], 5.0);
        let sum = transformed(&pool, &mut y, f64::sqrt).unwrap();
        assert_eq!(y.as_slice()[30], 4.0);
        assert!((sum - y.as_slice().iter().map(|y| y.sqrt()).sum::<f64>()).abs() < 1e-9);
    }
}

#[test]
fn clones_are_handles_of_one_pool() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let pids = pool.worker_pids();
    let clone = pool.clone();
    std::thread::spawn(move || {
        assert_eq!(clone.worker_pids(), pids);
        clone.for_each(0..10, |_| ()).unwrap();
    })
    .join()
    .unwrap();
    // The clone is gone, and the pool still works.
    assert_eq!(pool.reduce(0..10, 0, |range| range.sum(), |a, b| a + b).unwrap(), 45);
}

#[test]
fn every_worker_gets_some_of_a_few_items() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let mut results = pool.zeros::<u64>(16).unwrap();
    let chunks = pool.reduce(0..16, 0, |_| 1u64, |a, b| a + b).unwrap();
    assert_eq!(chunks, 16, "a range of 16 is 16 chunks");
    let chunks = pool.reduce((results.split_mut(), 0..16), 0, |_| 1u64, |a, b| a + b).unwrap();
    assert_eq!(chunks, 16, "and so is an array of 16");
}

#[test]
fn searches_look_at_elements_of_any_dimension_and_of_several_operands() {
    for pool in pools() {
        let x = pool.from_shape_fn((40, 9, 5), |(i, j, k)| (i * 45 + j * 5 + k) as f64).unwrap();
        let y = pool.from_shape_fn((40, 9, 5), |(i, j, k)| 900.0 + (i + j + k) as f64).unwrap();
        let first = pool.position_first((x.split(), y.split()), |(x, y)| x > y).unwrap().unwrap();
        let mut pairs = x.as_slice().iter().zip(y.as_slice());
        assert_eq!(Some(first), pairs.position(|(x, y)| x > y));
        let found = pool.find_first((x.split(), y.split()), |(x, y)| x > y).unwrap();
        assert_eq!(found, Some((x.as_slice()[first], y.as_slice()[first])));
        assert!(pool.all(x.split(), |x| x >= 0.0).unwrap());
        assert!(!pool.any((x.split(), y.split()), |(x, y)| x > 2.0 * y).unwrap());
        let refused = pool.any((x.split(), 0..40), |(x, _)| x > 0.0);
        assert!(matches!(refused, Err(LaunchError::BadGrant { .. })), "{refused:?}");
    }
}
