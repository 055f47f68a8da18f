//! Arrays over files of any size, without a copy: read-only and shared with workers, or copy-on-write and
//! private.
//!
//! # Safety
//! As in `named.rs`: that the files keep their length and contents is the promise of who maps them.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::attach::{AttachError, check, check_alignment};
use super::npy::{Header, NpyElement, NpyError, open_regular};
use super::shared::byte_len;
use super::{Element, Shape, SharedArray};
use crate::memory::{Access, AllocError, file};
use memmap2::{MmapMut, MmapOptions};
use ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension, Ix1};
use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::path::Path;

/// A read-only array over a file, which may be larger than memory.
///
/// It dereferences to [`SharedArray`], so everything that needs no `&mut` works: views, slices, and read
/// grants. Pages are read from the file when they are touched and evicted when memory is needed elsewhere.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("x.npy");
/// # phalanx::SharedArray::from_slice(&[1.0f32, 2.0])?.save_npy(&path)?;
/// use phalanx::MappedArray;
///
/// // SAFETY: nobody changes the file meanwhile.
/// let x = unsafe { MappedArray::<f32>::map_npy(&path)? };
/// assert_eq!(x.as_slice(), [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedArray<T, D: Dimension = Ix1>(SharedArray<T, D>);

impl<T, D: Dimension> Deref for MappedArray<T, D> {
    type Target = SharedArray<T, D>;
    fn deref(&self) -> &SharedArray<T, D> {
        &self.0
    }
}

impl<T: NpyElement, D: Shape> MappedArray<T, D> {
    /// Maps a `.npy` file. The file must have native byte order, row-major order and aligned data; all three
    /// are checked. Use [`load_npy`](SharedArray::load_npy) for other files.
    ///
    /// # Errors
    /// See [`AttachError`].
    ///
    /// # Safety
    /// While the array lives, no program may write to or truncate the file, and the file must not disappear
    /// with a network connection or a removable medium.
    pub unsafe fn map_npy(path: impl AsRef<Path>) -> Result<Self, AttachError> {
        let path = path.as_ref();
        let file = open_regular(path, OpenOptions::new().read(true), 0)?;
        let header = Header::read_from(&file, path)?;
        let dim = check::<T, D>(&header, path)?;
        // SAFETY: place, size and alignment were just checked; the rest is the caller's promise.
        unsafe { over(file, header.data_offset(), header.data_bytes(), dim) }
    }
}

impl<T: Element, D: Shape> MappedArray<T, D> {
    /// Maps elements of a file of any format, starting at byte `offset_bytes`, in row-major order and native
    /// byte order.
    ///
    /// # Errors
    /// See [`AttachError`], in particular `TooShort` and `Misaligned`.
    ///
    /// # Safety
    /// Same as [`map_npy`](MappedArray::map_npy).
    pub unsafe fn map_raw<I>(
        path: impl AsRef<Path>,
        offset_bytes: usize,
        shape: I,
    ) -> Result<Self, AttachError>
    where
        I: IntoDimension<Dim = D>,
    {
        let (file, dim, data_bytes) = open_raw::<T, D>(path.as_ref(), offset_bytes, shape.into_dimension())?;
        // SAFETY: place, size and alignment were just checked; the rest is the caller's promise.
        unsafe { over(file, offset_bytes, data_bytes, dim) }
    }
}

/// The read-only array at a place in a file.
///
/// # Safety
/// The file has this many bytes from the offset on, aligned for `T`, enough for `dim`; nobody changes it.
unsafe fn over<T: Element, D: Shape>(
    file: File,
    offset: usize,
    data_bytes: usize,
    dim: D,
) -> Result<MappedArray<T, D>, AttachError> {
    let segment = file::map(file.into(), offset.saturating_add(data_bytes), Access::ReadOnly)?;
    // SAFETY: the caller answers for place and contents; the wrapper gives out no `&mut` to it.
    Ok(MappedArray(unsafe { SharedArray::from_segment(segment, offset, dim) }))
}

/// Opens a raw file and checks that the array lies inside it.
fn open_raw<T: Element, D: Shape>(
    path: &Path,
    offset: usize,
    dim: D,
) -> Result<(File, D, usize), AttachError> {
    let data_bytes = byte_len::<T, D>(&dim)?;
    let file = open_regular(path, OpenOptions::new().read(true), 0)?;
    let meta = file.metadata().map_err(|source| NpyError::Io { path: path.to_owned(), source })?;
    let (need, have) = ((offset as u64).saturating_add(data_bytes as u64), meta.len());
    if have < need {
        return Err(AttachError::TooShort { path: path.to_owned(), need, have });
    }
    check_alignment::<T>(offset, path)?;
    Ok((file, dim, data_bytes))
}

/// A private, copy-on-write array over a file: changes stay in this process and the file is not modified.
///
/// Workers do not see the changes, so the array cannot be granted to them; copy it into a [`SharedArray`] for
/// that. Only modified pages use memory.
pub struct PrivateArray<T, D = Ix1> {
    map: MmapMut,
    offset: usize,
    dim: D,
    element: std::marker::PhantomData<T>,
}

impl<T: NpyElement, D: Shape> PrivateArray<T, D> {
    /// Maps a `.npy` file privately, with the same checks as [`MappedArray::map_npy`].
    ///
    /// # Errors
    /// See [`AttachError`].
    ///
    /// # Safety
    /// Same as [`MappedArray::map_npy`].
    pub unsafe fn map_npy(path: impl AsRef<Path>) -> Result<Self, AttachError> {
        let path = path.as_ref();
        let file = open_regular(path, OpenOptions::new().read(true), 0)?;
        let header = Header::read_from(&file, path)?;
        let dim = check::<T, D>(&header, path)?;
        // SAFETY: place, size and alignment were just checked; the rest is the caller's promise.
        unsafe { Self::over(&file, header.data_offset(), header.data_bytes(), dim) }
    }
}

impl<T: Element, D: Shape> PrivateArray<T, D> {
    /// Maps elements of a file of any format privately; see [`MappedArray::map_raw`].
    ///
    /// # Errors
    /// See [`AttachError`].
    ///
    /// # Safety
    /// Same as [`MappedArray::map_npy`].
    pub unsafe fn map_raw<I>(
        path: impl AsRef<Path>,
        offset_bytes: usize,
        shape: I,
    ) -> Result<Self, AttachError>
    where
        I: IntoDimension<Dim = D>,
    {
        let (file, dim, data_bytes) = open_raw::<T, D>(path.as_ref(), offset_bytes, shape.into_dimension())?;
        // SAFETY: place, size and alignment were just checked; the rest is the caller's promise.
        unsafe { Self::over(&file, offset_bytes, data_bytes, dim) }
    }

    /// # Safety
    /// As the free function `over`.
    unsafe fn over(file: &File, offset: usize, data_bytes: usize, dim: D) -> Result<Self, AttachError> {
        let len_bytes = offset.saturating_add(data_bytes);
        // SAFETY: nobody changes the file, says the caller; what is changed here is copied first.
        let map = unsafe { MmapOptions::new().len(len_bytes.max(1)).map_copy(file) }
            .map_err(|e| AllocError::from_os("mmap", len_bytes, e))?;
        Ok(PrivateArray { map, offset, dim, element: std::marker::PhantomData })
    }

    /// Returns all elements in row-major order.
    #[expect(clippy::arithmetic_side_effects, reason = "the bytes are mapped")]
    pub fn as_slice(&self) -> &[T] {
        let bytes = self.dim.size() * size_of::<T>();
        bytemuck::cast_slice(&self.map[self.offset..self.offset + bytes])
    }

    /// Returns all elements mutably, in row-major order. Changes are private.
    #[expect(clippy::arithmetic_side_effects, reason = "the bytes are mapped")]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let bytes = self.dim.size() * size_of::<T>();
        bytemuck::cast_slice_mut(&mut self.map[self.offset..self.offset + bytes])
    }

    /// Returns an ndarray view of the array.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        let slice = self.as_slice();
        // SAFETY: the slice has `dim.size()` elements in row-major order (none if they have no size: then
        // nothing is read) and is borrowed as long as the view.
        unsafe { ArrayView::from_shape_ptr(self.dim.clone(), slice.as_ptr()) }
    }

    /// Returns a mutable ndarray view of the array. Changes are private.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T, D> {
        let dim = self.dim.clone();
        // SAFETY: the slice has `dim.size()` elements in row-major order (none if they have no size: then
        // nothing is read) and is borrowed as long as the view.
        unsafe { ArrayViewMut::from_shape_ptr(dim, self.as_mut_slice().as_mut_ptr()) }
    }

    /// Returns the length of each axis.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.dim.size()
    }

    /// Returns true if the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T, D: Dimension> std::fmt::Debug for PrivateArray<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateArray<{}>({:?})", std::any::type_name::<T>(), self.dim.slice())
    }
}
