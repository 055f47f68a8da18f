//! `atomic`: the whole array as atomics.
//!
//! # Safety
//! An atomic has the size and alignment of its integer on the platforms we build for (asserted), and while the grant lives
//! all access goes through atomics, because it borrows the array mutably.
#![allow(unsafe_code)]

use super::{ArrayWire, Located, describe};
use crate::array::{Element, Shape, SharedArray};
use crate::launch::chunk::Chunk;
use crate::launch::describe::Description;
use crate::launch::error::LaunchError;
use crate::launch::operand::{Operand, SEED, mix};
use crate::team::board::Fault;
use crate::team::member::Visit;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Elements that have an atomic twin.
///
/// # Safety
/// `Atomic` has the size, alignment and bit validity of `Self`.
pub unsafe trait AtomicElement: Element {
    /// The twin.
    type Atomic: Sync + 'static;
}

macro_rules! atomics { ($($t:ty => $a:ty),*) => { $(
    const _: () = assert!(size_of::<$t>() == size_of::<$a>() && align_of::<$t>() == align_of::<$a>());
    // SAFETY: asserted above; every bit pattern is valid for both.
    unsafe impl AtomicElement for $t {
        type Atomic = $a;
    }
)* } }
atomics!(u32 => AtomicU32, i32 => AtomicI32, u64 => AtomicU64, i64 => AtomicI64, usize => AtomicUsize, f64 => AtomicF64);

/// An `f64` that several workers change at once.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct AtomicF64(AtomicU64);

impl AtomicF64 {
    /// The value now.
    pub fn load(&self, ordering: Ordering) -> f64 {
        f64::from_bits(self.0.load(ordering))
    }

    /// Sets it.
    pub fn store(&self, value: f64, ordering: Ordering) {
        self.0.store(value.to_bits(), ordering);
    }

    /// Adds `value`; returns what was there before. Loops while others change it meanwhile.
    ///
    /// The sum depends on the order in which workers come, to the last bits; [`Launch::reduce`](crate::Launch::reduce) does not.
    pub fn fetch_add(&self, value: f64, ordering: Ordering) -> f64 {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = (f64::from_bits(seen) + value).to_bits();
            match self.0.compare_exchange_weak(seen, next, ordering, Ordering::Relaxed) {
                Ok(before) => return f64::from_bits(before),
                Err(now) => seen = now,
            }
        }
    }
}

/// The whole array as atomics. Made by [`SharedArray::atomic`].
pub struct Atomics<'a, T, D>(&'a mut SharedArray<T, D>);

impl<T: AtomicElement, D: Shape> SharedArray<T, D> {
    /// Grants each kernel call all elements as atomics, in row-major order.
    pub fn atomic(&mut self) -> Atomics<'_, T, D> {
        Atomics(self)
    }
}

// SAFETY: only atomics are handed out.
unsafe impl<T: AtomicElement, D: Shape> Operand for Atomics<'_, T, D> {
    type Wire = ArrayWire;
    type Local = (Located<T, D>, usize);
    type View<'w> = &'w [T::Atomic];
    const LAYOUT: u64 = mix(mix(SEED, 25), size_of::<T>() as u64);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        to.changes_in_place();
        describe(self.0, "an atomic() array", true, to)
    }
    fn wire(&self) -> ArrayWire {
        ArrayWire::of(self.0)
    }
    unsafe fn open(wire: &ArrayWire, visit: &mut Visit<'_>) -> Result<Self::Local, Fault> {
        let local = Located::<T, D>::open(wire, visit, true)?;
        let len = local.dim.size();
        Ok((local, len))
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w [T::Atomic] {
        // SAFETY: the whole array, mapped for the launch; the twin's layout is the element's.
        unsafe { std::slice::from_raw_parts(local.0.base.cast(), local.1) }
    }
}
