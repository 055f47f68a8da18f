//! Counts of all launches of a pool, read while one runs.

use crate::base::atomic::{AtomicU64, Ordering};
use crate::team::board::bump;

/// What a launch cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// System calls of the driver and those that woke it.
    pub(crate) system_calls: u64,
    /// Bytes sent to announce segments (none in steady state).
    pub(crate) delivery_bytes: u64,
    pub(crate) delivery_calls: u64,
    pub(crate) rounds: u64,
}

/// Counts of all launches so far, and the cost of the last one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) launches: u64,
    pub(crate) cost: Cost,
    pub(crate) last_system_calls: u64,
}

/// The counts. Only the thread that holds the pool's gate writes them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    launches: AtomicU64,
    system_calls: AtomicU64,
    delivery_bytes: AtomicU64,
    delivery_calls: AtomicU64,
    rounds: AtomicU64,
    last_system_calls: AtomicU64,
}

impl Tally {
    /// Counts one launch. The caller holds the gate.
    pub(crate) fn add(&self, cost: &Cost) {
        bump(&self.launches, 1);
        bump(&self.system_calls, cost.system_calls);
        bump(&self.delivery_bytes, cost.delivery_bytes);
        bump(&self.delivery_calls, cost.delivery_calls);
        bump(&self.rounds, cost.rounds);
        self.last_system_calls.store(cost.system_calls, Ordering::Relaxed);
    }

    /// Reads the counts. Each one is right, but a launch that ends meanwhile may show in some of them and not
    /// yet in others.
    pub(crate) fn read(&self) -> Totals {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Totals {
            launches: read(&self.launches),
            cost: Cost {
                system_calls: read(&self.system_calls),
                delivery_bytes: read(&self.delivery_bytes),
                delivery_calls: read(&self.delivery_calls),
                rounds: read(&self.rounds),
            },
            last_system_calls: read(&self.last_system_calls),
        }
    }
}
