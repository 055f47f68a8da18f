//! Conjugate gradients against direct solutions, and at the ends of the range of numbers.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pools};

/// The 5-point Laplacian on a square of `side` unknowns, plus `shift` on the diagonal.
fn laplacian(pool: &Pool, side: usize, shift: f64) -> Csr<f64> {
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut put = |row: usize, column: usize, value: f64| {
        rows.push(row as u64);
        columns.push(column as u32);
        values.push(value);
    };
    for i in 0..side {
        for j in 0..side {
            let row = i * side + j;
            put(row, row, 4.0 + shift);
            [
                (i > 0, row.wrapping_sub(side)),
                (i + 1 < side, row + side),
                (j > 0, row.wrapping_sub(1)),
                (j + 1 < side, row + 1),
            ]
            .into_iter()
            .filter(|(inside, _)| *inside)
            .for_each(|(_, column)| put(row, column, -1.0));
        }
    }
    Csr::from_coo(pool, (side * side, side * side), &rows, &columns, &values).unwrap()
}

fn exactly() -> SolverOptions {
    SolverOptions { relative: 1e-12, ..SolverOptions::default() }
}

#[test]
fn it_solves_and_gives_the_same_bits_for_any_team() {
    let mut outcomes = Vec::new();
    for pool in pools() {
        let a = laplacian(pool, 90, 0.1);
        let exact = Dice(1).units(8100);
        let mut b = SharedArray::zeros(8100).unwrap();
        super::super::spmv(pool, 1.0, &a, &exact, 0.0, &mut b).unwrap();
        let mut x = pool.zeros(8100).unwrap();
        let outcome = conjugate_gradient(pool, &a, &b, &mut x, exactly()).unwrap();
        assert!(x.as_slice().iter().zip(&exact).all(|(x, exact)| (x - exact).abs() < 1e-9));
        assert!(outcome.iterations > 10 && outcome.residual > 0.0);
        outcomes.push((outcome, x.to_vec()));
    }
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
}

#[test]
fn small_systems_are_solved_by_the_caller_as_well_as_by_workers() {
    let pool = &pools()[2];
    let a = laplacian(pool, 17, 0.1);
    let b = Dice(2).units(289);
    let run = || {
        let mut x = SharedArray::zeros(289).unwrap();
        let outcome = conjugate_gradient(pool, &a, &b, &mut x, exactly()).unwrap();
        (outcome.iterations, x.to_vec())
    };
    let (here, there) = (run(), launching(run));
    assert_eq!(here.0, there.0);
    assert!(here.1.iter().zip(&there.1).all(|(a, b)| (a - b).abs() < 1e-10));
}

#[test]
fn the_size_of_the_numbers_does_not_matter() {
    let pool = &pools()[1];
    let a = laplacian(pool, 17, 0.1);
    let b = Dice(2).units(289);
    // The same bits, times a power of two.
    let run = |exponent: i32, guess: f64| {
        let scale = 2f64.powi(exponent);
        let scaled: Vec<f64> = b.iter().map(|b| b * scale).collect();
        let mut x = SharedArray::from_fn(289, |i| guess * i as f64 * scale).unwrap();
        let outcome = conjugate_gradient(pool, &a, &scaled, &mut x, exactly()).unwrap();
        (
            outcome.iterations,
            outcome.residual / scale,
            x.as_slice().iter().map(|x| x / scale).collect::<Vec<_>>(),
        )
    };
    for guess in [0.0, 1.0] {
        let (here, there) = (run(0, guess), launching(|| run(0, guess)));
        for exponent in [-900, -700, -500, 500, 664, 1000] {
            assert_eq!(run(exponent, guess), here, "2^{exponent}");
            assert_eq!(launching(|| run(exponent, guess)), there, "2^{exponent}, handed out");
        }
    }
}

#[test]
fn huge_and_tiny_right_hand_sides_are_solved() {
    let pool = &pools()[1];
    let a = Csr::from_coo(pool, (2, 2), &[0, 0, 1, 1], &[0, 1, 0, 1], &[4.0, 1.0, 1.0, 3.0]).unwrap();
    for size in [1e200, 1e-200, 1e307, 1e-307] {
        for guess in [0.0, 1e-3, 1e3, 1e150] {
            let solve = || {
                let mut x = pool.from_slice(&[guess, -guess]).unwrap();
                let options = SolverOptions { relative: 1e-10, ..SolverOptions::default() };
                let outcome = conjugate_gradient(pool, &a, &[size, 2.0 * size], &mut x, options).unwrap();
                assert!(outcome.residual <= 1e-10 * 2.3 * size, "{outcome:?} for {size:e}");
                let off = |x: f64, want: f64| (x / size - want).abs();
                assert!(
                    off(x.as_slice()[0], 1.0 / 11.0) < 1e-9 && off(x.as_slice()[1], 7.0 / 11.0) < 1e-9,
                    "{x:?}"
                );
            };
            solve();
            launching(solve);
        }
    }
    let mut x = pool.zeros::<f32>(1).unwrap();
    let small = Csr::from_coo(pool, (1, 1), &[0], &[0], &[2.0f32]).unwrap();
    for size in [1e30f32, 1e-30, 1e-40] {
        conjugate_gradient(pool, &small, &[size], &mut x, SolverOptions::default()).unwrap();
        assert!((x.as_slice()[0] / (size / 2.0) - 1.0).abs() < 1e-4);
    }
}

#[test]
fn a_solution_that_is_too_large_is_no_solution() {
    let pool = &pools()[1];
    let a = Csr::from_coo(pool, (2, 2), &[0, 1], &[0, 1], &[1e-200, 1.0]).unwrap();
    for b in [[1e200, 1.0], [f64::INFINITY, 1.0]] {
        let solve =
            || conjugate_gradient(pool, &a, &b, &mut pool.zeros(2).unwrap(), SolverOptions::default());
        assert!(matches!(solve(), Err(KernelError::Breakdown { .. })), "{:?}", solve());
        assert!(matches!(launching(solve), Err(KernelError::Breakdown { .. })));
    }
}

#[test]
fn a_solution_that_is_too_small_is_no_solution() {
    let pool = &pools()[1];
    for (matrix, b, holds) in
        [(1e150, 1e-300, false), (1e150, 1e-172, false), (1e150, 1e-155, true), (1e150, 0.0, true)]
    {
        let a = Csr::from_coo(pool, (2, 2), &[0, 1], &[0, 1], &[matrix, 2.0 * matrix]).unwrap();
        for guess in [0.0, 1e-3] {
            let solve = || {
                let mut x = pool.from_slice(&[guess; 2]).unwrap();
                conjugate_gradient(
                    pool,
                    &a,
                    &[b, b],
                    &mut x,
                    SolverOptions { absolute: 1e-300 * b, ..SolverOptions::default() },
                )
            };
            for ended in [solve(), launching(solve)] {
                assert!(
                    matches!(
                        (&ended, holds),
                        (Ok(_), true)
                            | (Err(KernelError::Breakdown { .. } | KernelError::NotConverged { .. }), false)
                    ),
                    "{b:e} from {guess}: {ended:?}"
                );
            }
        }
    }
}

#[test]
fn broken_systems_are_told_by_workers_too() {
    let pool = &pools()[1];
    let a = Csr::from_coo(pool, (2, 2), &[0, 1], &[0, 1], &[1.0, -1.0]).unwrap();
    let mut x = SharedArray::zeros(2).unwrap();
    let solve = || conjugate_gradient(pool, &a, &[1.0, 1.0], &mut x, SolverOptions::default());
    assert!(matches!(launching(solve), Err(KernelError::Breakdown { .. })));
    let a = laplacian(pool, 20, 0.0);
    let mut x = SharedArray::zeros(400).unwrap();
    let options = SolverOptions { max_iterations: 3, ..exactly() };
    let solve = || conjugate_gradient(pool, &a, &vec![1.0; 400], &mut x, options);
    assert!(matches!(launching(solve), Err(KernelError::NotConverged { iterations: 3, .. })));
}

#[test]
fn a_guess_that_is_right_takes_no_iteration_and_systems_may_be_empty() {
    let pool = &pools()[1];
    let a = laplacian(pool, 3, 0.0);
    let mut b = SharedArray::zeros(9).unwrap();
    super::super::spmv(pool, 1.0, &a, &[1.0; 9], 0.0, &mut b).unwrap();
    let mut x = SharedArray::from_slice(&[1.0; 9]).unwrap();
    let outcome = conjugate_gradient(pool, &a, &b, &mut x, SolverOptions::default()).unwrap();
    assert_eq!(outcome, SolverOutcome { iterations: 0, residual: 0.0 });
    let none: [u32; 0] = [];
    let a = Csr::from_coo(pool, (0, 0), &none, &none, &[0.0; 0]).unwrap();
    let mut x = SharedArray::zeros(0).unwrap();
    assert!(conjugate_gradient(pool, &a, &[0.0; 0], &mut x, SolverOptions::default()).is_ok());
}

#[test]
fn too_few_iterations_are_an_error_with_the_residual_so_far() {
    let pool = &pools()[1];
    let a = laplacian(pool, 20, 0.0);
    let mut x = SharedArray::zeros(400).unwrap();
    let options = SolverOptions { max_iterations: 3, ..exactly() };
    let error = conjugate_gradient(pool, &a, &vec![1.0; 400], &mut x, options).unwrap_err();
    assert!(
        matches!(error, KernelError::NotConverged { iterations: 3, residual, .. } if residual > 0.0),
        "{error}"
    );
    assert!(x.as_slice().iter().any(|x| *x != 0.0), "the last iterate is left in x");
}

#[test]
fn an_indefinite_matrix_and_nan_break_down() {
    let pool = &pools()[1];
    let a = Csr::from_coo(pool, (2, 2), &[0, 1], &[0, 1], &[1.0, -1.0]).unwrap();
    let mut x = SharedArray::zeros(2).unwrap();
    let error = conjugate_gradient(pool, &a, &[1.0, 1.0], &mut x, SolverOptions::default()).unwrap_err();
    assert!(matches!(error, KernelError::Breakdown { .. }), "{error}");
    let mut x = SharedArray::zeros(2).unwrap();
    let error = conjugate_gradient(pool, &a, &[f64::NAN, 1.0], &mut x, SolverOptions::default()).unwrap_err();
    assert!(matches!(error, KernelError::Breakdown { iterations: 0, .. }), "{error}");
}

#[test]
fn bad_arguments_are_refused() {
    let pool = &pools()[1];
    let a = Csr::from_coo(pool, (2, 3), &[0], &[0], &[1.0]).unwrap();
    let mut x = SharedArray::zeros(2).unwrap();
    let refused = conjugate_gradient(pool, &a, &[1.0, 1.0], &mut x, SolverOptions::default());
    assert!(matches!(refused, Err(KernelError::Shape { .. })));
    let a = laplacian(pool, 2, 0.0);
    let mut x = SharedArray::zeros(4).unwrap();
    let options = SolverOptions { relative: f64::NAN, ..SolverOptions::default() };
    let refused = conjugate_gradient(pool, &a, &[1.0; 4], &mut x, options);
    assert!(matches!(refused, Err(KernelError::Argument { .. })));
}
