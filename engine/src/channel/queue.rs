//! `Queue`: items from any thread to any thread, through shared memory.
//!
//! # Safety
//! A queue's place is one block of a shape that its maker noted; `Base::open` compares both. Buffers are read
//! only as far as they were written.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::claimed::{Claimed, Held};
use super::codec::{self, Message};
use super::core::{Core, SMALL, Taken};
use super::error::{QueueError, Refused};
use super::word::{ALIGN, Base, Control, JOINABLE, REDELIVER, Shape, repair};
use crate::base::atomic::Ordering;
use crate::base::with_own;
use crate::sync::Patience;
use crate::sync::place::{self, CreateError, Place, Remote, travels};
use crate::sys::fork;
use crate::sys::memory::page_size;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Default size of the area. Address space only: memory is allocated as items come.
const ROOM_BYTES: usize = 1 << 30;
/// If address space is limited and no size was requested, smaller areas are tried down to this one.
const SMALLEST_ROOM_BYTES: usize = 1 << 20;
/// The largest encoding buffer that a thread keeps.
const SCRATCH_BYTES: usize = 1 << 20;

/// What happens to an item whose reader is killed before its `get` has returned, or while it holds the item
/// in a [`Claimed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// The item goes back to the front of the queue. An item taken with `get` has not been seen then, so each
    /// item is still seen once. (Only at the very end of `get`, when the item is already removed and on its
    /// way to the caller, it is lost instead, and counted by [`Queue::lost`].) An item in a [`Claimed`] may
    /// have been processed already, and is processed again.
    #[default]
    AtLeastOnce,
    /// The item is lost, and counted by [`Queue::lost`].
    AtMostOnce,
}

/// The options of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueOptions {
    /// The number of items that may wait at one time; 0: no limit other than the bytes.
    pub maxsize: usize,
    /// The number of bytes that the encoded items may take together, rounded up to a power of two; 0: a
    /// gigabyte, or less if the process's address space is limited. Memory is allocated as items come and
    /// freed as the queue empties.
    pub capacity_bytes: usize,
    /// What happens to an item whose reader dies.
    pub delivery: Delivery,
}

/// A queue of items of any serde type, shared by all threads of the driver and its workers.
///
/// Any number of writers and readers may use it. Items of one writer come out in the order in which it put
/// them. A handle is cheap to clone, can be an operand of launches, and travels in arguments of tasks. `put`
/// copies an item into shared memory and `get` copies it out: vectors of plain numbers as they are,
/// everything else in a self-describing format.
///
/// **If a writer is killed** during `put`, its item is not put, and all others stay in order. **If a reader
/// is killed** during `get`, its item goes back to the front or is counted as lost; see [`Delivery`]. No
/// reader ever sees half an item, and no call waits for a dead process.
///
/// ```
/// use phalanx::channel::{Queue, QueueError};
///
/// let queue = Queue::<(u32, String)>::bounded(2)?;
/// queue.put(&(1, "one".into()))?;
/// queue.put(&(2, "two".into()))?;
/// assert!(matches!(queue.try_put(&(3, "three".into())), Err(QueueError::Full { .. })));
/// queue.close();
/// let all: Result<Vec<_>, _> = queue.iter().collect();
/// assert_eq!(all?, [(1, "one".to_owned()), (2, "two".to_owned())]);
/// assert!(matches!(queue.get(), Err(QueueError::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Between workers, as an operand:
///
/// ```
/// use phalanx::{Pool, channel::Queue};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().workers(2).build()?;
/// let squares = Queue::<(usize, usize)>::new()?;
/// pool.for_each((0..100, &squares), |(range, squares)| {
///     for i in range {
///         squares.put(&(i, i * i)).expect("there is room");
///     }
/// })?;
/// let mut all: Vec<_> = squares.try_iter().collect::<Result<_, _>>()?;
/// all.sort_unstable();
/// assert_eq!(all[9], (9, 81));
/// # Ok(())
/// # }
/// ```
///
/// [`Queue::pair`] makes a queue that ends when its last writer is gone, and needs no `close`.
#[doc(alias("multiprocessing.Queue", "mpmc", "channel"))]
pub struct Queue<T> {
    pub(super) place: Place,
    core: Option<Core>,
    _items: PhantomData<fn(T) -> T>,
}

// SAFETY: the block is this shape's, which `of` checks, and everything in it is atomics or under lock and
// claim.
unsafe impl<T: Message> Remote for Queue<T> {
    type Words = Control;
    type Value = T;
    const WHAT: &'static str = "queue";
    const ALIGN: usize = ALIGN;

    fn fits(len_bytes: usize) -> bool {
        len_bytes >= size_of::<Control>()
    }
    fn place(&self) -> &Place {
        &self.place
    }
    fn of(place: Place) -> Self {
        // SAFETY: the place is one of this kind, at least as long as the control words.
        let base = unsafe { Base::open(place.base(), place.len_bytes(), page_size()) };
        Queue { place, core: base.map(|base| Core { base }), _items: PhantomData }
    }
}

travels!([T: Message] Queue<T>);

/// Makes the block of a queue, with ends or without.
pub(super) fn make<H: Remote<Words = Control>>(
    what: &'static str,
    options: QueueOptions,
    kind: u32,
) -> Result<Place, CreateError> {
    let flags = kind | if options.delivery == Delivery::AtLeastOnce { REDELIVER } else { 0 };
    let maxsize = if options.maxsize == 0 { u64::MAX } else { options.maxsize as u64 };
    let page = page_size();
    let mut capacity = if options.capacity_bytes == 0 { ROOM_BYTES } else { options.capacity_bytes };
    loop {
        let too_big = || crate::memory::AllocError::TooBig { shape: format!("{capacity}"), element_bytes: 1 };
        let shape = Shape::new(capacity, maxsize, flags, page);
        let len = shape.and_then(|shape| Some((shape, shape.block_bytes(page)?)));
        let (shape, len) = len.ok_or_else(|| CreateError::new(what, capacity, too_big()))?;
        // SAFETY: `make_sparse` gives the start of the zeroed block before anybody else knows it.
        let note = |at| unsafe { Base::note(at, shape) };
        match place::make_sparse::<H>(what, len, shape.area_offset(page), note, Some(repair)) {
            Err(_) if options.capacity_bytes == 0 && capacity > SMALLEST_ROOM_BYTES => capacity /= 2,
            made => return made,
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's buffer, or a new one if an item's own code puts another item.
pub(super) fn with_scratch<R>(use_it: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut scratch = with_own(&SCRATCH, std::mem::take);
    let result = use_it(&mut scratch);
    if scratch.capacity() <= SCRATCH_BYTES {
        with_own(&SCRATCH, |own| *own = scratch);
    }
    result
}

impl<T: Message> Queue<T> {
    /// Makes a queue without a limit on the number of items.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new() -> Result<Queue<T>, CreateError> {
        Queue::with_options(QueueOptions::default())
    }

    /// Makes a queue in which at most `maxsize` items wait (0: no limit).
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn bounded(maxsize: usize) -> Result<Queue<T>, CreateError> {
        Queue::with_options(QueueOptions { maxsize, ..QueueOptions::default() })
    }

    /// Makes a queue whose items take at most about `capacity_bytes` together, rounded up to a power of two.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn with_capacity_bytes(capacity_bytes: usize) -> Result<Queue<T>, CreateError> {
        Queue::with_options(QueueOptions { capacity_bytes, ..QueueOptions::default() })
    }

    /// Makes a queue with these options.
    ///
    /// Cost: address space for the capacity, and memory for its tables: 75 KiB for a gigabyte. A process has
    /// 8 TiB for all its queues, pipes and other shared objects, enough for about 8000 queues of a gigabyte
    /// or 100,000 of 64 MiB; less if its address space is limited. A queue that asks for no capacity gets
    /// less than a gigabyte if that much is not available.
    ///
    /// # Errors
    /// As [`Queue::new`].
    pub fn with_options(options: QueueOptions) -> Result<Queue<T>, CreateError> {
        Ok(Queue::of(make::<Queue<T>>("queue", options, 0)?))
    }

    pub(super) fn joinable(options: QueueOptions) -> Result<Queue<T>, CreateError> {
        Ok(Queue::of(make::<Queue<T>>("queue", options, JOINABLE)?))
    }

    pub(super) fn core(&self) -> Result<&Core, QueueError> {
        if fork::is_foreign() {
            return Err(QueueError::Forked);
        }
        let noted = || self.control().shape[0].load(Ordering::Relaxed);
        self.core.as_ref().ok_or_else(|| QueueError::Corrupt { what: "shape", seen: noted() })
    }

    pub(super) fn control(&self) -> &Control {
        Remote::words(self)
    }

    /// Appends an item. Blocks while there is no room.
    ///
    /// Cost: one pass through a lock and one copy of the encoded item; two passes for large items, which are
    /// copied outside the lock. A system call is made only if a reader sleeps that could take the item.
    ///
    /// # Errors
    /// - [`QueueError::Closed`]: the queue was closed, perhaps while this call waited.
    /// - [`QueueError::TooBig`]: the item is larger than the queue can hold.
    /// - [`QueueError::NoMemory`]: the system has no memory for it.
    /// - [`QueueError::Handle`]: the item contains a handle of a shared object.
    /// - [`QueueError::Encode`]: the item cannot be encoded.
    /// - [`QueueError::Corrupt`]: the words in shared memory were overwritten.
    pub fn put(&self, item: &T) -> Result<(), QueueError> {
        self.put_with(item, Patience::Forever)
    }

    /// Like [`Queue::put`], but waits at most `timeout` for room.
    ///
    /// # Errors
    /// As [`Queue::put`], and [`QueueError::Full`] if there was no room in time.
    pub fn put_timeout(&self, item: &T, timeout: Duration) -> Result<(), QueueError> {
        self.put_with(item, Patience::of(timeout))
    }

    /// Appends an item if there is room. Does not wait for room, but like [`Queue::try_get`] perhaps for the
    /// lock.
    ///
    /// # Errors
    /// As [`Queue::put`], and [`QueueError::Full`].
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, item: &T) -> Result<(), QueueError> {
        self.put_with(item, Patience::Try)
    }

    pub(super) fn put_with(&self, item: &T, patience: Patience) -> Result<(), QueueError> {
        let core = self.core()?;
        with_scratch(|scratch| {
            let bytes = codec::encode(item, scratch)?;
            core.put(bytes, patience).map_err(|refused| self.error(refused))
        })
    }

    /// Puts bytes as they are, for `get_bytes`.
    pub(super) fn put_bytes(&self, bytes: &[u8], patience: Patience) -> Result<(), QueueError> {
        self.core()?.put(bytes, patience).map_err(|refused| self.error(refused))
    }

    /// Takes the first item. Blocks while there is none.
    ///
    /// Cost: as [`Queue::put`].
    ///
    /// # Errors
    /// - [`QueueError::Closed`]: the queue is closed, and everything in it has been taken.
    /// - [`QueueError::Decode`]: the bytes are not a `T`, or are a vector of plain numbers too large for this
    ///   process's memory; the item is gone.
    /// - [`QueueError::NoMemory`]: there is no memory to read the item, which stays in the queue.
    /// - [`QueueError::Corrupt`]: the words in shared memory were overwritten.
    pub fn get(&self) -> Result<T, QueueError> {
        self.get_with(Patience::Forever)
    }

    /// Like [`Queue::get`], but waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::get`], and [`QueueError::Empty`] if no item came in time.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, QueueError> {
        self.get_with(Patience::of(timeout))
    }

    /// Takes the first item if there is one. Does not wait for one. (A process that was stopped inside
    /// the queue's lock holds the call up for 50 ms at most.)
    ///
    /// # Errors
    /// As [`Queue::get`], and [`QueueError::Empty`].
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, QueueError> {
        self.get_with(Patience::Try)
    }

    pub(super) fn get_with(&self, patience: Patience) -> Result<T, QueueError> {
        let core = self.core()?;
        let mut buffer = [MaybeUninit::uninit(); SMALL];
        match core.take(&mut buffer, false, patience).map_err(|refused| self.error(refused))? {
            Taken::Copied(len, _hand) => {
                // SAFETY: so many bytes were copied there, and `SMALL` at most.
                let bytes =
                    unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), len.min(SMALL)) };
                if codec::plain_element::<T>().is_none() {
                    return codec::decode(bytes);
                }
                // SAFETY: the closure writes `len` bytes.
                unsafe {
                    self.plain(bytes.len(), |to| {
                        to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                        Ok(())
                    })
                }
            }
            Taken::Claimed(claim) => {
                let claim = Held { queue: self, core, claim: Some(claim) };
                let item = claim.read()?;
                let _hand = claim.finish_get(patience)?;
                item
            }
        }
    }

    /// A vector of plain numbers from `len` bytes.
    ///
    /// # Safety
    /// As for `decode_plain`.
    pub(super) unsafe fn plain(
        &self,
        len: usize,
        fill: impl FnOnce(*mut u8) -> Result<(), QueueError>,
    ) -> Result<T, QueueError> {
        // SAFETY: the caller's promise.
        let made = unsafe { codec::decode_plain::<T, QueueError>(len, fill) }?;
        let type_name = std::any::type_name::<T>();
        let why = || "they are no whole number of elements, or there is no memory for them".to_owned();
        made.ok_or_else(|| QueueError::Decode { bytes: len, type_name, why: why() })
    }

    /// Takes the first item as bytes.
    pub(super) fn get_bytes(&self, patience: Patience) -> Result<Vec<u8>, QueueError> {
        let core = self.core()?;
        let mut buffer = [MaybeUninit::uninit(); SMALL];
        match core.take(&mut buffer, false, patience).map_err(|refused| self.error(refused))? {
            Taken::Copied(len, _hand) => {
                // SAFETY: so many bytes were copied there, and `SMALL` at most.
                Ok(unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), len.min(SMALL)) }
                    .to_vec())
            }
            Taken::Claimed(claim) => {
                let claim = Held { queue: self, core, claim: Some(claim) };
                let mut bytes = Vec::new();
                claim.bytes(&mut bytes)?;
                let _hand = claim.finish_get(patience)?;
                Ok(bytes)
            }
        }
    }

    /// Takes the first item, but keeps a claim on it until [`Claimed::done`]. Blocks while there is no item.
    ///
    /// If the [`Claimed`] is dropped before that, by a panic for example, the item goes back to the front. If
    /// this process is killed, the item goes back to the front ([`Delivery::AtLeastOnce`]) or is lost and
    /// counted ([`Delivery::AtMostOnce`]). A queue has at most 256 open claims at a time.
    ///
    /// ```
    /// let jobs = phalanx::channel::Queue::<u32>::new()?;
    /// jobs.put(&7)?;
    /// let job = jobs.claim()?;
    /// assert_eq!(*job, 7);
    /// drop(job); // not done: it goes back
    /// assert_eq!(jobs.claim()?.done()?, 7);
    /// assert!(jobs.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Queue::get`].
    pub fn claim(&self) -> Result<Claimed<'_, T>, QueueError> {
        self.claim_with(Patience::Forever)
    }

    /// Like [`Queue::claim`], but waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::get_timeout`].
    pub fn claim_timeout(&self, timeout: Duration) -> Result<Claimed<'_, T>, QueueError> {
        self.claim_with(Patience::of(timeout))
    }

    fn claim_with(&self, patience: Patience) -> Result<Claimed<'_, T>, QueueError> {
        let core = self.core()?;
        let mut buffer = [MaybeUninit::uninit(); SMALL];
        match core.take(&mut buffer, true, patience).map_err(|refused| self.error(refused))? {
            Taken::Claimed(claim) => {
                let held = Held { queue: self, core, claim: Some(claim) };
                match held.read()? {
                    Ok(item) => Ok(Claimed { item, held }),
                    // It cannot be decoded: it must not come back forever.
                    Err(error) => held.finish(patience).and(Err(error)),
                }
            }
            Taken::Copied(..) => unreachable!("a take that holds claims"),
        }
    }

    /// Returns the number of items waiting now, not including those being written.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        let hot = &self.control().hot;
        if hot.lock.is_poisoned()
            && let Ok(core) = self.core()
        {
            // A process died in the middle: the next caller to enter recounts.
            let _ = core.enter(Patience::Try);
        }
        usize::try_from(hot.ready.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Returns whether no item is waiting now.
    #[doc(alias = "empty")]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the limit on items is reached, including items being written.
    #[doc(alias = "full")]
    pub fn is_full(&self) -> bool {
        let writing = self.control().hot.writing.load(Ordering::Relaxed) as usize;
        self.maxsize().is_some_and(|maxsize| self.len().saturating_add(writing) >= maxsize)
    }

    /// Returns the number of items that may wait at one time; `None` if there is no limit.
    pub fn maxsize(&self) -> Option<usize> {
        let bound = self.core.as_ref()?.base.shape.maxsize;
        (bound != u64::MAX).then(|| usize::try_from(bound).unwrap_or(usize::MAX))
    }

    /// Returns the number of bytes that the items may take together.
    pub fn capacity_bytes(&self) -> usize {
        self.core.as_ref().map_or(0, |core| core.base.shape.capacity() as usize)
    }

    /// Returns the number of bytes of memory that are allocated for items now.
    pub fn memory_bytes(&self) -> usize {
        let backed = self.control().backed.load(Ordering::Relaxed) as usize;
        self.core.as_ref().map_or(0, |core| backed.saturating_mul(core.base.shape.chunk_bytes()))
    }

    /// Closes the queue to further items, permanently and for all processes. Writers, including those that
    /// wait, get [`QueueError::Closed`]. Readers get the remaining items, then [`QueueError::Closed`].
    /// Closing twice is harmless.
    pub fn close(&self) {
        if let Ok(core) = self.core() {
            core.close();
        }
    }

    /// Returns whether the queue was closed.
    pub fn is_closed(&self) -> bool {
        self.control().closed.load(Ordering::Relaxed) != 0
    }

    /// Returns the number of items ever lost to deaths: items that a killed reader had removed when its `get`
    /// had not returned yet, items of killed readers with [`Delivery::AtMostOnce`], and items that killed
    /// processes held before `task_done`. May be one too high if two processes die in the same step, but
    /// never too low.
    pub fn lost(&self) -> u64 {
        self.control().lost.load(Ordering::Relaxed)
    }

    /// Returns an iterator that takes items until the queue is closed and empty.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { queue: self, patience: Patience::Forever }
    }

    /// Returns an iterator that takes the items waiting now, and ends instead of waiting for more.
    pub fn try_iter(&self) -> Iter<'_, T> {
        Iter { queue: self, patience: Patience::Try }
    }

    pub(super) fn error(&self, refused: Refused) -> QueueError {
        let hot = &self.control().hot;
        match refused {
            Refused::Full => QueueError::Full {
                items: hot
                    .ready
                    .load(Ordering::Relaxed)
                    .saturating_add(hot.writing.load(Ordering::Relaxed).into()),
                maxsize: self.core.as_ref().map_or(0, |core| core.base.shape.maxsize),
                bytes: hot.tail.load(Ordering::Relaxed).saturating_sub(hot.head.load(Ordering::Relaxed)),
                capacity: self.capacity_bytes() as u64,
            },
            Refused::Empty => QueueError::Empty,
            Refused::Closed => QueueError::Closed,
            Refused::TooBig { item, capacity } => QueueError::TooBig { item, capacity },
            Refused::NoMemory { item, source } => QueueError::NoMemory { item, source },
            Refused::TooManyDone => QueueError::TooManyDone,
            Refused::Corrupt { what, seen } => QueueError::Corrupt { what, seen },
        }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let core = self.core.as_ref().filter(|_| !fork::is_foreign());
        let Some(core) = core else { return f.write_str("Queue(out of reach)") };
        let control = core.base.control();
        f.debug_struct("Queue")
            .field("len", &control.hot.ready.load(Ordering::Relaxed))
            .field("closed", &(control.closed.load(Ordering::Relaxed) != 0))
            .field("capacity_bytes", &core.base.shape.capacity())
            .finish()
    }
}

impl<'a, T: Message> IntoIterator for &'a Queue<T> {
    type Item = Result<T, QueueError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// An iterator that takes the items of a queue one by one.
#[derive(Debug)]
pub struct Iter<'a, T> {
    queue: &'a Queue<T>,
    patience: Patience,
}

impl<T: Message> Iterator for Iter<'_, T> {
    type Item = Result<T, QueueError>;

    fn next(&mut self) -> Option<Result<T, QueueError>> {
        match self.queue.get_with(self.patience) {
            Err(QueueError::Closed) => None,
            Err(QueueError::Empty) if self.patience.is_try() => None,
            item => Some(item),
        }
    }
}
