//! Why a region's rank could not go on.

/// What a rank of a region is told when the team cannot go on together; also what a body returns to fail of
/// its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
        /// What it does.
        mine: &'static str,
        /// Where in its source file.
        my_line: u32,
        /// The other rank.
        other: usize,
        /// What that does.
        theirs: &'static str,
        /// Where.
        their_line: u32,
    },
    /// Operands of a phase have different lengths.
    #[error("operands of one phase have {first} and {other} rows; split operands must agree")]
    Lengths {
        /// Rows of the first.
        first: usize,
        /// Rows of the one that disagrees.
        other: usize,
    },
    /// A halo is too wide for any memory.
    #[error("a halo of {k} rows on each side of an array of {rows} rows is larger than any memory")]
    Halo {
        /// Rows asked for on each side.
        k: usize,
        /// The array's rows.
        rows: usize,
    },
    /// The boundaries of a `split_at` operand make no sense.
    #[error(
        "the offsets of a split_at operand must ascend and stay inside the array of {rows} rows; n parts have n + 1 offsets"
    )]
    Offsets {
        /// Rows of the array.
        rows: usize,
    },
    /// A rank that does not exist.
    #[error("there is no rank {rank} in a team of {size}")]
    NoSuchRank {
        /// The rank asked for.
        rank: usize,
        /// The team's size.
        size: usize,
    },
    /// The body's own error.
    #[error("{0}")]
    Body(String),
}

impl RegionError {
    /// An error of the body's own, told to the caller of the region with this text.
    pub fn new(what: impl std::fmt::Display) -> RegionError {
        RegionError::Body(what.to_string())
    }
}
