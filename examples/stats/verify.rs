//! The check: the same passes in the calling thread alone must give the same statistics.

use crate::analysis::Statistics;
use crate::quantile::PERCENTS;

/// How far mean and standard deviation may differ relative to the spread of the data: their sums are combined
/// in another order. Everything else must be equal.
const SLACK: f64 = 1e-12;

/// The first difference between two results, in words.
pub fn difference(team: &Statistics, serial: &Statistics) -> Option<String> {
    let near = |a: f64, b: f64| {
        a == b
            || (a.is_nan() && b.is_nan())
            || (a - b).abs() <= SLACK * (a.abs().max(b.abs()) + serial.std.abs())
    };
    let differ = |what: &str, a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| {
        Some(format!("{what}: {a:?} by the team, {b:?} serially"))
    };
    if (team.count, team.nan) != (serial.count, serial.nan) {
        return differ("count and NaN count", &(team.count, team.nan), &(serial.count, serial.nan));
    }
    if team.min != serial.min {
        return differ("minimum", &team.min, &serial.min);
    }
    if team.max != serial.max {
        return differ("maximum", &team.max, &serial.max);
    }
    if team.histogram != serial.histogram {
        return differ("histogram", &team.histogram.counts, &serial.histogram.counts);
    }
    for (i, percent) in PERCENTS.into_iter().enumerate() {
        let (a, b) = (team.percentiles[i], serial.percentiles[i]);
        if a != b && !(a.is_nan() && b.is_nan()) {
            return differ(&format!("percentile {percent}"), &a, &b);
        }
    }
    if !near(team.mean, serial.mean) {
        return differ("mean", &team.mean, &serial.mean);
    }
    if !near(team.std, serial.std) {
        return differ("standard deviation", &team.std, &serial.std);
    }
    None
}
