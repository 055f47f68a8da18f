//! `Publisher` and `Snapshot`: whole copies of an array, published while it changes.
//!
//! There are three buffers (a triple buffer), each under a reader-writer lock of its own, and a word that
//! names the latest whole one. The publisher fills a buffer that is neither the latest nor being read. It
//! only tries the locks, so it waits for nobody. Readers lock the latest buffer for as long as they copy it.
//! Elements are moved atomically ([`RawArray`]), so a word that was overwritten leads to a wrong copy at
//! worst.
//!
//! | step of the publisher | a kill after it leaves | who repairs |
//! |---|---|---|
//! | B1 takes the lock of a buffer, marks its frame as void | a lock that a dead process holds | repair; no reader looks there, as `latest` names another |
//! | B2 the buffer is filled | as B1 | as B1 |
//! | B3 the frame gets its number, the lock is released | a whole buffer that nobody knows | the next publication overwrites it |
//! | B4 `latest` names the buffer | sleepers not woken | repair of the condition |
//! | B5 wakes them | nothing | |
//!
//! *A reader copies whole publications alone*: it holds the lock, and the frame's number is the one that
//! `latest` named, so B3 was done and no later B1. *It looks again only if there is a newer one*: a frame
//! with another number was taken by a B1 after `latest` moved on.
//!
//! # Safety
//! Handles are built from places as in `sync::place`.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape};
use crate::shared::raw::{RawArray, RawValue};
use crate::sync::place::{Borrowed, CreateError, Place, Remote, SyncWire};
use crate::sync::{Condition, LockError, Patience, RwLock, WriteGuard};
use crate::sys::fork;
use ndarray::{Array, ArrayView, Dimension};
use serde::{Deserialize, Serialize};
use std::ptr::NonNull;
use std::time::Duration;

/// Buffers of a publisher: the latest, one to fill, and one that may still be read.
const BUFFERS: usize = 3;
/// Objects that a publisher consists of.
pub(crate) const OBJECTS: usize = 3 + BUFFERS;
/// Bits of `latest` for the buffer's index. Above them stands the number of the publication, from 1.
const INDEX_BITS: u32 = 2;
/// How long a reader waits for a lock before it looks whether there is a newer publication.
const LOOK: Duration = Duration::from_millis(10);

/// What a buffer holds: the number of a publication, 0 while there is none, and its step.
pub(crate) type Frame = [u64; 2];

/// What publisher and readers share.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "T: Element")]
struct Buffers<T: Element> {
    elements: RawArray<T>,
    frames: [RwLock<Frame>; BUFFERS],
    latest: RawValue<u64>,
    published: Condition,
}

/// Publishes whole copies of an array for [`Snapshot`]s to read. Created by
/// [`Pool::snapshot`](crate::Pool::snapshot).
///
/// A region takes it as `&mut publisher`; its ranks publish together, by
/// [`RegionPublisher::publish`](crate::region::RegionPublisher::publish). Between launches,
/// [`publish`](Publisher::publish) does the same here. There is one publisher of a snapshot at a time, which
/// the borrow checker ensures.
pub struct Publisher<T: Element, D: Shape> {
    buffers: Buffers<T>,
    dim: D,
}

/// Reads what a [`Publisher`] has published, while the region that publishes runs. Created by
/// [`Pool::snapshot`](crate::Pool::snapshot).
///
/// Every publication is read as a whole, whatever happens to the processes that publish or read. Reading
/// never holds up the publisher: it skips a publication if all buffers are being read. Readers may skip
/// publications too: they see the latest one.
///
/// Clones read the same publications, for example on other threads; each remembers by itself what
/// [`next_timeout`](Snapshot::next_timeout) has returned. They travel in arguments of tasks and processes,
/// and `&snapshot` is an operand of launches and regions.
#[doc(alias("triple buffer", "TripleBuffer", "watch"))]
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "T: Element, D: Shape", try_from = "Travelling<T>", into = "Travelling<T>")]
pub struct Snapshot<T: Element, D: Shape> {
    buffers: Buffers<T>,
    dim: D,
    /// The number of the last publication that `next_timeout` returned.
    seen: u64,
}

/// One whole copy of the array.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Publication<T, D: Dimension> {
    /// Its number, counted from 1. A number that is missing was not read by this reader.
    pub number: u64,
    /// The step that the publisher named.
    pub step: u64,
    /// The elements.
    pub data: Array<T, D>,
}

/// A buffer that is being filled. If it is dropped instead of published, its contents are void.
pub(crate) struct Draft<'a, T: Element> {
    buffers: &'a Buffers<T>,
    index: usize,
    frame: Frame,
    guard: WriteGuard<'a, Frame>,
}

impl<T: Element> Buffers<T> {
    fn new(elements: usize) -> Result<Buffers<T>, CreateError> {
        Ok(Buffers {
            elements: RawArray::zeros(elements.saturating_mul(BUFFERS))?,
            frames: [RwLock::new([0; 2])?, RwLock::new([0; 2])?, RwLock::new([0; 2])?],
            latest: RawValue::new(0)?,
            published: Condition::new()?,
        })
    }

    /// Elements of one buffer.
    fn len(&self) -> usize {
        self.elements.len() / BUFFERS
    }

    /// Where elements of a buffer stand among all.
    #[expect(clippy::arithmetic_side_effects, reason = "what leaves the elements is refused by these")]
    fn at(&self, index: usize, first: usize) -> usize {
        assert!(index < BUFFERS && first <= self.len(), "element {first} of buffer {index}");
        index * self.len() + first
    }

    /// The number of the latest publication, 0 if there is none, and its buffer.
    fn latest(&self) -> (u64, usize) {
        let word = self.latest.get();
        (word >> INDEX_BITS, (word & (1u64 << INDEX_BITS).wrapping_sub(1)) as usize)
    }

    /// Begins a publication. `None` if all buffers are being read.
    fn begin(&self, step: u64) -> Result<Option<Draft<'_, T>>, LockError> {
        let (number, latest) = self.latest();
        for (index, frame) in self.frames.iter().enumerate() {
            if number != 0 && index == latest {
                continue;
            }
            let mut guard = match frame.try_write() {
                Ok(guard) => guard,
                Err(LockError::OwnerDied(mut guard)) => {
                    guard.clear_poison();
                    guard
                }
                Err(LockError::TimedOut { .. }) => continue,
                Err(error) => return Err(error.map(drop)),
            };
            *guard = [0; 2];
            let frame = [number.wrapping_add(1), step];
            return Ok(Some(Draft { buffers: self, index, frame, guard }));
        }
        Ok(None)
    }

    /// Copies the latest publication, and returns its frame. `None` if there is none.
    fn read(&self, into: &mut [T]) -> Result<Option<Frame>, LockError> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        let mut looked = 0;
        loop {
            let (number, index) = self.latest();
            let Some(frame) = self.frames.get(index).filter(|_| number != 0) else { return Ok(None) };
            let guard = match frame.read_timeout(LOOK) {
                Ok(guard) | Err(LockError::OwnerDied(guard)) => guard,
                Err(LockError::TimedOut { .. }) => continue,
                Err(error) => return Err(error.map(drop)),
            };
            if guard[0] == number {
                self.elements.read(self.at(index, 0), into);
                return Ok(Some(*guard));
            }
            if looked == number {
                // Not overtaken, so nobody can have marked it.
                return Err(LockError::Corrupt { seen: guard[0] as u32 });
            }
            looked = number;
        }
    }
}

impl<T: Element> Draft<'_, T> {
    /// Which buffer it is.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Makes it the latest publication.
    pub(crate) fn publish(mut self) {
        let [number, _] = self.frame;
        *self.guard = self.frame;
        drop(self.guard);
        self.buffers.latest.set((number << INDEX_BITS) | self.index as u64);
        self.buffers.published.notify_all();
    }
}

impl<T: Element, D: Shape> Publisher<T, D> {
    /// Allocates the buffers.
    pub(crate) fn new(dim: D) -> Result<Publisher<T, D>, CreateError> {
        let elements = dim.size_checked().unwrap_or(usize::MAX);
        Ok(Publisher { buffers: Buffers::new(elements)?, dim })
    }

    /// Returns a reader. What was published last is new to it.
    pub fn snapshot(&self) -> Snapshot<T, D> {
        Snapshot { buffers: self.buffers.clone(), dim: self.dim.clone(), seen: 0 }
    }

    /// Returns the lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Publishes a copy of `data` as the state after `step`. Returns `false` if it was skipped, because all
    /// buffers are being read; with one reader that never happens.
    ///
    /// Costs one copy on the calling thread, and a system call if a reader sleeps.
    ///
    /// # Errors
    /// - [`LockError::Forked`], [`LockError::Corrupt`].
    ///
    /// # Panics
    /// If `data` has another shape.
    pub fn publish(&mut self, step: u64, data: ArrayView<'_, T, D>) -> Result<bool, LockError> {
        assert_eq!(data.shape(), self.shape(), "the shapes of what is published and of its snapshot");
        let Some(draft) = self.begin(step)? else { return Ok(false) };
        let data = data.as_standard_layout();
        self.fill(draft.index, 0, data.as_slice().unwrap_or_default());
        draft.publish();
        Ok(true)
    }

    pub(crate) fn begin(&self, step: u64) -> Result<Option<Draft<'_, T>>, LockError> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        self.buffers.begin(step)
    }

    /// Fills elements of a buffer, from `first` on. Only for the holder of the buffer's [`Draft`], and
    /// whoever fills it together with that.
    ///
    /// # Panics
    /// If they leave the buffer.
    pub(crate) fn fill(&self, index: usize, first: usize, elements: &[T]) {
        assert!(elements.len() <= self.buffers.len().saturating_sub(first), "elements leave their buffer");
        self.buffers.elements.write(self.buffers.at(index, first), elements);
    }
}

impl<T: Element, D: Shape> Snapshot<T, D> {
    /// Returns the lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Returns the step of the latest publication, without copying it. `None` if nothing was published yet.
    ///
    /// # Errors
    /// As for [`latest`](Self::latest).
    pub fn step(&self) -> Result<Option<u64>, LockError> {
        Ok(self.buffers.read(&mut [])?.map(|[_, step]| step))
    }

    /// Returns a copy of the latest publication. `None` if nothing was published yet.
    ///
    /// Waits for nothing but the copy: a publisher that is stopped or dead does not hold it up.
    ///
    /// # Errors
    /// - [`LockError::Forked`]: this process was forked from one that uses phalanx.
    /// - [`LockError::Corrupt`]: the words in shared memory were overwritten.
    pub fn latest(&self) -> Result<Option<Publication<T, D>>, LockError> {
        // No copy is made ready for nothing.
        let len = if self.step()?.is_some() { self.buffers.len() } else { return Ok(None) };
        let mut data = vec![T::zeroed(); len];
        let Some([number, step]) = self.buffers.read(&mut data)? else { return Ok(None) };
        let data = Array::from_shape_vec(self.dim.clone(), data);
        // Whoever made the handle has compared the lengths.
        Ok(data.ok().map(|data| Publication { number, step, data }))
    }

    /// Returns a copy of the latest publication as soon as there is one that this handle has not returned
    /// before. `None` if there is none within `timeout`.
    ///
    /// The end of the region, or its failure, does not end the wait.
    ///
    /// # Errors
    /// As for [`latest`](Self::latest).
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Publication<T, D>>, LockError> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        let patience = Patience::of(timeout);
        loop {
            // Before the look, so that no publication after it is missed.
            let ticket = self.buffers.published.ticket();
            let (number, _) = self.buffers.latest();
            if number > self.seen {
                let latest = self.latest()?;
                self.seen = latest.as_ref().map_or(self.seen, |latest| latest.number);
                return Ok(latest);
            }
            if !self.buffers.published.wait_past(ticket, patience) {
                return Ok(None);
            }
        }
    }
}

impl<T: Element, D: Shape> std::fmt::Debug for Publisher<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("shape", &self.dim.slice()).finish_non_exhaustive()
    }
}

impl<T: Element, D: Shape> std::fmt::Debug for Snapshot<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("shape", &self.dim.slice()).finish_non_exhaustive()
    }
}

/// A snapshot in a message.
#[derive(Serialize, Deserialize)]
#[serde(bound = "T: Element", rename = "Snapshot")]
struct Travelling<T: Element> {
    buffers: Buffers<T>,
    shape: Vec<usize>,
}

impl<T: Element, D: Shape> From<Snapshot<T, D>> for Travelling<T> {
    fn from(snapshot: Snapshot<T, D>) -> Travelling<T> {
        Travelling { shape: snapshot.dim.slice().to_vec(), buffers: snapshot.buffers }
    }
}

impl<T: Element, D: Shape> TryFrom<Travelling<T>> for Snapshot<T, D> {
    type Error = &'static str;
    fn try_from(Travelling { buffers, shape }: Travelling<T>) -> Result<Snapshot<T, D>, &'static str> {
        let dim = dim_of(&shape, &buffers).ok_or("the shape of a snapshot is not that of its elements")?;
        Ok(Snapshot { buffers, dim, seen: 0 })
    }
}

/// The shape of buffers with this many elements.
fn dim_of<T: Element, D: Shape>(shape: &[usize], buffers: &Buffers<T>) -> Option<D> {
    if D::NDIM.is_some_and(|axes| axes != shape.len()) {
        return None;
    }
    let mut dim = D::zeros(shape.len());
    dim.slice_mut().copy_from_slice(shape);
    let elements = dim.size_checked()?.checked_mul(BUFFERS)?;
    (elements == buffers.elements.len()).then_some(dim)
}

impl<T: Element> Buffers<T> {
    fn places(&self) -> [&Place; OBJECTS] {
        let [a, b, c] = &self.frames;
        [self.elements.place(), a.place(), b.place(), c.place(), self.latest.place(), self.published.place()]
    }

    /// Rebuilds the buffers and their shape over places mapped here, in the order of `places`. `None` if they
    /// have another shape.
    ///
    /// # Safety
    /// As for `Remote::from_base`, with what `places` returned of a handle of the same type.
    unsafe fn from_bases<D: Shape>(
        bases: [(NonNull<u8>, SyncWire); OBJECTS],
        shape: &[usize],
    ) -> Option<(Buffers<T>, D)> {
        let [elements, a, b, c, latest, published] = bases.map(|(base, wire)| {
            // SAFETY: the caller's promise.
            unsafe { Place::borrowed(base, wire) }
        });
        let buffers = Buffers {
            elements: Remote::of(elements),
            frames: [a, b, c].map(Remote::of),
            latest: Remote::of(latest),
            published: Remote::of(published),
        };
        let dim = dim_of(shape, &buffers)?;
        Some((buffers, dim))
    }
}

impl<T: Element, D: Shape> Publisher<T, D> {
    /// Where its objects lie: the elements, the frames, the latest number, the condition.
    pub(crate) fn places(&self) -> [&Place; OBJECTS] {
        self.buffers.places()
    }

    /// Rebuilds the publisher over places mapped here. `None` if it has another shape.
    ///
    /// # Safety
    /// As for `Remote::from_base`, with what `places` returned of a handle of the same type.
    pub(crate) unsafe fn from_bases<'w>(
        bases: [(NonNull<u8>, SyncWire); OBJECTS],
        shape: &[usize],
    ) -> Option<Borrowed<'w, Self>> {
        // SAFETY: the caller's promise.
        let (buffers, dim) = unsafe { Buffers::from_bases(bases, shape) }?;
        Some(Borrowed::new(Publisher { buffers, dim }))
    }
}

impl<T: Element, D: Shape> Snapshot<T, D> {
    /// As [`Publisher::places`].
    pub(crate) fn places(&self) -> [&Place; OBJECTS] {
        self.buffers.places()
    }

    /// As [`Publisher::from_bases`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn from_bases<'w>(
        bases: [(NonNull<u8>, SyncWire); OBJECTS],
        shape: &[usize],
    ) -> Option<Borrowed<'w, Self>> {
        // SAFETY: the caller's promise.
        let (buffers, dim) = unsafe { Buffers::from_bases(bases, shape) }?;
        Some(Borrowed::new(Snapshot { buffers, dim, seen: 0 }))
    }
}
