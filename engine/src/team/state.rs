//! State that a worker keeps from launch to launch, made once in each worker, and the handles that ask for it.

use crate::memory::registry;
use crate::team::panic_note;
use parking_lot::RwLock;
use rustc_hash::{FxHashMap, FxHashSet};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);
static LIVE: LazyLock<RwLock<FxHashSet<u64>>> = LazyLock::new(RwLock::default);

/// The name of a handle, never used twice in a process. Dropping it lets members drop their states at their next launch.
#[derive(Debug)]
pub(crate) struct HandleId(u64);

impl HandleId {
    pub(crate) fn new() -> HandleId {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        LIVE.write().insert(id);
        HandleId(id)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0
    }
}

impl Drop for HandleId {
    fn drop(&mut self) {
        LIVE.write().remove(&self.0);
        // After the removal: who sees the new count finds the handle gone.
        registry::count_drop();
    }
}

/// Whether the handle of that name lives in this process.
pub(crate) fn is_live(id: u64) -> bool {
    LIVE.read().contains(&id)
}

/// The states of one member, by the id of the handle that asks.
#[derive(Default)]
pub(crate) struct States {
    by_id: FxHashMap<u64, Box<dyn Any + Send>>,
}

impl States {
    /// The state of handle `id`, made by `make` when this member meets it first; `None` if it has another type.
    pub(crate) fn get<T: Send + 'static>(&mut self, id: u64, make: impl FnOnce() -> T) -> Option<&mut T> {
        self.by_id.entry(id).or_insert_with(|| Box::new(make())).downcast_mut()
    }

    fn forget(&mut self, id: u64) {
        self.by_id.remove(&id);
    }

    /// Drops them all, whatever the drop of one does: it is the program's code, and no part of a launch.
    pub(crate) fn let_go(&mut self, rank: usize) {
        let ids: Vec<u64> = self.by_id.keys().copied().collect();
        ids.into_iter().for_each(|id| self.let_go_of(id, rank));
    }

    /// Drops the state of a handle that is gone. A panic is told to the log.
    pub(crate) fn let_go_of(&mut self, id: u64, rank: usize) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.forget(id))) {
            let fault = panic_note::take(payload);
            let location = fault.location;
            tracing::error!(rank, location, "the drop of per-worker state panicked: {}", fault.message);
        }
    }

    /// The states whose handles, which are of this process, are gone.
    pub(crate) fn orphans(&self) -> Vec<u64> {
        self.by_id.keys().copied().filter(|id| !is_live(*id)).collect()
    }
}
