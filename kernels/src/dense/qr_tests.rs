//! QR against products and normal equations.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use ndarray::{Array1, Array2};

fn random(m: usize, n: usize, seed: u64) -> Array2<f64> {
    Array2::from_shape_vec((m, n), Dice(seed).units(m * n)).unwrap()
}

fn is_near(got: &Array2<f64>, want: &Array2<f64>) -> bool {
    got.dim() == want.dim() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12)
}

#[test]
fn factors_are_orthonormal_and_triangular_and_multiply_to_the_matrix() {
    for (m, n) in
        [(1, 1), (5, 2), (2, 5), (64, 64), (65, 65), (200, 70), (70, 200), (190, 129), (300, 1), (1, 300)]
    {
        let (a, least) = (random(m, n, 3), m.min(n));
        for pool in [&pools()[0], &pools()[2]] {
            let run = || {
                let qr = Qr::new(pool, &a).unwrap();
                let (mut q, mut r) = (pool.zeros_nd((m, least)).unwrap(), pool.zeros_nd((least, n)).unwrap());
                qr.write_q(pool, &mut q).unwrap();
                qr.write_r(pool, &mut r).unwrap();
                (q.view().to_owned(), r.view().to_owned())
            };
            for (q, r) in [run(), launching(run)] {
                assert!(is_near(&q.dot(&r), &a), "{m} x {n}");
                assert!(is_near(&q.t().dot(&q), &Array2::eye(least)), "{m} x {n}");
                assert!(r.indexed_iter().all(|((i, j), r)| i <= j || *r == 0.0));
            }
        }
    }
}

#[test]
fn least_squares_leave_a_residual_that_is_orthogonal_and_the_same_bits_for_any_team() {
    for (m, n, sides) in [(3, 3, 1), (250, 90, 1), (250, 90, 40)] {
        let (a, b) = (random(m, n, 4), random(m, sides, 5));
        let run = |pool: &Pool| {
            let mut x = pool.zeros_nd((n, sides)).unwrap();
            least_squares(pool, &a, &b, &mut x).unwrap();
            x.view().to_owned()
        };
        let x = run(&pools()[0]);
        assert!(is_near(&a.t().dot(&(a.dot(&x) - &b)), &Array2::zeros((n, sides))));
        assert!(pools().iter().all(|pool| run(pool) == x));
    }
    let (a, exact) = (random(40, 8, 6), Array1::from_vec(Dice(7).units(8)));
    let mut x = pool().zeros(8).unwrap();
    least_squares(pool(), &a, &a.dot(&exact), &mut x).unwrap();
    assert!(x.as_slice().iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn dependent_columns_too_few_equations_and_nan_are_refused() {
    let mut a = random(100, 6, 8);
    let twice = a.column(1).mapv(|x| 2.0 * x);
    a.column_mut(4).assign(&twice);
    let mut x = pool().zeros(6).unwrap();
    let refused = least_squares(pool(), &a, &[1.0; 100], &mut x);
    assert!(matches!(refused, Err(KernelError::Singular { at: 4, .. })), "{refused:?}");
    let wide = random(4, 6, 8);
    let refused = least_squares(pool(), &wide, &[1.0; 4], &mut x);
    assert!(matches!(refused, Err(KernelError::Argument { .. })), "{refused:?}");
    a[(99, 5)] = f64::NEG_INFINITY;
    let refused = least_squares(pool(), &a, &[1.0; 100], &mut x);
    assert!(matches!(refused, Err(KernelError::NotFinite { .. })), "{refused:?}");
    assert!(matches!(least_squares(pool(), &a, &[1.0; 99], &mut x), Err(KernelError::Shape { .. })));
    assert_eq!(Qr::new(pool(), &random(0, 3, 1)).unwrap().shape(), (0, 3));
    assert_eq!(Qr::new(pool(), &random(3, 0, 1)).unwrap().shape(), (3, 0));
}
