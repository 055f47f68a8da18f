//! Which parts of a fixed span of bytes are free. Pure bookkeeping: best fit, neighbours joined at once.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};

/// Free extents of `0..size`, all multiples of the grain.
#[derive(Debug)]
pub(super) struct FreeList {
    size: usize,
    /// Length by offset.
    by_offset: BTreeMap<usize, usize>,
    /// The same extents as (length, offset).
    by_len: BTreeSet<(usize, usize)>,
}

/// Every extent is a multiple of this many bytes, so that no two blocks share a pair of cache lines
/// (see `base::Line`).
pub(super) const GRAIN: usize = 128;

impl FreeList {
    /// All of `0..size` free; `size` is rounded down to the grain.
    pub(super) fn new(size: usize) -> FreeList {
        let size = size.saturating_sub(size % GRAIN);
        let mut list = FreeList { size, by_offset: BTreeMap::new(), by_len: BTreeSet::new() };
        if size > 0 {
            list.insert(0, size);
        }
        list
    }

    /// Bytes that a request of `len` takes.
    pub(super) fn rounded(len: usize) -> Option<usize> {
        len.max(1).checked_next_multiple_of(GRAIN)
    }

    /// Takes `len` bytes (rounded to the grain) at a multiple of `align`, a power of two: the tightest extent
    /// that fits, and the lowest of equals.
    #[expect(clippy::arithmetic_side_effects, reason = "extents lie in 0..size, and `start` inside one")]
    pub(super) fn take(&mut self, len: usize, align: usize) -> Option<usize> {
        let len = FreeList::rounded(len)?;
        let align = align.max(GRAIN);
        let (have, at, start) = self.by_len.range((len, 0)..).find_map(|&(have, at)| {
            let start = at.checked_next_multiple_of(align)?;
            (start.checked_add(len)? <= at + have).then_some((have, at, start))
        })?;
        self.delete(at, have);
        if start > at {
            self.insert(at, start - at);
        }
        if at + have > start + len {
            self.insert(start + len, at + have - start - len);
        }
        Some(start)
    }

    /// Gives back what `take(len, _)` returned.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "extents lie in 0..size, and what is given back was one"
    )]
    pub(super) fn give(&mut self, offset: usize, len: usize) {
        let Some(mut len) = FreeList::rounded(len) else { return };
        let mut offset = offset;
        debug_assert!(offset + len <= self.size);
        if let Some((&before, &have)) = self.by_offset.range(..offset).next_back()
            && before + have == offset
        {
            self.delete(before, have);
            offset = before;
            len += have;
        }
        if let Some(&have) = self.by_offset.get(&(offset + len)) {
            self.delete(offset + len, have);
            len += have;
        }
        self.insert(offset, len);
    }

    /// Bytes free in all.
    #[cfg(test)]
    pub(super) fn free_bytes(&self) -> usize {
        self.by_offset.values().sum()
    }

    /// Panics where the two indices disagree, or extents touch or overlap.
    #[cfg(test)]
    #[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
    pub(super) fn check(&self) {
        let twice: BTreeSet<_> = self.by_offset.iter().map(|(&at, &len)| (len, at)).collect();
        assert_eq!(twice, self.by_len);
        let mut end = None;
        for (&at, &len) in &self.by_offset {
            assert!(len > 0 && at % GRAIN == 0 && len % GRAIN == 0, "extent {at}+{len} off the grain");
            assert!(end.is_none_or(|e| at > e), "extent at {at} touches the one that ends at {end:?}");
            assert!(at + len <= self.size, "extent {at}+{len} leaves the span");
            end = Some(at + len);
        }
    }

    fn insert(&mut self, offset: usize, len: usize) {
        self.by_offset.insert(offset, len);
        self.by_len.insert((len, offset));
    }

    fn delete(&mut self, offset: usize, len: usize) {
        self.by_offset.remove(&offset);
        self.by_len.remove(&(len, offset));
    }
}
