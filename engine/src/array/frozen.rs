//! Arrays that nobody writes any more, and that any number of handles may therefore share.
//!
//! # Safety
//! Invariants of [`FrozenArray`]:
//!
//! - F1 `ptr` points to `dim.size()` aligned elements that `place` keeps mapped: as its upkeep in the process
//!   that made the array, as a lease (`handle::travel`, T1) in others, whose mapping is at least readable.
//! - F2 Nobody writes them: the array was given up to be frozen, handles give out `&T` alone, and `thaw`
//!   gives it back only where no other handle exists and none was ever leased beyond its keep-alive set.
//! - F3 The object in the arena that the handles name is a [`Descriptor`] and `ndim` lengths; it never
//!   changes after it was made.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::descriptor::{self, Descriptor, WORD};
use super::{Element, Shape, SharedArray};
use crate::handle::kept;
use crate::handle::place::{self, Expected, Place, kind_of};
use crate::handle::travel;
use crate::memory::AllocError;
use ndarray::{ArrayView, Dimension, Ix1};
use std::any::Any;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// A read-only array that any number of handles, threads and processes can share.
///
/// Created by [`SharedArray::freeze`]. Cloning a handle only increments a reference count. A handle may be
/// part of an argument or result of a task or process, or of a call to a manager: only a few numbers are
/// sent, and the receiver reads the same memory, mapped once per worker and read-only if the array is large.
/// The memory is freed when the last handle is dropped, including handles in transit.
///
/// In the process that made it, a handle has the reading grants of a [`SharedArray`]: [`split`](Self::split),
/// [`whole`](Self::whole), [`halo`](Self::halo) and the others.
///
/// ```
/// use phalanx::{FrozenArray, SharedArray};
///
/// let table: FrozenArray<f64> = SharedArray::from_fn(4, |i| i as f64)?.freeze()?;
/// let same = table.clone();
/// assert_eq!(same[3], 3.0);
/// let table = table.thaw().expect_err("there are two handles");
/// drop(same);
/// let mut array = table.thaw().expect("there is one");
/// array.as_mut_slice()[0] = 9.0;
/// # Ok::<(), phalanx::AllocError>(())
/// ```
pub struct FrozenArray<T, D = Ix1> {
    ptr: NonNull<T>,
    dim: D,
    place: Place,
}

// SAFETY: handles give out `&T` alone (F2). The last of them gives back or drops the array, which is `Send`
// itself.
unsafe impl<T: Send + Sync, D: Send> Send for FrozenArray<T, D> {}
// SAFETY: as for `Send`.
unsafe impl<T: Sync, D: Sync> Sync for FrozenArray<T, D> {}

const WHAT: &str = "frozen array";
/// How long `thaw` looks whether a handle is the last: a result may arrive before the thread that collected
/// it has dropped what came with the task.
const PATIENCE: Duration = Duration::from_millis(10);

fn expected<T: Element, D: Shape>() -> Expected {
    Expected {
        what: WHAT,
        kind: kind_of::<Descriptor, (T, D)>(),
        align: WORD,
        fits: descriptor::fits,
        arrived: None,
    }
}

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Makes the array read-only and returns a handle that can be cloned and sent in messages.
    ///
    /// Allocates a block of 128 bytes; the elements are not copied.
    ///
    /// # Errors
    /// - [`AllocError`] if the block cannot be allocated. The array is dropped.
    pub fn freeze(self) -> Result<FrozenArray<T, D>, AllocError> {
        let shape = self.shape().to_vec();
        let descriptor = Descriptor::of(&self, 0);
        let (ptr, dim, segment) = (self.base_ptr(), self.raw_dim().clone(), self.segment().clone());
        let len_bytes = descriptor.len_bytes();
        let write = move |base: NonNull<u8>| {
            // SAFETY: the block has room, is aligned to words, and nobody else knows it yet.
            unsafe { descriptor.write(base, &shape) };
            Some(Box::new(self) as Box<dyn Any + Send + Sync>)
        };
        let place = Place::make(expected::<T, D>().kind, len_bytes, WORD, Some((segment, false)), write)?;
        Ok(FrozenArray { ptr, dim, place })
    }
}

impl<T: Element, D: Shape> FrozenArray<T, D> {
    /// Returns all elements in row-major order.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: F1, F2; every bit pattern is a `T`.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.dim.size()) }
    }

    /// Returns an ndarray view of the array.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        // SAFETY: F1, F2; the default layout of a shape is row-major and contiguous.
        unsafe { ArrayView::from_shape_ptr(self.dim.clone(), self.ptr.as_ptr()) }
    }

    /// Returns the array itself, for operations that handles lack. Returns `None` in every process but the
    /// one that made the array.
    ///
    /// ```
    /// use phalanx::{Pool, SharedArray};
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let table = SharedArray::from_fn(1000, |i| i as f64)?.freeze()?;
    /// // A launch takes the handle itself.
    /// let sum = pool.reduce(table.split(), 0.0, |part| part.iter().sum::<f64>(), |a, b| a + b)?;
    /// assert_eq!(sum, 499_500.0);
    /// assert_eq!(table.as_array().ok_or("made elsewhere")?.len_bytes(), 8000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_array(&self) -> Option<&SharedArray<T, D>> {
        self.place.upkeep()
    }

    /// Returns the length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Address of the first element.
    pub(crate) fn base_ptr(&self) -> NonNull<T> {
        self.ptr
    }

    /// The shape as ndarray's dimension type.
    pub(crate) fn raw_dim(&self) -> &D {
        &self.dim
    }

    /// Turns the handle back into a writable array if no other handle exists in any process. Waits up to 10
    /// ms for a thread that has just collected the result of a task and is about to drop the task's
    /// arguments.
    ///
    /// # Errors
    /// Returns the handle if another one exists (in this process, in a message or in a worker), or if another
    /// process created the array.
    pub fn thaw(self) -> Result<SharedArray<T, D>, FrozenArray<T, D>> {
        let FrozenArray { ptr, dim, mut place } = self;
        let since = Instant::now();
        loop {
            // What others have let go of since is not told by itself.
            kept::sweep_all();
            place = match place.into_upkeep() {
                Ok(upkeep) => match upkeep.map(Box::<dyn Any + Send + Sync>::downcast::<SharedArray<T, D>>) {
                    Some(Ok(array)) => return Ok(*array),
                    // Its kind says that it is one: `freeze` alone makes places of this kind.
                    Some(Err(_)) | None => unreachable!("a frozen array keeps its array"),
                },
                Err(place) => place,
            };
            if since.elapsed() >= PATIENCE {
                return Err(FrozenArray { ptr, dim, place });
            }
            std::thread::yield_now();
        }
    }

    /// The array that a place in this process's mapping names.
    fn open(place: Place) -> Result<FrozenArray<T, D>, travel::TravelError> {
        let (ptr, dim) = travel::with_unpacking(WHAT, |unpacking| {
            let own = place.upkeep::<SharedArray<T, D>>().map(SharedArray::segment);
            descriptor::open(&place, 0, own, false, unpacking)
        })?;
        Ok(FrozenArray { ptr, dim, place })
    }
}

impl<T, D: Clone> Clone for FrozenArray<T, D> {
    fn clone(&self) -> Self {
        FrozenArray { ptr: self.ptr, dim: self.dim.clone(), place: self.place.clone() }
    }
}

/// Dereferences to the elements in row-major order.
impl<T: Element, D: Shape> Deref for FrozenArray<T, D> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T, D: Dimension> std::fmt::Debug for FrozenArray<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrozenArray<{}>({:?})", std::any::type_name::<T>(), self.dim.slice())
    }
}

/// Works only in arguments and results of tasks and processes, and in calls to managers.
/// Elsewhere it returns an error that says so.
impl<T: Element, D: Shape> serde::Serialize for FrozenArray<T, D> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        place::serialize(&self.place, WHAT, to)
    }
}

/// Works only in arguments and results of tasks and processes, and in calls to managers.
/// Elsewhere it returns an error that says so.
impl<'de, T: Element, D: Shape> serde::Deserialize<'de> for FrozenArray<T, D> {
    fn deserialize<S: serde::Deserializer<'de>>(from: S) -> Result<Self, S::Error> {
        let place = place::deserialize(&expected::<T, D>(), from)?;
        FrozenArray::open(place).map_err(serde::de::Error::custom)
    }
}
