//! State that a worker keeps from launch to launch, made once in each worker, and the handles that ask for
//! it.

use crate::memory::registry;
use crate::spawn::panic_note;
use crate::sys::fork;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::any::Any;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);
/// The handles of this process, and how many states of each went with a worker without anybody having been
/// told yet; `None` for states that nobody misses.
static LIVE: LazyLock<RwLock<FxHashMap<u64, Option<u64>>>> = LazyLock::new(RwLock::default);
/// Losses so far, of all handles: a launch that sees the number it saw at its last look has nothing to tell.
static LOSSES: AtomicU64 = AtomicU64::new(0);

/// The name of a handle, never used twice in a process. Dropping it lets members drop their states at their
/// next launch.
#[derive(Debug)]
pub(crate) struct HandleId(u64);

impl HandleId {
    /// A new one. Of states that are `missed`, a loss is reported (see [`take_losses`]).
    pub(crate) fn new(missed: bool) -> HandleId {
        // 64 bits: no process lives long enough to wrap them.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        if !fork::is_foreign() {
            LIVE.write().insert(id, missed.then_some(0));
        }
        HandleId(id)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0
    }
}

impl Drop for HandleId {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        LIVE.write().remove(&self.0);
        // After the removal: who sees the new count finds the handle gone.
        registry::count_drop();
    }
}

/// Whether the handle of that name lives in this process.
pub(crate) fn is_live(id: u64) -> bool {
    LIVE.read().contains_key(&id)
}

/// The states of these handles are gone with the worker that held them.
pub(crate) fn lose(ids: impl IntoIterator<Item = u64>) {
    let mut live = LIVE.write();
    for id in ids {
        if let Some(Some(lost)) = live.get_mut(&id) {
            *lost = lost.saturating_add(1);
            LOSSES.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How many states of these handles were lost since the last call: each loss is reported once.
pub(crate) fn take_losses(ids: &[u64]) -> u64 {
    if fork::is_foreign() || ids.is_empty() || LOSSES.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    let mut live = LIVE.write();
    let lost = ids.iter().filter_map(|id| live.get_mut(id)?.as_mut().map(std::mem::take));
    lost.fold(0, u64::saturating_add)
}

/// The states of one member, by the id of the handle that asks.
#[derive(Default)]
pub(crate) struct States {
    by_id: FxHashMap<u64, Box<dyn Any + Send>>,
}

impl States {
    /// The state of handle `id`, made by `make` when this member meets it first; `None` if it has another
    /// type.
    pub(crate) fn get<T: Send + 'static>(&mut self, id: u64, make: impl FnOnce() -> T) -> Option<&mut T> {
        self.by_id.entry(id).or_insert_with(|| Box::new(make())).downcast_mut()
    }

    /// As [`Self::get`], for a state whose making may fail.
    pub(crate) fn try_get<T: Send + 'static, E>(
        &mut self,
        id: u64,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Option<&mut T>, E> {
        let state = match self.by_id.entry(id) {
            Entry::Occupied(state) => state.into_mut(),
            Entry::Vacant(place) => place.insert(Box::new(make()?)),
        };
        Ok(state.downcast_mut())
    }

    /// The state of handle `id`, which the member has no more from now on; `None` if it has none of that
    /// type.
    pub(crate) fn take<T: Send + 'static>(&mut self, id: u64) -> Option<T> {
        self.by_id.remove(&id)?.downcast().ok().map(|state| *state)
    }

    fn forget(&mut self, id: u64) {
        self.by_id.remove(&id);
    }

    /// The handles whose states there are.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.by_id.keys().copied().collect()
    }

    /// Drops them all, whatever the drop of one does: it is the program's code, and no part of a launch.
    pub(crate) fn let_go(&mut self, rank: usize) {
        self.ids().into_iter().for_each(|id| self.let_go_of(id, rank));
    }

    /// Drops the state of a handle that is gone. A panic is logged.
    pub(crate) fn let_go_of(&mut self, id: u64, rank: usize) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.forget(id))) {
            let fault = panic_note::take(payload);
            let location = fault.location;
            tracing::error!(rank, location, "the drop of per-worker state panicked: {}", fault.message);
        }
    }
}
