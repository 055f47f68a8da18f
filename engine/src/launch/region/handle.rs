//! What a region's body holds for an array: no access to data, only the means to grant it in a phase.
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape, rows_of};
use crate::base::Span;
use crate::launch::grant::{Edge, Located};
use crate::launch::region::digest::ArrayName;
use crate::launch::region::phase::{PhaseHalo, PhaseMut, PhaseParts, PhasePartsMut, PhaseRef, PhaseWhole};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::RangeBounds;

/// The handle of an array that the region may write (`&mut array`). Not `Clone`, since grants borrow it.
pub struct RegionMut<'w, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    /// Memory for the copies of halos, kept from phase to phase.
    pub(super) spare: Cell<Vec<T>>,
    pub(super) life: PhantomData<(&'w mut [T], *mut ())>,
}

/// A range of rows of an array, for writing them in a phase. Returned by [`RegionMut::range_mut`].
pub struct RegionRangeMut<'h, T, D> {
    name: ArrayName,
    local: Located<T, D>,
    life: PhantomData<(&'h mut [T], *mut ())>,
}

/// A range of rows of an array, for reading them in a phase. Returned by [`RegionMut::range`] and
/// [`RegionRef::range`].
pub struct RegionRange<'h, T, D> {
    name: ArrayName,
    local: Located<T, D>,
    spare: &'h Cell<Vec<T>>,
    life: PhantomData<(&'h [T], *mut ())>,
}

/// The handle of an array that is read-only during the region (`&array`).
pub struct RegionRef<'w, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    /// Memory for the copies of halos, kept from phase to phase.
    pub(super) spare: Cell<Vec<T>>,
    pub(super) life: PhantomData<(&'w [T], *mut ())>,
}

impl<T: Element, D: Shape> RegionMut<'_, T, D> {
    /// Borrows a range of rows, for reading and writing them in a phase: `y.range_mut(1..n - 1).split_mut()`.
    /// All ranks must name the same range, which the step checks.
    ///
    /// # Panics
    /// If the range leaves the array or ends before it starts.
    #[track_caller]
    pub fn range_mut(&mut self, range: impl RangeBounds<usize>) -> RegionRangeMut<'_, T, D> {
        let span = rows_of(&range, &self.local.dim);
        RegionRangeMut { name: self.name.of_rows(span), local: self.local.range(span), life: PhantomData }
    }

    /// Borrows a range of rows, for reading them in a phase. See [`Self::range_mut`].
    ///
    /// # Panics
    /// Same as [`Self::range_mut`].
    #[track_caller]
    pub fn range(&self, range: impl RangeBounds<usize>) -> RegionRange<'_, T, D> {
        let span = rows_of(&range, &self.local.dim);
        RegionRange {
            name: self.name.of_rows(span),
            local: self.local.range(span),
            spare: &self.spare,
            life: PhantomData,
        }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.local.rows()
    }

    /// Grants read and write access to this rank's rows.
    pub fn split_mut(&mut self) -> PhaseMut<'_, T, D> {
        PhaseMut { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants read access to this rank's rows.
    pub fn split(&self) -> PhaseRef<'_, T, D> {
        PhaseRef { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants read access to the whole array.
    pub fn whole(&self) -> PhaseWhole<'_, T, D> {
        PhaseWhole { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants read and write access to this rank's parts. Part `i` holds rows `offsets[i]..offsets[i + 1]`.
    ///
    /// Each rank receives neighbouring parts in one piece; the numbers of parts differ by at most one between
    /// ranks. Other operands that are split in the same step must have as many rows as there are parts; an
    /// operand `0..parts` shows the rank which parts it has. Offsets must ascend, stay inside the array and
    /// be the same on all ranks, which the step checks. In
    /// [`Team::reduce_chunks`](crate::Team::reduce_chunks), leaves are runs of parts.
    pub fn split_at_mut<'h>(&'h mut self, offsets: &'h [usize]) -> PhasePartsMut<'h, T, D> {
        PhasePartsMut { name: self.name, local: self.local.clone(), bounds: offsets, life: PhantomData }
    }

    /// Grants read access to this rank's parts. See [`Self::split_at_mut`].
    pub fn split_at<'h>(&'h self, offsets: &'h [usize]) -> PhaseParts<'h, T, D> {
        PhaseParts { name: self.name, local: self.local.clone(), bounds: offsets, life: PhantomData }
    }

    /// Grants read access to this rank's rows and to `k` rows on each side. See
    /// [`SharedArray::halo`](crate::SharedArray::halo).
    pub fn halo(&self, k: usize, edge: Edge<T>) -> PhaseHalo<'_, T, D> {
        PhaseHalo::new(self.name, self.local.clone(), k, edge, &self.spare)
    }
}

impl<'h, T: Element, D: Shape> RegionRangeMut<'h, T, D> {
    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.local.rows()
    }

    /// Grants read and write access to this rank's part of these rows.
    pub fn split_mut(self) -> PhaseMut<'h, T, D> {
        PhaseMut { name: self.name, local: self.local, life: PhantomData }
    }

    /// Grants read and write access to this rank's parts of these rows. See [`RegionMut::split_at_mut`].
    pub fn split_at_mut(self, offsets: &'h [usize]) -> PhasePartsMut<'h, T, D> {
        PhasePartsMut { name: self.name, local: self.local, bounds: offsets, life: PhantomData }
    }
}

impl<'h, T: Element, D: Shape> RegionRange<'h, T, D> {
    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.local.rows()
    }

    /// Grants read access to this rank's part of these rows.
    pub fn split(&self) -> PhaseRef<'h, T, D> {
        PhaseRef { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants read access to all of these rows.
    pub fn whole(&self) -> PhaseWhole<'h, T, D> {
        PhaseWhole { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants read access to this rank's parts of these rows. See [`RegionMut::split_at_mut`].
    pub fn split_at(&self, offsets: &'h [usize]) -> PhaseParts<'h, T, D> {
        PhaseParts { name: self.name, local: self.local.clone(), bounds: offsets, life: PhantomData }
    }

    /// Grants read access to this rank's part of these rows and to `k` rows on each side, where these rows
    /// have them. See [`SharedArray::halo`](crate::SharedArray::halo).
    pub fn halo(&self, k: usize, edge: Edge<T>) -> PhaseHalo<'h, T, D> {
        PhaseHalo::new(self.name, self.local.clone(), k, edge, self.spare)
    }
}

impl<'w, T: Element, D: Shape> RegionRef<'w, T, D> {
    /// Borrows a range of rows, for reading them in a phase. See [`RegionMut::range_mut`].
    ///
    /// # Panics
    /// Same as [`RegionMut::range_mut`].
    #[track_caller]
    pub fn range(&self, range: impl RangeBounds<usize>) -> RegionRange<'_, T, D> {
        let span = rows_of(&range, &self.local.dim);
        RegionRange {
            name: self.name.of_rows(span),
            local: self.local.range(span),
            spare: &self.spare,
            life: PhantomData,
        }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.local.rows()
    }

    /// Returns a view of the whole array for as long as the region runs.
    #[allow(unsafe_code)]
    pub fn view(&self) -> D::View<'w, T> {
        // SAFETY: the region borrows the array shared, so nobody writes it before every rank has left.
        unsafe { D::view_rows(self.local.base, &self.local.dim, Span::new(0, self.local.rows())) }
    }

    /// Grants read access to this rank's rows.
    pub fn split(&self) -> PhaseRef<'_, T, D> {
        PhaseRef { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants read access to the whole array, as an operand of a phase.
    pub fn whole(&self) -> PhaseWhole<'_, T, D> {
        PhaseWhole { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants read access to this rank's parts. See [`RegionMut::split_at_mut`].
    pub fn split_at<'h>(&'h self, offsets: &'h [usize]) -> PhaseParts<'h, T, D> {
        PhaseParts { name: self.name, local: self.local.clone(), bounds: offsets, life: PhantomData }
    }

    /// Grants read access to this rank's rows and to `k` rows on each side. See
    /// [`SharedArray::halo`](crate::SharedArray::halo).
    pub fn halo(&self, k: usize, edge: Edge<T>) -> PhaseHalo<'_, T, D> {
        PhaseHalo::new(self.name, self.local.clone(), k, edge, &self.spare)
    }
}
