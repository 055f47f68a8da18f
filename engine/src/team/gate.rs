//! The gate that launches pass one at a time, as the end of the team does.

use crate::base::atomic::Ordering;
use parking_lot::FairMutexGuard;
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::AtomicU8;

/// How far a pool's end has come. It only goes on, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Open,
    /// Takes no more tasks.
    Closed,
    /// Takes no more launches.
    Ending,
    /// What still runs is to end at once.
    Terminated,
    /// The members are gone.
    Over,
}

/// What the gate guards.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Number of the last launch.
    pub(crate) epoch: u64,
    /// Launches that are to sleep at once instead of yielding first.
    pub(crate) caution: u32,
}

/// What came of waiting for the gate.
pub(crate) enum Passage<'a> {
    Open(FairMutexGuard<'a, Gate>),
    /// The pool takes no more launches.
    Closed,
    /// The deadline passed first.
    Late,
}

/// A [`Phase`] that all threads of the driver see.
#[derive(Debug)]
pub(crate) struct Progress(AtomicU8);

impl Progress {
    pub(crate) const fn new() -> Progress {
        Progress(AtomicU8::new(Phase::Open as u8))
    }

    pub(crate) fn has_reached(&self, phase: Phase) -> bool {
        // Acquire: pairs with the Release in `reach`; who sees the phase sees what was done before it was
        // told.
        self.0.load(Ordering::Acquire) >= phase as u8
    }

    pub(crate) fn reach(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}
