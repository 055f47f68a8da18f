//! What the tasks of each function have cost so far; the basis for cutting chunks.

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

/// Weight of the newest measurement.
const NEWEST: f64 = 0.3;

/// Means over a function's latest tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// Nanoseconds per item on a worker.
    pub(crate) ns: f64,
    /// Bytes of an item's result.
    pub(crate) bytes: f64,
    /// Whether every item so far had a result: none panicked, died or ran too long.
    pub(crate) ended_well: bool,
}

/// By function. There are few functions: they are part of the program.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_function: FxHashMap<usize, Cost>,
    /// Functions of which an item did not end well.
    ended_badly: FxHashSet<usize>,
}

impl Costs {
    /// What is known of a function.
    pub(crate) fn of(&self, function: usize) -> Option<Cost> {
        let known = self.known.lock();
        let ended_well = !known.ended_badly.contains(&function);
        known.by_function.get(&function).map(|cost| Cost { ended_well, ..*cost })
    }

    /// Notes that an item of the function had no result.
    #[cold]
    pub(crate) fn note_bad_end(&self, function: usize) {
        self.known.lock().ended_badly.insert(function);
    }

    /// Notes that a task of `items` items took this long and returned this many bytes.
    pub(crate) fn note(&self, function: usize, items: usize, ns: f64, bytes: usize) {
        let items = items.max(1) as f64;
        let seen = Cost { ns: ns / items, bytes: bytes as f64 / items, ended_well: true };
        let mut known = self.known.lock();
        let mean = known.by_function.entry(function).or_insert(seen);
        mean.ns += (seen.ns - mean.ns) * NEWEST;
        // Room that is too small costs more than room that is too large.
        mean.bytes = if seen.bytes > mean.bytes {
            seen.bytes
        } else {
            mean.bytes + (seen.bytes - mean.bytes) * NEWEST
        };
    }
}
