//! The orders segment: what a launch asks the members to do. Written by the driver only; worker processes map
//! it read-only (sealed against further writable mappings), so a stray write in a kernel cannot forge a
//! launch.
//!
//! # Safety
//! [`Orders`] are made from a base address, behind which the maker promises to keep [`ORDERS_BYTES`] mapped
//! for as long as the value is used. The bell is an atomic. The order and the operands behind it are plain
//! memory: the driver writes them only while no member is in a launch, and members read them only after they
//! entered one (the Release in `ForkJoin::open` pairs with the Acquire in `ForkJoin::poll`).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU32, Ordering};
use std::ptr::NonNull;

/// Bytes that operands of one launch may occupy in their travelling form.
pub(crate) const WIRE_BYTES: usize = 2048;
/// What a launch asks the members to do. Plain data; travels in the orders segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Order {
    /// The launch's number, never 0. Not part of what is written: it stands in the attendance words.
    pub(crate) epoch: u64,
    /// The monomorphised entry, as an offset from the anchor.
    pub(crate) entry: u64,
    /// Hash of the operand types' layout, compared by the entry with its own.
    pub(crate) layout: u64,
    /// Units (elements, rows, parts) that the launch runs over.
    pub(crate) len: u64,
    /// Units of one chunk.
    pub(crate) chunk_len: u64,
    /// Number of chunks.
    pub(crate) chunks: u64,
    /// Chunks of one claim unit (a leaf); 1 but for reductions.
    pub(crate) unit: u64,
    /// Schedule, see `launch::schedule`.
    pub(crate) schedule: u32,
    pub(crate) schedule_arg: u32,
    /// Team size of this launch.
    pub(crate) size: u32,
    /// Bits, see the FLAG constants.
    pub(crate) flags: u32,
    /// Scratch of this launch (leaf results): segment 0 means none.
    pub(crate) scratch_segment: u64,
    pub(crate) scratch_offset: u64,
    pub(crate) scratch_len: u64,
    /// Packets sent to the team's workers so far, all together; a member that saw fewer reads its mail first.
    pub(crate) mail: u64,
    /// The secret of the digests in a region's steps.
    pub(crate) step_key: u64,
}

/// Every rank has its own part; none may be skipped.
pub(crate) const FLAG_REQUIRED: u32 = 1;
/// A repair round: chunks whose done bit is set are passed over.
pub(crate) const FLAG_REPAIR: u32 = 1 << 1;
/// The driver takes part as rank 0 and waits awake: members spin without yielding.
pub(crate) const FLAG_SEATED: u32 = 1 << 2;
/// Ranks do parts of their own, and no done bits are set.
pub(crate) const FLAG_RANK_BOUND: u32 = 1 << 3;
/// The driver wants every member's counters to be complete when the launch is over.
pub(crate) const FLAG_WATCHED: u32 = 1 << 6;

#[repr(C)]
pub(crate) struct OrdersMemory {
    bell: Line<AtomicU32>,
    pub(crate) order: Line<Order>,
    wire: Line<[u8; WIRE_BYTES]>,
    pub(crate) serving: Line<AtomicU32>,
}

/// Bytes of an orders segment.
pub(crate) const ORDERS_BYTES: usize = size_of::<OrdersMemory>();

/// The travelling form of operands: the bytes of a plain value, padding included.
#[derive(Clone, Copy)]
pub(crate) struct WireBytes<'a> {
    start: *const u8,
    len: usize,
    value: std::marker::PhantomData<&'a ()>,
}

impl<'a> WireBytes<'a> {
    pub(crate) fn of<W: Copy>(wire: &'a W) -> WireBytes<'a> {
        const { assert!(size_of::<W>() <= WIRE_BYTES, "too many operands: their wire form exceeds one launch") };
        WireBytes {
            start: std::ptr::from_ref(wire).cast(),
            len: size_of::<W>(),
            value: std::marker::PhantomData,
        }
    }
}

/// A view of the orders segment in this process.
#[derive(Clone, Copy)]
pub(crate) struct Orders {
    memory: NonNull<OrdersMemory>,
}

// SAFETY: only atomics, and order and operands, whose accesses the fork-join barrier keeps apart (module
// documentation).
unsafe impl Send for Orders {}
// SAFETY: as above.
unsafe impl Sync for Orders {}

impl Orders {
    /// # Safety
    /// `base` is page-aligned and `ORDERS_BYTES` there stay mapped, readable, for as long as the result is
    /// used.
    pub(crate) unsafe fn new(base: NonNull<u8>) -> Orders {
        Orders { memory: base.cast() }
    }

    pub(crate) fn bell(&self) -> &AtomicU32 {
        // SAFETY: mapped by the contract of `new`; an atomic.
        unsafe { &(*self.memory.as_ptr()).bell.0 }
    }

    /// How many ranks serve: those from here on are parked, and run no tasks.
    pub(crate) fn serving(&self) -> usize {
        // SAFETY: as in `bell`.
        let serving = unsafe { &(*self.memory.as_ptr()).serving.0 };
        serving.load(Ordering::Relaxed) as usize
    }

    /// Sets how many ranks serve. The mapping is the driver's, which is writable.
    pub(crate) fn set_serving(&self, ranks: usize) {
        // SAFETY: as in `bell`.
        let serving = unsafe { &(*self.memory.as_ptr()).serving.0 };
        serving.store(ranks as u32, Ordering::Relaxed);
    }

    /// Writes the order of the next launch.
    ///
    /// # Safety
    /// The mapping is writable, the caller is the team's only driver, and no member is in a launch.
    pub(crate) unsafe fn write(&self, order: &Order, wire: WireBytes<'_>) {
        assert!(wire.len <= WIRE_BYTES, "operands are checked against the wire's size at compile time");
        // The epoch stands in the attendance words. Without it, launches of one kernel in a row have equal
        // orders, and what is not written again stays in the members' caches.
        let order = Order { epoch: 0, ..*order };
        // SAFETY: writable and unread by the contract; the wire's bytes are readable by the contract of
        // `WireBytes`.
        unsafe {
            let place = &raw mut (*self.memory.as_ptr()).order.0;
            if *place != order {
                place.write(order);
            }
            let target = (&raw mut (*self.memory.as_ptr()).wire.0).cast::<u8>();
            target.copy_from_nonoverlapping(wire.start, wire.len);
        }
    }

    /// Copies the order of launch `epoch`, which is in force.
    ///
    /// # Safety
    /// The caller has entered the launch and not finished it.
    pub(crate) unsafe fn order(&self, epoch: u64) -> Order {
        // SAFETY: the driver does not write while a member is in the launch.
        let order = unsafe { (&raw const (*self.memory.as_ptr()).order.0).read() };
        Order { epoch, ..order }
    }

    /// Where the operands' travelling form lies: `WIRE_BYTES` bytes, aligned to 128.
    pub(crate) fn wire(&self) -> *const u8 {
        // SAFETY: only an address is computed.
        unsafe { (&raw const (*self.memory.as_ptr()).wire.0).cast() }
    }
}

// The layout that docs/segment-layout.md lists.
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Order>() == 112 && align_of::<Order>() == 8);
    assert!(std::mem::offset_of!(OrdersMemory, order) == 128);
    assert!(std::mem::offset_of!(OrdersMemory, wire) == 256);
    assert!(std::mem::offset_of!(OrdersMemory, serving) == 2304 && ORDERS_BYTES == 2432);
    assert!(std::mem::offset_of!(Order, layout) == 16 && std::mem::offset_of!(Order, unit) == 48);
    assert!(std::mem::offset_of!(Order, schedule_arg) == 60 && std::mem::offset_of!(Order, flags) == 68);
    assert!(std::mem::offset_of!(Order, scratch_len) == 88 && std::mem::offset_of!(Order, step_key) == 104);
};
