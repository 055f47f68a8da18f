//! Tests of the queues: behaviour between threads, words that some other code wrote over, and a death at
//! every instruction. Deaths of whole workers are in `engine/tests/channel.rs`.
//!
//! # Safety
//! A `Bare` owns its mapping; the core over it does not leave the test.
#![allow(unsafe_code)]

mod adversary;
mod sweep;
mod thread;

use crate::base::member::MemberId;
use crate::channel::core::Core;
use crate::channel::word::{ALIGN, Base, Shape};
use std::ptr::NonNull;

/// A queue's words in a mapping of the test's own, shared with its forks.
struct Bare {
    core: Core,
    map: *mut libc::c_void,
    at: NonNull<u8>,
    len: usize,
}

impl Bare {
    fn new(capacity: usize, maxsize: u64, flags: u32) -> Bare {
        let page = crate::sys::memory::page_size();
        let shape = Shape::new(capacity, maxsize, flags, page).unwrap();
        let len = shape.block_bytes(page).unwrap();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh mapping at a place the kernel chooses.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), len + ALIGN, access, kind, -1, 0) };
        assert_ne!(map, libc::MAP_FAILED);
        // Where a place puts the words: so that the area begins at a page.
        // SAFETY: inside the mapping.
        let at = NonNull::new(unsafe { map.cast::<u8>().add(ALIGN) }).unwrap();
        // SAFETY: zeroed, long enough, aligned; mapped until dropped.
        let base = unsafe { Base::new(at, shape, page) };
        Bare { core: Core { base }, map, at, len }
    }

    /// As new.
    fn wipe(&self) {
        // SAFETY: the test's own mapping, which no process uses now.
        unsafe { self.at.write_bytes(0, self.len) };
    }

    fn dies(&self, dead: MemberId) {
        crate::channel::word::repair(self.core.base.control(), dead);
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: its own mapping, whole.
        unsafe { libc::munmap(self.map, self.len + ALIGN) };
    }
}
