//! Special values in stencils and particles: NaN, infinities, zeros of both signs, subnormal and huge numbers
//! give what the naive loop gives, to the last bit, in the caller as in workers, for arrays of any shape and
//! views of any strides.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use ndarray::{Array, Array1, Array2, Array3, ArrayView2, ArrayView3, Axis, Dimension, s};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::stencil::{
    Boundary, convolve_2d, convolve_separable, heat_2d, heat_3d, star_2d, star_3d,
};
use phalanx_kernels::{KernelError, Real, particles};
use std::sync::LazyLock;

fn pool() -> &'static Pool {
    static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::builder().workers(2).build().unwrap());
    &POOL
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    /// A special value once in `rare` times, else one between -1 and 1.
    fn value<T: Real>(&mut self, rare: usize) -> T {
        let least = T::min_positive_value();
        let specials = [
            T::nan(),
            T::infinity(),
            T::neg_infinity(),
            -T::ZERO,
            T::ZERO,
            least,
            -least * T::epsilon(),
            least / T::from_f64(3.0),
            T::max_value(),
            -T::max_value(),
            T::max_value() / T::from_f64(4.0),
        ];
        if self.roll(rare) == 0 {
            return specials[self.roll(specials.len())];
        }
        T::from_f64(self.roll(2001) as f64 / 1000.0 - 1.0)
    }

    fn values<T: Real>(&mut self, len: usize, rare: usize) -> Vec<T> {
        (0..len).map(|_| self.value(rare)).collect()
    }

    fn matrix<T: Real>(&mut self, shape: (usize, usize), rare: usize) -> Array2<T> {
        Array2::from_shape_fn(shape, |_| self.value(rare))
    }

    fn space<T: Real>(&mut self, shape: (usize, usize, usize), rare: usize) -> Array3<T> {
        Array3::from_shape_fn(shape, |_| self.value(rare))
    }

    fn boundary<T: Real>(&mut self) -> Boundary<T> {
        match self.roll(5) {
            0 => Boundary::Constant(self.value(2)),
            1 => Boundary::Nearest,
            2 => Boundary::Reflect,
            3 => Boundary::Mirror,
            _ => Boundary::Wrap,
        }
    }
}

#[track_caller]
fn assert_same<'a, T: Real>(
    got: impl IntoIterator<Item = &'a T>,
    want: impl IntoIterator<Item = &'a T>,
    what: &str,
) {
    let (got, want): (Vec<_>, Vec<_>) = (got.into_iter().collect(), want.into_iter().collect());
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.into_iter().zip(want).enumerate() {
        let same = (got.is_nan() && want.is_nan()) || got.to_word() == want.to_word();
        assert!(same, "{what}: element {at} is {got:?}, not {want:?}");
    }
}

/// The place that stands for one beyond the border, by taking steps.
fn source<T>(boundary: &Boundary<T>, mut at: isize, len: usize) -> Option<usize> {
    let len = len as isize;
    while !(0..len).contains(&at) {
        at = match boundary {
            Boundary::Constant(_) => return None,
            Boundary::Nearest => at.clamp(0, len - 1),
            Boundary::Wrap => at - len * at.signum(),
            Boundary::Reflect if at < 0 => -1 - at,
            Boundary::Reflect => 2 * len - 1 - at,
            Boundary::Mirror if len == 1 => 0,
            Boundary::Mirror if at < 0 => -at,
            Boundary::Mirror => 2 * (len - 1) - at,
        };
    }
    Some(at as usize)
}

/// A sum that starts with its first term, so that a negative zero is kept.
fn sum<T: Real>(terms: impl IntoIterator<Item = T>) -> T {
    terms.into_iter().reduce(|sum, term| sum + term).unwrap_or(T::ZERO)
}

/// An offset along three axes, and a weight.
type Tap<T> = ([isize; 3], T);

/// The weighted sum of neighbours, element by element.
fn naive<T: Real>(a: ArrayView3<'_, T>, taps: &[Tap<T>], boundary: Boundary<T>) -> Array3<T> {
    let (planes, rows, width) = a.dim();
    Array3::from_shape_fn(a.dim(), |(i, j, k)| {
        sum(taps.iter().map(|(offset, weight)| {
            let place = |at: usize, axis: usize, len| source(&boundary, at as isize + offset[axis], len);
            let value = match (place(i, 0, planes), place(j, 1, rows), place(k, 2, width)) {
                (Some(i), Some(j), Some(k)) => a[(i, j, k)],
                _ => match boundary {
                    Boundary::Constant(value) => value,
                    _ => unreachable!(),
                },
            };
            *weight * value
        }))
    })
}

/// The taps of a star in their order: the element itself, then each axis from the lowest offset to the
/// highest.
fn star<T: Real>(weights: [&[T]; 3]) -> Vec<Tap<T>> {
    let mut taps = vec![([0; 3], sum(weights.map(|weights| weights[weights.len() / 2])))];
    for (axis, weights) in weights.into_iter().enumerate() {
        let radius = weights.len() / 2;
        for (at, weight) in weights.iter().enumerate().filter(|(at, _)| *at != radius) {
            let mut offset = [0; 3];
            offset[axis] = at as isize - radius as isize;
            taps.push((offset, *weight));
        }
    }
    taps
}

/// The taps of a convolution: the kernel, mirrored.
fn mirrored<T: Real>(kernel: ArrayView2<'_, T>) -> Vec<Tap<T>> {
    let (r, s) = (kernel.nrows() as isize / 2, kernel.ncols() as isize / 2);
    kernel.indexed_iter().map(|((u, v), weight)| ([0, r - u as isize, s - v as isize], *weight)).collect()
}

/// Shapes with one row, one column, nothing, and more elements than the caller works on alone.
const MATRICES: [(usize, usize); 8] =
    [(0, 3), (1, 1), (1, 40), (40, 1), (2, 3), (9, 17), (101, 103), (3, 5000)];
const SPACES: [(usize, usize, usize); 7] =
    [(2, 0, 3), (1, 1, 1), (1, 1, 40), (40, 1, 2), (3, 4, 5), (23, 24, 25), (1, 2, 6000)];

fn stars_are_the_naive_loops<T: Real>() {
    let mut dice = Dice(1);
    for (shape, rare) in SPACES.into_iter().flat_map(|shape| [(shape, 1), (shape, 40), (shape, 400)]) {
        let a: Array3<T> = dice.space(shape, rare);
        let weights = [1, 3, 7].map(|count| dice.values::<T>(count, 9));
        let weights: [&[T]; 3] = [&weights[dice.roll(3)], &weights[dice.roll(3)], &weights[1]];
        let boundary = dice.boundary();
        let mut out = SharedArray::zeros(shape).unwrap();
        star_3d(pool(), weights, &a, boundary, &mut out).unwrap();
        let want = naive(a.view(), &star(weights), boundary);
        assert_same(out.as_slice(), &want, &format!("star_3d, {shape:?}, {boundary:?}"));
        // The same numbers, stored backwards.
        let turned = Array3::from_shape_fn(shape, |(i, j, k)| a[(shape.0 - 1 - i, j, shape.2 - 1 - k)]);
        star_3d(pool(), weights, &turned.slice(s![..;-1, .., ..;-1]), boundary, &mut out).unwrap();
        assert_same(out.as_slice(), &want, "star_3d of a view backwards");
    }
    for (shape, rare) in MATRICES.into_iter().flat_map(|shape| [(shape, 1), (shape, 40)]) {
        let a: Array2<T> = dice.matrix(shape, rare);
        let (weights, boundary) = ([5, 3].map(|count| dice.values::<T>(count, 9)), dice.boundary());
        let mut out = SharedArray::zeros(shape).unwrap();
        star_2d(pool(), [&weights[0], &weights[1]], &a, boundary, &mut out).unwrap();
        let taps = star([&[-T::ZERO], &weights[0], &weights[1]]);
        let want = naive(a.view().insert_axis(Axis(0)), &taps, boundary);
        assert_same(out.as_slice(), &want, &format!("star_2d, {shape:?}, {boundary:?}"));
    }
}

#[test]
fn stars_of_special_values_are_the_naive_loops() {
    stars_are_the_naive_loops::<f64>();
    stars_are_the_naive_loops::<f32>();
}

#[test]
fn zeros_keep_their_sign_in_stars() {
    let a = Array2::from_elem((3, 4), 1.0f64);
    let mut out = SharedArray::zeros((3, 4)).unwrap();
    star_2d(pool(), [&[-0.0; 3], &[-0.0; 3]], &a, Boundary::Wrap, &mut out).unwrap();
    assert!(out.as_slice().iter().all(|zero: &f64| *zero == 0.0 && zero.is_sign_negative()));
}

fn convolutions_are_the_naive_loops<T: Real>() {
    let mut dice = Dice(2);
    for (shape, rare) in MATRICES.into_iter().flat_map(|shape| [(shape, 1), (shape, 40), (shape, 400)]) {
        let (a, boundary) = (dice.matrix::<T>(shape, rare), dice.boundary());
        let mut out = SharedArray::zeros(shape).unwrap();
        // Larger than most of the matrices, and larger than a group of taps.
        for size in [(1, 1), (3, 3), (7, 1), (1, 13), (9, 11)] {
            let kernel = dice.matrix::<T>(size, 9);
            let want = naive(a.view().insert_axis(Axis(0)), &mirrored(kernel.view()), boundary);
            convolve_2d(pool(), &a, &kernel, boundary, &mut out).unwrap();
            assert_same(out.as_slice(), &want, &format!("convolve_2d, {shape:?} by {size:?}, {boundary:?}"));
            let (rows, turned) = (
                a.t().to_owned(),
                Array2::from_shape_fn(size, |(u, v)| kernel[(size.0 - 1 - u, size.1 - 1 - v)]),
            );
            let kernel = turned.slice(s![..;-1, ..;-1]);
            convolve_2d(pool(), &rows.t(), &kernel, boundary, &mut out).unwrap();
            assert_same(out.as_slice(), &want, "convolve_2d of views");

            // Along the rows, then along the columns; a row beyond the border is a row too.
            let (column, row) = (dice.values::<T>(size.0, 9), dice.values::<T>(size.1, 9));
            convolve_separable(pool(), &a, &column, &row, boundary, &mut out).unwrap();
            let row = mirrored(ArrayView2::from_shape((1, row.len()), &row).unwrap());
            let beyond = match boundary {
                Boundary::Constant(value) => sum(row.iter().map(|(_, weight)| *weight * value)),
                _ => T::ZERO,
            };
            let along = naive(a.view().insert_axis(Axis(0)), &row, boundary);
            let boundary =
                if let Boundary::Constant(_) = boundary { Boundary::Constant(beyond) } else { boundary };
            let column = mirrored(ArrayView2::from_shape((column.len(), 1), &column).unwrap());
            let want = naive(along.view(), &column, boundary);
            assert_same(
                out.as_slice(),
                &want,
                &format!("convolve_separable, {shape:?} by {size:?}, {boundary:?}"),
            );
        }
    }
}

#[test]
fn convolutions_of_special_values_are_the_naive_loops() {
    convolutions_are_the_naive_loops::<f64>();
    convolutions_are_the_naive_loops::<f32>();
}

#[test]
fn one_repeated_element_is_convolved_as_a_whole_matrix() {
    let one = ndarray::arr0(f64::MAX);
    let (a, kernel) = (one.broadcast((120, 100)).unwrap(), ndarray::arr0(0.25));
    let kernel = kernel.broadcast((1, 3)).unwrap();
    let mut out = SharedArray::zeros((120, 100)).unwrap();
    convolve_2d(pool(), &a, &kernel, Boundary::Constant(f64::INFINITY), &mut out).unwrap();
    let ends = |(at, value): (usize, &f64)| match at % 100 {
        0 | 99 => *value == f64::INFINITY,
        _ => *value == 0.75 * f64::MAX,
    };
    assert!(out.as_slice().iter().enumerate().all(ends));
}

/// Steps by `u' = (1 - 2 d r) u + r (sum of the neighbours)`, the neighbours and the element in the order of
/// their places.
fn stepped<T: Real, D: Dimension>(start: Array<T, D>, r: T, steps: usize) -> Array<T, D> {
    let axes = start.ndim();
    let centre = T::ONE - T::from_f64(2.0 * axes as f64) * r;
    let strides: Vec<isize> = start.strides().to_vec();
    (0..steps).fold(start, |u, _| {
        let (flat, shape, mut out) = (u.as_slice().unwrap(), u.raw_dim(), u.clone());
        for (at, (index, value)) in ndarray::indices(shape.clone()).into_iter().zip(&mut out).enumerate() {
            let index = ndarray::IntoDimension::into_dimension(index);
            if index.slice().iter().zip(shape.slice()).all(|(i, len)| *i > 0 && i + 1 < *len) {
                let before = strides.iter().map(|stride| r * flat[at.wrapping_add_signed(-stride)]);
                let after = strides.iter().rev().map(|stride| r * flat[at.wrapping_add_signed(*stride)]);
                *value = sum(before.chain([centre * flat[at]]).chain(after));
            }
        }
        out
    })
}

fn heat_is_the_naive_loop<T: Real>() {
    let mut dice = Dice(3);
    let least = T::min_positive_value() * T::epsilon();
    for r in [T::ZERO, -T::ZERO, T::from_f64(0.1), T::from_f64(0.25), least, T::from_f64(1e37), -T::ONE] {
        for (rare, steps) in [(1, 1), (40, 1), (400, 3)] {
            for shape in SPACES.into_iter().chain([(3, 3, 4000)]) {
                let start: Array3<T> = dice.space(shape, rare);
                let mut u = SharedArray::from_ndarray(&start).unwrap();
                heat_3d(pool(), &mut u, &mut SharedArray::zeros(shape).unwrap(), r, steps).unwrap();
                let want = stepped(start, r, steps);
                assert_same(u.as_slice(), &want, &format!("heat_3d, {shape:?}, r {r:?}, {steps} steps"));
            }
            for shape in MATRICES {
                let start: Array2<T> = dice.matrix(shape, rare);
                let mut u = SharedArray::from_ndarray(&start).unwrap();
                heat_2d(pool(), &mut u, &mut SharedArray::zeros(shape).unwrap(), r, steps).unwrap();
                let want = stepped(start, r, steps);
                assert_same(u.as_slice(), &want, &format!("heat_2d, {shape:?}, r {r:?}, {steps} steps"));
            }
        }
    }
}

#[test]
fn heat_of_special_values_is_the_naive_loop() {
    heat_is_the_naive_loop::<f64>();
    heat_is_the_naive_loop::<f32>();
}

#[test]
fn heat_refuses_ratios_whose_multiple_is_infinite() {
    for r in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MAX / -3.0] {
        let (mut u, mut scratch) =
            (SharedArray::zeros((5, 5, 5)).unwrap(), SharedArray::zeros((5, 5, 5)).unwrap());
        let refused = heat_3d(pool(), &mut u, &mut scratch, r, 1);
        assert!(matches!(refused, Err(KernelError::Argument { .. })), "{r}: {refused:?}");
        let (mut u, mut scratch) = (SharedArray::zeros((5, 5)).unwrap(), SharedArray::zeros((5, 5)).unwrap());
        let refused = heat_2d(pool(), &mut u, &mut scratch, r, 1);
        assert!(matches!(refused, Err(KernelError::Argument { .. })), "{r}: {refused:?}");
    }
}

/// The formula, body by body.
fn pulls<T: Real>(x: &Array2<T>, masses: &Array1<T>, softening: T) -> Array2<T> {
    let mut out = Array2::from_elem(x.raw_dim(), T::ZERO);
    for i in 0..masses.len() {
        for j in 0..masses.len() {
            let d = [0, 1, 2].map(|axis| x[(j, axis)] - x[(i, axis)]);
            let r2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + softening * softening;
            let pull = if r2 == T::ZERO { T::ZERO } else { masses[j] / (r2 * r2.sqrt()) };
            (0..3).for_each(|axis| out[(i, axis)] = out[(i, axis)] + d[axis] * pull);
        }
    }
    out
}

/// Kick, drift, kick.
fn moved<T: Real>(x: &mut Array2<T>, v: &mut Array2<T>, masses: &Array1<T>, soft: T, step: T, steps: usize) {
    let half = step / T::from_f64(2.0);
    let add = |x: &mut Array2<T>, v: &Array2<T>, t: T| x.zip_mut_with(v, |x, v| *x = *x + *v * t);
    for _ in 0..steps {
        add(v, &pulls(x, masses, soft), half);
        add(x, v, step);
        add(v, &pulls(x, masses, soft), half);
    }
}

fn leaps_are_the_naive_loop<T: Real>() {
    let mut dice = Dice(4);
    for n in [1, 2, 17, 120] {
        // No positions that are huge and finite, nor what would make such: these have units of their own.
        let small = |x: T| if x.abs() > T::from_f64(1e8) && x.is_finite() { T::infinity() } else { x };
        for (rare, soft, step) in [(1, 0.5, 0.1), (20, 0.0, 0.1), (200, 0.25, -0.5), (20, 0.1, 0.0)] {
            let (mut x, mut v) = (dice.matrix::<T>((n, 3), rare).mapv(small), dice.matrix::<T>((n, 3), rare));
            let mut masses = Array1::from_vec(dice.values::<T>(n, rare));
            if step != 0.0 {
                (v, masses) = (v.mapv(small), masses.mapv(small));
            }
            let (soft, step) = (T::from_f64(soft), T::from_f64(step));
            let mut got = (SharedArray::from_ndarray(&x).unwrap(), SharedArray::from_ndarray(&v).unwrap());
            let backwards = masses.iter().rev().copied().collect::<Array1<T>>();
            particles::leapfrog(pool(), &mut got.0, &mut got.1, &backwards.slice(s![..;-1]), soft, step, 1)
                .unwrap();
            moved(&mut x, &mut v, &masses, soft, step, 1);
            assert_same(got.1.as_slice(), &v, &format!("velocities of {n} bodies, one in {rare} special"));
            assert_same(got.0.as_slice(), &x, &format!("positions of {n} bodies, one in {rare} special"));
        }
    }
}

#[test]
fn leaps_of_special_values_are_the_naive_loop() {
    leaps_are_the_naive_loop::<f64>();
    leaps_are_the_naive_loop::<f32>();
}

/// Lengths in other units, with masses in the cube of these, move alike.
#[test]
fn orbits_of_any_size_are_alike() {
    for n in [3, 110] {
        let run = |exponent: i32| {
            let (mut dice, scale) = (Dice(5), 2f64.powi(exponent));
            let mut table = |unit: f64| dice.matrix::<f64>((n, 3), usize::MAX).mapv(|x| x * unit);
            let (x, v, masses) = (table(scale), table(scale), Array1::from_elem(n, scale.powi(3)));
            let (mut x, mut v) =
                (SharedArray::from_ndarray(&x).unwrap(), SharedArray::from_ndarray(&v).unwrap());
            particles::leapfrog(pool(), &mut x, &mut v, &masses, 0.25 * scale, 0.01, 3).unwrap();
            x.as_slice().iter().chain(v.as_slice()).map(|x| x / scale).collect::<Vec<f64>>()
        };
        let near = run(0);
        for exponent in [-330, -250, 250, 330] {
            assert_same(&run(exponent), &near, &format!("{n} bodies, 2^{exponent}"));
        }
    }
}

#[test]
fn orbits_at_the_ends_of_the_range_end_without_panic() {
    for n in [2, 110] {
        for (far, fast, heavy, step) in [
            (f64::MAX, f64::MAX, f64::MAX, f64::MAX),
            (5e-324, 5e-324, 5e-324, 5e-324),
            (f64::MAX, 5e-324, f64::MAX, 5e-324),
            (5e-324, f64::MAX, f64::MAX, -f64::MAX),
        ] {
            let table = |size: f64| {
                SharedArray::from_shape_fn((n, 3), |(i, axis)| if (i + axis) % 2 == 0 { size } else { -size })
                    .unwrap()
            };
            let (mut x, mut v, masses) = (table(far), table(fast), Array1::from_elem(n, heavy));
            for softening in [0.0, 5e-324, f64::MAX] {
                particles::leapfrog(pool(), &mut x, &mut v, &masses, softening, step, 2).unwrap();
            }
        }
    }
}

#[test]
fn masses_of_another_number_are_refused_at_any_length() {
    let one = ndarray::arr0(1.0f64);
    let (mut x, mut v) = (SharedArray::zeros((2, 3)).unwrap(), SharedArray::zeros((2, 3)).unwrap());
    for len in [0, 1, 3, usize::MAX / 16, isize::MAX as usize] {
        let refused =
            particles::leapfrog(pool(), &mut x, &mut v, &one.broadcast(len).unwrap(), 0.0, 0.1, usize::MAX);
        assert!(matches!(refused, Err(KernelError::Shape { .. })), "{len}: {refused:?}");
    }
}
