//! Statistics against their definitions, and values of SciPy 1.17.1.

use super::*;
use crate::error::KernelError;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use ndarray::{Array1, Array2, Axis, array};
use phalanx::Pool;

fn random(m: usize, n: usize, seed: u64) -> Array2<f64> {
    Array2::from_shape_vec((m, n), Dice(seed).units(m * n)).unwrap()
}

#[test]
fn covariances_are_those_of_the_definition_for_any_team() {
    for (m, n) in [(2, 1), (50, 3), (700, 40), (3, 0)] {
        // Far from 0: what is subtracted late loses digits.
        let table = random(m, n, 1) + 1e6;
        let means = table.mean_axis(Axis(0)).unwrap();
        let naive = Array2::from_shape_fn((n, n), |(i, j)| {
            (0..m).map(|k| (table[(k, i)] - means[i]) * (table[(k, j)] - means[j])).sum::<f64>()
                / (m - 1) as f64
        });
        let run = |pool: &Pool| {
            let (mut cov, mut corr) = (pool.zeros_nd((n, n)).unwrap(), pool.zeros_nd((n, n)).unwrap());
            covariance(pool, &table, 1, &mut cov).unwrap();
            correlation(pool, &table, &mut corr).unwrap();
            (cov.view().to_owned(), corr.view().to_owned())
        };
        let (cov, corr) = run(&pools()[0]);
        assert!(cov.iter().zip(&naive).all(|(a, b)| (a - b).abs() < 1e-9));
        for ((i, j), value) in corr.indexed_iter() {
            assert!((value - naive[(i, j)] / (naive[(i, i)] * naive[(j, j)]).sqrt()).abs() < 1e-8);
            assert!(value.abs() <= 1.0);
        }
        assert!(pools().iter().all(|pool| run(pool) == (cov.clone(), corr.clone())));
    }
    let mut out = pool().zeros_nd::<f64, _>((2, 2)).unwrap();
    correlation(pool(), &array![[1.0, 2.0], [1.0, 3.0]], &mut out).unwrap();
    assert!(out.view()[(0, 0)].is_nan() && out.view()[(0, 1)].is_nan() && out.view()[(1, 1)] == 1.0);
    let refused = covariance(pool(), &array![[1.0, 2.0]], 1, &mut out);
    assert!(matches!(refused, Err(KernelError::Argument { .. })), "{refused:?}");
}

#[test]
fn weighted_means_and_quantiles_are_those_of_repeated_elements() {
    for len in [1, 9, 1000, 20_011] {
        let mut dice = Dice(len as u64);
        let x = dice.units(len);
        let weights: Vec<f64> = (0..len).map(|_| (dice.roll() % 4) as f64).chain([1.0]).skip(1).collect();
        let mut repeated: Vec<f64> =
            x.iter().zip(&weights).flat_map(|(x, w)| vec![*x; *w as usize]).collect();
        repeated.sort_by(f64::total_cmp);
        let q = [1.0, 0.0, 0.3, 0.5, 0.75, 0.5];
        let want: Vec<f64> = q
            .iter()
            .map(|q| repeated[((q * repeated.len() as f64).ceil() as usize).saturating_sub(1)])
            .collect();
        let mean = repeated.iter().sum::<f64>() / repeated.len() as f64;
        let run = |pool: &Pool| {
            let mean = weighted_mean(pool, &x, &weights).unwrap();
            (mean, weighted_quantiles(pool, &x, &weights, &q).unwrap())
        };
        let first = run(&pools()[0]);
        assert!((first.0 - mean).abs() < 1e-12 && first.1 == want, "{len}");
        assert!(pools().iter().all(|pool| run(pool) == first));
    }
    assert!(matches!(weighted_mean(pool(), &[1.0], &[0.0]), Err(KernelError::Argument { .. })));
    assert!(matches!(weighted_mean(pool(), &[0.0f64; 0], &[]), Err(KernelError::Empty { .. })));
    assert!(matches!(weighted_mean(pool(), &[1.0], &[0.0, 1.0]), Err(KernelError::Shape { .. })));
    for weights in [[-1.0, 1.0], [f64::NAN, 1.0], [0.0, 0.0]] {
        let refused = weighted_quantiles(pool(), &[1.0, 2.0], &weights, &[0.5]);
        assert!(matches!(refused, Err(KernelError::Argument { .. })), "{weights:?}");
    }
    assert!(weighted_quantiles(pool(), &[1.0, 2.0], &[1.0, 1.0], &[1.5]).is_err());
    assert!(weighted_quantiles(pool(), &[f64::NAN, 2.0], &[1.0, 1.0], &[0.0]).unwrap()[0].is_nan());
}

#[test]
fn a_line_is_fitted_as_scipy_does() {
    // scipy.stats.linregress([1, 2, 3, 4, 5, 6], [2.1, 3.9, 6.2, 7.8, 10.1, 11.7]): see the fields.
    let table = array![[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]];
    let fit = Regression::new(pool(), &table, &[2.1, 3.9, 6.2, 7.8, 10.1, 11.7]).unwrap();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(
        near(fit.coefficients[0], 1.948_571_428_571_428_2) && near(fit.intercept, 0.146_666_666_666_667_4),
        "{fit:?}"
    );
    assert!(
        near(fit.errors[0], 0.045_833_178_725_777_35) && near(fit.intercept_error, 0.178_494_586_641_501_78),
        "{fit:?}"
    );
    assert!(near(fit.r_squared, 0.998_895_318_217_438_6_f64.powi(2)), "{fit:?}");
}

#[test]
fn planes_are_found_and_dependent_columns_named() {
    let (table, exact) = (random(500, 6, 3), Array1::from_vec(Dice(4).units(6)));
    let y = table.dot(&exact) + 2.5;
    let fit = Regression::new(pool(), &table, &y).unwrap();
    assert!(fit.coefficients.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!((fit.intercept - 2.5).abs() < 1e-12 && fit.residual < 1e-20 && fit.r_squared > 1.0 - 1e-12);
    let mut constant = table.clone();
    constant.column_mut(3).fill(4.0);
    let refused = Regression::new(pool(), &constant, &y);
    assert!(matches!(refused, Err(KernelError::Singular { at: 4, .. })), "{refused:?}");
    let refused = Regression::new(pool(), &random(3, 3, 1), &[1.0; 3]);
    assert!(matches!(refused, Err(KernelError::Argument { .. })), "{refused:?}");
    let exact = Regression::new(pool(), &random(4, 3, 1), &[1.0, 2.0, 3.0, 5.0]).unwrap();
    assert!(exact.errors.iter().all(|error| error.is_nan()), "no degree of freedom is left: {exact:?}");
    let refused = Regression::new(pool(), &random(4, 1, 1), &[1.0, f64::NAN, 1.0, 1.0]);
    assert!(matches!(&refused, Err(KernelError::NotFinite { at, .. }) if at[..] == [1]), "{refused:?}");
}

#[test]
fn principal_components_carry_the_variance() {
    let table = random(800, 5, 5).dot(&random(5, 5, 6)) + 10.0;
    let pca = Pca::new(pool(), &table, 5).unwrap();
    let mut cov = pool().zeros_nd((5, 5)).unwrap();
    covariance(pool(), &table, 1, &mut cov).unwrap();
    let v = pca.components.view();
    let turned = v.dot(&cov.view()).dot(&v.t());
    for ((i, j), value) in turned.indexed_iter() {
        let want = if i == j { pca.explained.as_slice()[i] } else { 0.0 };
        assert!((value - want).abs() < 1e-10);
    }
    assert!((pca.explained_ratio.as_slice().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let mut out = pool().zeros_nd((800, 5)).unwrap();
    pca.transform(pool(), &table, &mut out).unwrap();
    let back = out.view().dot(&v) + pca.means.view();
    assert!(back.iter().zip(&table).all(|(a, b)| (a - b).abs() < 1e-10));
    assert!(matches!(Pca::new(pool(), &table, 6), Err(KernelError::Argument { .. })));
    assert!(matches!(Pca::new(pool(), &random(1, 5, 1), 1), Err(KernelError::Argument { .. })));
}

#[test]
fn the_bootstrap_estimates_the_error_of_a_mean_with_the_same_samples_for_any_team() {
    let x = Dice(8).units(400);
    let mean = |sample: &mut [f64]| sample.iter().sum::<f64>() / sample.len() as f64;
    let run = |pool: &Pool, samples: usize| {
        let mut out = pool.zeros::<f64>(samples).unwrap();
        bootstrap(pool, &x, 3, &mut out, mean).unwrap();
        out.to_vec()
    };
    let means = run(&pools()[0], 2000);
    assert!(pools().iter().all(|pool| run(pool, 2000) == means));
    assert!(launching(|| run(pool(), 100)) == means[..100]);
    let centre = x.iter().sum::<f64>() / 400.0;
    let variance = x.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / 400.0;
    let spread = means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>() / 2000.0;
    assert!((spread / (variance / 400.0) - 1.0).abs() < 0.15, "{spread} of {variance}");
    let mut out = pool().zeros::<f64>(3).unwrap();
    assert!(matches!(bootstrap(pool(), &[0.0f64; 0], 3, &mut out, mean), Err(KernelError::Empty { .. })));
    let refused = bootstrap(pool(), &[1.0f64, 2.0], 3, &mut out, |_| -> f64 { panic!("no statistic") });
    assert!(matches!(refused, Err(KernelError::Launch(_))), "{refused:?}");
}
