//! The arena: one sparse segment for everything small (arrays below 1 MiB, values, locks, counters), which
//! every worker maps once at its start.
//!
//! # Safety
//! A [`Block`] is the only owner of its bytes until it is dropped. The unsafe acts here are to zero a block
//! that is being dropped, and to find the arena, which is never freed.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::freelist::FreeList;
use super::{AllocError, Segment, room};
use crate::sys::{fork, memory};
use parking_lot::Mutex;
use std::ptr::NonNull;
use std::sync::Arc;
// Plain on purpose: process-local.
use std::sync::atomic::{AtomicPtr, Ordering};

/// Address space of the arena. Pages are taken only as blocks are made.
///
/// Most of it is for queues, each of which may have a gigabyte of room that it never fills.
const ARENA_BYTES: usize = 8 << 40;

/// Where address space or file size is limited, smaller arenas are tried down to this.
const SMALLEST_ARENA_BYTES: usize = 4 << 20;

/// After this many bytes of small blocks the room is looked up again.
const CHECK_ROOM_EVERY: usize = 1 << 20;

/// From this size on a dropped block's pages go back to the system instead of being filled with zeros.
const PUNCH_BYTES: usize = 64 << 10;

/// The process's arena.
#[derive(Debug)]
pub(crate) struct Arena {
    segment: Arc<Segment>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: FreeList,
    /// Bytes handed out since the room was last looked up.
    unchecked: usize,
}

/// Null before the first use; never freed. A worker that was forked from this process makes its own.
static ARENA: AtomicPtr<Arena> = AtomicPtr::new(std::ptr::null_mut());
static MAKING: Mutex<()> = Mutex::new(());

/// The arena of this process, made at its first use.
pub(crate) fn global() -> Result<&'static Arena, AllocError> {
    if fork::is_foreign() {
        return Err(AllocError::Forked);
    }
    if let Some(arena) = present() {
        return Ok(arena);
    }
    let _one_at_a_time = MAKING.lock();
    if let Some(arena) = present() {
        return Ok(arena);
    }
    let arena: &'static Arena = Box::leak(Box::new(Arena::new(ARENA_BYTES)?));
    fork::reset_in_children(|| ARENA.store(std::ptr::null_mut(), Ordering::Relaxed));
    // Pairs with the acquire in `present`.
    ARENA.store(std::ptr::from_ref(arena).cast_mut(), Ordering::Release);
    Ok(arena)
}

fn present() -> Option<&'static Arena> {
    // SAFETY: null, or the address of an arena that is never freed and only shared.
    unsafe { ARENA.load(Ordering::Acquire).as_ref() }
}

/// Takes a zeroed block from the process's arena. `align` is a power of two, at most
/// [`MOST_ALIGN`](super::MOST_ALIGN).
pub(crate) fn allocate(len_bytes: usize, align: usize) -> Result<Block, AllocError> {
    global()?.allocate(len_bytes, align)
}

/// Takes a block of whole pages of which only the first `reserved` bytes are backed: whoever touches more
/// populates it first (M2), and gives back as much as it likes meanwhile. Zeroed, as far as it is backed.
pub(crate) fn allocate_sparse(len_bytes: usize, reserved: usize) -> Result<Block, AllocError> {
    global()?.allocate_sparse(len_bytes, reserved)
}

impl Arena {
    /// An arena of `size` bytes, or of the largest halving of it that the process's limits allow.
    fn new(size: usize) -> Result<Arena, AllocError> {
        let mut size = size;
        let segment = loop {
            match Segment::create_unbacked(size) {
                Ok(segment) => break segment,
                Err(AllocError::Limit { .. } | AllocError::Os { .. } | AllocError::NoSpace { .. })
                    if size / 2 >= SMALLEST_ARENA_BYTES =>
                {
                    size /= 2;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Arena { segment, state: Mutex::new(State { free: FreeList::new(size), unchecked: 0 }) })
    }

    /// Its segment.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Takes a block: zeroed (M5), its pages reserved (M2).
    #[expect(clippy::arithmetic_side_effects, reason = "the free list gave a place inside the arena")]
    pub(crate) fn allocate(&'static self, len_bytes: usize, align: usize) -> Result<Block, AllocError> {
        let no_space = |free| AllocError::NoSpace {
            asked: len_bytes as u64,
            free,
            source_name: "the arena of small arrays".into(),
        };
        let len = FreeList::rounded(len_bytes).ok_or_else(|| no_space(0))?;
        let offset = {
            let mut state = self.state.lock();
            state.unchecked = state.unchecked.saturating_add(len);
            if state.unchecked >= CHECK_ROOM_EVERY {
                room::check(len)?;
                state.unchecked = 0;
            }
            state.free.take(len, align).ok_or_else(|| no_space(0))?
        };
        let page = memory::page_size();
        let first = offset / page * page;
        if let Err(error) = self.segment.reserve(first..(offset + len).next_multiple_of(page)) {
            // Nobody touched it, so it is still zero.
            self.state.lock().free.give(offset, len);
            return Err(error);
        }
        Ok(Block { arena: self, offset, len: len_bytes, is_sparse: false })
    }

    /// As [`allocate_sparse`].
    #[expect(clippy::arithmetic_side_effects, reason = "the free list gave a place inside the arena")]
    fn allocate_sparse(&'static self, len_bytes: usize, reserved: usize) -> Result<Block, AllocError> {
        let page = memory::page_size();
        let len = len_bytes.max(1).checked_next_multiple_of(page);
        let offset = len.and_then(|len| self.state.lock().free.take(len, page));
        let (Some(len), Some(offset)) = (len, offset) else {
            let source_name = "the arena's address space".into();
            return Err(AllocError::NoSpace { asked: len_bytes as u64, free: 0, source_name });
        };
        let block = Block { arena: self, offset, len, is_sparse: true };
        room::check(reserved)?;
        self.segment.reserve(offset..offset + reserved.min(len).next_multiple_of(page))?;
        Ok(block)
    }

    fn release(&self, offset: usize, len_bytes: usize, is_sparse: bool) {
        let Some(len) = FreeList::rounded(len_bytes) else { return };
        if is_sparse {
            // Whole pages. If they cannot be given back they are not handed out again, since they may not be
            // zero (M5).
            if self.segment.punch(offset, len).is_ok() {
                self.state.lock().free.give(offset, len);
            }
            return;
        }
        self.zero(offset, len);
        self.state.lock().free.give(offset, len);
    }

    /// Makes the bytes of a block zero again: whole pages of a large one go back to the system.
    #[expect(clippy::arithmetic_side_effects, reason = "the free list gave a place inside the arena")]
    fn zero(&self, offset: usize, len: usize) {
        let page = memory::page_size();
        let (first, last) = (offset.next_multiple_of(page), (offset + len) / page * page);
        let punched = len >= PUNCH_BYTES && last > first && self.segment.punch(first, last - first).is_ok();
        let (keep_lo, keep_hi) = if punched { (first, last) } else { (offset, offset) };
        for (lo, hi) in [(offset, keep_lo), (keep_hi, offset + len)] {
            // SAFETY: the offset lies inside the segment.
            let at = unsafe { self.segment.base().add(lo) };
            // SAFETY: lo..hi lies inside the block that is being dropped, so nobody refers to it, and its
            // pages are reserved (M2).
            unsafe { at.write_bytes(0, hi.saturating_sub(lo)) };
        }
    }
}

/// Bytes inside the arena, owned until dropped; zeroed then, before anybody else can get them.
#[derive(Debug)]
pub(crate) struct Block {
    arena: &'static Arena,
    offset: usize,
    len: usize,
    is_sparse: bool,
}

impl Block {
    /// The segment it lies in.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.arena.segment
    }

    /// Whether it lies in the arena of this process, and not in that of one from which it was forked.
    pub(crate) fn is_ours(&self) -> bool {
        present().is_some_and(|arena| std::ptr::eq(arena, self.arena))
    }

    /// Its place there, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Its bytes, as asked for.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Its address in this process.
    pub(crate) fn ptr(&self) -> NonNull<u8> {
        // SAFETY: the free list gives out offsets inside the segment.
        unsafe { self.arena.segment.base().add(self.offset) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.arena.segment.is_ours() {
            self.arena.release(self.offset, self.len, self.is_sparse);
        }
    }
}
