//! Why shared memory could not be made.

use std::io;
use std::path::PathBuf;

/// Which limit of the process stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitKind {
    /// The largest file (`ulimit -f`, RLIMIT_FSIZE); shared memory counts as a file.
    FileSize,
    /// The address space (`ulimit -v`, RLIMIT_AS).
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

/// Why an array or value could not be made. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllocError {
    /// The number of bytes does not fit into an address.
    #[error(
        "an array of shape {shape} with {element_bytes}-byte elements is larger than any memory: its size in bytes \
         exceeds 2^63; check the shape"
    )]
    TooBig {
        /// The shape asked for.
        shape: String,
        /// Bytes of one element.
        element_bytes: usize,
    },
    /// There is not enough free memory, as counted by the named source.
    #[error(
        "no room for {asked} bytes of shared memory: {source_name} has {free} bytes left; make the array smaller, \
         drop others, or raise that limit"
    )]
    NoSpace {
        /// Bytes asked for.
        asked: u64,
        /// Bytes free.
        free: u64,
        /// Who counted them: a memory cgroup, the system's memory, a filesystem.
        source_name: String,
    },
    /// Huge pages were required and cannot be had.
    #[error(
        "no huge pages for {asked} bytes: {reason}; reserve some (vm.nr_hugepages) or use HugePages::Try to go on \
         without"
    )]
    NoHugePages {
        /// Bytes asked for.
        asked: u64,
        /// What each way to get them answered.
        reason: String,
    },
    /// There is no such NUMA node, or this process may not use its memory.
    #[error("cannot place pages on NUMA node {node}: this process may use the nodes {allowed:?}")]
    Node {
        /// The node asked for.
        node: u32,
        /// Those there are.
        allowed: Vec<u32>,
    },
    /// A limit of this process or of the system stands in the way.
    #[error("cannot make {asked} bytes of shared memory: {which} is {limit}; raise it")]
    Limit {
        /// Which limit.
        which: LimitKind,
        /// Bytes asked for.
        asked: u64,
        /// The limit, in its own unit.
        limit: u64,
    },
    /// The system refuses the call to this process (a container's filter, or file permissions).
    #[error(
        "the system refuses {call} to this process ({source}); a container's seccomp profile may deny it"
    )]
    Permission {
        /// The system call.
        call: &'static str,
        /// What the kernel said.
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
    /// The filesystem cannot keep the promise that mapped pages stay.
    #[error("{path:?} lies on {kind}, where mapped memory can vanish; use a local disk or /dev/shm")]
    Filesystem {
        /// The file.
        path: PathBuf,
        /// Which kind of filesystem it is.
        kind: &'static str,
    },
    /// This process was forked from the one that made the shared memory, and does not have it.
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
        /// Bytes asked for.
        asked: u64,
        /// What the kernel said.
        source: io::Error,
    },
}

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
