//! Where a thread may run and take memory: affinity masks and NUMA policies, set and read back.
//!
//! Masks are 64-bit words, lowest bit of the first word for index 0, of any length: rustix's and libc's
//! `cpu_set_t` stops at 1024 CPUs and lacks the policies, so these are the plain system calls.
//!
//! # Safety
//! Every call gets a pointer to words that are borrowed for its duration together with their length; the
//! kernel keeps none of them.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use rustix::io::Errno;

/// Masks grow up to this many words (65536 CPUs or nodes); Linux knows at most 8192 CPUs and 1024 nodes.
const MAX_WORDS: usize = 1024;

/// The flag of linux/mempolicy.h that libc lacks.
const MPOL_F_MEMS_ALLOWED: libc::c_int = 1 << 2;

/// Memory policies that this library sets, and the one word for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyMode {
    /// Where the thread runs, or what the mapping says: no policy of its own.
    Default,
    /// Where the thread runs.
    Local,
    /// The nodes given if they have room, else any.
    Preferred,
    /// Anything else, as the kernel's number.
    Other(i32),
}

/// Binds the calling thread to the CPUs.
#[doc(alias = "sched_setaffinity")]
pub(crate) fn set_affinity(words: &[u64]) -> Result<(), Errno> {
    // SAFETY: the words are readable for the length passed; thread 0 is the calling thread.
    let rc = unsafe {
        libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(words) as libc::size_t, words.as_ptr())
    };
    checked(rc).map(drop)
}

/// Reads the CPUs that the calling thread may use.
#[doc(alias = "sched_getaffinity")]
pub(crate) fn affinity() -> Result<Vec<u64>, Errno> {
    grown(16, |words| {
        // SAFETY: the words are writable for the length passed; thread 0 is the calling thread.
        let rc = unsafe {
            libc::syscall(
                libc::SYS_sched_getaffinity,
                0,
                size_of_val(words) as libc::size_t,
                words.as_mut_ptr(),
            )
        };
        checked(rc)
    })
}

/// Asks on which CPU and NUMA node the calling thread is right now.
#[doc(alias = "getcpu")]
pub(crate) fn current_place() -> Result<(u32, u32), Errno> {
    let (mut cpu, mut node) = (0u32, 0u32);
    // SAFETY: both words outlive the call; the third argument is unused since Linux 2.6.24.
    let rc = unsafe {
        libc::syscall(libc::SYS_getcpu, &raw mut cpu, &raw mut node, std::ptr::null_mut::<libc::c_void>())
    };
    checked(rc).map(|_| (cpu, node))
}

/// The CPU that the calling thread is on right now, without a system call where the kernel's vDSO knows it.
#[doc(alias = "sched_getcpu")]
pub(crate) fn current_cpu() -> u32 {
    rustix::thread::sched_getcpu() as u32
}

/// Asks from which NUMA nodes the calling thread may take memory (its cpuset's).
#[doc(alias = "MPOL_F_MEMS_ALLOWED")]
pub(crate) fn allowed_nodes() -> Result<Vec<u64>, Errno> {
    grown(16, |words| {
        // SAFETY: the words are writable, and the kernel writes no more than the bits passed to it.
        let rc = unsafe {
            libc::syscall(
                libc::SYS_get_mempolicy,
                std::ptr::null_mut::<libc::c_int>(),
                words.as_mut_ptr(),
                max_node(words),
                std::ptr::null_mut::<libc::c_void>(),
                MPOL_F_MEMS_ALLOWED,
            )
        };
        checked(rc)
    })
}

/// Sets the memory policy of the calling thread; `words` names the nodes for [`PolicyMode::Preferred`].
#[doc(alias = "set_mempolicy")]
pub(crate) fn set_memory_policy(mode: PolicyMode, words: &[u64]) -> Result<(), Errno> {
    let mode = match mode {
        PolicyMode::Default => libc::MPOL_DEFAULT,
        PolicyMode::Local => libc::MPOL_LOCAL,
        PolicyMode::Preferred => libc::MPOL_PREFERRED,
        PolicyMode::Other(mode) => mode,
    };
    let (pointer, bits) =
        if words.is_empty() { (std::ptr::null(), 0) } else { (words.as_ptr(), max_node(words)) };
    // SAFETY: the words are readable for the bits passed, or absent.
    let rc = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) };
    checked(rc).map(drop)
}

/// Reads the memory policy of the calling thread back.
#[doc(alias = "get_mempolicy")]
pub(crate) fn memory_policy() -> Result<(PolicyMode, Vec<u64>), Errno> {
    let mut mode: libc::c_int = 0;
    let words = grown(16, |words| {
        // SAFETY: the mode and the words are writable, and the kernel writes no more than the bits passed to
        // it.
        let rc = unsafe {
            libc::syscall(
                libc::SYS_get_mempolicy,
                &raw mut mode,
                words.as_mut_ptr(),
                max_node(words),
                std::ptr::null_mut::<libc::c_void>(),
                0,
            )
        };
        checked(rc)
    })?;
    let mode = match mode {
        libc::MPOL_DEFAULT => PolicyMode::Default,
        libc::MPOL_LOCAL => PolicyMode::Local,
        libc::MPOL_PREFERRED => PolicyMode::Preferred,
        other => PolicyMode::Other(other),
    };
    Ok((mode, words))
}

/// The number of bits to announce for a node mask: the kernel reads and writes one less.
#[expect(clippy::arithmetic_side_effects, reason = "a mask in memory has fewer bits than that")]
fn max_node(words: &[u64]) -> libc::c_ulong {
    words.len() as libc::c_ulong * 64 + 1
}

fn checked(rc: libc::c_long) -> Result<libc::c_long, Errno> {
    if rc >= 0 {
        return Ok(rc);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

/// Calls with ever longer masks while the kernel answers EINVAL, which is how it says "too short".
fn grown(
    first: usize,
    mut call: impl FnMut(&mut [u64]) -> Result<libc::c_long, Errno>,
) -> Result<Vec<u64>, Errno> {
    let mut len = first;
    loop {
        let mut words = vec![0; len];
        match call(&mut words) {
            Ok(_) => return Ok(words),
            Err(Errno::INVAL) if len < MAX_WORDS => len = len.saturating_mul(4),
            Err(errno) => return Err(errno),
        }
    }
}

/// `struct sched_attr` of the kernel, first version (sched/types.h).
#[derive(Default)]
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Asks for time slices of this length for the calling thread (Linux 6.12), or with 0 for the kernel's
/// choice: its share of a busy core stays the same, but shorter pieces come sooner after a wake-up. Older
/// kernels ignore the wish.
#[doc(alias = "sched_setattr")]
pub(crate) fn set_slice(slice_ns: u64) -> Result<(), Errno> {
    let mut attr = SchedAttr { size: size_of::<SchedAttr>() as u32, ..SchedAttr::default() };
    // SAFETY: the kernel writes at most the size given.
    let rc = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, attr.size, 0) };
    if rc != 0 || !matches!(attr.policy as i32, libc::SCHED_OTHER | libc::SCHED_BATCH) {
        return Err(Errno::NOTSUP);
    }
    (attr.runtime_ns, attr.flags) = (slice_ns, 0);
    // SAFETY: the kernel reads the size given.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}
