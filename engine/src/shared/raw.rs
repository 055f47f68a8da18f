//! `RawValue<T>` and `RawArray<T>`: plain data that many processes read and write without a lock.
//!
//! # Safety
//! Elements lie at multiples of their size behind an address aligned to at least 8 bytes, so each can be
//! moved in pieces of [`piece`] bytes, aligned to their own size. All access is atomic, piece by piece and
//! always with the same piece size for one object, so there is no data race; a mixture of pieces of several
//! writers is a `T` because every bit pattern is.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::base::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::place::{self, CreateError, Place, Remote, remote, remote_slice};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Nothing stands before raw elements; the name keeps their kind apart from others.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Raw;

/// Bytes that elements of this size are moved in at a time: the largest power of two up to 8 that divides it.
const fn piece(size: usize) -> usize {
    if size == 0 {
        return 1;
    }
    let divides = 1 << size.trailing_zeros();
    if divides > 8 { 8 } else { divides }
}

/// Moves `len` bytes by `piece` bytes; `$load` and `$store` for the two ends.
macro_rules! by_pieces {
    ($from:expr, $to:expr, $len:expr, $piece:expr, |$a:ident: $x:ident, $b:ident| $move:expr) => {
        match $piece {
            8 => by_pieces!(@ AtomicU64, u64, $from, $to, $len, |$a: $x, $b| $move),
            4 => by_pieces!(@ AtomicU32, u32, $from, $to, $len, |$a: $x, $b| $move),
            2 => by_pieces!(@ AtomicU16, u16, $from, $to, $len, |$a: $x, $b| $move),
            _ => by_pieces!(@ AtomicU8, u8, $from, $to, $len, |$a: $x, $b| $move),
        }
    };
    (@ $atomic:ty, $int:ty, $from:expr, $to:expr, $len:expr, |$a:ident: $x:ident, $b:ident| $move:expr) => {{
        type $x = ($atomic, $int);
        for i in 0..$len >> size_of::<$int>().trailing_zeros() {
            // SAFETY: the caller's ranges have so many pieces.
            let $a = unsafe { $from.cast::<<$x as Pair>::Atomic>().add(i) };
            // SAFETY: as above.
            let $b = unsafe { $to.cast::<<$x as Pair>::Int>().add(i) };
            $move
        }
    }};
}

/// An atomic and its integer.
trait Pair {
    type Atomic;
    type Int;
}
impl<A, I> Pair for (A, I) {
    type Atomic = A;
    type Int = I;
}

/// Copies `len` bytes out of shared memory; see the module.
///
/// # Safety
/// `from` is shared memory for `len` bytes, aligned to `piece`; `to` is the caller's own for as many.
unsafe fn copy_out(from: *const u8, to: *mut u8, len: usize, piece: usize) {
    by_pieces!(from, to, len, piece, |a: X, b| {
        // SAFETY: mapped, aligned, and touched by atomics of this size alone.
        let word = unsafe { &*a }.load(Ordering::Relaxed);
        // SAFETY: the caller's own memory, of any alignment.
        unsafe { b.write_unaligned(word) }
    });
    // Pairs with the fence in `copy_in`: whoever has seen a piece sees what its writer did before.
    fence(Ordering::Acquire);
}

/// Copies `len` bytes into shared memory; see the module.
///
/// # Safety
/// As [`copy_out`], the other way round.
unsafe fn copy_in(from: *const u8, to: *mut u8, len: usize, piece: usize) {
    // Pairs with the fence in `copy_out`.
    fence(Ordering::Release);
    by_pieces!(to, from, len, piece, |a: X, b| {
        // SAFETY: the caller's own memory, of any alignment.
        let word = unsafe { b.read_unaligned() };
        // SAFETY: mapped, aligned, and touched by atomics of this size alone.
        unsafe { &*a }.store(word, Ordering::Relaxed);
    });
}

/// Elements in shared memory that any number of processes read and write without a lock: the counterpart of
/// `multiprocessing.RawArray`.
///
/// No call blocks. Everything a thread did before it wrote an element is visible to a reader of that
/// element's new value. **Atomicity:** elements of 1, 2, 4 or 8 bytes are read and written atomically. Larger
/// ones are copied in pieces of 8 bytes (or 4, 2 or 1, the largest that divides their size), so a reader may
/// see pieces of several writes, and a copy of several elements is not a snapshot. A writer killed in the
/// middle leaves such a mixture. For read-modify-write operations, use [`AtomicArray`](super::AtomicArray) or
/// [`Array`](super::Array).
///
/// ```
/// use phalanx::shared::RawArray;
///
/// let progress = RawArray::<u32>::zeros(4)?;
/// progress.set(2, 50);
/// assert_eq!(progress.to_vec(), [0, 0, 50, 0]);
/// progress.write(1, &[7, 8]);
/// assert_eq!((progress.get(1), progress.iter().sum::<u32>()), (7, 15));
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct RawArray<T> {
    place: Place,
    _elements: PhantomData<T>,
}

impl<T: Element> RawArray<T> {
    /// Creates an array of zeros.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn zeros(len: usize) -> Result<RawArray<T>, CreateError> {
        const { assert!(size_of::<T>() > 0, "elements of a raw array have a size") };
        let len_bytes = len.saturating_mul(size_of::<T>());
        let place = place::make::<RawArray<T>>("raw array", len_bytes, |_| (), None)?;
        Ok(RawArray { place, _elements: PhantomData })
    }

    /// Creates an array from a copy of a slice.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn from_slice(source: &[T]) -> Result<RawArray<T>, CreateError> {
        let array = RawArray::zeros(source.len())?;
        array.write(0, source);
        Ok(array)
    }

    /// Creates an array of these elements.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn from_elements(elements: impl IntoIterator<Item = T>) -> Result<RawArray<T>, CreateError> {
        RawArray::from_slice(&elements.into_iter().collect::<Vec<T>>())
    }

    /// Returns the number of elements.
    #[expect(clippy::arithmetic_side_effects, reason = "elements have a size")]
    pub fn len(&self) -> usize {
        self.place.len_bytes() / size_of::<T>()
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a copy of one element.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        let from = self.at(index, 1);
        // SAFETY: the index was checked.
        unsafe { load(from) }
    }

    /// Sets one element.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    #[inline]
    pub fn set(&self, index: usize, value: T) {
        let to = self.at(index, 1);
        // SAFETY: the index was checked.
        unsafe { store(to, value) }
    }

    /// Copies elements starting at `start` into a buffer.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub fn read(&self, start: usize, into: &mut [T]) {
        let from = self.at(start, into.len());
        // SAFETY: the range was checked, and any bytes are `T`s.
        unsafe { copy_out(from.as_ptr(), into.as_mut_ptr().cast(), size_of_val(into), piece(size_of::<T>())) }
    }

    /// Overwrites elements, starting at `start`.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub fn write(&self, start: usize, from: &[T]) {
        let to = self.at(start, from.len());
        // SAFETY: the range was checked.
        unsafe { copy_in(from.as_ptr().cast(), to.as_ptr(), size_of_val(from), piece(size_of::<T>())) }
    }

    /// Sets all elements to `value`.
    pub fn fill(&self, value: T) {
        (0..self.len()).for_each(|i| self.set(i, value));
    }

    /// Returns a copy of all elements.
    pub fn to_vec(&self) -> Vec<T> {
        let mut copy = vec![T::zeroed(); self.len()];
        self.read(0, &mut copy);
        copy
    }

    /// Iterates over the elements; each is read when the iterator reaches it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Address of element `index`, of which `count` lie there.
    #[expect(clippy::arithmetic_side_effects, reason = "inside the block, says the check")]
    fn at(&self, index: usize, count: usize) -> NonNull<u8> {
        let end = index.checked_add(count);
        assert!(
            end.is_some_and(|end| end <= self.len()),
            "elements {index} and {count} on of an array of {}",
            self.len()
        );
        // SAFETY: inside the block, says the check above.
        unsafe { self.place.words().add(index * size_of::<T>()) }
    }
}

/// # Safety
/// `from` is an element of type `T` in shared memory, as the module says.
#[inline]
unsafe fn load<T: Element>(from: NonNull<u8>) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the caller's promise; `value` has room for it.
    unsafe { copy_out(from.as_ptr(), value.as_mut_ptr().cast(), size_of::<T>(), piece(size_of::<T>())) };
    // SAFETY: all bytes were written: the pieces divide the size.
    unsafe { value.assume_init() }
}

/// # Safety
/// `to` is an element of type `T` in shared memory, as the module says.
#[inline]
unsafe fn store<T: Element>(to: NonNull<u8>, value: T) {
    let from = (&raw const value).cast();
    // SAFETY: the caller's promise.
    unsafe { copy_in(from, to.as_ptr(), size_of::<T>(), piece(size_of::<T>())) }
}

impl<T: Element> std::fmt::Debug for RawArray<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawArray").field("len", &self.len()).finish()
    }
}

/// One value in shared memory without a lock: the counterpart of `multiprocessing.RawValue`. See [`RawArray`]
/// for what is atomic.
///
/// ```
/// use phalanx::shared::RawValue;
///
/// let stop = RawValue::new(0u8)?;
/// stop.set(1);
/// assert_eq!(stop.clone().get(), 1);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct RawValue<T> {
    place: Place,
    _value: PhantomData<T>,
}

/// As [`Raw`], aligned for pieces of 8 bytes.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct RawOne;

impl<T: Element> RawValue<T> {
    /// Creates a shared value.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(value: T) -> Result<RawValue<T>, CreateError> {
        let place = place::make::<RawValue<T>>("raw value", size_of::<T>(), |_| (), None)?;
        let this = RawValue::of(place);
        this.set(value);
        Ok(this)
    }

    /// Returns a copy of the value.
    #[inline]
    pub fn get(&self) -> T {
        // SAFETY: the block holds one.
        unsafe { load(self.place.words()) }
    }

    /// Sets the value.
    #[inline]
    pub fn set(&self, value: T) {
        // SAFETY: the block holds one.
        unsafe { store(self.place.words(), value) }
    }
}

impl<T: Element + std::fmt::Debug> std::fmt::Debug for RawValue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RawValue").field(&self.get()).finish()
    }
}

remote!([T: Element] RawValue<T>, "raw value", RawOne, T, |this| this.place, |place| RawValue {
    place,
    _value: PhantomData
});
remote_slice!([T: Element] RawArray<T>, "raw array", Raw, T, |this| this.place, |place| RawArray {
    place,
    _elements: PhantomData
});
