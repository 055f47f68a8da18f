//! Sparse algebra against dense twins.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use ndarray::Array2;
use proptest::prelude::*;

/// About `per` entries a row, one row in 17 full.
pub(crate) fn random(pool: &Pool, m: usize, n: usize, per: u64, seed: u64) -> Csr<f64> {
    let mut dice = Dice(seed);
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for row in 0..m {
        let count = if row % 17 == 3 { n as u64 } else { dice.roll() % (per + 1) };
        for _ in 0..count {
            rows.push(row as u64);
            columns.push(dice.roll() % n as u64);
        }
    }
    let values = dice.units(rows.len());
    Csr::from_coo(pool, (m, n), &rows, &columns, &values).unwrap()
}

fn dense(a: &Csr<f64>) -> Array2<f64> {
    a.to_dense(pool()).unwrap().view().to_owned()
}

fn is_near(a: &Array2<f64>, b: &Array2<f64>) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn algebra_agrees_with_dense_matrices(
        m in 1usize..150, k in 1usize..120, n in 1usize..130, per in 0u64..9, seed: u64, which in 0usize..4,
    ) {
        let pool = &pools()[which];
        let (a, b, c) = (random(pool, m, k, per, seed), random(pool, k, n, per, !seed), random(pool, m, k, per, seed ^ 5));
        prop_assert!(is_near(&dense(&a.times(pool, &b).unwrap()), &dense(&a).dot(&dense(&b))));
        prop_assert!(is_near(&dense(&a.plus(pool, 2.0, &c, -3.0).unwrap()), &(dense(&a) * 2.0 - dense(&c) * 3.0)));
        prop_assert!(is_near(&dense(&a.transpose(pool).unwrap()), &dense(&a).reversed_axes()));
        let (left, right) = (Dice(1).units(m), Dice(2).units(k));
        let mut scaled = a.transpose(pool).unwrap().transpose(pool).unwrap();
        scaled.scale_rows(pool, &left).unwrap();
        scaled.scale_columns(pool, &right).unwrap();
        let full = dense(&a);
        let want = Array2::from_shape_fn((m, k), |(i, j)| full[(i, j)] * left[i] * right[j]);
        prop_assert!(is_near(&dense(&scaled), &want));
        let mut diagonal = pool.zeros(m.min(k)).unwrap();
        a.diagonal(&mut diagonal).unwrap();
        prop_assert!(diagonal.as_slice().iter().zip(dense(&a).diag()).all(|(a, b)| a == b));
        prop_assert!(is_near(&dense(&Csr::from_dense(pool, &dense(&a)).unwrap()), &dense(&a)));
    }

    #[test]
    fn triangles_are_solved(n in 1usize..200, seed: u64, lower: bool) {
        let pool = pool();
        let a = random(pool, n, n, 5, seed);
        let mut full = dense(&a);
        full.diag_mut().fill(20.0);
        let a = Csr::from_dense(pool, &full).unwrap();
        let keep = |i: usize, j: usize| if lower { j <= i } else { j >= i };
        let triangle = Array2::from_shape_fn((n, n), |(i, j)| if keep(i, j) { full[(i, j)] } else { 0.0 });
        let exact = ndarray::Array1::from_vec(Dice(seed).units(n));
        let mut x = pool.zeros(n).unwrap();
        let half = if lower { Half::Lower } else { Half::Upper };
        solve_triangular(&a, half, &triangle.dot(&exact), &mut x).unwrap();
        // The dense rows of 200 elements of up to 1 beside 20 make errors grow a little.
        prop_assert!(x.as_slice().iter().zip(&exact).all(|(x, exact)| (x - exact).abs() < 1e-6));
    }
}

#[test]
fn products_have_the_same_bits_for_any_team() {
    let run = |pool: &Pool| {
        let (a, b) = (random(pool, 900, 700, 12, 1), random(pool, 700, 800, 12, 2));
        let c = launching(|| a.times(pool, &b)).unwrap();
        (c.offsets().to_vec(), c.columns().to_vec(), c.values().to_vec())
    };
    let first = run(&pools()[0]);
    assert!(pools().iter().all(|pool| run(pool) == first));
}

#[test]
fn wrong_shapes_and_missing_diagonals_are_refused() {
    let pool = pool();
    let a = random(pool, 4, 5, 3, 1);
    assert!(matches!(a.times(pool, &a), Err(KernelError::Shape { .. })));
    assert!(matches!(a.plus(pool, 1.0, &a.transpose(pool).unwrap(), 1.0), Err(KernelError::Shape { .. })));
    let a = Csr::from_coo(pool, (3, 3), &[0, 1, 2], &[0, 0, 2], &[1.0, 1.0, 0.0]).unwrap();
    let refused = solve_triangular(&a, Half::Lower, &[1.0; 3], &mut pool.zeros(3).unwrap());
    assert!(matches!(refused, Err(KernelError::Singular { at: 1, .. })), "{refused:?}");
    let none = Csr::<f64>::from_coo(pool, (0, 3), &[0_u32; 0], &[0_u32; 0], &[]).unwrap();
    assert_eq!(none.transpose(pool).unwrap().shape(), (3, 0));
    assert_eq!(none.transpose(pool).unwrap().times(pool, &none).unwrap().shape(), (3, 3));
}
