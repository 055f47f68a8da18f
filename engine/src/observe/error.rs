//! Why a program cannot be observed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;

/// Why a program cannot be observed from outside.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// There is no such process.
    #[error("there is no process {pid}, or it has ended")]
    NoProcess {
        /// Its number.
        pid: u32,
    },
    /// The process has no pool with workers now.
    #[error("process {pid} has no Phalanx pool: it has none yet, or none any more, or only inline ones")]
    NoPool {
        /// Its number.
        pid: u32,
    },
    /// The kernel does not allow this user to look at the process.
    #[error(
        "process {pid} belongs to user {owner}, or does not let itself be looked at; observe it as the user that runs it"
    )]
    Denied {
        /// Its number.
        pid: u32,
        /// The number of its user.
        owner: u32,
    },
    /// The process runs another version of Phalanx, with another memory layout.
    #[error(
        "process {pid} runs another Phalanx ({theirs}, layout {layout:x}) than this program ({ours}); observe it by a program built with the same version"
    )]
    OtherBuild {
        /// Its number.
        pid: u32,
        /// The version there.
        theirs: String,
        /// A hash of the layout there.
        layout: u64,
        /// The version here.
        ours: &'static str,
    },
    /// The process's words contradict each other.
    #[error("what process {pid} shows of its pool is damaged: {what}")]
    Damaged {
        /// Its number.
        pid: u32,
        /// The contradiction.
        what: &'static str,
    },
    /// The pool or its program has ended since it was found.
    #[error("the pool of process {pid} has ended")]
    Ended {
        /// Its number.
        pid: u32,
    },
    /// Reading failed.
    #[error("process {pid} cannot be observed: {source}")]
    Io {
        /// Its number.
        pid: u32,
        /// The error.
        source: io::Error,
    },
}

crate::base::debug_is_display!(ObserveError);

impl ObserveError {
    /// Why a process cannot be looked at, from the error of reading what /proc has of it.
    pub(super) fn of_reading(pid: u32, error: io::Error) -> ObserveError {
        match error.kind() {
            ErrorKind::NotFound => ObserveError::NoProcess { pid },
            ErrorKind::PermissionDenied => match fs::metadata(format!("/proc/{pid}")) {
                Ok(found) => ObserveError::Denied { pid, owner: found.uid() },
                Err(_) => ObserveError::NoProcess { pid },
            },
            _ if error.raw_os_error() == Some(libc::ESRCH) => ObserveError::NoProcess { pid },
            _ => ObserveError::Io { pid, source: error },
        }
    }
}
