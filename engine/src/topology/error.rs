//! Why a machine could not be described.

use super::cpuset::CpuSetError;
use std::path::PathBuf;

/// The topology of a machine could not be detected or read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error from the system.
        source: std::io::Error,
    },
    /// No libhwloc could be loaded.
    #[error("no libhwloc could be loaded ({reason}); install it (Debian: libhwloc15) or let /sys be read")]
    NoLibrary {
        /// The error from the dynamic loader.
        reason: String,
    },
    /// A call of libhwloc failed.
    #[error("libhwloc's {call} failed: {reason}")]
    Library {
        /// The function.
        call: &'static str,
        /// The reason reported by libhwloc.
        reason: String,
    },
    /// The text is not XML, or not a topology.
    #[error("this is not a topology as `lstopo --of xml` writes it: {reason}")]
    Xml {
        /// What is wrong.
        reason: String,
    },
    /// The XML is of a generation that is not read.
    #[error(
        "topology XML of version {found} is not read, only 2.x and 3.x; export it again with hwloc 2 or later"
    )]
    Version {
        /// The version found.
        found: String,
    },
    /// A synthetic description is wrong.
    #[error(
        "synthetic topology: {reason} at '{part}'; write for example 'package:2 numa:1 l3:1 core:4 pu:2'"
    )]
    Synthetic {
        /// The invalid part.
        part: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A list or a bitmap of CPUs is wrong.
    #[error("{place}: {source}")]
    Set {
        /// Where the list is.
        place: String,
        /// What is wrong with it.
        source: CpuSetError,
    },
    /// The description contains no PU.
    #[error("{place} describes a machine without a single PU")]
    NoPu {
        /// The source of the description.
        place: String,
    },
    /// The description is too large for any machine.
    #[error("{what}: more than {limit}; no machine is that large")]
    TooLarge {
        /// The kind of object of which there are too many.
        what: &'static str,
        /// The largest number that is read.
        limit: usize,
    },
    /// The description contradicts itself.
    #[error("the description of the machine contradicts itself: {what}")]
    Inconsistent {
        /// The contradiction.
        what: String,
    },
}

crate::base::debug_is_display!(TopologyError);
