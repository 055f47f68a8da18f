//! Known curves: what was put in comes out.

use super::bootstrap::{Bootstrap, Random};
use super::fit::{Amdahl, Point, Unfit, Usl, karp_flatt};

fn points(sizes: &[usize], seconds: impl Fn(f64) -> f64) -> Vec<Point> {
    sizes.iter().map(|size| Point { size: *size, seconds: seconds(*size as f64) }).collect()
}

fn near(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-6 * want.abs().max(1e-3), "{got} instead of {want}");
}

const SIZES: [usize; 7] = [1, 2, 3, 4, 8, 16, 64];

#[test]
fn exact_curves_are_recovered() {
    for serial in [0.0, 0.01, 0.1, 0.5, 0.999] {
        let law = Amdahl { one: 3.7e-4, serial };
        let found = Amdahl::fit(&points(&SIZES, |n| law.seconds(n))).unwrap();
        near(found.one, law.one);
        near(found.serial, serial);
    }
    for (sigma, kappa) in [(0.0, 0.0), (0.05, 0.0), (0.0, 0.001), (0.02, 0.0005), (0.3, 0.02), (1.5, 0.1)] {
        let law = Usl { one: 12.0, sigma, kappa };
        let found = Usl::fit(&points(&SIZES, |n| law.seconds(n))).unwrap();
        near(found.one, law.one);
        near(found.sigma, sigma);
        near(found.kappa, kappa);
    }
    // Without a run of one worker.
    let law = Usl { one: 2.0, sigma: 0.1, kappa: 0.01 };
    let found = Usl::fit(&points(&[2, 4, 6, 8], |n| law.seconds(n))).unwrap();
    near(found.one, 2.0);
    near(found.sigma, 0.1);
    near(found.kappa, 0.01);
}

#[test]
fn parameters_are_never_negative() {
    // Faster at the end than contention alone explains: kappa would be negative.
    let bent = |n: f64| (1.0 + 0.3 * (n - 1.0) - 0.002 * n * (n - 1.0)) / n;
    let found = Usl::fit(&points(&[1, 2, 4, 8, 16], bent)).unwrap();
    assert!(found.kappa == 0.0 && found.sigma > 0.0, "{found:?}");
    let slower = Amdahl::fit(&points(&[1, 2, 4], |n| 1.0 + n / 10.0)).unwrap();
    assert_eq!(slower.serial, 1.0);
    assert!(slower.one > 1.1 && slower.one < 1.4 && slower.limit() == 1.0, "{slower:?}");
}

#[test]
fn noise_leaves_the_truth_within_the_interval() {
    let law = Usl { one: 1.0, sigma: 0.08, kappa: 0.004 };
    let mut random = Random(11);
    let sizes = [1, 2, 4, 6, 8, 12, 16];
    let samples: Vec<Vec<f64>> = sizes
        .iter()
        .map(|size| {
            let mut noise = || 1.0 + 0.04 * (random.below(2001) as f64 / 1000.0 - 1.0);
            (0..60).map(|_| law.seconds(*size as f64) * noise()).collect()
        })
        .collect();
    let bootstrap = Bootstrap { samples: &samples, resamples: 400, seed: 5 };
    let of = |medians: &[f64]| -> Vec<Point> {
        sizes.iter().zip(medians).map(|(size, seconds)| Point { size: *size, seconds: *seconds }).collect()
    };
    let [sigma, kappa, peak] = bootstrap
        .of(|medians| Usl::fit(&of(medians)).ok().map(|usl| [usl.sigma, usl.kappa, usl.peak()]))
        .unwrap();
    for (interval, truth) in [(sigma, law.sigma), (kappa, law.kappa), (peak, law.peak())] {
        assert!(interval.low <= truth && truth <= interval.high, "{truth} is not in {interval:?}");
        assert!(interval.high - interval.low < truth, "{interval:?} says too little");
    }
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let flat = |_: f64| 1.0;
    assert_eq!(Amdahl::fit(&[]), Err(Unfit::FewSizes { sizes: 0, needed: 3 }));
    assert_eq!(Amdahl::fit(&points(&[4], flat)), Err(Unfit::FewSizes { sizes: 1, needed: 3 }));
    assert_eq!(Usl::fit(&points(&[1, 2], |n| 1.0 / n)), Err(Unfit::FewSizes { sizes: 2, needed: 4 }));
    // The same size again is not another size.
    assert_eq!(Amdahl::fit(&points(&[2, 2, 2], flat)), Err(Unfit::FewSizes { sizes: 1, needed: 3 }));
    assert_eq!(Amdahl::fit(&points(&SIZES, flat)), Err(Unfit::Flat));
    assert_eq!(Usl::fit(&points(&SIZES, flat)), Err(Unfit::Flat));
    let cached = points(&[1, 2, 3, 4], |n| if n > 2.0 { 0.5 / n } else { 1.0 / n });
    let found = Usl::fit(&cached);
    assert!(matches!(found, Err(Unfit::SuperLinear { size: 3, .. })), "{found:?}");
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Usl::fit(&points(&SIZES, |n| if n > 3.0 { wrong } else { n })), Err(Unfit::NoTime));
    }
    for unfit in [Unfit::Flat, Unfit::NoTime, Unfit::FewSizes { sizes: 1, needed: 3 }] {
        assert!(!unfit.to_string().contains("NaN") && !unfit.to_string().is_empty());
    }
}

#[test]
fn peaks_lie_where_the_law_turns() {
    near(Usl { one: 1.0, sigma: 0.1, kappa: 0.009 }.peak(), 10.0);
    assert_eq!(Usl { one: 1.0, sigma: 0.1, kappa: 0.0 }.peak(), f64::INFINITY);
    assert_eq!(Usl { one: 1.0, sigma: 1.2, kappa: 0.1 }.peak(), 1.0);
    assert_eq!(Usl { one: 1.0, sigma: 0.0, kappa: 5.0 }.peak(), 1.0);
}

#[test]
fn karp_and_flatt_find_the_serial_share() {
    let law = Amdahl { one: 1.0, serial: 0.2 };
    near(karp_flatt(1.0 / law.seconds(8.0), 8).unwrap(), 0.2);
    assert_eq!(karp_flatt(1.0, 1), None);
    near(karp_flatt(0.5, 2).unwrap(), 3.0);
}
