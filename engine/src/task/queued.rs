//! A task on the driver's side: what it is, its bytes, and its receiver.
//!
//! # Safety
//! A queued task's bytes are the driver's while it holds the queued task and no member runs the task. They
//! are copied in before the task is queued and looked at after it is done, or after the death of who ran it
//! is confirmed.
#![deny(clippy::arithmetic_side_effects)]
#![allow(unsafe_code)]

use crate::base::with_own;
use crate::code;
use crate::handle::travel::{self, KeepAlive};
use crate::launch::cancel::CancelToken;
use crate::memory::AllocError;
use crate::sys::fork;
use crate::task::board::TaskBoard;
use crate::task::codec::{self, guarded};
use crate::task::cost::Cost;
use crate::task::entry::{Argument, TaskBody};
use crate::task::error::TaskError;
use crate::task::heap::{self, HeapBlock};
use crate::task::retry::RetryPolicy;
use crate::task::slot::INLINE_BYTES;
use crate::team::program;
use std::cell::RefCell;
use std::mem::needs_drop;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Receives the results of some items. Called by whichever thread collects, never with a lock of the queue
/// held.
pub(crate) trait Receiver: Send + Sync {
    /// Items `first..first + items` are done, each with a result or a fault.
    fn deliver(&self, arrival: Arrival<'_>);
    /// Items `first..first + items` have no result, for this reason. `error`'s item is the first.
    fn fail(&self, first: usize, items: usize, error: TaskError);
    /// Whether more items are still wanted; a task of a receiver that wants none is dropped before it starts.
    fn is_open(&self) -> bool;
    /// Whether code of the program must be called, by [`Self::make_calls`], that no other thread will call.
    fn pass_on(&self) -> bool {
        false
    }
    /// Makes the program's calls for what has arrived.
    fn make_calls(&self) {}
}

/// Whether two receivers are the same, compared by address.
pub(crate) fn is_same(one: &Arc<dyn Receiver>, other: &Arc<dyn Receiver>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

/// Results of some items, as the member left them.
pub(crate) struct Arrival<'a> {
    pub(crate) first: usize,
    pub(crate) items: usize,
    /// The machine, in a cluster.
    pub(crate) host: &'a str,
    /// One after the other, without those of items that have a fault; numbers have a filler there.
    pub(crate) results: &'a [u8],
    /// In the order of the items.
    pub(crate) faults: Vec<crate::task::error::ItemFault>,
    pub(crate) repeats: Option<Repeats<'a>>,
}

/// Notes which items of an arrival are to be run again; their receivers hear nothing of them yet.
#[derive(Clone, Copy)]
pub(crate) struct Repeats<'a> {
    pub(crate) queued_task: &'a QueuedTask,
    /// Counted from the arrival's first.
    pub(crate) items: &'a RefCell<Vec<usize>>,
}

impl Repeats<'_> {
    /// Whether an item that failed like this is run again.
    pub(crate) fn takes(&self, item: usize, error: &TaskError) -> bool {
        let is_wanted = self.queued_task.wants_again(error);
        if is_wanted {
            self.items.borrow_mut().push(item);
        }
        is_wanted
    }
}

/// Where a task's bytes are.
pub(crate) enum Store {
    /// Few enough for the slot itself.
    Inline([u8; INLINE_BYTES]),
    Block(HeapBlock),
}

/// A task's bytes: arguments, and room for results behind them.
pub(crate) struct Packed {
    pub(crate) store: Store,
    pub(crate) args_len: usize,
    pub(crate) room: usize,
    pub(crate) items: usize,
    /// Keeps alive what the handles among the arguments refer to, until the member has released it.
    pub(crate) keep_alive: Option<Arc<KeepAlive>>,
}

/// One task.
pub(crate) struct QueuedTask {
    pub(crate) body: TaskBody,
    pub(crate) packed: Packed,
    /// Larger rooms granted while it ran, in the order of their numbers.
    pub(crate) granted: Vec<HeapBlock>,
    pub(crate) receiver: Arc<dyn Receiver>,
    /// The number of its first item.
    pub(crate) first: usize,
    /// Limit of each item.
    pub(crate) limit: Option<Duration>,
    /// What becomes of items that fail; `None` if none is run again.
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    /// How often its items have been run before.
    pub(crate) tries: u32,
    /// When it may be queued, if not at once.
    pub(crate) due: Option<Instant>,
    /// How often it came back with no item begun.
    pub(crate) returns: u32,
    /// Why the last request for a larger room was refused.
    pub(crate) refused: Option<Arc<AllocError>>,
    /// Why it was condemned.
    pub(crate) verdict: Option<TaskError>,
    /// Whether its receiver was informed of the verdict, though a member may still run it.
    pub(crate) is_told: bool,
    pub(crate) queued: u64,
    /// Set if there are handles among the arguments: what they refer to is then released soon after the task
    /// ends.
    pub(crate) eager: Option<EagerGuard>,
    /// What lets its call wind down.
    pub(crate) cancel: Option<CancelToken>,
}

impl QueuedTask {
    /// A task without a limit that is not run again.
    pub(crate) fn new(
        body: TaskBody,
        packed: Packed,
        first: usize,
        receiver: Arc<dyn Receiver>,
    ) -> QueuedTask {
        QueuedTask {
            body,
            packed,
            granted: Vec::new(),
            receiver,
            first,
            limit: None,
            retry: None,
            tries: 0,
            due: None,
            returns: 0,
            refused: None,
            verdict: None,
            is_told: false,
            queued: 0,
            eager: None,
            cancel: None,
        }
    }
}

/// While it lives, the queue's collector is woken for every task. Never outlives the queue.
pub(crate) struct EagerGuard(TaskBoard);

impl EagerGuard {
    pub(crate) fn new(board: TaskBoard) -> EagerGuard {
        board.be_eager();
        EagerGuard(board)
    }
}

impl Drop for EagerGuard {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        self.0.be_easy();
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Numbers for which there is room at first, if their number is unknown.
const FEW: usize = 4096;
/// Scratch larger than this is given back.
const KEEP_SCRATCH: usize = 1 << 20;

impl Packed {
    /// Packs up to `limit` items of `items`, with `room(items)` bytes for results, and stops after one that
    /// cannot be written; the second part says why. An error says how many items were taken from the input
    /// and are lost. With `by_value`, an item with a handle in it cannot be written.
    pub(crate) fn of<A: Argument>(
        items: &mut dyn Iterator<Item = A>,
        limit: usize,
        by_value: bool,
        room: impl Fn(usize) -> usize,
    ) -> Result<(Packed, Option<TaskError>), TaskError> {
        if codec::is_plain::<A>() && limit.saturating_mul(size_of::<A>()) > INLINE_BYTES {
            return Packed::numbers(items, limit, room).map(|packed| (packed, None));
        }
        let mut bytes = with_own(&SCRATCH, std::mem::take);
        bytes.clear();
        let mut count = 0usize;
        let mut append = || {
            for item in items.take(limit) {
                let before = bytes.len();
                let mut append = || guarded("Serialize", || codec::append(&item, &mut bytes));
                let (appended, handle) =
                    if by_value { travel::without_handles(&mut append) } else { (append(), None) };
                if let Err(why) = appended {
                    bytes.truncate(before);
                    let why =
                        handle.map_or(why, |handle| format!("a {handle} is in it: {}", codec::ONE_MACHINE));
                    return Some(TaskError::Codec { item: count, what: "the argument", why });
                }
                count = count.saturating_add(1);
                if needs_drop::<A>() {
                    // It has been written: a panic here harms neither it nor its neighbours.
                    program::call("the destructor of an argument", || drop(item));
                }
            }
            None
        };
        let (bad, keep_alive) = if by_value || codec::is_plain::<A>() {
            (append(), KeepAlive::default())
        } else {
            travel::pack(append)
        };
        let keep_alive = keep_alive.has_handles().then(|| Arc::new(keep_alive));
        if let Some(keep_alive) = &keep_alive {
            keep_alive.append_table(&mut bytes);
        }
        let packed = Packed::copied(&bytes, count, room(count), keep_alive)
            .map_err(|source| memory(count.saturating_add(bad.is_some().into()), source));
        if bytes.capacity() <= KEEP_SCRATCH {
            with_own(&SCRATCH, |own| *own = bytes);
        }
        packed.map(|packed| (packed, bad))
    }

    pub(crate) fn copied(
        bytes: &[u8],
        items: usize,
        room: usize,
        keep_alive: Option<Arc<KeepAlive>>,
    ) -> Result<Packed, AllocError> {
        let args_len = bytes.len();
        let len = args_len.saturating_add(room);
        if len <= INLINE_BYTES {
            let mut inline = [0; INLINE_BYTES];
            inline[..args_len].copy_from_slice(bytes);
            return Ok(Packed { store: Store::Inline(inline), args_len, room, items, keep_alive });
        }
        let block = heap::take(len)?;
        // SAFETY: at least `args_len` bytes, ours alone.
        unsafe { block.ptr().as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), args_len) };
        // All that the block has: what is too small now costs a question later.
        let room = block.len().saturating_sub(args_len);
        Ok(Packed { store: Store::Block(block), args_len, room, items, keep_alive })
    }

    /// Numbers go straight into the block. Its first size is the input's estimate of their number, which may
    /// be wrong.
    fn numbers<A: Argument>(
        items: &mut dyn Iterator<Item = A>,
        limit: usize,
        room: impl Fn(usize) -> usize,
    ) -> Result<Packed, TaskError> {
        let (least, most) = items.size_hint();
        let mut space = most.unwrap_or(least.max(FEW)).min(limit).max(1);
        let mut count = 0usize;
        let mut first = block_for::<A>(space, &room);
        if first.is_err() && space > FEW {
            space = FEW;
            first = block_for::<A>(space, &room);
        }
        // Without room for any, one is lost: what asks again comes to the next.
        let mut block = first.map_err(|source| memory(usize::from(items.next().is_some()), source))?;
        loop {
            let place = block.ptr().cast::<A>();
            for item in items.take(space.saturating_sub(count)) {
                // SAFETY: `count` stays below `space`, for which the block is large enough; blocks are
                // aligned to 128.
                unsafe { place.add(count).write(item) };
                count = count.saturating_add(1);
            }
            if count < space || count == limit {
                break;
            }
            // As many as were announced: whether there are more is asked before more room is made.
            let Some(item) = items.next() else { break };
            let larger = space.saturating_mul(2).min(limit);
            let next =
                block_for::<A>(larger, &room).map_err(|source| memory(count.saturating_add(1), source))?;
            // SAFETY: `count` numbers of the old block, and the new one, which is ours alone, is larger.
            unsafe { next.ptr().cast::<A>().copy_from_nonoverlapping(place, count) };
            // SAFETY: `larger` is more than `count`.
            unsafe { next.ptr().cast::<A>().add(count).write(item) };
            (block, space, count) = (next, larger, count.saturating_add(1));
        }
        let args_len = count.saturating_mul(size_of::<A>());
        let room = block.len().saturating_sub(args_len);
        Ok(Packed { store: Store::Block(block), args_len, room, items: count, keep_alive: None })
    }

    /// Nothing.
    pub(crate) fn empty() -> Packed {
        let store = Store::Inline([0; INLINE_BYTES]);
        Packed { store, args_len: 0, room: 0, items: 0, keep_alive: None }
    }

    /// The same task from item `item` on, whose arguments begin at `at`.
    pub(crate) fn rest(&self, item: usize, at: usize) -> Result<Packed, TaskError> {
        self.part(item, self.items.saturating_sub(item), at..self.arguments_end())
    }

    /// Where the arguments end; what describes the handles in them follows.
    pub(crate) fn arguments_end(&self) -> usize {
        self.args_len
            .saturating_sub(self.keep_alive.as_ref().map_or(0, |keep_alive| keep_alive.table_bytes()))
    }

    /// The same task for `items` items from `item` on, with these bytes of the arguments.
    pub(crate) fn part(&self, item: usize, items: usize, bytes: Range<usize>) -> Result<Packed, TaskError> {
        let room = self.room.checked_div(self.items).unwrap_or(0).saturating_mul(items);
        let copied = || {
            // The member that had the task may keep something of it for long: the rest is a message of its
            // own.
            let keep_alive = self.keep_alive.as_ref().map(|keep_alive| keep_alive.again()).transpose()?;
            let mut arguments = self.arguments().get(bytes).unwrap_or(&[]).to_vec();
            keep_alive.iter().for_each(|keep_alive| keep_alive.append_table(&mut arguments));
            Packed::copied(&arguments, items, room, keep_alive.map(Arc::new))
        };
        copied().map_err(|source| memory(item, source))
    }

    /// The arguments' bytes. Only while no member runs the task.
    pub(crate) fn arguments(&self) -> &[u8] {
        match &self.store {
            Store::Inline(bytes) => &bytes[..self.args_len],
            // SAFETY: the block's own bytes, written before the task was queued; members only read them.
            Store::Block(block) => unsafe { std::slice::from_raw_parts(block.ptr().as_ptr(), self.args_len) },
        }
    }
}

/// Allocates room for this many arguments and their results.
fn block_for<A>(items: usize, room: impl Fn(usize) -> usize) -> Result<HeapBlock, AllocError> {
    heap::take(items.saturating_mul(size_of::<A>()).saturating_add(room(items)))
}

fn memory(item: usize, source: AllocError) -> TaskError {
    TaskError::Memory { item, source: Arc::new(source) }
}

/// Whether workers can find the function.
pub(crate) fn check(body: &TaskBody) -> Result<(), TaskError> {
    [body.entry, body.function].into_iter().try_for_each(|address| {
        code::offset_of(address).map(drop).map_err(|error| TaskError::NoEntry(Arc::new(error.into())))
    })
}

/// Bytes of an item's result, as far as can be guessed.
pub(crate) fn bytes_of_result<R: 'static>(cost: Option<Cost>) -> f64 {
    if codec::is_plain::<R>() {
        return size_of::<R>() as f64;
    }
    cost.map_or(0.0, |cost| cost.bytes).max(size_of::<R>() as f64 * 1.1)
}

/// Room for the results of this many items.
pub(crate) fn room(items: usize, bytes: f64) -> usize {
    (items as f64 * bytes).ceil() as usize
}
