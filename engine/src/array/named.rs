//! Named arrays: real `.npy` files whose data other programs see as it changes.
//!
//! # Safety
//! A file can be changed and cut off by other programs, which no seal prevents. So whatever gives out
//! references to a file's bytes is `unsafe`, and its caller promises A2 and A3 of `shared.rs`; what copies is
//! safe.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::attach::{AttachError, check, check_axes, check_type};
use super::npy::{AxisOrder, DType, Header, Kind, NpyElement, NpyError, header_bytes, open_regular};
use super::shared::byte_len;
use super::{Shape, SharedArray};
use crate::memory::{Access, AllocError, draft, file};
use crate::sys::memory;
use ndarray::{ArrayView, IntoDimension, ShapeBuilder};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

impl<T: NpyElement, D: Shape> SharedArray<T, D> {
    /// Creates a named array of zeros. The array is the data of a new `.npy` file that only this user can
    /// read and write.
    ///
    /// `numpy.load(path, mmap_mode="r+")` in another program shares the same bytes: each side sees the
    /// other's changes at once. A file under /dev/shm exists in memory only; elsewhere the kernel eventually
    /// writes the pages to disk. The data begins at byte 4096 and its storage is reserved. Dropping the array
    /// does not remove the file; the caller removes it.
    ///
    /// # Errors
    /// Same as [`zeros`](SharedArray::zeros), plus `Name`, `Exists`, and `Filesystem` (network filesystems).
    ///
    /// # Safety
    /// While the array, or a frozen handle of it in any process ([`freeze`](SharedArray::freeze)), exists,
    /// the file must not be truncated. While a reference from this array, a launch over it or a frozen handle
    /// of it exists, its data must not be written by other means, including a second array over the same file
    /// in this program. No program may rely on data that it reads while the data is being written. Taking
    /// turns (with a lock, a pipe, or a process that waits for another) satisfies this contract.
    ///
    /// # Examples
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("x.npy");
    /// use phalanx::SharedArray;
    ///
    /// // SAFETY: nobody else uses the file yet.
    /// let mut x = unsafe { SharedArray::<f64>::create_npy(&path, 3)? };
    /// x.fill(1.5);
    /// assert_eq!(SharedArray::<f64>::load_npy(&path)?.as_slice(), [1.5; 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn create_npy<I>(path: impl AsRef<Path>, shape: I) -> Result<Self, AllocError>
    where
        I: IntoDimension<Dim = D>,
    {
        let dim = shape.into_dimension();
        let data_bytes = byte_len::<T, D>(&dim)?;
        let header = header_bytes(&DType::of::<T>(), dim.slice());
        let too_big =
            || AllocError::TooBig { shape: format!("{:?}", dim.slice()), element_bytes: size_of::<T>() };
        let len_bytes = header
            .len()
            .checked_add(data_bytes)
            .filter(|&n| isize::try_from(n).is_ok())
            .ok_or_else(too_big)?;
        let segment = file::create(path.as_ref(), len_bytes, |file| file.write_all_at(&header, 0))?;
        // SAFETY: the file has header and data, reserved; the header's length is a multiple of a page; that
        // nobody else claims the bytes is the caller's promise.
        Ok(unsafe { Self::from_segment(segment, header.len(), dim) })
    }

    /// Maps an existing `.npy` file for reading and writing in place.
    ///
    /// Magic, version, element type and byte order, axis order, number of axes and file size are checked
    /// before any view exists, and holes in the file are filled. The path must not be a symbolic link and the
    /// file must belong to the current user, so a file planted by another user is rejected.
    ///
    /// # Errors
    /// See [`AttachError`].
    ///
    /// # Safety
    /// Same as [`create_npy`](SharedArray::create_npy).
    pub unsafe fn attach_npy(path: impl AsRef<Path>) -> Result<Self, AttachError> {
        let path = path.as_ref();
        if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
            return Err(AttachError::SymbolicLink { path: path.to_owned() });
        }
        // No link either if the name was changed just now.
        let file = open_regular(path, OpenOptions::new().read(true).write(true), libc::O_NOFOLLOW)?;
        let owner = file.metadata().map_err(|source| io_error(path, source))?.uid();
        let user = memory::effective_user();
        if owner != user {
            return Err(AttachError::NotOurs { path: path.to_owned(), owner, user });
        }
        let header = Header::read_from(&file, path)?;
        let dim = check::<T, D>(&header, path)?;
        let len_bytes = header.data_offset().saturating_add(header.data_bytes());
        let fd = file.into();
        file::fill_holes(&fd, path, len_bytes)?;
        let segment = file::map(fd, len_bytes, Access::ReadWrite)?;
        // SAFETY: the file has header and data, reserved and aligned, as just checked; that nobody else
        // claims the bytes is the caller's promise.
        Ok(unsafe { Self::from_segment(segment, header.data_offset(), dim) })
    }

    /// Copies a `.npy` file into an anonymous array, converting from Fortran order and foreign byte order if
    /// necessary.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn load_npy(path: impl AsRef<Path>) -> Result<Self, AttachError> {
        let path = path.as_ref();
        let file = open_regular(path, OpenOptions::new().read(true), 0)?;
        let header = Header::read_from(&file, path)?;
        check_type::<T>(&header, path)?;
        let dim = check_axes::<D>(&header, path)?;
        let mut array = Self::zeros(dim.clone())?;
        if header.order() == AxisOrder::RowMajor || dim.ndim() <= 1 {
            read_data(&file, path, &header, array.as_mut_slice())?;
        } else {
            let mut columns = SharedArray::<T>::zeros(dim.size())?;
            read_data(&file, path, &header, columns.as_mut_slice())?;
            // The sizes agree, so this cannot fail.
            if let Ok(view) = ArrayView::from_shape(dim.f(), columns.as_slice()) {
                array.view_mut().assign(&view);
            }
        }
        Ok(array)
    }

    /// Writes a copy as a `.npy` file, replacing any existing file of that name.
    ///
    /// The copy is written beside the target, flushed to disk, and renamed over it once it is complete. The
    /// target may therefore be the file that backs this array, and a kill during the call leaves the old file
    /// intact. Permissions are preserved. Arrays that are attached to or mapped from the old file keep it,
    /// now unnamed.
    ///
    /// # Errors
    /// The filesystem's error, with the file's name. The file is then unchanged.
    pub fn save_npy(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let header = header_bytes(&DType::of::<T>(), self.shape());
        draft::replace(path, &[&header, bytemuck::cast_slice(self.as_slice())])
            .map_err(|e| io::Error::new(e.kind(), format!("{path:?}: cannot write the array: {e}")))
    }
}

/// Reads the data of a file in the order it has there, as this machine's numbers.
fn read_data<T: NpyElement>(
    file: &File,
    path: &Path,
    header: &Header,
    into: &mut [T],
) -> Result<(), AttachError> {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(into);
    file.read_exact_at(bytes, header.data_offset() as u64).map_err(|source| io_error(path, source))?;
    to_native::<T>(header, bytes);
    Ok(())
}

/// Turns the bytes of a file's elements into this machine's numbers.
pub(crate) fn to_native<T: NpyElement>(header: &Header, bytes: &mut [u8]) {
    if !header.dtype().is_native() {
        let number = if T::KIND == Kind::Complex { size_of::<T>() / 2 } else { size_of::<T>() };
        for number in bytes.chunks_exact_mut(number.max(1)) {
            number.reverse();
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> AttachError {
    AttachError::Npy(NpyError::Io { path: path.to_owned(), source })
}
