//! `imap`: results of an input that is consumed lazily, a bounded window ahead.
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::fork;
use crate::task::board::SLOTS;
use crate::task::entry::{Argument, Output, TaskBody};
use crate::task::error::TaskError;
use crate::task::here;
use crate::task::job::{decode, runs};
use crate::task::options::Tasks;
use crate::task::queue::TaskQueue;
use crate::task::queued::{self, Arrival, Packed, Receiver};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::iter::{Fuse, FusedIterator};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Default size of the window, in chunks per worker.
const CHUNKS_EACH: usize = 16;
/// Items per chunk if nothing is known of the function, and at most.
const MAX_CHUNK: usize = 4096;
/// Target duration of a chunk. Shorter than a map's, since results are waited for one by one.
const CHUNK_NS: f64 = 20_000.0;
/// Items of the largest window, which is also limited by what the board holds: the input may be endless,
/// whatever window is requested.
const MAX_WINDOW: usize = 1 << 20;

/// The order in which results are yielded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResultOrder {
    OfInput,
    OfCompletion,
}

/// Receives results and keeps them until they are asked for.
struct Stream<R> {
    shelf: Mutex<Shelf<R>>,
    order: ResultOrder,
    /// Items whose results can be yielded now.
    ready: AtomicUsize,
    is_closed: AtomicBool,
}

struct Shelf<R> {
    ready: VecDeque<Result<R, TaskError>>,
    /// In input order: results that came too early, by their first item.
    early: BTreeMap<usize, Vec<Result<R, TaskError>>>,
    next: usize,
}

impl<R> Stream<R> {
    fn put(&self, first: usize, values: Vec<Result<R, TaskError>>) {
        let mut shelf = self.shelf.lock();
        if self.order == ResultOrder::OfCompletion {
            shelf.ready.extend(values);
        } else {
            shelf.early.insert(first, values);
            while let Some(values) = {
                let next = shelf.next;
                shelf.early.remove(&next)
            } {
                shelf.next = shelf.next.saturating_add(values.len());
                shelf.ready.extend(values);
            }
        }
        self.ready.store(shelf.ready.len(), Ordering::Release);
    }

    fn take(&self) -> Option<Result<R, TaskError>> {
        if self.ready.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut shelf = self.shelf.lock();
        let value = shelf.ready.pop_front();
        self.ready.store(shelf.ready.len(), Ordering::Release);
        value
    }
}

impl<R: Output> Receiver for Stream<R> {
    fn deliver(&self, arrival: Arrival<'_>) {
        runs(decode(arrival, Ok)).into_iter().for_each(|(first, values)| self.put(first, values));
    }

    fn fail(&self, first: usize, items: usize, error: TaskError) {
        let errors = (first..first.saturating_add(items)).map(|item| Err(error.clone().of_item(item)));
        self.put(first, errors.collect());
    }

    fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::Relaxed)
    }
}

/// An input whose panic ends it, once everything taken before is submitted.
struct Caught<'i, I> {
    items: &'i mut I,
    panic: Option<Box<dyn Any + Send>>,
}

impl<I: Iterator> Iterator for Caught<'_, I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        if self.panic.is_some() {
            return None;
        }
        catch_unwind(AssertUnwindSafe(|| self.items.next())).unwrap_or_else(|payload| {
            self.panic = Some(payload);
            None
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

/// An iterator over the results of a lazily consumed input; returned by [`Pool::imap`](crate::Pool::imap) and
/// [`Pool::imap_unordered`](crate::Pool::imap_unordered).
///
/// Yields each item's result or error. At most one window of items is in progress, counted from the oldest
/// item whose result has not been yielded yet. So the input may be endless, and a slow consumer slows the
/// workers down. Dropping the iterator drops the tasks that have not begun; running ones finish.
#[must_use = "the iterator does nothing until it is advanced"]
pub struct Imap<'p, I, A, R> {
    tasks: Tasks<'p>,
    function: fn(A) -> R,
    items: Fuse<I>,
    stream: Arc<Stream<R>>,
    /// The same stream, as the queue knows it.
    receiver: Arc<dyn Receiver>,
    chunk: usize,
    window: usize,
    bytes: f64,
    /// Items taken from the input, and results yielded.
    taken: usize,
    given: usize,
    is_exhausted: bool,
    /// The total number of items, if the input reports it correctly.
    len: Option<usize>,
}

impl<'p, A: Argument, R: Output, I: Iterator<Item = A>> Imap<'p, I, A, R> {
    pub(crate) fn new(
        tasks: Tasks<'p>,
        function: fn(A) -> R,
        items: I,
        order: ResultOrder,
    ) -> Imap<'p, I, A, R> {
        let (least, most) = items.size_hint();
        let len = most.filter(|most| *most == least);
        let shelf = Mutex::new(Shelf { ready: VecDeque::new(), early: BTreeMap::new(), next: 0 });
        let (ready, is_closed) = (AtomicUsize::new(0), AtomicBool::new(false));
        // In a fork of the program's own nothing is begun, and the queue's locks may be held.
        let cost = tasks
            .queue
            .filter(|_| !fork::is_foreign())
            .and_then(|queue| queue.costs.of(TaskBody::of(function).key()));
        let by_time = cost.map_or(1, |cost| (CHUNK_NS / cost.ns.max(0.1)) as usize);
        let chunk = tasks.options.chunksize.unwrap_or(by_time.clamp(1, MAX_CHUNK));
        let workers = tasks.queue.map_or(1, |queue| queue.workers());
        let ahead = chunk.saturating_mul(CHUNKS_EACH).saturating_mul(workers);
        let most = chunk.saturating_mul(SLOTS).min(MAX_WINDOW);
        let window = tasks.options.window.unwrap_or(ahead).min(most);
        let stream = Arc::new(Stream { shelf, order, ready, is_closed });
        let receiver: Arc<dyn Receiver> = stream.clone();
        if let Some(queue) = tasks.queue.filter(|_| !fork::is_foreign()) {
            tasks.listen(queue, &receiver);
        }
        Imap {
            function,
            items: items.fuse(),
            receiver,
            stream,
            chunk: chunk.min(window),
            window,
            bytes: queued::bytes_of_result::<R>(cost),
            taken: 0,
            given: 0,
            is_exhausted: false,
            len,
            tasks,
        }
    }

    /// Items under way, or done and not given yet.
    fn ahead(&self) -> usize {
        self.taken.saturating_sub(self.given)
    }

    /// Why no item begins any more.
    fn over(&self) -> Option<TaskError> {
        if self.tasks.is_closed() {
            return Some(TaskError::PoolClosed);
        }
        self.tasks.is_cancelled().then_some(TaskError::Cancelled { item: 0 })
    }

    /// Takes items while the window has room, half a window at a time.
    fn refill(&mut self, queue: &Arc<TaskQueue>) {
        if self.is_exhausted || self.ahead() > self.window / 2 {
            return;
        }
        if let Some(error) = self.over() {
            // Reported once, however long the input is.
            self.stream.fail(self.taken, 1, error);
            self.taken = self.taken.saturating_add(1);
            self.is_exhausted = true;
            return;
        }
        let (body, by_value) = (TaskBody::of(self.function), queue.remote.get().is_some());
        let mut queued_tasks = Vec::new();
        let until = self.given.saturating_add(self.window);
        let mut items = Caught { items: &mut self.items, panic: None };
        while !self.is_exhausted && items.panic.is_none() && self.taken < until {
            let limit = self.chunk.min(until.saturating_sub(self.taken));
            let (first, bytes) = (self.taken, self.bytes);
            let packed = queued::check(&body)
                .and_then(|()| Packed::of(&mut items, limit, by_value, |items| queued::room(items, bytes)));
            match packed {
                Ok((packed, None)) if packed.items == 0 => self.is_exhausted = items.panic.is_none(),
                Ok((packed, bad)) => {
                    self.taken = first.saturating_add(packed.items);
                    if packed.items > 0 {
                        queued_tasks.push(self.tasks.queued_task(body, packed, first, self.stream.clone()));
                    }
                    if let Some(error) = bad {
                        self.stream.fail(self.taken, 1, error);
                        self.taken = self.taken.saturating_add(1);
                    }
                }
                Err(error) => {
                    let is_unknown = queued::check(&body).is_err();
                    // Taken from the input; of a function that workers cannot find, the error is the first
                    // item's.
                    let lost = error.item().unwrap_or(usize::from(is_unknown));
                    self.stream.fail(first, lost, error);
                    self.taken = first.saturating_add(lost);
                    self.is_exhausted |= is_unknown || lost == 0;
                }
            }
        }
        let panic = items.panic;
        queue.submit(queued_tasks);
        if self.tasks.is_cancelled() {
            // They were submitted meanwhile.
            queue.wind_down(&self.receiver);
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Returns the next result if it arrives within `patience`. Otherwise returns `Some(Err(NotReady))`; the
    /// item is not lost.
    pub fn next_timeout(&mut self, patience: Duration) -> Option<Result<R, TaskError>> {
        self.advance(Instant::now().checked_add(patience), patience)
    }

    fn advance(&mut self, deadline: Option<Instant>, waited: Duration) -> Option<Result<R, TaskError>> {
        if fork::is_foreign() {
            // Once, and then no more.
            return (!std::mem::replace(&mut self.is_exhausted, true)).then_some(Err(TaskError::Forked));
        }
        let value = match self.tasks.queue {
            None => self.run_here()?,
            Some(queue) => {
                self.refill(queue);
                if self.given == self.taken {
                    return None;
                }
                let stream = &self.stream;
                let is_there = || stream.ready.load(Ordering::Acquire) > 0;
                if !is_there() && !queue.wait_until(deadline, is_there) {
                    return Some(Err(TaskError::NotReady { waited }));
                }
                self.stream.take()?
            }
        };
        self.given = self.given.saturating_add(1);
        let len = if self.is_exhausted { Some(self.taken) } else { self.len };
        here::tell(&self.tasks, self.given, len);
        Some(value)
    }

    /// The next result, where tasks run in the caller. A closed pool refuses one item, and takes none.
    fn run_here(&mut self) -> Option<Result<R, TaskError>> {
        if self.is_exhausted {
            return None;
        }
        if let Some(error) = self.over() {
            self.is_exhausted = true;
            return Some(Err(error.of_item(self.given)));
        }
        let item = self.items.next();
        self.is_exhausted = item.is_none();
        self.taken = self.taken.saturating_add(usize::from(item.is_some()));
        Some(here::run_item(&self.tasks, &self.function, Ok, self.given, item?))
    }
}

impl<A: Argument, R: Output, I: Iterator<Item = A>> Iterator for Imap<'_, I, A, R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance(None, Duration::MAX)
    }
}

impl<A: Argument, R: Output, I: Iterator<Item = A>> FusedIterator for Imap<'_, I, A, R> {}

impl<I, A, R> Drop for Imap<'_, I, A, R> {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        self.stream.is_closed.store(true, Ordering::Relaxed);
        if let Some(queue) = self.tasks.queue {
            queue.take_back(&self.receiver);
        }
    }
}
