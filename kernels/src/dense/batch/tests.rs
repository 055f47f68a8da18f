//! Batches against single matrices and products.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use ndarray::{Array2, Array3, ArrayView1, ArrayView2, Axis};

fn random(count: usize, n: usize) -> Array3<f64> {
    Array3::from_shape_vec((count, n, n), Dice(n as u64).units(count * n * n)).unwrap()
}

fn is_near(got: ArrayView2<'_, f64>, want: &Array2<f64>, tolerance: f64) -> bool {
    got.iter().zip(want).all(|(a, b)| (a - b).abs() < tolerance)
}

const SIDES: [(usize, usize); 8] =
    [(700, 1), (700, 2), (5000, 3), (700, 4), (300, 5), (200, 6), (150, 8), (60, 32)];

#[test]
fn solutions_fit_and_have_the_same_bits_for_any_team() {
    for (count, n) in SIDES {
        let a = random(count, n) + &(Array2::<f64>::eye(n) * 3.0);
        let b = Array3::from_shape_vec((count, n, 2), Dice(1).units(count * n * 2)).unwrap();
        let run = |pool: &Pool| {
            let (mut many, mut one) =
                (pool.zeros_nd((count, n, 2)).unwrap(), pool.zeros_nd((count, n)).unwrap());
            solve(pool, &a, &b, &mut many).unwrap();
            solve(pool, &a, &b.index_axis(Axis(2), 1), &mut one).unwrap();
            (many.view().to_owned(), one.view().to_owned())
        };
        let (many, one) = run(pool());
        for c in 0..count {
            assert!(is_near(
                a.index_axis(Axis(0), c).dot(&many.index_axis(Axis(0), c)).view(),
                &b.index_axis(Axis(0), c).to_owned(),
                1e-9
            ));
            assert!(
                one.row(c)
                    .iter()
                    .zip(many.index_axis(Axis(0), c).column(1))
                    .all(|(a, b)| (a - b).abs() < 1e-9)
            );
        }
        for pool in pools() {
            assert!(launching(|| run(pool)) == (many.clone(), one.clone()), "{n}");
        }
    }
}

#[test]
fn inverses_determinants_and_factors_agree_with_single_matrices() {
    for (count, n) in SIDES {
        let g = random(count, n);
        let mut a = Array3::zeros((count, n, n));
        for (mut a, g) in a.outer_iter_mut().zip(g.outer_iter()) {
            a.assign(&(g.dot(&g.t()) + Array2::<f64>::eye(n)));
        }
        launching(|| {
            let pool = &pools()[2];
            let (mut inverses, mut factors) =
                (pool.zeros_nd((count, n, n)).unwrap(), pool.zeros_nd((count, n, n)).unwrap());
            let mut determinants = pool.zeros(count).unwrap();
            inverse(pool, &a, &mut inverses).unwrap();
            cholesky(pool, &a, &mut factors).unwrap();
            determinant(pool, &a, &mut determinants).unwrap();
            for c in (0..count).step_by(7) {
                let (a, l) = (a.index_axis(Axis(0), c), factors.view());
                let l = l.index_axis(Axis(0), c);
                assert!(is_near(
                    a.dot(&inverses.view().index_axis(Axis(0), c)).view(),
                    &Array2::eye(n),
                    1e-9
                ));
                assert!(is_near(l.dot(&l.t()).view(), &a.to_owned(), 1e-11));
                let product: f64 = l.diag().iter().map(|l| l * l).product();
                assert!((determinants.as_slice()[c] / product - 1.0).abs() < 1e-10);
            }
        });
    }
}

#[test]
fn eigenvectors_rebuild_their_matrices() {
    for (count, n) in SIDES {
        let g = random(count, n);
        let a = Array3::from_shape_fn((count, n, n), |(c, i, j)| g[(c, i.max(j), i.min(j))]);
        let run = |pool: &Pool| {
            let (mut values, mut vectors) =
                (pool.zeros_nd((count, n)).unwrap(), pool.zeros_nd((count, n, n)).unwrap());
            symmetric_eigen(pool, &g, &mut values, &mut vectors).unwrap();
            (values.view().to_owned(), vectors.view().to_owned())
        };
        let (values, vectors) = run(pool());
        for c in 0..count {
            let v = vectors.index_axis(Axis(0), c);
            assert!(
                is_near(
                    (&v * &values.row(c)).dot(&v.t()).view(),
                    &a.index_axis(Axis(0), c).to_owned(),
                    1e-12
                ),
                "{n}"
            );
            assert!(values.row(c).to_vec().is_sorted());
        }
        assert!(launching(|| run(&pools()[3])) == (values, vectors));
    }
}

#[test]
fn hard_matrices_have_right_eigenvalues() {
    // Equal values, a value of 0, sizes far apart.
    let a = ndarray::array![
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]],
        [[1e100, 1.0, 0.0], [1.0, 1e-100, 0.0], [0.0, 0.0, 0.0]],
    ];
    let (mut values, mut vectors) = (pool().zeros_nd((3, 3)).unwrap(), pool().zeros_nd((3, 3, 3)).unwrap());
    symmetric_eigen(pool(), &a, &mut values, &mut vectors).unwrap();
    let near = |row: ArrayView1<'_, f64>, want: [f64; 3]| {
        row.iter().zip(want).all(|(a, b)| (a - b).abs() <= 1e-15 * want[2])
    };
    assert!(near(values.view().row(0), [1.0; 3]) && near(values.view().row(1), [0.0, 0.0, 3.0]));
    assert!(near(values.view().row(2), [0.0, 0.0, 1e100]));
}

#[test]
fn the_first_matrix_that_is_wrong_is_named() {
    let count = 4000;
    let mut a = Array3::from_shape_fn((count, 3, 3), |(_, i, j)| if i == j { 1.0 } else { 0.0 });
    a[(3456, 1, 1)] = 0.0;
    a[(3999, 1, 1)] = f64::NAN;
    let b = Array2::<f64>::ones((count, 3));
    let (mut x, mut out) = (pool().zeros_nd((count, 3)).unwrap(), pool().zeros_nd((count, 3, 3)).unwrap());
    let refused = solve(pool(), &a, &b, &mut x);
    assert!(matches!(refused, Err(KernelError::Singular { at: 3456, .. })), "{refused:?}");
    assert!(x.view().row(3998).iter().all(|x| *x == 1.0), "the others are solved");
    let refused = cholesky(pool(), &a, &mut out);
    assert!(matches!(refused, Err(KernelError::NotPositiveDefinite { at: 3456, .. })), "{refused:?}");
    let (mut values, mut vectors) =
        (pool().zeros_nd((count, 3)).unwrap(), pool().zeros_nd((count, 3, 3)).unwrap());
    let refused = symmetric_eigen(pool(), &a, &mut values, &mut vectors);
    assert!(matches!(&refused, Err(KernelError::NotFinite { at, .. }) if at[..] == [3999]), "{refused:?}");
    let mut determinants = pool().zeros(count).unwrap();
    determinant(pool(), &a, &mut determinants).unwrap();
    assert_eq!(determinants.as_slice()[3455..3457], [1.0, 0.0]);
    assert!(determinants.as_slice()[3999].is_nan());
}

#[test]
fn shapes_are_checked_and_batches_may_be_empty() {
    let mut x = pool().zeros_nd((2, 3)).unwrap();
    let refused = solve(pool(), &random(2, 4), &Array2::ones((2, 3)), &mut x);
    assert!(matches!(refused, Err(KernelError::Shape { .. })));
    let refused = inverse(pool(), &Array3::<f64>::zeros((2, 3, 4)), &mut pool().zeros_nd((2, 3, 4)).unwrap());
    assert!(matches!(refused, Err(KernelError::Shape { .. })));
    for (count, n) in [(0, 3), (3, 0)] {
        inverse(pool(), &random(count, n), &mut pool().zeros_nd((count, n, n)).unwrap()).unwrap();
        let mut determinants = pool().zeros(count).unwrap();
        determinant(pool(), &random(count, n), &mut determinants).unwrap();
        assert!(determinants.as_slice().iter().all(|d| *d == 1.0), "of no rows it is 1");
    }
}
