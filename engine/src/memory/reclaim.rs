//! What is done before a new segment is made: what others have let go of may be the room that it needs.

use std::sync::OnceLock;

static RECLAIM: OnceLock<fn()> = OnceLock::new();

/// Has `reclaim` called before each new segment is made; the first one stays.
pub(crate) fn when_needed(reclaim: fn()) {
    let _there_already = RECLAIM.set(reclaim);
}

pub(super) fn now() {
    if let Some(reclaim) = RECLAIM.get() {
        reclaim();
    }
}
