//! Solvers against exact solutions, with every preconditioner.

use super::super::{Half, Incomplete, Jacobi, Multigrid, Ssor, gmres, solve_triangular, spmv};
use super::*;
use crate::testing::{Dice, pool, pools};

/// The 5-point operator of diffusion on a square, with a coefficient that varies and a drift.
fn operator(pool: &Pool, side: usize, drift: f64, shift: f64) -> Csr<f64> {
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..side {
        for j in 0..side {
            let row = i * side + j;
            let mut put = |column: usize, value: f64| {
                rows.push(row as u64);
                columns.push(column as u32);
                values.push(value);
            };
            put(row, 4.0 + shift);
            if i > 0 {
                put(row - side, -1.0 - drift);
            }
            if i + 1 < side {
                put(row + side, -1.0 + drift);
            }
            if j > 0 {
                put(row - 1, -1.0);
            }
            if j + 1 < side {
                put(row + 1, -1.0);
            }
        }
    }
    Csr::from_coo(pool, (side * side, side * side), &rows, &columns, &values).unwrap()
}

fn exactly() -> SolverOptions {
    SolverOptions { relative: 1e-11, ..SolverOptions::default() }
}

type Solved = (usize, Vec<f64>);
type Solve<'s> = dyn Fn(&SharedArray<f64>, &mut SharedArray<f64>) -> Result<SolverOutcome, KernelError> + 's;

/// Solves for a known solution; checks it; returns the iterations and the bits.
fn check(
    pool: &Pool,
    a: &Csr<f64>,
    solve: impl Fn(&SharedArray<f64>, &mut SharedArray<f64>) -> Result<SolverOutcome, KernelError>,
) -> Solved {
    let n = a.shape().0;
    let exact = Dice(9).units(n);
    let mut b = pool.zeros(n).unwrap();
    spmv(pool, 1.0, a, &exact, 0.0, &mut b).unwrap();
    let mut x = pool.from_fn(n, |i| (i % 3) as f64).unwrap();
    let outcome = solve(&b, &mut x).unwrap();
    assert!(x.as_slice().iter().zip(&exact).all(|(x, exact)| (x - exact).abs() < 1e-6));
    (outcome.iterations, x.to_vec())
}

#[test]
fn every_preconditioner_saves_steps_and_all_bits_are_the_same_for_any_team() {
    let run = |pool: &Pool| {
        let a = operator(pool, 60, 0.0, 0.001);
        let with = |near: &Solve<'_>| check(pool, &a, near);
        let (jacobi, ssor) = (Jacobi::new(pool, &a).unwrap(), Ssor::new(pool, &a, 1.2).unwrap());
        let (cholesky, multigrid) =
            (Incomplete::cholesky(pool, &a).unwrap(), Multigrid::new(pool, &a).unwrap());
        [
            with(&|b, x| preconditioned_cg(pool, &a, b, x, exactly(), &())),
            with(&|b, x| preconditioned_cg(pool, &a, b, x, exactly(), &jacobi)),
            with(&|b, x| preconditioned_cg(pool, &a, b, x, exactly(), &ssor)),
            with(&|b, x| preconditioned_cg(pool, &a, b, x, exactly(), &cholesky)),
            with(&|b, x| preconditioned_cg(pool, &a, b, x, exactly(), &multigrid)),
            with(&|b, x| minres(pool, &a, b, x, exactly())),
        ]
    };
    let first = run(&pools()[0]);
    let [plain, _, ssor, cholesky, multigrid, _] = first.each_ref().map(|solved| solved.0);
    assert!(
        ssor * 10 < plain * 8 && cholesky * 10 < plain * 8 && multigrid * 4 < plain,
        "{plain} {ssor} {cholesky} {multigrid}"
    );
    for pool in &pools()[1..] {
        assert!(run(pool) == first);
    }
}

#[test]
fn multigrid_needs_about_as_many_steps_for_more_unknowns() {
    let pool = pool();
    let steps = [40, 120].map(|side| {
        let a = operator(pool, side, 0.0, 0.0);
        let near = Multigrid::new(pool, &a).unwrap();
        assert!(near.sizes().is_sorted_by(|fine, coarse| fine > coarse) && near.sizes().len() > 1);
        check(pool, &a, |b, x| preconditioned_cg(pool, &a, b, x, exactly(), &near)).0
    });
    assert!(steps[1] <= steps[0] + 10, "{steps:?}");
}

#[test]
fn matrices_without_symmetry_are_solved() {
    let run = |pool: &Pool| {
        let a = operator(pool, 60, 0.4, 0.1);
        let near = Incomplete::lu(pool, &a).unwrap();
        [
            check(pool, &a, |b, x| bicgstab(pool, &a, b, x, exactly(), &())),
            check(pool, &a, |b, x| bicgstab(pool, &a, b, x, exactly(), &near)),
            check(pool, &a, |b, x| gmres(pool, &a, b, x, 25, exactly(), &())),
            check(pool, &a, |b, x| gmres(pool, &a, b, x, 25, exactly(), &near)),
        ]
    };
    let first = run(&pools()[1]);
    assert!(first[1].0 < first[0].0 && first[3].0 < first[2].0);
    assert!(run(&pools()[3]) == first);
}

#[test]
fn an_indefinite_matrix_is_solved_by_minres_and_refused_by_conjugate_gradients() {
    let pool = pool();
    // Not near an eigenvalue 4 - 2 cos - 2 cos of the square.
    let a = operator(pool, 12, 0.0, -2.05);
    check(pool, &a, |b, x| minres(pool, &a, b, x, exactly()));
    let b = Dice(1).units(144);
    let refused = preconditioned_cg(pool, &a, &b, &mut pool.zeros(144).unwrap(), exactly(), &());
    assert!(matches!(refused, Err(KernelError::Breakdown { .. })), "{refused:?}");
}

#[test]
fn an_incomplete_factorisation_of_a_band_is_complete() {
    // Of a tridiagonal matrix nothing is left out, so one application solves it.
    let pool = pool();
    let n = 500_u32;
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        for j in i.saturating_sub(1)..(i + 2).min(n) {
            rows.push(i);
            columns.push(j);
            values.push(if i == j { 3.0 } else { -1.0 - f64::from(j % 5) / 10.0 });
        }
    }
    let a = Csr::from_coo(pool, (500, 500), &rows, &columns, &values).unwrap();
    let near = Incomplete::lu(pool, &a).unwrap();
    let (x, mut y, mut z) =
        (pool.from_slice(&Dice(4).units(500)).unwrap(), pool.zeros(500).unwrap(), pool.zeros(500).unwrap());
    spmv(pool, 1.0, &a, &x, 0.0, &mut y).unwrap();
    near.apply(pool, &y, &mut z).unwrap();
    assert!(x.as_slice().iter().zip(z.as_slice()).all(|(x, z)| (x - z).abs() < 1e-12));
    // SSOR with factor 1 is (D + L) D^-1 (D + U).
    let ssor = Ssor::new(pool, &a, 1.0).unwrap();
    ssor.apply(pool, &y, &mut z).unwrap();
    let (mut half, mut diagonal) = (pool.zeros(500).unwrap(), pool.zeros(500).unwrap());
    a.diagonal(&mut diagonal).unwrap();
    solve_triangular(&a, Half::Lower, &y, &mut half).unwrap();
    half.as_mut_slice().iter_mut().zip(diagonal.as_slice()).for_each(|(half, d)| *half *= d);
    solve_triangular(&a, Half::Upper, &half, &mut y).unwrap();
    assert!(y.as_slice().iter().zip(z.as_slice()).all(|(x, z)| (x - z).abs() < 1e-12));
}

#[test]
fn bad_matrices_and_arguments_are_told() {
    let pool = pool();
    let a = Csr::from_coo(pool, (3, 3), &[0, 1, 1, 2], &[0, 0, 1, 1], &[1.0, 1.0, -1.0, 1.0]).unwrap();
    assert!(matches!(Jacobi::new(pool, &a), Err(KernelError::Singular { at: 2, .. })));
    assert!(matches!(Incomplete::lu(pool, &a), Err(KernelError::Singular { at: 2, .. })));
    let a = Csr::from_coo(pool, (3, 3), &[0, 1, 2], &[0, 1, 2], &[1.0, -1.0, 1.0]).unwrap();
    assert!(matches!(Incomplete::cholesky(pool, &a), Err(KernelError::NotPositiveDefinite { at: 1, .. })));
    assert!(matches!(Multigrid::new(pool, &a), Err(KernelError::NotPositiveDefinite { at: 1, .. })));
    assert!(matches!(Ssor::new(pool, &a, 2.0), Err(KernelError::Argument { .. })));
    let mut x = pool.zeros(3).unwrap();
    assert!(matches!(
        gmres(pool, &a, &[1.0; 3], &mut x, 0, exactly(), &()),
        Err(KernelError::Argument { .. })
    ));
    assert!(matches!(bicgstab(pool, &a, &[1.0; 2], &mut x, exactly(), &()), Err(KernelError::Shape { .. })));
    let nan = [f64::NAN, 1.0, 1.0];
    for refused in [
        preconditioned_cg(pool, &a, &nan, &mut x, exactly(), &()),
        bicgstab(pool, &a, &nan, &mut x, exactly(), &()),
        gmres(pool, &a, &nan, &mut x, 5, exactly(), &()),
        minres(pool, &a, &nan, &mut x, exactly()),
    ] {
        assert!(matches!(refused, Err(KernelError::Breakdown { .. })), "{refused:?}");
    }
    let few = SolverOptions { max_iterations: 2, ..exactly() };
    let a = operator(pool, 20, 0.0, 0.0);
    let (b, mut x) = (vec![1.0; 400], pool.zeros(400).unwrap());
    for refused in [
        preconditioned_cg(pool, &a, &b, &mut x, few, &()),
        bicgstab(pool, &a, &b, &mut x, few, &()),
        gmres(pool, &a, &b, &mut x, 5, few, &()),
        minres(pool, &a, &b, &mut x, few),
    ] {
        assert!(matches!(refused, Err(KernelError::NotConverged { iterations: 2, .. })), "{refused:?}");
    }
    let none = Csr::from_coo(pool, (0, 0), &[0_u32; 0], &[0_u32; 0], &[0.0; 0]).unwrap();
    let mut x = pool.zeros(0).unwrap();
    let near = Incomplete::lu(pool, &none).unwrap();
    assert!(preconditioned_cg(pool, &none, &[0.0; 0], &mut x, exactly(), &near).is_ok());
}
