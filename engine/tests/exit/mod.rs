//! What the tests of exit functions share.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use phalanx::{Backend, Pool, PoolBuilder, current_rank};
use std::cell::Cell;

pub const BACKENDS: [Backend; 3] = [Backend::Processes, Backend::Threads, Backend::Inline];

pub fn builder(backend: Backend, workers: usize) -> PoolBuilder {
    Pool::builder().backend(backend).workers(workers)
}

pub fn rank() -> usize {
    current_rank().expect("an exit function has a rank")
}

thread_local!(static SUM: Cell<u64> = const { Cell::new(0) });

pub fn add(n: u64) {
    SUM.set(SUM.get() + n);
}

/// What this worker's tasks have added up, which nobody gets twice.
pub fn take_sum() -> u64 {
    SUM.take()
}
