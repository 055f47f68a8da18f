//! The shared array.
//!
//! # Safety
//! Invariants of [`SharedArray`]:
//!
//! - A1 `ptr` points to `dim.size()` elements of `T`, aligned, inside `place`'s mapping, which `place` keeps
//!   alive.
//! - A2 The pages under them are reserved, so touching them cannot fail.
//! - A3 Nobody else has a claim on these bytes while the array lives, but workers that hold a grant of it; a
//!   grant borrows the array (shared for reading, exclusive for writing) until no worker can touch it any
//!   more. Once the array is frozen nobody writes it, and handles here and in other processes read it
//!   (`frozen.rs`, F2). While it is divided nobody has the array itself, and its parts have locks (`part.rs`,
//!   P1 and P2).
//! - A4 Every bit pattern is a `T` ([`Element`]), so zeroed pages and half-written elements are initialised
//!   values.
//!
//! For arrays over files A3, and that the file keeps its length, are the promise of whoever called the unsafe
//! constructor. Pages of those that can be written are reserved when they are attached; those that are only
//! read (`mapped.rs`) have none reserved: the file's length is what they need instead of A2.
#![allow(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

use super::shape::rows;
use super::{Element, Shape};
use crate::base::Span;
use crate::memory::arena::{self, Block};
use crate::memory::{
    AllocError, ArrayOptions, MOST_ALIGN, OWN_SEGMENT_BYTES, PageReport, Residency, Segment,
};
use crate::sys::fork;
use ndarray::{ArrayBase, ArrayView, ArrayViewMut, Data, Dimension, IntoDimension, Ix1};
use std::ptr::NonNull;
use std::sync::Arc;

/// An array that this process and its workers share without copying.
///
/// `T` is plain data ([`Element`]) and `D` an ndarray dimension ([`Shape`]); elements are stored in row-major
/// order. The array lives in a sealed, anonymous shared memory object whose pages are reserved on creation.
/// It has no name, nothing is left behind when its processes end, and touching it cannot run out of memory.
/// Dropping it frees the memory at once.
///
/// It owns its elements like a `Vec`: `&SharedArray` reads, `&mut SharedArray` writes, and a launch borrows
/// it for as long as any worker may access it.
///
/// ```
/// use phalanx::SharedArray;
///
/// let mut a = SharedArray::from_fn(4, |i| i as f64)?;
/// a.as_mut_slice()[2] = 7.0;
/// assert_eq!(a.as_slice(), [0.0, 1.0, 7.0, 3.0]);
///
/// let b = SharedArray::<f32, _>::zeros((3, 5))?;
/// assert_eq!(b.view().dim(), (3, 5));
/// # Ok::<(), phalanx::AllocError>(())
/// ```
pub struct SharedArray<T, D = Ix1> {
    ptr: NonNull<T>,
    dim: D,
    byte_offset: usize,
    place: Place,
    _shared: fork::Shared,
}

/// What keeps the elements where they are.
enum Place {
    /// A block of the arena, freed with the array.
    Arena(Block),
    /// A segment, kept alive by the array.
    Segment(Arc<Segment>),
}

// SAFETY: the array owns its elements (A3), which may move between threads.
unsafe impl<T: Send, D: Send> Send for SharedArray<T, D> {}
// SAFETY: `&SharedArray` gives out `&T` only, which may be shared between threads.
unsafe impl<T: Sync, D: Sync> Sync for SharedArray<T, D> {}

/// Bytes of an array, if ndarray and the address space can hold it.
pub(crate) fn byte_len<T, D: Dimension>(dim: &D) -> Result<usize, AllocError> {
    let too_big =
        || AllocError::TooBig { shape: format!("{:?}", dim.slice()), element_bytes: size_of::<T>() };
    // As ndarray, count axes of length zero as one, so that every partial product fits too.
    let spread = dim
        .slice()
        .iter()
        .try_fold(1usize, |n, &len| n.checked_mul(len.max(1)))
        .and_then(|n| n.checked_mul(size_of::<T>().max(1)))
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(too_big)?;
    let _ = spread;
    // No wrap: at most the spread.
    Ok(dim.size().wrapping_mul(size_of::<T>()))
}

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Creates an array of zeros.
    ///
    /// `shape` is a length, or a tuple or array of lengths. A length of zero creates a valid empty array. The
    /// pages are reserved but not touched.
    ///
    /// # Errors
    /// See [`AllocError`], in particular `TooBig` (before any system call), `NoSpace` if memory or a cgroup
    /// limit does not suffice, and `Limit` if a resource limit of the process prevents it.
    pub fn zeros<I: IntoDimension<Dim = D>>(shape: I) -> Result<Self, AllocError> {
        Self::zeros_with(shape, &ArrayOptions::default())
    }

    /// Same as [`zeros`](SharedArray::zeros), with options for page placement and huge pages.
    ///
    /// # Errors
    /// Same as [`zeros`](SharedArray::zeros), plus `NoHugePages` if huge pages are required but unavailable.
    pub fn zeros_with<I: IntoDimension<Dim = D>>(
        shape: I,
        options: &ArrayOptions,
    ) -> Result<Self, AllocError> {
        let dim = shape.into_dimension();
        let len_bytes = byte_len::<T, D>(&dim)?;
        if len_bytes < OWN_SEGMENT_BYTES && !options.needs_own_segment() {
            match arena::allocate(len_bytes, align_of::<T>()) {
                Ok(block) => return Ok(Self::in_block(block, dim)),
                // Limits may have made the arena small. Whether memory itself is short shows below.
                Err(AllocError::NoSpace { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let segment = Segment::create(len_bytes, options)?;
        // SAFETY: the new segment has `len_bytes` zeroed, reserved bytes at a page's start, and nobody else
        // knows it.
        Ok(unsafe { Self::from_segment(segment, 0, dim) })
    }

    /// Creates an array from a function of the index (a number in one dimension, a tuple in more), called in
    /// order.
    ///
    /// # Errors
    /// Same as [`zeros`](SharedArray::zeros).
    ///
    /// ```
    /// use phalanx::SharedArray;
    ///
    /// let table = SharedArray::from_shape_fn((2, 3), |(row, column)| (10 * row + column) as u32)?;
    /// assert_eq!(table.as_slice(), [0, 1, 2, 10, 11, 12]);
    /// # Ok::<(), phalanx::AllocError>(())
    /// ```
    pub fn from_shape_fn<I, F>(shape: I, mut f: F) -> Result<Self, AllocError>
    where
        I: IntoDimension<Dim = D>,
        F: FnMut(D::Pattern) -> T,
    {
        let mut array = Self::zeros(shape)?;
        for (index, element) in array.view_mut().indexed_iter_mut() {
            *element = f(index);
        }
        Ok(array)
    }

    /// Creates an array from a copy of an ndarray array or view of any layout.
    ///
    /// # Errors
    /// Same as [`zeros`](SharedArray::zeros).
    pub fn from_ndarray<S: Data<Elem = T>>(source: &ArrayBase<S, D>) -> Result<Self, AllocError> {
        let mut array = Self::zeros(source.raw_dim())?;
        array.view_mut().assign(source);
        Ok(array)
    }

    fn in_block(block: Block, dim: D) -> Self {
        const {
            assert!(align_of::<T>() <= MOST_ALIGN, "elements of a shared array are aligned to a page at most")
        };
        debug_assert!(dim.size().saturating_mul(size_of::<T>()) <= block.len());
        SharedArray {
            ptr: block.ptr().cast(),
            dim,
            byte_offset: block.offset(),
            place: Place::Arena(block),
            _shared: fork::Shared::new(),
        }
    }

    /// The array of shape `dim` that begins `byte_offset` bytes into the segment.
    ///
    /// # Safety
    /// The elements lie inside the segment, aligned, their pages reserved (A2) or those of a file that keeps
    /// its length and of which no `&mut` is given out, and nobody else has a claim on these bytes while the
    /// array lives (A3).
    pub(crate) unsafe fn from_segment(segment: Arc<Segment>, byte_offset: usize, dim: D) -> Self {
        const {
            assert!(align_of::<T>() <= MOST_ALIGN, "elements of a shared array are aligned to a page at most")
        };
        debug_assert!(
            dim.size().saturating_mul(size_of::<T>()).saturating_add(byte_offset) <= segment.len_bytes()
        );
        debug_assert!(byte_offset.is_multiple_of(align_of::<T>()));
        // SAFETY: the offset lies inside the segment, says the caller.
        let ptr = unsafe { segment.base().add(byte_offset) }.cast();
        SharedArray { ptr, dim, byte_offset, place: Place::Segment(segment), _shared: fork::Shared::new() }
    }

    /// Returns all elements in row-major order.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: A1, A2, A4; nobody writes while the array is borrowed (A3).
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.dim.size()) }
    }

    /// Returns all elements mutably, in row-major order.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: A1, A2, A4; nobody else reads or writes while the array is borrowed exclusively (A3).
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.dim.size()) }
    }

    /// Returns an ndarray view of the array.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        // SAFETY: as in `as_slice`; the default layout of a shape is row-major and contiguous.
        unsafe { ArrayView::from_shape_ptr(self.dim.clone(), self.ptr.as_ptr()) }
    }

    /// Returns a mutable ndarray view of the array.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T, D> {
        // SAFETY: as in `as_mut_slice`.
        unsafe { ArrayViewMut::from_shape_ptr(self.dim.clone(), self.ptr.as_ptr()) }
    }

    /// Returns a range of rows as a kernel sees them: a slice in one dimension, an ndarray view in more. An
    /// array without axes has one row.
    ///
    /// # Panics
    /// If `rows` is out of bounds, or is not the single row of an array without axes.
    pub fn rows(&self, rows: std::ops::Range<usize>) -> D::View<'_, T> {
        let rows = self.checked(rows);
        // SAFETY: as in `as_slice`; the rows lie inside.
        unsafe { D::view_rows(self.ptr.as_ptr(), &self.dim, rows) }
    }

    /// Returns a range of rows mutably, as a kernel sees them.
    ///
    /// # Panics
    /// Same as [`Self::rows`].
    pub fn rows_mut(&mut self, rows: std::ops::Range<usize>) -> D::ViewMut<'_, T> {
        let rows = self.checked(rows);
        // SAFETY: as in `as_mut_slice`; the rows lie inside.
        unsafe { D::view_rows_mut(self.ptr.as_ptr(), &self.dim, rows) }
    }

    fn checked(&self, range: std::ops::Range<usize>) -> Span {
        let have = rows(&self.dim);
        assert!(
            range.start <= range.end && range.end <= have,
            "rows {}..{} leave an array of {have} rows",
            range.start,
            range.end
        );
        assert!(
            self.dim.ndim() > 0 || range == (0..1),
            "an array without axes is one row, 0..1, and no part of it"
        );
        Span::new(range.start, range.end)
    }

    /// Sets every element to `value`.
    pub fn fill(&mut self, value: T) {
        self.as_mut_slice().fill(value);
    }

    /// Copies the elements to a `Vec`, in row-major order.
    pub fn to_vec(&self) -> Vec<T> {
        self.as_slice().to_vec()
    }

    /// Changes the shape without copying the elements.
    ///
    /// # Errors
    /// Returns the array unchanged if the new shape has a different number of elements.
    pub fn reshape<I: IntoDimension>(self, shape: I) -> Result<SharedArray<T, I::Dim>, Self>
    where
        I::Dim: Shape,
    {
        let dim = shape.into_dimension();
        if byte_len::<T, I::Dim>(&dim).is_err() || dim.size() != self.dim.size() {
            return Err(self);
        }
        Ok(SharedArray {
            ptr: self.ptr,
            dim,
            byte_offset: self.byte_offset,
            place: self.place,
            _shared: self._shared,
        })
    }
}

impl<T: Element> SharedArray<T, Ix1> {
    /// Creates an array of `len` elements from a function of the index, called in order.
    ///
    /// # Errors
    /// Same as [`zeros`](SharedArray::zeros).
    pub fn from_fn<F: FnMut(usize) -> T>(len: usize, mut f: F) -> Result<Self, AllocError> {
        let mut array = Self::zeros(len)?;
        for (i, element) in array.as_mut_slice().iter_mut().enumerate() {
            *element = f(i);
        }
        Ok(array)
    }

    /// Creates an array from a copy of a slice.
    ///
    /// # Errors
    /// Same as [`zeros`](SharedArray::zeros).
    pub fn from_slice(source: &[T]) -> Result<Self, AllocError> {
        let mut array = Self::zeros(source.len())?;
        array.as_mut_slice().copy_from_slice(source);
        Ok(array)
    }
}

impl<T, D: Dimension> SharedArray<T, D> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.dim.size()
    }

    /// Returns true if the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Returns the number of axes.
    pub fn ndim(&self) -> usize {
        self.dim.ndim()
    }

    /// Returns the shape as a number (1-D) or tuple.
    pub fn dim(&self) -> D::Pattern {
        self.dim.clone().into_pattern()
    }

    /// Returns the shape as ndarray's dimension type.
    pub fn raw_dim(&self) -> &D {
        &self.dim
    }

    /// Returns the size of all elements in bytes.
    pub fn len_bytes(&self) -> usize {
        // No wrap: the array was made with so many.
        self.dim.size().wrapping_mul(size_of::<T>())
    }

    /// Asks the kernel on which NUMA node each page of the array currently lies.
    ///
    /// Makes one system call per 4096 pages and touches every page of an anonymous array.
    pub fn residency(&self) -> Residency {
        self.segment().residency(self.byte_offset..self.byte_offset.saturating_add(self.len_bytes()))
    }

    /// Reports which kinds of pages, huge or not, the array's segment currently occupies, and which requests
    /// for huge pages were refused.
    pub fn pages(&self) -> PageReport {
        self.segment().pages()
    }

    /// The segment that the elements lie in.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        match &self.place {
            Place::Arena(block) => block.segment(),
            Place::Segment(segment) => segment,
        }
    }

    /// Address of the first element.
    pub(crate) fn base_ptr(&self) -> NonNull<T> {
        self.ptr
    }

    /// Where in the segment the first element lies.
    pub(crate) fn byte_offset(&self) -> usize {
        self.byte_offset
    }
}

impl<T, D: Dimension> std::fmt::Debug for SharedArray<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SharedArray<{}>({:?} at segment {} + {})",
            std::any::type_name::<T>(),
            self.dim.slice(),
            self.segment().id().0,
            self.byte_offset
        )
    }
}
