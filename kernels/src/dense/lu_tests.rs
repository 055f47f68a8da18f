//! LU against products, at sizes around panels, and at what has no inverse.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use ndarray::{Array1, Array2, array};

fn random(m: usize, n: usize, seed: u64) -> Array2<f64> {
    Array2::from_shape_vec((m, n), Dice(seed).units(m * n)).unwrap()
}

/// The largest difference, relative to the largest element.
fn off(got: &Array2<f64>, want: &Array2<f64>) -> f64 {
    let largest = want.iter().fold(1e-300, |most: f64, x| most.max(x.abs()));
    (got - want).iter().fold(0.0, |most: f64, x| most.max(x.abs())) / largest
}

/// `P A` and `L U`.
fn both(pool: &Pool, a: &Array2<f64>, lu: &Lu<f64>) -> (Array2<f64>, Array2<f64>) {
    let n = a.nrows();
    let mut factors = pool.zeros_nd((n, n)).unwrap();
    lu.write_factors(pool, &mut factors).unwrap();
    let factors = factors.view();
    let lower = Array2::from_shape_fn((n, n), |(i, j)| match i.cmp(&j) {
        std::cmp::Ordering::Greater => factors[(i, j)],
        std::cmp::Ordering::Equal => 1.0,
        std::cmp::Ordering::Less => 0.0,
    });
    let upper = Array2::from_shape_fn((n, n), |(i, j)| if i <= j { factors[(i, j)] } else { 0.0 });
    let order = lu.order().as_slice();
    (Array2::from_shape_fn((n, n), |(i, j)| a[(order[i] as usize, j)]), lower.dot(&upper))
}

#[test]
fn factors_multiply_to_the_matrix_at_sizes_around_panels() {
    for n in [1, 2, 3, 63, 64, 65, 127, 128, 130, 161, 200] {
        let a = random(n, n, n as u64);
        for pool in [&pools()[0], &pools()[2]] {
            let run = || both(pool, &a, &Lu::new(pool, &a).unwrap());
            for (left, right) in [run(), launching(run)] {
                assert!(off(&right, &left) < 1e-13, "{n}");
            }
        }
    }
}

#[test]
fn systems_of_one_and_many_sides_are_solved() {
    for (n, sides) in [(1, 1), (70, 3), (130, 33), (100, 100), (5, 0)] {
        let (a, exact) = (random(n, n, 5), random(n, sides, 6));
        let b = a.dot(&exact);
        let run = || {
            let mut x = pool().zeros_nd((n, sides)).unwrap();
            solve(pool(), &a, &b, &mut x).unwrap();
            x.view().to_owned()
        };
        assert!(off(&run(), &exact) < 1e-10 && off(&launching(run), &exact) < 1e-10, "{n} x {sides}");
    }
    let (a, exact) = (random(150, 150, 7), Array1::from_vec(Dice(8).units(150)));
    let mut x = pool().zeros(150).unwrap();
    solve(pool(), &a, &a.dot(&exact), &mut x).unwrap();
    assert!(x.as_slice().iter().zip(&exact).all(|(x, exact)| (x - exact).abs() < 1e-10));
}

#[test]
fn the_bits_do_not_depend_on_workers() {
    let (a, b) = (random(230, 230, 1), random(230, 70, 2));
    let run = |pool: &Pool| {
        let lu = Lu::new(pool, &a).unwrap();
        let (mut x, mut inverse) = (pool.zeros_nd((230, 70)).unwrap(), pool.zeros_nd((230, 230)).unwrap());
        lu.solve(pool, &b, &mut x).unwrap();
        lu.inverse(pool, &mut inverse).unwrap();
        (x.to_vec(), inverse.to_vec(), lu.determinant().to_bits())
    };
    let first = run(&pools()[0]);
    assert!(pools().iter().all(|pool| run(pool) == first));
}

#[test]
fn inverses_and_determinants_are_those_of_the_definition() {
    // By Sarrus.
    let a = array![[0.0, 2.0, 1.0], [3.0, 1.0, 4.0], [1.0, 5.0, 9.0]];
    assert!((determinant(pool(), &a).unwrap() + 32.0_f64).abs() < 1e-13);
    let (sign, log) = Lu::new(pool(), &a).unwrap().log_determinant();
    assert!(sign == -1.0 && (log - 32f64.ln()).abs() < 1e-14);
    let a = random(170, 170, 3);
    let mut out = pool().zeros_nd((170, 170)).unwrap();
    inverse(pool(), &a, &mut out).unwrap();
    assert!(off(&a.dot(&out.view()), &Array2::eye(170)) < 1e-10);
    // Too large for a float64.
    let large = Array2::from_diag(&Array1::from_elem(200, -1e10));
    let lu = Lu::new(pool(), &large).unwrap();
    assert_eq!(lu.determinant(), f64::INFINITY);
    let (sign, log) = lu.log_determinant();
    assert!(sign == 1.0 && (log - 200.0 * 1e10f64.ln()).abs() < 1e-9);
}

#[test]
fn a_matrix_without_inverse_is_named_by_the_row_that_depends() {
    for n in [3, 140, 170] {
        let mut a = random(n, n, 4);
        a.row_mut(1).fill(0.0);
        a.column_mut(n - 1).fill(0.0);
        let run = || {
            let mut x = pool().zeros(n).unwrap();
            let refused = solve(pool(), &a, &vec![1.0; n], &mut x);
            assert!(matches!(refused, Err(KernelError::Singular { at, .. }) if at == n - 1), "{refused:?}");
            assert_eq!(determinant(pool(), &a).unwrap(), 0.0);
            assert_eq!(Lu::new(pool(), &a).unwrap().log_determinant(), (0.0, f64::NEG_INFINITY));
        };
        run();
        launching(run);
    }
}

#[test]
fn nan_and_wrong_shapes_are_refused_and_empty_matrices_are_not() {
    for n in [4, 200] {
        let mut a = random(n, n, 4);
        a[(3, 1)] = f64::NAN;
        let refused = Lu::new(pool(), &a).unwrap_err();
        assert!(matches!(&refused, KernelError::NotFinite { at, .. } if at[..] == [3, 1]), "{refused}");
    }
    assert!(matches!(Lu::new(pool(), &random(3, 4, 1)), Err(KernelError::Shape { .. })));
    let mut x = pool().zeros(3).unwrap();
    let a = random(3, 3, 1);
    assert!(matches!(solve(pool(), &a, &[1.0, 2.0], &mut x), Err(KernelError::Shape { .. })));
    let mut x = pool().zeros(2).unwrap();
    assert!(matches!(solve(pool(), &a, &[1.0; 3], &mut x), Err(KernelError::Shape { .. })));
    assert_eq!(determinant(pool(), &random(0, 0, 1)).unwrap(), 1.0);
    solve(pool(), &random(0, 0, 1), &[], &mut pool().zeros(0).unwrap()).unwrap();
}

#[test]
fn float32_is_solved_as_well() {
    let a = random(100, 100, 9).mapv(|x| x as f32) + &(Array2::<f32>::eye(100) * 20.0);
    let mut x = pool().zeros(100).unwrap();
    solve(pool(), &a, &a.sum_axis(ndarray::Axis(1)), &mut x).unwrap();
    assert!(x.as_slice().iter().all(|x| (x - 1.0).abs() < 1e-4));
}
