//! Grants of slices: chunks along the first axis of a strided part of an array, or all of it.
//!
//! # Safety
//! As in `split.rs`: views cover exactly the chunk's rows of the slice, chunks of one launch are disjoint,
//! and the grant borrows the array for as long as any worker can touch it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::strided::{Strided, StridedWire, describe};
use crate::array::{Element, Shape, SliceRef, SliceRefMut};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use ndarray::{ArrayView, ArrayViewMut};

/// A read-only chunk of a slice. Returned by [`SliceRef::split`].
pub struct SplitSlice<'a, T, D>(SliceRef<'a, T, D>);
/// A writable chunk of a slice. Returned by [`SliceRefMut::split_mut`].
pub struct SplitSliceMut<'a, T, D>(SliceRefMut<'a, T, D>);
/// A chunk of a slice, to be overwritten. Returned by [`SliceRefMut::split_out`].
pub struct SplitSliceOut<'a, T, D>(SliceRefMut<'a, T, D>);
/// A whole slice, read-only. Returned by [`SliceRef::whole`].
pub struct WholeSlice<'a, T, D>(SliceRef<'a, T, D>);

impl<'a, T: Element, D: Shape> SliceRef<'a, T, D> {
    /// Grants each kernel call read access to its chunk of the slice along its first axis, as an ndarray
    /// view.
    pub fn split(&self) -> SplitSlice<'a, T, D> {
        SplitSlice(self.clone())
    }

    /// Grants each kernel call read access to the whole slice, as an ndarray view.
    pub fn whole(&self) -> WholeSlice<'a, T, D> {
        WholeSlice(self.clone())
    }
}

impl<'a, T: Element, D: Shape> SliceRefMut<'a, T, D> {
    /// Grants each kernel call read and write access to its chunk of the slice along its first axis, as an
    /// ndarray view.
    pub fn split_mut(self) -> SplitSliceMut<'a, T, D> {
        SplitSliceMut(self)
    }

    /// Grants each kernel call write access to its chunk of the slice. What the chunk holds beforehand is
    /// unspecified, as with [`SharedArray::split_out`](crate::SharedArray::split_out).
    pub fn split_out(self) -> SplitSliceOut<'a, T, D> {
        SplitSliceOut(self)
    }
}

macro_rules! chunked {
    ($grant:ident, $name:literal, $writes:literal, $in_place:literal, $view:ident, $make:ident) => {
        // SAFETY: see the module; `Strided::open` checks the slice against its segment.
        unsafe impl<T: Element, D: Shape> Operand for $grant<'_, T, D> {
            type Wire = StridedWire;
            type Local = Strided<T, D>;
            type View<'w> = $view<'w, T, D>;
            const LAYOUT: u64 = sized(Tag::$grant, size_of::<T>());

            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                let part = self.0.part();
                describe(&part, $name, $writes, to)?;
                let view = part.view();
                to.length(view.shape()[0], $name)?;
                let row = view.shape().iter().skip(1).product::<usize>();
                to.unit_bytes(row.saturating_mul(size_of::<T>()));
                if $in_place {
                    to.changes_in_place();
                }
                Ok(())
            }
            fn wire(&self) -> StridedWire {
                StridedWire::of(&self.0.part())
            }
            unsafe fn open(
                wire: &StridedWire,
                context: &mut LaunchContext<'_>,
            ) -> Result<Self::Local, Fault> {
                let local = Strided::<T, D>::open(wire, context, $writes)?;
                context.check_rows(local.dim.slice()[0])?;
                Ok(local)
            }
            unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
                // SAFETY: the chunk's rows lie inside the slice (`check_rows`), which is mapped for the
                // launch; for writing they are this call's alone.
                unsafe { local.$make(local.rows(chunk.span)) }
            }
        }
    };
}
chunked!(SplitSlice, "a split() slice", false, false, ArrayView, view);
chunked!(SplitSliceMut, "a split_mut() slice", true, true, ArrayViewMut, view_mut);
chunked!(SplitSliceOut, "a split_out() slice", true, false, ArrayViewMut, view_mut);

// SAFETY: read-only; the grant borrows the array, so nobody writes it.
unsafe impl<T: Element, D: Shape> Operand for WholeSlice<'_, T, D> {
    type Wire = StridedWire;
    type Local = Strided<T, D>;
    type View<'w> = ArrayView<'w, T, D>;
    const LAYOUT: u64 = sized(Tag::WholeSlice, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(&self.0, "a whole() slice", false, to)
    }
    fn wire(&self) -> StridedWire {
        StridedWire::of(&self.0)
    }
    unsafe fn open(wire: &StridedWire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        Strided::open(wire, context, false)
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: all of the slice, mapped and frozen for the launch.
        unsafe { local.view(local.all()) }
    }
}
