//! `split`, `split_mut`, `split_out`, `whole`: chunks along the first axis, or everything.
//!
//! # Safety
//! Views of `split_mut` and `split_out` cover exactly the chunk's rows. Chunks of one launch are disjoint
//! (bitmap and claims ensure that), and the grant borrows the array mutably until no worker can touch it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::{reading_grants, writing_grants};
use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRef, RangeRefMut, Shape, rows};
use crate::base::Span;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;

/// A read-only chunk. Returned by [`split`](crate::SharedArray::split).
pub struct Split<'a, T, D>(pub(crate) RangeRef<'a, T, D>);
/// A writable chunk. Returned by [`split_mut`](crate::SharedArray::split_mut).
pub struct SplitMut<'a, T, D>(pub(crate) RangeRefMut<'a, T, D>);
/// A chunk to be overwritten. Returned by [`split_out`](crate::SharedArray::split_out).
pub struct SplitOut<'a, T, D>(pub(crate) RangeRefMut<'a, T, D>);
/// The whole array, read-only. Returned by [`whole`](crate::SharedArray::whole).
pub struct Whole<'a, T, D>(RangeRef<'a, T, D>);

reading_grants! {
    Element;

    /// Grants each kernel call read access to its chunk: a slice in 1-D, an ndarray view of some rows in n-D.
    fn split(part) -> Split {
        Split(part)
    }

    /// Grants each kernel call read access to the whole array.
    fn whole(part) -> Whole {
        Whole(part)
    }
}

writing_grants! {
    Element;

    /// Grants each kernel call read and write access to its chunk.
    fn split_mut(part) -> SplitMut {
        SplitMut(part)
    }

    /// Grants each kernel call write access to its chunk. What the chunk holds beforehand is unspecified.
    ///
    /// The kernel must write the whole chunk without reading it first. A chunk whose worker died can then be
    /// run again ([`Launch::retry`](crate::Launch::retry)).
    fn split_out(part) -> SplitOut {
        SplitOut(part)
    }
}

macro_rules! chunked {
    ($grant:ident, $name:literal, $writes:literal, $in_place:literal, $view:ident, $make:ident) => {
        // SAFETY: see the module; `Located::open` checks the array against its segment.
        unsafe impl<T: Element, D: Shape> Operand for $grant<'_, T, D> {
            type Wire = ArrayWire;
            type Local = Located<T, D>;
            type View<'w> = D::$view<'w, T>;
            const LAYOUT: u64 = sized(Tag::$grant, size_of::<T>());

            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                describe(self.0.part(), $name, $writes, to)?;
                to.length(rows(self.0.part().raw_dim()), $name)?;
                to.unit_bytes(self.0.part().row_bytes());
                if $in_place {
                    to.changes_in_place();
                }
                Ok(())
            }
            fn wire(&self) -> ArrayWire {
                ArrayWire::of(self.0.part())
            }
            unsafe fn open(
                wire: &ArrayWire,
                context: &mut LaunchContext<'_>,
            ) -> Result<Located<T, D>, Fault> {
                let local = Located::open(wire, context, $writes)?;
                context.check_rows(local.rows())?;
                Ok(local)
            }
            unsafe fn view<'w>(local: &Located<T, D>, chunk: &Chunk) -> Self::View<'w> {
                // SAFETY: the chunk's rows lie inside the array (`check_rows`), which is mapped for the
                // launch; for writing they are this call's alone.
                unsafe { D::$make(local.base, &local.dim, chunk.span) }
            }
        }
    };
}
chunked!(Split, "a split() array", false, false, View, view_rows);
chunked!(SplitMut, "a split_mut() array", true, true, ViewMut, view_rows_mut);
chunked!(SplitOut, "a split_out() array", true, false, ViewMut, view_rows_mut);

// SAFETY: read-only; the grant borrows the array, so nobody writes it.
unsafe impl<T: Element, D: Shape> Operand for Whole<'_, T, D> {
    type Wire = ArrayWire;
    type Local = Located<T, D>;
    type View<'w> = D::View<'w, T>;
    const LAYOUT: u64 = sized(Tag::Whole, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(self.0.part(), "a whole() array", false, to)
    }
    fn wire(&self) -> ArrayWire {
        ArrayWire::of(self.0.part())
    }
    unsafe fn open(wire: &ArrayWire, context: &mut LaunchContext<'_>) -> Result<Located<T, D>, Fault> {
        Located::open(wire, context, false)
    }
    unsafe fn view<'w>(local: &Located<T, D>, _chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: all rows, mapped and frozen for the launch.
        unsafe { D::view_rows(local.base, &local.dim, Span::new(0, local.rows())) }
    }
}
