//! Blocks of shared memory for the arguments and results of tasks: taken from the arena, and kept for the
//! next task.
#![deny(clippy::arithmetic_side_effects)]

use crate::memory::{AllocError, arena};
use crate::sys::fork;
use parking_lot::Mutex;
use std::ptr::NonNull;

/// Smallest block, as a power of two: what does not fit into a slot.
const SMALLEST: u32 = 8;
/// Size classes: powers of two from the smallest.
const CLASSES: usize = 40;
/// Bytes kept for reuse in all. More goes back to the system.
const KEEP_BYTES: usize = 64 << 20;

struct Shelf {
    classes: [Vec<arena::Block>; CLASSES],
    bytes: usize,
}

static SHELF: Mutex<Shelf> = Mutex::new(Shelf { classes: [const { Vec::new() }; CLASSES], bytes: 0 });

/// A block, which goes back when dropped. Its bytes are what the last user left.
pub(crate) struct HeapBlock {
    block: Option<arena::Block>,
    class: usize,
}

/// That there is no block so large.
pub(crate) fn no_space(len: usize) -> AllocError {
    AllocError::NoSpace { asked: len as u64, free: 0, source_name: "the arena of small arrays".into() }
}

/// Takes a block of at least `len` bytes.
pub(crate) fn take(len: usize) -> Result<HeapBlock, AllocError> {
    let size = len.max(1 << SMALLEST).checked_next_power_of_two().ok_or_else(|| no_space(len))?;
    let class = size.trailing_zeros().saturating_sub(SMALLEST) as usize;
    let kept = {
        let mut shelf = SHELF.lock();
        let kept = shelf.classes.get_mut(class).and_then(Vec::pop);
        if kept.is_some() {
            shelf.bytes = shelf.bytes.saturating_sub(size);
        }
        kept
    };
    let block = match kept {
        Some(block) => block,
        None => arena::allocate(size, 128)?,
    };
    Ok(HeapBlock { block: Some(block), class })
}

impl HeapBlock {
    fn block(&self) -> Option<&arena::Block> {
        self.block.as_ref()
    }

    /// Its offset in the arena.
    pub(crate) fn offset(&self) -> usize {
        self.block().map_or(0, arena::Block::offset)
    }

    pub(crate) fn len(&self) -> usize {
        self.block().map_or(0, arena::Block::len)
    }

    /// Its first byte in this process.
    pub(crate) fn ptr(&self) -> NonNull<u8> {
        self.block().map_or(NonNull::dangling(), arena::Block::ptr)
    }
}

impl Drop for HeapBlock {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        if fork::is_foreign() {
            // The parent's, as the shelf's lock may be.
            return std::mem::forget(block);
        }
        let mut shelf = SHELF.lock();
        if self.class < CLASSES && shelf.bytes.saturating_add(block.len()) <= KEEP_BYTES {
            shelf.bytes = shelf.bytes.saturating_add(block.len());
            shelf.classes[self.class].push(block);
        }
        // What is not kept is dropped here, after the lock: locals go in the reverse order, and zeroing takes
        // time.
        else {
            drop(shelf);
            drop(block);
        }
    }
}
