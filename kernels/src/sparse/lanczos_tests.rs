//! A few eigenvalues against known ones.

use super::*;
use crate::testing::{pool, pools};

/// The second difference on `n` points: eigenvalues `2 - 2 cos(k pi / (n + 1))`.
fn line(pool: &Pool, n: u32) -> Csr<f64> {
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        for j in i.saturating_sub(1)..(i + 2).min(n) {
            rows.push(i);
            columns.push(j);
            values.push(if i == j { 2.0 } else { -1.0 });
        }
    }
    Csr::from_coo(pool, (n as usize, n as usize), &rows, &columns, &values).unwrap()
}

fn exact(n: u32, k: u32) -> f64 {
    2.0 - 2.0 * (f64::from(k) * std::f64::consts::PI / f64::from(n + 1)).cos()
}

#[test]
fn both_ends_are_found_with_the_same_bits_for_any_team() {
    let run = |pool: &Pool| {
        let a = line(pool, 300);
        let largest = eigen_at(pool, &a, End::Largest, 3, 1e-10, 20_000).unwrap();
        let smallest = eigen_at(pool, &a, End::Smallest, 2, 1e-10, 20_000).unwrap();
        for j in 0..3 {
            assert!((largest.values.as_slice()[j] - exact(300, 300 - j as u32)).abs() < 1e-8);
            let v = largest.vectors.view();
            let v = v.row(j);
            let dense = a.to_dense(pool).unwrap();
            let off = dense.view().dot(&v) - &v * largest.values.as_slice()[j];
            assert!(off.iter().all(|off| off.abs() < 1e-8) && (v.dot(&v) - 1.0).abs() < 1e-12);
        }
        assert!((smallest.values.as_slice()[0] - exact(300, 1)).abs() < 1e-8);
        assert!((smallest.values.as_slice()[1] - exact(300, 2)).abs() < 1e-8);
        (largest.vectors.to_vec(), smallest.values.to_vec())
    };
    let first = run(&pools()[0]);
    assert!(run(&pools()[2]) == first);
}

#[test]
fn all_eigenvalues_of_small_matrices_are_found_even_equal_ones() {
    let pool = pool();
    let a = line(pool, 5);
    let all = eigen_at(pool, &a, End::Smallest, 5, 1e-12, 1000).unwrap();
    assert!(all.values.as_slice().iter().zip(1..).all(|(value, k)| (value - exact(5, k)).abs() < 1e-12));
    let one = Csr::from_coo(pool, (4, 4), &[0, 1, 2, 3], &[0, 1, 2, 3], &[7.0f64; 4]).unwrap();
    let all = eigen_at(pool, &one, End::Largest, 4, 1e-12, 1000).unwrap();
    assert!(all.values.as_slice().iter().all(|value| (value - 7.0f64).abs() < 1e-12));
}

#[test]
fn power_iteration_finds_the_largest_in_size() {
    let pool = pool();
    let a = Csr::from_coo(pool, (3, 3), &[0, 1, 2, 0], &[0, 1, 2, 2], &[-5.0f64, 3.0, 1.0, 2.0]).unwrap();
    let mut v = pool.zeros::<f64>(3).unwrap();
    let value = power_iteration(pool, &a, &mut v, 1e-12, 1000).unwrap();
    assert!((value + 5.0f64).abs() < 1e-11 && (v.as_slice()[0].abs() - 1.0).abs() < 1e-11);
}

#[test]
fn what_cannot_be_found_is_told() {
    let pool = pool();
    let a = line(pool, 200);
    let refused = eigen_at(pool, &a, End::Smallest, 2, 1e-14, 30);
    assert!(matches!(refused, Err(KernelError::NotConverged { .. })), "{refused:?}");
    assert!(matches!(eigen_at(pool, &a, End::Smallest, 0, 1e-9, 30), Err(KernelError::Argument { .. })));
    assert!(matches!(eigen_at(pool, &a, End::Smallest, 1, f64::NAN, 30), Err(KernelError::Argument { .. })));
    let nan = Csr::from_coo(pool, (2, 2), &[0, 1], &[0, 1], &[f64::NAN, 1.0]).unwrap();
    let refused = eigen_at(pool, &nan, End::Largest, 1, 1e-9, 30);
    assert!(matches!(refused, Err(KernelError::Breakdown { .. })), "{refused:?}");
    let mut v = pool.zeros(2).unwrap();
    assert!(matches!(power_iteration(pool, &nan, &mut v, 1e-9, 30), Err(KernelError::Breakdown { .. })));
    let zero = Csr::from_coo(pool, (2, 2), &[0], &[0], &[0.0]).unwrap();
    assert!(matches!(power_iteration(pool, &zero, &mut v, 1e-9, 30), Err(KernelError::Breakdown { .. })));
    let turn = Csr::from_coo(pool, (2, 2), &[0, 1], &[1, 0], &[1.0, -1.0]).unwrap();
    assert!(matches!(power_iteration(pool, &turn, &mut v, 1e-9, 30), Err(KernelError::NotConverged { .. })));
}
