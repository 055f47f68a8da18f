//! A part of an array that tasks and processes may write, behind a lock of its own.
//!
//! # Safety
//! Invariants of [`ArrayPart`]:
//!
//! - P1 `ptr` points to `dim.size()` aligned elements, which no other part of the array has. They stay mapped
//!   for reading and writing as long as `place` keeps them: by its upkeep, until they are taken back, in the
//!   process that made them; by a lease (`handle::travel`, T1) in others.
//! - P2 They are touched through a [`PartGuard`] alone. It exists only while the calling thread holds the
//!   part's lock, and only if the part was not taken back when it had the lock. Who takes parts back marks
//!   each while holding its lock; so once all are marked nobody has a guard or gets one.
//! - P3 The object in the arena that the handles name is a [`PartWords`] with a [`Descriptor`] behind it,
//!   which never changes.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::descriptor::{self, Descriptor, WORD};
use super::{Element, Shape, SharedArray};
use crate::base::Span;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::handle::place::{self, Expected, Place, kind_of};
use crate::handle::travel;
use crate::memory::{AllocError, Segment};
use crate::sync::repair::Registration;
use crate::sync::{Held, LockError, LockWord, Owner, Patience};
use crate::sys::fork;
use ndarray::{ArrayView, ArrayViewMut, Dimension, Ix1};
use parking_lot::Mutex;
use std::any::Any;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// A range of rows of an array, for tasks and processes that write it: the handle of a
/// [part](super::ArrayParts).
///
/// Handles can be cloned, and be arguments of tasks and processes: only a few numbers are sent, and the
/// receiver writes the same memory. One thread of one process at a time has the rows, through
/// [`lock`](Self::lock) or [`overwrite`](Self::overwrite), so an item that is run again while its first
/// worker cannot be stopped never writes the same rows at the same time.
///
/// Cost: locking takes one atomic instruction if the lock is free; the rows are not copied.
pub struct ArrayPart<T, D = Ix1> {
    ptr: NonNull<T>,
    dim: D,
    place: Place,
}

/// The rows of a part; dropping the guard releases its lock.
///
/// It dereferences to a slice of all elements, in row-major order.
#[must_use = "the part is released as soon as the guard is dropped"]
pub struct PartGuard<'a, T, D = Ix1> {
    part: &'a ArrayPart<T, D>,
    held: Held<'a>,
}

// SAFETY: threads reach the elements only through guards, one at a time (P2).
unsafe impl<T: Send, D: Send> Send for ArrayPart<T, D> {}
// SAFETY: as for `Send`; sharing a part lends the elements to one thread at a time.
unsafe impl<T: Send, D: Sync> Sync for ArrayPart<T, D> {}
// SAFETY: a shared guard gives out `&T` alone.
unsafe impl<T: Sync, D: Sync> Sync for PartGuard<'_, T, D> {}

/// What a handle names; a [`Descriptor`] follows.
#[repr(C)]
struct PartWords {
    lock: LockWord,
    /// Not 0 once the part was taken back.
    joined: AtomicU32,
    _pad: AtomicU32,
    /// The first of its rows.
    first: AtomicU64,
}

const WORDS: usize = size_of::<PartWords>();
const WHAT: &str = "part of an array";

/// What keeps the elements of all parts: the array, until it is given back.
pub(super) struct Whole<T, D>(pub(super) Mutex<Option<SharedArray<T, D>>>);

/// What the process that made a part keeps with it.
struct Upkeep<T, D> {
    /// Dropped first: repair looks at the words.
    _registration: Registration,
    segment: Arc<Segment>,
    _whole: Arc<Whole<T, D>>,
}

/// A guard, or why not.
type Locked<'a, T, D> = Result<PartGuard<'a, T, D>, LockError<PartGuard<'a, T, D>>>;

#[expect(clippy::arithmetic_side_effects, reason = "checked")]
fn expected<T: Element, D: Shape>() -> Expected {
    Expected {
        what: WHAT,
        kind: kind_of::<PartWords, (T, D)>(),
        align: WORD,
        fits: |len| len >= WORDS && descriptor::fits(len - WORDS),
        arrived: None,
    }
}

impl<T: Element, D: Shape> ArrayPart<T, D> {
    /// The rows `span` of the array, which `whole` keeps.
    ///
    /// # Safety
    /// `ptr` is where they begin, `dim` their shape and `descriptor` where others find them; the array gives
    /// no other access to them until `whole` gives it back, and no other part has any of them.
    pub(super) unsafe fn make(
        (ptr, dim, span): (NonNull<T>, D, Span),
        descriptor: Descriptor,
        segment: &Arc<Segment>,
        whole: &Arc<Whole<T, D>>,
    ) -> Result<ArrayPart<T, D>, AllocError> {
        let init = |base: NonNull<u8>| {
            let words = base.cast::<PartWords>();
            // SAFETY: the block has room for the words, which may be all zero, and nobody else knows it yet.
            unsafe { words.as_ref() }.first.store(span.lo as u64, Ordering::Relaxed);
            // SAFETY: as above.
            let after = unsafe { base.add(WORDS) };
            // SAFETY: as above; aligned to words.
            unsafe { descriptor.write(after, dim.slice()) };
            // SAFETY: the lock is the first of the words, and they stay until the registration is dropped.
            let registration = unsafe { Registration::new(base.cast::<LockWord>(), LockWord::repair) };
            let (segment, whole) = (segment.clone(), whole.clone());
            let upkeep = Upkeep { _registration: registration, segment, _whole: whole };
            Some(Box::new(upkeep) as Box<dyn Any + Send + Sync>)
        };
        let len_bytes = WORDS.saturating_add(descriptor.len_bytes());
        let with = Some((segment.clone(), true));
        let place = Place::make(expected::<T, D>().kind, len_bytes, WORD, with, init)?;
        Ok(ArrayPart { ptr, dim, place })
    }

    /// The part that a place in this process's mapping names.
    fn open(place: Place) -> Result<ArrayPart<T, D>, travel::TravelError> {
        let (ptr, dim) = travel::with_unpacking(WHAT, |unpacking| {
            let own = place.upkeep::<Upkeep<T, D>>().map(|upkeep| &upkeep.segment);
            descriptor::open(&place, WORDS, own, true, unpacking)
        })?;
        Ok(ArrayPart { ptr, dim, place })
    }

    /// Takes the part's lock. Blocks while another thread or process has it.
    ///
    /// # Errors
    /// Same as [`Lock::lock`](crate::sync::Lock::lock). After [`LockError::OwnerDied`] the rows may be half
    /// written: they are held, with the guard inside, and stay marked until [`PartGuard::clear_poison`] is
    /// called. [`LockError::Joined`] if the array was [joined](super::ArrayParts::join).
    pub fn lock(&self) -> Locked<'_, T, D> {
        self.lock_with(Patience::Forever)
    }

    /// Takes the part's lock if it is free. Never blocks.
    ///
    /// # Errors
    /// Same as [`lock`](Self::lock), and [`LockError::TimedOut`] if another thread or process has it.
    pub fn try_lock(&self) -> Locked<'_, T, D> {
        self.lock_with(Patience::Try)
    }

    /// Takes the part's lock, waiting at most `timeout`.
    ///
    /// # Errors
    /// Same as [`lock`](Self::lock), and [`LockError::TimedOut`] if it was held all that time.
    pub fn lock_timeout(&self, timeout: Duration) -> Locked<'_, T, D> {
        self.lock_with(Patience::of(timeout))
    }

    /// Takes the part's lock in order to write every row, whatever an earlier holder that died or panicked
    /// has left there: for items that may be run again. Blocks while another thread or process has it.
    ///
    /// # Errors
    /// Same as [`lock`](Self::lock), except [`LockError::OwnerDied`].
    ///
    /// ```
    /// use phalanx::{ArrayPart, Pool, TaskError};
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let parts = pool.zeros::<u64>(10)?.into_chunks(5)?;
    /// let fill = |part: ArrayPart<u64>| {
    ///     let mut rows = part.overwrite().expect("nobody takes it back");
    ///     rows.fill(7);
    /// };
    /// let tasks = pool.tasks().retry(2).retry_on(|error| matches!(error, TaskError::Panicked { .. }));
    /// tasks.map(fill, parts.iter().cloned())?;
    /// assert_eq!(parts.join()?.as_slice(), [7; 10]);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn overwrite(&self) -> Result<PartGuard<'_, T, D>, LockError> {
        match self.lock() {
            Ok(guard) => Ok(guard),
            Err(LockError::OwnerDied(mut guard)) => {
                guard.clear_poison();
                Ok(guard)
            }
            Err(error) => Err(error.map(drop)),
        }
    }

    fn lock_with(&self, patience: Patience) -> Locked<'_, T, D> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        let guard = |held| PartGuard { part: self, held };
        let taken = match Held::take(&self.words().lock, patience) {
            Ok(held) => Ok(guard(held)),
            Err(error) => Err(error.map(guard)),
        };
        // Under the lock, if it is held.
        if self.words().joined.load(Ordering::Relaxed) != 0 {
            return Err(LockError::Joined);
        }
        taken
    }

    /// Waits for the lock, and marks the part so that it cannot be locked any more. Refuses one that may be
    /// half written.
    pub(super) fn take_back(&self, patience: Patience) -> Result<(), LockError> {
        let guard = self.lock_with(patience).map_err(|error| error.map(drop))?;
        self.words().joined.store(1, Ordering::Relaxed);
        drop(guard);
        Ok(())
    }

    /// Takes the mark away again.
    pub(super) fn give_out_again(&self) {
        self.words().joined.store(0, Ordering::Relaxed);
    }

    fn words(&self) -> &PartWords {
        // SAFETY: P3; all atomics.
        unsafe { self.place.base().cast().as_ref() }
    }
}

impl<T, D: Dimension> ArrayPart<T, D> {
    /// Returns the rows of the array that this part has.
    pub fn rows(&self) -> Range<usize> {
        let words = self.place.words().cast::<PartWords>();
        // SAFETY: P3; all atomics.
        let first = unsafe { words.as_ref() }.first.load(Ordering::Relaxed) as usize;
        first..first.saturating_add(self.dim.slice().first().copied().unwrap_or(1))
    }

    /// Returns the length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.dim.size()
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the current holder of the lock. The answer may be out of date at once.
    pub fn holder(&self) -> Option<Owner> {
        self.lock_word().holder()
    }

    /// Returns true if a holder died or panicked and [`PartGuard::clear_poison`] has not been called since.
    pub fn is_poisoned(&self) -> bool {
        self.lock_word().is_poisoned()
    }

    fn lock_word(&self) -> &LockWord {
        // SAFETY: P3: the lock is the first of the words.
        unsafe { self.place.words().cast().as_ref() }
    }
}

impl<T: Element, D: Shape> PartGuard<'_, T, D> {
    /// Declares the rows sound again.
    pub fn clear_poison(&mut self) {
        self.held.clear_poison();
    }

    /// Returns an ndarray view of the rows.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        // SAFETY: P1, P2; the default layout of a shape is row-major and contiguous.
        unsafe { ArrayView::from_shape_ptr(self.part.dim.clone(), self.part.ptr.as_ptr()) }
    }

    /// Returns a mutable ndarray view of the rows.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T, D> {
        // SAFETY: as in `view`; the guard is borrowed exclusively.
        unsafe { ArrayViewMut::from_shape_ptr(self.part.dim.clone(), self.part.ptr.as_ptr()) }
    }
}

impl<T: Element, D: Shape> Deref for PartGuard<'_, T, D> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: P1, P2; every bit pattern is a `T`.
        unsafe { std::slice::from_raw_parts(self.part.ptr.as_ptr(), self.part.dim.size()) }
    }
}

impl<T: Element, D: Shape> DerefMut for PartGuard<'_, T, D> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; the guard is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.part.ptr.as_ptr(), self.part.dim.size()) }
    }
}

impl<T, D: Clone> Clone for ArrayPart<T, D> {
    fn clone(&self) -> Self {
        ArrayPart { ptr: self.ptr, dim: self.dim.clone(), place: self.place.clone() }
    }
}

impl<T, D: Dimension> std::fmt::Debug for ArrayPart<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ArrayPart<{}>(rows {:?})", std::any::type_name::<T>(), self.rows())
    }
}

impl<T, D: Dimension> std::fmt::Debug for PartGuard<'_, T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartGuard({:?})", self.part)
    }
}

/// Works only in arguments and results of tasks and processes, and in calls to managers.
/// Elsewhere it returns an error that says so.
impl<T: Element, D: Shape> serde::Serialize for ArrayPart<T, D> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        place::serialize(&self.place, WHAT, to)
    }
}

/// Works only in arguments and results of tasks and processes, and in calls to managers.
/// Elsewhere it returns an error that says so.
impl<'de, T: Element, D: Shape> serde::Deserialize<'de> for ArrayPart<T, D> {
    fn deserialize<S: serde::Deserializer<'de>>(from: S) -> Result<Self, S::Error> {
        let place = place::deserialize(&expected::<T, D>(), from)?;
        ArrayPart::open(place).map_err(serde::de::Error::custom)
    }
}
