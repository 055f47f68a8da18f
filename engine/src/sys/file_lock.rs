//! Locks on bytes of a file, which belong to an open file description: the kernel frees them when the last
//! descriptor of it is closed, however that comes about.
//!
//! # Safety
//! The calls take a descriptor that is borrowed for the call, and a plain structure that outlives it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use libc::{c_int, c_short, off_t};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Locks one byte for writing. Returns false if it is locked through another description. Never waits.
#[doc(alias = "F_OFD_SETLK")]
pub(crate) fn try_lock(fd: BorrowedFd<'_>, at: u32) -> io::Result<bool> {
    match call(fd, libc::F_OFD_SETLK, libc::F_WRLCK, at.into(), 1) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a byte is locked through another description.
#[doc(alias = "F_OFD_GETLK")]
pub(crate) fn is_locked_elsewhere(fd: BorrowedFd<'_>, at: u32) -> io::Result<bool> {
    Ok(c_int::from(call(fd, libc::F_OFD_GETLK, libc::F_WRLCK, at.into(), 1)?) != libc::F_UNLCK)
}

/// Frees all bytes that are locked through this description, its copies in other processes included.
pub(crate) fn unlock_all(fd: BorrowedFd<'_>) -> io::Result<()> {
    // A length of 0 reaches to the end, however large the file grows.
    call(fd, libc::F_OFD_SETLK, libc::F_UNLCK, 0, 0).map(|_| ())
}

/// Makes the call; returns the kind of lock that the kernel answers with.
fn call(
    fd: BorrowedFd<'_>,
    command: c_int,
    kind: c_int,
    start: off_t,
    len_bytes: off_t,
) -> io::Result<c_short> {
    let mut lock = libc::flock {
        l_type: kind as c_short,
        l_whence: libc::SEEK_SET as c_short,
        l_start: start,
        l_len: len_bytes,
        l_pid: 0,
    };
    loop {
        // SAFETY: a descriptor that is open, and a structure that the kernel reads and writes during the
        // call.
        if unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut lock) } == 0 {
            return Ok(lock.l_type);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
