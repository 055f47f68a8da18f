//! From samples to a choice: which candidate to look at again, whether it gains, whether the machine is quiet enough.

use crate::sizing::bootstrap::{Bootstrap, Interval};
use crate::sizing::foreign::HEAVY;
use crate::usage::Shares;
use std::ops::Range;

/// A gain is one if at least this share of the time is saved for sure.
pub const LEAST_GAIN: f64 = 0.03;
/// Two runs of the same settings are to agree so far.
const ALIKE: Range<f64> = 0.9..1.1;

/// What the first pass found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct First {
    /// The fastest candidate, if it may gain.
    pub best: Option<usize>,
    /// The time of the default's second turn as a share of that of its first: what no setting explains.
    pub noise: Interval,
}

/// How often samples are drawn again, and how.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    pub resamples: usize,
    pub seed: u64,
}

/// Looks at the samples of the default, of the candidates, and of the default once more. `None` if one of them has
/// no sample.
pub fn first(samples: &[Vec<f64>], draws: Draws) -> Option<First> {
    let [default, candidates @ .., again] = samples else { return None };
    let noise = ratio(&[default.clone(), again.clone()], draws)?;
    let own: Vec<f64> = default.iter().chain(again).copied().collect();
    let mut best: Option<(usize, f64)> = None;
    for (at, candidate) in candidates.iter().enumerate() {
        let found = ratio(&[own.clone(), candidate.clone()], draws)?;
        if best.is_none_or(|(_, least)| found.value < least) {
            best = Some((at + 1, found.value));
        }
    }
    // One that seems to gain less than this once will hardly be sure to do so twice.
    let best = best.filter(|(_, share)| *share < 1.0 - LEAST_GAIN).map(|(at, _)| at);
    Some(First { best, noise })
}

/// The share of the default's time that a candidate saves, from samples of both that the choice did not see.
pub fn gain(default: &[f64], candidate: &[f64], draws: Draws) -> Option<Interval> {
    let share = ratio(&[default.to_vec(), candidate.to_vec()], draws)?;
    Some(Interval { value: 1.0 - share.value, low: 1.0 - share.high, high: 1.0 - share.low })
}

/// Whether a candidate is sure to gain.
pub fn is_gain(gain: &Interval) -> bool {
    gain.low >= LEAST_GAIN
}

/// Why the machine is too noisy to believe anything, if it is.
pub fn noisy(noise: &Interval, shares: Option<Shares>) -> Option<String> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    match shares {
        Some(Shares { busy, stolen }) if busy + stolen > HEAVY => {
            Some(format!("other programs and the hypervisor took {} of the CPUs", percent(busy + stolen)))
        }
        _ if noise.low < ALIKE.start || noise.high > ALIKE.end => Some(format!(
            "the default settings took {} to {} of their own time when they were measured again",
            percent(noise.low),
            percent(noise.high)
        )),
        _ => None,
    }
}

fn ratio(samples: &[Vec<f64>; 2], draws: Draws) -> Option<Interval> {
    if samples.iter().any(Vec::is_empty) {
        return None;
    }
    let bootstrap = Bootstrap { samples, resamples: draws.resamples, seed: draws.seed };
    let share = |medians: &[f64]| (medians[0] > 0.0).then(|| [medians[1] / medians[0]]);
    bootstrap.of(share).map(|[share]| share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizing::bootstrap::Random;

    const DRAWS: Draws = Draws { resamples: 300, seed: 1 };

    /// Samples about a time, so far up and down.
    fn about(time: f64, spread: f64, seed: u64) -> Vec<f64> {
        let mut random = Random(seed);
        (0..40).map(|_| time * (1.0 + spread * (random.below(2001) as f64 / 1000.0 - 1.0))).collect()
    }

    #[test]
    fn the_fastest_candidate_is_looked_at_again() {
        let samples = [
            about(1.0, 0.05, 1),
            about(1.2, 0.05, 2),
            about(0.8, 0.05, 3),
            about(0.85, 0.05, 4),
            about(1.0, 0.05, 5),
        ];
        let found = first(&samples, DRAWS).unwrap();
        assert_eq!(found.best, Some(2));
        assert!(found.noise.low < 1.0 && 1.0 < found.noise.high && noisy(&found.noise, None).is_none());
        let same = [about(1.0, 0.02, 1), about(0.99, 0.02, 2), about(1.0, 0.02, 3)];
        assert_eq!(first(&same, DRAWS).unwrap().best, None, "less than a gain");
        assert_eq!(first(&[vec![1.0], vec![], vec![1.0]], DRAWS), None);
        assert_eq!(first(&[vec![1.0]], DRAWS), None);
    }

    #[test]
    fn only_what_is_sure_is_a_gain() {
        let sure = gain(&about(1.0, 0.05, 1), &about(0.8, 0.05, 2), DRAWS).unwrap();
        assert!(is_gain(&sure) && (sure.value - 0.2).abs() < 0.05, "{sure:?}");
        assert!(sure.low <= sure.value && sure.value <= sure.high);
        // As much faster, but nobody can tell from these.
        let wild = gain(&about(1.0, 0.9, 1), &about(0.9, 0.9, 2), DRAWS).unwrap();
        assert!(!is_gain(&wild), "{wild:?}");
        let slower = gain(&about(1.0, 0.05, 1), &about(1.1, 0.05, 2), DRAWS).unwrap();
        assert!(!is_gain(&slower) && slower.value < 0.0);
        let small = gain(&about(1.0, 0.001, 1), &about(0.98, 0.001, 2), DRAWS).unwrap();
        assert!(!is_gain(&small), "sure, but not worth it: {small:?}");
    }

    #[test]
    fn noise_is_named() {
        let quiet = Interval { value: 1.0, low: 0.98, high: 1.03 };
        assert_eq!(noisy(&quiet, Some(Shares { busy: 0.01, stolen: 0.0 })), None);
        assert!(noisy(&quiet, Some(Shares { busy: 0.0, stolen: 0.2 })).unwrap().contains("20 %"));
        let loud =
            first(&[about(1.0, 0.05, 1), about(1.0, 0.05, 2), about(1.4, 0.05, 3)], DRAWS).unwrap().noise;
        assert!(noisy(&loud, None).unwrap().contains("measured again"));
    }
}
