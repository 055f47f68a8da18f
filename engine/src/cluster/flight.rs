//! [`InFlight`]: what of an array can be read while its ghost rows are under way.
#![deny(clippy::arithmetic_side_effects)]

use super::array::inner;
use crate::array::{Element, RangeRef, Shape, rows_of};
use crate::base::Span;
use crate::launch::grant::{GhostHalo, Refusal};
use std::ops::{Range, RangeBounds};

/// An array over a cluster while its ghost rows are under way: this driver's rows can be read, and nothing of
/// the array be written. Given by [`Cluster::exchange_while`](super::Cluster::exchange_while).
pub struct InFlight<'a, T, D> {
    own: RangeRef<'a, T, D>,
    rows: Span,
    /// Of the whole array.
    dim: &'a D,
}

impl<'a, T: Element, D: Shape> InFlight<'a, T, D> {
    pub(super) fn new(own: RangeRef<'a, T, D>, rows: Span, dim: &'a D) -> Self {
        InFlight { own, rows, dim }
    }

    /// Returns which rows of the whole array this driver has.
    pub fn my_rows(&self) -> Range<usize> {
        self.rows.range()
    }

    /// Returns those whose `k` neighbours on each side are this driver's, too. See
    /// [`ClusterArray::inner_rows`](super::ClusterArray::inner_rows).
    pub fn inner_rows(&self, k: usize) -> Range<usize> {
        inner(self.rows, k).range()
    }

    /// Returns this driver's rows, with every reading grant.
    pub fn mine(&self) -> RangeRef<'a, T, D> {
        self.own.clone()
    }

    /// Grants each kernel call read access to its chunk of these rows of the whole array and to `k` rows on
    /// each side of it. All of them must be this driver's, as those of [`inner_rows`](Self::inner_rows) are:
    /// a launch fails with [`LaunchError::BadGrant`](crate::LaunchError::BadGrant) if a ghost row is wanted.
    ///
    /// # Panics
    /// If the range leaves the whole array, or ends before it starts.
    #[track_caller]
    pub fn halo_range(&self, range: impl RangeBounds<usize>, k: usize) -> GhostHalo<'a, T, D> {
        let span = rows_of(&range, self.dim);
        if span.is_empty() {
            return GhostHalo::new(self.own.range(..0), 0, 0, k);
        }
        let has_before = span.lo.checked_sub(k).is_some_and(|lo| lo >= self.rows.lo);
        if !has_before || span.hi.checked_add(k).is_none_or(|hi| hi > self.rows.hi) {
            let Span { lo, hi } = span;
            return GhostHalo::refused(self.own.clone(), Refusal::UnderWay { lo, hi, k });
        }
        // No wrap: rows of this driver, as just found.
        let (lo, hi) = (span.lo.wrapping_sub(self.rows.lo), span.hi.wrapping_sub(self.rows.lo));
        GhostHalo::new(self.own.range(lo.saturating_sub(k)..hi.saturating_add(k)), k, span.len(), k)
    }
}
