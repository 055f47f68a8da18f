use super::*;
use crate::inline::launching;
use crate::testing::{Dice, LENGTHS, pool, pools};
use ndarray::Array2;
use proptest::prelude::*;

fn naive<A: Copy>(x: &[A], identity: A, op: impl Fn(A, A) -> A) -> (Vec<A>, Vec<A>) {
    let (mut exclusive, mut inclusive, mut running) = (vec![], vec![], identity);
    for x in x {
        exclusive.push(running);
        running = op(running, *x);
        inclusive.push(running);
    }
    (exclusive, inclusive)
}

/// Composition of lines `a x + b`: associative, and not commutative.
fn after(f: [u32; 2], g: [u32; 2]) -> [u32; 2] {
    [f[0].wrapping_mul(g[0]), f[1].wrapping_mul(g[0]).wrapping_add(g[1])]
}

fn check(pool: &Pool, words: &[u32]) {
    let len = words.len();
    let totals: Vec<u64> = words.iter().map(|&x| u64::from(x)).collect();
    let (before, with) = naive(&totals, 0, |a, b| a + b);
    let mut out = SharedArray::<u64>::zeros(len).unwrap();
    exclusive_sum(pool, &mut out, words).unwrap();
    assert_eq!(out.as_slice(), before);
    inclusive_sum(pool, &mut out, words).unwrap();
    assert_eq!(out.as_slice(), with);
    let lines: Vec<[u32; 2]> = words.iter().map(|&x| [x | 1, x >> 3]).collect();
    let (before, with) = naive(&lines, [1, 0], after);
    let mut out = SharedArray::<[u32; 2]>::zeros(len).unwrap();
    exclusive(pool, &mut out, &lines, [1, 0], after).unwrap();
    assert_eq!(out.as_slice(), before);
    inclusive(pool, &mut out, &lines, [1, 0], after).unwrap();
    assert_eq!(out.as_slice(), with);
}

#[test]
fn every_length_inline_and_launched() {
    let mut dice = Dice(6);
    let edges = [PART - 1, PART, PART + 1, 4 * PART - 1, 4 * PART, 4 * PART + 1, 5 * PART, 8 * PART + 7];
    for len in LENGTHS.into_iter().chain(edges) {
        let words: Vec<u32> = (0..len).map(|_| dice.roll() as u32).collect();
        check(pool(), &words);
        launching(|| check(pool(), &words));
    }
}

#[test]
fn arrays_beyond_the_caches() {
    let words: Vec<u32> = (0..1_500_007u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    pools().iter().for_each(|pool| check(pool, &words));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_values(words in prop::collection::vec(any::<u32>(), 0..3000)) {
        launching(|| check(pool(), &words));
    }
}

#[test]
fn floats_have_the_same_bits_for_every_number_of_workers_and_are_near() {
    let x = SharedArray::from_slice(&Dice(7).units(400_009)).unwrap();
    let (_, want) = naive(x.as_slice(), 0.0, |a, b| a + b);
    let mut first = SharedArray::<f64>::zeros(x.len()).unwrap();
    inclusive_sum(&pools()[0], &mut first, &x).unwrap();
    assert!(first.as_slice().iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-9));
    for pool in &pools()[1..] {
        let mut out = SharedArray::<f64>::zeros(x.len()).unwrap();
        inclusive_sum(pool, &mut out, &x).unwrap();
        assert_eq!(
            bytemuck::cast_slice::<_, u64>(out.as_slice()),
            bytemuck::cast_slice::<_, u64>(first.as_slice())
        );
    }
}

#[test]
fn special_values_go_on() {
    let mut out = SharedArray::<f64>::zeros(4).unwrap();
    inclusive_sum(pool(), &mut out, &[1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY]).unwrap();
    assert!(out.as_slice()[..3] == [1.0, f64::INFINITY, f64::INFINITY] && out.as_slice()[3].is_nan());
    let mut wrapped = SharedArray::<i64>::zeros(2).unwrap();
    inclusive_sum(pool(), &mut wrapped, &[i64::MAX, 1]).unwrap();
    assert_eq!(wrapped.as_slice(), [i64::MAX, i64::MIN]);
}

#[test]
fn shapes_are_taken_row_by_row_and_compared() {
    let table = Array2::from_shape_fn((300, 400), |(i, j)| (i + j) as i32);
    let mut out = pool().zeros_nd::<i64, _>((300, 400)).unwrap();
    inclusive_sum(pool(), &mut out, &table).unwrap();
    assert_eq!(out.view()[(299, 399)], table.iter().map(|&x| i64::from(x)).sum::<i64>());
    assert_eq!(out.view()[(1, 0)], (0..400).sum::<i64>() + 1);
    let mut short = pool().zeros::<i64>(119_999).unwrap();
    short.fill(7);
    let x = pool().zeros::<i64>(120_000).unwrap();
    for refused in [
        inclusive_sum(pool(), &mut short, &x),
        exclusive_sum(pool(), &mut short, &x),
        inclusive(pool(), &mut short, &x, 0, |a, b| a + b),
        exclusive(pool(), &mut short, &x, 0, |a, b| a + b),
    ] {
        assert!(matches!(refused, Err(KernelError::Shape { what: "x", .. })));
    }
    assert!(short.as_slice().iter().all(|&x| x == 7));
}
