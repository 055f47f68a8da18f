//! What the times of several chunk sizes and schedules say. Pure functions.

use crate::sizing::bootstrap::{Bootstrap, Interval};
use crate::sizing::fit::Point;
use crate::sizing::sizes::{flat_range, middle};

/// A way to cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Units in a chunk; `None` leaves it, and the schedule, to the engine.
    pub chunk: Option<usize>,
    /// The schedule's name.
    pub schedule: &'static str,
}

impl Way {
    /// A name for messages.
    pub fn name(&self) -> String {
        match self.chunk {
            Some(chunk) => format!("chunks of {chunk}, {}", self.schedule),
            None => "the engine's own choice".into(),
        }
    }
}

/// A way that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The way.
    pub way: Way,
    /// Its samples, in seconds.
    pub samples: Vec<f64>,
    /// The median time.
    pub seconds: Interval,
    /// How much longer than the best way.
    pub overhead: f64,
}

/// What should be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Advice {
    /// Nothing: the engine's choice is near enough to the best.
    Leave,
    /// Nothing: the engine's choice and the best cannot be told apart, since their intervals overlap.
    Undecided,
    /// This instead.
    Take(Way),
    /// Nothing was measured.
    Unknown,
}

/// All that can be said.
#[derive(Clone, Debug)]
pub struct Findings {
    /// In the order of measurement.
    pub measured: Vec<Measured>,
    /// For each schedule the first and the last chunk size of the flat part of its curve.
    pub flat: Vec<(&'static str, (usize, usize))>,
    /// What should be done.
    pub advice: Advice,
}

impl Findings {
    /// The engine's own choice.
    pub fn own(&self) -> Option<&Measured> {
        self.measured.iter().find(|own| own.way.chunk.is_none())
    }

    /// The fastest way.
    pub fn best(&self) -> Option<&Measured> {
        self.measured.iter().min_by(|a, b| a.seconds.value.total_cmp(&b.seconds.value))
    }

    /// The measured ways of a schedule by chunk size, without the engine's own choice.
    pub fn curve(&self, schedule: &str) -> Vec<&Measured> {
        let own = |measured: &&Measured| measured.way.schedule == schedule && measured.way.chunk.is_some();
        let mut curve: Vec<_> = self.measured.iter().filter(own).collect();
        curve.sort_by_key(|measured| measured.way.chunk);
        curve
    }
}

/// Judges samples: what is within `within` of the best is as good as it.
pub fn judge(ways: &[Way], samples: &[Vec<f64>], within: f64, resamples: usize, seed: u64) -> Findings {
    let medians = Bootstrap { samples, resamples, seed }.medians();
    let known = ways.iter().zip(samples).zip(medians).filter(|((_, samples), _)| !samples.is_empty());
    let mut measured: Vec<Measured> = known
        .map(|((way, samples), seconds)| Measured {
            way: way.clone(),
            samples: samples.clone(),
            seconds,
            overhead: 0.0,
        })
        .collect();
    let best = measured.iter().map(|own| own.seconds.value).fold(f64::INFINITY, f64::min);
    measured.iter_mut().for_each(|own| own.overhead = own.seconds.value / best - 1.0);
    let mut found = Findings { measured, flat: Vec::new(), advice: Advice::Unknown };
    let mut schedules: Vec<&'static str> = Vec::new();
    ways.iter().filter(|way| way.chunk.is_some()).for_each(|way| {
        if !schedules.contains(&way.schedule) {
            schedules.push(way.schedule);
        }
    });
    found.flat = schedules
        .iter()
        .filter_map(|schedule| Some((*schedule, flat_range(&points(&found, schedule), within)?)))
        .collect();
    found.advice = advice(&found, within);
    found
}

fn points(found: &Findings, schedule: &str) -> Vec<Point> {
    let point = |own: &&Measured| Some(Point { size: own.way.chunk?, seconds: own.seconds.value });
    found.curve(schedule).iter().filter_map(point).collect()
}

fn advice(found: &Findings, within: f64) -> Advice {
    if found.own().is_some_and(|own| own.overhead <= within) {
        return Advice::Leave;
    }
    let Some(best) = found.best() else { return Advice::Unknown };
    if found.own().is_some_and(|own| own.seconds.low <= best.seconds.high) {
        return Advice::Undecided;
    }
    let schedule = best.way.schedule;
    let range = found.flat.iter().find(|(own, _)| *own == schedule).map(|(_, range)| *range);
    match range.and_then(|range| middle(&points(found, schedule), range)) {
        Some(chunk) => Advice::Take(Way { chunk: Some(chunk), schedule }),
        None => Advice::Take(best.way.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(times: &[(Option<usize>, &'static str, f64)]) -> Findings {
        let ways: Vec<Way> =
            times.iter().map(|(chunk, schedule, _)| Way { chunk: *chunk, schedule }).collect();
        let samples: Vec<Vec<f64>> = times.iter().map(|(.., time)| vec![*time; 3]).collect();
        judge(&ways, &samples, 0.05, 20, 1)
    }

    #[test]
    fn a_good_choice_of_the_engine_is_left_to_it() {
        let found = found(&[(None, "stealing", 1.04), (Some(4), "stealing", 3.0), (Some(64), "static", 1.0)]);
        assert_eq!(found.advice, Advice::Leave);
        assert!((found.own().unwrap().overhead - 0.04).abs() < 1e-9);
        assert_eq!(found.best().unwrap().way.schedule, "static");
    }

    #[test]
    fn the_middle_of_the_flat_part_replaces_a_bad_one() {
        let curve = [(1, 5.0), (4, 1.03), (16, 1.0), (64, 1.02), (256, 4.0)];
        let mut times = vec![(None, "stealing", 2.0), (Some(1), "static", 9.0), (Some(4), "static", 8.0)];
        times.extend(curve.map(|(chunk, time)| (Some(chunk), "dynamic", time)));
        let found = found(&times);
        assert_eq!(found.advice, Advice::Take(Way { chunk: Some(16), schedule: "dynamic" }));
        assert_eq!(found.flat, [("static", (4, 4)), ("dynamic", (4, 64))]);
        assert_eq!(found.curve("dynamic").len(), 5);
    }

    #[test]
    fn what_cannot_be_told_apart_is_left_to_the_engine() {
        let ways = [None, Some(4)].map(|chunk| Way { chunk, schedule: "stealing" });
        let samples = [vec![1.0, 2.0, 3.0], vec![0.9, 1.5, 2.0]];
        assert_eq!(judge(&ways, &samples, 0.05, 200, 1).advice, Advice::Undecided);
    }

    #[test]
    fn nothing_measured_is_no_advice() {
        let ways = [Way { chunk: None, schedule: "stealing" }];
        let found = judge(&ways, &[vec![]], 0.05, 20, 1);
        assert_eq!(found.advice, Advice::Unknown);
        assert!(found.best().is_none() && found.own().is_none());
    }
}
