//! The two control segments of a team, and their layout.
//!
//! * **orders**: written by the driver only; worker processes map it read-only (sealed against further writable
//!   mappings), so a stray write in a kernel cannot forge a launch. Holds the bell and the order in force.
//! * **board**: read and written by all members, atomics only.
//!
//! docs/SEGMENT-LAYOUT.md lists both byte by byte.
//!
//! # Safety
//! A [`Board`] and an [`Orders`] are made from a base address, behind which the maker promises to keep so
//! many bytes mapped as [`BoardLayout`] and [`ORDERS_BYTES`] say, for as long as the value is used. Every
//! place is computed from the team's size alone, in this build, and never read from shared memory. All fields
//! are atomics, for which every bit pattern is valid, but for the order and the operands behind it. These are
//! plain memory: the driver writes them only while no member is in a launch, and members read them only after
//! they entered one (the Release in `Muster::open` pairs with the Acquire in `Muster::poll`).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sys::futex;
use crate::team::leave::Leave;
use crate::team::muster::{Muster, RANKS_PER_WORD};
use crate::topology::MAX_WORKERS;
use std::ptr::NonNull;

/// Most members of one team.
pub(crate) const MAX_MEMBERS: usize = MAX_WORKERS;
/// Bytes that operands of one launch may occupy in their travelling form.
pub(crate) const WIRE_BYTES: usize = 2048;
/// Bytes of one collective's value in a region (broadcast, all_reduce).
pub(crate) const PAYLOAD_BYTES: usize = if cfg!(loom) { 8 } else { 4096 };
/// Most chunks of one launch.
pub(crate) const MAX_CHUNKS: usize = 1 << 22;

const BITMAP_BYTES: usize = MAX_CHUNKS / 8;
const MESSAGE_BYTES: usize = 1024;
const LOCATION_BYTES: usize = 256;

/// What a launch asks the members to do. Plain data; travels in the orders segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Order {
    /// The launch's number, never 0. Not part of what is written: it stands in the attendance words.
    pub(crate) epoch: u64,
    /// The monomorphised entry, as an offset from the anchor.
    pub(crate) entry: u64,
    /// The kernel, likewise; 0 if the entry needs none.
    pub(crate) kernel: u64,
    /// Further functions (combine), likewise.
    pub(crate) combine: u64,
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
/// The driver wants every member's counters to be complete when the launch is over.
pub(crate) const FLAG_WATCHED: u32 = 1 << 6;

#[repr(C)]
struct OrdersMemory {
    bell: Line<AtomicU32>,
    order: Line<Order>,
    wire: Line<[u8; WIRE_BYTES]>,
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

// SAFETY: only atomics, and order and operands, whose accesses the muster keeps apart (module documentation).
unsafe impl Send for Orders {}
// SAFETY: as above.
unsafe impl Sync for Orders {}

impl Orders {
    /// # Safety
    /// `base` is page-aligned and `ORDERS_BYTES` there stay mapped, readable, for as long as the result is used.
    pub(crate) unsafe fn new(base: NonNull<u8>) -> Orders {
        Orders { memory: base.cast() }
    }

    pub(crate) fn bell(&self) -> &AtomicU32 {
        // SAFETY: mapped by the contract of `new`; an atomic.
        unsafe { &(*self.memory.as_ptr()).bell.0 }
    }

    /// Writes the order of the next launch.
    ///
    /// # Safety
    /// The mapping is writable, the caller is the team's only driver, and no member is in a launch.
    pub(crate) unsafe fn write(&self, order: &Order, wire: WireBytes<'_>) {
        assert!(wire.len <= WIRE_BYTES, "operands are checked against the wire's size at compile time");
        // The epoch stands in the attendance words. Without it, launches of one kernel in a row have equal orders, and what is
        // not written again stays in the members' caches.
        let order = Order { epoch: 0, ..*order };
        // SAFETY: writable and unread by the contract; the wire's bytes are readable by the contract of `WireBytes`.
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

/// What a member says of itself, in lines that only it writes, `leave` apart.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Desk {
    /// The claim unit it works on, plus one; 0 while between units. Kept after death: the in-flight unit.
    pub(crate) current: AtomicU64,
    /// Counters, see `stats`.
    pub(crate) busy_ticks: AtomicU64,
    pub(crate) claim_ticks: AtomicU64,
    pub(crate) wait_ticks: AtomicU64,
    pub(crate) launches: AtomicU64,
    pub(crate) chunks: AtomicU64,
    pub(crate) steals: AtomicU64,
    pub(crate) faults: AtomicU64,
    pub(crate) sleeps: AtomicU64,
    pub(crate) wakes: AtomicU64,
    /// Errands begun, see `errand`.
    pub(crate) errands: AtomicU64,
    /// The newest launch that it began to take part in; stored before it calls anything of the order.
    pub(crate) entered: AtomicU64,
    /// Whether the member, if it is a process, may end.
    pub(crate) leave: Leave,
    /// Errands that are over; one less than `errands` while the member is at one.
    pub(crate) errands_over: AtomicU64,
}

impl Desk {
    /// Whether the member is at an errand, which it may finish before it ends.
    pub(crate) fn is_at_errand(&self) -> bool {
        !self.leave.is_taken()
            && self.errands.load(Ordering::Relaxed) != self.errands_over.load(Ordering::Relaxed)
    }
}

/// Adds to a counter that only the calling member writes: cheaper than an atomic addition.
#[inline]
pub(crate) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// A panic, told to the driver.
#[repr(C)]
pub(crate) struct FaultNote {
    /// The launch it belongs to; stored last.
    epoch: AtomicU64,
    kind: AtomicU32,
    lo: AtomicU64,
    hi: AtomicU64,
    message: [AtomicU64; MESSAGE_BYTES / 8],
    location: [AtomicU64; LOCATION_BYTES / 8],
}

/// What a member reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) message: String,
    pub(crate) location: String,
}

/// Kinds of faults that a member survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FaultKind {
    /// The kernel panicked.
    Panic = 1,
    /// The order did not make sense in this member.
    Corrupt = 2,
    /// A segment could not be mapped.
    Attach = 3,
    /// A region's body returned an error of its own.
    Body = 4,
    /// A region's team is broken, or its ranks disagreed.
    Broken = 5,
}

impl FaultKind {
    fn from_code(code: u32) -> FaultKind {
        match code {
            1 => FaultKind::Panic,
            3 => FaultKind::Attach,
            4 => FaultKind::Body,
            5 => FaultKind::Broken,
            _ => FaultKind::Corrupt,
        }
    }

    /// Smaller is nearer to the root, where several members report.
    pub(crate) fn severity(self) -> u32 {
        match self {
            FaultKind::Panic => 0,
            FaultKind::Corrupt | FaultKind::Attach => 1,
            FaultKind::Body => 2,
            FaultKind::Broken => 3,
        }
    }
}

fn store_text(words: &[AtomicU64], text: &str) {
    let end = text.floor_char_boundary(size_of_val(words));
    let mut parts = text.as_bytes()[..end].chunks(8);
    for word in words {
        let mut packed = [0u8; 8];
        let part = parts.next().unwrap_or_default();
        packed[..part.len()].copy_from_slice(part);
        word.store(u64::from_le_bytes(packed), Ordering::Relaxed);
    }
}

fn load_text(words: &[AtomicU64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl FaultNote {
    pub(crate) fn write(&self, epoch: u64, fault: &Fault) {
        self.kind.store(fault.kind as u32, Ordering::Relaxed);
        self.lo.store(fault.lo, Ordering::Relaxed);
        self.hi.store(fault.hi, Ordering::Relaxed);
        store_text(&self.message, &fault.message);
        store_text(&self.location, &fault.location);
        // Release: pairs with the Acquire in `read`.
        self.epoch.store(epoch, Ordering::Release);
    }

    pub(crate) fn read(&self, epoch: u64) -> Option<Fault> {
        if self.epoch.load(Ordering::Acquire) != epoch {
            return None;
        }
        Some(Fault {
            kind: FaultKind::from_code(self.kind.load(Ordering::Relaxed)),
            lo: self.lo.load(Ordering::Relaxed),
            hi: self.hi.load(Ordering::Relaxed),
            message: load_text(&self.message),
            location: load_text(&self.location),
        })
    }
}

/// One rank's side of a region's steps, in one of two slots by the step's parity.
#[derive(Default)]
#[repr(C)]
pub(crate) struct StepSlot {
    /// Digest of kind and operands of the step.
    pub(crate) digest: [AtomicU64; 2],
    /// Kind of the step (upper half) and line in the caller's source, for error texts.
    pub(crate) site: AtomicU64,
}

/// A rank's lines in a region.
#[derive(Default)]
#[repr(C)]
pub(crate) struct StepDesk {
    /// Steps this rank arrived at, doubled, wrapping; bit 0 is POISON. Others sleep on it.
    pub(crate) arrived: AtomicU32,
    /// How many sleep on `arrived`, or are about to.
    pub(crate) watchers: AtomicU32,
    /// As `arrived`, for the way down the tree of a large team.
    pub(crate) released: AtomicU32,
    /// How many sleep on `released`, or are about to.
    pub(crate) release_watchers: AtomicU32,
    pub(crate) slots: [StepSlot; 2],
}

/// The bit of a step count that says: this rank goes no further.
pub(crate) const POISON: u32 = 1;

impl StepDesk {
    /// Marks the rank as gone, and wakes all who wait for it. For the rank itself, and for the engine after its death.
    pub(crate) fn poison(&self) {
        for word in [&self.arrived, &self.released] {
            word.fetch_or(POISON, Ordering::SeqCst);
            futex::wake(word, u32::MAX);
        }
    }
}

/// Collective values of one rank, in two slots by parity.
pub(crate) type Payload = [[AtomicU64; PAYLOAD_BYTES / 8]; 2];

#[repr(C)]
struct Head {
    news: Line<AtomicU32>,
    driver_asleep: Line<AtomicU32>,
    /// Epoch of the launch that is to stop (cancelled, timed out, panicked).
    stop: Line<AtomicU64>,
    /// The shared cursor of dynamic and guided schedules.
    cursor: Line<AtomicU64>,
}

/// Where everything lies in a board for `size` members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BoardLayout {
    pub(crate) size: usize,
    attendance: usize,
    pending: usize,
    asleep: usize,
    ranges: usize,
    desks: usize,
    faults: usize,
    steps: usize,
    payloads: usize,
    bitmap: usize,
    /// Bytes in all.
    pub(crate) len_bytes: usize,
}

impl BoardLayout {
    /// The layout for a team of `size`, 1 to [`MAX_MEMBERS`].
    #[expect(clippy::arithmetic_side_effects, reason = "a team has at most `MAX_MEMBERS`")]
    pub(crate) fn new(size: usize) -> BoardLayout {
        let groups = size.div_ceil(RANKS_PER_WORD);
        let mut end = size_of::<Head>();
        let mut place = |count: usize, bytes: usize| {
            let at = end.next_multiple_of(128);
            end = at + count * bytes;
            at
        };
        let word = size_of::<Line<AtomicU64>>();
        BoardLayout {
            size,
            attendance: place(size, word),
            pending: place(groups, word),
            asleep: place(groups, word),
            ranges: place(size, word),
            desks: place(size, size_of::<Line<Desk>>()),
            faults: place(size, size_of::<Line<FaultNote>>()),
            steps: place(size, size_of::<Line<StepDesk>>()),
            payloads: place(size, size_of::<Line<Payload>>()),
            bitmap: place(1, BITMAP_BYTES + size * 128),
            len_bytes: end,
        }
    }
}

impl BoardLayout {
    /// Words with a bit for each rank.
    fn groups(&self) -> usize {
        self.size.div_ceil(RANKS_PER_WORD)
    }

    /// Bytes of the words that say who is still in a launch.
    #[expect(clippy::arithmetic_side_effects, reason = "a team has at most `MAX_MEMBERS`")]
    pub(crate) fn pending_bytes(&self) -> usize {
        self.groups() * size_of::<Line<AtomicU64>>()
    }
}

/// A view of the board in this process.
#[derive(Clone, Copy)]
pub(crate) struct Board {
    base: NonNull<u8>,
    layout: BoardLayout,
    /// In place of the board's own.
    pending: Option<NonNull<Line<AtomicU64>>>,
}

// SAFETY: everything in a board is an atomic.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

impl Board {
    /// # Safety
    /// `base` is page-aligned, and `layout.len_bytes` there stay mapped, readable and writable, for as long as the
    /// result is used; they were zero when the board was made.
    pub(crate) unsafe fn new(base: NonNull<u8>, layout: BoardLayout) -> Board {
        Board { base, layout, pending: None }
    }

    /// The same with other words for who is still in a launch.
    ///
    /// # Safety
    /// `layout.pending_bytes()` at `at` are as those of the board, and aligned to a line.
    pub(crate) unsafe fn with_pending(self, at: NonNull<u8>) -> Board {
        Board { pending: Some(at.cast()), ..self }
    }

    fn pending(&self) -> &[Line<AtomicU64>] {
        let groups = self.layout.groups();
        match self.pending {
            // SAFETY: so many lines of atomics, says `with_pending`.
            Some(at) => unsafe { std::slice::from_raw_parts(at.as_ptr(), groups) },
            None => self.at(self.layout.pending, groups),
        }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "places of the layout, which lie in the mapping")]
    fn at<T>(&self, offset: usize, count: usize) -> &[T] {
        debug_assert!(offset + count * size_of::<T>() <= self.layout.len_bytes);
        // SAFETY: inside the mapping by the layout's construction, aligned to a line, and T is made of atomics.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).cast::<T>().as_ptr(), count) }
    }

    fn head(&self) -> &Head {
        &self.at::<Head>(0, 1)[0]
    }

    /// The muster's words, with the bell from `orders`.
    pub(crate) fn muster<'a>(&'a self, orders: &'a Orders) -> Muster<'a> {
        self.muster_with(orders.bell())
    }

    /// As [`Self::muster`].
    pub(crate) fn muster_with<'a>(&'a self, bell: &'a AtomicU32) -> Muster<'a> {
        let groups = self.layout.groups();
        Muster {
            bell,
            attendance: self.at(self.layout.attendance, self.layout.size),
            pending: self.pending(),
            asleep: self.at(self.layout.asleep, groups),
            news: &self.head().news,
            driver_asleep: &self.head().driver_asleep,
        }
    }

    /// Members of the team.
    pub(crate) fn size(&self) -> usize {
        self.layout.size
    }

    pub(crate) fn stop(&self) -> &AtomicU64 {
        &self.head().stop
    }

    pub(crate) fn cursor(&self) -> &AtomicU64 {
        &self.head().cursor
    }

    pub(crate) fn ranges(&self) -> &[Line<AtomicU64>] {
        self.at(self.layout.ranges, self.layout.size)
    }

    pub(crate) fn desk(&self, rank: usize) -> &Desk {
        &self.at::<Line<Desk>>(self.layout.desks, self.layout.size)[rank]
    }

    pub(crate) fn fault(&self, rank: usize) -> &FaultNote {
        &self.at::<Line<FaultNote>>(self.layout.faults, self.layout.size)[rank]
    }

    pub(crate) fn steps(&self) -> &[Line<StepDesk>] {
        self.at(self.layout.steps, self.layout.size)
    }

    pub(crate) fn step(&self, rank: usize) -> &StepDesk {
        &self.steps()[rank]
    }

    pub(crate) fn payloads(&self) -> &[Line<Payload>] {
        self.at(self.layout.payloads, self.layout.size)
    }

    /// Everything, part by part, as words to be scribbled on.
    #[cfg(test)]
    #[expect(clippy::arithmetic_side_effects, reason = "the layout's places are in order")]
    pub(crate) fn parts(&self) -> Vec<&[AtomicU64]> {
        let at = &self.layout;
        let starts = [
            0,
            at.attendance,
            at.pending,
            at.asleep,
            at.ranges,
            at.desks,
            at.faults,
            at.steps,
            at.payloads,
            at.bitmap,
            at.len_bytes,
        ];
        starts.windows(2).map(|part| self.at(part[0], (part[1] - part[0]) / 8)).collect()
    }

    /// The done bits, one line's slack for each owner (see `launch::bitmap`).
    #[expect(clippy::arithmetic_side_effects, reason = "a team has at most `MAX_MEMBERS`")]
    pub(crate) fn bitmap(&self) -> &[AtomicU64] {
        self.at(self.layout.bitmap, (BITMAP_BYTES + self.layout.size * 128) / 8)
    }
}

// The layout that docs/SEGMENT-LAYOUT.md tells.
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Order>() == 128 && align_of::<Order>() == 8);
    assert!(std::mem::offset_of!(OrdersMemory, order) == 128);
    assert!(std::mem::offset_of!(OrdersMemory, wire) == 256);
    assert!(size_of::<Line<AtomicU64>>() == 128);
    assert!(size_of::<Line<Desk>>() == 128);
    assert!(size_of::<Head>() == 512);
    assert!(std::mem::offset_of!(Head, driver_asleep) == 128 && std::mem::offset_of!(Head, stop) == 256);
    assert!(std::mem::offset_of!(Head, cursor) == 384);
    assert!(ORDERS_BYTES == 2304);
    assert!(std::mem::offset_of!(Order, layout) == 32 && std::mem::offset_of!(Order, unit) == 64);
    assert!(std::mem::offset_of!(Order, schedule_arg) == 76 && std::mem::offset_of!(Order, flags) == 84);
    assert!(std::mem::offset_of!(Order, scratch_len) == 104 && std::mem::offset_of!(Order, step_key) == 120);
    assert!(std::mem::offset_of!(Desk, wait_ticks) == 24 && std::mem::offset_of!(Desk, wakes) == 72);
    assert!(std::mem::offset_of!(FaultNote, kind) == 8 && std::mem::offset_of!(FaultNote, message) == 32);
    assert!(std::mem::offset_of!(FaultNote, location) == 1056 && size_of::<Line<FaultNote>>() == 1408);
    assert!(std::mem::offset_of!(StepDesk, released) == 8 && std::mem::offset_of!(StepDesk, slots) == 16);
    assert!(size_of::<StepSlot>() == 24 && size_of::<Line<StepDesk>>() == 128);
    assert!(size_of::<Line<Payload>>() == 8192);
};

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_too_long_is_cut_between_characters() {
        let words = [const { AtomicU64::new(u64::MAX) }; 2];
        for (text, kept) in [
            ("", ""),
            ("eightby7", "eightby7"),
            ("a text of sixty bytes", "a text of sixty "),
            ("123456789012345é", "123456789012345"),
        ] {
            store_text(&words, text);
            assert_eq!(load_text(&words), kept);
        }
    }
}
