//! The words of a queue, byte by byte, and the parts of them that a handle keeps a copy of.
//!
//! # Safety
//! A [`Base`] leads to a `Control` and its tables, all atomics, followed by the area of `chunks << shift`
//! bytes; whoever makes one promises that they stay mapped while it is used. The shape says where tables and
//! area lie; it is compared with the block's length when a base is opened, and a base goes by its own copy
//! from then on. Tables are slices, whose indices are checked; chunks that are read from them are compared
//! with the shape's number before they become an address.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::bell::Bell;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::base::{Line, MemberId};
use crate::sync::{LockWord, Table};
use std::ptr::NonNull;

/// Claims that may be open at one time: transfers of large items, and items held by a `Claimed`. Few for
/// the model checker and Miri.
pub(super) const CLAIMS: usize = if cfg!(any(loom, miri)) { 3 } else { 256 };
/// Maximum number of chunks in the area.
pub(super) const MAX_CHUNKS: usize = 1 << 14;
/// Chunks are no smaller than a page and no larger than they must be.
const CHUNK_SHIFTS: std::ops::RangeInclusive<u32> = 12..=16;

/// Alignment of the words.
pub(super) const ALIGN: usize = 128;

/// The owners of claims.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Claims([AtomicU32; CLAIMS]);

impl Default for Claims {
    fn default() -> Claims {
        Claims(std::array::from_fn(|_| AtomicU32::new(0)))
    }
}

impl std::ops::Deref for Claims {
    type Target = [AtomicU32; CLAIMS];
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// See `hand.rs`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Taking([AtomicU64; CLAIMS]);

impl Default for Taking {
    fn default() -> Taking {
        Taking(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl std::ops::Deref for Taking {
    type Target = [AtomicU64; CLAIMS];
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// What every operation touches: one line.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Hot {
    pub(super) lock: LockWord,
    /// Position of the next record to be written. Positions count bytes and never go back.
    pub(super) tail: AtomicU64,
    /// Position of the oldest record whose bytes are still taken.
    pub(super) head: AtomicU64,
    /// No record before it is ready or being written. Derived.
    pub(super) next: AtomicU64,
    /// Records that are ready. Derived.
    pub(super) ready: AtomicU64,
    /// Records being written, and records being read or held. Derived.
    pub(super) writing: AtomicU32,
    pub(super) claimed: AtomicU32,
    /// Readers waiting for an item.
    pub(super) food: Bell,
    /// Writers waiting for room.
    pub(super) room: Bell,
}

/// The words at the start of a queue's block; all zero is empty and open.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Control {
    pub(super) hot: Line<Hot>,
    /// Threads waiting until everything is done.
    pub(super) done: Bell,
    /// 1: closed.
    pub(super) closed: AtomicU32,
    /// Chunks with memory behind them. A hint.
    pub(super) backed: AtomicU32,
    /// Items lost to deaths: in all, and since the last `take_lost`.
    pub(super) lost: AtomicU64,
    pub(super) lost_untold: AtomicU64,
    /// For each end: the member whose death left it with none but the driver.
    pub(super) ended_by: [AtomicU32; 2],
    /// For each end: whether the driver itself has used it.
    pub(super) driver_uses: [AtomicU32; 2],
    /// The shape, packed. The maker writes it before any other process knows the block; others compare it
    /// with the block's length.
    pub(super) shape: [AtomicU64; 2],
    /// Claims: 0 is free; otherwise a member, with `DEAD` added if it is dead.
    pub(super) claims: Claims,
    /// For each claim: the position, plus one, of the item that its owner is removing and has not returned;
    /// otherwise 0.
    pub(super) taking: Taking,
    /// Items taken but not done, by member.
    pub(super) in_hand: Table,
    /// Holders of the ends: handles in the driver, and those that workers have of messages and clones.
    pub(super) holders: [Table; 2],
}

/// The ends, as indices.
pub(super) const SENDING: usize = 0;
pub(super) const RECEIVING: usize = 1;

impl Control {
    /// Whether this end has no holder any more; of a pipe, also whether all but the driver have died.
    pub(super) fn is_gone(&self, end: usize, lends: bool) -> bool {
        lends && self.ended_by[end].load(Ordering::Acquire) != 0 || self.holders[end].total() == 0
    }

    /// Whether the ends are those of a pipe.
    pub(super) fn lends(&self) -> bool {
        let noted = [&self.shape[0], &self.shape[1]].map(|word| word.load(Ordering::Relaxed));
        Shape::unpack(noted).is_some_and(|shape| shape.flags & LENDS != 0)
    }

    /// Gives up a living member's claim without the lock, as repair does for the dead: the next recount
    /// handles the record.
    #[cold]
    pub(super) fn give_up(&self, index: usize, me: MemberId) {
        // Release: a recount that sees the mark sees what was done with the record before.
        let given_up = self.claims[index].compare_exchange(
            me.get(),
            me.get() | DEAD,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if given_up.is_ok() {
            self.hot.lock.poison();
        }
        self.rouse_all();
    }

    /// Makes all waiters look again.
    pub(super) fn rouse_all(&self) {
        for bell in [&self.hot.food, &self.hot.room, &self.done] {
            bell.rouse();
        }
    }
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Hot>() == 64, "the hot words fill one line");
    assert!(std::mem::offset_of!(Hot, tail) == 8 && std::mem::offset_of!(Hot, food) == 48);
    assert!(std::mem::offset_of!(Control, done) == 128 && std::mem::offset_of!(Control, claims) == 192);
};

/// On top of a claim: its owner is dead.
pub(super) const DEAD: u32 = 1 << 31;

/// What is decided when a queue is made, as noted in the block. A handle reads it once, when it is made,
/// compares it with the block's length, and then uses its own copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Chunks of the area: a power of two.
    pub(super) chunks: u32,
    /// A chunk has `1 << shift` bytes.
    pub(super) shift: u32,
    /// Limit on waiting items; `u64::MAX`: none.
    pub(super) maxsize: u64,
    pub(super) flags: u32,
}

/// A killed reader's item goes back to the front.
pub(super) const REDELIVER: u32 = 1;
/// Taken items are counted until they are done.
pub(super) const JOINABLE: u32 = 2;
/// Has two ends, and ends when one of them is gone.
pub(super) const ENDS: u32 = 4;
/// A pipe's direction: an end that the driver only passed on is also gone when the last worker that had it
/// has died.
pub(super) const LENDS: u32 = 8;

impl Shape {
    /// The shape for at least `capacity` bytes.
    pub(super) fn new(capacity: usize, maxsize: u64, flags: u32, page: usize) -> Option<Shape> {
        let capacity = capacity.max(page).checked_next_power_of_two()?;
        let least = capacity.div_ceil(MAX_CHUNKS).max(page).trailing_zeros();
        let wanted = (capacity / 16).max(1).ilog2();
        let shift = wanted.clamp(*CHUNK_SHIFTS.start(), *CHUNK_SHIFTS.end()).max(least);
        let chunks = (capacity >> shift).max(1) as u32;
        Some(Shape { chunks, shift, maxsize, flags })
    }

    /// As two words.
    pub(super) fn pack(self) -> [u64; 2] {
        [u64::from(self.chunks) | u64::from(self.shift) << 32 | u64::from(self.flags) << 48, self.maxsize]
    }

    /// The reverse; `None` for what no shape packs to.
    pub(super) fn unpack([first, maxsize]: [u64; 2]) -> Option<Shape> {
        let (chunks, shift, flags) = (first as u32, (first >> 32) as u32 & 0xffff, (first >> 48) as u32);
        let sound = chunks.is_power_of_two() && chunks as usize <= MAX_CHUNKS && (12..=40).contains(&shift);
        (sound && flags < 16).then_some(Shape { chunks, shift, maxsize, flags })
    }

    /// Bytes of the area.
    pub(super) fn capacity(&self) -> u64 {
        u64::from(self.chunks) << self.shift
    }

    pub(super) fn chunk_bytes(&self) -> usize {
        1 << self.shift
    }

    fn bitmap_words(&self) -> usize {
        (self.chunks as usize).div_ceil(64)
    }

    /// Bytes of control and tables, up to where the area begins.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a shape is checked when it is read: its tables and its area lie in the block"
    )]
    pub(super) fn area_offset(&self, page: usize) -> usize {
        let tables = size_of::<Control>() + self.bitmap_words() * 16 + self.chunks as usize * 4;
        // The words begin `ALIGN` behind a page's start, as their tag lies before them.
        (tables + ALIGN).next_multiple_of(page) - ALIGN
    }

    /// Bytes of the whole block; `None` if no address space is that large.
    pub(super) fn block_bytes(&self, page: usize) -> Option<usize> {
        usize::try_from(self.capacity()).ok()?.checked_add(self.area_offset(page))
    }
}

/// A queue's block as mapped here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    at: NonNull<u8>,
    pub(super) shape: Shape,
    area: NonNull<u8>,
}

// SAFETY: atomics, and bytes that are touched under the lock or a claim, which any thread may hold.
unsafe impl Send for Base {}
// SAFETY: as for `Send`.
unsafe impl Sync for Base {}

impl Base {
    /// # Safety
    /// `at` leads to a block of `shape.block_bytes(page)`, `ALIGN` behind a page's start, zero at first, that
    /// stays mapped while the base is used and is touched by `channel` alone.
    pub(super) unsafe fn new(at: NonNull<u8>, shape: Shape, page: usize) -> Base {
        // SAFETY: inside the block.
        let area = unsafe { at.add(shape.area_offset(page)) };
        Base { at, shape, area }
    }

    /// The base over a block of `len_bytes` whose maker has noted the shape; `None` if that does not agree
    /// with the length.
    ///
    /// # Safety
    /// As for `new`, but for the block's length, which is `len_bytes`, at least `size_of::<Control>()`.
    pub(super) unsafe fn open(at: NonNull<u8>, len_bytes: usize, page: usize) -> Option<Base> {
        // SAFETY: the control words lie at the start, and are all atomics.
        let control: &Control = unsafe { at.cast().as_ref() };
        let noted = [&control.shape[0], &control.shape[1]].map(|word| word.load(Ordering::Relaxed));
        let shape = Shape::unpack(noted).filter(|shape| shape.block_bytes(page) == Some(len_bytes))?;
        // SAFETY: the length is the shape's; the rest is the caller's promise.
        Some(unsafe { Base::new(at, shape, page) })
    }

    /// Notes the shape for `open`.
    ///
    /// # Safety
    /// `at` leads to a zeroed block that nobody else knows.
    pub(super) unsafe fn note(at: NonNull<u8>, shape: Shape) {
        // SAFETY: the control words lie at the start, and are all atomics.
        let control: &Control = unsafe { at.cast().as_ref() };
        for (word, value) in control.shape.iter().zip(shape.pack()) {
            word.store(value, Ordering::Relaxed);
        }
    }

    pub(super) fn control(&self) -> &Control {
        // SAFETY: it lies at the block's start, and is all atomics.
        unsafe { self.at.cast().as_ref() }
    }

    /// One bit a chunk: belongs to a record, or to the tail. Derived.
    pub(super) fn used(&self) -> &[AtomicU64] {
        self.table(0, self.shape.bitmap_words())
    }

    /// One bit a chunk: has memory behind it. Set after populating, cleared before giving back.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a shape is checked when it is read: its tables and its area lie in the block"
    )]
    pub(super) fn backed(&self) -> &[AtomicU64] {
        self.table(self.shape.bitmap_words() * 8, self.shape.bitmap_words())
    }

    /// For the n-th chunk of positions, modulo the number of chunks: which chunk of the area it is.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a shape is checked when it is read: its tables and its area lie in the block"
    )]
    pub(super) fn map(&self) -> &[AtomicU32] {
        self.table(self.shape.bitmap_words() * 16, self.shape.chunks as usize)
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a shape is checked when it is read: its tables and its area lie in the block"
    )]
    fn table<A>(&self, offset_bytes: usize, len: usize) -> &[A] {
        // SAFETY: `area_offset` counts the tables in.
        let at = unsafe { self.at.add(size_of::<Control>() + offset_bytes) };
        // SAFETY: inside the block, aligned to 8, as Control is to more; atomics.
        unsafe { std::slice::from_raw_parts(at.cast().as_ptr(), len) }
    }

    /// The address of a byte of the area; `chunk` is below `chunks`, `offset` below a chunk's length.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a shape is checked when it is read: its tables and its area lie in the block"
    )]
    pub(super) fn byte(&self, chunk: u32, offset: usize) -> NonNull<u8> {
        debug_assert!(chunk < self.shape.chunks && offset < self.shape.chunk_bytes());
        // SAFETY: inside the area by the caller's promise. All callers are in `pages.rs`: a chunk there comes
        // from `chunk_of` or counts up to `chunks`, and an offset is 0 or masked to a chunk's length.
        unsafe { self.area.add(((chunk as usize) << self.shape.shift) + offset) }
    }
}

/// A record's first word: what it is, by which claim, and how many bytes follow (rounded up to 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record(pub(super) u64);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueKind {
    /// Empty: taken, given up, or a gap.
    Hole,
    /// Being written by the owner of the claim.
    Writing(usize),
    /// Ready to be taken.
    Ready,
    /// Being read by the owner of the claim.
    Claimed(usize),
}

impl QueueKind {
    /// What it becomes once its claim's owner is dead, in a queue that redelivers or not.
    pub(super) fn without_owner(self, redelivers: bool) -> QueueKind {
        match self {
            QueueKind::Claimed(_) if redelivers => QueueKind::Ready,
            QueueKind::Writing(_) | QueueKind::Claimed(_) => QueueKind::Hole,
            QueueKind::Ready | QueueKind::Hole => self,
        }
    }
}

pub(super) const HEADER: u64 = 8;
const LEN_BITS: u32 = 48;
/// The largest possible item in bytes, in any queue.
pub(super) const MAX_LEN: u64 = (1 << LEN_BITS) - 1;

impl Record {
    pub(super) fn new(kind: QueueKind, len: u64) -> Record {
        let (tag, claim) = match kind {
            QueueKind::Hole => (1, 0),
            QueueKind::Writing(claim) => (2, claim),
            QueueKind::Ready => (3, 0),
            QueueKind::Claimed(claim) => (4, claim),
        };
        Record(tag << 60 | (claim as u64) << LEN_BITS | len & MAX_LEN)
    }

    /// `None` for a word that no queue operation writes.
    #[inline]
    pub(super) fn kind(self) -> Option<QueueKind> {
        let claim = (self.0 >> LEN_BITS & 0xfff) as usize;
        match self.0 >> 60 {
            1 => Some(QueueKind::Hole),
            2 if claim < CLAIMS => Some(QueueKind::Writing(claim)),
            3 => Some(QueueKind::Ready),
            4 if claim < CLAIMS => Some(QueueKind::Claimed(claim)),
            _ => None,
        }
    }

    pub(super) fn len(self) -> u64 {
        self.0 & MAX_LEN
    }

    /// Bytes that the record takes.
    pub(super) fn stride(self) -> u64 {
        stride(self.len())
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "a length has at most 48 bits")]
pub(super) const fn stride(len: u64) -> u64 {
    HEADER + len.next_multiple_of(8)
}

/// Repair, in the driver, after a confirmed death: marks the dead member's claims, takes back what it held,
/// asks for a recount, and wakes all. Only atomics; may run twice.
pub(super) fn repair(control: &Control, dead: MemberId) {
    let mut held = false;
    for claim in control.claims.iter() {
        // The owner is dead: only another repair may change its claim.
        held |= claim
            .compare_exchange(dead.get(), dead.get() | DEAD, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
    }
    let in_hand = control.in_hand.remove(dead);
    if in_hand > 0 {
        control.lost.fetch_add(in_hand, Ordering::Relaxed);
        control.lost_untold.fetch_add(in_hand, Ordering::Relaxed);
    }
    for end in [SENDING, RECEIVING] {
        let had = control.holders[end].remove(dead) > 0;
        let driver_uses = control.driver_uses[end].load(Ordering::Relaxed) != 0;
        if had && !driver_uses && !control.holders[end].is_held_beside(MemberId::DRIVER) {
            control.ended_by[end].store(dead.get(), Ordering::Release);
        }
    }
    if held {
        // After the marks, so that the recount this asks for finds them.
        control.hot.lock.poison();
    }
    control.hot.lock.repair(dead);
    control.rouse_all();
}
