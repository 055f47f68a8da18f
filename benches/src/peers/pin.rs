//! Pins threads of the other runtimes as our workers are pinned.

use crate::harness::Outcome;
use phalanx::topology::{CpuSet, bind_thread, bound_cpuset};

/// Pins the calling thread; warns if the machine refuses.
pub fn pin(place: &CpuSet) {
    let binding = bind_thread(place);
    if !binding.is_bound() {
        eprintln!("phalanx-bench: a peer's thread could not be pinned to CPU {place}: {binding}");
    }
}

/// Gives the calling thread its mask back when dropped.
pub struct Unpin(CpuSet);

impl Unpin {
    /// Remembers the present mask.
    pub fn later() -> Outcome<Unpin> {
        Ok(Unpin(bound_cpuset()?))
    }
}

impl Drop for Unpin {
    fn drop(&mut self) {
        pin(&self.0);
    }
}
