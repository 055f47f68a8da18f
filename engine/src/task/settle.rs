//! Settles a task that did not finish: completed items keep their outcome, the item in progress is lost, and
//! the rest runs elsewhere.
//!
//! This holds whichever way the task ended: its member died, it exceeded the time limit, or it found no room
//! for results.
//!
//! # Safety
//! A slot's bytes, and a task's blocks, are read after its state said that the member is done with it, after
//! that member's death was confirmed, or as far as a living thread has counted them, which writes only
//! between those. Lengths that a member wrote are compared with what the driver gave (README.md, rules 2 and
//! 4).
#![deny(clippy::arithmetic_side_effects)]
#![allow(unsafe_code)]

use crate::base::atomic::Ordering;
use crate::task::calls::discard;
use crate::task::error::{ItemFault, TaskError};
use crate::task::queue::TaskQueue;
use crate::task::queued::{Arrival, Packed, QueuedTask, Receiver, Store};
use crate::task::results;
use std::borrow::Cow;
use std::sync::Arc;

/// How often a task may come back without an item begun.
const MAX_RETURNS: u32 = 3;

/// How far a task has come.
pub(crate) struct Account<'a> {
    /// Items with an outcome.
    pub(crate) done: usize,
    /// Items begun: `done`, or one more.
    pub(crate) begun: usize,
    pub(crate) results: &'a [u8],
    /// Of the items that are done.
    pub(crate) faults: Vec<ItemFault>,
    /// Where the arguments begin of the item after those that are done, and of the one after that.
    next: [usize; 2],
}

/// What to report of a task, and what is left of it.
pub(crate) struct Settlement<'a> {
    receiver: Arc<dyn Receiver>,
    first: usize,
    done: usize,
    results: Cow<'a, [u8]>,
    faults: Vec<ItemFault>,
    /// Items that have no result, from this one on.
    lost: Vec<(usize, usize, TaskError)>,
    rest: Option<QueuedTask>,
}

impl Settlement<'_> {
    /// Informs the receiver. Returns what is to be run elsewhere.
    pub(crate) fn tell(self, queue: &Arc<TaskQueue>) -> Option<QueuedTask> {
        let Settlement { receiver, first, done, results, faults, lost, rest } = self;
        if done > 0 {
            let arrival = Arrival { first, items: done, results: &results, faults };
            queue.tell(&receiver, |receiver| receiver.deliver(arrival));
        }
        for (first, items, error) in lost {
            queue.tell(&receiver, |receiver| receiver.fail(first, items, error.of_item(first)));
        }
        discard(receiver);
        rest
    }

    /// The same, without a reference to the task's memory.
    pub(crate) fn into_owned(self) -> Settlement<'static> {
        Settlement { results: Cow::Owned(self.results.into_owned()), ..self }
    }

    /// Takes what is left, so that it can be queued again before the receiver is informed.
    pub(crate) fn take_rest(&mut self) -> Option<QueuedTask> {
        self.rest.take()
    }
}

impl TaskQueue {
    /// How far the task in slot `index` has come.
    pub(crate) fn account<'a>(
        &'a self,
        index: usize,
        queued_task: &'a QueuedTask,
    ) -> Result<Account<'a>, TaskError> {
        let slot = self.board.slot(index);
        let (done, begun) = slot.progress();
        let len = |word: u64| usize::try_from(word).unwrap_or(usize::MAX);
        // Acquire: a living thread may have counted more meanwhile, and wrote it before.
        let written = len(slot.written.load(Ordering::Acquire));
        let faulted = len(slot.faulted.load(Ordering::Acquire));
        let next = [0, 1].map(|more| len(slot.next[done.wrapping_add(more) % 2].load(Ordering::Relaxed)));
        let corrupt = |what: &str| TaskError::Corrupt { item: queued_task.first, what: what.into() };
        if begun > queued_task.packed.items || begun.saturating_sub(done) > 1 {
            return Err(corrupt("its items were counted wrongly"));
        }
        let home = slot.home.load(Ordering::Acquire) as usize;
        let (base, size) =
            self.room(index, queued_task, home).ok_or_else(|| corrupt("its results are nowhere"))?;
        if written.checked_add(faulted).is_none_or(|used| used > size) {
            return Err(corrupt("its results do not fit where they are said to be"));
        }
        // SAFETY: the first bytes of the room, which the queued task holds; see the module's argument.
        let results = unsafe { std::slice::from_raw_parts(base, written) };
        // SAFETY: the last bytes of the room, likewise.
        let faults = unsafe { std::slice::from_raw_parts(base.add(size.saturating_sub(faulted)), faulted) };
        let mut faults = results::read_faults(faults).ok_or_else(|| corrupt("its faults cannot be read"))?;
        // The last may be of an item whose end was not counted any more.
        faults.retain(|fault| (fault.item as usize) < done);
        Ok(Account { done, begun, results, faults, next })
    }

    /// A room of the task, and its size: its own, or one that was granted.
    fn room(&self, index: usize, queued_task: &QueuedTask, home: usize) -> Option<(*const u8, usize)> {
        if let Some(grant) = home.checked_sub(1) {
            let block = queued_task.granted.get(grant)?;
            return Some((block.ptr().as_ptr(), block.len()));
        }
        let packed = &queued_task.packed;
        let base = match &packed.store {
            Store::Block(block) => block.ptr().as_ptr(),
            Store::Inline(_) => self.board.inline_bytes(index),
        };
        Some((base.wrapping_add(packed.args_len), packed.room))
    }

    /// Settles a task that ended after some of its items. `why` is the error of the item in progress, unless
    /// there is a verdict.
    pub(crate) fn settle<'a>(
        &self,
        queued_task: &QueuedTask,
        account: Result<Account<'a>, TaskError>,
        why: TaskError,
    ) -> Settlement<'a> {
        let (first, items) = (queued_task.first, queued_task.packed.items);
        let receiver = queued_task.receiver.clone();
        let Account { done, begun, results, faults, next } = match account {
            Ok(account) => account,
            Err(error) => {
                let (results, lost) = (Cow::Borrowed(&[][..]), vec![(first, items, error)]);
                return Settlement {
                    receiver,
                    first,
                    done: 0,
                    results,
                    faults: Vec::new(),
                    lost,
                    rest: None,
                };
            }
        };
        if begun > done || !faults.is_empty() {
            self.costs.note_bad_end(queued_task.body.key());
        }
        let of_memory = queued_task.refused.clone().map(|source| TaskError::Memory { item: 0, source });
        let verdict = queued_task.verdict.clone().or(of_memory);
        let may_retry = verdict.is_none() && queued_task.retries > 0 && begun > done;
        let is_cancelled = matches!(verdict, Some(TaskError::Cancelled { .. }));
        let error = verdict.unwrap_or(why);
        let mut lost = Vec::new();
        let (from, at) = if begun > done && !may_retry {
            lost.push((first.saturating_add(done), 1, error.clone()));
            (begun, next[1])
        } else {
            (done, next[0])
        };
        let returns = if begun == 0 { queued_task.returns.saturating_add(1) } else { 0 };
        let counts = (queued_task.retries.saturating_sub(may_retry.into()), returns);
        let mut rest = None;
        if from < items {
            let packed = if is_cancelled || counts.1 > MAX_RETURNS {
                Err(error)
            } else {
                queued_task.packed.rest(from, at)
            };
            match packed {
                Ok(packed) => rest = Some(queued_task.again(packed, first.saturating_add(from), counts)),
                Err(error) => lost.push((first.saturating_add(from), items.saturating_sub(from), error)),
            }
        }
        Settlement { receiver, first, done, results: Cow::Borrowed(results), faults, lost, rest }
    }
}

impl QueuedTask {
    /// The same for other items, with this many retries left and this many fruitless returns.
    fn again(&self, packed: Packed, first: usize, (retries, returns): (u32, u32)) -> QueuedTask {
        QueuedTask {
            body: self.body,
            packed,
            granted: Vec::new(),
            refused: None,
            receiver: self.receiver.clone(),
            first,
            limit: self.limit,
            retries,
            returns,
            verdict: None,
            is_told: false,
            queued: 0,
            eager: None,
        }
    }
}
