//! Why shared memory could not be made.

use std::io;
use std::path::PathBuf;

/// The resource limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitKind {
    /// File size (`ulimit -f`, RLIMIT_FSIZE); shared memory counts as a file.
    FileSize,
    /// Address space (`ulimit -v`, RLIMIT_AS).
    AddressSpace,
    /// Open files of the process (`ulimit -n`, RLIMIT_NOFILE).
    OpenFiles,
    /// Open files of the whole system (fs.file-max).
    SystemFiles,
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LimitKind::FileSize => "the file size limit (ulimit -f), which shared memory counts against,",
            LimitKind::AddressSpace => "the address space limit (ulimit -v)",
            LimitKind::OpenFiles => "the limit on open files (ulimit -n)",
            LimitKind::SystemFiles => "the system's limit on open files (fs.file-max)",
        })
    }
}

/// An array or value could not be created. Nothing is left behind.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AllocError {
    /// The size in bytes overflows the address space.
    #[error(
        "an array of shape {shape} with {element_bytes}-byte elements is larger than any memory: its size in bytes \
         exceeds 2^63; check the shape"
    )]
    TooBig {
        /// The requested shape.
        shape: String,
        /// Bytes of one element.
        element_bytes: usize,
    },
    /// There is not enough free memory.
    #[error(
        "no room for {asked} bytes of shared memory: {source_name} has {free} bytes left; make the array smaller, \
         drop others, or raise that limit"
    )]
    NoSpace {
        /// Requested bytes.
        asked: u64,
        /// Free bytes.
        free: u64,
        /// The source of that number: a memory cgroup, the system's memory, or a filesystem.
        source_name: String,
    },
    /// Huge pages are required but unavailable.
    #[error(
        "no huge pages for {asked} bytes: {reason}; reserve some (vm.nr_hugepages) or use HugePages::Try to go on \
         without"
    )]
    NoHugePages {
        /// Requested bytes.
        asked: u64,
        /// The result of each way to get huge pages.
        reason: String,
    },
    /// There is no such NUMA node, or this process may not use its memory.
    #[error("cannot place pages on NUMA node {node}: this process may use the nodes {allowed:?}")]
    Node {
        /// The requested node.
        node: u32,
        /// The nodes that this process may use.
        allowed: Vec<u32>,
    },
    /// A limit of this process or of the system was exceeded.
    #[error("cannot make {asked} bytes of shared memory: {which} is {limit}; raise it")]
    Limit {
        /// The limit.
        which: LimitKind,
        /// Requested bytes.
        asked: u64,
        /// The value of the limit, in its own unit.
        limit: u64,
    },
    /// The system refuses the call to this process (a container's filter, or file permissions).
    #[error(
        "the system refuses {call} to this process ({source}); a container's seccomp profile may deny it"
    )]
    Permission {
        /// The system call.
        call: &'static str,
        /// The error from the kernel.
        source: io::Error,
    },
    /// The name of a named array cannot be used.
    #[error("cannot make an array file named {path:?}: {reason}")]
    Name {
        /// The name.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of that name exists.
    #[error("{path:?} exists already; choose another name, remove it, or attach to it")]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// The filesystem cannot guarantee that mapped pages stay available.
    #[error("{path:?} lies on {kind}, where mapped memory can vanish; use a local disk or /dev/shm")]
    Filesystem {
        /// The file.
        path: PathBuf,
        /// The type of the filesystem.
        kind: &'static str,
    },
    /// This process was forked from the one that created the shared memory, and has no access to it.
    #[error(
        "this process was forked from one that uses phalanx, and has neither its shared memory nor its workers; use phalanx \
         in the parent alone, fork before its first use, or execute a program in the child"
    )]
    Forked,
    /// Another system call failed.
    #[error("{call} failed while making {asked} bytes of shared memory: {source}")]
    Os {
        /// The system call.
        call: &'static str,
        /// Requested bytes.
        asked: u64,
        /// The error from the kernel.
        source: io::Error,
    },
}

crate::base::debug_is_display!(AllocError);

impl AllocError {
    /// The error that `errno` of `call` means.
    pub(crate) fn from_os(call: &'static str, asked: usize, source: io::Error) -> AllocError {
        let asked = asked as u64;
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => AllocError::Permission { call, source },
            Some(libc::EMFILE) => AllocError::Limit {
                which: LimitKind::OpenFiles,
                asked,
                limit: crate::sys::memory::open_file_limit().unwrap_or(u64::MAX),
            },
            Some(libc::ENFILE) => {
                AllocError::Limit { which: LimitKind::SystemFiles, asked, limit: super::room::system_files() }
            }
            Some(libc::EFBIG) => AllocError::Limit {
                which: LimitKind::FileSize,
                asked,
                limit: crate::sys::memory::file_size_limit().unwrap_or(u64::MAX),
            },
            Some(libc::ENOMEM) if call == "mmap" => match crate::sys::memory::address_space_limit() {
                Some(limit) => AllocError::Limit { which: LimitKind::AddressSpace, asked, limit },
                None => AllocError::Os { call, asked, source },
            },
            Some(libc::ENOSPC | libc::ENOMEM) => {
                let room = super::room::probe();
                AllocError::NoSpace { asked, free: room.free, source_name: room.source }
            }
            _ => AllocError::Os { call, asked, source },
        }
    }
}
