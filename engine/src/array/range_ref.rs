//! An array, or a range of its rows, as a borrow: what grants are made of.
//!
//! # Safety
//! Invariants of [`RangeRef`] and [`RangeRefMut`]:
//!
//! - B1 `ptr` points to `dim.size()` elements, aligned, that an array owns (A1, F1) and that stay mapped for
//!   `'a`. If `segment` is given, they lie `byte_offset` bytes into it.
//! - B2 For `'a` nobody writes them. Of an [`RangeRefMut`], nobody else reads them either: it borrows the
//!   array exclusively. Ranges of it reborrow it.
#![allow(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

use super::shape::{row_elems, rows};
use super::{Element, FrozenArray, Shape, SharedArray};
use crate::base::Span;
use crate::memory::Segment;
use ndarray::{ArrayView, ArrayViewMut, Dimension, Ix1};
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::ptr::NonNull;
use std::sync::Arc;

/// A range of rows of an array, for reading. It has the array's reading grants. Returned by
/// [`SharedArray::range`].
///
/// A copy is a second borrow of the same rows, so several grants of one range can be made.
pub struct RangeRef<'a, T, D = Ix1> {
    ptr: NonNull<T>,
    dim: D,
    byte_offset: usize,
    /// `None` if the array is a frozen one that another process made.
    segment: Option<&'a Arc<Segment>>,
    elements: PhantomData<&'a [T]>,
}

/// A range of rows of an array, for reading and writing. It has the array's writing grants. Returned by
/// [`SharedArray::range_mut`].
///
/// Each of its grants uses it up. Call [`reborrow`](RangeRefMut::reborrow) to keep it for another launch.
pub struct RangeRefMut<'a, T, D = Ix1> {
    part: RangeRef<'a, T, D>,
    exclusive: PhantomData<&'a mut [T]>,
}

// SAFETY: it gives out `&T` only (B2), which may be shared between threads.
unsafe impl<T: Sync, D: Send> Send for RangeRef<'_, T, D> {}
// SAFETY: as for `Send`.
unsafe impl<T: Sync, D: Sync> Sync for RangeRef<'_, T, D> {}

impl<T, D: Clone> Clone for RangeRef<'_, T, D> {
    fn clone(&self) -> Self {
        RangeRef { dim: self.dim.clone(), ..*self }
    }
}

impl<T, D: Copy> Copy for RangeRef<'_, T, D> {}

/// The rows of a range, inside an array of shape `dim`.
///
/// # Panics
/// If they leave the array, or it has no axes.
#[track_caller]
pub(crate) fn rows_of<D: Dimension>(range: &impl RangeBounds<usize>, dim: &D) -> Span {
    assert!(dim.ndim() > 0, "an array without axes has no rows to take a range of");
    let have = rows(dim);
    let lo = match range.start_bound() {
        Bound::Included(lo) => *lo,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let hi = match range.end_bound() {
        Bound::Included(last) => last.checked_add(1),
        Bound::Excluded(hi) => Some(*hi),
        Bound::Unbounded => Some(have),
    };
    let Some(hi) = hi.filter(|hi| *hi <= have) else {
        panic!("the range of rows ends at {:?}, outside an array of {have} rows", range.end_bound());
    };
    assert!(lo <= hi, "the range of rows starts at {lo} but ends at {hi}");
    Span::new(lo, hi)
}

impl<'a, T: Element, D: Shape> RangeRef<'a, T, D> {
    /// All of an array.
    pub(crate) fn of(array: &'a SharedArray<T, D>) -> Self {
        RangeRef {
            ptr: array.base_ptr(),
            dim: array.raw_dim().clone(),
            byte_offset: array.byte_offset(),
            segment: Some(array.segment()),
            elements: PhantomData,
        }
    }

    /// All of a frozen array.
    pub(crate) fn of_frozen(array: &'a FrozenArray<T, D>) -> Self {
        match array.as_array() {
            Some(array) => RangeRef::of(array),
            None => RangeRef {
                ptr: array.base_ptr(),
                dim: array.raw_dim().clone(),
                byte_offset: 0,
                segment: None,
                elements: PhantomData,
            },
        }
    }

    /// Returns a range of these rows, with the same grants.
    ///
    /// # Panics
    /// If the range leaves the rows or ends before it starts, as slicing does.
    #[track_caller]
    pub fn range(&self, range: impl RangeBounds<usize>) -> RangeRef<'a, T, D> {
        let span = rows_of(&range, &self.dim);
        // No wrap: at most the array's size.
        let skipped = span.lo.wrapping_mul(row_elems(&self.dim));
        let mut dim = self.dim.clone();
        dim.slice_mut()[0] = span.len();
        RangeRef {
            // SAFETY: the rows lie inside the array (B1), as `rows_of` has checked.
            ptr: unsafe { self.ptr.add(skipped) },
            dim,
            byte_offset: self.byte_offset.wrapping_add(skipped.wrapping_mul(size_of::<T>())),
            ..*self
        }
    }

    /// Returns an ndarray view of the rows.
    pub fn view(&self) -> ArrayView<'a, T, D> {
        // SAFETY: B1, B2; the default layout of a shape is row-major and contiguous.
        unsafe { ArrayView::from_shape_ptr(self.dim.clone(), self.ptr.as_ptr()) }
    }
}

impl<'a, T: Element, D: Shape> RangeRefMut<'a, T, D> {
    /// All of an array.
    pub(crate) fn of(array: &'a mut SharedArray<T, D>) -> Self {
        RangeRefMut { part: RangeRef::of(array), exclusive: PhantomData }
    }

    /// Borrows the same rows from this borrow, for a grant that is not the last.
    pub fn reborrow(&mut self) -> RangeRefMut<'_, T, D> {
        RangeRefMut { part: self.part.clone(), exclusive: PhantomData }
    }

    /// Returns a range of these rows, with the same grants.
    ///
    /// # Panics
    /// If the range leaves the rows or ends before it starts, as slicing does.
    #[track_caller]
    pub fn range_mut(self, range: impl RangeBounds<usize>) -> RangeRefMut<'a, T, D> {
        RangeRefMut { part: self.part.range(range), exclusive: PhantomData }
    }

    /// Divides the rows in two at row `mid`, as [`split_at_mut`](slice::split_at_mut) divides a slice: two
    /// parts of one array may be written in one launch.
    ///
    /// # Panics
    /// If `mid` is above the number of rows.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut a = pool.from_fn(2000, |i| i as u64)?;
    /// let (low, high) = a.range_mut(..).divide_at(1000);
    /// pool.for_each((low.split_mut(), high.split_mut()), |(low, high)| low.swap_with_slice(high))?;
    /// assert_eq!((a.as_slice()[5], a.as_slice()[1005]), (1005, 5));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn divide_at(self, mid: usize) -> (RangeRefMut<'a, T, D>, RangeRefMut<'a, T, D>) {
        let [low, high] = [self.part.range(..mid), self.part.range(mid..)];
        (
            RangeRefMut { part: low, exclusive: PhantomData },
            RangeRefMut { part: high, exclusive: PhantomData },
        )
    }

    /// Gives up writing: the rows can then be read, while other parts of the array are written.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut a = pool.from_fn(2000, |i| i as u64)?;
    /// let (to, from) = a.range_mut(..).divide_at(1000);
    /// pool.for_each((to.split_out(), from.into_ref().split()), |(to, from)| to.copy_from_slice(from))?;
    /// assert_eq!(a.as_slice()[5], 1005);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_ref(self) -> RangeRef<'a, T, D> {
        self.part
    }

    /// Returns an ndarray view of the rows.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        self.part.view()
    }

    /// Returns a mutable ndarray view of the rows.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T, D> {
        // SAFETY: B1, B2; the default layout of a shape is row-major and contiguous.
        unsafe { ArrayViewMut::from_shape_ptr(self.part.dim.clone(), self.part.ptr.as_ptr()) }
    }

    /// The rows as a mutable ndarray view.
    pub(crate) fn into_view_mut(self) -> ArrayViewMut<'a, T, D> {
        // SAFETY: B1, B2; the default layout of a shape is row-major and contiguous. The borrow ends here.
        unsafe { ArrayViewMut::from_shape_ptr(self.part.dim.clone(), self.part.ptr.as_ptr()) }
    }

    /// Where the first element lies.
    pub(crate) fn base(&self) -> NonNull<T> {
        self.part.ptr
    }

    /// The segment that the elements lie in.
    pub(crate) fn segment(&self) -> Option<&'a Arc<Segment>> {
        self.part.segment
    }

    /// The rows as their readers borrow them.
    pub(crate) fn part(&self) -> &RangeRef<'_, T, D> {
        &self.part
    }
}

impl<'a, T, D: Dimension> RangeRef<'a, T, D> {
    /// Returns the length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Returns the number of axes.
    pub fn ndim(&self) -> usize {
        self.dim.ndim()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.dim.size()
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These rows, as [`RangeRefMut::part`] returns those that it borrows.
    pub(crate) fn part(&self) -> &RangeRef<'a, T, D> {
        self
    }

    pub(crate) fn raw_dim(&self) -> &D {
        &self.dim
    }

    /// The segment that the elements lie in, if this process can name it to others.
    pub(crate) fn segment(&self) -> Option<&'a Arc<Segment>> {
        self.segment
    }

    /// Where in the segment the first element lies.
    pub(crate) fn byte_offset(&self) -> usize {
        self.byte_offset
    }

    /// Size of all elements in bytes.
    pub(crate) fn len_bytes(&self) -> usize {
        // No wrap: at most the array's.
        self.dim.size().wrapping_mul(size_of::<T>())
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(&self) -> usize {
        row_elems(&self.dim).saturating_mul(size_of::<T>())
    }
}

impl<T, D: Dimension> RangeRefMut<'_, T, D> {
    /// Returns the length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.part.shape()
    }

    /// Returns the number of axes.
    pub fn ndim(&self) -> usize {
        self.part.ndim()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.part.len()
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }
}

impl<T, D: Dimension> std::fmt::Debug for RangeRef<'_, T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RangeRef<{}>({:?})", std::any::type_name::<T>(), self.dim.slice())
    }
}

impl<T, D: Dimension> std::fmt::Debug for RangeRefMut<'_, T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RangeRefMut<{}>({:?})", std::any::type_name::<T>(), self.part.dim.slice())
    }
}

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Borrows a range of rows for reading: `a.range(1..n - 1).split()`, and every other reading grant. A
    /// kernel sees it as an array that has these rows alone.
    ///
    /// # Panics
    /// If the range leaves the array or ends before it starts, as slicing does.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = pool.from_fn(1000, |i| i as u64)?;
    /// // The differences of neighbours: two ranges of the same array, one element apart.
    /// let mut d = pool.zeros::<u64>(999)?;
    /// pool.for_each((d.split_out(), a.range(..999).split(), a.range(1..).split()), |(d, a, b)| {
    ///     for ((d, a), b) in d.iter_mut().zip(a).zip(b) {
    ///         *d = b - a;
    ///     }
    /// })?;
    /// assert!(d.as_slice().iter().all(|d| *d == 1));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn range(&self, range: impl RangeBounds<usize>) -> RangeRef<'_, T, D> {
        RangeRef::of(self).range(range)
    }

    /// Borrows a range of rows for reading and writing: `a.range_mut(1..n - 1).split_mut()`, and every other
    /// writing grant. The other rows stay as they are.
    ///
    /// # Panics
    /// Same as [`range`](SharedArray::range).
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut a = pool.from_fn(5, |i| i as f64)?;
    /// pool.for_each(a.range_mut(1..4).split_mut(), |a| a.fill(9.0))?;
    /// assert_eq!(a.as_slice(), [0.0, 9.0, 9.0, 9.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn range_mut(&mut self, range: impl RangeBounds<usize>) -> RangeRefMut<'_, T, D> {
        RangeRefMut::of(self).range_mut(range)
    }
}

impl<T: Element, D: Shape> FrozenArray<T, D> {
    /// Borrows a range of rows for reading. See [`SharedArray::range`].
    ///
    /// # Panics
    /// Same as [`SharedArray::range`].
    #[track_caller]
    pub fn range(&self, range: impl RangeBounds<usize>) -> RangeRef<'_, T, D> {
        RangeRef::of_frozen(self).range(range)
    }
}
