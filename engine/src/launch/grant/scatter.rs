//! `scatter`: writes at computed places.
//!
//! # Safety
//! The view hands out no reference; each write is the kernel's own argument.
#![allow(unsafe_code)]

use super::{ArrayWire, Located, describe};
use crate::array::{Element, Shape, SharedArray};
use crate::launch::chunk::Chunk;
use crate::launch::describe::Description;
use crate::launch::error::LaunchError;
use crate::launch::operand::{Operand, SEED, mix};
use crate::team::board::Fault;
use crate::team::member::Visit;
use std::marker::PhantomData;
use std::ops::Range;

/// Writes at computed places. Made by [`SharedArray::scatter`].
pub struct Scatter<'a, T, D>(&'a mut SharedArray<T, D>);

/// What a kernel sees of a [`Scatter`]: places by row-major element index.
#[derive(Clone, Copy, Debug)]
pub struct ScatterView<'w, T> {
    base: *mut T,
    len: usize,
    array: PhantomData<&'w T>,
}

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Grants each kernel call unchecked-for-overlap writes to any element, for permutations and counting sorts.
    pub fn scatter(&mut self) -> Scatter<'_, T, D> {
        Scatter(self)
    }
}

impl<'w, T: Element> ScatterView<'w, T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes one element.
    ///
    /// # Panics
    /// If `index` is outside the array.
    ///
    /// # Safety
    /// No other chunk of the launch writes or reads the same element.
    pub unsafe fn write(&self, index: usize, value: T) {
        assert!(index < self.len, "scatter to {index} of an array of {} elements", self.len);
        // SAFETY: inside the array; nobody else touches the element, by the caller's word.
        unsafe { self.base.add(index).write(value) }
    }

    /// Some elements in row-major order, for reading and writing: tiles of a matrix, say, row by row.
    ///
    /// # Panics
    /// If `range` leaves the array.
    ///
    /// # Safety
    /// While the slice lives, no other chunk of the launch reads or writes any of these elements, and this one does not by
    /// other means.
    pub unsafe fn slice_mut(&self, range: Range<usize>) -> &'w mut [T] {
        let Range { start, end } = range;
        assert!(start <= end && end <= self.len, "{start}..{end} leave an array of {} elements", self.len);
        // SAFETY: inside the array.
        let first = unsafe { self.base.add(start) };
        // SAFETY: initialised and mapped for the launch; exclusive by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(first, end - start) }
    }

    /// Address of the first element, for libraries that take one.
    ///
    /// What is read and written through it lies inside the array and keeps the rule of [`Self::slice_mut`].
    pub fn as_mut_ptr(&self) -> *mut T {
        self.base
    }
}

// SAFETY: the view gives no reference; its writes are argued by the kernel.
unsafe impl<T: Element, D: Shape> Operand for Scatter<'_, T, D> {
    type Wire = ArrayWire;
    type Local = (Located<T, D>, usize);
    type View<'w> = ScatterView<'w, T>;
    const LAYOUT: u64 = mix(mix(SEED, 24), size_of::<T>() as u64);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        to.changes_in_place();
        describe(self.0, "a scatter() array", true, to)
    }
    fn wire(&self) -> ArrayWire {
        ArrayWire::of(self.0)
    }
    unsafe fn open(wire: &ArrayWire, visit: &mut Visit<'_>) -> Result<Self::Local, Fault> {
        let local = Located::<T, D>::open(wire, visit, true)?;
        let len = local.dim.size();
        Ok((local, len))
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> ScatterView<'w, T> {
        ScatterView { base: local.0.base, len: local.1, array: PhantomData }
    }
}
