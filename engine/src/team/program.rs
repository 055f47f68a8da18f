//! The program's own code on threads that others depend on: callbacks, wakers, destructors, iterators.
//!
//! It is called here and under no lock of the engine, so that it may use the pool again, and a panic ends
//! here: it is written to the program's log, and harms neither the engine's threads nor another caller's
//! call.

use crate::spawn::panic_note;
use crate::team::current;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `code`; `None` if it panicked. `what` says in the log whose panic it was.
pub(crate) fn call<R>(what: &str, code: impl FnOnce() -> R) -> Option<R> {
    let _telling = current::enter_calling();
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(value) => Some(value),
        Err(payload) => {
            let fault = panic_note::take(payload);
            // The log's subscriber is the program's code as well.
            let told = catch_unwind(AssertUnwindSafe(|| {
                tracing::error!(target: "phalanx", "{what} panicked: {} {}", fault.message, fault.location);
            }));
            if let Err(payload) = told {
                let _nobody_to_tell = panic_note::take(payload);
            }
            None
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_here_and_the_thread_is_out_again() {
        assert_eq!(call("a test", || (!current::may_wait()).then_some(5)), Some(Some(5)));
        assert_eq!(call("a test", || call("an inner one", || panic!("on purpose")).is_none()), Some(true));
        assert!(current::may_wait());
    }
}
