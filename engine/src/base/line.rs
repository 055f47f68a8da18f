//! Padding that keeps words written by different processes on different cache lines.

use std::ops::{Deref, DerefMut};

/// A value alone on its cache lines.
///
/// 128 bytes, because x86-64 prefetches lines in adjacent pairs and several aarch64 cores have 128-byte lines
/// (source: crossbeam-utils, `CachePadded`).
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(crate) T);

impl<T> Deref for Line<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Line<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
