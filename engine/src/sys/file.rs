//! Files without a name, and names for them.

use crate::sys::descriptor;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// A new file in `folder` that has no name; it is gone with its last descriptor unless it is given one.
#[doc(alias = "O_TMPFILE")]
pub(crate) fn open_unnamed(folder: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(descriptor::kept(rustix::fs::open(folder, flags, Mode::from_raw_mode(mode))?)?.into())
}

/// Gives a file without a name one that is not taken.
#[doc(alias = "linkat")]
pub(crate) fn give_name(file: &File, path: &Path) -> io::Result<()> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, link, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Gives a file another name, which must not be taken.
#[doc(alias = "renameat2")]
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}
