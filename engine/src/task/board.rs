//! The task board: where tasks wait, run and are done, as words in a segment that every member maps.
//!
//! README.md beside this file has the protocol: each word, each actor's steps, and what a kill after each
//! step leaves. docs/segment-layout.md lists the bytes.
//!
//! # Safety
//! A [`TaskBoard`] is made from an address and a length that the maker promises to keep mapped for as long as
//! the value lives. Every place in it is computed from the team's size and checked once against the length;
//! all of it is atomics but the slots' own bytes, which belong to one side at a time: to the driver while the
//! slot is free or done, to the member that runs it otherwise (the Release of each change of state pairs with
//! the Acquire of the next look at it).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::EventCount;
use crate::task::slot::{TaskSlot, TaskStage, TaskState};
use std::ptr::NonNull;

/// Tasks that can be on the board at once. A power of two; few for the model checker and Miri.
pub(crate) const SLOTS: usize = if cfg!(any(loom, miri)) { 2 } else { 4096 };
/// The driver is asked for more tasks when fewer than this wait.
const LOW_WATER: u64 = SLOTS as u64 / 4;

/// What the driver writes once, before the first member starts.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Rules {
    /// The segment in which blocks lie.
    pub(crate) arena: AtomicU64,
    /// A member retires after this many tasks; 0: never.
    pub(crate) max_tasks: AtomicU64,
    /// A member retires after this many milliseconds; 0: never.
    pub(crate) max_age_ms: AtomicU64,
    /// A member retires when it has grown by this many bytes; 0: never.
    pub(crate) max_growth: AtomicU64,
}

impl Rules {
    /// All rules as words.
    pub(crate) fn words(&self) -> [u64; 4] {
        [&self.arena, &self.max_tasks, &self.max_age_ms, &self.max_growth]
            .map(|word| word.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Head {
    /// Position after the last queued task. Written by the driver.
    pub(crate) tail: Line<AtomicU64>,
    /// No task before this position is queued. Advanced by any member that finds this out.
    pub(crate) head: Line<AtomicU64>,
    /// Number of the driver's threads that want to be woken for every task.
    eager: Line<AtomicU32>,
    /// Whether more tasks wait than the board has room for.
    pub(crate) backlog: Line<AtomicU32>,
    rules: Line<Rules>,
    /// Members that have asked for room since the driver last looked.
    asking: Line<AtomicU32>,
    /// A thread that waits for results, and the thread that collects them when none does.
    waiter: Line<EventCount>,
    collector: Line<EventCount>,
}

/// The tasks a rank has done, in order.
#[repr(C)]
#[cfg_attr(loom, derive(Default))]
struct DoneRing {
    tail: Line<AtomicU64>,
    slots: Line<[AtomicU32; SLOTS]>,
}

/// The ring's word for a task at `position`.
fn on_ring(position: u64, index: usize) -> u64 {
    position << 16 | index as u64
}

/// A view of the board in one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskBoard {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: everything on a board is an atomic, but for bytes that have one owner at a time (module
// documentation).
unsafe impl Send for TaskBoard {}
// SAFETY: as above.
unsafe impl Sync for TaskBoard {}

const RING_AT: usize = size_of::<Head>();
const SLOTS_AT: usize = RING_AT + (SLOTS * size_of::<AtomicU64>()).next_multiple_of(128);
const DONE_AT: usize = SLOTS_AT + SLOTS * size_of::<Line<TaskSlot>>();

/// Bytes of the board of a team of `size`.
#[expect(clippy::arithmetic_side_effects, reason = "the sizes of a team that was made")]
pub(crate) const fn board_bytes(size: usize) -> usize {
    DONE_AT + size * size_of::<DoneRing>()
}

impl TaskBoard {
    /// # Safety
    /// `base` is aligned to a page, and `board_bytes(size)` bytes there stay mapped, readable and writable,
    /// for as long as the result is used; they were zero when the board was made.
    pub(crate) unsafe fn new(base: NonNull<u8>, size: usize) -> TaskBoard {
        TaskBoard { base, size }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "the sizes of a team that was made")]
    fn at<T>(&self, offset: usize, count: usize) -> &[T] {
        debug_assert!(offset + count * size_of::<T>() <= board_bytes(self.size));
        // SAFETY: inside the mapping by the layout's construction, aligned to a line, and T is made of
        // atomics.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).cast::<T>().as_ptr(), count) }
    }

    fn head(&self) -> &Head {
        &self.at::<Head>(0, 1)[0]
    }

    fn ring(&self) -> &[AtomicU64] {
        self.at(RING_AT, SLOTS)
    }

    fn done(&self, rank: usize) -> &DoneRing {
        &self.at::<DoneRing>(DONE_AT, self.size)[rank]
    }

    /// The slot of that number.
    pub(crate) fn slot(&self, index: usize) -> &TaskSlot {
        &self.at::<Line<TaskSlot>>(SLOTS_AT, SLOTS)[index]
    }

    /// The slot's own bytes.
    pub(crate) fn inline_bytes(&self, index: usize) -> *mut u8 {
        self.slot(index).bytes.as_ptr().cast::<u8>().cast_mut()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.head().rules
    }

    pub(crate) fn waiter(&self) -> &EventCount {
        &self.head().waiter
    }

    pub(crate) fn collector(&self) -> &EventCount {
        &self.head().collector
    }

    // ------------------------------------------------------------------------------------------- driver

    /// Queues slot `index`, whose fields are written, at `position`, the one after the last. Returns its
    /// state, or `None` if the ring is full. Called by one thread at a time, which alone knows the position:
    /// the word that publishes it to members is never read back.
    pub(crate) fn queue(&self, index: usize, position: u64) -> Option<TaskState> {
        let head = self.head();
        let is_full = || position.wrapping_sub(head.head.load(Ordering::Relaxed)) >= SLOTS as u64;
        if is_full() {
            self.pass_over(position);
            if is_full() {
                return None;
            }
        }
        let state = TaskState::new(position, 0, TaskStage::Queued);
        // Release: pairs with the Acquire in `claim`; a member that sees the slot queued sees its fields.
        self.slot(index).state.store(state.0, Ordering::Release);
        self.ring()[position as usize % SLOTS].store(on_ring(position, index), Ordering::Release);
        head.tail.store(position.wrapping_add(1), Ordering::Release);
        Some(state)
    }

    /// Position after the last queued task, as published to members.
    pub(crate) fn tail_position(&self) -> u64 {
        self.head().tail.load(Ordering::Relaxed)
    }

    /// No task before this position is queued. Acquire: pairs with the Release in `move_head`; a task found
    /// queued afterwards is not before it.
    pub(crate) fn head_position(&self) -> u64 {
        self.head().head.load(Ordering::Acquire)
    }

    /// Whether members find slot `index` at that position.
    pub(crate) fn is_on_ring(&self, position: u64, index: usize) -> bool {
        self.ring()[position as usize % SLOTS].load(Ordering::Relaxed) == on_ring(position, index)
    }

    /// Changes a slot's state if it is still `from`.
    pub(crate) fn change(&self, index: usize, from: TaskState, to: TaskState) -> bool {
        self.slot(index).state.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn state(&self, index: usize) -> TaskState {
        TaskState(self.slot(index).state.load(Ordering::Acquire))
    }

    /// Returns a slot to the driver's free ones. The driver must own it.
    pub(crate) fn free(&self, index: usize) {
        self.slot(index).state.store(0, Ordering::Relaxed);
    }

    /// How many slots the rank has done since the driver had taken `taken`; `None` if the number is
    /// impossible.
    pub(crate) fn done_since(&self, rank: usize, taken: u64) -> Option<u64> {
        // Acquire: pairs with the Release in `put_done`.
        let count = self.done(rank).tail.load(Ordering::Acquire).wrapping_sub(taken);
        (count <= SLOTS as u64).then_some(count)
    }

    /// The `number`th slot that rank has done, if it makes sense.
    pub(crate) fn done_slot(&self, rank: usize, number: u64) -> Option<usize> {
        let index = self.done(rank).slots[number as usize % SLOTS].load(Ordering::Relaxed) as usize;
        (index < SLOTS).then_some(index)
    }

    /// Tells members whether more tasks wait elsewhere.
    pub(crate) fn set_backlog(&self, is_there: bool) {
        self.head().backlog.store(u32::from(is_there), Ordering::Relaxed);
    }

    /// Registers a thread that wants to be woken for every task from now on.
    pub(crate) fn be_eager(&self) {
        self.head().eager.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn is_eager(&self) -> bool {
        self.head().eager.load(Ordering::SeqCst) != 0
    }

    pub(crate) fn be_easy(&self) {
        self.head().eager.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether a member has asked for room since this was last called.
    pub(crate) fn was_asked(&self) -> bool {
        let asking = &self.head().asking;
        asking.load(Ordering::Relaxed) != 0 && asking.swap(0, Ordering::AcqRel) != 0
    }

    /// Wakes the driver for a slot whose `grant` asks for room.
    pub(crate) fn ask(&self) {
        self.head().asking.fetch_add(1, Ordering::AcqRel);
        self.collector().rouse();
        self.waiter().rouse();
    }

    /// Wakes the thread that collects results.
    pub(crate) fn notify(&self) {
        // Pairs with the fence in `EventCount::sleep`.
        fence(Ordering::SeqCst);
        let head = self.head();
        if !head.waiter.rouse_if_watched() {
            head.collector.rouse_if_watched();
        }
    }

    /// Wakes the collecting thread for something other than results, which was written before.
    pub(crate) fn alarm(&self) {
        self.notify();
        self.collector().rouse();
    }

    // ------------------------------------------------------------------------------------------- member

    /// Tasks that wait, at most.
    pub(crate) fn waiting(&self) -> u64 {
        let head = self.head();
        let waiting = head.tail.load(Ordering::Acquire).saturating_sub(head.head.load(Ordering::Relaxed));
        waiting.min(SLOTS as u64)
    }

    /// Claims the oldest waiting task for `member`. Returns its slot and its state.
    pub(crate) fn claim(&self, member: u32) -> Option<(usize, TaskState)> {
        let head = self.head();
        let mut position = head.head.load(Ordering::Relaxed);
        // Once round the ring: there are no more, unless words were overwritten.
        for _ in 0..=SLOTS {
            if position >= head.tail.load(Ordering::Acquire) {
                return None;
            }
            let entry = self.ring()[position as usize % SLOTS].load(Ordering::Acquire);
            let index = (entry & 0xffff) as usize;
            if index >= SLOTS || entry != on_ring(position, index) {
                // The ring has come round: others have taken what we looked at.
                let now = head.head.load(Ordering::Relaxed);
                if now == position {
                    return None;
                }
                position = now;
                continue;
            }
            let queued = TaskState::new(position, 0, TaskStage::Queued);
            let running = TaskState::new(position, member, TaskStage::Running);
            let is_ours = self.slot(index).state.load(Ordering::Relaxed) == queued.0
                && self.change(index, queued, running);
            self.move_head(position);
            if is_ours {
                return Some((index, running));
            }
            position = position.wrapping_add(1);
        }
        None
    }

    /// Moves the head beyond `position`, which is no longer queued.
    fn move_head(&self, position: u64) {
        let head = &self.head().head;
        // Release: pairs with the Acquire in `head_position`. Who moves the head has claimed the task, or has
        // seen that it is claimed; without it the head may be seen to move before the state changes.
        let _moved_by_another =
            head.compare_exchange(position, position.wrapping_add(1), Ordering::Release, Ordering::Relaxed);
    }

    /// Moves the head over tasks that are no longer queued, of those before `tail`.
    fn pass_over(&self, tail: u64) {
        let head = self.head().head.load(Ordering::Relaxed);
        for position in (head..tail).take(SLOTS) {
            let index = (self.ring()[position as usize % SLOTS].load(Ordering::Relaxed) & 0xffff) as usize;
            let queued = TaskState::new(position, 0, TaskStage::Queued);
            if index < SLOTS && self.slot(index).state.load(Ordering::Relaxed) == queued.0 {
                return;
            }
            self.move_head(position);
        }
    }

    /// All words, by part, for tests that overwrite them.
    #[cfg(test)]
    #[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
    pub(crate) fn parts(&self) -> Vec<&[AtomicU64]> {
        let starts = [0, RING_AT, SLOTS_AT, DONE_AT, board_bytes(self.size)];
        starts.windows(2).map(|part| self.at(part[0], (part[1] - part[0]) / 8)).collect()
    }

    /// Notes that this rank has done slot `index`.
    pub(crate) fn put_done(&self, rank: usize, index: usize) {
        let done = self.done(rank);
        let number = done.tail.load(Ordering::Relaxed);
        done.slots[number as usize % SLOTS].store(index as u32, Ordering::Relaxed);
        // Release: pairs with the Acquire in `done_since`.
        done.tail.store(number.wrapping_add(1), Ordering::Release);
    }

    /// Wakes the collecting thread if a thread wants to hear of every task or the board runs dry. Returns
    /// whether it did.
    pub(crate) fn tell(&self) -> bool {
        let head = self.head();
        // Pairs with the fences of threads that set these words and look once more.
        fence(Ordering::SeqCst);
        let is_wanted = head.eager.load(Ordering::Relaxed) != 0;
        let runs_dry = || head.backlog.load(Ordering::Relaxed) != 0 && self.waiting() < LOW_WATER;
        let tell = is_wanted || runs_dry();
        if tell {
            self.notify();
        }
        tell
    }
}

// The layout that docs/segment-layout.md documents.
#[cfg(not(any(loom, miri)))]
const _: () = {
    assert!(RING_AT == 1024 && SLOTS_AT == 33_792 && DONE_AT == 1_082_368);
    assert!(size_of::<TaskSlot>() == 256 && size_of::<Line<TaskSlot>>() == 256);
    assert!(std::mem::offset_of!(TaskSlot, flags) == 72 && std::mem::offset_of!(TaskSlot, items_done) == 88);
};

#[cfg(test)]
#[path = "models.rs"]
mod models;
#[cfg(all(test, not(loom)))]
#[path = "board_tests.rs"]
mod tests;
