//! What tasks of each function have cost so far: the ground on which chunks are cut.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// Weight of the newest measurement.
const NEWEST: f64 = 0.3;

/// Means over a function's latest tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// Nanoseconds that an item takes in a worker.
    pub(crate) ns: f64,
    /// Bytes of an item's result.
    pub(crate) bytes: f64,
}

/// By function. Functions are few: they are part of the program.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    by_function: Mutex<FxHashMap<usize, Cost>>,
}

impl Costs {
    /// What is known of a function.
    pub(crate) fn of(&self, function: usize) -> Option<Cost> {
        self.by_function.lock().get(&function).copied()
    }

    /// A task of `items` took so long and gave so many bytes.
    pub(crate) fn note(&self, function: usize, items: usize, ns: f64, bytes: usize) {
        let seen = Cost { ns: ns / items.max(1) as f64, bytes: bytes as f64 / items.max(1) as f64 };
        let mut costs = self.by_function.lock();
        let mean = costs.entry(function).or_insert(seen);
        mean.ns += (seen.ns - mean.ns) * NEWEST;
        // Room that is too small costs more than room that is too large.
        mean.bytes = if seen.bytes > mean.bytes {
            seen.bytes
        } else {
            mean.bytes + (seen.bytes - mean.bytes) * NEWEST
        };
    }
}
