//! Half-open index spans.

use std::ops::Range;

/// The indices `lo..hi` of a one-dimensional index space, in elements (or rows, for arrays of more
/// dimensions).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First index.
    pub lo: usize,
    /// One past the last index; never less than `lo`.
    pub hi: usize,
}

impl Span {
    /// Creates the span `lo..hi`; empty if `hi < lo`.
    pub const fn new(lo: usize, hi: usize) -> Span {
        Span { lo, hi: if hi < lo { lo } else { hi } }
    }

    /// Returns the number of indices.
    pub const fn len(self) -> usize {
        self.hi - self.lo
    }

    /// Returns true if the span is empty.
    pub const fn is_empty(self) -> bool {
        self.hi == self.lo
    }

    /// Returns the span as a standard range.
    pub const fn range(self) -> Range<usize> {
        self.lo..self.hi
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.lo, self.hi)
    }
}
