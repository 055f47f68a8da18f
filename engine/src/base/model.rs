//! What models of protocols are written against, so that one text is checked in three ways.
//!
//! Under `--cfg loom` these are loom's threads, locks and cells, and [`check`] runs a model in every
//! interleaving. Otherwise they are the standard library's and a model runs a number of times: Miri and
//! ThreadSanitizer then watch it, with weak memory and races that loom does not know.
//!
//! # Safety
//! A cell is only reached through `with` and `with_mut`; that no two accesses meet is what a model claims and
//! its checker finds out.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread,
};
#[cfg(not(loom))]
pub(crate) use plain::UnsafeCell;
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// Runs a model in all interleavings with at most `preemptions` involuntary switches (`None`: all there are).
#[cfg(loom)]
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Runs a model a number of times. Under Miri once: another seed is another interleaving.
#[cfg(not(loom))]
pub(crate) fn check(_preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let runs = if cfg!(miri) { 1 } else { 100 };
    (0..runs).for_each(|_| model());
}

/// Runs `body` on what is shared in a thread of its own, beside the caller. Loom runs its threads in turn, so
/// nothing need be `Send`.
#[cfg(loom)]
pub(crate) fn beside<T: 'static, R: 'static>(
    shared: &Arc<T>,
    body: impl FnOnce(&T) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || body(&shared))
}

/// Runs `body` on what is shared in a thread of its own, beside the caller.
#[cfg(not(loom))]
pub(crate) fn beside<T: Send + Sync + 'static, R: Send + 'static>(
    shared: &Arc<T>,
    body: impl FnOnce(&T) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || body(&shared))
}

#[cfg(not(loom))]
mod plain {
    /// A cell with loom's manners.
    #[derive(Debug, Default)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    // SAFETY: models argue that accesses to a cell are ordered; Miri and ThreadSanitizer report those that
    // are not.
    unsafe impl<T: Send> Sync for UnsafeCell<T> {}

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}
