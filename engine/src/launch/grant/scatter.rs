//! `scatter`: access at computed places.
//!
//! # Safety
//! For each access, the kernel must ensure that no other chunk, and no slice of its own, touches what it
//! writes or writes what it reads. Bounds are checked, except for accesses through a bare address.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::writing_grants;
use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRefMut, Shape};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use std::marker::PhantomData;
use std::ops::Range;

/// Access at computed indices. Returned by [`scatter`](crate::SharedArray::scatter).
pub struct Scatter<'a, T, D>(RangeRefMut<'a, T, D>);

/// What a kernel receives for a [`Scatter`]: access by row-major element index.
#[derive(Clone, Copy, Debug)]
pub struct ScatterView<'w, T> {
    base: *mut T,
    len: usize,
    array: PhantomData<&'w T>,
}

writing_grants! {
    Element;

    /// Grants each kernel call access to any element, for permutations, counting sorts and the like. Overlap
    /// between chunks is not checked.
    fn scatter(part) -> Scatter {
        Scatter(part)
    }
}

impl<'w, T: Element> ScatterView<'w, T> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes one element.
    ///
    /// # Panics
    /// If `index` is outside the array.
    ///
    /// # Safety
    /// No other chunk of the launch may write or read this element, and no live slice may cover it.
    pub unsafe fn write(&self, index: usize, value: T) {
        assert!(index < self.len, "scatter to {index} of an array of {} elements", self.len);
        // SAFETY: inside the array; nobody else touches the element, and no slice does, by the caller's word.
        unsafe { self.base.add(index).write(value) }
    }

    /// Returns some elements by row-major index, for reading. Meant for algorithms that move blocks within an
    /// array.
    ///
    /// # Panics
    /// If `range` leaves the array.
    ///
    /// # Safety
    /// While the slice lives, no chunk of the launch may write these elements.
    pub unsafe fn slice(&self, range: Range<usize>) -> &[T] {
        let (first, len) = (self.first_of(&range), range.len());
        // SAFETY: inside the array, all bits are values, and nobody writes them meanwhile, by the caller's
        // word.
        unsafe { std::slice::from_raw_parts(first, len) }
    }

    /// Returns some elements by row-major index, for reading and writing.
    ///
    /// # Panics
    /// If `range` leaves the array.
    ///
    /// # Safety
    /// While the slice lives, no other chunk of the launch may read or write these elements, and this chunk
    /// may do so only through the slice.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut x = pool.from_fn(40, |i| i as u64)?;
    /// pool.launch().chunk(1).for_each((x.scatter(), 0..2), |(x, span)| {
    ///     for block in span {
    ///         // SAFETY: chunk 0 touches blocks 0 and 3 of 10 elements, chunk 1 blocks 1 and 2.
    ///         let low = unsafe { x.slice_mut(10 * block..10 * block + 10) };
    ///         // SAFETY: as above.
    ///         let high = unsafe { x.slice_mut(30 - 10 * block..40 - 10 * block) };
    ///         low.swap_with_slice(high);
    ///     }
    /// })?;
    /// assert_eq!((x.as_slice()[0], x.as_slice()[39], x.as_slice()[15]), (30, 9, 25));
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::mut_from_ref,
        reason = "the view stands for the whole array; the caller keeps parts apart"
    )]
    pub unsafe fn slice_mut(&self, range: Range<usize>) -> &'w mut [T] {
        let (first, len) = (self.first_of(&range), range.len());
        // SAFETY: inside the array, all bits are values, and nobody else touches them meanwhile, by the
        // caller's word.
        unsafe { std::slice::from_raw_parts_mut(first, len) }
    }

    /// Returns the address of the first element, for libraries that take one.
    ///
    /// Accesses through it must stay inside the array and follow the safety rule of [`Self::slice_mut`].
    pub fn as_mut_ptr(&self) -> *mut T {
        self.base
    }

    fn first_of(&self, range: &Range<usize>) -> *mut T {
        let fits = range.start <= range.end && range.end <= self.len;
        assert!(fits, "elements {}..{} of an array of {}", range.start, range.end, self.len);
        // SAFETY: inside the array, or one past it for an empty range.
        unsafe { self.base.add(range.start) }
    }
}

// SAFETY: `Located` checks the place; a view alone touches nothing, and what its unsafe methods give is
// argued by the kernel that calls them.
unsafe impl<T: Element, D: Shape> Operand for Scatter<'_, T, D> {
    type Wire = ArrayWire;
    type Local = (Located<T, D>, usize);
    type View<'w> = ScatterView<'w, T>;
    const LAYOUT: u64 = sized(Tag::Scatter, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        to.changes_in_place();
        describe(self.0.part(), "a scatter() array", true, to)
    }
    fn wire(&self) -> ArrayWire {
        ArrayWire::of(self.0.part())
    }
    unsafe fn open(wire: &ArrayWire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let local = Located::<T, D>::open(wire, context, true)?;
        let len = local.dim.size();
        Ok((local, len))
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> ScatterView<'w, T> {
        ScatterView { base: local.0.base, len: local.1, array: PhantomData }
    }
}
