//! Memory for values whose size only their kernels know: results of folds, answers of searches, errors.
//!
//! A spill is a sparse block of the arena: much address space, of which the first [`READY_BYTES`] have
//! memory. Members take places in it by one addition (`launch::answer::answers`), and populate what lies
//! beyond. It goes back as a whole, so a member that dies in the middle leaks nothing.
//!
//! # Safety
//! The block is the launch's alone while the spill is taken. Its head is made of atomics; the driver reads
//! the rest only after the launch, when no member writes any more.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU64, Ordering};
use crate::launch::answer::lowest::Lowest;
use crate::memory::arena::{self, Block};
use crate::memory::{AllocError, Segment};
use crate::sys::memory;
use parking_lot::Mutex;
use std::sync::Arc;

/// Bytes of a spill that always have memory, and that a pool keeps for its next launch.
pub(crate) const READY_BYTES: usize = 256 << 10;
/// The arena's part that one spill takes of its address space: 32 GiB of 8 TiB.
const PART: usize = 256;
/// Spills that a pool keeps.
const KEPT: usize = 2;

/// The words at the start of a spill.
#[repr(C)]
pub(crate) struct SpillHead {
    /// Bytes handed out, those of the head included. May exceed the spill where it was too small.
    pub(crate) used: Line<AtomicU64>,
    /// The lowest chunk with an answer, and where it lies.
    pub(crate) lowest: Line<Lowest>,
}

/// Bytes of the head.
pub(crate) const HEAD_BYTES: usize = size_of::<SpillHead>();

// The layout that docs/segment-layout.md lists.
#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(SpillHead, lowest) == 128 && HEAD_BYTES == 256);
};

/// One launch's spill. Goes back to its shelf when dropped.
pub(crate) struct Spill<'a> {
    block: Option<Block>,
    shelf: &'a SpillShelf,
}

/// Spills that no launch is using.
#[derive(Debug, Default)]
pub(crate) struct SpillShelf {
    free: Mutex<Vec<Block>>,
}

impl SpillShelf {
    /// Returns a spill in which nothing is taken.
    pub(crate) fn take(&self) -> Result<Spill<'_>, AllocError> {
        let kept = {
            let mut free = self.free.lock();
            // Those made before a fork are not mapped in this process.
            free.retain(Block::is_ours);
            free.pop()
        };
        let block = match kept {
            Some(block) => block,
            None => {
                let arena_bytes = arena::global()?.segment().len_bytes();
                arena::allocate_sparse((arena_bytes / PART).max(READY_BYTES), READY_BYTES)?
            }
        };
        let spill = Spill { block: Some(block), shelf: self };
        if let Some(head) = spill.head() {
            head.used.store(HEAD_BYTES as u64, Ordering::Relaxed);
            head.lowest.reset();
        }
        Ok(spill)
    }
}

impl Spill<'_> {
    fn head(&self) -> Option<&SpillHead> {
        // SAFETY: the block begins with whole pages that have memory; any bytes are atomics; aligned, as
        // sparse blocks begin on a page.
        self.block.as_ref().map(|block| unsafe { block.ptr().cast::<SpillHead>().as_ref() })
    }

    /// What the members must reach.
    pub(crate) fn segment(&self) -> Option<&Arc<Segment>> {
        self.block.as_ref().map(Block::segment)
    }

    /// Segment, byte offset and length.
    pub(crate) fn place(&self) -> [u64; 3] {
        self.block
            .as_ref()
            .map_or([0; 3], |block| [block.segment().id().0, block.offset() as u64, block.len() as u64])
    }

    /// The lowest chunk that has an answer, and the answer's place.
    pub(crate) fn lowest(&self) -> Option<(usize, u64)> {
        self.head()?.lowest.get()
    }

    /// The bytes that a member left at `place`, its length before them. `None` where there cannot be any.
    ///
    /// # Safety
    /// No member is in a launch with this spill.
    pub(crate) unsafe fn read(&self, place: u64) -> Option<&[u8]> {
        let block = self.block.as_ref()?;
        // Whatever is not handed out need not have memory.
        let end = self.head()?.used.load(Ordering::Relaxed).min(block.len() as u64);
        let start = place.checked_add(size_of::<u64>() as u64).filter(|start| *start <= end)?;
        // SAFETY: eight bytes of the block, which have memory, as they are handed out; nobody writes them.
        let len = unsafe { block.ptr().add(place as usize).cast::<u64>().read_unaligned() };
        start.checked_add(len).filter(|end_of_value| *end_of_value <= end)?;
        // SAFETY: as above, for the next `len` bytes.
        let at = unsafe { block.ptr().add(start as usize) };
        // SAFETY: as above; plain bytes.
        Some(unsafe { std::slice::from_raw_parts(at.as_ptr(), len as usize) })
    }
}

impl Drop for Spill<'_> {
    fn drop(&mut self) {
        let used = self.head().map_or(0, |head| head.used.load(Ordering::Relaxed));
        let Some(block) = self.block.take().filter(Block::is_ours) else { return };
        let used = usize::try_from(used).unwrap_or(usize::MAX).min(block.len());
        if let Some(beyond) = used.checked_sub(READY_BYTES).filter(|beyond| *beyond > 0) {
            // No wrap: inside the block.
            let start = block.offset().wrapping_add(READY_BYTES);
            if block.segment().punch(start, beyond.next_multiple_of(memory::page_size())).is_err() {
                return;
            }
        }
        let mut free = self.shelf.free.lock();
        if free.len() < KEPT {
            free.push(block);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    /// Leaves bytes as a member does.
    fn leave(spill: &Spill<'_>, bytes: &[u8]) -> u64 {
        let need = (bytes.len().next_multiple_of(8) + 8) as u64;
        let place = spill.head().unwrap().used.fetch_add(need, Ordering::Relaxed);
        let at = spill.block.as_ref().unwrap().ptr().as_ptr().wrapping_add(place as usize);
        // SAFETY: inside what has memory, as the tests leave little; nobody else uses it.
        unsafe { at.cast::<u64>().write(bytes.len() as u64) };
        // SAFETY: as above.
        unsafe { at.wrapping_add(8).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        place
    }

    #[test]
    fn what_was_left_is_read_and_numbers_that_lead_elsewhere_are_not() {
        let shelf = SpillShelf::default();
        let spill = shelf.take().unwrap();
        let (empty, text) = (leave(&spill, b""), leave(&spill, b"what was left"));
        // SAFETY: no launch.
        let read = |place| unsafe { spill.read(place) };
        assert_eq!((read(empty), read(text)), (Some(&b""[..]), Some(&b"what was left"[..])));
        let used = spill.head().unwrap().used.load(Ordering::Relaxed);
        for place in [used - 7, used, spill.place()[2], u64::MAX - 7, u64::MAX] {
            assert_eq!(read(place), None, "{place}");
        }
        let torn = leave(&spill, &[0; 8]);
        for len in [17u64, 1 << 40, u64::MAX] {
            let at = spill.block.as_ref().unwrap().ptr().as_ptr().wrapping_add(torn as usize);
            // SAFETY: as in `leave`.
            unsafe { at.cast::<u64>().write(len) };
            assert_eq!(read(torn), None, "{len}");
        }
    }

    #[test]
    fn spills_come_back_empty_and_only_a_few_are_kept() {
        let shelf = SpillShelf::default();
        let first = shelf.take().unwrap();
        let place = first.place();
        leave(&first, &[7; 1000]);
        first.head().unwrap().lowest.offer(3, 256);
        drop(first);
        let again = shelf.take().unwrap();
        assert_eq!((again.place(), again.lowest()), (place, None));
        assert_eq!(again.head().unwrap().used.load(Ordering::Relaxed), HEAD_BYTES as u64);
        let more: Vec<Spill<'_>> = (0..5).map(|_| shelf.take().unwrap()).collect();
        drop((again, more));
        assert_eq!(shelf.free.lock().len(), KEPT);
    }
}
