//! `Atomic<T>` and `AtomicArray<T>`: numbers that all change at once, and floats that can be added to.
//!
//! # Safety
//! A block is atomics from end to end and is viewed as nothing else; they have the size and alignment of
//! their numbers ([`AtomicElement`]).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::sync::place::{self, CreateError, Place, Remote, remote, remote_slice};
use std::marker::PhantomData;
use std::ops::Deref;
// The standard library's own on purpose: users call them.
use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize, Ordering,
};

/// Elements that have an atomic counterpart.
///
/// # Safety
/// `Atomic` must have the size, alignment and bit validity of `Self`. Every operation on a `&Atomic` must be
/// sound while other processes that map the same bytes perform it too: it may change the bytes by atomic
/// instructions only, not under a lock stored elsewhere.
pub unsafe trait AtomicElement: Element {
    /// The atomic counterpart.
    type Atomic: Sync + std::fmt::Debug + 'static;
}

macro_rules! atomics { ($($t:ty => $a:ty),*) => { $(
    const _: () = assert!(size_of::<$t>() == size_of::<$a>() && align_of::<$t>() == align_of::<$a>());
    // SAFETY: asserted above; every bit pattern is valid for both, and an atomic keeps nothing outside of its
    // bytes.
    unsafe impl AtomicElement for $t {
        type Atomic = $a;
    }
)* } }
atomics!(
    u8 => AtomicU8, i8 => AtomicI8, u16 => AtomicU16, i16 => AtomicI16, u32 => AtomicU32, i32 => AtomicI32,
    u64 => AtomicU64, i64 => AtomicI64, usize => AtomicUsize, isize => AtomicIsize, f32 => AtomicF32, f64 => AtomicF64
);

macro_rules! float {
    ($name:ident, $float:ty, $bits:ty, $what:literal) => {
        #[doc = concat!("An `", $what, "` that several workers may change concurrently.")]
        ///
        /// ```
        #[doc = concat!("let x = phalanx::shared::", stringify!($name), "::new(1.0);")]
        /// use std::sync::atomic::Ordering::Relaxed;
        /// x.fetch_add(0.5, Relaxed);
        /// x.fetch_max(1.25, Relaxed);
        /// assert_eq!(x.load(Relaxed), 1.5);
        /// ```
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name($bits);

        impl $name {
            /// Creates an atomic with this value.
            pub fn new(value: $float) -> Self {
                $name(<$bits>::new(value.to_bits()))
            }

            /// Returns the value.
            #[inline]
            pub fn load(&self, ordering: Ordering) -> $float {
                <$float>::from_bits(self.0.load(ordering))
            }

            /// Sets the value.
            #[inline]
            pub fn store(&self, value: $float, ordering: Ordering) {
                self.0.store(value.to_bits(), ordering);
            }

            /// Sets the value and returns the previous one.
            #[inline]
            pub fn swap(&self, value: $float, ordering: Ordering) -> $float {
                <$float>::from_bits(self.0.swap(value.to_bits(), ordering))
            }

            /// Adds `value` and returns the previous value. Retries while others change it.
            ///
            /// The last bits of a sum depend on the order in which workers add; with
            /// [`Launch::reduce`](crate::Launch::reduce) they do not.
            #[inline]
            pub fn fetch_add(&self, value: $float, ordering: Ordering) -> $float {
                self.fetch_update(ordering, |now| now + value)
            }

            /// Subtracts `value` and returns the previous value.
            #[inline]
            pub fn fetch_sub(&self, value: $float, ordering: Ordering) -> $float {
                self.fetch_update(ordering, |now| now - value)
            }

            /// Sets the value to the maximum of both and returns the previous one. If one is NaN, the other
            /// is kept.
            #[inline]
            pub fn fetch_max(&self, value: $float, ordering: Ordering) -> $float {
                self.fetch_update(ordering, |now| now.max(value))
            }

            /// Sets the value to the minimum of both and returns the previous one. If one is NaN, the other
            /// is kept.
            #[inline]
            pub fn fetch_min(&self, value: $float, ordering: Ordering) -> $float {
                self.fetch_update(ordering, |now| now.min(value))
            }

            /// Replaces the value with `change(value)` and returns the previous value. Calls `change` again
            /// if another thread or process changed the value meanwhile.
            #[inline]
            pub fn fetch_update(
                &self,
                ordering: Ordering,
                mut change: impl FnMut($float) -> $float,
            ) -> $float {
                let mut seen = self.0.load(Ordering::Relaxed);
                loop {
                    let next = change(<$float>::from_bits(seen)).to_bits();
                    match self.0.compare_exchange_weak(seen, next, ordering, Ordering::Relaxed) {
                        Ok(before) => return <$float>::from_bits(before),
                        Err(now) => seen = now,
                    }
                }
            }
        }
    };
}
float!(AtomicF32, f32, AtomicU32, "f32");
float!(AtomicF64, f64, AtomicU64, "f64");

/// A number in shared memory that any number of threads and processes may change concurrently.
///
/// It dereferences to the atomic itself: the standard library's, or [`AtomicF64`] and [`AtomicF32`]. No call
/// blocks, and the death of a process cannot leave a half-made change. See [`Counter`](crate::sync::Counter)
/// for a simpler interface.
///
/// ```
/// use phalanx::shared::Atomic;
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let energy = Atomic::new(1.0f64)?;
/// energy.fetch_add(0.5, Relaxed);
/// assert_eq!(energy.clone().load(Relaxed), 1.5);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct Atomic<T> {
    place: Place,
    _value: PhantomData<T>,
}

/// Nothing stands before the atomics; the name keeps their kind apart from others.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Bare;

impl<T: AtomicElement> Atomic<T> {
    /// Creates an atomic with this value.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(value: T) -> Result<Atomic<T>, CreateError> {
        let init = |base: std::ptr::NonNull<u8>| {
            // SAFETY: room for it, aligned, and nobody else knows the block yet.
            unsafe { base.cast::<T>().write(value) }
        };
        Ok(Atomic::of(place::make::<Atomic<T>>("atomic", size_of::<T>(), init, None)?))
    }
}

impl<T: AtomicElement> Deref for Atomic<T> {
    type Target = T::Atomic;
    fn deref(&self) -> &T::Atomic {
        // SAFETY: the block holds one, and its bytes change only as atomics.
        unsafe { self.place.words().cast().as_ref() }
    }
}

impl<T: AtomicElement> std::fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

/// Numbers in shared memory that any number of threads and processes may change concurrently; dereferences to
/// a slice of [atomics](Atomic).
///
/// ```
/// use phalanx::shared::AtomicArray;
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let histogram = AtomicArray::<u32>::zeros(4)?;
/// for x in [0, 1, 1, 3] {
///     histogram[x].fetch_add(1, Relaxed);
/// }
/// let counts: Vec<u32> = histogram.iter().map(|bin| bin.load(Relaxed)).collect();
/// assert_eq!(counts, [1, 2, 0, 1]);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct AtomicArray<T> {
    place: Place,
    _elements: PhantomData<T>,
}

impl<T: AtomicElement> AtomicArray<T> {
    /// Creates an array of zeros.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn zeros(len: usize) -> Result<AtomicArray<T>, CreateError> {
        let len_bytes = len.saturating_mul(size_of::<T>());
        Ok(AtomicArray::of(place::make::<AtomicArray<T>>("atomic array", len_bytes, |_| (), None)?))
    }

    /// Creates an array from a copy of a slice.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn from_slice(source: &[T]) -> Result<AtomicArray<T>, CreateError> {
        let init = |base: std::ptr::NonNull<u8>| {
            // SAFETY: room for as many, aligned, and nobody else knows the block yet.
            unsafe { base.cast::<T>().as_ptr().copy_from_nonoverlapping(source.as_ptr(), source.len()) }
        };
        let place = place::make::<AtomicArray<T>>("atomic array", size_of_val(source), init, None)?;
        Ok(AtomicArray::of(place))
    }
}

impl<T: AtomicElement> Deref for AtomicArray<T> {
    type Target = [T::Atomic];
    #[expect(clippy::arithmetic_side_effects, reason = "elements have a size")]
    fn deref(&self) -> &[T::Atomic] {
        let len = self.place.len_bytes() / size_of::<T>();
        // SAFETY: the block holds so many, and its bytes change only as atomics.
        unsafe { std::slice::from_raw_parts(self.place.words().cast().as_ptr(), len) }
    }
}

impl<T: AtomicElement> std::fmt::Debug for AtomicArray<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AtomicArray").field("len", &self.len()).finish()
    }
}

remote!([T: AtomicElement] Atomic<T>, "atomic", Bare, T, |this| this.place, |place| Atomic {
    place,
    _value: PhantomData
});
remote_slice!([T: AtomicElement] AtomicArray<T>, "atomic array", Bare, T, |this| this.place, |place| AtomicArray {
    place,
    _elements: PhantomData
});
