//! What a region's body holds for an array: no access to data, only grants for a phase.
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape};
use crate::base::Span;
use crate::launch::grant::{Edge, Located};
use crate::launch::region::digest::ArrayName;
use crate::launch::region::phase::{PhaseHalo, PhaseMut, PhaseParts, PhasePartsMut, PhaseRef, PhaseWhole};
use std::marker::PhantomData;

/// The handle of an array that the region may write (`&mut array`). Not `Clone`; grants borrow it.
pub struct RegionMut<'w, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    pub(super) life: PhantomData<(&'w mut [T], *mut ())>,
}

/// The handle of an array that nobody writes during the region (`&array`).
pub struct RegionRef<'w, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    pub(super) life: PhantomData<(&'w [T], *mut ())>,
}

impl<T: Element, D: Shape> RegionMut<'_, T, D> {
    /// Rows of the array.
    pub fn rows(&self) -> usize {
        self.local.rows()
    }

    /// Grants this rank's rows for reading and writing.
    pub fn split_mut(&mut self) -> PhaseMut<'_, T, D> {
        PhaseMut { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants this rank's rows for reading.
    pub fn split(&self) -> PhaseRef<'_, T, D> {
        PhaseRef { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants the whole array for reading.
    pub fn whole(&self) -> PhaseWhole<'_, T, D> {
        PhaseWhole { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants this rank's parts for reading and writing: part `i` holds rows `offsets[i]..offsets[i + 1]`.
    ///
    /// Neighbouring parts come in one piece, as many to each rank, but for one. Other operands that are split
    /// in the same step must have as many rows as there are parts; `0..parts` tells which parts these are.
    /// Offsets must ascend, stay inside the array and be the same on all ranks, which is checked at the step.
    /// In [`Team::reduce_chunks`](crate::Team::reduce_chunks) the leaves are runs of parts.
    pub fn split_at_mut<'h>(&'h mut self, offsets: &'h [usize]) -> PhasePartsMut<'h, T, D> {
        PhasePartsMut { name: self.name, local: self.local.clone(), bounds: offsets, life: PhantomData }
    }

    /// Grants this rank's parts for reading; see [`Self::split_at_mut`].
    pub fn split_at<'h>(&'h self, offsets: &'h [usize]) -> PhaseParts<'h, T, D> {
        PhaseParts { name: self.name, local: self.local.clone(), bounds: offsets, life: PhantomData }
    }

    /// Grants this rank's rows and `k` on each side, for reading; see
    /// [`SharedArray::halo`](crate::SharedArray::halo).
    pub fn halo(&self, k: usize, edge: Edge<T>) -> PhaseHalo<'_, T, D> {
        PhaseHalo::new(self.name, self.local.clone(), k, edge)
    }
}

impl<'w, T: Element, D: Shape> RegionRef<'w, T, D> {
    /// Rows of the array.
    pub fn rows(&self) -> usize {
        self.local.rows()
    }

    /// The whole array, for as long as the region runs.
    #[allow(unsafe_code)]
    pub fn view(&self) -> D::View<'w, T> {
        // SAFETY: the region borrows the array shared, so nobody writes it before every rank has left.
        unsafe { D::view_rows(self.local.base, &self.local.dim, Span::new(0, self.local.rows())) }
    }

    /// Grants this rank's rows for reading.
    pub fn split(&self) -> PhaseRef<'_, T, D> {
        PhaseRef { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants the whole array for reading, as an operand of a phase.
    pub fn whole(&self) -> PhaseWhole<'_, T, D> {
        PhaseWhole { name: self.name, local: self.local.clone(), life: PhantomData }
    }

    /// Grants this rank's parts for reading; see [`RegionMut::split_at_mut`].
    pub fn split_at<'h>(&'h self, offsets: &'h [usize]) -> PhaseParts<'h, T, D> {
        PhaseParts { name: self.name, local: self.local.clone(), bounds: offsets, life: PhantomData }
    }

    /// Grants this rank's rows and `k` on each side, for reading; see
    /// [`SharedArray::halo`](crate::SharedArray::halo).
    pub fn halo(&self, k: usize, edge: Edge<T>) -> PhaseHalo<'_, T, D> {
        PhaseHalo::new(self.name, self.local.clone(), k, edge)
    }
}
