//! The board: a segment that all members of a team read and write, atomics only. The other control segment is
//! `team::orders`; docs/segment-layout.md lists both byte by byte.
//!
//! # Safety
//! A [`Board`] is made from a base address, behind which the maker promises to keep so many bytes mapped as
//! [`BoardLayout`] says, for as long as the value is used. Every place is computed from the team's size
//! alone, in this build, and never read from shared memory. All fields are atomics, for which every bit
//! pattern is valid.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::team::fault::FaultNote;
use crate::team::fork_join::{ForkJoin, RANKS_PER_WORD};
use crate::team::leave::Leave;
use crate::team::orders::Orders;
use crate::team::step_state::{Payload, StepState};
use crate::topology::MAX_WORKERS;
use std::ptr::NonNull;

/// Most members of one team.
pub(crate) const MAX_MEMBERS: usize = MAX_WORKERS;
/// Most chunks of one launch.
pub(crate) const MAX_CHUNKS: usize = 1 << 22;

const BITMAP_BYTES: usize = MAX_CHUNKS / 8;

/// What a member says of itself, in lines that only it writes, `leave` apart.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct MemberStatus {
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
    /// Tasks begun, see `idle_work`.
    pub(crate) idle_work: AtomicU64,
    /// The newest launch that it began to take part in; stored before it calls anything of the order.
    pub(crate) entered: AtomicU64,
    /// Whether the member, if it is a process, may end.
    pub(crate) leave: Leave,
    /// Tasks that are over; one less than `idle_work` while the member is at one.
    pub(crate) idle_work_over: AtomicU64,
    /// The last launch for whose fault it looks up, or has looked up, the names of a backtrace.
    pub(crate) resolving: AtomicU64,
}

impl MemberStatus {
    /// Launches and tasks that the rank's members have begun.
    pub(crate) fn served(&self) -> u64 {
        self.launches.load(Ordering::Relaxed).wrapping_add(self.idle_work.load(Ordering::Relaxed))
    }

    /// Whether the member is at a task, which it may finish before it ends.
    pub(crate) fn is_at_idle_work(&self) -> bool {
        !self.leave.is_taken()
            && self.idle_work.load(Ordering::Relaxed) != self.idle_work_over.load(Ordering::Relaxed)
    }
}

/// Adds to a counter that only the calling member writes: cheaper than an atomic addition.
#[inline]
pub(crate) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

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
    pub(crate) attendance: usize,
    pub(crate) pending: usize,
    pub(crate) asleep: usize,
    ranges: usize,
    pub(crate) statuses: usize,
    faults: usize,
    steps: usize,
    payloads: usize,
    pub(crate) bitmap: usize,
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
            statuses: place(size, size_of::<Line<MemberStatus>>()),
            faults: place(size, size_of::<Line<FaultNote>>()),
            steps: place(size, size_of::<Line<StepState>>()),
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
    /// `base` is page-aligned, and `layout.len_bytes` there stay mapped, readable and writable, for as long
    /// as the result is used; they were zero when the board was made.
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
        // SAFETY: inside the mapping by the layout's construction, aligned to a line, and T is made of
        // atomics.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).cast::<T>().as_ptr(), count) }
    }

    fn head(&self) -> &Head {
        &self.at::<Head>(0, 1)[0]
    }

    /// The fork-join barrier's words, with the bell from `orders`.
    pub(crate) fn fork_join<'a>(&'a self, orders: &'a Orders) -> ForkJoin<'a> {
        self.fork_join_with(orders.bell())
    }

    /// As [`Self::fork_join`].
    pub(crate) fn fork_join_with<'a>(&'a self, bell: &'a AtomicU32) -> ForkJoin<'a> {
        let groups = self.layout.groups();
        ForkJoin {
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

    pub(crate) fn status(&self, rank: usize) -> &MemberStatus {
        &self.at::<Line<MemberStatus>>(self.layout.statuses, self.layout.size)[rank]
    }

    pub(crate) fn fault(&self, rank: usize) -> &FaultNote {
        &self.at::<Line<FaultNote>>(self.layout.faults, self.layout.size)[rank]
    }

    pub(crate) fn steps(&self) -> &[Line<StepState>] {
        self.at(self.layout.steps, self.layout.size)
    }

    pub(crate) fn step(&self, rank: usize) -> &StepState {
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
            at.statuses,
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

// The layout that docs/segment-layout.md lists.
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Line<AtomicU64>>() == 128);
    assert!(size_of::<Line<MemberStatus>>() == 128);
    assert!(size_of::<Head>() == 512);
    assert!(std::mem::offset_of!(Head, driver_asleep) == 128 && std::mem::offset_of!(Head, stop) == 256);
    assert!(std::mem::offset_of!(Head, cursor) == 384);
    assert!(
        std::mem::offset_of!(MemberStatus, wait_ticks) == 24
            && std::mem::offset_of!(MemberStatus, wakes) == 72
    );
};
