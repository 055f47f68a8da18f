//! Strided parts of arrays: how they are sent, resolved, and seen block by block.
//!
//! # Safety
//! [`Strided::open`] checks that every element of the part lies inside its segment, and for writing that no
//! two indices lead to the same one. So blocks of indices inside the part's shape are inside the segment, and
//! those of disjoint blocks are disjoint.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::{MAX_AXES, describe_part};
use crate::array::{Element, Shape, SliceRef};
use crate::launch::error::LaunchError;
use crate::launch::operand::describe::Description;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use ndarray::{ArrayView, ArrayViewMut, Axis, ShapeBuilder, StrideShape};
use std::marker::PhantomData;

/// A strided part of an array as it is sent. Strides count elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StridedWire {
    pub(super) segment: u64,
    /// Where in the segment the element of the least address lies.
    pub(super) offset: u64,
    pub(super) axes: u64,
    pub(super) shape: [u64; MAX_AXES],
    pub(super) strides: [u64; MAX_AXES],
    /// Bit `i` is set if indices along axis `i` run towards lower addresses.
    pub(super) reversed: u64,
}

impl StridedWire {
    /// `describe` has found the segment before, and that there are not too many axes.
    pub(super) fn of<T: Element, D: Shape>(part: &SliceRef<'_, T, D>) -> StridedWire {
        let view = part.view();
        let (mut shape, mut strides, mut reversed) = ([1; MAX_AXES], [0; MAX_AXES], 0);
        let mut offset = part.byte_offset() as u64;
        for (axis, (len, stride)) in view.shape().iter().zip(view.strides()).enumerate().take(MAX_AXES) {
            shape[axis] = *len as u64;
            // An axis of one element leads nowhere else, and a part without elements nowhere at all.
            if *len <= 1 || view.is_empty() {
                continue;
            }
            strides[axis] = stride.unsigned_abs() as u64;
            if *stride < 0 {
                reversed |= 1_u64.wrapping_shl(axis as u32);
                // No wrap: the part lies in the segment.
                let last = (*len as u64).wrapping_sub(1).wrapping_mul(strides[axis]);
                offset = offset.wrapping_sub(last.wrapping_mul(size_of::<T>() as u64));
            }
        }
        let segment = part.segment().map_or(0, |segment| segment.id().0);
        StridedWire { segment, offset, axes: view.ndim() as u64, shape, strides, reversed }
    }
}

/// Reports to the driver a slice that members will access.
pub(super) fn describe<T: Element, D: Shape>(
    part: &SliceRef<'_, T, D>,
    what: &'static str,
    writes: bool,
    to: &mut Description<'_>,
) -> Result<(), LaunchError> {
    describe_part(part.segment(), part.view().ndim(), what, writes, to)
}

/// A strided part as resolved in this process.
#[derive(Debug)]
pub struct Strided<T, D> {
    /// The element of the least address.
    base: *mut T,
    pub(super) dim: D,
    /// In elements, never negative.
    strides: D,
    reversed: u64,
    item: PhantomData<T>,
}

/// A block of indices: where it starts and how long it is, along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block<D> {
    pub(super) origin: D,
    pub(super) shape: D,
}

impl<T: Element, D: Shape> Strided<T, D> {
    /// Resolves a wire, and checks all that it leads to.
    pub(super) fn open(
        wire: &StridedWire,
        context: &mut LaunchContext<'_>,
        writable: bool,
    ) -> Result<Strided<T, D>, Fault> {
        let corrupt = || fault(FaultKind::Corrupt, "a slice's shape makes no sense");
        let axes = wire.axes as usize;
        if axes == 0 || axes > MAX_AXES || D::NDIM.is_some_and(|own| own != axes) {
            return Err(corrupt());
        }
        let (mut dim, mut strides) = (D::zeros(axes), D::zeros(axes));
        for axis in 0..axes {
            dim.slice_mut()[axis] = usize::try_from(wire.shape[axis]).map_err(|_| corrupt())?;
            strides.slice_mut()[axis] = usize::try_from(wire.strides[axis]).map_err(|_| corrupt())?;
        }
        // Where an axis leads to no second element, its stride is not looked at, and need not make sense.
        let is_empty = dim.slice().contains(&0);
        for (stride, len) in strides.slice_mut().iter_mut().zip(dim.slice()) {
            if is_empty || *len == 1 {
                *stride = 0;
            }
        }
        let elements = reach(dim.slice(), strides.slice(), writable).ok_or_else(corrupt)?;
        let bytes = elements.checked_mul(size_of::<T>()).ok_or_else(corrupt)?;
        let base = context.attach(wire.segment, wire.offset, bytes, writable)?.cast::<T>();
        if !base.is_aligned() {
            return Err(corrupt());
        }
        Ok(Strided { base, dim, strides, reversed: wire.reversed, item: PhantomData })
    }

    fn is_reversed(&self, axis: usize) -> bool {
        self.reversed.wrapping_shr(axis as u32) & 1 == 1
    }

    /// How many elements an index along an axis lies behind the element of the least address. The index lies
    /// inside the part.
    pub(super) fn offset_along(&self, axis: usize, index: usize) -> usize {
        let steps = if self.is_reversed(axis) {
            self.dim.slice()[axis].wrapping_sub(1).wrapping_sub(index)
        } else {
            index
        };
        // No wrap: inside the part, as `open` checked.
        steps.wrapping_mul(self.strides.slice()[axis])
    }

    /// Whether neighbours along an axis lie beside each other, in the order of their indices.
    pub(super) fn is_contiguous_along(&self, axis: usize) -> bool {
        self.strides.slice()[axis] == 1 && !self.is_reversed(axis)
    }

    /// # Safety
    /// `at` is the sum of [`Self::offset_along`] of one index of the part along each axis, and nobody writes
    /// the element meanwhile.
    pub(super) unsafe fn element(&self, at: usize) -> T {
        // SAFETY: inside the part, every element of which lies in its segment's mapping, aligned (`open`).
        let element = unsafe { self.base.add(at) };
        // SAFETY: as above; every bit pattern is a `T`.
        unsafe { element.read() }
    }

    /// # Safety
    /// As for [`Self::element`], for `len` elements that follow each other, as long as the slice lives.
    pub(super) unsafe fn elements(&self, at: usize, len: usize) -> &[T] {
        // SAFETY: inside the part, as in `element`.
        let first = unsafe { self.base.add(at) };
        // SAFETY: as above; every bit pattern is a `T`; frozen by the caller's word.
        unsafe { std::slice::from_raw_parts(first, len) }
    }

    /// The shape of a block, and the address of its element of the least address. The block lies inside the
    /// part.
    fn placed(&self, block: Block<D>) -> (StrideShape<D>, *mut T) {
        if block.shape.size() == 0 {
            // It may lie beyond the last element.
            return (block.shape.into(), self.base);
        }
        let mut at = 0_usize;
        for axis in 0..self.dim.ndim() {
            let [origin, len] = [&block.origin, &block.shape].map(|of| of.slice()[axis]);
            let last = origin.wrapping_add(len).wrapping_sub(1);
            let first = if self.is_reversed(axis) { last } else { origin };
            // No wrap: inside the part, as `open` checked.
            at = at.wrapping_add(self.offset_along(axis, first));
        }
        (block.shape.strides(self.strides.clone()), self.base.wrapping_add(at))
    }

    /// # Safety
    /// The block lies inside the part, and for `'w` the part stays mapped and nobody writes the block.
    pub(super) unsafe fn view<'w>(&self, block: Block<D>) -> ArrayView<'w, T, D> {
        let (shape, start) = self.placed(block);
        // SAFETY: inside the part, every element of which lies in its segment's mapping, aligned (`open`);
        // frozen by the caller's word.
        let mut view = unsafe { ArrayView::from_shape_ptr(shape, start) };
        (0..view.ndim()).filter(|axis| self.is_reversed(*axis)).for_each(|axis| view.invert_axis(Axis(axis)));
        view
    }

    /// # Safety
    /// As for [`Self::view`], of a part that was opened for writing, and for `'w` nobody else accesses the
    /// block.
    pub(super) unsafe fn view_mut<'w>(&self, block: Block<D>) -> ArrayViewMut<'w, T, D> {
        let (shape, start) = self.placed(block);
        // SAFETY: as in `view`; no two indices lead to one element (`open`), and the block is this view's
        // alone by the caller's word.
        let mut view = unsafe { ArrayViewMut::from_shape_ptr(shape, start) };
        (0..view.ndim()).filter(|axis| self.is_reversed(*axis)).for_each(|axis| view.invert_axis(Axis(axis)));
        view
    }

    /// The block of all indices.
    pub(super) fn all(&self) -> Block<D> {
        Block { origin: D::zeros(self.dim.ndim()), shape: self.dim.clone() }
    }

    /// The block of rows `lo..hi`, which lie inside the part.
    pub(super) fn rows(&self, span: crate::base::Span) -> Block<D> {
        let mut block = self.all();
        block.origin.slice_mut()[0] = span.lo;
        block.shape.slice_mut()[0] = span.len();
        block
    }
}

/// How many elements, counted from the one of the least address, a part spans. `None` if that or the number
/// of indices is more than any memory holds, or if the part is to be written and two indices may lead to the
/// same element.
fn reach(shape: &[usize], strides: &[usize], writable: bool) -> Option<usize> {
    let fits = |size: &usize| isize::try_from(*size).is_ok();
    shape.iter().try_fold(1_usize, |size, len| size.checked_mul((*len).max(1))).filter(fits)?;
    let last = |(len, stride): (&usize, &usize)| len.saturating_sub(1).checked_mul(*stride);
    let steps = shape.iter().zip(strides).map(last).collect::<Option<Vec<usize>>>()?;
    let span = steps.iter().try_fold(0_usize, |span, step| span.checked_add(*step)).filter(fits)?;
    if shape.contains(&0) {
        return Some(0);
    }
    // Each stride steps over all that the axes of smaller strides reach together.
    let mut by_stride: Vec<usize> = (0..shape.len()).filter(|axis| shape[*axis] > 1).collect();
    by_stride.sort_by_key(|axis| strides[*axis]);
    let mut below = 0_usize;
    let is_injective = by_stride.iter().all(|axis| {
        let apart = strides[*axis] > below;
        // No wrap: at most `span`.
        below = below.wrapping_add(steps[*axis]);
        apart
    });
    if writable && !is_injective { None } else { span.checked_add(1) }
}
