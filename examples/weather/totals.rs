//! What is known of each station, and the official way to print it.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// Extremes, sum and number of temperatures, in tenths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Lowest.
    pub min: i16,
    /// Highest.
    pub max: i16,
    /// Sum.
    pub sum: i64,
    /// Number.
    pub count: u64,
}

impl Summary {
    /// Of one temperature.
    pub fn of(tenths: i16) -> Summary {
        Summary { min: tenths, max: tenths, sum: tenths.into(), count: 1 }
    }

    /// Adds the temperatures of another.
    pub fn add(&mut self, other: &Summary) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.count += other.count;
    }

    /// The mean in tenths, rounded to the nearest, halves towards positive infinity.
    fn mean(&self) -> i64 {
        let count = self.count as i64;
        (2 * self.sum + count).div_euclid(2 * count)
    }
}

/// Stations as they were found, one after the other: cheap to send.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Their names, each with a newline.
    names: String,
    summaries: Vec<Summary>,
}

impl Found {
    /// Appends a station, whose name has no newline. It may be among them already.
    pub fn push(&mut self, name: &str, summary: Summary) {
        self.names.push_str(name);
        self.names.push('\n');
        self.summaries.push(summary);
    }
}

/// All stations by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(FxHashMap<String, Summary>);

impl Totals {
    /// Adds temperatures of a station.
    pub fn add(&mut self, name: &str, summary: &Summary) {
        match self.0.get_mut(name) {
            Some(known) => known.add(summary),
            None => {
                self.0.insert(name.to_owned(), *summary);
            }
        }
    }

    /// Adds what was found.
    pub fn add_all(&mut self, found: &Found) {
        found.names.split('\n').zip(&found.summaries).for_each(|(name, summary)| self.add(name, summary));
    }

    /// Number of stations.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Number of temperatures.
    pub fn rows(&self) -> u64 {
        self.0.values().map(|summary| summary.count).sum()
    }

    /// The first station that differs from another's, in words.
    pub fn difference(&self, other: &Totals) -> Option<String> {
        let names = self.0.keys().chain(other.0.keys());
        let name = names.filter(|name| self.0.get(*name) != other.0.get(*name)).min()?;
        Some(format!("{name}: {:?}, {:?}", self.0.get(name), other.0.get(name)))
    }

    /// All stations in the order of their names' bytes.
    pub fn sorted(&self) -> Vec<(&str, &Summary)> {
        let mut all: Vec<_> = self.0.iter().map(|(name, summary)| (name.as_str(), summary)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}

/// A number of tenths with its decimal.
struct Tenths(i64);

impl Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{}", self.0.unsigned_abs() / 10, self.0.unsigned_abs() % 10)
    }
}

impl Display for Totals {
    /// `{Abha=-23.0/18.0/59.2, ...}`: lowest, mean and highest of each station.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, summary)) in self.sorted().into_iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let [min, mean, max] = [summary.min.into(), summary.mean(), summary.max.into()].map(Tenths);
            write!(f, "{separator}{name}={min}/{mean}/{max}")?;
        }
        f.write_str("}")
    }
}
