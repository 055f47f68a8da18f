//! `split_axis`: chunks along an axis other than the first.
//!
//! # Safety
//! A view covers the indices of the chunk along its axis and all of the others; two chunks share no element.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::{reading_grants, writing_grants};
use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRef, RangeRefMut, Shape};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use ndarray::{ArrayView, ArrayViewMut, ShapeBuilder};

/// A read-only chunk along an axis. Returned by [`split_axis`](crate::SharedArray::split_axis).
pub struct SplitAxis<'a, T, D>(RangeRef<'a, T, D>, usize);
/// A writable chunk along an axis. Returned by [`split_axis_mut`](crate::SharedArray::split_axis_mut).
pub struct SplitAxisMut<'a, T, D>(RangeRefMut<'a, T, D>, usize);

reading_grants! {
    Element;

    /// Grants each kernel call read access to its chunk along `axis` (counted from 0), as a strided ndarray
    /// view.
    fn split_axis(part, axis: usize) -> SplitAxis {
        SplitAxis(part, axis)
    }
}

writing_grants! {
    Element;

    /// Grants each kernel call read and write access to its chunk along `axis` (counted from 0), as a strided
    /// ndarray view.
    ///
    /// If the axis is the last, neighbouring chunks share cache lines: choose chunks of many lines.
    fn split_axis_mut(part, axis: usize) -> SplitAxisMut {
        SplitAxisMut(part, axis)
    }
}

/// The first element of the chunk, its shape, and the array's strides.
fn part<T: Element, D: Shape>(local: &Located<T, D>, axis: usize, chunk: &Chunk) -> (*mut T, D, D) {
    let mut strides = local.dim.clone();
    let mut step = 1;
    for (stride, len) in strides.slice_mut().iter_mut().zip(local.dim.slice()).rev() {
        *stride = step;
        // No wrap: as many elements as the array has, whose bytes fit into memory.
        step = len.wrapping_mul(step);
    }
    let mut shape = local.dim.clone();
    shape.slice_mut()[axis] = chunk.span.len();
    (local.base.wrapping_add(chunk.span.lo.wrapping_mul(strides.slice()[axis])), shape, strides)
}

macro_rules! along {
    ($grant:ident, $name:literal, $writes:literal, $view:ident) => {
        // SAFETY: see the module.
        unsafe impl<T: Element, D: Shape> Operand for $grant<'_, T, D> {
            type Wire = (ArrayWire, u64);
            type Local = (Located<T, D>, usize);
            type View<'w> = $view<'w, T, D>;
            const LAYOUT: u64 = sized(Tag::$grant, size_of::<T>());

            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                describe(self.0.part(), $name, $writes, to)?;
                let Some(&len) = self.0.shape().get(self.1) else {
                    let why = format!("there is no axis {} in an array of {} axes", self.1, self.0.ndim());
                    return Err(LaunchError::BadGrant { what: $name, why });
                };
                to.length(len, $name)?;
                to.unit_bytes(self.0.part().len_bytes().checked_div(len).unwrap_or(0));
                if $writes {
                    to.changes_in_place();
                }
                Ok(())
            }
            fn wire(&self) -> Self::Wire {
                (ArrayWire::of(self.0.part()), self.1 as u64)
            }
            unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
                let local = Located::<T, D>::open(&wire.0, context, $writes)?;
                let axis = wire.1 as usize;
                let len = local.dim.slice().get(axis).copied();
                context.check_rows(
                    len.ok_or_else(|| fault(FaultKind::Corrupt, "an operand's axis makes no sense"))?,
                )?;
                Ok((local, axis))
            }
            unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
                let (start, shape, strides) = part(&local.0, local.1, chunk);
                // SAFETY: the chunk's indices lie inside the axis (`check_rows`), so the view lies inside the
                // array, and no other chunk has an element of it.
                unsafe { $view::from_shape_ptr(shape.strides(strides), start) }
            }
        }
    };
}
along!(SplitAxis, "a split_axis() array", false, ArrayView);
along!(SplitAxisMut, "a split_axis_mut() array", true, ArrayViewMut);
