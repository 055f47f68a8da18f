//! Errors inside a region.

use crate::base::Output;
use std::error::Error;
use std::fmt::{self, Debug, Display};

/// Why a rank of a region cannot continue. A body also returns this type to report its own failure.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// Another rank died, panicked or failed.
    #[error("rank {by} left the team (it died, panicked or failed)")]
    Broken {
        /// The rank.
        by: usize,
    },
    /// Ranks made different steps.
    #[error(
        "ranks made different steps: rank {rank} is at {mine} (line {my_line}), rank {other} at {theirs} (line \
         {their_line}); every rank must call the same phases and collectives with the same operands in the same order"
    )]
    Disagree {
        /// This rank.
        rank: usize,
        /// The step this rank makes.
        mine: &'static str,
        /// Its line in the source file.
        my_line: u32,
        /// The other rank.
        other: usize,
        /// The step the other rank makes.
        theirs: &'static str,
        /// Its line in the source file.
        their_line: u32,
    },
    /// Operands of a phase have different lengths.
    #[error("operands of one phase have {first} and {other} rows; split operands must agree")]
    Lengths {
        /// Rows of the first operand.
        first: usize,
        /// Rows of the operand that differs.
        other: usize,
    },
    /// A halo is larger than any memory.
    #[error("a halo of {k} rows on each side of an array of {rows} rows is larger than any memory")]
    Halo {
        /// The requested number of rows on each side.
        k: usize,
        /// The array's rows.
        rows: usize,
    },
    /// The offsets of a `split_at` operand do not ascend, or leave the array.
    #[error(
        "the offsets of a split_at operand must ascend and stay inside the array of {rows} rows; n parts have n + 1 offsets"
    )]
    Offsets {
        /// Rows of the array.
        rows: usize,
    },
    /// The rank does not exist.
    #[error("there is no rank {rank} in a team of {size}")]
    NoSuchRank {
        /// The requested rank.
        rank: usize,
        /// The team's size.
        size: usize,
    },
    /// What a rank publishes does not fit the snapshot, or what the other ranks publish.
    #[error("cannot publish: {why}")]
    Publish {
        /// Why.
        why: String,
    },
    /// Ghost rows of an array over a cluster are stale, or there are too few of them, or they could not be
    /// exchanged.
    #[error("{why}")]
    Ghosts {
        /// Why.
        why: String,
    },
    /// An error of the body's own.
    #[error("{0}")]
    Body(String),
}

crate::base::debug_is_display!(RegionError);

impl RegionError {
    /// Returns an error of the body's own. The caller of the region receives its text.
    pub fn new(what: impl std::fmt::Display) -> RegionError {
        RegionError::Body(what.to_string())
    }
}

/// Why a body of [`Pool::try_region`](crate::Pool::try_region) cannot continue: a step of the region failed,
/// or the body has an error of its own.
///
/// `?` converts both kinds: what [`Team`](crate::Team) returns, and any serde type.
pub enum BodyError<E = Box<dyn Error + Send + Sync>> {
    /// A step of the region failed.
    Region(RegionError),
    /// The body's own error, which the caller of the region receives.
    Own(E),
}

impl<E> From<RegionError> for BodyError<E> {
    fn from(error: RegionError) -> BodyError<E> {
        BodyError::Region(error)
    }
}

impl<E: Output> From<E> for BodyError<E> {
    fn from(error: E) -> BodyError<E> {
        BodyError::Own(error)
    }
}

impl<E: Debug> Debug for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Region(error) => Display::fmt(error, f),
            BodyError::Own(error) => Debug::fmt(error, f),
        }
    }
}

impl<E: Display> Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Region(error) => Display::fmt(error, f),
            BodyError::Own(error) => Display::fmt(error, f),
        }
    }
}

impl<E: Debug + Display> Error for BodyError<E> {}
