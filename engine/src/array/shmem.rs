//! Segments of the `shared_memory` crate as arrays, for programs that use it already (cargo feature
//! `shared_memory`).
//!
//! # Safety
//! That crate's segments are files under /dev/shm that any program of the user may open, resize and write.
//! What can be checked is checked here; the rest is the promise of the caller, as in `named.rs`.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::attach::{AttachError, check_alignment};
use super::npy::{NpyError, open_regular};
use super::shared::byte_len;
use super::{Element, Shape, SharedArray};
use crate::memory::{Access, file};
use crate::sys::descriptor;
use ndarray::IntoDimension;
use shared_memory::Shmem;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Maps a segment of the `shared_memory` crate as an array, starting at byte `offset_bytes`, in row-major
    /// order.
    ///
    /// The array has its own mapping and may outlive `shmem`; that crate still removes the name when the
    /// owner is dropped. This call reserves the segment's pages, which that crate does not.
    ///
    /// # Errors
    /// See [`AttachError`]: the segment is too small or misaligned, its name now refers to another object, or
    /// there is no room for its pages.
    ///
    /// # Safety
    /// Same as [`create_npy`](SharedArray::create_npy): while the array, or a frozen handle of it in any
    /// process, exists, the segment must not be truncated. While a reference from the array, a launch over it
    /// or a frozen handle of it exists, these bytes must not be written by other means, such as `shmem` or a
    /// second array.
    pub unsafe fn attach_shmem<I>(shmem: &Shmem, offset_bytes: usize, shape: I) -> Result<Self, AttachError>
    where
        I: IntoDimension<Dim = D>,
    {
        let dim = shape.into_dimension();
        let data_bytes = byte_len::<T, D>(&dim)?;
        let path = Path::new("/dev/shm").join(shmem.get_os_id().trim_start_matches('/'));
        let (need, have) = ((offset_bytes as u64).saturating_add(data_bytes as u64), shmem.len() as u64);
        if have < need {
            return Err(AttachError::TooShort { path, need, have });
        }
        check_alignment::<T>(offset_bytes, &path)?;

        let file = open_regular(&path, OpenOptions::new().read(true).write(true), libc::O_NOFOLLOW)?;
        let io_error = |source| NpyError::Io { path: path.clone(), source };
        let meta = file.metadata().map_err(io_error)?;
        if mapped_inode(shmem.as_ptr().addr()).map_err(io_error)? != Some(meta.ino()) {
            let text = "the name means another segment now; was it removed and made again?";
            return Err(io_error(io::Error::other(text)).into());
        }
        if meta.len() < need {
            return Err(AttachError::TooShort { path, need, have: meta.len() });
        }
        let fd = file.into();
        // Both were added up before, and fit.
        let len_bytes = offset_bytes.saturating_add(data_bytes);
        file::fill_holes(&fd, &path, len_bytes)?;
        let segment = file::map(fd, len_bytes, Access::ReadWrite)?;
        // SAFETY: size, alignment and reservation were just seen to; the rest is the caller's promise.
        Ok(unsafe { Self::from_segment(segment, offset_bytes, dim) })
    }
}

/// The inode of the file that is mapped at an address of this process.
fn mapped_inode(address: usize) -> io::Result<Option<u64>> {
    let maps = descriptor::read_text(PathBuf::from("/proc/self/maps"))?;
    Ok(maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let hex = |text| usize::from_str_radix(text, 16).ok();
        // Then come rights, offset and device.
        (hex(start)?..hex(end)?).contains(&address).then(|| fields.nth(3)?.parse().ok())?
    }))
}
