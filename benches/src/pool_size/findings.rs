//! What the times of several pool sizes say. Pure functions.

use crate::sizing::bootstrap::{Bootstrap, Interval};
use crate::sizing::fit::{Amdahl, Point, Unfit, Usl, karp_flatt};
use crate::sizing::sizes::smallest_within;

/// One size.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Workers.
    pub size: usize,
    /// Its samples, in seconds.
    pub samples: Vec<f64>,
    /// The median time.
    pub seconds: Interval,
    /// Over the smallest size.
    pub speedup: Interval,
    /// The speed-up as a share of what is linear.
    pub efficiency: f64,
    /// What one worker must have done alone to explain the speed-up; `None` where the speed-up is more than
    /// linear, or one worker was not measured.
    pub serial: Option<f64>,
}

/// A law that was fitted.
#[derive(Clone, Copy, Debug)]
pub struct Fitted<L, I> {
    /// The law.
    pub law: L,
    /// The intervals of what it says, if most resamples can be fitted.
    pub intervals: Option<I>,
    /// How far the worst of the measured times is from it, as a share of that time.
    pub worst: f64,
}

/// Amdahl's law and the interval of its serial share.
pub type FittedAmdahl = Fitted<Amdahl, Interval>;
/// The universal scalability law and the intervals of sigma, kappa and the best size.
pub type FittedUsl = Fitted<Usl, [Interval; 3]>;

/// A serial share this far below 0 is no rounding.
const NO_SHARE: f64 = 1e-6;

/// All that can be said.
pub struct Findings {
    /// By size.
    pub rows: Vec<Row>,
    /// Amdahl's law.
    pub amdahl: Result<FittedAmdahl, Unfit>,
    /// The universal scalability law.
    pub usl: Result<FittedUsl, Unfit>,
    /// Sizes that the fits leave out: more workers than cores.
    pub left_out: Vec<usize>,
    /// The recommended size, and the fastest.
    pub recommended: Option<(usize, usize)>,
}

/// What the findings are made with.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Cores: more workers share them, which no law knows.
    pub cores: usize,
    /// How much slower than the best the recommended size may be.
    pub within: f64,
    /// Of the bootstrap.
    pub resamples: usize,
    /// Of the bootstrap.
    pub seed: u64,
}

impl Rule {
    fn bootstrap(self, samples: &[Vec<f64>]) -> Bootstrap<'_> {
        Bootstrap { samples, resamples: self.resamples, seed: self.seed }
    }
}

/// Judges samples, by size in growing order; sizes without samples are left out.
pub fn judge(sizes: &[usize], samples: &[Vec<f64>], rule: Rule) -> Findings {
    let measured = sizes.iter().zip(samples).filter(|(_, samples)| !samples.is_empty());
    let (sizes, samples): (Vec<usize>, Vec<Vec<f64>>) =
        measured.map(|(size, samples)| (*size, samples.clone())).unzip();
    let seconds = rule.bootstrap(&samples).medians();
    let rows: Vec<Row> = sizes
        .iter()
        .enumerate()
        .map(|(index, size)| {
            let pair = [samples[0].clone(), samples[index].clone()];
            let ratio = |medians: &[f64]| (medians[1] > 0.0).then(|| [medians[0] / medians[1]]);
            let even = Interval { value: 1.0, low: 1.0, high: 1.0 };
            let speedup = match index {
                0 => even,
                _ => rule.bootstrap(&pair).of(ratio).map_or(even, |[ratio]| ratio),
            };
            Row {
                size: *size,
                samples: samples[index].clone(),
                seconds: seconds[index],
                speedup,
                efficiency: speedup.value * sizes[0] as f64 / *size as f64,
                serial: karp_flatt(speedup.value, *size)
                    .filter(|serial| sizes[0] == 1 && *serial > -NO_SHARE)
                    .map(|serial| serial.max(0.0)),
            }
        })
        .collect();
    let points: Vec<Point> =
        rows.iter().map(|row| Point { size: row.size, seconds: row.seconds.value }).collect();
    let within = sizes.iter().filter(|size| **size <= rule.cores).count();
    let (amdahl, usl) = fits(&sizes[..within], &samples[..within], rule);
    Findings {
        rows,
        amdahl,
        usl,
        left_out: sizes[within..].to_vec(),
        recommended: smallest_within(&points, rule.within),
    }
}

/// Both laws with the intervals of their parameters.
fn fits(
    sizes: &[usize],
    samples: &[Vec<f64>],
    rule: Rule,
) -> (Result<FittedAmdahl, Unfit>, Result<FittedUsl, Unfit>) {
    let bootstrap = rule.bootstrap(samples);
    let points = |medians: &[f64]| -> Vec<Point> {
        sizes.iter().zip(medians).map(|(size, seconds)| Point { size: *size, seconds: *seconds }).collect()
    };
    let medians: Vec<f64> = bootstrap.medians().iter().map(|interval| interval.value).collect();
    let worst = |law: &dyn Fn(f64) -> f64| {
        let off = |point: &Point| (law(point.size as f64) / point.seconds - 1.0).abs();
        points(&medians).iter().map(off).fold(0.0, f64::max)
    };
    let amdahl = Amdahl::fit(&points(&medians)).map(|law| {
        let serial = |medians: &[f64]| Amdahl::fit(&points(medians)).ok().map(|law| [law.serial]);
        let intervals = bootstrap.of(serial).map(|[serial]| serial);
        Fitted { law, intervals, worst: worst(&|size| law.seconds(size)) }
    });
    let usl = Usl::fit(&points(&medians)).map(|law| {
        let parameters =
            |medians: &[f64]| Usl::fit(&points(medians)).ok().map(|law| [law.sigma, law.kappa, law.peak()]);
        Fitted { law, intervals: bootstrap.of(parameters), worst: worst(&|size| law.seconds(size)) }
    });
    (amdahl, usl)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { cores: 16, within: 0.05, resamples: 100, seed: 1 };

    fn of(law: impl Fn(f64) -> f64, sizes: &[usize]) -> Findings {
        let samples: Vec<Vec<f64>> = sizes
            .iter()
            .map(|size| [0.99, 1.0, 1.0, 1.0, 1.01].map(|noise| noise * law(*size as f64)).to_vec())
            .collect();
        judge(sizes, &samples, RULE)
    }

    #[test]
    fn a_known_curve_is_recognised() {
        let law = Usl { one: 1.0, sigma: 0.05, kappa: 0.01 };
        let found = of(|n| law.seconds(n), &[1, 2, 4, 8, 12, 16, 32]);
        assert_eq!(found.left_out, [32]);
        let Fitted { law: usl, intervals, worst } = found.usl.unwrap();
        let [sigma, kappa, peak] = intervals.unwrap();
        assert!(worst < 1e-6 && found.amdahl.unwrap().worst > 0.02);
        assert!((usl.sigma - 0.05).abs() < 0.01 && (usl.peak() - law.peak()).abs() < 0.5);
        assert!(sigma.low <= 0.05 && kappa.high >= 0.01 && peak.low <= law.peak());
        // The best measured is 8 or 12, and 8 is near enough.
        assert_eq!(found.recommended.unwrap().0, 8);
        let row = &found.rows[1];
        assert_eq!((row.size, row.samples.len()), (2, 5));
        assert!((row.speedup.value - law.seconds(1.0) / law.seconds(2.0)).abs() < 1e-9);
        assert!((row.efficiency - row.speedup.value / 2.0).abs() < 1e-9);
    }

    #[test]
    fn two_sizes_have_a_table_and_no_fit() {
        let found = of(|n| 1.0 / n, &[1, 2]);
        assert_eq!(found.amdahl.unwrap_err(), Unfit::FewSizes { sizes: 2, needed: 3 });
        assert_eq!(found.usl.unwrap_err(), Unfit::FewSizes { sizes: 2, needed: 4 });
        assert_eq!(found.recommended, Some((2, 2)));
        assert!(found.rows[1].serial.unwrap().abs() < 1e-9);
    }

    #[test]
    fn more_than_linear_has_no_serial_share() {
        let found = of(|n| if n > 1.0 { 0.2 / n } else { 1.0 }, &[1, 2, 4]);
        assert!(found.rows.iter().all(|row| row.serial.is_none()));
        assert!(matches!(found.amdahl.unwrap_err(), Unfit::SuperLinear { size: 2, .. }));
    }

    #[test]
    fn sizes_without_samples_do_not_count() {
        let found = judge(&[1, 2, 4], &[vec![1.0], vec![], vec![0.5]], RULE);
        assert_eq!(found.rows.iter().map(|row| row.size).collect::<Vec<_>>(), [1, 4]);
        let none = judge(&[1, 2], &[vec![], vec![]], RULE);
        assert!(none.rows.is_empty() && none.recommended.is_none() && none.usl.is_err());
    }

    #[test]
    fn without_one_worker_the_speed_up_is_over_the_smallest() {
        let found = of(|n| 1.0 / n, &[2, 4]);
        assert!((found.rows[1].speedup.value - 2.0).abs() < 1e-9 && found.rows[1].serial.is_none());
        assert!((found.rows[1].efficiency - 1.0).abs() < 1e-9);
    }
}
