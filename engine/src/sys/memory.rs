//! Memory calls: memfd, mappings, reservation, seals, advice.
//!
//! # Safety
//! The unsafe functions here change the address space; each states what the caller must own. Functions on
//! file descriptors are safe: a descriptor is borrowed for the call, and a memfd's pages are only reachable
//! through mappings, whose owners answer for them.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::descriptor;
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// Bytes of a base page.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// This process, to tell a forked child from the creator of a mapping.
#[doc(alias = "getpid")]
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Makes an empty memfd that can be sealed, closed on exec and not executable.
///
/// Kernels before 6.3 do not know `MFD_NOEXEC_SEAL` and answer `EINVAL`; there it is made without.
#[doc(alias = "memfd_create")]
pub(crate) fn create_memfd(name: &str, huge: bool) -> io::Result<OwnedFd> {
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if huge {
        flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    }
    let fd = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        other => other?,
    };
    descriptor::kept(fd)
}

/// Sets the size. The caller has compared it with RLIMIT_FSIZE, past which the kernel sends SIGXFSZ.
#[doc(alias = "ftruncate")]
pub(crate) fn set_len(fd: BorrowedFd<'_>, len_bytes: usize) -> io::Result<()> {
    Ok(rustix::fs::ftruncate(fd, len_bytes as u64)?)
}

/// Forbids any later change of size, and of the seals.
#[doc(alias = "F_ADD_SEALS")]
pub(crate) fn seal_size(fd: BorrowedFd<'_>) -> io::Result<()> {
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    Ok(rustix::fs::fcntl_add_seals(fd, seals)?)
}

/// As [`seal_size`], and forbids any further writable mapping; those that exist stay writable.
#[doc(alias = "F_SEAL_FUTURE_WRITE")]
pub(crate) fn seal_against_writers(fd: BorrowedFd<'_>) -> io::Result<()> {
    let size = SealFlags::SHRINK | SealFlags::GROW;
    // Kernels before 5.1 do not know the seal; there only the size is sealed.
    let _unknown = rustix::fs::fcntl_add_seals(fd, SealFlags::FUTURE_WRITE);
    Ok(rustix::fs::fcntl_add_seals(fd, size | SealFlags::SEAL)?)
}

/// Whether the size can no longer shrink.
#[doc(alias = "F_GET_SEALS")]
#[cfg(test)]
pub(crate) fn is_size_sealed(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|s| s.contains(SealFlags::SHRINK | SealFlags::GROW))
}

/// Allocates the pages of a range, so that touching them cannot fail. Restarts after signals.
#[doc(alias = "fallocate")]
pub(crate) fn reserve(fd: BorrowedFd<'_>, offset: usize, len_bytes: usize) -> io::Result<()> {
    if len_bytes == 0 {
        return Ok(());
    }
    loop {
        match rustix::fs::fallocate(fd, FallocateFlags::empty(), offset as u64, len_bytes as u64) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Gives the pages of a range back; they read as zeros afterwards. Where the range is mapped,
/// [`Hint::Remove`] does the same and lets others learn of it.
#[doc(alias = "FALLOC_FL_PUNCH_HOLE")]
pub(crate) fn punch(fd: BorrowedFd<'_>, offset: usize, len_bytes: usize) -> io::Result<()> {
    if len_bytes == 0 {
        return Ok(());
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    loop {
        match rustix::fs::fallocate(fd, flags, offset as u64, len_bytes as u64) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Size and allocated bytes of an open file.
#[doc(alias = "fstat")]
pub(crate) fn file_size(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_size.max(0) as u64, (stat.st_blocks.max(0) as u64).saturating_mul(512)))
}

/// Takes `len_bytes` of address space that nothing can touch.
#[doc(alias = "mmap")]
pub(crate) fn take_addresses(len_bytes: usize) -> io::Result<NonNull<u8>> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: the kernel chooses a free place, so no existing mapping is replaced.
    let at =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), len_bytes, ProtFlags::empty(), flags) }?;
    NonNull::new(at.cast()).ok_or_else(|| io::Error::other("the kernel mapped address 0"))
}

/// Covers `len_bytes` of free address space from `at` on with pages that nothing can touch;
/// async-signal-safe.
///
/// # Safety
/// Whoever still refers to the range may only be ended by touching it.
pub(crate) unsafe fn cover(at: usize, len_bytes: usize) -> io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
    let wanted = std::ptr::without_provenance_mut::<c_void>(at);
    // SAFETY: nothing that is mapped is replaced.
    let covered = unsafe { rustix::mm::mmap_anonymous(wanted, len_bytes, ProtFlags::empty(), flags) }?;
    // Kernels before 4.17 do not know the flag and take the address for a wish.
    if covered.addr() == at { Ok(()) } else { Err(io::ErrorKind::AddrInUse.into()) }
}

/// Takes `len_bytes` of zeros that this process has for itself; a forked child gets a copy.
pub(crate) fn take_zeros(len_bytes: usize) -> io::Result<NonNull<u8>> {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses a free place, so no existing mapping is replaced.
    let at = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), len_bytes, prot, MapFlags::PRIVATE) }?;
    NonNull::new(at.cast()).ok_or_else(|| io::Error::other("the kernel mapped address 0"))
}

/// Maps `len_bytes` of the file from its start at `at`, shared.
///
/// # Safety
/// The caller owns the pages `at .. at + len_bytes` (from [`take_addresses`]) and nothing refers to them.
#[doc(alias = "MAP_FIXED")]
pub(crate) unsafe fn map_shared_at(
    at: NonNull<u8>,
    len_bytes: usize,
    fd: BorrowedFd<'_>,
    writable: bool,
) -> io::Result<()> {
    let prot = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    // SAFETY: the range belongs to the caller and is unused, as this function demands.
    unsafe {
        rustix::mm::mmap(at.as_ptr().cast(), len_bytes, prot, MapFlags::SHARED | MapFlags::FIXED, fd, 0)
    }?;
    Ok(())
}

/// Gives address space back, through the C library: see [`advise`].
///
/// # Safety
/// The caller owns the range and nothing refers to it.
#[doc(alias = "munmap")]
pub(crate) unsafe fn unmap(at: NonNull<u8>, len_bytes: usize) -> io::Result<()> {
    if len_bytes == 0 {
        return Ok(());
    }
    // SAFETY: the range belongs to the caller and is unused, as this function demands.
    checked(unsafe { libc::munmap(at.as_ptr().cast(), len_bytes) })
}

fn checked(rc: libc::c_int) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a mapped range writable.
///
/// # Safety
/// The caller owns the range.
#[doc(alias = "mprotect")]
pub(crate) unsafe fn allow_writes(at: NonNull<u8>, len_bytes: usize) -> io::Result<()> {
    // SAFETY: the range belongs to the caller; more rights invalidate no reference.
    Ok(unsafe {
        rustix::mm::mprotect(at.as_ptr().cast(), len_bytes, MprotectFlags::READ | MprotectFlags::WRITE)
    }?)
}

/// Advice that changes no contents, [`Hint::Remove`] apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Children made by fork do not get the mapping.
    DontFork,
    /// Core dumps leave it out.
    DontDump,
    /// Use huge pages where shmem allows it.
    HugePage,
    /// Use no huge pages.
    NoHugePage,
    /// Fault all pages in for reading.
    PopulateRead,
    /// Fault all pages in for writing; fails instead of raising SIGBUS.
    PopulateWrite,
    /// Replace populated base pages by huge ones, at once.
    Collapse,
    /// Give the pages of the object itself back, for every process; they read as zeros afterwards. Takes no
    /// descriptor.
    Remove,
}

impl Hint {
    fn advice(self) -> libc::c_int {
        match self {
            Hint::DontFork => libc::MADV_DONTFORK,
            Hint::DontDump => libc::MADV_DONTDUMP,
            Hint::HugePage => libc::MADV_HUGEPAGE,
            Hint::NoHugePage => libc::MADV_NOHUGEPAGE,
            Hint::PopulateRead => libc::MADV_POPULATE_READ,
            Hint::PopulateWrite => libc::MADV_POPULATE_WRITE,
            Hint::Remove => libc::MADV_REMOVE,
            // Since Linux 6.1 (include/uapi/asm-generic/mman-common.h).
            Hint::Collapse => 25,
        }
    }
}

/// Advises the kernel about a mapped range.
///
/// Through the C library, like [`unmap`], and not by system calls of our own: libraries that register memory
/// with network cards (UCX, libfabric, Open MPI) stand in for these functions to learn that pages go, and
/// would write to pages that are no longer the program's otherwise.
///
/// # Safety
/// The caller owns the range. For [`Hint::Remove`] nobody, in any process, needs its contents or refers to
/// them.
#[doc(alias = "madvise")]
pub(crate) unsafe fn advise(at: NonNull<u8>, len_bytes: usize, hint: Hint) -> io::Result<()> {
    loop {
        // SAFETY: the range belongs to the caller; only `Remove` changes contents, which the caller says
        // nobody needs.
        match checked(unsafe { libc::madvise(at.as_ptr().cast(), len_bytes, hint.advice()) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A soft limit of this process; `None` is unlimited.
#[doc(alias = "getrlimit")]
pub(crate) fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// The soft limit on address space; `None` is unlimited.
#[doc(alias = "RLIMIT_AS")]
pub(crate) fn address_space_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::As).current
}

/// The soft limit on open files; `None` is unlimited.
#[doc(alias = "RLIMIT_NOFILE")]
pub(crate) fn open_file_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// What a filesystem is to memory that is mapped from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filesystem {
    /// Its files are memory.
    Tmpfs,
    /// A network or user-space filesystem, by name: pages can vanish when another machine or program wills.
    Remote(&'static str),
    /// Any other.
    Local,
}

/// The filesystem of an open file, and the bytes free there (`None` for a tmpfs without limit).
#[doc(alias = "fstatfs")]
pub(crate) fn filesystem(fd: BorrowedFd<'_>) -> io::Result<(Filesystem, Option<u64>)> {
    let stat = rustix::fs::fstatfs(fd)?;
    // Numbers: include/uapi/linux/magic.h, and the filesystems' own headers for those not listed there.
    #[allow(clippy::unnecessary_cast)] // f_type has another width on other architectures
    let kind = match stat.f_type as u64 & 0xffff_ffff {
        0x0102_1994 => Filesystem::Tmpfs,
        0x6969 => Filesystem::Remote("NFS"),
        0x6573_5546 => Filesystem::Remote("FUSE"),
        0x0102_1997 => Filesystem::Remote("9p"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => Filesystem::Remote("SMB"),
        0x00c3_6400 => Filesystem::Remote("Ceph"),
        0x5346_414f | 0x6b41_4653 => Filesystem::Remote("AFS"),
        0x7375_7245 => Filesystem::Remote("Coda"),
        0x0bd0_0bd0 => Filesystem::Remote("Lustre"),
        0x4750_4653 => Filesystem::Remote("GPFS"),
        _ => Filesystem::Local,
    };
    let unlimited = kind == Filesystem::Tmpfs && stat.f_blocks == 0;
    #[allow(clippy::unnecessary_cast)]
    let free = (stat.f_bavail as u64).saturating_mul(stat.f_bsize.max(0) as u64);
    Ok((kind, (!unlimited).then_some(free)))
}

/// The user that this process acts as.
#[doc(alias = "geteuid")]
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A memory policy for a range of a mapping; on shared memory it stays with the object, for every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodePolicy {
    /// Pages go to the first node of the mask while it has room, then elsewhere.
    Preferred,
    /// Pages go around the nodes of the mask.
    Interleave,
}

/// Sets the policy of a mapped range; `nodes` is a bit mask, lowest node first.
///
/// # Safety
/// The caller owns the range.
#[doc(alias = "mbind")]
#[expect(clippy::arithmetic_side_effects, reason = "a mask in memory has fewer bits than that")]
pub(crate) unsafe fn bind_pages(
    at: NonNull<u8>,
    len_bytes: usize,
    policy: NodePolicy,
    nodes: &[u64],
) -> io::Result<()> {
    let mode = match policy {
        NodePolicy::Preferred => libc::MPOL_PREFERRED,
        NodePolicy::Interleave => libc::MPOL_INTERLEAVE,
    };
    // The kernel reads one bit less than it is told (mbind(2), BUGS).
    let bits = nodes.len() * 64 + 1;
    // SAFETY: the range belongs to the caller, and the mask outlives the call; contents stay as they are.
    let rc = unsafe {
        libc::syscall(libc::SYS_mbind, at.as_ptr(), len_bytes, mode, nodes.as_ptr(), bits, 0 as libc::c_uint)
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks on which node each page lies; negative numbers are errors, such as `-ENOENT` for a page not there.
#[doc(alias = "move_pages")]
pub(crate) fn page_nodes(pages: &[*const u8], nodes: &mut [i32]) -> io::Result<()> {
    let count = pages.len().min(nodes.len());
    let nowhere = std::ptr::null::<libc::c_int>();
    // SAFETY: with no target nodes the call only asks; it reads `count` addresses, which it does not follow,
    // and writes as many results.
    let rc = unsafe {
        libc::syscall(libc::SYS_move_pages, 0, count, pages.as_ptr(), nowhere, nodes.as_mut_ptr(), 0)
    };
    if rc >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
