//! A strided part of an array, as `s![..]` describes it, as a borrow: what grants of slices are made of.
//!
//! ndarray's own views hold the place of the elements and the borrow; beside them stands what names the place
//! to other processes.
#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

use super::{Element, FrozenArray, RangeRef, RangeRefMut, Shape, SharedArray};
use crate::memory::Segment;
use ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension, Ix1, SliceArg};
use std::sync::Arc;

/// A slice of an array, possibly strided, for reading. Returned by [`SharedArray::slice`].
pub struct SliceRef<'a, T, D = Ix1> {
    view: ArrayView<'a, T, D>,
    place: Place<'a>,
}

/// A slice of an array, possibly strided, for reading and writing. Returned by [`SharedArray::slice_mut`].
pub struct SliceRefMut<'a, T, D = Ix1> {
    view: ArrayViewMut<'a, T, D>,
    place: Place<'a>,
}

/// Where a slice lies, in words that other processes understand.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// `None` if the array is a frozen one that another process made.
    segment: Option<&'a Arc<Segment>>,
    /// Where in the segment the element lies that has index 0 along every axis.
    byte_offset: usize,
}

impl Place<'_> {
    /// The place of a part of what lies here: its first element lies at `to`, and that of the whole at
    /// `from`.
    fn moved<T>(self, from: *const T, to: *const T) -> Self {
        // No wrap: both lie in the segment, and a part may begin before the whole only where an axis is
        // reversed.
        let by = to.addr().wrapping_sub(from.addr());
        Place { byte_offset: self.byte_offset.wrapping_add(by), ..self }
    }
}

impl<'a, T: Element, D: Shape> SliceRef<'a, T, D> {
    /// All of a range of rows.
    pub(crate) fn of(part: &RangeRef<'a, T, D>) -> Self {
        SliceRef {
            view: part.view(),
            place: Place { segment: part.segment(), byte_offset: part.byte_offset() },
        }
    }

    /// Returns a slice of this one.
    ///
    /// # Panics
    /// If an index is out of bounds.
    #[track_caller]
    pub fn slice<I: SliceArg<D>>(&self, info: I) -> SliceRef<'a, T, I::OutDim> {
        let from = self.view.as_ptr();
        let view = self.view.clone().slice_move(info);
        SliceRef { place: self.place.moved(from, view.as_ptr()), view }
    }

    /// Returns the slice with its axes in another order: axis `i` of the result is axis `axes[i]`.
    ///
    /// # Panics
    /// If an axis is missing or named twice, as ndarray's `permuted_axes` does.
    #[track_caller]
    pub fn permuted_axes(self, axes: impl IntoDimension<Dim = D>) -> SliceRef<'a, T, D> {
        SliceRef { view: self.view.permuted_axes(axes), place: self.place }
    }

    /// Returns the slice as an ndarray view.
    pub fn view(&self) -> ArrayView<'a, T, D> {
        self.view.clone()
    }

    /// The same slice, as [`SliceRefMut::part`] returns those that it borrows.
    pub(crate) fn part(&self) -> SliceRef<'_, T, D> {
        SliceRef { view: self.view.view(), place: self.place }
    }

    /// The segment that the elements lie in, if this process can name it to others.
    pub(crate) fn segment(&self) -> Option<&'a Arc<Segment>> {
        self.place.segment
    }

    /// Where in the segment the element lies that has index 0 along every axis.
    pub(crate) fn byte_offset(&self) -> usize {
        self.place.byte_offset
    }
}

impl<T, D: Clone> Clone for SliceRef<'_, T, D> {
    fn clone(&self) -> Self {
        SliceRef { view: self.view.clone(), place: self.place }
    }
}

impl<'a, T: Element, D: Shape> SliceRefMut<'a, T, D> {
    /// All of a range of rows.
    pub(crate) fn of(part: RangeRefMut<'a, T, D>) -> Self {
        let place = Place { segment: part.segment(), byte_offset: part.part().byte_offset() };
        SliceRefMut { view: part.into_view_mut(), place }
    }

    /// Borrows the same slice from this borrow, for a grant that is not the last.
    pub fn reborrow(&mut self) -> SliceRefMut<'_, T, D> {
        SliceRefMut { view: self.view.view_mut(), place: self.place }
    }

    /// Returns a slice of this one.
    ///
    /// # Panics
    /// If an index is out of bounds.
    #[track_caller]
    pub fn slice_mut<I: SliceArg<D>>(self, info: I) -> SliceRefMut<'a, T, I::OutDim> {
        let from = self.view.as_ptr();
        let view = self.view.slice_move(info);
        SliceRefMut { place: self.place.moved(from, view.as_ptr()), view }
    }

    /// Returns the slice with its axes in another order: axis `i` of the result is axis `axes[i]`.
    ///
    /// # Panics
    /// If an axis is missing or named twice, as ndarray's `permuted_axes` does.
    #[track_caller]
    pub fn permuted_axes(self, axes: impl IntoDimension<Dim = D>) -> SliceRefMut<'a, T, D> {
        SliceRefMut { view: self.view.permuted_axes(axes), place: self.place }
    }

    /// Returns the slice as an ndarray view.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        self.view.view()
    }

    /// Returns the slice as a mutable ndarray view.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T, D> {
        self.view.view_mut()
    }

    /// The slice as its readers borrow it.
    pub(crate) fn part(&self) -> SliceRef<'_, T, D> {
        SliceRef { view: self.view.view(), place: self.place }
    }
}

impl<T, D: Dimension> std::fmt::Debug for SliceRef<'_, T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SliceRef<{}>({:?})", std::any::type_name::<T>(), self.view.shape())
    }
}

impl<T, D: Dimension> std::fmt::Debug for SliceRefMut<'_, T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SliceRefMut<{}>({:?})", std::any::type_name::<T>(), self.view.shape())
    }
}

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Borrows a slice for reading: `a.slice(s![.., 1..-1]).split()`. `info` is what ndarray's
    /// [`slice`](ndarray::ArrayRef::slice) takes: ranges with steps, also negative ones, indices that remove
    /// an axis, and new axes.
    ///
    /// Kernels receive strided ndarray views, also in one dimension. A range of rows alone is better borrowed
    /// by [`range`](SharedArray::range), which has all grants.
    ///
    /// # Panics
    /// If an index is out of bounds, as ndarray's `slice` does.
    ///
    /// ```
    /// use ndarray::s;
    /// use phalanx::Pool;
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let a = pool.from_shape_fn((300, 40), |(i, j)| (i * j) as f64)?;
    /// let inner = a.slice(s![1..-1, 1..-1]);
    /// let sum = pool.reduce(inner.split(), 0.0, |part| part.sum(), |a, b| a + b)?;
    /// assert_eq!(sum, a.view().slice(s![1..-1, 1..-1]).sum());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn slice<I: SliceArg<D>>(&self, info: I) -> SliceRef<'_, T, I::OutDim> {
        SliceRef::of(&RangeRef::of(self)).slice(info)
    }

    /// Borrows a slice for reading and writing: `a.slice_mut(s![.., 1..-1]).split_mut()`. The other elements
    /// stay as they are.
    ///
    /// # Panics
    /// Same as [`slice`](SharedArray::slice).
    ///
    /// ```
    /// use ndarray::s;
    /// use phalanx::Pool;
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let mut a = pool.zeros_nd::<f64, _>((300, 40))?;
    /// // Every second column.
    /// pool.for_each(a.slice_mut(s![.., ..;2]).split_mut(), |mut part| part.fill(1.0))?;
    /// assert_eq!(a.view().sum(), 300.0 * 20.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn slice_mut<I: SliceArg<D>>(&mut self, info: I) -> SliceRefMut<'_, T, I::OutDim> {
        SliceRefMut::of(RangeRefMut::of(self)).slice_mut(info)
    }
}

impl<T: Element, D: Shape> FrozenArray<T, D> {
    /// Borrows a slice for reading. See [`SharedArray::slice`].
    ///
    /// # Panics
    /// Same as [`SharedArray::slice`].
    #[track_caller]
    pub fn slice<I: SliceArg<D>>(&self, info: I) -> SliceRef<'_, T, I::OutDim> {
        SliceRef::of(&RangeRef::of_frozen(self)).slice(info)
    }
}

impl<'a, T: Element, D: Shape> RangeRef<'a, T, D> {
    /// Borrows a slice of these rows. See [`SharedArray::slice`].
    ///
    /// # Panics
    /// Same as [`SharedArray::slice`].
    #[track_caller]
    pub fn slice<I: SliceArg<D>>(&self, info: I) -> SliceRef<'a, T, I::OutDim> {
        SliceRef::of(self).slice(info)
    }
}

impl<'a, T: Element, D: Shape> RangeRefMut<'a, T, D> {
    /// Borrows a slice of these rows. See [`SharedArray::slice_mut`].
    ///
    /// # Panics
    /// Same as [`SharedArray::slice`].
    #[track_caller]
    pub fn slice_mut<I: SliceArg<D>>(self, info: I) -> SliceRefMut<'a, T, I::OutDim> {
        SliceRefMut::of(self).slice_mut(info)
    }
}
