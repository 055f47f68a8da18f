//! Why a machine could not be described.

use super::cpuset::CpuSetError;
use std::path::PathBuf;

/// Why the shape of a machine could not be found out or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No libhwloc could be loaded.
    #[error("no libhwloc could be loaded ({reason}); install it (Debian: libhwloc15) or let /sys be read")]
    NoLibrary {
        /// What the dynamic loader said.
        reason: String,
    },
    /// A call of libhwloc failed.
    #[error("libhwloc's {call} failed: {reason}")]
    Library {
        /// The function.
        call: &'static str,
        /// The reason it gave.
        reason: String,
    },
    /// The text is not XML, or not a topology.
    #[error("this is not a topology as `lstopo --of xml` writes it: {reason}")]
    Xml {
        /// What was found.
        reason: String,
    },
    /// The XML is of a generation that is not read.
    #[error(
        "topology XML of version {found} is not read, only 2.x and 3.x; export it anew with hwloc 2 or later"
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
        /// The part at fault.
        part: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A list or a bitmap of CPUs is wrong.
    #[error("{place}: {source}")]
    Set {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        source: CpuSetError,
    },
    /// The description holds no PU.
    #[error("{place} describes a machine without a single PU")]
    NoPu {
        /// Which description.
        place: String,
    },
    /// The description is larger than any machine.
    #[error("{what}: more than {limit}; no machine is that large")]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// How many are read at most.
        limit: usize,
    },
    /// The description contradicts itself.
    #[error("the description of the machine contradicts itself: {what}")]
    Inconsistent {
        /// The contradiction.
        what: String,
    },
}
