//! What waits for several results at once is told here which of them have come.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// Numbers of results that are there, in the order in which they came.
#[derive(Default)]
pub(crate) struct Finished {
    pub(super) numbers: Mutex<VecDeque<usize>>,
    pub(super) came: Condvar,
}

impl Finished {
    pub(crate) fn tell(&self, number: usize) {
        self.numbers.lock().push_back(number);
        self.came.notify_all();
    }
}
