//! What is known of each group: count, sum, extremes, and counts in narrow bins, from which quantiles come.

use crate::bins::{Bins, middle};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::str::Utf8Error;

/// The values of one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Values.
    pub count: u64,
    /// Empty cells.
    pub empty: u64,
    /// Sum of the values.
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    bins: Bins,
}

impl Default for Group {
    fn default() -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { count: 0, empty: 0, sum: 0.0, min, max, bins: Bins::default() }
    }
}

impl Group {
    fn add(&mut self, value: Option<f64>, in_bins: bool) {
        let Some(value) = value else {
            self.empty += 1;
            return;
        };
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if in_bins {
            self.bins.add(value);
        }
    }

    fn merge(&mut self, other: Group) {
        self.count += other.count;
        self.empty += other.empty;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.bins.merge(&other.bins);
    }

    /// Mean of the values; NaN without values.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The smallest values that at least each of these shares of all values do not exceed, to within 0.4%.
    pub fn quantiles(&self, shares: &[f64]) -> Vec<f64> {
        let bins = self.bins.in_order();
        let quantile = |share: &f64| {
            let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
            let mut before = 0;
            let found = bins.iter().find(|(_, count)| {
                before += count;
                before >= rank
            });
            found.map_or(f64::NAN, |(bin, _)| middle(*bin).clamp(self.min, self.max))
        };
        shares.iter().map(quantile).collect()
    }
}

/// All groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    pub rows: u64,
    /// By key, in UTF-8.
    by_key: FxHashMap<ByteBuf, Group>,
}

impl Groups {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Adds a row, whose cell may be empty; for quantiles, its value is counted in bins.
    pub fn add(&mut self, key: &[u8], value: Option<f64>, in_bins: bool) -> Result<(), Utf8Error> {
        match self.by_key.get_mut(Bytes::new(key)) {
            Some(group) => group.add(value, in_bins),
            None => {
                // A key is looked at once.
                std::str::from_utf8(key)?;
                self.by_key.entry(ByteBuf::from(key)).or_default().add(value, in_bins);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Adds the groups of other rows.
    pub fn merge(&mut self, other: Groups) {
        self.rows += other.rows;
        for (key, group) in other.by_key {
            self.by_key.entry(key).or_default().merge(group);
        }
    }

    /// Keys and groups, those with most rows first.
    pub fn by_size(&self) -> Vec<(Cow<'_, str>, &Group)> {
        let mut all: Vec<_> = self.by_key.iter().collect();
        all.sort_unstable_by_key(|(key, group)| (Reverse(group.count + group.empty), *key));
        all.into_iter().map(|(key, group)| (String::from_utf8_lossy(key), group)).collect()
    }

    /// The first difference from another result, in words. Sums may differ by their rounding, since they are
    /// added in another order; everything else must be equal.
    pub fn difference(&self, other: &Groups) -> Option<String> {
        if (self.rows, self.len()) != (other.rows, other.len()) {
            let sizes = |groups: &Groups| format!("{} rows in {} groups", groups.rows, groups.len());
            return Some(format!("{}, not {}", sizes(other), sizes(self)));
        }
        for ((key, a), (other_key, b)) in self.by_size().into_iter().zip(other.by_size()) {
            let slack = 1e-12 * a.count as f64 * a.max.abs().max(a.min.abs());
            let is_near = a.count == 0 || (a.sum - b.sum).abs() <= slack;
            if key != other_key || !is_near || *a != (Group { sum: a.sum, ..b.clone() }) {
                return Some(format!("{other_key:?} has {b:?}, not {key:?} {a:?}"));
            }
        }
        None
    }
}
