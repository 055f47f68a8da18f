//! Detects whether the kernel killed a process because memory ran out.

use crate::sys::descriptor;
use std::sync::atomic::{AtomicU64, Ordering};

/// The kernel's count of out-of-memory kills, compared between two queries.
pub(crate) struct OomWatch {
    last: AtomicU64,
}

/// The system's count of such kills (`oom_kill` in /proc/vmstat, which includes those of memory cgroups); 0
/// where it cannot be read.
fn kills() -> u64 {
    let text = descriptor::read_text("/proc/vmstat").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

impl OomWatch {
    pub(crate) fn new() -> OomWatch {
        OomWatch { last: AtomicU64::new(kills()) }
    }

    /// Whether there was one since the last query. Another process may have been the victim.
    pub(crate) fn has_killed_since_last_asked(&self) -> bool {
        let now = kills();
        self.last.swap(now, Ordering::Relaxed) != now
    }
}
