//! Segments over files that have a name.
//!
//! The files themselves are opened and judged by who maps them; here they get pages, a mapping and an id.
//! That nobody shrinks or rewrites such a file while it is mapped is a promise of the caller of the unsafe
//! constructors on the floor above.

use super::draft::{Draft, folder_of};
use super::{Access, AllocError, MapAccess, MapOptions, Mapping, Segment, check_file_limit, room};
use crate::sys::memory::{self, Filesystem};
use crate::sys::{descriptor, fork};
use std::fs::{File, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// Longest name of a file in a folder, on every filesystem in use (NAME_MAX).
const LONGEST_NAME: usize = 255;
/// Longest path that a system call takes, with its final zero (PATH_MAX).
const LONGEST_PATH: usize = 4096;

/// Refuses names that no file can have, before any system call.
pub(crate) fn check_name(path: &Path) -> Result<(), AllocError> {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.rsplit(|&b| b == b'/').next().unwrap_or(&[]);
    let reason = if bytes.is_empty() {
        "the name is empty"
    } else if bytes.contains(&0) {
        "it contains a NUL byte"
    } else if name.is_empty() || name == b"." || name == b".." {
        "it names a directory"
    } else if name.len() > LONGEST_NAME {
        "its last part is longer than 255 bytes"
    } else if bytes.len() >= LONGEST_PATH {
        "it is longer than 4095 bytes"
    } else {
        return Ok(());
    };
    Err(AllocError::Name { path: path.to_owned(), reason: reason.to_owned() })
}

/// Makes a new file of `len_bytes`, all reserved, readable and writable by its owner alone; `fill` writes
/// what must stand in it. It gets its name when all of that is done: on any error, and where the program is
/// killed, no file is left.
pub(crate) fn create(
    path: &Path,
    len_bytes: usize,
    fill: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<Arc<Segment>, AllocError> {
    if fork::is_foreign() {
        return Err(AllocError::Forked);
    }
    check_name(path)?;
    check_file_limit(len_bytes)?;
    let folder = folder_of(path);
    let folder_fd =
        descriptor::open_to_read(folder).map_err(|e| name_error(path, "its folder cannot be opened", &e))?;
    check_filesystem(folder_fd.as_fd(), path, len_bytes)?;
    if path.symlink_metadata().is_ok() {
        return Err(AllocError::Exists { path: path.to_owned() });
    }
    let refuse = |e: std::io::Error| name_error(path, "the file cannot be made", &e);
    let draft = Draft::new(folder, 0o600).map_err(refuse)?;
    // Whatever the process's mask says, the owner can use it.
    draft.file().set_permissions(Permissions::from_mode(0o600)).map_err(refuse)?;
    memory::reserve(draft.file().as_fd(), 0, len_bytes).map_err(|e| match e.raw_os_error() {
        Some(libc::EOPNOTSUPP) => {
            AllocError::Filesystem { path: path.to_owned(), kind: "a filesystem without reservation" }
        }
        _ => AllocError::from_os("fallocate", len_bytes, e),
    })?;
    fill(draft.file()).map_err(|e| AllocError::from_os("write", len_bytes, e))?;
    let file = draft.publish(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => AllocError::Exists { path: path.to_owned() },
        _ => refuse(e),
    })?;
    let segment = map(file.into(), len_bytes, Access::ReadWrite);
    if segment.is_err() {
        // The file is ours: it did not exist a moment ago.
        let _ = std::fs::remove_file(path);
    }
    segment
}

/// Makes a segment of an open file. The file has at least `len_bytes`.
pub(crate) fn map(fd: OwnedFd, len_bytes: usize, access: Access) -> Result<Arc<Segment>, AllocError> {
    let rights = match access {
        Access::ReadWrite => MapAccess::ReadWrite,
        Access::ReadOnly => MapAccess::ReadOnly,
    };
    if fork::is_foreign() {
        return Err(AllocError::Forked);
    }
    let mapping = Mapping::map(fd.as_fd(), len_bytes, rights, MapOptions::default())
        .map_err(|e| AllocError::from_os("mmap", len_bytes, e))?;
    Ok(Segment::from_file(mapping, fd, access))
}

/// Gives every page of an existing file its place on the disk, so that writing through a mapping cannot fail.
pub(crate) fn fill_holes(fd: &OwnedFd, path: &Path, len_bytes: usize) -> Result<(), AllocError> {
    let (_, allocated) =
        memory::file_size(fd.as_fd()).map_err(|e| AllocError::from_os("fstat", len_bytes, e))?;
    let missing = (len_bytes as u64).saturating_sub(allocated);
    check_filesystem(fd.as_fd(), path, usize::try_from(missing).unwrap_or(usize::MAX))?;
    memory::reserve(fd.as_fd(), 0, len_bytes).map_err(|e| AllocError::from_os("fallocate", len_bytes, e))
}

/// Refuses filesystems whose pages can vanish, and full ones.
fn check_filesystem(fd: std::os::fd::BorrowedFd<'_>, path: &Path, asked: usize) -> Result<(), AllocError> {
    let (kind, free) = memory::filesystem(fd).map_err(|e| AllocError::from_os("fstatfs", asked, e))?;
    match kind {
        Filesystem::Remote(kind) => {
            return Err(AllocError::Filesystem { path: path.to_owned(), kind });
        }
        Filesystem::Tmpfs => room::check(asked)?,
        Filesystem::Local => {}
    }
    match free {
        Some(free) if asked as u64 > free => Err(AllocError::NoSpace {
            asked: asked as u64,
            free,
            source_name: format!("the filesystem of {path:?}"),
        }),
        _ => Ok(()),
    }
}

fn name_error(path: &Path, what: &str, error: &std::io::Error) -> AllocError {
    AllocError::Name { path: path.to_owned(), reason: format!("{what}: {error}") }
}
