//! Working memory of launches, kept by the pool for reuse.

use crate::memory::arena::{self, Block};
use crate::memory::{AllocError, AllocOptions, OWN_SEGMENT_BYTES, Segment};
use parking_lot::Mutex;
use std::sync::Arc;

/// Shared bytes for one launch's leaf results.
#[derive(Debug)]
pub(crate) enum Scratch {
    Small(Block),
    Large(Arc<Segment>),
}

impl Scratch {
    fn new(len_bytes: usize) -> Result<Scratch, AllocError> {
        if len_bytes < OWN_SEGMENT_BYTES {
            // Whole power-of-two sizes, so that the next launch of about this size finds it large enough.
            let len_bytes = len_bytes.next_power_of_two().clamp(4096, OWN_SEGMENT_BYTES - 1);
            return arena::allocate(len_bytes, 128).map(Scratch::Small);
        }
        Segment::create(len_bytes, &AllocOptions::default()).map(Scratch::Large)
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        match self {
            Scratch::Small(block) => block.segment(),
            Scratch::Large(segment) => segment,
        }
    }

    fn is_ours(&self) -> bool {
        match self {
            Scratch::Small(block) => block.is_ours(),
            Scratch::Large(segment) => segment.is_ours(),
        }
    }

    fn len_bytes(&self) -> usize {
        match self {
            Scratch::Small(block) => block.len(),
            Scratch::Large(segment) => segment.len_bytes(),
        }
    }

    /// Segment id, byte offset and length.
    pub(crate) fn place(&self) -> (u64, u64, u64) {
        let offset = match self {
            Scratch::Small(block) => block.offset(),
            Scratch::Large(_) => 0,
        };
        (self.segment().id().0, offset as u64, self.len_bytes() as u64)
    }

    /// Address of the first byte in the driver.
    pub(crate) fn base(&self) -> *mut u8 {
        match self {
            Scratch::Small(block) => block.ptr().as_ptr(),
            Scratch::Large(segment) => segment.base().as_ptr(),
        }
    }
}

/// Scratch memory that no launch is using.
#[derive(Debug, Default)]
pub(crate) struct ScratchPool {
    free: Mutex<Vec<Scratch>>,
}

impl ScratchPool {
    /// Returns a scratch of at least `len_bytes`, whose contents are unspecified.
    pub(crate) fn take(&self, len_bytes: usize) -> Result<Scratch, AllocError> {
        let mut free = self.free.lock();
        // Those made before a fork are not mapped in this process.
        free.retain(Scratch::is_ours);
        if let Some(index) = free.iter().position(|scratch| scratch.len_bytes() >= len_bytes) {
            return Ok(free.swap_remove(index));
        }
        drop(free);
        Scratch::new(len_bytes)
    }

    /// Keeps a scratch for later; large ones are returned to the system.
    pub(crate) fn put(&self, scratch: Scratch) {
        let mut free = self.free.lock();
        if matches!(scratch, Scratch::Small(_)) && free.len() < 4 {
            free.push(scratch);
        }
    }
}
