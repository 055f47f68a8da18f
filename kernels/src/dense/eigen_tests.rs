//! Eigenvalues against what defines them.

use super::*;
use crate::testing::{Dice, pool};
use ndarray::{Array2, array};

fn random(n: usize, seed: u64) -> Array2<f64> {
    Array2::from_shape_vec((n, n), Dice(seed).units(n * n)).unwrap()
}

#[test]
fn symmetric_matrices_are_rebuilt_from_values_and_vectors() {
    for n in [1, 2, 7, 40, 150] {
        let a = random(n, 1);
        let a = &a + &a.t();
        let half = Array2::from_shape_fn((n, n), |(i, j)| if i >= j { a[(i, j)] } else { 9.0 });
        let eigen = symmetric_eigen(pool(), &half).unwrap();
        let v = eigen.vectors.view();
        let rebuilt = (&v * &eigen.values.view()).dot(&v.t());
        assert!((&rebuilt - &a).iter().all(|off| off.abs() < 1e-12), "{n}");
        assert!((v.t().dot(&v) - Array2::<f64>::eye(n)).iter().all(|off| off.abs() < 1e-13));
        assert!(eigen.values.as_slice().is_sorted());
        let alone = symmetric_eigenvalues(pool(), &half).unwrap();
        assert!(alone.as_slice().iter().zip(eigen.values.as_slice()).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}

#[test]
fn vectors_of_any_matrix_are_only_stretched() {
    for n in [1, 2, 3, 30] {
        let a = random(n, 2);
        let eigen = eigen(pool(), &a).unwrap();
        let a = a.mapv(|x| Complex::new(x, 0.0));
        let v = eigen.vectors.view();
        let off = a.dot(&v) - &v * &eigen.values.view();
        assert!(off.iter().all(|off| off.norm() < 1e-11), "{n}");
        assert!(
            v.columns()
                .into_iter()
                .all(|v| (v.iter().map(Complex::norm_sqr).sum::<f64>() - 1.0).abs() < 1e-12)
        );
    }
    // Roots of x^3 - 6 x^2 + 11 x - 6 are 1, 2, 3.
    let companion = array![[6.0, -11.0, 6.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    let mut roots: Vec<f64> =
        eigen(pool(), &companion).unwrap().values.as_slice().iter().map(|v| v.re).collect();
    roots.sort_by(f64::total_cmp);
    assert!(roots.iter().zip([1.0, 2.0, 3.0]).all(|(a, b)| (a - b).abs() < 1e-10), "{roots:?}");
}

#[test]
fn nan_and_shapes_are_refused_and_empty_matrices_have_no_values() {
    let refused = symmetric_eigen(pool(), &array![[1.0, f64::NAN], [2.0, 3.0]]);
    assert!(matches!(&refused, Err(KernelError::NotFinite { at, .. }) if at[..] == [0, 1]), "{refused:?}");
    assert!(matches!(eigen(pool(), &Array2::<f64>::zeros((2, 3))), Err(KernelError::Shape { .. })));
    assert!(eigen(pool(), &random(0, 1)).unwrap().values.is_empty());
    assert!(symmetric_eigenvalues(pool(), &random(0, 1)).unwrap().is_empty());
}
