//! One shared object and this process's mapping of it.

use super::mapping::{MapAccess, MapOptions, Mapping};
use super::{AllocError, AllocOptions, LimitKind, registry, room};
use crate::sys::memory;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

/// Name of a segment inside the process that made it and its workers. Never used twice (M3); 0 names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SegmentId(pub(crate) u64);

/// What may be done with a segment's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Where the bytes of a segment live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backing {
    /// A memfd that only this library knows: its pages go when the segment is dropped.
    Anonymous,
    /// A file that somebody named: it stays.
    File,
}

/// A shared object with its mapping in this process. Always behind an `Arc`.
///
/// Dropping the last `Arc` of an anonymous segment gives its pages back at once, even while a sleeping worker still
/// maps it, and then unmaps it here.
#[derive(Debug)]
pub(crate) struct Segment {
    id: SegmentId,
    mapping: Mapping,
    fd: OwnedFd,
    access: Access,
    backing: Backing,
    owner: u32,
}

/// Reservation goes in steps of this many bytes, and looks at the room before each.
const RESERVE_STEP: usize = 256 << 20;

impl Segment {
    /// Makes a sealed, anonymous segment with all pages reserved.
    pub(crate) fn create(len_bytes: usize, options: &AllocOptions) -> Result<Arc<Segment>, AllocError> {
        let segment = Segment::create_sparse(len_bytes, options)?;
        segment.reserve(0..segment.len_bytes())?;
        Ok(segment)
    }

    /// Makes a sealed, anonymous segment without pages, if there is room for them. Whoever calls it reserves every
    /// page before it is touched (M2): here with [`reserve`](Segment::reserve), or in workers through their
    /// descriptor or mapping.
    pub(crate) fn create_sparse(
        len_bytes: usize,
        options: &AllocOptions,
    ) -> Result<Arc<Segment>, AllocError> {
        room::check(len_bytes)?;
        Segment::create_unbacked(len_bytes, options)
    }

    /// As [`create_sparse`](Segment::create_sparse), of any size: for the arena, which never fills it.
    pub(super) fn create_unbacked(
        len_bytes: usize,
        _options: &AllocOptions,
    ) -> Result<Arc<Segment>, AllocError> {
        let len_bytes = len_bytes.max(1);
        check_file_limit(len_bytes)?;
        let os = |call| move |e| AllocError::from_os(call, len_bytes, e);
        let fd = memory::create_memfd("phalanx", false).map_err(os("memfd_create"))?;
        memory::set_len(fd.as_fd(), len_bytes).map_err(os("ftruncate"))?;
        memory::seal_size(fd.as_fd()).map_err(os("F_ADD_SEALS"))?;
        let mapping = Mapping::map(fd.as_fd(), len_bytes, MapAccess::ReadWrite, MapOptions::default())
            .map_err(os("mmap"))?;
        Ok(Segment::register(mapping, fd, Access::ReadWrite, Backing::Anonymous))
    }

    /// Takes over a file's mapping. Its pages are the file's and stay when the segment goes.
    pub(crate) fn from_file(mapping: Mapping, fd: OwnedFd, access: Access) -> Arc<Segment> {
        Segment::register(mapping, fd, access, Backing::File)
    }

    fn register(mapping: Mapping, fd: OwnedFd, access: Access, backing: Backing) -> Arc<Segment> {
        let id = registry::next_id();
        let segment = Arc::new(Segment { id, mapping, fd, access, backing, owner: memory::process_id() });
        registry::insert(id, &segment);
        segment
    }

    /// Allocates the pages of a byte range, under this thread's memory policy.
    pub(crate) fn reserve(&self, range: Range<usize>) -> Result<(), AllocError> {
        let end = range.end.min(self.len_bytes());
        let mut at = range.start;
        while at < end {
            let step = RESERVE_STEP.min(end - at);
            if at != range.start {
                room::check(step)?;
            }
            memory::reserve(self.fd.as_fd(), at, step)
                .map_err(|e| AllocError::from_os("fallocate", self.len_bytes(), e))?;
            at += step;
        }
        Ok(())
    }

    /// Gives the whole pages inside a byte range back; they read as zeros then.
    pub(crate) fn punch(&self, offset: usize, len_bytes: usize) -> std::io::Result<()> {
        memory::punch(self.fd.as_fd(), offset, len_bytes)
    }

    /// Its name.
    pub(crate) fn id(&self) -> SegmentId {
        self.id
    }

    /// Address of its first byte in this process.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    /// Its size.
    pub(crate) fn len_bytes(&self) -> usize {
        self.mapping.len_bytes()
    }

    /// Its descriptor, to be sent to workers.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What may be done with its bytes.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// The mapping in this process.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Whether this process made it, and is no forked child of the one that did (M4).
    pub(crate) fn is_ours(&self) -> bool {
        memory::process_id() == self.owner
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        registry::remove(self.id);
        if self.backing == Backing::Anonymous && self.is_ours() {
            // A worker that sleeps still maps it and would keep its pages alive. A failure only delays that.
            let _ = memory::punch(self.fd.as_fd(), 0, self.mapping.len_bytes());
        }
    }
}

/// Past RLIMIT_FSIZE the kernel answers `ftruncate` with a deadly signal, so the limit is asked first.
pub(crate) fn check_file_limit(len_bytes: usize) -> Result<(), AllocError> {
    match memory::file_size_limit() {
        Some(limit) if len_bytes as u64 > limit => {
            Err(AllocError::Limit { which: LimitKind::FileSize, asked: len_bytes as u64, limit })
        }
        _ => Ok(()),
    }
}
