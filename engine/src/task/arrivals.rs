//! Tells a thread that waits for several results at once which of them have arrived.

use crate::task::leading;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::Instant;

/// Numbers of the results that are ready, in order of completion.
#[derive(Default)]
pub(crate) struct Finished {
    numbers: Mutex<VecDeque<usize>>,
    came: Condvar,
}

impl Finished {
    pub(crate) fn tell(&self, number: usize) {
        self.numbers.lock().push_back(number);
        self.came.notify_all();
    }

    /// Waits until a result is ready; false if the deadline passed first.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        if let Some(is_there) = leading::lead_until(deadline, || !self.numbers.lock().is_empty()) {
            return is_there;
        }
        let mut numbers = self.numbers.lock();
        while numbers.is_empty() {
            match deadline {
                Some(at) if self.came.wait_until(&mut numbers, at).timed_out() => break,
                Some(_) => {}
                None => self.came.wait(&mut numbers),
            }
        }
        !numbers.is_empty()
    }

    /// The first that was ready.
    pub(super) fn first(&self) -> Option<usize> {
        self.numbers.lock().front().copied()
    }

    /// Takes the first that was ready.
    pub(super) fn take(&self) -> Option<usize> {
        self.numbers.lock().pop_front()
    }
}
