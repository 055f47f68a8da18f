//! Settles a task that did not finish: completed items keep their outcome, the item in progress is lost, and
//! the rest runs elsewhere.
//!
//! This holds whichever way the task ended: its member died, it exceeded the time limit, or it found no room
//! for results.
//!
//! # Safety
//! A slot's bytes, and a task's blocks, are read after its state said that the member is done with it, after
//! that member's death was confirmed, or as far as a living thread has counted them, which writes only
//! between those. Lengths that a member wrote are compared with what the driver provided (README.md, rules 2
//! and 4).
#![deny(clippy::arithmetic_side_effects)]
#![allow(unsafe_code)]

use crate::base::atomic::Ordering;
use crate::handle::results::ResultKeep;
use crate::launch::cancel::CancelToken;
use crate::task::calls::discard;
use crate::task::error::{ItemFault, TaskError};
use crate::task::queue::TaskQueue;
use crate::task::queued::{Arrival, Packed, QueuedTask, Repeats, Store};
use crate::task::remote::{Failure, Piece};
use crate::task::results;
use std::borrow::Cow;
use std::cell::RefCell;
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
    done: usize,
    results: Cow<'a, [u8]>,
    faults: Vec<ItemFault>,
    /// Why the item after those that are done has none, though it was begun.
    broken_off: Option<TaskError>,
    /// Items that have no result, from this one on, and are not run again.
    lost: Option<(usize, usize, TaskError)>,
    rest: Option<QueuedTask>,
    source: Source<'a>,
    /// What the results lead to, where the task's slot does not keep it.
    kept: ResultKeep,
}

/// The task that is settled.
enum Source<'a> {
    Itself(&'a QueuedTask),
    /// A copy, since it may be gone.
    Copy(Box<QueuedTask>),
}

impl Settlement<'_> {
    /// Informs the receiver. Returns what is to be run elsewhere, or again.
    pub(crate) fn tell(self, queue: &Arc<TaskQueue>) -> Vec<QueuedTask> {
        let Settlement { done, results, faults, broken_off, lost, rest, source, kept } = self;
        let queued_task = match &source {
            Source::Itself(queued_task) => *queued_task,
            Source::Copy(queued_task) => &**queued_task,
        };
        let mut again: Vec<QueuedTask> = rest.into_iter().collect();
        again.extend(queue.report(queued_task, done, &results, faults, broken_off));
        if let Some((first, items, error)) = lost {
            queue.tell(&queued_task.receiver, |receiver| receiver.fail(first, items, error.of_item(first)));
        }
        if let Source::Copy(queued_task) = source {
            discard(queued_task);
        }
        drop(kept);
        again
    }

    /// The same, without a reference to the task or its memory; `kept` is what the results lead to.
    pub(crate) fn into_owned(self, kept: ResultKeep) -> Settlement<'static> {
        let Settlement { done, results, faults, broken_off, lost, rest, source, .. } = self;
        let source = match source {
            Source::Itself(queued_task) => queued_task.copy(),
            Source::Copy(queued_task) => queued_task,
        };
        let (results, source) = (Cow::Owned(results.into_owned()), Source::Copy(source));
        Settlement { done, results, faults, broken_off, lost, rest, source, kept }
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
        queued_task: &'a QueuedTask,
        account: Result<Account<'a>, TaskError>,
        why: TaskError,
    ) -> Settlement<'a> {
        let (first, items) = (queued_task.first, queued_task.packed.items);
        let source = Source::Itself(queued_task);
        let Account { done, begun, results, faults, next } = match account {
            Ok(account) => account,
            Err(error) => {
                let (results, lost) = (Cow::Borrowed(&[][..]), Some((first, items, error)));
                let (faults, broken_off, rest) = (Vec::new(), None, None);
                let kept = ResultKeep::new();
                return Settlement { done: 0, results, faults, broken_off, lost, rest, source, kept };
            }
        };
        if begun > done || !faults.is_empty() {
            self.costs.note_bad_end(queued_task.body.key());
        }
        let of_memory = queued_task.refused.clone().map(|source| TaskError::Memory { item: 0, source });
        let verdict = queued_task.verdict.clone().or(of_memory);
        let is_cancelled = matches!(verdict, Some(TaskError::Cancelled { .. }));
        let error = verdict.unwrap_or(why);
        let broken_off = (begun > done).then(|| error.clone());
        let (from, at) = if begun > done { (begun, next[1]) } else { (done, next[0]) };
        let returns = if begun == 0 { queued_task.returns.saturating_add(1) } else { 0 };
        let (mut rest, mut lost) = (None, None);
        if from < items {
            let packed = if queued_task.is_cancelled() {
                Err(TaskError::Cancelled { item: 0 })
            } else if is_cancelled || returns > MAX_RETURNS {
                Err(error)
            } else {
                queued_task.packed.rest(from, at)
            };
            match packed {
                Ok(packed) => rest = Some(queued_task.again(packed, first.saturating_add(from), returns)),
                Err(error) => lost = Some((first.saturating_add(from), items.saturating_sub(from), error)),
            }
        }
        let (results, kept) = (Cow::Borrowed(results), ResultKeep::new());
        Settlement { done, results, faults, broken_off, lost, rest, source, kept }
    }

    /// Informs a task's receiver of its first `done` items, and of the one after them if it was broken off.
    /// Returns those that are to be run again.
    pub(crate) fn report(
        self: &Arc<TaskQueue>,
        queued_task: &QueuedTask,
        done: usize,
        results: &[u8],
        faults: Vec<ItemFault>,
        broken_off: Option<TaskError>,
    ) -> Vec<QueuedTask> {
        let (first, receiver) = (queued_task.first, &queued_task.receiver);
        let repeated = RefCell::new(Vec::new());
        if done > 0 {
            let repeats = queued_task.retry.as_ref().map(|_| Repeats { queued_task, items: &repeated });
            let host = self.host();
            let arrival = Arrival { first, items: done, host, results, faults, repeats };
            self.tell(receiver, |receiver| receiver.deliver(arrival));
        }
        let mut repeated = repeated.into_inner();
        if let Some(error) = broken_off {
            let number = first.saturating_add(done);
            let error = error.of_item(number);
            if queued_task.wants_again(&error) {
                repeated.push(done);
            } else {
                self.tell(receiver, |receiver| receiver.fail(number, 1, error));
            }
        }
        self.again(queued_task, &repeated)
    }

    /// As [`Self::report`], for what another machine answers. Items that it says nothing of have no result.
    pub(crate) fn report_answer(
        self: &Arc<TaskQueue>,
        queued_task: &QueuedTask,
        host: &str,
        pieces: Vec<Piece<'_>>,
        failures: Vec<Failure>,
    ) -> Vec<QueuedTask> {
        let (first, receiver) = (queued_task.first, &queued_task.receiver);
        let told = pieces.iter().map(|piece| (piece.first, piece.items));
        let told = told.chain(failures.iter().map(|(at, items, _)| (*at, *items))).collect();
        let unheard = unheard(queued_task.packed.items, told, host);
        let mut repeated = Vec::new();
        for Piece { first: at, items, results, faults } in pieces {
            if !faults.is_empty() {
                self.costs.note_bad_end(queued_task.body.key());
            }
            let own = RefCell::new(Vec::new());
            let repeats = queued_task.retry.as_ref().map(|_| Repeats { queued_task, items: &own });
            let arrival = Arrival { first: first.saturating_add(at), items, host, results, faults, repeats };
            self.tell(receiver, |receiver| receiver.deliver(arrival));
            repeated.extend(own.into_inner().into_iter().map(|item| item.saturating_add(at)));
        }
        for (at, items, error) in failures.into_iter().chain(unheard) {
            self.costs.note_bad_end(queued_task.body.key());
            for item in at..at.saturating_add(items) {
                let number = first.saturating_add(item);
                let error = error.clone().of_item(number);
                if queued_task.wants_again(&error) {
                    repeated.push(item);
                } else {
                    self.tell(receiver, |receiver| receiver.fail(number, 1, error));
                }
            }
        }
        repeated.sort_unstable();
        self.again(queued_task, &repeated)
    }

    /// Makes tasks of items that are to be run again.
    fn again(self: &Arc<TaskQueue>, queued_task: &QueuedTask, repeated: &[usize]) -> Vec<QueuedTask> {
        let mut again = Vec::new();
        for one in queued_task.once_more(repeated) {
            match one {
                Ok(queued_task) => again.push(queued_task),
                Err((number, error)) => {
                    self.tell(&queued_task.receiver, |receiver| receiver.fail(number, 1, error));
                }
            }
        }
        again
    }
}

/// The items of which an answer says nothing: it names these ranges.
fn unheard(items: usize, mut told: Vec<(usize, usize)>, host: &str) -> Vec<Failure> {
    told.sort_unstable();
    told.push((items, 0));
    let mut next = 0usize;
    let gaps = told.into_iter().map(|(at, len)| {
        let gap = (next, at.saturating_sub(next));
        next = next.max(at.saturating_add(len));
        gap
    });
    let gaps: Vec<_> = gaps.filter(|(_, len)| *len > 0).collect();
    let error = |item| TaskError::Machine { item, host: host.into(), why: "its answer is not whole".into() };
    gaps.into_iter().map(|(at, len)| (at, len, error(at))).collect()
}

impl QueuedTask {
    /// Whether its call winds down.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(CancelToken::is_cancelled)
    }

    /// Whether an item of it that failed like this is run again.
    pub(crate) fn wants_again(&self, error: &TaskError) -> bool {
        let may = self.receiver.is_open() && !self.is_cancelled();
        self.retry.as_ref().is_some_and(|retry| may && retry.wants(self.tries, error))
    }

    /// Each of these items, in ascending order, as a task of its own; or why there can be none.
    fn once_more(&self, items: &[usize]) -> Vec<Result<QueuedTask, (usize, TaskError)>> {
        let end = self.packed.arguments_end();
        let mut rest = self.packed.arguments().get(..end).unwrap_or(&[]);
        let mut passed = 0usize;
        let mut one = |item: usize| {
            let mut bytes = end..end;
            while passed <= item {
                bytes.start = end.saturating_sub(rest.len());
                // The driver wrote them: they are all there.
                let _own = (self.body.split)(&mut rest);
                passed = passed.saturating_add(1);
            }
            bytes.end = end.saturating_sub(rest.len());
            let number = self.first.saturating_add(item);
            let packed = self.packed.part(item, 1, bytes).map_err(|error| (number, error.of_item(number)))?;
            let due = self.retry.as_ref().and_then(|retry| retry.due(self.tries));
            Ok(QueuedTask { tries: self.tries.saturating_add(1), due, ..self.again(packed, number, 0) })
        };
        items.iter().map(|item| one(*item)).collect()
    }

    /// The task without its progress, to look at when the original may be gone. Without memory for a copy of
    /// the arguments, nothing of it is run again; what they lead to is kept all the same, as results may.
    fn copy(&self) -> Box<QueuedTask> {
        let arguments = self.retry.as_ref().and_then(|_| self.packed.rest(0, 0).ok());
        let is_whole = arguments.is_some();
        let nothing = || Packed { keep_alive: self.packed.keep_alive.clone(), ..Packed::empty() };
        let copy = self.again(arguments.unwrap_or_else(nothing), self.first, 0);
        Box::new(QueuedTask { retry: self.retry.clone().filter(|_| is_whole), ..copy })
    }

    /// The same for other items, after this many fruitless returns.
    fn again(&self, packed: Packed, first: usize, returns: u32) -> QueuedTask {
        let (retry, cancel) = (self.retry.clone(), self.cancel.clone());
        let plain = QueuedTask::new(self.body, packed, first, self.receiver.clone());
        QueuedTask { limit: self.limit, retry, tries: self.tries, returns, cancel, ..plain }
    }
}
