//! A view of a shared object in this process.
//!
//! # Safety
//! A `Mapping` owns its address range, guard pages included, from `map` to `drop`. It hands out only raw
//! addresses; code that makes references from them keeps the mapping alive and is responsible for what other
//! processes write.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::{AllocError, HUGE_PAGE};
use crate::sys::fork;
use crate::sys::memory::{self, Hint, NodePolicy};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

/// What the process may do with the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapAccess {
    ReadOnly,
    ReadWrite,
}

/// Further wishes for a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapOptions {
    /// Leave the pages out of this process's core dumps (a worker's would hold every array).
    pub(crate) leave_out_of_dumps: bool,
}

/// A mapped shared object between two guard pages, at an address congruent to its file offset modulo 2 MiB.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len_bytes: usize,
    /// The whole range owned, guard pages included.
    taken: NonNull<u8>,
    taken_bytes: usize,
    access: MapAccess,
    /// Who made it; a forked child does not have it (M4).
    owner: u32,
}

// SAFETY: a mapping is an address range of the process, the same in every thread, and gives out raw addresses
// only.
unsafe impl Send for Mapping {}
// SAFETY: as above; the shared methods read plain fields that only `&mut self` changes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len_bytes` of the object. The descriptor may be closed afterwards.
    #[expect(clippy::arithmetic_side_effects, reason = "all of it lies in `wanted`, which is checked")]
    pub(crate) fn map(
        fd: BorrowedFd<'_>,
        len_bytes: usize,
        access: MapAccess,
        options: MapOptions,
    ) -> io::Result<Mapping> {
        let page = memory::page_size();
        let align = if len_bytes >= HUGE_PAGE { HUGE_PAGE } else { page };
        let too_big = || io::Error::from_raw_os_error(libc::ENOMEM);
        let mapped = len_bytes.max(1).checked_next_multiple_of(align).ok_or_else(too_big)?;
        // Two guard pages, and up to align - page bytes before the first aligned place.
        let wanted = mapped.checked_add(align + page).ok_or_else(too_big)?;
        let raw = memory::take_addresses(wanted)?;
        // From here on, dropping `mapping` gives back what is taken.
        let mut mapping = Mapping {
            base: raw,
            len_bytes,
            taken: raw,
            taken_bytes: wanted,
            access,
            owner: memory::process_id(),
        };

        // The object goes to the first aligned place that leaves a guard page before it; what is too much on
        // either side goes back.
        let skip = (raw.addr().get() + page).next_multiple_of(align) - raw.addr().get() - page;
        // SAFETY: skip < align, so `taken` .. + page + mapped + page lies inside the range of `wanted` bytes.
        let taken = unsafe { raw.add(skip) };
        // SAFETY: as above.
        let base = unsafe { taken.add(page) };
        // SAFETY: the head is ours and unused.
        unsafe { memory::unmap(raw, skip) }?;
        (mapping.taken, mapping.taken_bytes, mapping.base) = (taken, wanted - skip, base);
        // SAFETY: the tail starts inside the range, at most at its end.
        let tail = unsafe { taken.add(mapped + 2 * page) };
        // SAFETY: the tail is ours and unused.
        unsafe { memory::unmap(tail, wanted - skip - mapped - 2 * page) }?;
        mapping.taken_bytes = mapped + 2 * page;

        fork::while_mapping(base, len_bytes.max(1), || {
            // SAFETY: base .. base + len_bytes is ours and nothing refers to it yet.
            unsafe { memory::map_shared_at(base, len_bytes.max(1), fd, access == MapAccess::ReadWrite) }?;
            // SAFETY: the range is ours.
            unsafe { memory::advise(base, len_bytes.max(1), Hint::DontFork) }
        })?;
        if options.leave_out_of_dumps {
            // SAFETY: the range is ours.
            unsafe { memory::advise(base, len_bytes.max(1), Hint::DontDump) }?;
        }
        Ok(mapping)
    }

    /// Address of the object's first byte here.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes of the object that are mapped.
    pub(crate) fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// What this process may do with the pages.
    #[cfg(test)]
    pub(crate) fn access(&self) -> MapAccess {
        self.access
    }

    /// Allows writing, for good. Free if it is allowed already.
    pub(crate) fn make_writable(&mut self) -> io::Result<()> {
        if self.access == MapAccess::ReadOnly {
            // SAFETY: the range is ours.
            unsafe { memory::allow_writes(self.base, self.len_bytes) }?;
            self.access = MapAccess::ReadWrite;
        }
        Ok(())
    }

    /// Advises the kernel about part of the object; `offset` is rounded down, the end up, to pages.
    #[expect(clippy::arithmetic_side_effects, reason = "start < end, both inside the mapping")]
    pub(crate) fn advise(&self, offset: usize, len_bytes: usize, hint: Hint) -> io::Result<()> {
        let page = memory::page_size();
        let start = offset.min(self.len_bytes) / page * page;
        let end = offset.saturating_add(len_bytes).min(self.len_bytes);
        if end <= start {
            return Ok(());
        }
        // SAFETY: start < len_bytes, so it lies inside the mapping.
        let at = unsafe { self.base.add(start) };
        // SAFETY: the range is ours.
        unsafe { memory::advise(at, end - start, hint) }
    }

    /// Sets the memory policy of the whole object.
    pub(crate) fn bind(&self, policy: NodePolicy, nodes: &[u64]) -> io::Result<()> {
        // SAFETY: the range is ours.
        unsafe { memory::bind_pages(self.base, self.len_bytes, policy, nodes) }
    }

    /// Faults the pages of a range in for writing, under this thread's memory policy; an error instead of
    /// SIGBUS where there is no room.
    pub(crate) fn populate(&self, offset: usize, len_bytes: usize) -> io::Result<()> {
        let hint = match self.access {
            MapAccess::ReadWrite => Hint::PopulateWrite,
            MapAccess::ReadOnly => Hint::PopulateRead,
        };
        self.advise(offset, len_bytes, hint)
    }
}

/// Memory of this process alone, zero at first; a forked child has a copy.
#[derive(Debug)]
pub(crate) struct Zeros {
    base: NonNull<u8>,
    len_bytes: usize,
}

// SAFETY: an address range of the process, the same in every thread; it gives out a raw address only.
unsafe impl Send for Zeros {}
// SAFETY: as above.
unsafe impl Sync for Zeros {}

impl Zeros {
    pub(crate) fn new(len_bytes: usize) -> Result<Zeros, AllocError> {
        let base = memory::take_zeros(len_bytes).map_err(|e| AllocError::from_os("mmap", len_bytes, e))?;
        Ok(Zeros { base, len_bytes })
    }

    /// The first byte, at the start of a page.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Zeros {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and whoever made references from it kept this value alive.
        let _ = unsafe { memory::unmap(self.base, self.len_bytes) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // A forked child has no such mapping; what is there covers the addresses (M4).
        if memory::process_id() == self.owner {
            fork::while_unmapping(self.base, || {
                // SAFETY: the range is ours, and whoever made references from it kept this value alive.
                let _ = unsafe { memory::unmap(self.taken, self.taken_bytes) };
            });
        }
    }
}
