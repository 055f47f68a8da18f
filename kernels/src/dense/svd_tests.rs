//! Singular values against what defines them.

use super::*;
use crate::testing::{Dice, pool, pools};
use ndarray::Array2;

fn random(m: usize, n: usize, seed: u64) -> Array2<f64> {
    Array2::from_shape_vec((m, n), Dice(seed).units(m * n)).unwrap()
}

#[test]
fn matrices_of_all_shapes_are_rebuilt() {
    for (m, n) in [(1, 1), (7, 7), (9, 7), (7, 9), (300, 20), (20, 300), (1, 50), (50, 1), (0, 3), (3, 0)] {
        let (a, least) = (random(m, n, 1), m.min(n));
        let svd = Svd::new(pool(), &a).unwrap();
        let (u, v) = (svd.left.view(), svd.right.view());
        assert_eq!((u.dim(), v.dim()), ((m, least), (n, least)));
        let rebuilt = (&u * &svd.values.view()).dot(&v.t());
        assert!((&rebuilt - &a).iter().all(|off| off.abs() < 1e-12), "{m} x {n}");
        for side in [u, v] {
            assert!((side.t().dot(&side) - Array2::<f64>::eye(least)).iter().all(|off| off.abs() < 1e-12));
        }
        assert!(svd.values.as_slice().is_sorted_by(|a, b| a >= b));
        let alone = singular_values(pool(), &a).unwrap();
        assert!(alone.as_slice().iter().zip(svd.values.as_slice()).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}

#[test]
fn the_shortest_solution_is_found_for_any_rank() {
    for (m, n) in [(60, 5), (5, 60), (6, 6)] {
        let mut a = random(m, n, 2);
        let twice = a.column(0).mapv(|x| 2.0 * x);
        a.column_mut(2).assign(&twice);
        let svd = Svd::new(pool(), &a).unwrap();
        assert_eq!(svd.rank(None), 5.min(n - 1).min(m));
        let b = Dice(3).units(m);
        let mut x = pool().zeros(n).unwrap();
        svd.solve(pool(), &b, &mut x, None).unwrap();
        let residual = a.dot(&x.view()) - ndarray::ArrayView1::from(&b);
        assert!(a.t().dot(&residual).iter().all(|off| off.abs() < 1e-11));
        // The shortest has no part in the direction (2, 0, -1, 0, ..), which the matrix does not see.
        assert!((2.0 * x.as_slice()[2] - 4.0 * x.as_slice()[0]).abs() < 1e-11);
    }
}

#[test]
fn conditions_bits_and_refusals() {
    let a = ndarray::array![[3.0, 0.0], [0.0, -4.0]];
    assert!((Svd::new(pool(), &a).unwrap().condition() - 4.0_f64 / 3.0).abs() < 1e-14);
    assert_eq!(Svd::new(pool(), &Array2::<f64>::zeros((2, 2))).unwrap().condition(), f64::INFINITY);
    let a = random(400, 90, 5);
    let run = |pool: &Pool| {
        let svd = Svd::new(pool, &a).unwrap();
        (svd.left.to_vec(), svd.values.to_vec(), svd.right.to_vec())
    };
    let first = run(&pools()[0]);
    assert!(pools().iter().all(|pool| run(pool) == first));
    for (m, n) in [(3, 9), (9, 3), (3, 4)] {
        let mut a = random(m, n, 5);
        a[(2, 1)] = f64::NAN;
        let refused = Svd::new(pool(), &a);
        assert!(
            matches!(&refused, Err(KernelError::NotFinite { at, .. }) if at[..] == [2, 1]),
            "{refused:?}"
        );
    }
}
