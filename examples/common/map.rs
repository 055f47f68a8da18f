//! Files as arrays of bytes.
//!
//! # Safety
//!
//! The engine requires that nobody writes or truncates a file while it is mapped. These programs cannot
//! enforce that: the user who names the file promises it (each `--help` says so). It is mapped read-only, and
//! any byte is a value: if the promise is broken, results are of a mixture of old and new bytes, and reading
//! past a new end ends the program by SIGBUS.
#![allow(unsafe_code)]

use crate::run::{Result, refuse};
use phalanx::MappedArray;
use std::path::Path;

/// Maps a file that nobody changes meanwhile. `None` where it is empty: nothing can be mapped.
///
/// # Errors
/// [`Refused`](crate::Refused) where the file cannot be read.
pub fn map_bytes(path: &Path) -> Result<Option<MappedArray<u8>>> {
    let fails = |why: String| refuse(format!("{}: {why}", path.display()));
    let about = std::fs::metadata(path).map_err(|error| fails(error.to_string()))?;
    if !about.is_file() {
        return Err(fails("this is no regular file, and cannot be memory-mapped".into()));
    }
    if about.len() == 0 {
        return Ok(None);
    }
    let len = usize::try_from(about.len())?;
    // SAFETY: the module's: nobody changes it, says who named it.
    let bytes = unsafe { MappedArray::<u8>::map_raw(path, 0, len) };
    bytes.map(Some).map_err(|error| fails(error.to_string()))
}
