//! The one door through which descriptors come: none of ours is ever 0, 1 or 2.
//!
//! A program that has closed its standard streams (a daemon) still prints, reads its input, or links code
//! that does. The lowest free number goes to whoever asks next: an array's segment as descriptor 1 would be
//! overwritten by `println!`.
//!
//! # Safety
//! Only [`fill_standard`] touches descriptors by number, in a new process whose standard streams are its own.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use rustix::event::EventfdFlags;
use std::ffi::{CStr, c_int};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// The first number that is not of a standard stream.
const FIRST: c_int = 3;

/// The same object under a number that is not of a standard stream.
#[doc(alias = "F_DUPFD_CLOEXEC")]
pub(crate) fn kept(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST {
        return Ok(fd);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&fd, FIRST)?)
}

/// Opens a file.
pub(crate) fn open(options: &OpenOptions, path: impl AsRef<Path>) -> io::Result<File> {
    let file = options.open(path)?;
    Ok(kept(file.into())?.into())
}

/// Opens a file for reading.
pub(crate) fn open_to_read(path: impl AsRef<Path>) -> io::Result<File> {
    open(OpenOptions::new().read(true), path)
}

/// All of a file of text.
pub(crate) fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::new();
    open_to_read(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// A counter that can be polled; closed on exec, and never blocks.
#[doc(alias = "eventfd")]
pub(crate) fn counter() -> io::Result<OwnedFd> {
    kept(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Gives a new process an empty standard input, and /dev/null for each standard stream that its parent had
/// closed.
pub(crate) fn fill_standard() {
    const NULL: &CStr = c"/dev/null";
    for number in 0..FIRST {
        // SAFETY: asks for the flags of a number; a closed one gives an error.
        let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
        if number != 0 && is_open {
            continue;
        }
        // SAFETY: opens a file of that name; not close-on-exec, since the program that this process executes
        // must find it.
        let mut null = unsafe { libc::open(NULL.as_ptr(), libc::O_RDWR) };
        if null < 0 {
            // SAFETY: as above; an empty file in memory where there is no /dev/null.
            null = unsafe { libc::memfd_create(NULL.as_ptr(), 0) };
        }
        if null >= 0 && null != number {
            // SAFETY: replaces a standard stream that nobody else uses in a new process.
            unsafe { libc::dup2(null, number) };
            // SAFETY: opened just now.
            unsafe { libc::close(null) };
        } else if null < 0 && number == 0 {
            // SAFETY: what was there is the parent's, and not to be read.
            unsafe { libc::close(0) };
        }
    }
}
