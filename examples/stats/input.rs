//! Opens a dataset: checks the file before mapping it, and refuses it in one line that says what to do.
//!
//! # Safety
//!
//! The library requires that nobody writes or truncates the file while it is mapped. This program cannot
//! enforce that: the user who names the file promises it. The file is mapped read-only. If the promise is
//! broken, the behaviour is undefined as far as the language is concerned. In practice every bit pattern is a
//! value of every element type, so the statistics are likely of a mixture of old and new values, and reading
//! past a new end kills this program by SIGBUS.
#![allow(unsafe_code)]

use crate::dtype::Dtype;
use crate::header::{self, Layout};
use phalanx::array::AttachError;
use phalanx::array::npy::{Header, NpyError};
use phalanx::{Element, MappedArray};
use rustix::io::ReadWriteFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a file cannot be used: one line each, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// There is no such file.
    #[error("{0:?}: there is no such file; check the path, or give none to use synthetic data")]
    Missing(PathBuf),
    /// This user may not read it.
    #[error("{0:?}: permission to read it is denied; try chmod +r, or run as its owner")]
    Permission(PathBuf),
    /// Not a regular file.
    #[error("{0:?}: this is {1}, which cannot be memory-mapped; {2}")]
    Kind(PathBuf, &'static str, &'static str),
    /// It is empty.
    #[error("{0:?}: the file is empty (0 bytes); was it written to the end?")]
    Empty(PathBuf),
    /// Not a `.npy` file, or a damaged one.
    #[error("{0}{hint}", hint = raw_hint(.0))]
    Npy(#[from] NpyError),
    /// The type or order of its elements is not supported.
    #[error("{0:?}: {1}")]
    Layout(PathBuf, String),
    /// No elements.
    #[error("{0:?}: the array has no elements (shape {1}); there is nothing to summarise")]
    NoElements(PathBuf, String),
    /// Not a whole number of elements.
    #[error(
        "{path}: {bytes} bytes are no whole number of {width}-byte elements; is --raw {name} the right type?"
    )]
    Ragged { path: PathBuf, bytes: u64, width: usize, name: &'static str },
    /// It passed the checks, but the system will not map it.
    #[error(transparent)]
    Map(#[from] AttachError),
    /// Any other refusal.
    #[error("{0:?}: cannot be read: {1}")]
    Io(PathBuf, io::Error),
}

/// A dataset that can be mapped.
#[derive(Debug)]
pub struct Input {
    /// Where it came from.
    pub path: PathBuf,
    /// What it holds and where.
    pub layout: Layout,
    file: File,
}

impl Input {
    /// Opens a `.npy` file, or with `raw` a file of bare elements.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn open(path: &Path, raw: Option<Dtype>) -> Result<Self, InputError> {
        let (file, bytes) = open_regular(path)?;
        let layout = match raw {
            None => {
                let header = Header::read_from(&file, path)?;
                header::layout(&header).map_err(|why| InputError::Layout(path.to_owned(), why))?
            }
            Some(dtype) => {
                let (name, width) = dtype.describe();
                if !bytes.is_multiple_of(width as u64) {
                    return Err(InputError::Ragged { path: path.to_owned(), bytes, width, name });
                }
                let len = (bytes / width as u64) as usize;
                Layout { dtype, offset: 0, len, shape: format!("({len},)") }
            }
        };
        if layout.len == 0 {
            return Err(InputError::NoElements(path.to_owned(), layout.shape));
        }
        Ok(Self { path: path.to_owned(), layout, file })
    }

    /// The elements, mapped read-only. `T` is the type that `layout.dtype` names.
    ///
    /// # Errors
    /// If the system does not let the file be mapped.
    pub fn map<T: Element>(&self) -> Result<MappedArray<T>, InputError> {
        // SAFETY: the user who named the file promises that nobody changes it meanwhile, see the module.
        Ok(unsafe { MappedArray::map_raw(&self.path, self.layout.offset, self.layout.len) }?)
    }

    /// Whether the file is in memory, judged by a few dozen probes that never wait for a disk.
    pub fn is_cached(&self) -> bool {
        const PROBES: u64 = 64;
        let (first, bytes) = (self.layout.offset as u64, self.bytes() as u64);
        (0..PROBES).all(|i| {
            let mut byte = [0];
            let at = first + bytes / PROBES * i;
            let into = &mut [IoSliceMut::new(&mut byte)];
            // Filesystems that live in memory do not know the flag; they never say "try again".
            rustix::io::preadv2(&self.file, into, at, ReadWriteFlags::NOWAIT) != Err(rustix::io::Errno::AGAIN)
        })
    }

    /// Size of the data in bytes.
    pub fn bytes(&self) -> usize {
        self.layout.len * self.layout.dtype.describe().1
    }
}

/// Opens without ever waiting for the other end of a pipe.
fn open_regular(path: &Path) -> Result<(File, u64), InputError> {
    let refuse = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => InputError::Missing(path.to_owned()),
        io::ErrorKind::PermissionDenied => InputError::Permission(path.to_owned()),
        _ => InputError::Io(path.to_owned(), e),
    };
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let about = std::fs::metadata(path).map_err(refuse)?;
    let kind = |what, todo| Err(InputError::Kind(path.to_owned(), what, todo));
    let kind_of = about.file_type();
    if kind_of.is_dir() {
        return kind("a directory", "name a file in it");
    } else if kind_of.is_fifo() {
        return kind("a pipe", "write its output to a file first");
    } else if kind_of.is_socket() || kind_of.is_char_device() || kind_of.is_block_device() {
        return kind("a device or socket", "copy its data to a file first");
    }
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(refuse)?;
    let bytes = file.metadata().map_err(refuse)?.len();
    if bytes == 0 { Err(InputError::Empty(path.to_owned())) } else { Ok((file, bytes)) }
}

/// What is not a `.npy` file is most likely one of bare numbers.
fn raw_hint(why: &NpyError) -> &'static str {
    if matches!(why, NpyError::NotNpy { .. }) { "; if it holds bare numbers, add --raw TYPE" } else { "" }
}
