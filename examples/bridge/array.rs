//! The array that both programs have.
//!
//! # Safety
//! The file is made anew in a folder of this process's own, and only the partner is told its name. It never
//! changes the file's length, and writes only the rows that it was given for a turn, from `Partner::begin`
//! until `Partner::wait` has returned or the partner has ended. Within that time this program's launches
//! borrow other rows, and nothing else looks at the array.
#![allow(unsafe_code)]

use common::Result;
use phalanx::SharedArray;
use std::path::Path;

/// A named array of zeros: a `.npy` file.
///
/// # Errors
/// If there is no room for it.
pub fn create(path: &Path, len: usize) -> Result<SharedArray<u64>> {
    // SAFETY: nobody else truncates the file, and the two programs have different rows at all times; see the
    // module.
    Ok(unsafe { SharedArray::create_npy(path, len) }?)
}
