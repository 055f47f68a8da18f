//! Why a profile cannot be read or written.

use std::io;
use std::path::PathBuf;

/// Why a [`Profile`](super::Profile) cannot be read, stored or removed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// There is no folder for it.
    #[error("there is no folder for profiles: set XDG_CACHE_HOME or HOME to an absolute path")]
    NoFolder,
    /// The system refused to read, write or remove it.
    #[error("cannot {what} {}: {error}; check the folder's rights and its room", path.display())]
    Io {
        /// What was tried: read, write or remove.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// What is there is no profile of this machine that this version can use. Pools ignore it.
    #[error("{} is not used: {why}; `phalanx-bench tune` writes it anew", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

crate::base::debug_is_display!(ProfileError);
