//! Calls that wind down when a token is cancelled.
#![deny(clippy::arithmetic_side_effects)]

use crate::launch::cancel::OnCancel;
use crate::sys::fork;
use crate::task::queue::TaskQueue;
use crate::task::queued::Receiver;
use std::sync::{Arc, Weak};

/// A call's tasks, as its token knows them.
pub(crate) struct CancelledCall {
    queue: Weak<TaskQueue>,
    receiver: Weak<dyn Receiver>,
}

impl CancelledCall {
    pub(crate) fn new(queue: &Arc<TaskQueue>, receiver: &Arc<dyn Receiver>) -> CancelledCall {
        CancelledCall { queue: Arc::downgrade(queue), receiver: Arc::downgrade(receiver) }
    }
}

impl OnCancel for CancelledCall {
    fn stop(&self) {
        if let (Some(queue), Some(receiver), false) =
            (self.queue.upgrade(), self.receiver.upgrade(), fork::is_foreign())
        {
            queue.wind_down(&receiver);
        }
    }

    fn is_over(&self) -> bool {
        self.queue.strong_count() == 0 || self.receiver.upgrade().is_none_or(|receiver| !receiver.is_open())
    }
}
