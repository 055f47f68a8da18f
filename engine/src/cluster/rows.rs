//! Which rows of an array over a cluster are whose: a pure function of the array's length and the number of
//! drivers.
//!
//! Rows are dealt out in whole **leaves**. Where leaves begin and end follows from the length alone, so a
//! reduction that folds leaf by leaf adds up the same numbers in the same order on every number of drivers.
//! All leaves are of one length but the last, so that a driver's leaves are the chunks of a launch over its
//! rows with that chunk length.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
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

/// What lies on one side of a driver's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The rows of another driver.
    Driver(usize),
    /// Those of this driver: it is the only one that has some, and the ring is closed.
    Me,
    /// Nothing: it is an end of the whole array.
    End,
    /// The driver has no rows.
    Nobody,
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

    /// What lies before driver `me`'s rows and what after them. `wraps` closes the ring.
    pub(super) fn sides(self, me: usize, size: usize, wraps: bool) -> [Side; 2] {
        let has_rows = |driver: &usize| !self.of(*driver, size).is_empty();
        if !has_rows(&me) {
            return [Side::Nobody; 2];
        }
        let next = me.saturating_add(1);
        let round = |driver: Option<usize>| match driver {
            _ if !wraps => Side::End,
            Some(driver) if driver != me => Side::Driver(driver),
            _ => Side::Me,
        };
        let before = (0..me).rev().find(has_rows).map(Side::Driver);
        let after = (next..size).find(has_rows).map(Side::Driver);
        [
            before.unwrap_or_else(|| round((0..size).rev().find(has_rows))),
            after.unwrap_or_else(|| round((0..size).find(has_rows))),
        ]
    }

    /// Whether every driver that has rows has as many as its neighbours want for ghost rows.
    pub(super) fn check(self, ghosts: usize, size: usize) -> Result<(), ClusterError> {
        if ghosts < 2 || self.len == 0 {
            return Ok(());
        }
        let shares = (0..size).map(|driver| (driver, self.of(driver, size).len()));
        match shares.filter(|(_, rows)| (1..ghosts).contains(rows)).min_by_key(|(_, rows)| *rows) {
            Some((driver, rows)) => Err(ClusterError::Ghosts { ghosts, driver, rows }),
            None => Ok(()),
        }
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
    fn neighbours_are_the_nearest_that_have_rows() {
        let [nobody, end, me] = [Side::Nobody, Side::End, Side::Me];
        let sides = |len: usize, size: usize, wraps: bool| -> Vec<[Side; 2]> {
            (0..size).map(|me| Rows::new(len).sides(me, size, wraps)).collect()
        };
        let at = Side::Driver;
        assert_eq!(sides(9, 1, false), [[end, end]]);
        assert_eq!(sides(9, 1, true), [[me, me]]);
        assert_eq!(sides(9, 2, false), [[end, at(1)], [at(0), end]]);
        assert_eq!(sides(9, 2, true), [[at(1), at(1)], [at(0), at(0)]]);
        assert_eq!(sides(9, 3, true), [[at(2), at(1)], [at(0), at(2)], [at(1), at(0)]]);
        // Drivers 2 and 4 of 5 have the two rows; of 3, the last has the only one.
        assert_eq!(sides(2, 5, true), [[nobody; 2], [nobody; 2], [at(4); 2], [nobody; 2], [at(2); 2]]);
        assert_eq!(sides(1, 3, true), [[nobody; 2], [nobody; 2], [me, me]]);
        assert_eq!(sides(0, 2, true), [[nobody; 2]; 2]);
    }

    #[test]
    fn ghost_rows_come_from_the_nearest_neighbour_alone() {
        let check = |len: usize, ghosts: usize, size: usize| {
            Rows::new(len).check(ghosts, size).map_err(|e| e.to_string())
        };
        assert_eq!(check(2, 1, 5), Ok(()));
        assert_eq!(check(6, 2, 3), Ok(()));
        assert_eq!(check(0, 7, 3), Ok(()));
        let error = check(7, 3, 3).unwrap_err();
        assert!(error.starts_with("3 ghost rows are more than the 2 rows of driver 0"), "{error}");
        assert!(check(2, 3, 1).is_err());
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
