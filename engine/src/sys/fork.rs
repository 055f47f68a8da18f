//! Forks: shared memory is taken away in the child and its addresses are covered, and a child knows that it
//! is one.
//!
//! Shared mappings are not inherited (`MADV_DONTFORK`): a child of the program must not keep arrays alive,
//! and could only race for them. What the child has of handles and slices still holds their addresses, so
//! these are covered with pages that nothing can touch before anything else can be mapped there. A child of
//! any fork of the C library is *foreign*: the engine refuses to work in it, since its threads and workers
//! are the parent's. The engine's own forks have one thread, hold no shared object, and [`adopt`] their
//! child.
//!
//! A child made by the bare system call `clone` is covered only where the engine itself makes it ([`cover`]).
//!
//! # Safety
//! A listed range or descriptor belongs to whoever lists it, and is not inherited. The list is locked while a
//! fork is on its way, so that a child finds it whole; the handlers allocate nothing and take no other lock.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::memory;
use std::cell::UnsafeCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static FOREIGN: AtomicBool = AtomicBool::new(false);
static SHARED_OBJECTS: AtomicUsize = AtomicUsize::new(0);
static LIST: List = List { is_locked: AtomicBool::new(false), content: UnsafeCell::new(Content::new()) };

/// Whether this process was forked from one that used the engine, by the program itself. Costs a plain load.
#[inline]
pub(crate) fn is_foreign() -> bool {
    // Written before the child has a second thread.
    FOREIGN.load(Ordering::Relaxed)
}

/// Counts an object that is shared, for as long as a handle in this process leads to it: a fork would leave
/// that handle behind.
#[derive(Debug)]
pub(crate) struct Shared(());

impl Shared {
    pub(crate) fn new() -> Shared {
        SHARED_OBJECTS.fetch_add(1, Ordering::Relaxed);
        Shared(())
    }
}

impl Clone for Shared {
    fn clone(&self) -> Shared {
        Shared::new()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        SHARED_OBJECTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Shared objects to which handles in this process lead.
pub(crate) fn shared_objects() -> usize {
    SHARED_OBJECTS.load(Ordering::Relaxed)
}

/// A file that children do not get: its descriptor is closed in them before anything else runs there.
///
/// What the kernel ties to the open description, as locks, so ends with this process and not with the last
/// of its children.
#[derive(Debug)]
pub(crate) struct OwnFile {
    file: ManuallyDrop<File>,
    owner: u32,
}

impl OwnFile {
    /// Opens it while nobody forks.
    pub(crate) fn made_by(open: impl FnOnce() -> io::Result<File>) -> io::Result<OwnFile> {
        LIST.with(|content| {
            content.watch();
            let file = ManuallyDrop::new(open()?);
            content.descriptors.insert(file.as_raw_fd());
            Ok(OwnFile { file, owner: memory::process_id() })
        })
    }

    /// Whether this process opened it, and is no forked child, in which the descriptor is closed.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == memory::process_id()
    }
}

impl Deref for OwnFile {
    type Target = File;
    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        LIST.with(|content| {
            content.descriptors.remove(&self.file.as_raw_fd());
            // SAFETY: dropped here, once.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        });
    }
}

struct Content {
    /// Length of each range by its address.
    ranges: BTreeMap<usize, usize>,
    /// Numbers of the descriptors that are closed in children.
    descriptors: BTreeSet<RawFd>,
    /// Called in a child, which has one thread, before anything else runs there.
    resets: Vec<fn()>,
    has_handlers: bool,
}

impl Content {
    const fn new() -> Content {
        Content {
            ranges: BTreeMap::new(),
            descriptors: BTreeSet::new(),
            resets: Vec::new(),
            has_handlers: false,
        }
    }
}

/// A lock of our own: that of a library may have sleepers, whom a child cannot wake.
struct List {
    is_locked: AtomicBool,
    content: UnsafeCell<Content>,
}

// SAFETY: the content is reached only while the lock is held.
unsafe impl Sync for List {}

impl List {
    fn lock(&self) {
        // Held for a system call or two.
        while self.is_locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.is_locked.store(false, Ordering::Release);
    }

    fn with<R>(&self, body: impl FnOnce(&mut Content) -> R) -> R {
        self.lock();
        // SAFETY: locked.
        let result = body(unsafe { &mut *self.content.get() });
        self.unlock();
        result
    }
}

/// Runs `change`, which maps a range that is not inherited or takes one away, while nobody forks; lists the
/// range that it mapped.
pub(crate) fn while_mapping<E>(
    at: NonNull<u8>,
    len_bytes: usize,
    map: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    LIST.with(|content| {
        content.watch();
        map()?;
        content.ranges.insert(at.addr().get(), len_bytes);
        Ok(())
    })
}

/// As [`while_mapping`], for the end of the range.
pub(crate) fn while_unmapping(at: NonNull<u8>, unmap: impl FnOnce()) {
    LIST.with(|content| {
        unmap();
        content.ranges.remove(&at.addr().get());
    });
}

/// Has `reset` called in every child. It may use what one thread can reach without waiting: atomics, its
/// thread-locals, `try_lock`.
pub(crate) fn reset_in_children(reset: fn()) {
    LIST.with(|content| {
        content.watch();
        content.resets.push(reset);
    });
}

impl Content {
    /// Makes sure that forks are noticed.
    fn watch(&mut self) {
        if !self.has_handlers {
            // SAFETY: the handlers are functions of this program, which is never unloaded (a library that is,
            // calls its handlers off through the C library). Fails for want of memory only, and is tried
            // again then.
            let rc = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
            self.has_handlers = rc == 0;
        }
    }

    fn cover(&mut self) {
        let page = memory::page_size();
        // Taken without being freed: an allocator may not be ready in a child. The covers are inherited by
        // later children.
        for (at, len_bytes) in &*ManuallyDrop::new(std::mem::take(&mut self.ranges)) {
            // SAFETY: the range was ours, and is empty in a child.
            if unsafe { memory::cover(*at, len_bytes.next_multiple_of(page)) }.is_err() {
                crate::sys::process::write_stderr(
                    b"phalanx: a forked child cannot cover shared memory; it is ended before it touches what is not its own\n",
                );
                std::process::abort();
            }
        }
        // As the ranges.
        for number in &*ManuallyDrop::new(std::mem::take(&mut self.descriptors)) {
            // SAFETY: a descriptor of an `OwnFile`, which is not used and not dropped in a child.
            unsafe { libc::close(*number) };
        }
        self.resets.iter().for_each(|reset| reset());
    }
}

extern "C" fn before() {
    LIST.lock();
}

extern "C" fn in_parent() {
    LIST.unlock();
}

extern "C" fn in_child() {
    FOREIGN.store(true, Ordering::Relaxed);
    // SAFETY: locked by `before`, in the thread of which this one is the copy.
    unsafe { &mut *LIST.content.get() }.cover();
    LIST.unlock();
}

/// Does in a child of the bare system call what the handlers do in others.
///
/// # Safety
/// Called first in such a child of a process with one thread.
pub(crate) unsafe fn cover() {
    LIST.with(Content::cover);
}

/// Makes a child of the engine's own fork a process like any other: it has none of its parent's shared
/// objects.
pub(crate) fn adopt() {
    FOREIGN.store(false, Ordering::Relaxed);
    SHARED_OBJECTS.store(0, Ordering::Relaxed);
}
