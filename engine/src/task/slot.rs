//! One task's words on the board: what it is, how far it is, what came out.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bytes of arguments and results that a slot holds itself.
pub(crate) const INLINE_BYTES: usize = 80;

/// The stage in a slot's state word, below the position (32 bits) and the member (29 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum TaskStage {
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
pub(crate) struct TaskState(pub(super) u64);

impl TaskState {
    pub(crate) fn new(position: u64, member: u32, stage: TaskStage) -> TaskState {
        TaskState(position << 32 | u64::from(member) << 3 | stage as u64)
    }

    /// The same task in another stage.
    pub(crate) fn of(self, stage: TaskStage) -> TaskState {
        TaskState(self.0 & !7 | stage as u64)
    }

    pub(crate) fn stage(self) -> Option<TaskStage> {
        match self.0 & 7 {
            0 => Some(TaskStage::Free),
            1 => Some(TaskStage::Queued),
            2 => Some(TaskStage::Running),
            3 => Some(TaskStage::Done),
            4 => Some(TaskStage::Condemned),
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
        let is_left =
            matches!(self.stage(), Some(TaskStage::Running | TaskStage::Condemned | TaskStage::Done));
        is_left && self.member() == member
    }
}

/// In [`TaskSlot::flags`]: the member notes when each item began. The other bits are [`seal_of`] the
/// function.
pub(crate) const FLAG_TIMED: u32 = 1;
/// In [`TaskSlot::flags`]: results may go to other machines, so they have no handles.
pub(crate) const FLAG_BY_VALUE: u32 = 2;
/// The bits that are no part of the seal.
pub(crate) const FLAGS: u32 = FLAG_TIMED | FLAG_BY_VALUE;

/// A checksum of the code offsets in a task, so that a stray write to them is noticed.
pub(crate) fn seal_of(entry: u64, function: u64) -> u32 {
    let mixed = entry.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ function.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    (mixed >> 32) as u32 & !FLAGS
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
    /// The text of a slot's trouble word.
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

/// In [`TaskSlot::reading`]: the member begins no further item. Set by the driver on the item whose time is
/// over.
pub(crate) const DOOMED: u64 = 1 << 63;

/// One task: what it is, how far it is, what came out.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct TaskSlot {
    /// A [`TaskState`].
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
    /// Where the arguments of item `i` begin stands in `next[i % 2]`: that of the item in work outlives the
    /// reading of it.
    pub(crate) next: [AtomicU64; 2],
    /// The item begun last, plus one; [`DOOMED`] is the driver's.
    pub(crate) reading: AtomicU64,
    /// When the task began, or with FLAG_TIMED its present item; 0 before.
    pub(crate) began: AtomicU64,
    pub(crate) ended: AtomicU64,
    /// How many bytes the room is to have, of a member that asks for more. When the task is done: when it
    /// began.
    pub(crate) wanted: AtomicU64,
    /// Which room the results are in: 0 the one that the task came with, else the number of a grant.
    pub(crate) home: AtomicU32,
    pub(crate) rank: AtomicU32,
    /// 1 while the member looks up the names of a panic's backtrace, for which the item's clock stands still.
    pub(crate) resolving: AtomicU32,
    /// Why the task could not be run at all: a [`Trouble`], or 0.
    pub(crate) trouble: AtomicU32,
    pub(super) bytes: [AtomicU64; INLINE_BYTES / 8],
}

impl TaskSlot {
    /// What `stop` holds when the present task is to stop early: never 0.
    pub(crate) fn stop_number(&self) -> u64 {
        (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1)
    }

    /// The member begins `item`; false if the driver has ended the task after the item before. Release, as is
    /// the driver's exchange: a thread that sees the number also sees where the next item begins, and only
    /// the item in progress can be doomed.
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

    /// Keeps the member from beginning an item after the one that `reading` names, if that is still current.
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
        TaskState(self.state.load(Ordering::Relaxed)).stage() == Some(TaskStage::Condemned)
    }
}
