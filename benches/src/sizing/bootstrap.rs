//! Intervals by resampling: what the figures would have been, had the same samples come out otherwise.

use crate::statistics::{median, quantile};
use serde::Serialize;

/// A value with the range in which 95 % of the resamples have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The value of the samples themselves.
    pub value: f64,
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// Resamples of the samples of several variants.
pub struct Bootstrap<'s> {
    /// The samples of each variant.
    pub samples: &'s [Vec<f64>],
    /// How often they are drawn again.
    pub resamples: usize,
    /// Equal seeds draw equal resamples.
    pub seed: u64,
}

impl Bootstrap<'_> {
    /// Computes figures from the medians of all variants, and the interval of each. `None` where the samples
    /// themselves give none, or fewer than half of the resamples do.
    pub fn of<const K: usize>(&self, figures: impl Fn(&[f64]) -> Option<[f64; K]>) -> Option<[Interval; K]> {
        let own: Vec<f64> = self.samples.iter().map(|samples| median_of(samples.clone())).collect();
        let values = figures(&own)?;
        let mut random = Random(self.seed);
        let mut drawn: [Vec<f64>; K] = std::array::from_fn(|_| Vec::new());
        for _ in 0..self.resamples {
            let mut again = |samples: &Vec<f64>| -> f64 {
                median_of(samples.iter().map(|_| samples[random.below(samples.len())]).collect())
            };
            let medians: Vec<f64> = self.samples.iter().map(&mut again).collect();
            if let Some(figures) = figures(&medians) {
                drawn.iter_mut().zip(figures).for_each(|(drawn, figure)| drawn.push(figure));
            }
        }
        if drawn.iter().any(|drawn| drawn.len() * 2 < self.resamples) {
            return None;
        }
        let mut values = values.into_iter();
        Some(drawn.map(|mut drawn| {
            drawn.sort_unstable_by(f64::total_cmp);
            let value = values.next().unwrap_or(f64::NAN);
            let end = |q| if drawn.is_empty() { value } else { quantile(&drawn, q) };
            Interval { value, low: end(0.025), high: end(0.975) }
        }))
    }

    /// The median of each variant with its interval, relative to nothing.
    pub fn medians(&self) -> Vec<Interval> {
        let each = |index: usize| {
            let alone = Bootstrap { samples: &self.samples[index..=index], ..*self };
            alone.of(|medians| Some([medians[0]])).map(|[interval]| interval)
        };
        let unknown = Interval { value: f64::NAN, low: f64::NAN, high: f64::NAN };
        (0..self.samples.len()).map(|index| each(index).unwrap_or(unknown)).collect()
    }
}

fn median_of(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    median(&samples)
}

/// Numbers that look random: SplitMix64, by Steele, Lea and Flood (2014).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_median_and_shrinks_with_samples() {
        let mut random = Random(7);
        let mut noisy = |count: usize| -> Vec<f64> {
            (0..count).map(|_| 1.0 + random.below(1000) as f64 / 1000.0).collect()
        };
        let samples = [noisy(10), noisy(1000)];
        let found = Bootstrap { samples: &samples, resamples: 500, seed: 1 }.medians();
        for interval in &found {
            assert!(interval.low <= interval.value && interval.value <= interval.high, "{interval:?}");
        }
        assert!(found[1].high - found[1].low < (found[0].high - found[0].low) / 2.0);
        assert!(found[1].low < 1.5 && found[1].high > 1.5);
        let again = Bootstrap { samples: &samples, resamples: 500, seed: 1 }.medians();
        assert_eq!(found, again, "equal seeds, equal intervals");
    }

    #[test]
    fn figures_that_most_resamples_lack_have_no_interval() {
        let samples = [vec![1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0]];
        let bootstrap = Bootstrap { samples: &samples, resamples: 200, seed: 3 };
        assert!(bootstrap.of(|medians| (medians[0] > 20.0).then_some([1.0])).is_none());
        assert!(bootstrap.of(|medians| Some([medians[0]])).is_some());
        let alone = [vec![2.0]];
        let [only] = Bootstrap { samples: &alone, resamples: 10, seed: 3 }.of(|m| Some([m[0]])).unwrap();
        assert_eq!((only.low, only.value, only.high), (2.0, 2.0, 2.0));
    }
}
