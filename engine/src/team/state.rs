//! State that a worker keeps from launch to launch, made once in each worker.

use rustc_hash::FxHashMap;
use std::any::Any;

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

    /// Drops the state of a handle that is gone.
    pub(crate) fn forget(&mut self, id: u64) {
        self.by_id.remove(&id);
    }
}
