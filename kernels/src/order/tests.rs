//! Every sort beside its naive twin: on all lengths, shapes of data, element types and numbers of workers.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, LENGTHS, pool, pools};
use crate::word::Key;
use phalanx::SharedArray;
use proptest::prelude::*;

/// The naive twin: the standard library's sort, by the same order.
pub(super) fn naive_sort<T: Key>(x: &[T]) -> Vec<T> {
    let mut sorted = x.to_vec();
    sorted.sort_by_key(|key| key.to_word());
    sorted
}

pub(super) fn bytes<T: Key>(x: &[T]) -> &[u8] {
    bytemuck::cast_slice(x)
}

/// Data of many shapes, as 64 bits each.
pub(super) fn patterns(len: usize) -> Vec<(&'static str, Vec<u64>)> {
    let mut dice = Dice(len as u64);
    let mut make =
        |f: &mut dyn FnMut(u64, &mut Dice) -> u64| (0..len as u64).map(|i| f(i, &mut dice)).collect();
    vec![
        ("even", make(&mut |_, dice| dice.roll())),
        ("equal", make(&mut |_, _| 7)),
        ("two", make(&mut |_, dice| dice.roll() & 1)),
        ("one above", make(&mut |i, _| u64::from(i == len as u64 / 2) << 40)),
        ("few", make(&mut |_, dice| dice.roll() % 29)),
        ("ascending", make(&mut |i, _| i * 3)),
        ("descending", make(&mut |i, _| !(i << 20))),
        ("sawtooth", make(&mut |i, _| (i % 1000) << 33)),
        ("crowded", make(&mut |_, dice| dice.roll() >> (dice.roll() % 64))),
        (
            "outliers",
            make(&mut |_, dice| if dice.roll() % 500 == 0 { dice.roll() } else { dice.roll() % 5000 }),
        ),
        ("ends", make(&mut |_, dice| if dice.roll() & 1 == 0 { u64::MAX } else { 0 })),
    ]
}

fn check_sort<T: Key + std::fmt::Debug>(name: &str, keys: &[T]) {
    let expected = naive_sort(keys);
    for pool in pools() {
        let mut x = pool.from_slice(keys).unwrap();
        sort(pool, &mut x).unwrap();
        let at = x.as_slice().iter().zip(&expected).position(|(a, b)| bytes(&[*a]) != bytes(&[*b]));
        assert_eq!(at, None, "{name}, {} of them, {} workers", keys.len(), pool.workers());
    }
}

#[test]
fn all_lengths_and_shapes_are_sorted_by_all_teams() {
    launching(|| {
        for len in LENGTHS {
            for (name, words) in patterns(len) {
                check_sort(name, &words);
            }
        }
    });
}

#[test]
fn short_arrays_are_sorted_by_the_caller() {
    for len in [0, 1, 2, 3, 255, 256, 257, 9_999] {
        for (name, words) in patterns(len) {
            check_sort(name, &words);
        }
    }
}

#[test]
fn all_element_types_are_sorted() {
    launching(|| {
        for (name, words) in patterns(20_011) {
            check_sort(name, &words.iter().map(|w| *w as u8).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as i8).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as u16).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as i16).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as u32).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as i32).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as i64).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as usize).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as isize).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| (*w as i128) << 50).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| u128::from(*w) * 3).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| f32::from_bits(*w as u32)).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| f64::from_bits(*w)).collect::<Vec<_>>());
            check_sort(name, &words.iter().map(|w| *w as f64 / 1e9 - 1e9).collect::<Vec<_>>());
        }
    });
}

#[test]
fn nans_go_last_and_zeros_are_ordered() {
    let keys = [f64::NAN, 1.0, -0.0, f64::NEG_INFINITY, -f64::NAN, 0.0, f64::INFINITY, -0.0];
    let mut x = SharedArray::from_slice(&keys).unwrap();
    sort(pool(), &mut x).unwrap();
    let x = x.as_slice();
    assert_eq!(x[0], f64::NEG_INFINITY);
    assert_eq!(x[1..4].iter().map(|x| x.is_sign_negative()).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(x[4..6], [1.0, f64::INFINITY]);
    assert!(x[6].is_nan() && x[7].is_nan());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_keys_are_sorted(keys in proptest::collection::vec(any::<u32>(), 0..30_000), narrow in 0u32..32) {
        let keys: Vec<f32> = keys.into_iter().map(|key| f32::from_bits(key >> narrow)).collect();
        launching(|| check_sort("any", &keys));
    }
}
