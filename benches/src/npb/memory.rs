//! Memory of the benchmarks' arrays, in huge pages where the machine gives them, for every runtime alike.
//!
//! # Safety
//! The one system call here is advice about the pages of a vector that its caller owns; it changes no
//! contents.
#![allow(unsafe_code)]

use crate::harness::Outcome;
use ndarray::{ArrayView2, ArrayViewMut2, IntoDimension};
use phalanx::region::PhaseOperand;
use phalanx::{ArrayOptions, Element, HugePages, Pool, RegionError, Shape, SharedArray, Team};
use rustix::mm::{Advice, madvise};

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Refuses a problem that does not fit into the memory that is free now: vectors get their pages when they
/// are touched, and what is too much then ends in a kill, not in an error.
pub fn check(len_bytes: usize) -> Outcome<()> {
    let table = std::fs::read_to_string("/proc/meminfo")?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    match kib {
        Some(kib) if len_bytes >> 10 > kib => Err(format!(
            "it needs {:.1} GiB of memory and {:.1} GiB are free; take a smaller class",
            len_bytes as f64 / (1u64 << 30) as f64,
            kib as f64 / (1u64 << 20) as f64,
        )
        .into()),
        _ => Ok(()),
    }
}

/// A shared array of zeros, made by the workers, each its own block.
pub fn shared<T: Element, I: IntoDimension>(pool: &Pool, shape: I) -> Outcome<SharedArray<T, I::Dim>>
where
    I::Dim: Shape,
{
    Ok(pool.zeros_with(shape, &ArrayOptions::new().huge_pages(HugePages::Try))?)
}

/// A vector of zeros for the runtimes that have no shared memory. Its pages come when they are first touched.
pub fn zeroed<T: Element>(len: usize) -> Vec<T> {
    let vector = bytemuck::zeroed_vec::<T>(len);
    let start = (vector.as_ptr() as usize).next_multiple_of(HUGE);
    let end = (vector.as_ptr() as usize + len * size_of::<T>()) / HUGE * HUGE;
    if start < end {
        // SAFETY: whole pages of memory that `vector` owns; huge or not changes nothing but speed. A refusal
        // does not matter.
        let _ = unsafe { madvise(start as *mut std::ffi::c_void, end - start, Advice::LinuxHugepage) };
    }
    vector
}

/// Whole rows as they lie in memory.
pub fn flat<T>(rows: ArrayView2<'_, T>) -> Result<&[T], RegionError> {
    rows.to_slice().ok_or_else(|| RegionError::new("rows are not contiguous"))
}

/// As [`flat`], for writing.
pub fn flat_mut<T>(rows: ArrayViewMut2<'_, T>) -> Result<&mut [T], RegionError> {
    rows.into_slice().ok_or_else(|| RegionError::new("rows are not contiguous"))
}

/// [`Team::for_each`] of a kernel that may fail; the rank's first error.
pub fn for_each<O: PhaseOperand>(
    team: &mut Team<'_>,
    operands: O,
    mut kernel: impl for<'p> FnMut(O::View<'p>) -> Result<(), RegionError>,
) -> Result<(), RegionError> {
    let mut outcome = Ok(());
    team.for_each(operands, |view| {
        if outcome.is_ok() {
            outcome = kernel(view);
        }
    })?;
    outcome
}
