//! Tells a thread that waits for several results at once which of them have arrived.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// Numbers of the results that are ready, in order of completion.
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
