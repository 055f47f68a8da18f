//! `atomic`: the whole array as atomics.
//!
//! # Safety
//! An atomic has the size and alignment of its number (`AtomicElement`), and while the grant lives all access
//! goes through atomics, because it borrows the array mutably.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::writing_grants;
use super::{ArrayWire, Located, describe};
use crate::array::{RangeRefMut, Shape};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::shared::AtomicElement;
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;

/// The whole array as atomics. Returned by [`atomic`](crate::SharedArray::atomic).
pub struct Atomics<'a, T, D>(RangeRefMut<'a, T, D>);

writing_grants! {
    AtomicElement;

    /// Grants each kernel call access to all elements as atomics, in row-major order.
    fn atomic(part) -> Atomics {
        Atomics(part)
    }
}

// SAFETY: only atomics are handed out.
unsafe impl<T: AtomicElement, D: Shape> Operand for Atomics<'_, T, D> {
    type Wire = ArrayWire;
    type Local = (Located<T, D>, usize);
    type View<'w> = &'w [T::Atomic];
    const LAYOUT: u64 = sized(Tag::Atomics, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        to.changes_in_place();
        describe(self.0.part(), "an atomic() array", true, to)
    }
    fn wire(&self) -> ArrayWire {
        ArrayWire::of(self.0.part())
    }
    unsafe fn open(wire: &ArrayWire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let local = Located::<T, D>::open(wire, context, true)?;
        let len = local.dim.size();
        Ok((local, len))
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w [T::Atomic] {
        // SAFETY: the whole array, mapped for the launch; the twin's layout is the element's.
        unsafe { std::slice::from_raw_parts(local.0.base.cast(), local.1) }
    }
}
