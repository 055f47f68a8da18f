//! What is printed.

use super::choice::is_gain;
use super::knob::Knob;
use crate::harness::Outcome;
use crate::report::{Record, Report};
use crate::sizing::bootstrap::{Bootstrap, Interval};
use crate::sizing::line::{Line, seconds};
use phalanx::tuning::{Profile, Tuning};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// What was found about one setting.
pub struct Found {
    /// The setting.
    pub knob: &'static Knob,
    /// Samples of the default, of each value, and of the default again.
    pub samples: Vec<Vec<f64>>,
    /// The times of the default's two turns, one as a share of the other.
    pub noise: Interval,
    /// The fastest value, and what it saved when it was measured again.
    pub again: Option<(u64, Interval)>,
}

impl Found {
    /// The value that is sure to gain, and how much.
    pub fn gained(&self) -> Option<(u64, Interval)> {
        self.again.filter(|(_, gain)| is_gain(gain))
    }
}

/// Prints what was found about a setting.
pub fn found(found: &Found, workers: usize, report: &Report) -> Outcome<()> {
    let medians = Bootstrap { samples: &found.samples, resamples: 200, seed: 1 }.medians();
    if !report.is_json() {
        print!("{}", text(found, &medians));
        return Ok(());
    }
    let knob = found.knob;
    for (variant, (samples, median)) in variants(knob).zip(found.samples.iter().zip(medians)) {
        let record = Record::of(knob.bench, &variant, workers, samples.clone(), "s");
        report.object(&Line::of(record, json!({"setting": knob.name}), median));
    }
    let again = found.again.map(|(value, gain)| {
        json!({"value": (knob.shown)(value), "saved": gain.value, "interval": [gain.low, gain.high]})
    });
    report.object(
        &json!({"bench": "tune", "setting": knob.name, "fastest": again, "gained": found.gained().is_some()}),
    );
    Ok(())
}

fn variants(knob: &Knob) -> impl Iterator<Item = String> {
    let values = knob.values.iter().map(|value| (knob.shown)(*value));
    ["default".to_owned()].into_iter().chain(values).chain(["default again".to_owned()])
}

fn text(found: &Found, medians: &[Interval]) -> String {
    let knob = found.knob;
    let mut text = format!("\n{}: {} ({})\n", knob.name, knob.about, knob.bench);
    for (variant, median) in variants(knob).zip(medians) {
        let (low, high) = (seconds(median.low), seconds(median.high));
        let _ = writeln!(text, "  {variant:<15}{:>10}   {low} to {high}", seconds(median.value));
    }
    let said = match found.again {
        None => "no value is clearly faster than the default".to_owned(),
        Some((value, gain)) if is_gain(&gain) => note(knob, value, &gain),
        Some((value, gain)) => format!(
            "{} seemed faster, but saved {} when measured again: not enough to be sure",
            (knob.shown)(value),
            range(&gain)
        ),
    };
    let _ = writeln!(text, "  {said}");
    text
}

/// One sentence for the profile.
pub fn note(knob: &Knob, value: u64, gain: &Interval) -> String {
    format!("{}: {} saves {} of the time of {}", knob.name, (knob.shown)(value), range(gain), knob.bench)
}

fn range(gain: &Interval) -> String {
    let [value, low, high] = [gain.value, gain.low, gain.high].map(|share| share * 100.0);
    format!("{value:.0} % ({low:.0} to {high:.0} %)")
}

/// Shows what is stored.
pub fn stored(path: &Path, profile: Option<&Profile>, report: &Report) {
    if report.is_json() {
        let (tuning, notes) = (profile.map(Profile::tuning), profile.map(Profile::notes));
        report.object(&json!({
            "bench": "tune",
            "path": path,
            "profile": tuning.map(|own| json!({
                "spin_ns": own.spin.as_nanos() as u64,
                "inline_ns": own.inline.as_nanos() as u64,
                "task_chunk_ns": own.task_chunk.as_nanos() as u64,
                "past_caches_bytes": own.past_caches_bytes,
            })),
            "notes": notes,
        }));
        return;
    }
    match profile {
        None => {
            println!(
                "no profile of this machine is stored ({}); pools have the default settings:",
                path.display()
            );
            println!("  {}", Tuning::default());
        }
        Some(profile) => {
            println!("{}", path.display());
            println!("  {}", profile.tuning());
            profile.notes().iter().for_each(|note| println!("  {note}"));
        }
    }
}

/// Says that it is gone.
pub fn forgotten(path: &Path, was_there: bool, report: &Report) {
    if report.is_json() {
        report.object(&json!({"bench": "tune", "path": path, "removed": was_there}));
    } else if was_there {
        println!("{} is removed: pools have the default settings", path.display());
    } else {
        println!("no profile of this machine was stored ({})", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::super::knob::KNOBS;
    use super::*;

    fn of(again: Option<(u64, Interval)>) -> Found {
        let knob = &KNOBS[0];
        let samples = variants(knob).map(|_| vec![1e-3, 2e-3, 3e-3]).collect();
        Found { knob, samples, noise: Interval { value: 1.0, low: 1.0, high: 1.0 }, again }
    }

    fn shown(found: &Found) -> String {
        text(found, &Bootstrap { samples: &found.samples, resamples: 10, seed: 1 }.medians())
    }

    #[test]
    fn every_value_and_the_gain_are_told() {
        let gain = Interval { value: 0.2, low: 0.15, high: 0.25 };
        let sure = of(Some((100, gain)));
        let told = shown(&sure);
        assert!(told.contains("100 us saves 20 % (15 to 25 %) of the time of tune_gaps"), "{told}");
        assert_eq!(told.matches("2.00 ms   1.00 ms to 3.00 ms").count(), KNOBS[0].values.len() + 2, "{told}");
        assert_eq!(sure.gained(), Some((100, gain)));
        let unsure = of(Some((100, Interval { low: -0.1, ..gain })));
        assert!(shown(&unsure).contains("not enough to be sure") && unsure.gained().is_none());
        assert!(shown(&of(None)).contains("no value is clearly faster"));
    }
}
