//! `split_flat`, `split_flat_mut`, `split_flat_out`, `whole_flat`: chunks of the elements in row-major order,
//! whatever the shape.
//!
//! # Safety
//! As in `split.rs`: the array is seen as one of a single axis, with as many elements as it has; views cover
//! exactly the chunk's elements, and the grant borrows the array for as long as any worker can touch it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::{reading_grants, writing_grants};
use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRef, RangeRefMut, Shape};
use crate::base::Span;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use ndarray::Ix1;

/// A read-only chunk of the elements. Returned by [`split_flat`](crate::SharedArray::split_flat).
pub struct SplitFlat<'a, T, D>(pub(crate) RangeRef<'a, T, D>);
/// A writable chunk of the elements. Returned by [`split_flat_mut`](crate::SharedArray::split_flat_mut).
pub struct SplitFlatMut<'a, T, D>(RangeRefMut<'a, T, D>);
/// A chunk of the elements, to be overwritten. Returned by
/// [`split_flat_out`](crate::SharedArray::split_flat_out).
pub struct SplitFlatOut<'a, T, D>(RangeRefMut<'a, T, D>);
/// All elements, read-only. Returned by [`whole_flat`](crate::SharedArray::whole_flat).
pub struct WholeFlat<'a, T, D>(RangeRef<'a, T, D>);

reading_grants! {
    Element;

    /// Grants each kernel call read access to a chunk of the elements in row-major order: a slice, whatever
    /// the array's shape.
    ///
    /// The length of the launch is the number of elements. Arrays of different shapes with equally many
    /// elements therefore go together; if that is not wanted, compare the shapes first.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = pool.from_shape_fn((2, 5000), |(i, j)| (i + j) as u64)?;
    /// let sum = pool.reduce(a.split_flat(), 0, |part| part.iter().sum(), |a, b| a + b)?;
    /// assert_eq!(sum, a.view().sum());
    /// # Ok(())
    /// # }
    /// ```
    fn split_flat(part) -> SplitFlat {
        SplitFlat(part)
    }

    /// Grants each kernel call read access to all elements in row-major order: a slice, whatever the array's
    /// shape.
    fn whole_flat(part) -> WholeFlat {
        WholeFlat(part)
    }
}

writing_grants! {
    Element;

    /// Like [`split_flat`](Self::split_flat), for reading and writing.
    fn split_flat_mut(part) -> SplitFlatMut {
        SplitFlatMut(part)
    }

    /// Like [`split_flat`](Self::split_flat), for writing. What a chunk holds beforehand is unspecified, as
    /// with [`split_out`](Self::split_out).
    fn split_flat_out(part) -> SplitFlatOut {
        SplitFlatOut(part)
    }
}

/// The wire of an array treated as having one axis.
fn flat<T: Element, D: Shape>(array: &RangeRef<'_, T, D>) -> ArrayWire {
    let mut wire = ArrayWire::of(array);
    (wire.axes, wire.shape) = (1, [1; super::MAX_AXES]);
    wire.shape[0] = array.len() as u64;
    wire
}

macro_rules! chunked {
    ($grant:ident, $name:literal, $writes:literal, $in_place:literal, $view:ident, $make:ident) => {
        // SAFETY: see the module; `Located::open` checks the elements against their segment.
        unsafe impl<T: Element, D: Shape> Operand for $grant<'_, T, D> {
            type Wire = ArrayWire;
            type Local = Located<T, Ix1>;
            type View<'w> = <Ix1 as Shape>::$view<'w, T>;
            const LAYOUT: u64 = sized(Tag::$grant, size_of::<T>());

            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                describe(self.0.part(), $name, $writes, to)?;
                to.length(self.0.len(), $name)?;
                to.unit_bytes(size_of::<T>());
                if $in_place {
                    to.changes_in_place();
                }
                Ok(())
            }
            fn wire(&self) -> ArrayWire {
                flat(self.0.part())
            }
            unsafe fn open(wire: &ArrayWire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
                let local = Located::open(wire, context, $writes)?;
                context.check_rows(local.rows())?;
                Ok(local)
            }
            unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
                // SAFETY: the chunk's elements lie inside the array (`check_rows`), which is mapped for the
                // launch; for writing they are this call's alone.
                unsafe { Ix1::$make(local.base, &local.dim, chunk.span) }
            }
        }
    };
}
chunked!(SplitFlat, "a split_flat() array", false, false, View, view_rows);
chunked!(SplitFlatMut, "a split_flat_mut() array", true, true, ViewMut, view_rows_mut);
chunked!(SplitFlatOut, "a split_flat_out() array", true, false, ViewMut, view_rows_mut);

// SAFETY: read-only; the grant borrows the array, so nobody writes it.
unsafe impl<T: Element, D: Shape> Operand for WholeFlat<'_, T, D> {
    type Wire = ArrayWire;
    type Local = Located<T, Ix1>;
    type View<'w> = &'w [T];
    const LAYOUT: u64 = sized(Tag::WholeFlat, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(self.0.part(), "a whole_flat() array", false, to)
    }
    fn wire(&self) -> ArrayWire {
        flat(self.0.part())
    }
    unsafe fn open(wire: &ArrayWire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        Located::open(wire, context, false)
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w [T] {
        // SAFETY: all elements, mapped and frozen for the launch.
        unsafe { Ix1::view_rows(local.base, &local.dim, Span::new(0, local.rows())) }
    }
}
