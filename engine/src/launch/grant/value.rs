//! Shared values as operands.
//!
//! # Safety
//! The value lies in a segment that `attach` has range-checked, and the operand is a borrow of it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRef, SharedValue};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use ndarray::Ix1;

// SAFETY: read-only; the operand borrows the value, so nobody writes it.
unsafe impl<T: Element> Operand for &SharedValue<T> {
    type Wire = ArrayWire;
    type Local = Located<T, Ix1>;
    type View<'w> = &'w T;
    const LAYOUT: u64 = sized(Tag::SharedValue, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(&RangeRef::of(self.as_array()), "a shared value", false, to)
    }
    fn wire(&self) -> ArrayWire {
        ArrayWire::of(&RangeRef::of(self.as_array()))
    }
    unsafe fn open(wire: &ArrayWire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let local = Located::<T, Ix1>::open(wire, context, false)?;
        if local.rows() == 1 {
            Ok(local)
        } else {
            Err(crate::team::member::fault(
                crate::team::fault::FaultKind::Corrupt,
                "a shared value is no single value",
            ))
        }
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w T {
        // SAFETY: one element, mapped and frozen for the launch.
        unsafe { &*local.base }
    }
}
