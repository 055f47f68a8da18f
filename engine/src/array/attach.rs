//! Why a file cannot be an array of the wanted type, and the checks that find out before any view exists.

use super::npy::{AxisOrder, DType, Header, NpyElement, NpyError};
use super::{Element, Shape};
use crate::memory::AllocError;
use std::path::{Path, PathBuf};

/// A file could not be attached, mapped or loaded as an array.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The file is not a usable `.npy` file.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// Shared memory could not be allocated or mapped.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// The element type differs.
    #[error("{path:?}: has elements of type {found}, not {wanted}{hint}")]
    ElementType {
        /// The file.
        path: PathBuf,
        /// What the program expects.
        wanted: String,
        /// What the file contains.
        found: String,
        /// How to fix it, if there is a way.
        hint: &'static str,
    },
    /// The data is in Fortran order: the first axis is contiguous.
    #[error("{path:?}: is in Fortran order; load_npy turns it around, or save numpy.ascontiguousarray(a)")]
    ColumnMajor {
        /// The file.
        path: PathBuf,
    },
    /// The number of axes differs.
    #[error("{path:?}: has {found} axes (shape {shape:?}), not {wanted}; IxDyn takes any number")]
    Axes {
        /// The file.
        path: PathBuf,
        /// What the program expects.
        wanted: usize,
        /// What the file contains.
        found: usize,
        /// The shape in the file.
        shape: Vec<usize>,
    },
    /// The data is not aligned for the element type.
    #[error(
        "{path:?}: its data begins at byte {offset}, which is no multiple of {align}, so it cannot be used in place; \
         load_npy copies what a .npy file holds, and other files can be read"
    )]
    Misaligned {
        /// The file.
        path: PathBuf,
        /// Byte offset of the data.
        offset: usize,
        /// Alignment that the element type requires, in bytes.
        align: usize,
    },
    /// A raw file is shorter than the array.
    #[error("{path:?}: has {have} bytes, but the array needs {need}; check offset and shape")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Bytes needed.
        need: u64,
        /// Bytes in the file.
        have: u64,
    },
    /// The path is a symbolic link, which is not followed.
    #[error(
        "{path:?}: is a symbolic link; attach to the file itself, whose path std::fs::canonicalize returns"
    )]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// The file belongs to another user and is not trusted.
    #[error(
        "{path:?}: belongs to user {owner}, not to this program's user {user}; it is not attached for writing"
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// User id of the file's owner.
        owner: u32,
        /// User id of this process.
        user: u32,
    },
}

crate::base::debug_is_display!(AttachError);

/// The shape in the header, if the file can be an array of `T` and `D` as it stands.
pub(super) fn check<T: NpyElement, D: Shape>(header: &Header, path: &Path) -> Result<D, AttachError> {
    check_type::<T>(header, path)?;
    if !header.dtype().is_native() {
        return Err(wrong_type::<T>(header, path, "; load_npy turns the bytes around"));
    }
    let dim = check_axes::<D>(header, path)?;
    if header.order() == AxisOrder::ColumnMajor && header.shape().len() > 1 {
        return Err(AttachError::ColumnMajor { path: path.to_owned() });
    }
    check_alignment::<T>(header.data_offset(), path)?;
    Ok(dim)
}

/// That the elements are those of `T`, their bytes perhaps in the other order.
pub(crate) fn check_type<T: NpyElement>(header: &Header, path: &Path) -> Result<(), AttachError> {
    if header.dtype().is_swapped_or_native::<T>() {
        return Ok(());
    }
    Err(wrong_type::<T>(header, path, header.dtype().advice()))
}

fn wrong_type<T: NpyElement>(header: &Header, path: &Path, hint: &'static str) -> AttachError {
    AttachError::ElementType {
        path: path.to_owned(),
        wanted: DType::of::<T>().to_string(),
        found: header.dtype().to_string(),
        hint,
    }
}

/// The shape as a dimension of type `D`.
pub(crate) fn check_axes<D: Shape>(header: &Header, path: &Path) -> Result<D, AttachError> {
    let shape = header.shape();
    if let Some(wanted) = D::NDIM
        && wanted != shape.len()
    {
        let (path, shape) = (path.to_owned(), shape.to_vec());
        return Err(AttachError::Axes { path, wanted, found: shape.len(), shape });
    }
    let mut dim = D::zeros(shape.len());
    dim.slice_mut().copy_from_slice(shape);
    Ok(dim)
}

/// That an element may lie at this byte of a file, whose start is mapped at a page's start.
pub(super) fn check_alignment<T: Element>(offset: usize, path: &Path) -> Result<(), AttachError> {
    let align = align_of::<T>();
    if offset.is_multiple_of(align) {
        return Ok(());
    }
    Err(AttachError::Misaligned { path: path.to_owned(), offset, align })
}
