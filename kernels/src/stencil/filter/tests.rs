use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pools};
use ndarray::{Array3, Ix3};
use proptest::prelude::*;

/// A fold of the block around every element, read through the boundary.
fn naive(
    x: &Array3<f64>,
    sizes: [usize; 3],
    boundary: Boundary<f64>,
    fold: impl Fn(&mut dyn Iterator<Item = ([usize; 3], f64)>) -> f64,
) -> Array3<f64> {
    Array3::from_shape_fn(x.raw_dim(), |(i, j, k)| {
        let mut near = ndarray::indices(sizes).into_iter().map(|(u, v, w)| {
            let source = |at: usize, off: usize, axis: usize| {
                boundary.source((at + off) as isize - (sizes[axis] / 2) as isize, x.shape()[axis])
            };
            let place = source(i, u, 0).zip(source(j, v, 1)).zip(source(k, w, 2));
            ([u, v, w], place.map_or(boundary.value(), |((i, j), k)| x[(i, j, k)]))
        });
        fold(&mut near)
    })
}

fn any_boundary() -> impl Strategy<Value = Boundary<f64>> {
    prop_oneof![
        (-2.0..2.0).prop_map(Boundary::Constant),
        Just(Boundary::Nearest),
        Just(Boundary::Reflect),
        Just(Boundary::Mirror),
        Just(Boundary::Wrap),
    ]
}

fn close(got: &SharedArray<f64, Ix3>, want: &Array3<f64>) -> bool {
    got.view().iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn blocks_agree_with_the_naive_twin(
        shape in (0usize..8, 1usize..12, 1usize..20), sizes in [1usize..5, 1usize..6, 1usize..9],
        boundary in any_boundary(), seed: u64, which in 0usize..4, launch: bool,
    ) {
        let pool = &pools()[which];
        let x = Array3::from_shape_vec(shape, Dice(seed).units(shape.0 * shape.1 * shape.2)).unwrap();
        let zeros = || SharedArray::<f64, Ix3>::zeros(shape).unwrap();
        let (mut mean, mut least, mut greatest) = (zeros(), zeros(), zeros());
        let mut run = || {
            uniform(pool, &mut mean, &x, &sizes, boundary).unwrap();
            minimum(pool, &mut least, &x, &sizes, boundary).unwrap();
            maximum(pool, &mut greatest, &x, &sizes, boundary).unwrap();
        };
        if launch { launching(run) } else { run() }
        // A constant beyond the border stays what it is along the next axis, in blocks as in passes.
        let count = sizes.iter().product::<usize>() as f64;
        prop_assert!(close(&mean, &naive(&x, sizes, boundary, |near| near.map(|x| x.1).sum::<f64>() / count)));
        prop_assert!(close(&least, &naive(&x, sizes, boundary, |near| near.map(|x| x.1).fold(f64::INFINITY, f64::min))));
        let most = |near: &mut dyn Iterator<Item = ([usize; 3], f64)>| near.map(|x| x.1).fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(close(&greatest, &naive(&x, sizes, boundary, most)));
    }

    #[test]
    fn weighted_sums_agree_with_the_naive_twin(
        shape in (1usize..8, 1usize..12, 1usize..20), axis in 0usize..3, count in 1usize..8,
        boundary in any_boundary(), seed: u64, which in 0usize..4, launch: bool,
    ) {
        let (pool, mut dice) = (&pools()[which], Dice(seed));
        let x = Array3::from_shape_vec(shape, dice.units(shape.0 * shape.1 * shape.2)).unwrap();
        let weights = dice.units(count);
        let mut out = SharedArray::<f64, Ix3>::zeros(shape).unwrap();
        let mut run = || correlate_1d(pool, &mut out, &x, &weights, axis as isize, boundary).unwrap();
        if launch { launching(run) } else { run() }
        let mut sizes = [1; 3];
        sizes[axis] = count;
        prop_assert!(close(&out, &naive(&x, sizes, boundary, |near| near.map(|(at, x)| weights[at[axis]] * x).sum())));
    }

    #[test]
    fn bells_and_slopes_agree_with_the_naive_twin(
        shape in (1usize..8, 1usize..12, 1usize..20), axis in 0usize..3, seed: u64, which in 0usize..4, launch: bool,
        deviations in [0.0f64..0.9, 0.0f64..1.4, 0.0f64..2.0], skip in 0usize..4,
    ) {
        let (pool, boundary) = (&pools()[which], Boundary::Reflect);
        let mut deviations = deviations;
        if let Some(none) = deviations.get_mut(skip) {
            *none = 0.0;
        }
        let x = Array3::from_shape_vec(shape, Dice(seed).units(shape.0 * shape.1 * shape.2)).unwrap();
        let zeros = || SharedArray::<f64, Ix3>::zeros(shape).unwrap();
        let (mut smooth, mut steep, mut plain) = (zeros(), zeros(), zeros());
        let mut run = || {
            gaussian(pool, &mut smooth, &x, &deviations, boundary).unwrap();
            sobel(pool, &mut steep, &x, axis as isize, boundary).unwrap();
            prewitt(pool, &mut plain, &x, axis as isize, boundary).unwrap();
        };
        if launch { launching(run) } else { run() }
        let radii = deviations.map(|deviation| (4.0 * deviation + 0.5) as usize);
        let weight = |at: [usize; 3]| (0..3).map(|axis| {
            let (radius, deviation) = (radii[axis] as f64, deviations[axis]);
            let bell = |at: f64| if deviation == 0.0 { 1.0 } else { (-0.5 * (at / deviation).powi(2)).exp() };
            let sum: f64 = (0..=2 * radii[axis]).map(|at| bell(at as f64 - radius)).sum();
            bell(at[axis] as f64 - radius) / sum
        }).product::<f64>();
        let sizes = radii.map(|radius| 2 * radius + 1);
        prop_assert!(close(&smooth, &naive(&x, sizes, boundary, |near| near.map(|(at, x)| weight(at) * x).sum())));
        for (got, middle) in [(&steep, 2.0), (&plain, 1.0)] {
            let weight = |at: [usize; 3]| (0..3).map(|other| {
                if other == axis { at[other] as f64 - 1.0 } else { [1.0, middle, 1.0][at[other]] }
            }).product::<f64>();
            prop_assert!(close(got, &naive(&x, [3; 3], boundary, |near| near.map(|(at, x)| weight(at) * x).sum())));
        }
    }
}

#[test]
fn small_things_are_taken_away_and_filled() {
    let x = Array3::from_shape_fn((3, 40, 50), |(_, i, j)| {
        u8::from((10..20).contains(&i) && (5..30).contains(&j))
    });
    let mut spots = x.clone();
    spots[(1, 30, 40)] = 1;
    spots[(1, 15, 10)] = 0;
    let (mut open, mut both) =
        (SharedArray::zeros(x.raw_dim()).unwrap(), SharedArray::zeros(x.raw_dim()).unwrap());
    closing(&pools()[2], &mut both, &spots, &[1, 3, 3], Boundary::Reflect).unwrap();
    opening(&pools()[2], &mut open, &both, &[1, 3, 3], Boundary::Reflect).unwrap();
    assert_eq!(open.view(), x.view());
}

#[test]
fn the_bits_do_not_depend_on_workers() {
    let x = Array3::from_shape_vec((30, 41, 57), Dice(5).units(30 * 41 * 57)).unwrap();
    let run = |pool: &Pool| {
        let mut out = SharedArray::zeros((30, 41, 57)).unwrap();
        gaussian(pool, &mut out, &x, &[1.0, 2.0, 0.7], Boundary::Mirror).unwrap();
        let smooth = out.to_vec();
        uniform(pool, &mut out, &x, &[3, 4, 5], Boundary::Wrap).unwrap();
        (smooth, out.to_vec())
    };
    let first = run(&pools()[0]);
    assert!(pools().iter().all(|pool| run(pool) == first));
}

#[test]
fn bad_arguments_are_refused_before_any_work() {
    let (pool, x) = (&pools()[1], [1.0, 2.0, 3.0]);
    let mut out = SharedArray::from_slice(&[7.0; 3]).unwrap();
    let edge = Boundary::Nearest;
    let argument =
        |result: Result<(), KernelError>| assert!(matches!(result, Err(KernelError::Argument { .. })));
    argument(correlate_1d(pool, &mut out, &x, &[], 0, edge));
    argument(correlate_1d(pool, &mut out, &x, &[1.0], 1, edge));
    argument(gaussian(pool, &mut out, &x, &[-1.0], edge));
    argument(gaussian(pool, &mut out, &x, &[f64::NAN], edge));
    argument(uniform(pool, &mut out, &x, &[0], edge));
    argument(opening(pool, &mut out, &x, &[2], edge));
    argument(closing(pool, &mut out, &x, &[4], edge));
    let shape = |result: Result<(), KernelError>| assert!(matches!(result, Err(KernelError::Shape { .. })));
    shape(gaussian(pool, &mut out, &x, &[1.0, 1.0], edge));
    shape(minimum(pool, &mut out, &x[..2], &[3], edge));
    shape(opening(pool, &mut out, &x[..2], &[3], edge));
    assert_eq!(out.as_slice(), [7.0; 3]);
}
