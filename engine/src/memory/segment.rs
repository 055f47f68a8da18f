//! One shared object and this process's mapping of it.
#![deny(clippy::arithmetic_side_effects)]

use super::mapping::{MapAccess, MapOptions, Mapping};
use super::pages::{self, PageKind, PageReport};
use super::residency::{self, Residency};
use super::{AllocError, AllocOptions, HUGE_PAGE, HugePages, LimitKind, reclaim, registry, room};
use crate::sys::fork;
use crate::sys::memory::{self, Hint};
use parking_lot::Mutex;
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
    /// The same in huge pages that the system reserved.
    AnonymousHuge,
    /// A file that somebody named: it stays.
    File,
}

/// A shared object with its mapping in this process. Always behind an `Arc`.
///
/// Dropping the last `Arc` of an anonymous segment gives its pages back at once, even while a sleeping worker
/// still maps it, and then unmaps it here.
#[derive(Debug)]
pub(crate) struct Segment {
    id: SegmentId,
    mapping: Mapping,
    fd: OwnedFd,
    access: Access,
    backing: Backing,
    owner: u32,
    wish: HugePages,
    /// Mapped so that populating it gives transparent huge pages.
    is_thp_advised: bool,
    /// What was refused of the wishes.
    notes: Mutex<Notes>,
}

/// Wishes that did not come true, in the words of the reports.
#[derive(Debug, Default)]
struct Notes {
    pages: Vec<String>,
    placement: Vec<String>,
}

/// What a new segment is made of.
struct Parts {
    mapping: Mapping,
    fd: OwnedFd,
    access: Access,
    backing: Backing,
}

/// Reservation goes in steps of this many bytes, and looks at the room before each.
const RESERVE_STEP: usize = 256 << 20;

impl Segment {
    /// Makes a sealed, anonymous segment with all pages reserved.
    pub(crate) fn create(len_bytes: usize, options: &AllocOptions) -> Result<Arc<Segment>, AllocError> {
        let segment = Segment::create_sparse(len_bytes, options)?;
        segment.reserve(0..segment.len_bytes())?;
        segment.settle()?;
        Ok(segment)
    }

    /// Makes a sealed, anonymous segment without pages, if there is room for them. Whoever calls it reserves
    /// every page before it is touched (M2), here with [`reserve`](Segment::reserve) or in workers through
    /// their descriptor or mapping, and then calls [`settle`](Segment::settle).
    pub(crate) fn create_sparse(
        len_bytes: usize,
        options: &AllocOptions,
    ) -> Result<Arc<Segment>, AllocError> {
        residency::check_placement(options.placement)?;
        // What others have let go of is room, and may be the address space or the pages that this one needs.
        reclaim::now();
        let keen = matches!(options.huge, HugePages::Try | HugePages::Require);
        let rounded = match keen {
            true => len_bytes.max(1).checked_next_multiple_of(HUGE_PAGE).unwrap_or(len_bytes),
            false => len_bytes,
        };
        let mut notes = Notes::default();
        let free = pages::free_reserved();
        let mut made = None;
        if keen && free >= rounded as u64 {
            match Parts::make(rounded, true) {
                Ok(parts) => made = Some(parts),
                Err(error) => notes.pages.push(format!("reserved huge pages: {error}")),
            }
        } else if keen {
            notes.pages.push(format!("reserved huge pages: {free} bytes are free (vm.nr_hugepages)"));
        }
        let parts = match made {
            Some(parts) => parts,
            None => {
                room::check(rounded)?;
                Parts::make(rounded, false)?
            }
        };
        if let Err(note) = residency::place(&parts.mapping, options.placement) {
            notes.placement.push(note);
        }
        let is_thp_advised = parts.advise_thp(options.huge, &mut notes);
        Ok(Segment::register(parts, options.huge, is_thp_advised, notes))
    }

    /// As [`create_sparse`](Segment::create_sparse), of any size: for the arena, which never fills it.
    pub(super) fn create_unbacked(len_bytes: usize) -> Result<Arc<Segment>, AllocError> {
        let parts = Parts::make(len_bytes, false)?;
        Ok(Segment::register(parts, HugePages::Never, false, Notes::default()))
    }

    /// Takes over a file's mapping. Its pages are the file's and stay when the segment goes.
    pub(crate) fn from_file(mapping: Mapping, fd: OwnedFd, access: Access) -> Arc<Segment> {
        let parts = Parts { mapping, fd, access, backing: Backing::File };
        Segment::register(parts, HugePages::Auto, false, Notes::default())
    }

    fn register(parts: Parts, wish: HugePages, is_thp_advised: bool, notes: Notes) -> Arc<Segment> {
        let id = registry::next_id();
        let Parts { mapping, fd, access, backing } = parts;
        let owner = memory::process_id();
        let notes = Mutex::new(notes);
        let segment =
            Arc::new(Segment { id, mapping, fd, access, backing, owner, wish, is_thp_advised, notes });
        registry::insert(id, &segment);
        segment
    }

    /// Allocates the pages of a byte range, under this thread's memory policy.
    #[expect(clippy::arithmetic_side_effects, reason = "at < end, which lies inside the segment")]
    pub(crate) fn reserve(&self, range: Range<usize>) -> Result<(), AllocError> {
        let end = range.end.min(self.len_bytes());
        let mut at = range.start;
        while at < end {
            let step = RESERVE_STEP.min(end - at);
            if at != range.start && self.backing != Backing::AnonymousHuge {
                room::check(step)?;
            }
            // `fallocate` knows nothing of a mapping's advice, populating does. Where populating is unknown
            // (before Linux 5.14) or stopped half way, reserving what is left says why.
            let populated = self.is_thp_advised && self.mapping.populate(at, step).is_ok();
            if !populated {
                memory::reserve(self.fd.as_fd(), at, step)
                    .map_err(|e| AllocError::from_os("fallocate", self.len_bytes(), e))?;
            }
            at += step;
        }
        Ok(())
    }

    /// Ends the making of a segment whose pages are all reserved: tries the last way to huge pages where they
    /// are wished for.
    ///
    /// # Errors
    /// `NoHugePages` where they are required and did not come.
    pub(crate) fn settle(&self) -> Result<(), AllocError> {
        let keen = matches!(self.wish, HugePages::Try | HugePages::Require);
        if !keen || self.backing != Backing::Anonymous {
            return Ok(());
        }
        let populated = self.mapping.populate(0, self.len_bytes());
        if self.counted().huge < self.len_bytes() as u64 {
            let collapsed = match populated {
                Ok(()) => pages::collapse(&self.mapping),
                Err(error) => {
                    Err(format!("collapsing into huge pages: the pages cannot be populated: {error}"))
                }
            };
            if let Err(note) = collapsed {
                self.notes.lock().pages.push(note);
            }
        }
        let huge = self.counted().huge;
        if self.wish == HugePages::Require && huge < self.len_bytes() as u64 {
            let notes = self.notes.lock().pages.join("; ");
            let reason = format!("only {huge} bytes came to lie in them ({notes})");
            return Err(AllocError::NoHugePages { asked: self.len_bytes() as u64, reason });
        }
        Ok(())
    }

    fn counted(&self) -> pages::Counted {
        let base = self.base().addr().get();
        pages::count(base..base.wrapping_add(self.len_bytes()))
    }

    /// In which pages it lies now, as this process sees it.
    pub(crate) fn pages(&self) -> PageReport {
        let counted = self.counted();
        let (huge_bytes, kind) = match (counted.reserved_huge, counted.huge) {
            (_, _) if self.backing == Backing::AnonymousHuge => (self.len_bytes() as u64, PageKind::Reserved),
            (_, 0) => (0, PageKind::Base),
            (_, huge) if huge >= counted.resident => (huge, PageKind::Transparent),
            (_, huge) => (huge, PageKind::Mixed),
        };
        let resident_bytes = counted.resident.saturating_add(counted.reserved_huge);
        let notes = self.notes.lock().pages.clone();
        PageReport { wish: self.wish, kind, huge_bytes, resident_bytes, notes }
    }

    /// On which nodes the pages of a byte range lie.
    pub(crate) fn residency(&self, range: Range<usize>) -> Residency {
        // A file may be larger than memory: its pages are not touched to find out.
        let mut found = residency::probe(&self.mapping, range, self.backing != Backing::File);
        found.notes.extend(self.notes.lock().placement.iter().cloned());
        found
    }

    /// Gives the whole pages inside a byte range back; they read as zeros then.
    pub(crate) fn punch(&self, offset: usize, len_bytes: usize) -> std::io::Result<()> {
        let page = memory::page_size();
        let is_of_pages = offset.is_multiple_of(page) && len_bytes.is_multiple_of(page);
        // By way of the mapping, so that those who have registered its pages with a network card notice.
        if is_of_pages && self.mapping.advise(offset, len_bytes, Hint::Remove).is_ok() {
            return Ok(());
        }
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
    #[cfg(test)]
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Whether its mapping should be marked for transparent huge pages before it is populated.
    pub(crate) fn is_thp_advised(&self) -> bool {
        self.is_thp_advised
    }

    /// Whether this process made it, and is no forked child of the one that did (M4).
    pub(crate) fn is_ours(&self) -> bool {
        memory::process_id() == self.owner
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if fork::is_foreign() {
            // It is the parent's, and so may be a lock of ours.
            return;
        }
        registry::remove(self.id);
        if self.backing != Backing::File && self.is_ours() {
            // A worker that sleeps still maps it and would keep its pages alive. A failure only delays that.
            let whole = self.mapping.len_bytes().next_multiple_of(memory::page_size());
            let _ = self.punch(0, whole);
        }
    }
}

impl Parts {
    /// A sealed memfd of this size, mapped, without pages.
    fn make(len_bytes: usize, huge: bool) -> Result<Parts, AllocError> {
        if fork::is_foreign() {
            return Err(AllocError::Forked);
        }
        let len_bytes = len_bytes.max(1);
        check_file_limit(len_bytes)?;
        let os = |call| move |e| AllocError::from_os(call, len_bytes, e);
        let fd = memory::create_memfd("phalanx", huge).map_err(os("memfd_create"))?;
        memory::set_len(fd.as_fd(), len_bytes).map_err(os("ftruncate"))?;
        memory::seal_size(fd.as_fd()).map_err(os("F_ADD_SEALS"))?;
        let mapping = Mapping::map(fd.as_fd(), len_bytes, MapAccess::ReadWrite, MapOptions::default())
            .map_err(os("mmap"))?;
        let backing = if huge { Backing::AnonymousHuge } else { Backing::Anonymous };
        if huge {
            // Where the reserved pages do not suffice, it shows here and now, and base pages are still a way
            // out.
            memory::reserve(fd.as_fd(), 0, len_bytes).map_err(os("fallocate"))?;
        }
        Ok(Parts { mapping, fd, access: Access::ReadWrite, backing })
    }

    /// Asks for transparent huge pages as far as wished and allowed; whether populating will give them.
    fn advise_thp(&self, wish: HugePages, notes: &mut Notes) -> bool {
        if self.backing != Backing::Anonymous {
            return false;
        }
        let hint = match wish {
            HugePages::Never => Hint::NoHugePage,
            _ if pages::is_shmem_thp_allowed() => Hint::HugePage,
            HugePages::Auto => return false,
            HugePages::Try | HugePages::Require => {
                let file = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
                notes.pages.push(format!("transparent huge pages: off for shared memory ({file})"));
                return false;
            }
        };
        match self.mapping.advise(0, self.mapping.len_bytes(), hint) {
            Ok(()) => hint == Hint::HugePage,
            Err(error) => {
                if wish != HugePages::Never {
                    notes.pages.push(format!("transparent huge pages: {error}"));
                }
                false
            }
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
