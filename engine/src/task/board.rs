//! The task board: where tasks wait, run and are done, as words in a segment that every member maps.
//!
//! README.md beside this file tells the protocol: each word, each actor's steps, and what a kill after each step leaves.
//! docs/SEGMENT-LAYOUT.md lists the bytes.
//!
//! # Safety
//! A [`TaskBoard`] is made from an address and a length that the maker promises to keep mapped for as long as the value
//! lives. Every place in it is computed from the team's size and checked once against the length; all of it is atomics but
//! the slots' own bytes, which belong to one side at a time: to the driver while the slot is free or done, to the member
//! that runs it otherwise (the Release of each change of state pairs with the Acquire of the next look at it).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::futex;
use std::ptr::NonNull;
use std::time::Instant;

/// Tasks that can be on the board at once. A power of two; few for the model checker and Miri.
pub(crate) const SLOTS: usize = if cfg!(any(loom, miri)) { 2 } else { 4096 };
/// Bytes of arguments and results that a slot holds itself.
pub(crate) const INLINE_BYTES: usize = 80;
/// The driver is asked for more when so few tasks wait.
const LOW_WATER: u64 = SLOTS as u64 / 4;

/// What a slot's state word says, below the position (32 bits) and the member (29 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Stage {
    /// The driver's.
    Free = 0,
    /// Waits for a member.
    Queued = 1,
    /// The member runs it.
    Running = 2,
    /// The member has left its result. The driver's.
    Done = 3,
    /// The driver gave it up while the member ran it; a member process is going to be killed. The member's.
    Condemned = 4,
}

/// A slot's state, as one copy of its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(u64);

impl State {
    pub(crate) fn new(position: u64, member: u32, stage: Stage) -> State {
        State(position << 32 | u64::from(member) << 3 | stage as u64)
    }

    /// The same task in another stage.
    pub(crate) fn of(self, stage: Stage) -> State {
        State(self.0 & !7 | stage as u64)
    }

    pub(crate) fn stage(self) -> Option<Stage> {
        match self.0 & 7 {
            0 => Some(Stage::Free),
            1 => Some(Stage::Queued),
            2 => Some(Stage::Running),
            3 => Some(Stage::Done),
            4 => Some(Stage::Condemned),
            _ => None,
        }
    }

    /// The position at which it was queued, as far as the word holds it.
    pub(crate) fn position(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn member(self) -> u32 {
        (self.0 >> 3) as u32 & ((1 << 29) - 1)
    }

    /// Whether `member`, which has died, ran the task or had done it.
    pub(crate) fn is_left_by(self, member: u32) -> bool {
        let is_left = matches!(self.stage(), Some(Stage::Running | Stage::Condemned | Stage::Done));
        is_left && self.member() == member
    }
}

/// In [`Slot::flags`]: the member notes when each item began. The other bits are [`seal_of`] the function.
pub(crate) const FLAG_TIMED: u32 = 1;

/// Mixed from where code lies that a task leads to: a stray write there leads nowhere.
pub(crate) fn seal_of(entry: u64, function: u64) -> u32 {
    let mixed = entry.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ function.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    (mixed >> 32) as u32 & !FLAG_TIMED
}

/// Why a member could not run a task at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Trouble {
    Types = 1,
    Function = 2,
    Bytes = 3,
}

impl Trouble {
    /// What a slot's word says.
    pub(crate) fn text(word: u32) -> &'static str {
        const TYPES: u32 = Trouble::Types as u32;
        const FUNCTION: u32 = Trouble::Function as u32;
        const BYTES: u32 = Trouble::Bytes as u32;
        match word {
            TYPES => "the task was made for other types than its function takes",
            FUNCTION => "its function is none of this program's",
            BYTES => "its worker could not find its bytes",
            _ => "its worker left it unfinished",
        }
    }
}

/// In [`Slot::reading`]: the member begins no further item. Set by the driver on the item whose time is over.
pub(crate) const DOOMED: u64 = 1 << 63;

/// One task: what it is, how far it is, what came out.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Slot {
    /// A [`State`].
    pub(crate) state: AtomicU64,
    // Written by the driver before the task is queued.
    /// The monomorphised entry, and the function it calls, as offsets from the anchor.
    pub(crate) entry: AtomicU64,
    pub(crate) function: AtomicU64,
    /// Hash of the types of argument and result.
    pub(crate) layout: AtomicU64,
    /// Offset of the task's block in the arena, plus one; 0 if its bytes are in the slot.
    pub(crate) block: AtomicU64,
    /// Bytes of the arguments, at the start of the block.
    pub(crate) args_len: AtomicU64,
    /// Bytes for results, behind them.
    pub(crate) room: AtomicU64,
    pub(crate) items: AtomicU64,
    /// Bytes of the table of handles at the end of the arguments; 0 where there is none.
    pub(crate) table: AtomicU64,
    // Written by the driver at any time.
    pub(crate) flags: AtomicU32,
    /// Whether the member asks for more room, and the answer. The member waits on it.
    pub(crate) grant: AtomicU32,
    /// Holds the task's number when it is to stop early.
    pub(crate) stop: AtomicU64,
    // Written by the member.
    pub(crate) items_done: AtomicU64,
    /// Bytes of their results, at the front of the room.
    pub(crate) written: AtomicU64,
    /// Bytes of their faults, at the end of the room.
    pub(crate) faulted: AtomicU64,
    /// Where the arguments of item `i` begin stands in `next[i % 2]`: that of the item in work outlives the reading of it.
    pub(crate) next: [AtomicU64; 2],
    /// The item begun last, plus one; [`DOOMED`] is the driver's.
    pub(crate) reading: AtomicU64,
    /// When the task began, or with FLAG_TIMED its present item; 0 before.
    pub(crate) began: AtomicU64,
    pub(crate) ended: AtomicU64,
    /// How many bytes the room is to have, of a member that asks for more.
    pub(crate) wanted: AtomicU64,
    /// Which room the results are in: 0 the one that the task came with, else the number of a grant.
    pub(crate) home: AtomicU32,
    pub(crate) rank: AtomicU32,
    _spare: AtomicU32,
    /// Why the task could not be run at all: a [`Trouble`], or 0.
    pub(crate) trouble: AtomicU32,
    bytes: [AtomicU64; INLINE_BYTES / 8],
}

impl Slot {
    /// What `stop` holds when the present task is to stop early: never 0.
    pub(crate) fn stop_number(&self) -> u64 {
        (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1)
    }

    /// The member begins `item`; false if the driver has ended the task with the item before. Release, and the driver's
    /// exchange: who sees the number sees where the next item begins, and no item is doomed that was not the one in work.
    #[inline]
    pub(crate) fn begin(&self, item: usize, is_timed: bool) -> bool {
        let number = (item as u64).wrapping_add(1);
        if !is_timed {
            self.reading.store(number, Ordering::Release);
            return true;
        }
        let before = self.reading.load(Ordering::Relaxed);
        let exchange = || self.reading.compare_exchange(before, number, Ordering::AcqRel, Ordering::Relaxed);
        before & DOOMED == 0 && exchange().is_ok()
    }

    /// The driver lets no item begin after the one that `reading` tells, if that is still so.
    pub(crate) fn doom(&self, reading: u64) -> bool {
        let doomed = reading | DOOMED;
        self.reading.compare_exchange(reading, doomed, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Items with an outcome, and items begun: as many, or one more.
    pub(crate) fn progress(&self) -> (usize, usize) {
        // Acquire: pairs with the Releases in `run_items` and `begin`. What was done is counted first.
        let done = self.items_done.load(Ordering::Acquire) as usize;
        let reading = self.reading.load(Ordering::Acquire) & !DOOMED;
        (done, (reading as usize).max(done))
    }

    /// Whether the driver has given up the task.
    pub(crate) fn is_condemned(&self) -> bool {
        State(self.state.load(Ordering::Relaxed)).stage() == Some(Stage::Condemned)
    }
}

/// Somebody in the driver's process who sleeps until there is something to collect.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Bell {
    count: AtomicU32,
    asleep: AtomicU32,
}

impl Bell {
    /// The count, to be read before the last look.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Sleeps until the bell rings, unless it did since `seen`, or `otherwise` says not to.
    pub(crate) fn sleep(&self, seen: u32, deadline: Option<Instant>, otherwise: impl FnOnce() -> bool) {
        self.asleep.store(1, Ordering::Relaxed);
        // Pairs with the fence of whoever rings: either we see what it has left, or it sees us asleep.
        fence(Ordering::SeqCst);
        if !otherwise() {
            futex::wait(&self.count, seen, deadline);
        }
        self.asleep.store(0, Ordering::Relaxed);
    }

    fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Relaxed) != 0
    }

    /// Rings where somebody sleeps. After a fence that follows what there is to see.
    pub(crate) fn ring_if_asleep(&self) {
        if self.is_asleep() {
            self.ring();
        }
    }

    pub(crate) fn ring(&self) {
        self.count.fetch_add(1, Ordering::Release);
        futex::wake(&self.count, u32::MAX);
    }
}

/// What the driver says once, before the first member starts.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Rules {
    /// The segment in which blocks lie.
    pub(crate) arena: AtomicU64,
    /// After so many tasks a member retires; 0: never.
    pub(crate) max_tasks: AtomicU64,
    /// After so many milliseconds, likewise.
    pub(crate) max_age_ms: AtomicU64,
    /// When it has grown by so many bytes, likewise.
    pub(crate) max_growth: AtomicU64,
}

impl Rules {
    /// What all of them say.
    pub(crate) fn words(&self) -> [u64; 4] {
        [&self.arena, &self.max_tasks, &self.max_age_ms, &self.max_growth]
            .map(|word| word.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
#[repr(C)]
struct Head {
    /// Position after the last queued task. Written by the driver.
    tail: Line<AtomicU64>,
    /// No task before this position is queued. Moved on by whoever sees that.
    head: Line<AtomicU64>,
    /// Threads of the driver that want to hear of every task.
    eager: Line<AtomicU32>,
    /// Whether more tasks wait than the board has room for.
    backlog: Line<AtomicU32>,
    rules: Line<Rules>,
    /// Members that have asked for room since the driver last looked.
    asking: Line<AtomicU32>,
    /// A thread that waits for results, and the thread that collects them when none does.
    waiter: Line<Bell>,
    collector: Line<Bell>,
}

/// What a rank has done, in order.
#[repr(C)]
#[cfg_attr(loom, derive(Default))]
struct DoneRing {
    tail: Line<AtomicU64>,
    slots: Line<[AtomicU32; SLOTS]>,
}

/// What the ring holds for a task at `position`.
fn on_ring(position: u64, index: usize) -> u64 {
    position << 16 | index as u64
}

/// A view of the board in one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskBoard {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: everything on a board is an atomic, but for bytes that have one owner at a time (module documentation).
unsafe impl Send for TaskBoard {}
// SAFETY: as above.
unsafe impl Sync for TaskBoard {}

const RING_AT: usize = size_of::<Head>();
const SLOTS_AT: usize = RING_AT + (SLOTS * size_of::<AtomicU64>()).next_multiple_of(128);
const DONE_AT: usize = SLOTS_AT + SLOTS * size_of::<Line<Slot>>();

/// Bytes of the board of a team of `size`.
#[expect(clippy::arithmetic_side_effects, reason = "the sizes of a team that was made")]
pub(crate) const fn board_bytes(size: usize) -> usize {
    DONE_AT + size * size_of::<DoneRing>()
}

impl TaskBoard {
    /// # Safety
    /// `base` is aligned to a page, and `board_bytes(size)` bytes there stay mapped, readable and writable, for as long as the
    /// result is used; they were zero when the board was made.
    pub(crate) unsafe fn new(base: NonNull<u8>, size: usize) -> TaskBoard {
        TaskBoard { base, size }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "the sizes of a team that was made")]
    fn at<T>(&self, offset: usize, count: usize) -> &[T] {
        debug_assert!(offset + count * size_of::<T>() <= board_bytes(self.size));
        // SAFETY: inside the mapping by the layout's construction, aligned to a line, and T is made of atomics.
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
    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.at::<Line<Slot>>(SLOTS_AT, SLOTS)[index]
    }

    /// The slot's own bytes.
    pub(crate) fn inline_bytes(&self, index: usize) -> *mut u8 {
        self.slot(index).bytes.as_ptr().cast::<u8>().cast_mut()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.head().rules
    }

    pub(crate) fn waiter(&self) -> &Bell {
        &self.head().waiter
    }

    pub(crate) fn collector(&self) -> &Bell {
        &self.head().collector
    }

    // ------------------------------------------------------------------------------------------- driver

    /// Queues slot `index`, whose fields are written, at `position`, the one after the last; gives its state. `None` if the ring is
    /// full. One caller at a time, which alone knows the position: the word that tells it to members is never read.
    pub(crate) fn queue(&self, index: usize, position: u64) -> Option<State> {
        let head = self.head();
        let is_full = || position.wrapping_sub(head.head.load(Ordering::Relaxed)) >= SLOTS as u64;
        if is_full() {
            self.pass_over(position);
            if is_full() {
                return None;
            }
        }
        let state = State::new(position, 0, Stage::Queued);
        // Release: pairs with the Acquire in `claim`; who sees the slot queued sees what it is.
        self.slot(index).state.store(state.0, Ordering::Release);
        self.ring()[position as usize % SLOTS].store(on_ring(position, index), Ordering::Release);
        head.tail.store(position.wrapping_add(1), Ordering::Release);
        Some(state)
    }

    /// Position after the last queued task, as members are told it.
    pub(crate) fn tail_position(&self) -> u64 {
        self.head().tail.load(Ordering::Relaxed)
    }

    /// No task before this position is queued. Acquire: a task found queued afterwards is not before it.
    pub(crate) fn head_position(&self) -> u64 {
        self.head().head.load(Ordering::Acquire)
    }

    /// Whether members find slot `index` at that position.
    pub(crate) fn is_on_ring(&self, position: u64, index: usize) -> bool {
        self.ring()[position as usize % SLOTS].load(Ordering::Relaxed) == on_ring(position, index)
    }

    /// Changes a slot's state if it is still `from`.
    pub(crate) fn change(&self, index: usize, from: State, to: State) -> bool {
        self.slot(index).state.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn state(&self, index: usize) -> State {
        State(self.slot(index).state.load(Ordering::Acquire))
    }

    /// Gives a slot back to the driver, in whose hands it is.
    pub(crate) fn free(&self, index: usize) {
        self.slot(index).state.store(0, Ordering::Relaxed);
    }

    /// How many slots rank has done since the driver had taken `taken`; `None` if that cannot be.
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

    /// A thread wants to hear of every task from now on.
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

    /// Wakes the driver for a slot whose `grant` says that room is asked for.
    pub(crate) fn ask(&self) {
        self.head().asking.fetch_add(1, Ordering::AcqRel);
        self.collector().ring();
        self.waiter().ring();
    }

    /// Wakes whoever collects results.
    pub(crate) fn notify(&self) {
        // Pairs with the fence in `Bell::sleep`.
        fence(Ordering::SeqCst);
        let head = self.head();
        if head.waiter.is_asleep() {
            head.waiter.ring();
        } else if head.collector.is_asleep() {
            head.collector.ring();
        }
    }

    /// Wakes whoever collects for something else than results, which was written before.
    pub(crate) fn alarm(&self) {
        self.notify();
        self.collector().ring();
    }

    // ------------------------------------------------------------------------------------------- member

    /// Tasks that wait, at most.
    pub(crate) fn waiting(&self) -> u64 {
        let head = self.head();
        let waiting = head.tail.load(Ordering::Acquire).saturating_sub(head.head.load(Ordering::Relaxed));
        waiting.min(SLOTS as u64)
    }

    /// Claims the oldest waiting task for `member`; gives its slot and its state.
    pub(crate) fn claim(&self, member: u32) -> Option<(usize, State)> {
        let head = self.head();
        let mut position = head.head.load(Ordering::Relaxed);
        // Once round the ring: more there is not, unless words were overwritten.
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
            let queued = State::new(position, 0, Stage::Queued);
            let running = State::new(position, member, Stage::Running);
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
        let _moved_by_another =
            head.compare_exchange(position, position.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Moves the head over tasks that are no longer queued, of those before `tail`.
    fn pass_over(&self, tail: u64) {
        let head = self.head().head.load(Ordering::Relaxed);
        for position in (head..tail).take(SLOTS) {
            let index = (self.ring()[position as usize % SLOTS].load(Ordering::Relaxed) & 0xffff) as usize;
            let queued = State::new(position, 0, Stage::Queued);
            if index < SLOTS && self.slot(index).state.load(Ordering::Relaxed) == queued.0 {
                return;
            }
            self.move_head(position);
        }
    }

    /// All words, by parts: for those who write over them.
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

    /// Wakes whoever collects, if somebody wants to hear of every task or the board runs dry; says whether it did.
    pub(crate) fn tell(&self) -> bool {
        let head = self.head();
        // Pairs with the fences of who sets these words and looks once more.
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

// The layout that docs/SEGMENT-LAYOUT.md tells.
#[cfg(not(any(loom, miri)))]
const _: () = {
    assert!(RING_AT == 1024 && SLOTS_AT == 33_792 && DONE_AT == 1_082_368);
    assert!(size_of::<Slot>() == 256 && size_of::<Line<Slot>>() == 256);
    assert!(std::mem::offset_of!(Slot, flags) == 72 && std::mem::offset_of!(Slot, items_done) == 88);
};

#[cfg(test)]
#[path = "models.rs"]
mod models;
#[cfg(all(test, not(loom)))]
#[path = "board_tests.rs"]
mod tests;
