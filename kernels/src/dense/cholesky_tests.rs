//! Cholesky against products, and at matrices that are not positive definite.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use ndarray::Array2;

/// A symmetric, positive definite matrix whose upper half is NaN-free but wrong.
fn definite(n: usize) -> (Array2<f64>, Array2<f64>) {
    let g = Array2::from_shape_vec((n, n), Dice(n as u64).units(n * n)).unwrap();
    let a = g.dot(&g.t()) + &(Array2::<f64>::eye(n) * 2.0);
    let half = Array2::from_shape_fn((n, n), |(i, j)| if i >= j { a[(i, j)] } else { 1e3 });
    (a, half)
}

#[test]
fn factors_multiply_to_the_matrix_whose_upper_half_is_not_read() {
    for n in [1, 2, 64, 65, 130, 193] {
        let (a, half) = definite(n);
        for pool in [&pools()[0], &pools()[3]] {
            let run = || {
                let mut l = pool.zeros_nd((n, n)).unwrap();
                Cholesky::new(pool, &half).unwrap().write_factor(pool, &mut l).unwrap();
                l.view().to_owned()
            };
            for l in [run(), launching(run)] {
                let off = l.dot(&l.t()) - &a;
                assert!(off.iter().all(|off| off.abs() < 1e-11), "{n}");
                assert!(l.indexed_iter().all(|((i, j), l)| i >= j || *l == 0.0));
            }
        }
    }
}

#[test]
fn systems_are_solved_with_the_same_bits_for_any_team() {
    let (a, half) = definite(200);
    for sides in [1, 50] {
        let exact = Array2::from_shape_vec((200, sides), Dice(3).units(200 * sides)).unwrap();
        let b = a.dot(&exact);
        let run = |pool: &Pool| {
            let mut x = pool.zeros_nd((200, sides)).unwrap();
            Cholesky::new(pool, &half).unwrap().solve(pool, &b, &mut x).unwrap();
            x.to_vec()
        };
        let first = run(&pools()[0]);
        assert!(first.iter().zip(&exact).all(|(x, exact)| (x - exact).abs() < 1e-9));
        assert!(pools().iter().all(|pool| run(pool) == first));
    }
}

#[test]
fn the_first_row_that_is_not_definite_is_named() {
    for (n, at) in [(1, 0), (3, 2), (190, 0), (190, 63), (190, 64), (190, 189)] {
        let (mut a, _) = definite(n);
        a[(at, at)] = -1.0;
        let run = || Cholesky::new(pool(), &a).unwrap_err();
        for refused in [run(), launching(run)] {
            let is_told =
                matches!(refused, KernelError::NotPositiveDefinite { at: found, .. } if found == at);
            assert!(is_told, "{n}: {refused}");
        }
    }
}

#[test]
fn determinants_and_refusals() {
    let a = ndarray::array![[4.0, 2.0], [2.0, 10.0]];
    assert!((Cholesky::new(pool(), &a).unwrap().log_determinant() - 36f64.ln()).abs() < 1e-14);
    let a = ndarray::array![[f64::INFINITY, 2.0], [2.0, 10.0]];
    assert!(matches!(Cholesky::new(pool(), &a), Err(KernelError::NotFinite { .. })));
    let a = Array2::<f64>::zeros((2, 3));
    assert!(matches!(Cholesky::new(pool(), &a), Err(KernelError::Shape { .. })));
    assert_eq!(Cholesky::new(pool(), &Array2::<f64>::zeros((0, 0))).unwrap().side(), 0);
}
