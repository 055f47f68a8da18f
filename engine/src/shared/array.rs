//! `Array<T>`: elements with their lock.
//!
//! # Safety
//! The elements follow a `LockWord` in one block. A guard exists only while its thread holds that lock, so
//! references to them are exclusive, as in `sync::lock`; `place` keeps the block.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::base::member::Owner;
use crate::sync::place::{self, CreateError, Place, remote_slice};
use crate::sync::wait::Patience;
use crate::sync::{Held, LockError, LockWord, data_offset};
use crate::sys::fork;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

/// A fixed number of elements in shared memory, protected by a lock: the counterpart of
/// `multiprocessing.Array`.
///
/// [`lock`](Array::lock) returns a guard to all elements as a slice; [`get`](Array::get) and
/// [`set`](Array::set) lock for a single element. Any of these calls returns [`LockError::WouldDeadlock`] at
/// once if the same thread already holds the guard. If a process dies or panics while it holds the lock,
/// later calls return [`LockError::OwnerDied`] until [`ArrayGuard::clear_poison`] is called; from `lock` and
/// its variants the error holds the guard.
///
/// For arrays that all workers compute on at once, use [`SharedArray`](crate::SharedArray), which needs no
/// lock.
///
/// ```
/// use phalanx::shared::Array;
///
/// let squares = Array::zeros(10)?;
/// {
///     let mut squares = squares.lock().unwrap();
///     for (i, square) in squares[..5].iter_mut().enumerate() {
///         *square = i * i;
///     }
/// }
/// assert_eq!(squares.to_vec().unwrap(), [0, 1, 4, 9, 16, 0, 0, 0, 0, 0]);
/// assert_eq!(Array::from_elements([1.5, 2.5])?.get(1).unwrap(), 2.5);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct Array<T> {
    place: Place,
    _elements: PhantomData<T>,
}

/// Guard of a locked [`Array`]: dereferences to its elements. Dropping it releases the lock.
#[must_use = "the lock is given up as soon as the guard is dropped"]
pub struct ArrayGuard<'a, T> {
    elements: NonNull<T>,
    len: usize,
    held: Held<'a>,
    _array: PhantomData<&'a mut [T]>,
}

// SAFETY: a shared guard gives out `&[T]` alone.
unsafe impl<T: Sync> Sync for ArrayGuard<'_, T> {}

/// A guard, or why not.
type Locked<'a, T> = Result<ArrayGuard<'a, T>, LockError<ArrayGuard<'a, T>>>;

impl<T: Element> Array<T> {
    /// Creates an array of zeros.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn zeros(len: usize) -> Result<Array<T>, CreateError> {
        Array::make(len, |_| ())
    }

    /// Creates an array of these elements.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn from_elements(elements: impl IntoIterator<Item = T>) -> Result<Array<T>, CreateError> {
        Array::from_slice(&elements.into_iter().collect::<Vec<T>>())
    }

    /// Creates an array from a copy of a slice.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn from_slice(source: &[T]) -> Result<Array<T>, CreateError> {
        Array::make(source.len(), |first: NonNull<T>| {
            // SAFETY: room for as many, aligned, and nobody else knows the block yet.
            unsafe { first.as_ptr().copy_from_nonoverlapping(source.as_ptr(), source.len()) };
        })
    }

    fn make(len: usize, fill: impl FnOnce(NonNull<T>)) -> Result<Array<T>, CreateError> {
        const { assert!(size_of::<T>() > 0, "elements of an array have a size") };
        let len_bytes = len.saturating_mul(size_of::<T>()).saturating_add(data_offset::<LockWord, T>());
        let init = |base: NonNull<u8>| {
            // SAFETY: the block begins with a lock word and its padding.
            fill(unsafe { base.add(data_offset::<LockWord, T>()) }.cast());
        };
        // Lengths that no memory has are refused by the arena; `fits` only holds for others.
        let place = place::make::<Array<T>>("array", len_bytes, init, Some(LockWord::repair))?;
        Ok(Array { place, _elements: PhantomData })
    }

    /// Number of elements.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "elements have a size; `new` counts the words in, and `fits` those of others"
    )]
    pub fn len(&self) -> usize {
        (self.place.len_bytes() - data_offset::<LockWord, T>()) / size_of::<T>()
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Acquires the lock and returns a guard to the elements. Blocks while another thread or process holds
    /// it.
    ///
    /// # Errors
    /// Same as [`Lock::lock`](crate::sync::Lock::lock).
    pub fn lock(&self) -> Locked<'_, T> {
        self.lock_with(Patience::Forever)
    }

    /// Acquires the lock if it is free. Never blocks.
    ///
    /// # Errors
    /// Same as [`Lock::try_lock`](crate::sync::Lock::try_lock).
    pub fn try_lock(&self) -> Locked<'_, T> {
        self.lock_with(Patience::Try)
    }

    /// Same as [`lock`](Array::lock), but waits for at most `timeout`.
    ///
    /// # Errors
    /// Same as [`Lock::lock_timeout`](crate::sync::Lock::lock_timeout).
    pub fn lock_timeout(&self, timeout: Duration) -> Locked<'_, T> {
        self.lock_with(Patience::of(timeout))
    }

    fn lock_with(&self, patience: Patience) -> Locked<'_, T> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        // SAFETY: inside the block.
        let elements = unsafe { self.place.base().add(data_offset::<LockWord, T>()) }.cast();
        let guard = |held| ArrayGuard { elements, len: self.len(), held, _array: PhantomData };
        // SAFETY: the place holds one at its base for as long as it lives.
        let word: &LockWord = unsafe { self.place.base().cast().as_ref() };
        Held::take(word, patience).map(guard).map_err(|error| error.map(guard))
    }

    /// Returns a copy of one element, under the lock.
    ///
    /// # Errors
    /// Same as [`lock`](Array::lock). After [`LockError::OwnerDied`] the lock is free again, but the elements
    /// remain poisoned.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    pub fn get(&self, index: usize) -> Result<T, LockError> {
        self.check(index);
        self.lock().map(|elements| elements[index]).map_err(|error| error.map(drop))
    }

    /// Sets one element, under the lock.
    ///
    /// # Errors
    /// Same as [`get`](Array::get).
    ///
    /// # Panics
    /// If `index` is out of bounds.
    pub fn set(&self, index: usize, value: T) -> Result<(), LockError> {
        self.check(index);
        self.lock().map(|mut elements| elements[index] = value).map_err(|error| error.map(drop))
    }

    /// Returns a copy of all elements, under the lock.
    ///
    /// # Errors
    /// Same as [`get`](Array::get).
    pub fn to_vec(&self) -> Result<Vec<T>, LockError> {
        self.lock().map(|elements| elements.to_vec()).map_err(|error| error.map(drop))
    }

    /// Before the lock is taken: a panic under it would make the elements suspect.
    fn check(&self, index: usize) {
        assert!(index < self.len(), "element {index} of an array of {}", self.len());
    }

    /// Returns the current holder of the lock. The answer may be out of date at once.
    pub fn holder(&self) -> Option<Owner> {
        self.word().holder()
    }

    /// Returns true if a holder died and [`ArrayGuard::clear_poison`] has not been called since.
    pub fn is_poisoned(&self) -> bool {
        self.word().is_poisoned()
    }

    fn word(&self) -> &LockWord {
        // SAFETY: the place holds one at its base for as long as it lives.
        unsafe { self.place.words().cast().as_ref() }
    }
}

impl<T: Element> std::fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Array").field("len", &self.len()).field("holder", &self.holder()).finish()
    }
}

impl<T> ArrayGuard<'_, T> {
    /// Marks the elements as sound again: later calls return [`Ok`].
    pub fn clear_poison(&mut self) {
        self.held.clear_poison();
    }
}

impl<T: Element> Deref for ArrayGuard<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the lock is held, so nobody else touches the elements; every bit pattern is a `T`.
        unsafe { std::slice::from_raw_parts(self.elements.as_ptr(), self.len) }
    }
}

impl<T: Element> DerefMut for ArrayGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; the guard is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.elements.as_ptr(), self.len) }
    }
}

impl<T: Element + std::fmt::Debug> std::fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

remote_slice!([T: Element] Array<T>, "array", LockWord, T, |this| this.place, |place| Array {
    place,
    _elements: PhantomData
});
