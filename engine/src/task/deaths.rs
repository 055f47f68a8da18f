//! Deaths that the collecting thread has not handled yet.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering};
use parking_lot::Mutex;

/// Records of deaths, passed by the engine to the next collecting thread in the order in which they happened.
#[derive(Debug)]
pub(crate) struct Deaths<T> {
    list: Mutex<Vec<T>>,
    is_news: AtomicU32,
}

impl<T> Deaths<T> {
    pub(crate) fn new() -> Deaths<T> {
        Deaths { list: Mutex::new(Vec::new()), is_news: AtomicU32::new(0) }
    }

    /// Adds one. The caller must then wake the collecting thread
    /// ([`TaskBoard::alarm`](crate::task::board::TaskBoard::alarm)).
    pub(crate) fn add(&self, one: T) {
        self.list.lock().push(one);
        self.mark();
    }

    /// Makes the next collecting thread look, even if nothing was added.
    pub(crate) fn mark(&self) {
        // Release, and the record was added before: pairs with the Acquire in `take`. A store would be
        // enough: of the only two operations that write the word, `take` swaps. But the model checker (loom
        // 0.7) knows no total order of the two, and would let a store be overwritten by a swap that came
        // before it.
        self.is_news.swap(1, Ordering::AcqRel);
    }

    /// Whether [`Self::take`] has not been called since the last mark.
    pub(crate) fn are_new(&self) -> bool {
        self.is_news.load(Ordering::Acquire) != 0
    }

    /// Takes what was added; `None` if there was no mark.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        // Before the list: whoever adds meanwhile marks it afterwards.
        let is_news = self.is_news.swap(0, Ordering::AcqRel) != 0;
        is_news.then(|| std::mem::take(&mut *self.list.lock()))
    }
}
