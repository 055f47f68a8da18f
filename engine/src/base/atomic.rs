//! The one door to atomics. Under `--cfg loom` the model checker's types come through it, so that it checks
//! the same protocol text that runs between processes.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// One step of a spin loop.
#[inline]
pub(crate) fn spin_loop() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Stands between a SeqCst read-modify-write and a SeqCst load that must not pass it.
///
/// Nothing in a program: the two are in the one order of SeqCst operations already. Loom (0.7) knows that
/// order for fences only and takes SeqCst accesses for AcqRel, so it is given a fence.
#[inline]
pub(crate) fn in_total_order() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}
