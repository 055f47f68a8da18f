//! `NamedBlock`: bytes under a name that any program can open.
//!
//! # Safety
//! The block's file is mapped shared, whole as it was when it was opened; other programs may write it at any
//! time, so safe calls move bytes in and out by atomics, all of one size and at the same places, and give no
//! references. That nobody cuts the file off, or takes memory out of it, while it is mapped cannot be
//! enforced for a file with a name. Safe calls look at its length first; a program that cuts it off between
//! that look and the access ends this process with a signal, which harms no memory.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::memory::{Access, AllocError, Segment, file};
use crate::sys::{descriptor, fork, memory};
use bytemuck::Pod;
use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A named block could not be created, opened or removed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The memory could not be allocated, or the name or filesystem cannot be used.
    #[error("cannot make the named block: {0}")]
    Alloc(#[from] AllocError),
    /// The file cannot be opened or removed.
    #[error("cannot {what} the named block {path:?}: {source}")]
    Io {
        /// The operation that failed.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The error from the system.
        source: io::Error,
    },
    /// The path is a symbolic link or not a regular file, or the file belongs to another user.
    #[error("{path:?} is not opened as a named block: {why}")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: &'static str,
    },
}

crate::base::debug_is_display!(BlockError);

/// Named bytes in shared memory, for programs that share nothing but the name: the counterpart of
/// `multiprocessing.shared_memory.SharedMemory`.
///
/// A name without a slash refers to a file in /dev/shm, where Python's `SharedMemory(name)` and C's
/// `shm_open` find it too; a name with a slash is used as a path. The block exists until it is unlinked by
/// [`unlink`](NamedBlock::unlink), by [`NamedBlock::unlink_on_drop`] or by any program; existing handles and
/// mappings keep working. Cloning a handle is cheap. Serde writes a handle as its path, and reading it opens
/// the block, so handles can also be sent to unrelated programs.
///
/// Any program may write at any time: reads and writes copy bytes, and only aligned 8-byte words are copied
/// atomically. To coordinate access, send [locks](crate::sync) along with the handle. After any program has
/// truncated the file, safe calls panic when they access the missing part. If the file is truncated during a
/// call, the process ends with SIGBUS, which no library can prevent for a named file. Each call asks the
/// system for the file's length, which takes about 0.2 us.
///
/// ```
/// use phalanx::shared::NamedBlock;
///
/// let name = format!("phalanx-doc-{}", std::process::id());
/// let block = NamedBlock::create(&name, 4096)?.unlink_on_drop();
/// block.write(8, b"hello");
/// block.store(0, 2.5f64);
/// let same = NamedBlock::open(&name)?;
/// let mut text = [0; 5];
/// same.read(8, &mut text);
/// assert_eq!((&text, same.load::<f64>(0), same.len()), (b"hello", 2.5, 4096));
/// # Ok::<(), phalanx::shared::BlockError>(())
/// ```
#[doc(alias("SharedMemory", "shm_open", "shm_unlink"))]
#[derive(Clone)]
pub struct NamedBlock {
    segment: Arc<Segment>,
    path: Arc<PathBuf>,
    unlink: Option<Arc<Unlink>>,
    _shared: fork::Shared,
}

/// Takes the name away with the last handle that has it.
struct Unlink(Arc<PathBuf>);

impl Drop for Unlink {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        // It may be gone already.
        let _ = std::fs::remove_file(&*self.0);
    }
}

fn path_of(name: &Path) -> PathBuf {
    match name.components().count() {
        1 if name.is_relative() => Path::new("/dev/shm").join(name),
        _ => name.to_owned(),
    }
}

impl NamedBlock {
    /// Creates a block of `len_bytes` zeros (at least 1) that only this user can read and write. Its memory
    /// is reserved.
    ///
    /// # Errors
    /// - [`BlockError::Alloc`]: the name exists or is invalid, or there is no room.
    pub fn create(name: impl AsRef<Path>, len_bytes: usize) -> Result<NamedBlock, BlockError> {
        let path = path_of(name.as_ref());
        let segment = file::create(&path, len_bytes.max(1), |_| Ok(()))?;
        Ok(NamedBlock { segment, path: Arc::new(path), unlink: None, _shared: fork::Shared::new() })
    }

    /// Opens an existing block, created by this or another program of the same user.
    ///
    /// # Errors
    /// - [`BlockError::Io`]: it does not exist or cannot be opened.
    /// - [`BlockError::NotOurs`]: it is a link, not a regular file, or another user's file.
    /// - [`BlockError::Alloc`]: it cannot be mapped, or holes in it cannot be filled.
    pub fn open(name: impl AsRef<Path>) -> Result<NamedBlock, BlockError> {
        let path = path_of(name.as_ref());
        file::check_name(&path)?;
        let io = |what| {
            let path = path.clone();
            move |source| BlockError::Io { what, path, source }
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = descriptor::open(&options, &path).map_err(io("open"))?;
        let meta = file.metadata().map_err(io("look at"))?;
        let not_ours = |why| Err(BlockError::NotOurs { path: path.clone(), why });
        if !meta.is_file() {
            return not_ours("it is no plain file");
        }
        if meta.uid() != memory::effective_user() {
            return not_ours("it belongs to another user");
        }
        let len_bytes = usize::try_from(meta.len()).unwrap_or(usize::MAX);
        if len_bytes == 0 {
            return not_ours("it is empty; its maker may not be done");
        }
        let fd = file.into();
        file::fill_holes(&fd, &path, len_bytes)?;
        let segment = file::map(fd, len_bytes, Access::ReadWrite)?;
        Ok(NamedBlock { segment, path: Arc::new(path), unlink: None, _shared: fork::Shared::new() })
    }

    /// Removes the name of a block. Handles that are already open keep working.
    ///
    /// # Errors
    /// - [`BlockError::Io`]: it does not exist or cannot be removed.
    pub fn unlink(name: impl AsRef<Path>) -> Result<(), BlockError> {
        let path = path_of(name.as_ref());
        file::check_name(&path)?;
        std::fs::remove_file(&path).map_err(|source| BlockError::Io { what: "remove", path, source })
    }

    /// Makes this handle and its later clones own the name: it is removed when the last of them is dropped.
    ///
    /// A process that is killed leaves the name behind. For memory that must never be left behind, use
    /// objects without a name.
    pub fn unlink_on_drop(mut self) -> NamedBlock {
        self.unlink = Some(Arc::new(Unlink(self.path.clone())));
        self
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the size in bytes.
    #[allow(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.segment.len_bytes()
    }

    /// Copies bytes starting at `offset` into a buffer.
    ///
    /// # Panics
    /// If the range is out of bounds, or was cut off by a truncation of the file.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        self.check(offset, into.len());
        for piece in pieces(offset, into.len()) {
            let seen = self.word(piece.word).load(Ordering::Relaxed).to_ne_bytes();
            into[piece.outside].copy_from_slice(&seen[piece.inside]);
        }
        crate::base::atomic::fence(Ordering::Acquire);
    }

    /// Copies bytes into the block, starting at `offset`.
    ///
    /// # Panics
    /// If the range is out of bounds, or was cut off by a truncation of the file.
    pub fn write(&self, offset: usize, from: &[u8]) {
        self.check(offset, from.len());
        crate::base::atomic::fence(Ordering::Release);
        for piece in pieces(offset, from.len()) {
            let (to, new) = (self.word(piece.word), &from[piece.outside]);
            if let Ok(whole) = <[u8; WORD]>::try_from(new) {
                to.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
                continue;
            }
            // Its other bytes may change meanwhile: they are left as they are, not as they were.
            let mut seen = to.load(Ordering::Relaxed);
            loop {
                let mut bytes = seen.to_ne_bytes();
                bytes[piece.inside.clone()].copy_from_slice(new);
                let next = u64::from_ne_bytes(bytes);
                match to.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => seen = now,
                }
            }
        }
    }

    /// Reads a plain value at `offset`. A value of 8 bytes at a multiple of 8 is read atomically.
    ///
    /// # Panics
    /// If the value is out of bounds, or was cut off by a truncation of the file.
    pub fn load<T: Pod>(&self, offset: usize) -> T {
        let mut value = T::zeroed();
        self.read(offset, bytemuck::bytes_of_mut(&mut value));
        value
    }

    /// Writes a plain value at `offset`. A value of 8 bytes at a multiple of 8 is written atomically.
    ///
    /// # Panics
    /// If the value is out of bounds, or was cut off by a truncation of the file.
    pub fn store<T: Pod>(&self, offset: usize, value: T) {
        self.write(offset, bytemuck::bytes_of(&value));
    }

    /// Returns a pointer to the first byte, for code that coordinates with other programs by its own means.
    /// Valid while any handle lives.
    pub fn as_ptr(&self) -> *mut u8 {
        self.segment.base().as_ptr()
    }

    /// Returns all bytes as a slice.
    ///
    /// # Safety
    /// While the slice lives, no program may write to the block or truncate its file.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: mapped for so long; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    /// Returns all bytes as a mutable slice.
    ///
    /// # Safety
    /// While the slice lives, no program may read or write the block through anything but this slice, or
    /// truncate its file.
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: mapped for so long; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.len()) }
    }

    /// Panics where so many bytes from `offset` on leave the block, or its file was made shorter since.
    fn check(&self, offset: usize, count: usize) {
        let end = offset.checked_add(count);
        let fits = |len: usize| end.is_some_and(|end| end <= len);
        assert!(fits(self.len()), "{count} bytes at {offset} leave a block of {} bytes", self.len());
        // A look before each call: what is gone is an error, not a signal that ends the process.
        let now = memory::file_size(self.segment.fd()).map_or(0, |(len, _)| len);
        let fits_now = fits(usize::try_from(now).unwrap_or(usize::MAX));
        assert!(fits_now, "the file of the named block {:?} was made shorter, to {now} bytes", self.path);
    }

    /// The word that begins `at` bytes into the block, a multiple of 8 that lies before its end.
    fn word(&self, at: usize) -> &AtomicU64 {
        let word = self.as_ptr().wrapping_add(at).cast::<AtomicU64>();
        // SAFETY: the mapping begins on a page and consists of whole pages, so the word lies inside, aligned,
        // also where the block ends in the middle of it. Safe calls reach the block in such words alone.
        unsafe { &*word }
    }
}

/// Bytes of a word.
const WORD: usize = 8;

/// What of a run of bytes lies in one word of the block.
struct Piece {
    /// Where in the block the word begins.
    word: usize,
    /// The bytes in the word.
    inside: Range<usize>,
    /// The same bytes in the run.
    outside: Range<usize>,
}

/// The words that `count` bytes from `offset` on lie in; the block has so many bytes.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the bytes lie in the block, which ends before the addresses do"
)]
fn pieces(offset: usize, count: usize) -> impl Iterator<Item = Piece> {
    let end = offset + count;
    (offset / WORD..end.div_ceil(WORD)).filter(move |_| count > 0).map(move |index| {
        let word = index * WORD;
        let (lo, hi) = (offset.max(word), end.min(word + WORD));
        Piece { word, inside: lo - word..hi - word, outside: lo - offset..hi - offset }
    })
}

impl std::fmt::Debug for NamedBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedBlock").field("path", &self.path).field("len", &self.len()).finish()
    }
}

/// Serializes the path.
impl serde::Serialize for NamedBlock {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&*self.path, to)
    }
}

/// Opens the block at the serialized path.
impl<'de> serde::Deserialize<'de> for NamedBlock {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let path = <PathBuf as serde::Deserialize>::deserialize(from)?;
        NamedBlock::open(&path).map_err(serde::de::Error::custom)
    }
}

// A panic leaves the bytes as any program may.
impl std::panic::UnwindSafe for NamedBlock {}
impl std::panic::RefUnwindSafe for NamedBlock {}
