//! The base grid: how an index space is cut into chunks. Pure functions.
//!
//! The grid depends only on length, element sizes and an explicit chunk size, never on caches, team or
//! schedule. A reduction over it is therefore bit-identical on every machine.

#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

use crate::base::Span;

/// Bytes of the widest operand that a default chunk covers: large enough to make the cost of a chunk (about
/// 50 ns) negligible, small enough for a core's second-level cache.
const CHUNK_BYTES: usize = 256 << 10;
/// Smallest number of chunks that a short array is cut into, where its cache lines allow.
const FEWEST: usize = 64;
/// An array is cut at cache lines if that yields at least this many chunks. Of a shorter one, every element
/// may be much work (a file, a seed, a frame), so that every worker needs some.
const FEWEST_OF_LINES: usize = 16;
/// Largest number of chunks in a default grid.
const MOST: usize = 1 << 16;
const LINE_BYTES: usize = 64;
const PAGE_BYTES: usize = 4096;

/// Chunks of equal length (the last may be shorter) over `len` units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) len: usize,
    pub(crate) chunk_len: usize,
    pub(crate) chunks: usize,
}

impl Grid {
    /// Chunks of exactly `chunk_len` units.
    pub(crate) fn with_chunk(len: usize, chunk_len: usize) -> Grid {
        Grid { len, chunk_len: chunk_len.max(1), chunks: len.div_ceil(chunk_len.max(1)) }
    }

    /// A default grid for units whose widest operand has `unit_bytes` bytes per unit; 0 if there are no
    /// arrays.
    ///
    /// Boundaries fall on cache lines, or on pages for long arrays, so that no two workers write to the same
    /// line. Index ranges without an array, and arrays of a few lines, are cut into up to 64 chunks wherever
    /// that is.
    pub(crate) fn automatic(len: usize, unit_bytes: usize) -> Grid {
        let has_arrays = unit_bytes > 0;
        let unit_bytes = unit_bytes.max(1);
        let total = len.saturating_mul(unit_bytes);
        let bytes = CHUNK_BYTES.min(total.div_ceil(FEWEST)).max(total.div_ceil(MOST)).max(1);
        let raw = bytes.div_ceil(unit_bytes);
        let (page, line) = (without_gcd(PAGE_BYTES, unit_bytes), without_gcd(LINE_BYTES, unit_bytes));
        // Long units of odd sizes (rows of a matrix) would need many units to reach a boundary. Sharing one
        // line in thousands costs less than chunks too large to balance.
        let align = if page.saturating_mul(4) <= raw {
            page
        } else if line <= raw || unit_bytes < LINE_BYTES {
            line
        } else {
            1
        };
        let aligned = raw.next_multiple_of(align);
        let is_aligned = has_arrays && len.div_ceil(aligned) >= FEWEST_OF_LINES;
        Grid::with_chunk(len, if is_aligned { aligned } else { raw })
    }

    /// The units of chunk `index`.
    pub(crate) fn span(&self, index: usize) -> Span {
        let lo = index.saturating_mul(self.chunk_len).min(self.len);
        Span::new(lo, lo.saturating_add(self.chunk_len).min(self.len))
    }
}

/// The part of `0..count` that member `rank` of `size` owns. Sizes of parts differ by at most one.
pub(crate) fn block(count: usize, rank: usize, size: usize) -> Span {
    // This cannot wrap: the product of two 64-bit numbers fits, and a rank is below the size.
    let cut = |rank: usize| {
        let product = (count as u128).wrapping_mul(rank as u128);
        product.checked_div(size as u128).unwrap_or(0) as usize
    };
    Span::new(cut(rank), cut(rank.wrapping_add(1)))
}

/// `a` divided by its greatest common divisor with `b`: that many times `b` is a multiple of `a`.
fn without_gcd(a: usize, b: usize) -> usize {
    a.checked_div(gcd(a, b)).unwrap_or(1)
}

fn gcd(a: usize, b: usize) -> usize {
    a.checked_rem(b).map_or(a, |rest| gcd(b, rest))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_tile_the_index_space(len in 0usize..1 << 40, unit_bytes in 1usize..5000) {
            let grid = Grid::automatic(len, unit_bytes);
            prop_assert!(grid.chunks <= MOST);
            prop_assert_eq!(grid.chunks == 0, len == 0);
            if len > 0 {
                prop_assert_eq!(grid.span(0).lo, 0);
                prop_assert_eq!(grid.span(grid.chunks - 1).hi, len);
                prop_assert!(!grid.span(grid.chunks - 1).is_empty());
                let at_lines = (grid.chunk_len * unit_bytes).is_multiple_of(LINE_BYTES);
                let is_short = len.div_ceil(grid.chunk_len.next_multiple_of(LINE_BYTES)) < FEWEST_OF_LINES;
                prop_assert!(unit_bytes >= LINE_BYTES || is_short || at_lines);
            }
        }

        #[test]
        fn blocks_tile_the_chunks(count in 0usize..1 << 40, size in 1usize..500) {
            let mut end = 0;
            for rank in 0..size {
                let span = block(count, rank, size);
                prop_assert_eq!(span.lo, end);
                end = span.hi;
            }
            prop_assert_eq!(end, count);
        }
    }

    #[test]
    fn what_is_short_is_cut_into_single_units() {
        for len in 1..=64 {
            assert_eq!(Grid::automatic(len, 0).chunks, len, "a range of {len}");
            assert_eq!(Grid::automatic(len, 8).chunks, len, "an array of {len}");
        }
        assert_eq!(Grid::automatic(1000, 0).chunks, 63);
        assert_eq!(Grid::automatic(1 << 20, 0).chunks, 64);
    }

    #[test]
    fn long_arrays_get_chunks_of_whole_pages_and_short_ones_of_lines() {
        let long = Grid::automatic(1 << 27, 8);
        assert_eq!(long.chunk_len * 8, CHUNK_BYTES);
        let short = Grid::automatic(10_000, 8);
        assert!(short.chunks >= 60 && (short.chunk_len * 8).is_multiple_of(LINE_BYTES), "{short:?}");
        assert_eq!(Grid::automatic(128, 8).chunk_len, 8, "16 lines");
        let rows = Grid::automatic(1000, 40_004);
        assert!(rows.chunk_len < 16, "rows of odd length are not gathered to meet a page: {rows:?}");
    }
}
