//! Forces beside their naive twin, and the laws that motion must keep.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use ndarray::{Array1, Array2};
use proptest::prelude::*;

/// The naive twin: the formula, body by body.
fn naive<T: Real>(positions: &Array2<T>, masses: &Array1<T>, softening: T) -> Array2<T> {
    let mut out = Array2::from_elem(positions.raw_dim(), T::ZERO);
    for i in 0..masses.len() {
        for j in 0..masses.len() {
            let d = [0, 1, 2].map(|axis| positions[(j, axis)] - positions[(i, axis)]);
            let r2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + softening * softening;
            if r2 != T::ZERO {
                let pull = masses[j] / (r2 * r2.sqrt());
                (0..3).for_each(|axis| out[(i, axis)] = out[(i, axis)] + d[axis] * pull);
            }
        }
    }
    out
}

fn cloud<T: Real>(n: usize) -> (Array2<T>, Array2<T>, Array1<T>) {
    let mut dice = Dice(n as u64);
    let mut table = || Array2::from_shape_fn((n, 3), |_| T::from_f64(dice.unit()));
    let (positions, velocities) = (table(), table());
    (positions, velocities, Array1::from_shape_fn(n, |i| T::from_f64(1.0 + (i % 7) as f64 / 8.0)))
}

fn check<T: Real>(n: usize, softening: f64) {
    let (positions, _, masses) = cloud::<T>(n);
    let softening = T::from_f64(softening);
    let expected = naive(&positions, &masses, softening);
    for pool in pools() {
        let mut out = pool.zeros_nd((n, 3)).unwrap();
        let (positions, masses) =
            (pool.from_ndarray(&positions).unwrap(), pool.from_ndarray(&masses).unwrap());
        accelerations(pool, &mut out, &positions, &masses, softening).unwrap();
        assert!(out.view() == expected, "{n} bodies, {} workers", pool.workers());
    }
}

const COUNTS: [usize; 14] = [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 99, 100, 101, 257];

#[test]
fn accelerations_have_the_bits_of_the_twin() {
    for n in COUNTS {
        check::<f64>(n, 0.0);
        launching(|| {
            check::<f64>(n, 0.05);
            check::<f32>(n, 0.0);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_number_of_bodies(n in 0usize..200, softening in 0.0..2.0) {
        launching(|| check::<f64>(n, softening));
    }
}

#[test]
fn energies_have_the_same_bits_for_every_team() {
    launching(|| {
        for n in COUNTS {
            let (x, v, m) = cloud::<f32>(n);
            let all: Vec<Energy> =
                pools().iter().map(|pool| energy(pool, &x, &v, &m, 0.1).unwrap()).collect();
            assert!(all.iter().all(|energy| *energy == all[0]));
            let mut potential = 0.0;
            for (i, j) in (0..n).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let r2: f64 = (0..3).map(|axis| f64::from(x[(i, axis)] - x[(j, axis)]).powi(2)).sum();
                potential -= f64::from(m[i] * m[j]) / (r2 + f64::from(0.1f32).powi(2)).sqrt();
            }
            assert!(
                (all[0].potential - potential).abs() <= 1e-5 * potential.abs(),
                "{} {potential}",
                all[0].potential
            );
        }
    });
}

/// Steps over a cloud of bodies; returns positions, velocities and masses.
fn run(
    pool: &Pool,
    n: usize,
    step: f64,
    steps: usize,
) -> (SharedArray<f64, Ix2>, SharedArray<f64, Ix2>, Array1<f64>) {
    let (x, v, m) = cloud::<f64>(n);
    let (mut x, mut v) = (pool.from_ndarray(&x).unwrap(), pool.from_ndarray(&v).unwrap());
    leapfrog(pool, &mut x, &mut v, &m, 0.3, step, steps).unwrap();
    (x, v, m)
}

#[test]
fn motion_keeps_energy_and_momentum_and_can_be_turned_back() {
    let n = 150;
    let (x0, v0, m) = cloud::<f64>(n);
    let before = energy(pool(), &x0, &v0, &m, 0.3).unwrap();
    let (mut x, mut v, _) = run(pool(), n, 1e-4, 50);
    let after = energy(pool(), &x, &v, &m, 0.3).unwrap();
    assert!((after.kinetic - before.kinetic).abs() > 1e-3 * before.kinetic, "something must have moved");
    assert!((after.total() - before.total()).abs() < 1e-6 * before.total().abs(), "{before:?} {after:?}");
    for axis in 0..3 {
        let momentum = |v: &Array2<f64>| (0..n).map(|i| m[i] * v[(i, axis)]).sum::<f64>();
        assert!((momentum(&v.view().to_owned()) - momentum(&v0)).abs() < 1e-10);
    }
    leapfrog(pool(), &mut x, &mut v, &m, 0.3, -1e-4, 50).unwrap();
    let far = x.view().iter().zip(&x0).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far < 1e-12, "the way back ends {far} away");
}

#[test]
fn halving_the_step_quarters_the_error() {
    let end = |steps: usize| run(pool(), 20, 0.05 / steps as f64, steps).0.view().to_owned();
    let exact = end(1024);
    let error = |steps| (end(steps) - &exact).iter().map(|d| d.abs()).fold(0.0, f64::max);
    let ratio = error(16) / error(32);
    assert!((3.6..4.4).contains(&ratio), "second order: {ratio}");
}

#[test]
fn orbits_have_the_same_bits_for_every_team_and_in_the_caller() {
    let caller = run(pool(), 60, 1e-3, 5);
    launching(|| {
        for pool in pools() {
            let (x, v, _) = run(pool, 60, 1e-3, 5);
            assert!(x.view() == caller.0.view() && v.view() == caller.1.view());
        }
    });
}

#[test]
fn bodies_in_one_place_and_numbers_that_are_none_behave_as_documented() {
    let mut out = pool().zeros_nd::<f64, _>((3, 3)).unwrap();
    let mut x = ndarray::array![[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 3.0]];
    accelerations(pool(), &mut out, &x, &[1.0, 1.0, 4.0], 0.0).unwrap();
    assert_eq!(out.view(), ndarray::array![[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, -0.5]]);
    x[(0, 0)] = f64::NAN;
    accelerations(pool(), &mut out, &x, &[1.0, 1.0, 4.0], 0.0).unwrap();
    assert!(out.view().column(0).iter().all(|a| a.is_nan()));
}

#[test]
fn bad_arguments_are_refused_before_anything_moves() {
    let (mut x, mut v) = (pool().zeros_nd::<f64, _>((4, 3)).unwrap(), pool().zeros_nd((4, 3)).unwrap());
    x.fill(7.0);
    let masses = [1.0; 4];
    let refused = leapfrog(pool(), &mut x, &mut v, &masses[..3], 0.1, 0.1, 1);
    assert!(matches!(refused, Err(KernelError::Shape { what: "positions", .. })));
    let wide = Array2::<f64>::zeros((4, 2));
    let refused = accelerations(pool(), &mut v, &wide, &masses, 0.1);
    assert!(matches!(refused, Err(KernelError::Shape { what: "positions", .. })));
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        let refused = leapfrog(pool(), &mut x, &mut v, &masses, bad, 0.1, 1);
        assert!(matches!(refused, Err(KernelError::Argument { what: "softening", .. })));
    }
    let refused = leapfrog(pool(), &mut x, &mut v, &masses, 0.1, f64::NAN, 1);
    assert!(matches!(refused, Err(KernelError::Argument { what: "step", .. })));
    assert!(x.as_slice().iter().all(|x| *x == 7.0));
}

#[test]
fn lengths_may_be_of_any_size() {
    let near = [[0.0f64, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, -1.5, 0.25]].concat();
    let (masses, still) = ([1.0, 3.0, 0.5], Array2::zeros((3, 3)));
    let run = |exponent: i32| {
        let scale = 2f64.powi(exponent);
        let x = Array2::from_shape_vec((3, 3), near.iter().map(|x| x * scale).collect()).unwrap();
        let mut out = pool().zeros_nd((3, 3)).unwrap();
        accelerations(pool(), &mut out, &x, &masses, 0.5 * scale).unwrap();
        let energy = energy(pool(), &x, &still, &masses, 0.5 * scale).unwrap();
        // What falls with the square of the distance, and with the distance.
        let pull: Vec<f64> = out.as_slice().iter().map(|a| a * scale * scale).collect();
        (pull, energy.potential * scale)
    };
    for exponent in [-500, -450, -150, 150, 400, 500] {
        let (near, far) = (run(0), run(exponent));
        assert_eq!(far, near, "2^{exponent}");
        assert_eq!(launching(|| run(exponent)), near, "2^{exponent}, handed out");
    }
    // Metres between stars, in single precision.
    let x = ndarray::array![[0.0f32, 0.0, 0.0], [4e16, 0.0, 0.0]];
    let mut out = pool().zeros_nd((2, 3)).unwrap();
    accelerations(pool(), &mut out, &x, &[1.3e20, 1.3e20], 0.0).unwrap();
    assert!((out.view()[(0, 0)] / (1.3e20 / 1.6e33) as f32 - 1.0).abs() < 1e-5, "{:?}", out.view());
}

#[test]
fn energies_keep_what_squares_would_lose() {
    let one = ndarray::array![[0.0, 0.0, 0.0]];
    let fast = ndarray::array![[3e160, 0.0, 4e160]];
    let got = energy(pool(), &one, &fast, &[2e-300], 0.0).unwrap().kinetic;
    assert!((got / 25e20 - 1.0).abs() < 1e-12, "{got:e}");
    let both = ndarray::array![[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]];
    let still = Array2::<f64>::zeros((2, 3));
    let got = energy(pool(), &both, &still, &[2.0, 3.0], 1e-150).unwrap().potential;
    assert!((got / -6e150 - 1.0).abs() < 1e-12, "{got:e}");
    let refused = energy(pool(), &both, &still, &[2.0, 3.0], 1e-170);
    assert!(matches!(refused, Err(KernelError::Argument { what: "softening", .. })));
}
