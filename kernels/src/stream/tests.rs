use super::*;
use crate::inline::launching;
use crate::testing::{Dice, LENGTHS, pool, pools};
use ndarray::{Array2, ArrayD, IxDyn, s};
use proptest::prelude::*;

fn shared<T: Element>(values: &[T]) -> SharedArray<T> {
    SharedArray::from_slice(values).unwrap()
}

/// Every kernel against its formula in a plain loop, bit by bit.
fn check_all<T: Number>(pool: &Pool, x: &[T], y: &[T], a: T, b: T) {
    let (len, sx, sy) = (x.len(), shared(x), shared(y));
    let mut out = shared(&vec![T::ONE; len]);
    let same = |out: &[T], naive: &dyn Fn(usize) -> T| {
        for (i, got) in out.iter().enumerate() {
            let want = naive(i);
            assert_eq!(bytemuck::bytes_of(got), bytemuck::bytes_of(&want), "[{i}]: {got} is not {want}");
        }
    };
    fill(pool, &mut out, a).unwrap();
    same(out.as_slice(), &|_| a);
    copy(pool, &mut out, &sx).unwrap();
    same(out.as_slice(), &|i| x[i]);
    scale(pool, &mut out, a, &sx).unwrap();
    same(out.as_slice(), &|i| a.times(x[i]));
    add(pool, &mut out, &sx, &sy).unwrap();
    same(out.as_slice(), &|i| x[i].plus(y[i]));
    triad(pool, &mut out, &sx, a, &sy).unwrap();
    same(out.as_slice(), &|i| x[i].plus(a.times(y[i])));
    axpy(pool, &mut out, b, &sx).unwrap();
    same(out.as_slice(), &|i| b.times(x[i]).plus(x[i].plus(a.times(y[i]))));
    copy(pool, &mut out, &sy).unwrap();
    axpby(pool, &mut out, a, &sx, b).unwrap();
    same(out.as_slice(), &|i| a.times(x[i]).plus(b.times(y[i])));
    map(pool, &mut out, &sx, |x: T| x.times(x).minus(T::ONE)).unwrap();
    same(out.as_slice(), &|i| x[i].times(x[i]).minus(T::ONE));
    map2(pool, &mut out, &sx, &sy, |x: T, y: T| if x < y { x } else { y.times(x) }).unwrap();
    same(out.as_slice(), &|i| if x[i] < y[i] { x[i] } else { y[i].times(x[i]) });
}

#[test]
fn every_length_inline_and_launched() {
    let mut dice = Dice(1);
    for len in LENGTHS {
        let (x, y) = (dice.units(len), dice.units(len));
        check_all(pool(), &x, &y, 0.3, -2.5);
        launching(|| check_all(pool(), &x, &y, 0.3, -2.5));
        let whole = |values: &[f64]| values.iter().map(|x| (x * 1e9) as i32).collect::<Vec<_>>();
        launching(|| check_all(pool(), &whole(&x), &whole(&y), 7, i32::MAX));
    }
}

#[test]
fn arrays_beyond_the_caches() {
    let mut dice = Dice(2);
    let (x, y) = (dice.units(1_200_007), dice.units(1_200_007));
    for pool in pools() {
        check_all(pool, &x, &y, 1.0 / 3.0, 1e300);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_values(pairs in prop::collection::vec(any::<(f64, f64)>(), 0..300), a: f64, b: f64, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        // One NaN may be another's payload: which of two is kept is the processor's choice.
        let no_nan = |v: &[f64]| v.iter().map(|x| if x.is_nan() || x.is_infinite() { 1.0 } else { *x / 1e10 }).collect::<Vec<_>>();
        let (x, y, a, b) = (no_nan(&x), no_nan(&y), no_nan(&[a])[0] % 1e9, no_nan(&[b])[0] % 1e9);
        launching(|| {
            check_all(pool(), &x, &y, a, b);
            check_all(pool(), &bytes, &bytes, 3, 255);
        });
    }
}

#[test]
fn special_values_pass_through() {
    let x = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, f64::MIN_POSITIVE / 4.0];
    let mut out = shared(&[0.0; 6]);
    scale(pool(), &mut out, 2.0, &x).unwrap();
    let got = out.as_slice();
    assert!(got[0].is_nan() && got[1] == f64::INFINITY && got[2] == f64::NEG_INFINITY);
    assert!(got[3].is_sign_negative() && got[4] == f64::INFINITY && got[5] == f64::MIN_POSITIVE / 2.0);
}

#[test]
fn any_kind_of_input_and_shape() {
    let table = Array2::from_shape_fn((150, 200), |(i, j)| (i * 200 + j) as f64);
    let turned = table.t();
    let mut out = pool().zeros_nd::<f64, _>((200, 150)).unwrap();
    add(pool(), &mut out, &turned, &turned).unwrap();
    assert_eq!(out.view(), &turned + &turned);
    let mut part = pool().zeros_nd::<f64, _>((75, 50)).unwrap();
    copy(pool(), &mut part, &table.slice(s![..;2, ..;4])).unwrap();
    assert_eq!(part.view(), table.slice(s![..;2, ..;4]));
    // One row only: cut by elements, not by rows.
    let row = ArrayD::from_shape_fn(IxDyn(&[1, 1, 40_000]), |i| i[2] as f32);
    let mut out = pool().zeros_nd::<f32, _>(IxDyn(&[1, 1, 40_000])).unwrap();
    scale(pool(), &mut out, 2.0, &row).unwrap();
    assert_eq!(out.view(), row * 2.0);
}

#[test]
fn other_shapes_are_refused_before_anything_is_written() {
    let mut out = pool().from_fn(20_000, |i| i as f64).unwrap();
    let short = pool().zeros::<f64>(19_999).unwrap();
    let full = pool().zeros::<f64>(20_000).unwrap();
    let refused = [
        copy(pool(), &mut out, &short),
        scale(pool(), &mut out, 0.0, &short),
        add(pool(), &mut out, &full, &short),
        triad(pool(), &mut out, &short, 1.0, &full),
        axpy(pool(), &mut out, 1.0, &short),
        axpby(pool(), &mut out, 1.0, &short, 0.0),
        map(pool(), &mut out, &short, |x: f64| x),
        map2(pool(), &mut out, &full, &short, |x: f64, y: f64| x + y),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(
            matches!(&error, KernelError::Shape { expected, got, .. } if *expected == [20_000] && *got == [19_999])
        );
        assert!(error.to_string().contains("[19999]"), "{error}");
    }
    assert!(out.as_slice().iter().enumerate().all(|(i, &x)| x == i as f64));
    // As many elements in another shape are another shape.
    let mut table = pool().zeros_nd::<f64, _>((100, 200)).unwrap();
    let turned = pool().zeros_nd::<f64, _>((200, 100)).unwrap();
    assert!(matches!(copy(pool(), &mut table, &turned), Err(KernelError::Shape { what: "x", .. })));
}

#[test]
fn a_panic_in_a_function_is_an_error() {
    let x = pool().from_fn(20_000, |i| i as u64).unwrap();
    let mut out = pool().zeros::<u64>(20_000).unwrap();
    let failed = map(pool(), &mut out, &x, |x: u64| 10_000 / (x % 15_000 / 14_000).wrapping_sub(1).min(1));
    assert!(matches!(failed, Err(KernelError::Launch(phalanx::LaunchError::Panicked { .. }))), "{failed:?}");
}
