//! Why a map with a journal has no results.

use crate::task::error::TaskError;
use std::io;
use std::path::PathBuf;

/// Why a [`Journal`](crate::Journal) or a [map with a journal](crate::Tasks::journal) cannot continue. The
/// journal's contents are kept, whatever the error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// An item failed, or the map could not run.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The file cannot be opened, read or written.
    #[error("the journal {path:?} cannot be {doing}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed: "opened", "read", "written".
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The file holds something else; it is left as it is.
    #[error("{path:?} is not a journal, or its head is damaged; remove it, or give another name")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// Another call, of this program or another, is writing the file. Forked workers of a killed program
    /// hold it a moment longer than the program did.
    #[error("the journal {path:?} is in use by another call")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The journal belongs to another function, or to a job identified by a value of another type.
    #[error("the journal {path:?} is of {journal}, not of {call}; remove it to start again")]
    OtherFunction {
        /// The file.
        path: PathBuf,
        /// The journal's function, with the types of its argument and result.
        journal: String,
        /// The function of this call.
        call: String,
    },
    /// The journal was written by another build of the program.
    #[error(
        "the journal {path:?} was written by another build of this program, which may compute something else; \
         remove it to start again, or accept it by `any_build()`"
    )]
    OtherBuild {
        /// The file.
        path: PathBuf,
    },
    /// The journal belongs to other items, to the same items in another order, or to another job.
    #[error(
        "the journal {path:?} is of other values than this call ({journal} then, {call} now); remove it to start again"
    )]
    OtherItems {
        /// The file.
        path: PathBuf,
        /// How many items the journal is for.
        journal: u64,
        /// How many items the call has.
        call: u64,
    },
    /// A value cannot be written, because it contains a handle of a shared object or its type refuses; or
    /// the value in the file is of another type.
    #[error("{what} cannot be kept in a journal: {why}")]
    Value {
        /// Which value: "the result of item 3".
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

crate::base::debug_is_display!(JournalError);
