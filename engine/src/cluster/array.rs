//! [`ClusterArray`]: an array whose rows are dealt out to all drivers.
//!
//! Each driver has its rows, and room for its neighbours' nearest rows on both sides, in one array of its own
//! pool. Front rows that nobody uses make the driver's own rows begin at a cache line.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::member::Cluster;
use super::rows::Rows;
use crate::array::{Element, RangeRef, RangeRefMut, Shape, SharedArray, row_elems, rows, rows_of};
use crate::base::Span;
use crate::code::NoCapture;
use crate::launch::Val;
use crate::launch::grant::{GhostHalo, Refusal, Split, SplitMut, SplitOut};
use crate::pool::Pool;
use ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension, Ix1};
use std::ops::{Range, RangeBounds};
use std::panic::Location;

const LINE_BYTES: usize = 64;

/// An array over all drivers of a cluster. Made by [`Cluster::zeros`] and its kin, or read from a file by
/// [`Cluster::load_npy`].
///
/// Rows, the units of axis 0, are dealt out in order: each driver has neighbouring ones ([`Self::my_rows`]),
/// nearly as many as another. Grants give the rows of this driver to its pool's workers; kernels are those for
/// [`SharedArray`](crate::SharedArray). Row numbers are those of the whole array everywhere.
///
/// With **ghost rows** a driver also has copies of its neighbours' nearest rows, which
/// [`Cluster::exchange`] brings. Once the rows may have been written, the copies count as stale: a launch with
/// [`halo`](Self::halo) is refused until the next exchange.
///
/// ```
/// use phalanx::{Edge, cluster};
///
/// # fn main() -> Result<(), phalanx::Error> {
/// cluster::run(|cluster| {
///     let pool = cluster.pool()?;
///     let u = &mut cluster.from_fn(&pool, (300, 200), 1, |(i, j)| (i * j) as f64)?;
///     let mut mean = cluster.zeros::<f64, _>(&pool, (300, 200), 0)?;
///     cluster.exchange(&mut *u, Edge::Clamp)?;
///     pool.for_each((mean.split_out(), u.halo(1)), |(mut mean, u)| {
///         for (i, mut mean) in mean.rows_mut().into_iter().enumerate() {
///             mean.assign(&((&u.row(i) + &u.row(i + 1) + &u.row(i + 2)) / 3.0));
///         }
///     })?;
///     let first = mean.my_rows().start;
///     assert!(mean.my_rows().all(|i| i == 0 || i == 299 || mean.view()[[i - first, 7]] == 7.0 * i as f64));
///     Ok(())
/// })
/// # }
/// ```
pub struct ClusterArray<T, D = Ix1> {
    /// Front rows, ghost rows, this driver's rows, ghost rows.
    pub(super) storage: SharedArray<T, D>,
    /// Rows of the storage before this driver's.
    pub(super) front: usize,
    /// Ghost rows on each side.
    pub(super) width: usize,
    pub(super) dim: D,
    pub(super) own: Span,
    pub(super) ghosts: Ghosts,
    /// Whether there is no other driver.
    pub(super) is_alone: bool,
}

/// What the ghost rows are worth.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ghosts {
    /// They are older than the rows, which were granted for writing there.
    Stale(&'static Location<'static>),
    /// So many of them on each side hold what lies beyond.
    Fresh { before: usize, after: usize },
}

impl Cluster {
    /// Creates an array of zeros over all drivers. `shape` is that of the whole array; each driver also gets
    /// `ghosts` ghost rows on each side.
    ///
    /// This driver's rows are allocated as by [`Pool::zeros_nd`]. No message is sent, but arrays that are used
    /// together must be made alike on all drivers.
    ///
    /// # Errors
    /// - As for [`Pool::zeros`].
    /// - [`ClusterError::Ghosts`] if some driver has fewer rows than its neighbours want for ghost rows;
    ///   [`ClusterError::NoAxes`] if there is no axis 0. All drivers have the same error.
    #[track_caller]
    pub fn zeros<T: Element, I: IntoDimension>(
        &self,
        pool: &Pool,
        shape: I,
        ghosts: usize,
    ) -> Result<ClusterArray<T, I::Dim>, crate::Error>
    where
        I::Dim: Shape,
    {
        let dim = shape.into_dimension();
        if dim.ndim() == 0 {
            return Err(ClusterError::NoAxes.into());
        }
        let dealt = Rows::new(rows(&dim));
        dealt.check(ghosts, self.size())?;
        let own = dealt.of(self.me(), self.size());
        let row_bytes = row_elems(&dim).saturating_mul(size_of::<T>());
        let front = front_rows(ghosts, row_bytes);
        let mut local = dim.clone();
        local.slice_mut()[0] = own.len().saturating_add(front).saturating_add(ghosts);
        let storage = pool.zeros_nd(local)?;
        let ghosts_are = Ghosts::Stale(Location::caller());
        let is_alone = self.size() == 1;
        Ok(ClusterArray { storage, front, width: ghosts, dim, own, ghosts: ghosts_are, is_alone })
    }

    /// Creates an array over all drivers, all of whose elements are `value`. See [`Self::zeros`].
    ///
    /// # Errors
    /// As for [`Self::zeros`].
    #[track_caller]
    pub fn full<T: Element, I: IntoDimension>(
        &self,
        pool: &Pool,
        shape: I,
        ghosts: usize,
        value: T,
    ) -> Result<ClusterArray<T, I::Dim>, crate::Error>
    where
        I::Dim: Shape,
    {
        let mut array = self.zeros(pool, shape, ghosts)?;
        pool.for_each((array.split_out(), Val(value)), |(rows, value)| {
            <I::Dim as Shape>::elements_mut(rows).fill(value);
        })?;
        Ok(array)
    }

    /// Creates an array over all drivers from a function of the index in the whole array: a number in one
    /// dimension, a tuple in more. The workers compute it. See [`Self::zeros`].
    ///
    /// # Errors
    /// As for [`Self::zeros`]; a panic of `f` is reported as [`Error::Launch`](crate::Error::Launch).
    #[track_caller]
    pub fn from_fn<T: Element, I, F>(
        &self,
        pool: &Pool,
        shape: I,
        ghosts: usize,
        f: F,
    ) -> Result<ClusterArray<T, I::Dim>, crate::Error>
    where
        I: IntoDimension,
        I::Dim: Shape,
        F: Fn(<I::Dim as Dimension>::Pattern) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<F>::OK };
        let mut array = self.zeros(pool, shape, ghosts)?;
        let first = array.own.lo;
        pool.with(first).fill_with(array.split_out(), move |index, first| {
            let mut index = index.into_dimension();
            // No wrap: the index of an element of the array.
            let row = index.slice()[0].wrapping_add(first);
            index.slice_mut()[0] = row;
            f(index.into_pattern())
        })?;
        Ok(array)
    }
}

impl<T: Element, D: Shape> ClusterArray<T, D> {
    /// Returns the length of each axis of the whole array.
    pub fn shape(&self) -> &[usize] {
        self.dim.slice()
    }

    /// Returns the number of elements of the whole array.
    pub fn len(&self) -> usize {
        self.dim.size()
    }

    /// Returns true if the whole array has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of ghost rows on each side.
    pub fn ghosts(&self) -> usize {
        self.width
    }

    /// Returns which rows of the whole array this driver has. As an operand it tells a kernel which rows its
    /// chunk is, beside [`split`](Self::split) and its kin.
    pub fn my_rows(&self) -> Range<usize> {
        self.own.range()
    }

    /// Returns those of this driver's rows whose `k` neighbours on each side are this driver's, too: what can
    /// be computed while ghost rows are under way.
    pub fn inner_rows(&self, k: usize) -> Range<usize> {
        inner(self.own, k).range()
    }

    /// Returns those of this driver's rows that are not among [`inner_rows`](Self::inner_rows): the first few
    /// and the last few.
    pub fn outer_rows(&self, k: usize) -> [Range<usize>; 2] {
        let inner = inner(self.own, k);
        [self.own.lo..inner.lo, inner.hi..self.own.hi]
    }

    /// Borrows this driver's rows for reading, with every reading grant.
    pub fn mine(&self) -> RangeRef<'_, T, D> {
        RangeRef::of(&self.storage).range(self.stored(self.own))
    }

    /// Borrows this driver's rows for writing, with every writing grant. Ghost rows are stale from now on.
    #[track_caller]
    pub fn mine_mut(&mut self) -> RangeRefMut<'_, T, D> {
        let stored = self.stored(self.own);
        self.ghosts = Ghosts::Stale(Location::caller());
        RangeRefMut::of(&mut self.storage).range_mut(stored)
    }

    /// Borrows some of this driver's rows for reading; the range is one of the whole array's rows.
    ///
    /// # Panics
    /// If a row is not this driver's, or the range ends before it starts.
    #[track_caller]
    pub fn range(&self, range: impl RangeBounds<usize>) -> RangeRef<'_, T, D> {
        let stored = self.stored(self.among_mine(&range));
        RangeRef::of(&self.storage).range(stored)
    }

    /// Borrows some of this driver's rows for writing; the range is one of the whole array's rows. Ghost rows
    /// are stale from now on.
    ///
    /// # Panics
    /// Same as [`range`](Self::range).
    #[track_caller]
    pub fn range_mut(&mut self, range: impl RangeBounds<usize>) -> RangeRefMut<'_, T, D> {
        let stored = self.stored(self.among_mine(&range));
        self.ghosts = Ghosts::Stale(Location::caller());
        RangeRefMut::of(&mut self.storage).range_mut(stored)
    }

    /// Grants each kernel call read access to its chunk of this driver's rows. See
    /// [`SharedArray::split`](crate::SharedArray::split).
    pub fn split(&self) -> Split<'_, T, D> {
        self.mine().split()
    }

    /// Grants each kernel call read and write access to its chunk of this driver's rows. See
    /// [`SharedArray::split_mut`](crate::SharedArray::split_mut).
    #[track_caller]
    pub fn split_mut(&mut self) -> SplitMut<'_, T, D> {
        self.mine_mut().split_mut()
    }

    /// Grants each kernel call write access to its chunk of this driver's rows. See
    /// [`SharedArray::split_out`](crate::SharedArray::split_out).
    #[track_caller]
    pub fn split_out(&mut self) -> SplitOut<'_, T, D> {
        self.mine_mut().split_out()
    }

    /// Grants each kernel call read access to its chunk of this driver's rows and to `k` rows on each side of
    /// it, ghost rows among them: row `i` of the chunk is row `i + k` of the view. Nothing is copied.
    ///
    /// After an exchange with [`Edge::Shrink`](crate::Edge::Shrink) nothing lies beyond the ends of the whole
    /// array: the view of its first chunk starts at row 0, and that of its last ends at the last row.
    ///
    /// A launch fails with [`LaunchError::StaleGhosts`](crate::LaunchError::StaleGhosts) if the rows may have
    /// been written since the last [`exchange`](Cluster::exchange), and with
    /// [`LaunchError::BadGrant`](crate::LaunchError::BadGrant) if the array has fewer than `k` ghost rows.
    pub fn halo(&self, k: usize) -> GhostHalo<'_, T, D> {
        self.halo_of(self.own, k)
    }

    /// Same as [`halo`](Self::halo), for some of this driver's rows.
    ///
    /// # Panics
    /// Same as [`range`](Self::range).
    #[track_caller]
    pub fn halo_range(&self, range: impl RangeBounds<usize>, k: usize) -> GhostHalo<'_, T, D> {
        self.halo_of(self.among_mine(&range), k)
    }

    fn halo_of(&self, span: Span, k: usize) -> GhostHalo<'_, T, D> {
        let all = RangeRef::of(&self.storage);
        match self.ghosts {
            _ if k > self.width => GhostHalo::refused(all, Refusal::Narrow { k, width: self.width }),
            Ghosts::Stale(site) if k > 0 => GhostHalo::refused(all, Refusal::Stale(site)),
            Ghosts::Stale(_) => GhostHalo::new(all.range(self.stored(span)), 0, span.len(), 0),
            Ghosts::Fresh { before, after } => {
                let stored = self.stored(self.own);
                let seen =
                    stored.start.saturating_sub(before.min(k))..stored.end.saturating_add(after.min(k));
                let lead = self.stored(span).start.saturating_sub(seen.start);
                GhostHalo::new(all.range(seen), lead, span.len(), k)
            }
        }
    }

    /// Returns an ndarray view of this driver's rows.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        self.mine().view()
    }

    /// Returns a mutable ndarray view of this driver's rows. Ghost rows are stale from now on.
    #[track_caller]
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T, D> {
        self.mine_mut().into_view_mut()
    }

    /// Where rows of this driver lie in its storage.
    pub(super) fn stored(&self, rows: Span) -> Range<usize> {
        // No wrap: places in the storage.
        let at = |row: usize| row.wrapping_sub(self.own.lo).wrapping_add(self.front);
        at(rows.lo)..at(rows.hi)
    }

    /// A range of the whole array's rows, if all are this driver's.
    #[track_caller]
    fn among_mine(&self, range: &impl RangeBounds<usize>) -> Span {
        let span = rows_of(range, &self.dim);
        let (lo, hi) = (self.own.lo, self.own.hi);
        assert!(
            span.is_empty() || (lo <= span.lo && span.hi <= hi),
            "rows {span} are not all this driver's, which has {lo}..{hi}"
        );
        // An empty range may be anywhere.
        if span.is_empty() { Span::new(lo, lo) } else { span }
    }
}

impl<T, D: Dimension> std::fmt::Debug for ClusterArray<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, shape) = (std::any::type_name::<T>(), self.dim.slice());
        write!(f, "ClusterArray<{name}>({shape:?}, rows {} here)", self.own)
    }
}

/// The rows that have `k` others of the span on each side.
pub(super) fn inner(own: Span, k: usize) -> Span {
    let lo = own.lo.saturating_add(k).min(own.hi);
    Span::new(lo, own.hi.saturating_sub(k).max(lo))
}

/// Rows before a driver's own: at least the ghost rows, and as many more as make the own rows begin at a line.
fn front_rows(ghosts: usize, row_bytes: usize) -> usize {
    let begins_at_line = |rows: &usize| rows.wrapping_mul(row_bytes).is_multiple_of(LINE_BYTES);
    match ghosts {
        0 => 0,
        _ => (ghosts..=ghosts.saturating_add(LINE_BYTES)).find(begins_at_line).unwrap_or(ghosts),
    }
}
