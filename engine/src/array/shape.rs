//! The one place that decides between slices and ndarray views.
//!
//! # Safety
//! Views are made from raw parts; each function demands of its caller that the elements lie there and that
//! nobody breaks the borrow while the view lives.
#![allow(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

use crate::base::Span;
use ndarray::{ArrayView, ArrayViewMut, Dimension, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn};

mod sealed {
    pub trait Sealed {}
}

/// The shape of a shared array: [`Ix1`](type@Ix1) to [`Ix6`](type@Ix6) or [`IxDyn`](type@IxDyn). Elements are
/// stored in row-major order.
///
/// Kernels see one-dimensional arrays as slices, others as ndarray views.
pub trait Shape: Dimension + sealed::Sealed + Send + Sync + 'static {
    /// Read view of a range of rows.
    type View<'w, T: 'static>;
    /// Mutable view of a range of rows.
    type ViewMut<'w, T: 'static>;

    /// Sees `rows` of the array of shape `dim` at `base`.
    ///
    /// # Safety
    /// At `base` lie `dim.size()` initialised, aligned elements; `rows` lies inside `0..dim[0]`, and is
    /// `0..1` if there are no axes (the view is of one element then, whatever `rows` says); and for `'w` the
    /// elements of these rows stay mapped and nobody writes them.
    unsafe fn view_rows<'w, T: 'static>(base: *const T, dim: &Self, rows: Span) -> Self::View<'w, T>;

    /// Sees `rows` of the array of shape `dim` at `base` for writing.
    ///
    /// # Safety
    /// As [`view_rows`](Shape::view_rows), and for `'w` nobody else reads or writes the elements of these
    /// rows.
    unsafe fn view_rows_mut<'w, T: 'static>(base: *mut T, dim: &Self, rows: Span) -> Self::ViewMut<'w, T>;

    /// The number of elements of a view.
    #[doc(hidden)]
    fn count<T: 'static>(view: &Self::View<'_, T>) -> usize;

    /// The elements of a view of rows, in row-major order.
    #[doc(hidden)]
    fn elements<'w, T: 'static>(view: Self::View<'w, T>) -> &'w [T];

    /// The elements of a view of rows, in row-major order.
    #[doc(hidden)]
    fn elements_mut<'w, T: 'static>(view: Self::ViewMut<'w, T>) -> &'w mut [T];
}

/// Length of the first axis; 1 for a shape without axes.
pub(crate) fn rows<D: Dimension>(dim: &D) -> usize {
    dim.slice().first().copied().unwrap_or(1)
}

/// Elements of one row.
pub(crate) fn row_elems<D: Dimension>(dim: &D) -> usize {
    dim.slice().iter().skip(1).product()
}

impl sealed::Sealed for Ix1 {}

impl Shape for Ix1 {
    type View<'w, T: 'static> = &'w [T];
    type ViewMut<'w, T: 'static> = &'w mut [T];

    unsafe fn view_rows<'w, T: 'static>(base: *const T, _dim: &Self, rows: Span) -> &'w [T] {
        // SAFETY: the rows lie inside the array, says the caller.
        let first = unsafe { base.add(rows.lo) };
        // SAFETY: these elements are initialised, mapped and frozen for 'w, says the caller.
        unsafe { std::slice::from_raw_parts(first, rows.len()) }
    }

    unsafe fn view_rows_mut<'w, T: 'static>(base: *mut T, _dim: &Self, rows: Span) -> &'w mut [T] {
        // SAFETY: the rows lie inside the array, says the caller.
        let first = unsafe { base.add(rows.lo) };
        // SAFETY: these elements are initialised, mapped and the view's alone for 'w, says the caller.
        unsafe { std::slice::from_raw_parts_mut(first, rows.len()) }
    }

    #[inline]
    fn count<T: 'static>(view: &Self::View<'_, T>) -> usize {
        view.len()
    }

    #[inline]
    fn elements<'w, T: 'static>(view: Self::View<'w, T>) -> &'w [T] {
        view
    }

    #[inline]
    fn elements_mut<'w, T: 'static>(view: Self::ViewMut<'w, T>) -> &'w mut [T] {
        view
    }
}

/// Where some rows start, in elements, and their shape.
fn part<D: Dimension>(dim: &D, rows: Span) -> (usize, D) {
    // No wrap: the rows lie inside the array, all of whose bytes fit into memory.
    let start = rows.lo.wrapping_mul(row_elems(dim));
    let mut part = dim.clone();
    if let Some(first) = part.slice_mut().first_mut() {
        *first = rows.len();
    }
    (start, part)
}

macro_rules! shapes {
    ($($d:ty)*) => { $(
        impl sealed::Sealed for $d {}

        impl Shape for $d {
            type View<'w, T: 'static> = ArrayView<'w, T, $d>;
            type ViewMut<'w, T: 'static> = ArrayViewMut<'w, T, $d>;

            unsafe fn view_rows<'w, T: 'static>(base: *const T, dim: &Self, rows: Span) -> Self::View<'w, T> {
                let (start, part) = part(dim, rows);
                // SAFETY: the rows lie inside the array, says the caller.
                let first = unsafe { base.add(start) };
                // SAFETY: these elements are initialised, mapped and frozen for 'w, says the caller.
                unsafe { ArrayView::from_shape_ptr(part, first) }
            }

            unsafe fn view_rows_mut<'w, T: 'static>(
                base: *mut T,
                dim: &Self,
                rows: Span,
            ) -> Self::ViewMut<'w, T> {
                let (start, part) = part(dim, rows);
                // SAFETY: the rows lie inside the array, says the caller.
                let first = unsafe { base.add(start) };
                // SAFETY: these elements are initialised, mapped and the view's alone for 'w, says the
                // caller.
                unsafe { ArrayViewMut::from_shape_ptr(part, first) }
            }

            fn count<T: 'static>(view: &Self::View<'_, T>) -> usize {
                view.len()
            }

            fn elements<'w, T: 'static>(view: Self::View<'w, T>) -> &'w [T] {
                view.to_slice().expect("rows of a row-major array lie one after the other")
            }

            fn elements_mut<'w, T: 'static>(view: Self::ViewMut<'w, T>) -> &'w mut [T] {
                view.into_slice().expect("rows of a row-major array lie one after the other")
            }
        }
    )* };
}

shapes!(Ix2 Ix3 Ix4 Ix5 Ix6 IxDyn);
