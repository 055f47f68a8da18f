//! The live segments of this process, by name.

use super::{Segment, SegmentId};
use crate::base::atomic::{AtomicU64, Ordering};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::{Arc, LazyLock, Weak};

struct Registry {
    next: AtomicU64,
    drops: AtomicU64,
    live: RwLock<FxHashMap<u64, Weak<Segment>>>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry {
    next: AtomicU64::new(1),
    drops: AtomicU64::new(0),
    live: RwLock::new(FxHashMap::default()),
});

/// A name that nothing had before.
pub(super) fn next_id() -> SegmentId {
    SegmentId(REGISTRY.next.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn insert(id: SegmentId, segment: &Arc<Segment>) {
    REGISTRY.live.write().insert(id.0, Arc::downgrade(segment));
}

pub(super) fn remove(id: SegmentId) {
    REGISTRY.live.write().remove(&id.0);
    count_drop();
}

/// Counts something that members must be told of at the next launch: a segment, or a handle of per-worker
/// state, is gone.
pub(crate) fn count_drop() {
    // Pairs with the acquire in `drop_count`: who sees the new count finds the segment gone.
    REGISTRY.drops.fetch_add(1, Ordering::Release);
}

/// The segment of that name, if it lives.
pub(crate) fn lookup(id: SegmentId) -> Option<Arc<Segment>> {
    REGISTRY.live.read().get(&id.0)?.upgrade()
}

/// Whether a segment of that name lives.
pub(crate) fn is_live(id: SegmentId) -> bool {
    REGISTRY.live.read().get(&id.0).is_some_and(|s| s.strong_count() > 0)
}

/// How many segments and handles were dropped so far: unchanged means that nothing died meanwhile.
pub(crate) fn drop_count() -> u64 {
    // Pairs with the release in `count_drop`.
    REGISTRY.drops.load(Ordering::Acquire)
}
