//! Kernels along an axis give what a naive loop over the lines gives, for all shapes, axes, strides and
//! teams.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use ndarray::{Array, Array1, Array2, Array3, ArrayD, ArrayView, ArrayViewD, Axis, Ix3, IxDyn, s};
use phalanx::{Element, Pool, SharedArray};
use phalanx_kernels::axis::{self, expand_dims};
use phalanx_kernels::{Input, KernelError, Number};
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

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Whole numbers that add without rounding, with NaN once in `rare` times, or never if that is 0.
    fn number(&mut self, rare: u64) -> f64 {
        if rare > 0 && self.below(rare) == 0 { f64::NAN } else { self.below(2001) as f64 - 1000.0 }
    }
}

/// Shapes around every boundary of the folds: short and long lines, narrow and wide rows, one leaf and
/// several, and axes without elements.
const SHAPES: [[usize; 3]; 17] = [
    [1, 1, 1],
    [2, 3, 4],
    [7, 1, 31],
    [5, 33, 1],
    [3, 100, 32],
    [3, 100, 33],
    [2, 1000, 3],
    [1, 10_011, 7],
    [1, 70_001, 1],
    [4000, 1, 3],
    [1, 9, 3011],
    [1, 300, 257],
    [1, 1101, 64],
    [0, 3, 4],
    [3, 0, 4],
    [3, 4, 0],
    [1, 33_001, 2],
];

/// Folds every line in order.
fn naive<T: Copy, U>(x: ArrayViewD<'_, T>, axis: usize, f: impl Fn(&[T]) -> U) -> Vec<U> {
    x.lanes(Axis(axis)).into_iter().map(|line| f(&line.to_vec())).collect()
}

fn bits<T: Element>(x: &[T]) -> &[u8] {
    bytemuck::cast_slice(x)
}

/// Runs a kernel on every team, compares the bits, and returns what it gave.
fn same<U: Element, D: phalanx::Shape>(
    run: impl Fn(&Pool) -> Result<SharedArray<U, D>, KernelError>,
) -> Vec<U> {
    let first = run(&pools()[0]).unwrap().to_vec();
    for pool in &pools()[1..] {
        assert!(bits(run(pool).unwrap().as_slice()) == bits(&first), "the bits depend on the team");
    }
    first
}

fn floats(shape: [usize; 3], rare: u64) -> Array3<f64> {
    let mut dice = Dice(shape.iter().sum::<usize>() as u64);
    Array3::from_shape_fn(shape, |_| dice.number(rare))
}

fn close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (a, b) in got.iter().zip(want) {
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * b.abs().max(1.0);
        assert!(same, "{a:?} instead of {b:?}");
    }
}

fn equal(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
    assert!(got.iter().zip(want).all(same));
}

/// Sums, counts and moments of all lines along `axis`.
fn check_sums<X: Input<Elem = f64, Dim = Ix3>>(x: &X, axis: usize) {
    let (view, at) = (x.view().into_dyn(), axis as isize);
    let sum = |line: &[f64]| line.iter().sum::<f64>();
    let known = |line: &[f64]| line.iter().copied().filter(|x| !x.is_nan()).collect::<Vec<_>>();
    let variance = |line: &[f64], ddof: usize| {
        let mean = sum(line) / line.len() as f64;
        let squares: f64 = line.iter().map(|x| (x - mean) * (x - mean)).sum();
        if line.len() > ddof { squares / (line.len() - ddof) as f64 } else { f64::NAN }
    };
    equal(&same(|pool| axis::sum(pool, x, at)), &naive(view.view(), axis, sum));
    equal(&same(|pool| axis::nansum(pool, x, at)), &naive(view.view(), axis, |x| sum(&known(x))));
    equal(&same(|pool| axis::mean(pool, x, at)), &naive(view.view(), axis, |x| sum(x) / x.len() as f64));
    close(
        &same(|pool| axis::nanmean(pool, x, at)),
        &naive(view.view(), axis, |x| sum(&known(x)) / known(x).len() as f64),
    );
    close(&same(|pool| axis::variance(pool, x, at, 1)), &naive(view.view(), axis, |x| variance(x, 1)));
    close(&same(|pool| axis::std(pool, x, at, 0)), &naive(view.view(), axis, |x| variance(x, 0).sqrt()));
    close(
        &same(|pool| axis::nanvariance(pool, x, at, 0)),
        &naive(view.view(), axis, |x| variance(&known(x), 0)),
    );
    close(
        &same(|pool| axis::nanstd(pool, x, at, 1)),
        &naive(view.view(), axis, |x| variance(&known(x), 1).sqrt()),
    );
    equal(
        &same(|pool| axis::norm1(pool, x, at)),
        &naive(view.view(), axis, |x| x.iter().map(|x| x.abs()).sum()),
    );
    close(
        &same(|pool| axis::norm2(pool, x, at)),
        &naive(view.view(), axis, |x| x.iter().map(|x| x * x).sum::<f64>().sqrt()),
    );
    let is_set = |x: &f64| *x != 0.0;
    assert_eq!(
        same(|pool| axis::any(pool, x, at)),
        naive(view.view(), axis, |x| u8::from(x.iter().any(is_set)))
    );
    assert_eq!(
        same(|pool| axis::all(pool, x, at)),
        naive(view.view(), axis, |x| u8::from(x.iter().all(is_set)))
    );
    let count = naive(view.view(), axis, |x| x.iter().filter(|x| is_set(x)).count() as u64);
    assert_eq!(same(|pool| axis::count_nonzero(pool, x, at)), count);
}

/// The first place of the best element; of a NaN if `takes_nan` and there is one.
fn place(x: &[f64], takes_nan: bool, better: impl Fn(f64, f64) -> bool) -> u64 {
    let nan = x.iter().position(|x| x.is_nan());
    if let Some(at) = nan.filter(|_| takes_nan) {
        return at as u64;
    }
    let known = (0..x.len()).filter(|at| !x[*at].is_nan());
    known.reduce(|best, at| if better(x[at], x[best]) { at } else { best }).map_or(u64::MAX, |at| at as u64)
}

/// Extremes of all lines along `axis`, and their places.
fn check_extremes<X: Input<Elem = f64, Dim = Ix3>>(x: &X, axis: usize) {
    let (view, at) = (x.view().into_dyn(), axis as isize);
    let value = |x: &[f64], at: u64| x.get(at as usize).copied().unwrap_or(f64::NAN);
    let (less, more) = (|a: f64, b: f64| a < b, |a: f64, b: f64| a > b);
    let further = |a: f64, b: f64| a.abs() > b.abs();
    assert_eq!(same(|pool| axis::argmin(pool, x, at)), naive(view.view(), axis, |x| place(x, true, less)));
    assert_eq!(same(|pool| axis::argmax(pool, x, at)), naive(view.view(), axis, |x| place(x, true, more)));
    assert_eq!(
        same(|pool| axis::nanargmin(pool, x, at)),
        naive(view.view(), axis, |x| place(x, false, less))
    );
    assert_eq!(
        same(|pool| axis::nanargmax(pool, x, at)),
        naive(view.view(), axis, |x| place(x, false, more))
    );
    equal(
        &same(|pool| axis::min(pool, x, at)),
        &naive(view.view(), axis, |x| value(x, place(x, true, less))),
    );
    equal(
        &same(|pool| axis::max(pool, x, at)),
        &naive(view.view(), axis, |x| value(x, place(x, true, more))),
    );
    equal(
        &same(|pool| axis::nanmin(pool, x, at)),
        &naive(view.view(), axis, |x| value(x, place(x, false, less))),
    );
    equal(
        &same(|pool| axis::nanmax(pool, x, at)),
        &naive(view.view(), axis, |x| value(x, place(x, false, more))),
    );
    let furthest = naive(view.view(), axis, |x| value(x, place(x, true, further)).abs());
    equal(&same(|pool| axis::norm_inf(pool, x, at)), &furthest);
}

#[test]
fn sums_and_moments_of_every_shape_are_those_of_the_naive_loop() {
    for shape in SHAPES {
        for (axis, rare) in [(0, 3), (1, 0), (2, 50)] {
            let x = SharedArray::from_ndarray(&floats(shape, rare)).unwrap();
            check_sums(&x, axis);
        }
    }
}

#[test]
fn extremes_of_every_shape_are_those_of_the_naive_loop() {
    for shape in SHAPES.into_iter().filter(|shape| shape.iter().product::<usize>() > 0) {
        for (axis, rare) in [(0, 3), (1, 0), (2, 50), (1, 20_000)] {
            let x = SharedArray::from_ndarray(&floats(shape, rare)).unwrap();
            check_extremes(&x, axis);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_shape_and_any_strides(
        shape in [1usize..40, 1..40, 1..40],
        axis in 0usize..3,
        rare in 0u64..8,
        turn in 0usize..6,
        step in prop_oneof![Just(1isize), Just(2), Just(-1), Just(-3)],
    ) {
        let x = floats(shape, rare);
        let order = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][turn];
        let turned = x.view().permuted_axes(order);
        let view = turned.slice(s![..;step, .., ..;-step]);
        check_sums(&view, axis);
        check_extremes(&view, axis);
        check_orders(&view, axis);
        check_neighbours(&view, axis);
    }
}

/// Runs a kernel that writes an array of its input's shape on every team, and returns what it wrote.
fn written<U: Element>(
    shape: &[usize],
    run: impl Fn(&Pool, &mut SharedArray<U, Ix3>) -> Result<(), KernelError>,
) -> ArrayD<U> {
    let dim = Ix3(shape[0], shape[1], shape[2]);
    let elements = same(|pool| {
        let mut out = pool.zeros_nd(dim).unwrap();
        run(pool, &mut out).map(|()| out)
    });
    ArrayD::from_shape_vec(IxDyn(shape), elements).unwrap()
}

/// Running sums, sorted lines and quantiles along `axis`.
fn check_orders<X: Input<Elem = f64, Dim = Ix3>>(x: &X, axis: usize) {
    let (view, at, shape) = (x.view().into_dyn(), axis as isize, x.shape());
    let lines = |x: ArrayD<f64>| naive(x.view(), axis, <[f64]>::to_vec).concat();
    let running = |op: fn(f64, f64) -> f64| {
        naive(view.view(), axis, |line| {
            let mut line = line.to_vec();
            (1..line.len()).for_each(|at| line[at] = op(line[at - 1], line[at]));
            line
        })
        .concat()
    };
    equal(&lines(written(&shape, |pool, out| axis::cumsum(pool, out, x, at))), &running(|a, b| a + b));
    equal(&lines(written(&shape, |pool, out| axis::cumprod(pool, out, x, at))), &running(|a, b| a * b));
    let order = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    let sorted = |line: &[f64]| {
        let mut line = line.to_vec();
        line.sort_by(order);
        line
    };
    let sort = |pool: &Pool, out: &mut SharedArray<f64, Ix3>| {
        out.view_mut().assign(&x.view());
        axis::sort(pool, out, at)
    };
    equal(&lines(written(&shape, sort)), &naive(view.view(), axis, sorted).concat());
    let places = written(&shape, |pool, out| axis::argsort(pool, out, x, at));
    let by_place = |line: &[f64]| {
        let mut places: Vec<u64> = (0..line.len() as u64).collect();
        places.sort_by(|a, b| order(&line[*a as usize], &line[*b as usize]));
        places
    };
    assert_eq!(naive(places.view(), axis, <[u64]>::to_vec), naive(view.view(), axis, by_place));
    let quantile = |line: &[f64], q: f64| {
        let line = sorted(line);
        if line.last().is_none_or(|x| x.is_nan()) {
            return f64::NAN;
        }
        let place = q * (line.len() - 1) as f64;
        let (a, b) = (line[place as usize], line[(place as usize + 1).min(line.len() - 1)]);
        a + (b - a) * place.fract()
    };
    let known = |line: &[f64]| line.iter().copied().filter(|x| !x.is_nan()).collect::<Vec<_>>();
    close(&same(|pool| axis::median(pool, x, at)), &naive(view.view(), axis, |x| quantile(x, 0.5)));
    close(&same(|pool| axis::quantile(pool, x, at, 0.3)), &naive(view.view(), axis, |x| quantile(x, 0.3)));
    close(
        &same(|pool| axis::nanmedian(pool, x, at)),
        &naive(view.view(), axis, |x| quantile(&known(x), 0.5)),
    );
    close(
        &same(|pool| axis::nanquantile(pool, x, at, 1.0)),
        &naive(view.view(), axis, |x| quantile(&known(x), 1.0)),
    );
}

#[test]
fn orders_of_every_shape_are_those_of_the_naive_loop() {
    for shape in SHAPES.into_iter().filter(|shape| shape.iter().product::<usize>() > 0) {
        for (axis, rare) in [(0, 3), (1, 0), (2, 50)] {
            let x = SharedArray::from_ndarray(&floats(shape, rare)).unwrap();
            check_orders(&x, axis);
        }
    }
}

/// Differences, slopes, rotations and reversals along `axis`.
fn check_neighbours<X: Input<Elem = f64, Dim = Ix3>>(x: &X, axis: usize) {
    let (view, at, shape) = (x.view().into_dyn(), axis as isize, x.shape());
    let lines = |x: ArrayD<f64>| naive(x.view(), axis, <[f64]>::to_vec).concat();
    let mut short = shape.clone();
    short[axis] -= 1;
    let got = written(&short, |pool, out| axis::diff(pool, out, x, at));
    equal(
        &lines(got),
        &naive(view.view(), axis, |x| x.windows(2).map(|x| x[1] - x[0]).collect::<Vec<_>>()).concat(),
    );
    let got = written(&shape, |pool, out| axis::flip(pool, out, x, at));
    equal(&lines(got), &naive(view.view(), axis, |x| x.iter().rev().copied().collect::<Vec<_>>()).concat());
    for shift in [0, 1, -1, 7, -100, isize::MAX, isize::MIN] {
        let rolled = |x: &[f64]| {
            let mut x = x.to_vec();
            let len = x.len() as isize;
            x.rotate_right(shift.rem_euclid(len) as usize);
            x
        };
        let got = written(&shape, |pool, out| axis::roll(pool, out, x, at, shift));
        equal(&lines(got), &naive(view.view(), axis, rolled).concat());
    }
    if shape[axis] > 1 {
        let slopes = |x: &[f64]| {
            let last = x.len() - 1;
            let inside = (1..last).map(|i| (x[i + 1] - x[i - 1]) / 2.0);
            let all = [x[1] - x[0]].into_iter().chain(inside).chain([x[last] - x[last - 1]]);
            all.map(|x| x / 0.5).collect::<Vec<_>>()
        };
        let got = written(&shape, |pool, out| axis::gradient(pool, out, x, at, 0.5));
        equal(&lines(got), &naive(view.view(), axis, slopes).concat());
    } else {
        let mut out = pool().zeros_nd::<f64, _>(Ix3(shape[0], shape[1], shape[2])).unwrap();
        let refused = axis::gradient(pool(), &mut out, x, at, 1.0);
        assert!(matches!(refused, Err(KernelError::Argument { what: "axis", .. })));
    }
}

#[test]
fn neighbours_of_every_shape_are_those_of_the_naive_loop() {
    for shape in [[1, 1, 1], [2, 3, 4], [5, 33, 1], [2, 1000, 3], [3, 30_011, 1], [1, 300, 64], [7, 2, 1500]]
    {
        for axis in 0..3 {
            check_neighbours(&SharedArray::from_ndarray(&floats(shape, 50)).unwrap(), axis);
        }
    }
    let mut none = pool().zeros_nd::<i32, _>((0, 4)).unwrap();
    axis::diff(pool(), &mut none, &Array2::<i32>::zeros((0, 4)), 0).unwrap();
    axis::roll(pool(), &mut none, &Array2::<i32>::zeros((0, 4)), 0, 3).unwrap();
}

#[test]
fn arrays_are_put_together_and_padded_along_every_axis() {
    for shape in [[1, 1, 1], [2, 3, 4], [5, 0, 2], [30, 40, 20], [3, 2, 9001]] {
        for axis in 0..3 {
            let mut other = shape;
            other[axis] = 3;
            let (a, b) = (floats(shape, 0), floats(other, 0));
            let turned = b.slice(s![..;-1, .., ..;-1]);
            let want = ndarray::concatenate(Axis(axis), &[a.view(), turned, a.view()]).unwrap();
            let got = written(want.shape(), |pool, out| {
                axis::concatenate(pool, out, &[&a.view(), &turned, &a.view()], axis as isize)
            });
            assert!(got == want.into_dyn());
            let mut wide = shape;
            wide[axis] += 5;
            let mut before = [0; 3];
            before[axis] = 2;
            let mut want = Array3::from_elem(wide, 7.0);
            want.slice_axis_mut(Axis(axis), (2..2 + shape[axis]).into()).assign(&a);
            assert!(written(&wide, |pool, out| axis::pad(pool, out, &a, &before, 7.0)) == want.into_dyn());
        }
    }
    let (a, mut out) = (Array2::<f64>::ones((2, 3)), pool().zeros_nd::<f64, _>((4, 3)).unwrap());
    for (parts, axis) in [(&[&a, &a][..], 1), (&[&a], 0), (&[&a, &a, &a], 0), (&[], 0)] {
        assert!(matches!(axis::concatenate(pool(), &mut out, parts, axis), Err(KernelError::Shape { .. })));
    }
    assert!(matches!(
        axis::pad(pool(), &mut out, &a, &[3, 0], 1.0),
        Err(KernelError::Shape { what: "out", .. })
    ));
    assert!(matches!(
        axis::pad(pool(), &mut out, &a, &[3], 1.0),
        Err(KernelError::Shape { what: "before", .. })
    ));
    assert!(out.as_slice().iter().all(|x| *x == 0.0));
}

#[test]
fn orders_refuse_what_does_not_fit() {
    let x = Array2::<f64>::zeros((3, 4));
    let mut out = pool().zeros_nd::<f64, _>((4, 3)).unwrap();
    assert!(matches!(axis::cumsum(pool(), &mut out, &x, 0), Err(KernelError::Shape { what: "out", .. })));
    assert!(matches!(axis::sort(pool(), &mut out, 2), Err(KernelError::Argument { what: "axis", .. })));
    for q in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(axis::quantile(pool(), &x, 0, q), Err(KernelError::Argument { what: "q", .. })));
    }
    let none = Array2::<f64>::zeros((0, 4));
    assert!(matches!(axis::median(pool(), &none, 0), Err(KernelError::Empty { kernel: "median" })));
    assert!(axis::median(pool(), &none, 1).unwrap().is_empty());
    let mut none = pool().zeros_nd::<f64, _>((0, 4)).unwrap();
    axis::sort(pool(), &mut none, 0).unwrap();
}

/// Integers wrap around in 64 bits.
fn check_integers<T: Number + TryFrom<u64>>(make: impl Fn(u64) -> T) {
    let mut dice = Dice(5);
    let x = Array2::from_shape_fn((700, 41), |_| make(dice.below(u64::MAX)));
    for axis in 0..2 {
        let view = x.view().into_dyn();
        let total = |line: &[T]| line.iter().fold(T::Total::ZERO, |sum, x| sum.plus(x.to_total()));
        assert_eq!(same(|pool| axis::sum(pool, &x, axis as isize)), naive(view.view(), axis, total));
        let least = |line: &[T]| line.iter().fold(T::HIGHEST, |a, b| if *b < a { *b } else { a });
        assert_eq!(same(|pool| axis::min(pool, &x, axis as isize)), naive(view.view(), axis, least));
    }
}

#[test]
fn integers_are_added_in_64_bits_and_wrap_around() {
    check_integers(|x| x as u8);
    check_integers(|x| x as i16);
    check_integers(|x| x);
    check_integers(|x| x as i64);
}

#[test]
fn infinities_and_overflow_are_numpys() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = ndarray::array![[inf, 1.0, inf, 1e308], [-inf, inf, 2.0, 1e308]];
    let sums = axis::sum(pool(), &x, 0).unwrap();
    assert!(sums.as_slice()[0].is_nan() && sums.as_slice()[1..] == [inf; 3]);
    assert_eq!(axis::max(pool(), &x, 0).unwrap().as_slice(), [inf, inf, inf, 1e308]);
    assert_eq!(axis::argmin(pool(), &x, 1).unwrap().as_slice(), [1, 0]);
    assert!(axis::variance(pool(), &x, 1, 0).unwrap().as_slice().iter().all(|x| x.is_nan()));
    assert_eq!(axis::norm2(pool(), &ndarray::array![[1e200], [1e200]], 0).unwrap().as_slice(), [inf]);
    let one_nan = ndarray::array![[nan, 1.0], [2.0, 3.0]];
    assert_eq!(axis::any(pool(), &one_nan, 1).unwrap().as_slice(), [1, 1]);
}

#[test]
fn lines_without_elements_have_sums_and_no_extremes() {
    let none = Array2::<f64>::zeros((0, 3));
    assert_eq!(axis::sum(pool(), &none, 0).unwrap().as_slice(), [0.0; 3]);
    assert!(axis::mean(pool(), &none, 0).unwrap().as_slice().iter().all(|x| x.is_nan()));
    assert_eq!(axis::all(pool(), &none, 0).unwrap().as_slice(), [1; 3]);
    assert!(axis::sum(pool(), &none, 1).unwrap().is_empty());
    assert!(axis::min(pool(), &none, 1).unwrap().is_empty());
    assert!(matches!(axis::min(pool(), &none, 0), Err(KernelError::Empty { kernel: "min" })));
    assert!(matches!(axis::argmax(pool(), &none, 0), Err(KernelError::Empty { kernel: "argmax" })));
    assert!(matches!(axis::max(pool(), &Array1::<f64>::zeros(0), 0), Err(KernelError::Empty { .. })));
}

#[test]
fn axes_count_from_both_ends_and_shapes_lose_one() {
    let x = Array::from_shape_fn((2, 3, 4, 5), |(i, j, k, l)| (i + 2 * j + 3 * k + 5 * l) as i32);
    for axis in 0..4 {
        let sums = axis::sum(pool(), &x, axis as isize).unwrap();
        assert_eq!(sums.view(), x.map(|x| i64::from(*x)).sum_axis(Axis(axis)));
        assert_eq!(axis::sum(pool(), &x, axis as isize - 4).unwrap().view(), sums.view());
        let kept = expand_dims(sums, axis as isize).unwrap();
        let mut shape = [2, 3, 4, 5];
        shape[axis] = 1;
        assert_eq!(kept.shape(), shape);
    }
    for axis in [4, -5, isize::MAX, isize::MIN] {
        assert!(matches!(axis::sum(pool(), &x, axis), Err(KernelError::Argument { what: "axis", .. })));
    }
    assert_eq!(axis::sum(pool(), &[1.0, 2.0], -1).unwrap().as_slice(), [3.0]);
    let any = ArrayD::<f64>::ones(IxDyn(&[2, 1, 3, 1, 1, 2, 2]));
    assert_eq!(axis::sum(pool(), &any, 2).unwrap().shape(), [2, 1, 1, 1, 2, 2]);
    let none = ArrayD::<f64>::ones(IxDyn(&[]));
    assert!(matches!(axis::sum(pool(), &none, 0), Err(KernelError::Argument { .. })));
}

#[test]
fn frozen_arrays_and_repeating_views_are_inputs() {
    let frozen = SharedArray::from_fn(20_000, |i| i as f64).unwrap().freeze().unwrap();
    assert_eq!(axis::sum(pool(), &frozen, 0).unwrap().as_slice(), [199_990_000.0]);
    let row = Array1::from_iter((0..200).map(f64::from));
    let table: ArrayView<'_, f64, _> = row.broadcast((300, 200)).unwrap();
    assert_eq!(axis::sum(pool(), &table, 0).unwrap().as_slice()[7], 2100.0);
}
