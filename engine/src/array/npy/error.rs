//! Why a file is not a usable `.npy` file.

use std::io;
use std::path::PathBuf;

/// The type of a path that is not a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A character device, such as a terminal or /dev/null.
    CharacterDevice,
    /// A block device, such as a disk.
    BlockDevice,
    /// Something else.
    Other,
}

impl std::fmt::Display for FileKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FileKind::Directory => "a directory",
            FileKind::Pipe => "a pipe",
            FileKind::Socket => "a socket",
            FileKind::CharacterDevice => "a character device",
            FileKind::BlockDevice => "a block device",
            FileKind::Other => "no regular file",
        })
    }
}

/// A `.npy` file could not be read. Every message is one line and names the file.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The file does not exist.
    #[error("{path:?}: no such file")]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read for lack of permission.
    #[error("{path:?}: permission denied; check the file's mode and the folders above it")]
    Permission {
        /// The file.
        path: PathBuf,
    },
    /// The path does not name a regular file.
    #[error("{path:?}: is {kind}, not a .npy file; save the array to a regular file first")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The type of the path.
        kind: FileKind,
    },
    /// The file is empty.
    #[error("{path:?}: the file is empty (0 bytes); was it written completely?")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file does not start with the `.npy` magic bytes.
    #[error("{path:?}: not a .npy file{hint}")]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// A hint at what the file is instead.
        hint: &'static str,
    },
    /// The format version is unknown.
    #[error("{path:?}: .npy format version {major}.{minor} is unknown (1.0, 2.0 and 3.0 can be read)")]
    Version {
        /// The file.
        path: PathBuf,
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The file is truncated: it ends inside the header or the data.
    #[error("{path:?}: truncated: it has {have} bytes, its header promises {need}; copy or write it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes it needs.
        need: u64,
        /// Bytes it has.
        have: u64,
    },
    /// The header does not describe an array.
    #[error("{path:?}: damaged .npy header: {reason}")]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The size of the data overflows the address space.
    #[error("{path:?}: damaged .npy header: shape {shape:?} of {width}-byte elements exceeds any memory")]
    ShapeOverflow {
        /// The file.
        path: PathBuf,
        /// The shape.
        shape: Vec<usize>,
        /// Bytes of an element.
        width: usize,
    },
    /// Another system call failed.
    #[error("{path:?}: cannot read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error from the kernel.
        source: io::Error,
    },
}

crate::base::debug_is_display!(NpyError);
