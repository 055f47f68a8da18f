//! What the current thread is doing: which rank, and whether its launch is to stop.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::sys::{fork, lineage};
use std::cell::Cell;
use std::sync::Once;
use std::time::Instant;

#[derive(Clone, Copy)]
struct Current {
    rank: usize,
    size: usize,
    stop: *const AtomicU64,
    epoch: u64,
    /// For a driver that runs chunks itself and cannot watch the clock meanwhile.
    deadline: Option<Instant>,
    /// Once this word is below this number, what runs here is not wanted any more.
    wanted: Option<(*const AtomicU64, u64)>,
}

impl Current {
    #[allow(unsafe_code)]
    fn is_stopped(&self) -> bool {
        // SAFETY: `enter` borrowed the word: of a board, of a task's slot, or of a caller's frame
        // (`task::here`). Whoever called it keeps the `Leave`, which takes the word away from here, in a
        // frame that ends before the word does.
        let stop = unsafe { &*self.stop };
        if self.deadline.is_some_and(|at| Instant::now() >= at) {
            // For all members, and so that the launch is reported as one that ran out of time.
            stop.fetch_max(self.epoch, Ordering::AcqRel);
        }
        stop.load(Ordering::Acquire) == self.epoch || !self.is_wanted()
    }

    #[allow(unsafe_code)]
    fn is_wanted(&self) -> bool {
        // SAFETY: `want_from` borrowed the word, and its caller keeps the `Leave`, as for `enter`.
        self.wanted.is_none_or(|(word, least)| unsafe { &*word }.load(Ordering::Relaxed) >= least)
    }
}

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// Puts back what was current before.
pub(crate) struct Leave(Option<Current>);

impl Drop for Leave {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Has forked children of this process know that they run no part of any launch: what a fork in a kernel is a
/// copy of would look at words that are not there.
pub(crate) fn forget_in_children() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        fork::reset_in_children(|| {
            CURRENT.set(None);
            DUTIES.set(0);
        });
    });
}

/// Marks this thread as running `rank`'s part of a launch until the result is dropped.
pub(crate) fn enter(
    rank: usize,
    size: usize,
    stop: &AtomicU64,
    epoch: u64,
    deadline: Option<Instant>,
) -> Leave {
    Leave(CURRENT.replace(Some(Current { rank, size, stop, epoch, deadline, wanted: None })))
}

/// Marks what this thread runs as wanted only while `word` is at least `least`, until the result is dropped.
pub(crate) fn want_from(word: &AtomicU64, least: u64) -> Leave {
    let current = CURRENT.get();
    let narrowed = current.map(|current| Current { wanted: Some((word, least)), ..current });
    Leave(CURRENT.replace(narrowed))
}

/// Whether this thread runs a part of a launch.
pub(crate) fn is_inside() -> bool {
    CURRENT.get().is_some()
}

/// A member's own thread, or one that descends from it: the member may be waiting for it.
const MEMBER: u8 = 1;
/// Runs a callback of a launch that it drives.
const DRIVING: u8 = 1 << 1;
/// Tells receivers of tasks what came out.
const TELLING: u8 = 1 << 2;
/// It is known whether this is a member's thread.
const KNOWN: u8 = 1 << 7;
/// Calls code of the program that it holds nothing for.
const CALLING: u8 = 1 << 3;

thread_local! {
    /// What this thread does that a pool waits for, beside kernels and tasks.
    static DUTIES: Cell<u8> = const { Cell::new(0) };
}

/// Puts back what [`enter_callback`] or [`enter_telling`] changed.
pub(crate) struct LeaveDuty {
    before: u8,
    _unmark: Option<lineage::Unmark>,
}

impl Drop for LeaveDuty {
    fn drop(&mut self) {
        DUTIES.set(self.before);
    }
}

/// Marks this thread as running a callback of the launch that it drives, until the result is dropped.
pub(crate) fn enter_callback() -> LeaveDuty {
    let before = known_duties();
    DUTIES.set(before | DRIVING);
    // The callback may wait for a thread that it starts.
    LeaveDuty { before, _unmark: Some(lineage::mark_this_thread()) }
}

/// Marks this thread as one that tells receivers, which may call the program, until the result is dropped.
pub(crate) fn enter_telling() -> LeaveDuty {
    LeaveDuty { before: DUTIES.replace(DUTIES.get() | TELLING), _unmark: None }
}

/// Marks this thread as one that calls the program, and holds nothing meanwhile, until the result is dropped.
pub(crate) fn enter_calling() -> LeaveDuty {
    LeaveDuty { before: DUTIES.replace(DUTIES.get() | CALLING), _unmark: None }
}

/// Marks this thread as a member's, for its whole life, and the threads that it will start.
pub(crate) fn become_member() {
    DUTIES.set(MEMBER | KNOWN);
    std::mem::forget(lineage::mark_this_thread());
}

/// What this thread does, without [`KNOWN`].
fn duties() -> u8 {
    known_duties() & !KNOWN
}

fn known_duties() -> u8 {
    let duties = DUTIES.get();
    if duties & KNOWN != 0 { duties } else { learn_duties() }
}

/// Finds out, once for each thread, whether it descends from a member.
#[cold]
fn learn_duties() -> u8 {
    let descends = if lineage::is_marked() { MEMBER } else { 0 };
    let duties = DUTIES.get() | descends | KNOWN;
    DUTIES.set(duties);
    duties
}

/// Whether launches that this thread makes would wait for this thread: it is a member, or runs a callback of
/// a launch that it drives.
pub(crate) fn is_bound() -> bool {
    duties() & (MEMBER | DRIVING) != 0
}

/// Whether this thread may wait for launches to end: as [`may_wait`], and in callbacks of tasks.
pub(crate) fn may_pass() -> bool {
    duties() & !CALLING == 0 && !is_inside()
}

/// Whether this thread may wait for a pool to end: not so in kernels, tasks and callbacks, and on members'
/// threads, which pools wait for themselves.
pub(crate) fn may_wait() -> bool {
    duties() == 0 && !is_inside()
}

/// Returns the rank of the worker that runs this kernel or task; `None` elsewhere.
///
/// Reads one thread-local variable. In a launch that runs inline the rank is 0.
pub fn current_rank() -> Option<usize> {
    CURRENT.get().map(|current| current.rank)
}

/// Returns the number of workers in the team that runs this kernel or task; `None` elsewhere.
pub fn current_team_size() -> Option<usize> {
    CURRENT.get().map(|current| current.size)
}

/// Returns true if the launch or task that is running here was cancelled, timed out, or failed elsewhere.
///
/// Workers check this between chunks by themselves; a kernel that spends long on one chunk, or a long task,
/// can call it to return early. In a search, and where kernels may fail, it also returns true as soon as a
/// lower chunk has an answer or has failed, so that this chunk's result is no longer wanted. Returns `false`
/// outside kernels and tasks, and on threads that they started. Reads one shared word.
pub fn is_cancelled() -> bool {
    CURRENT.get().is_some_and(|current| current.is_stopped())
}
