//! What the results of tasks lead to, where the task's member is a thread of the driver: kept until the
//! task's slot is free, by when the results have been read.
//!
//! A worker process keeps nothing: what its result leads to is the driver's, which has the task's arguments
//! meanwhile (`travel`, T3).
#![deny(clippy::arithmetic_side_effects)]

use super::travel::KeepAlive;
use crate::base::member::{self, MemberId};
use crate::sys::fork;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::{Arc, LazyLock};
// Plain on purpose: a process-local count.
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one task's results lead to.
pub(crate) type ResultKeep = Vec<Arc<KeepAlive>>;

/// By the address of the task's slot, which no other task has meanwhile.
static RESULTS: LazyLock<Mutex<FxHashMap<usize, ResultKeep>>> = LazyLock::new(Mutex::default);
/// Slots in the table, so that nobody need take the lock to see that there are none.
static RESULT_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Keeps what a result of the task in a slot leads to.
pub(crate) fn keep(slot: usize, keep_alive: KeepAlive) {
    if member::current_member() != MemberId::DRIVER || fork::is_foreign() {
        return;
    }
    let mut results = RESULTS.lock();
    results.entry(slot).or_default().push(Arc::new(keep_alive));
    RESULT_COUNT.store(results.len(), Ordering::Relaxed);
}

/// The same once more, for results that are read after the slot may be free.
pub(crate) fn share(slot: usize) -> ResultKeep {
    match is_empty() {
        true => Vec::new(),
        false => RESULTS.lock().get(&slot).cloned().unwrap_or_default(),
    }
}

/// Takes what was kept for the task in a slot, to be dropped where no lock is held.
pub(crate) fn take(slot: usize) -> ResultKeep {
    if is_empty() {
        return Vec::new();
    }
    let mut results = RESULTS.lock();
    let taken = results.remove(&slot).unwrap_or_default();
    RESULT_COUNT.store(results.len(), Ordering::Relaxed);
    taken
}

/// Whether there is nothing; a task that is done has noted its own before (the stage of its slot says so).
fn is_empty() -> bool {
    fork::is_foreign() || RESULT_COUNT.load(Ordering::Relaxed) == 0
}
