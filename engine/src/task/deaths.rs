//! Deaths that whoever collects has not dealt with yet.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering};
use parking_lot::Mutex;

/// What is told of the dead: by the engine, in the order in which they died, to the next that collects.
#[derive(Debug)]
pub(crate) struct Deaths<T> {
    list: Mutex<Vec<T>>,
    is_news: AtomicU32,
}

impl<T> Deaths<T> {
    pub(crate) fn new() -> Deaths<T> {
        Deaths { list: Mutex::new(Vec::new()), is_news: AtomicU32::new(0) }
    }

    /// Adds one. The caller then wakes whoever collects
    /// ([`TaskBoard::alarm`](crate::task::board::TaskBoard::alarm)).
    pub(crate) fn add(&self, one: T) {
        self.list.lock().push(one);
        self.mark();
    }

    /// Has whoever collects next look, also where nobody was added.
    pub(crate) fn mark(&self) {
        // Release, and what is told was added before: pairs with the Acquire in `take`. A store would do: of
        // the only two that write the word, `take` swaps. The model checker (loom 0.7) knows no total order
        // of the two, and would let a store be overwritten by a swap that came before it.
        self.is_news.swap(1, Ordering::AcqRel);
    }

    /// Whether [`Self::take`] has not been called since the last mark.
    pub(crate) fn are_new(&self) -> bool {
        self.is_news.load(Ordering::Acquire) != 0
    }

    /// What was added; `None` where there was no mark.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        // Before the list: who adds meanwhile marks it afterwards.
        let is_news = self.is_news.swap(0, Ordering::AcqRel) != 0;
        is_news.then(|| std::mem::take(&mut *self.list.lock()))
    }
}
