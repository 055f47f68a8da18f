//! Which rows of an array over a cluster are whose: a pure function of the array's length and the number of
//! drivers.
//!
//! Rows are dealt out in whole **leaves**. Where leaves begin and end follows from the length alone, so a
//! reduction that folds leaf by leaf adds up the same numbers in the same order on every number of drivers.
//! All leaves are of one length but the last, so that a driver's leaves are the chunks of a launch over its
//! rows with that chunk length.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;

/// Most leaves of an array: with 64 drivers, what one has more than another is a 32nd of its share at most.
const MOST_LEAVES: usize = 4096;

/// How the rows of an array of `len` are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) len: usize,
    /// Rows of a leaf; the last may have fewer. Never 0.
    pub(super) leaf_len: usize,
}

impl Rows {
    pub(super) fn new(len: usize) -> Rows {
        Rows { len, leaf_len: len.div_ceil(MOST_LEAVES).max(1) }
    }

    /// How many leaves there are. None without rows.
    pub(super) fn leaves(self) -> usize {
        self.len.div_ceil(self.leaf_len)
    }

    /// The rows of a leaf.
    #[cfg(test)]
    pub(super) fn leaf(self, leaf: usize) -> Span {
        self.rows_of(Span::new(leaf, leaf.saturating_add(1)))
    }

    /// The leaves of driver `me` of `size`: neighbouring ones, as many as another has or one more or less.
    pub(super) fn leaves_of(self, me: usize, size: usize) -> Span {
        let bound = |driver: usize| {
            let product = (self.leaves() as u128).saturating_mul(driver as u128);
            usize::try_from(product.checked_div(size as u128).unwrap_or(0)).unwrap_or(usize::MAX)
        };
        Span::new(bound(me), bound(me.saturating_add(1)))
    }

    /// The rows of driver `me` of `size`.
    pub(super) fn of(self, me: usize, size: usize) -> Span {
        self.rows_of(self.leaves_of(me, size))
    }

    fn rows_of(self, leaves: Span) -> Span {
        let bound = |leaf: usize| leaf.saturating_mul(self.leaf_len).min(self.len);
        Span::new(bound(leaves.lo), bound(leaves.hi))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_is_one_drivers_and_leaves_stay_whole(len in 0usize..1 << 40, size in 1usize..5000) {
            let rows = Rows::new(len);
            prop_assert!(rows.leaves() <= MOST_LEAVES);
            let (mut row, mut leaf) = (0, 0);
            for me in 0..size {
                let (own, leaves) = (rows.of(me, size), rows.leaves_of(me, size));
                prop_assert_eq!((own.lo, leaves.lo), (row, leaf));
                prop_assert!(own.lo == len || own.lo % rows.leaf_len == 0);
                prop_assert!(leaves.len().abs_diff(rows.leaves() / size) <= 1);
                (row, leaf) = (own.hi, leaves.hi);
            }
            prop_assert_eq!((row, leaf), (len, rows.leaves()));
        }

        #[test]
        fn leaves_are_the_chunks_of_each_drivers_rows(len in 1usize..100_000, size in 1usize..9) {
            let rows = Rows::new(len);
            for me in 0..size {
                let (own, leaves) = (rows.of(me, size), rows.leaves_of(me, size));
                let chunks = own.range().step_by(rows.leaf_len);
                let cut: Vec<Span> = chunks.map(|lo| Span::new(lo, own.hi.min(lo + rows.leaf_len))).collect();
                prop_assert_eq!(cut, leaves.range().map(|leaf| rows.leaf(leaf)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn short_arrays_have_a_leaf_for_each_row() {
        assert_eq!((Rows::new(0).leaves(), Rows::new(0).of(0, 3)), (0, Span::new(0, 0)));
        assert_eq!((0..3).map(|me| Rows::new(2).of(me, 3).len()).collect::<Vec<_>>(), [0, 1, 1]);
        assert_eq!((Rows::new(4096).leaf_len, Rows::new(4097).leaf_len), (1, 2));
        assert_eq!(Rows::new(4097).leaves(), 2049);
        assert_eq!(Rows::new(usize::MAX).of(0, 1), Span::new(0, usize::MAX));
    }
}
