//! Why a file is not a usable `.npy` file.

use std::io;
use std::path::PathBuf;

/// What a path names, if not a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A folder.
    Directory,
    /// A pipe, named or not.
    Pipe,
    /// A socket.
    Socket,
    /// A terminal, /dev/null and the like.
    CharacterDevice,
    /// A disk.
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

/// Why a `.npy` file cannot be read. Every text is one line that names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// There is no such file.
    #[error("{path:?}: no such file")]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be read.
    #[error("{path:?}: permission denied; check the file's mode and the folders above it")]
    Permission {
        /// The file.
        path: PathBuf,
    },
    /// The path names no regular file.
    #[error("{path:?}: is {kind}, not a .npy file; save the array to a regular file first")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// The file has no bytes.
    #[error("{path:?}: the file is empty (0 bytes); was it written completely?")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file does not begin as a `.npy` file.
    #[error("{path:?}: not a .npy file{hint}")]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        hint: &'static str,
    },
    /// The format's version is unknown.
    #[error("{path:?}: .npy format version {major}.{minor} is unknown (1.0, 2.0 and 3.0 can be read)")]
    Version {
        /// The file.
        path: PathBuf,
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The file ends before its data does, or inside the header.
    #[error("{path:?}: truncated: it has {have} bytes, its header promises {need}; copy or write it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes it needs.
        need: u64,
        /// Bytes it has.
        have: u64,
    },
    /// The header is no description of an array.
    #[error("{path:?}: damaged .npy header: {reason}")]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The product of the shape exceeds every address.
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
        /// What the kernel said.
        source: io::Error,
    },
}
