//! Rayon: a pool of its own, threads pinned like our workers; the caller waits outside.

use super::pin::pin;
use crate::harness::Outcome;
use phalanx::topology::CpuSet;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool with one thread per place. It may still be starting: `broadcast` waits for all threads.
pub fn team(places: &[CpuSet]) -> Outcome<ThreadPool> {
    let cores = places.to_vec();
    let builder = ThreadPoolBuilder::new().num_threads(places.len());
    Ok(builder.start_handler(move |index| pin(&cores[index])).build()?)
}
