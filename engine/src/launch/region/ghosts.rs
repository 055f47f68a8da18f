//! Ghost rows in a region: the halo of an array over a cluster, and what the driver must know to fill them.
//!
//! # Safety
//! The part holds the rows that are cut, `lead` rows before them and some after, which `PhaseGhostHalo::new`
//! checks. Views stay inside the part, and nobody writes it in the phase: the grant borrows the handle.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape};
use crate::base::Span;
use crate::launch::grant::{Located, Refusal};
use crate::launch::region::digest::{ArrayName, Frame};
use crate::launch::region::error::RegionError;
use crate::launch::region::handle::RegionMut;
use crate::launch::region::phase::{PhaseOperand, PhasePlan};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// An array with ghost rows that a region may write: where its memory is in the driver.
#[doc(hidden)]
#[derive(Debug)]
pub struct GhostRows {
    /// Segment and offset of the first row.
    pub(crate) key: [u64; 2],
    /// The whole array's shape.
    pub(crate) shape: Vec<usize>,
    pub(crate) row_bytes: usize,
    pub(crate) width: usize,
    /// The first of the driver's own rows, with `width` rows before them and after them.
    pub(crate) own: NonNull<u8>,
    pub(crate) own_bytes: usize,
}

/// This rank's rows and their neighbours, ghost rows among them, read-only. Returned by
/// [`RegionArray::halo`](crate::cluster::RegionArray::halo).
pub struct PhaseGhostHalo<'h, T, D> {
    name: ArrayName,
    part: Located<T, D>,
    lead: usize,
    len: usize,
    k: usize,
    refusal: Option<Refusal>,
    life: PhantomData<&'h T>,
}

impl<T: Element, D: Shape> RegionMut<'_, T, D> {
    /// Cuts `len` rows of `seen`, before which `lead` others stand, and shows `k` neighbours on each side where
    /// `seen` has them.
    pub(crate) fn ghost_halo(
        &self,
        seen: Span,
        (lead, len): (usize, usize),
        k: usize,
        refusal: Option<Refusal>,
    ) -> PhaseGhostHalo<'_, T, D> {
        let (name, part) = (self.name.of_rows(seen), self.local.range(seen));
        assert!(lead.checked_add(len).is_some_and(|end| end <= part.rows()), "the rows lie inside");
        PhaseGhostHalo { name, part, lead, len, k, refusal, life: PhantomData }
    }
}

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> PhaseOperand for PhaseGhostHalo<'_, T, D> {
    type View<'p> = D::View<'p, T>;
    fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError> {
        if let Some(refusal) = self.refusal {
            return Err(RegionError::Ghosts { why: refusal.to_string() });
        }
        plan.array(Frame::PhaseGhostHalo, self.name);
        plan.digest.frame(Frame::Halo, [self.lead, self.len, self.k].map(|n| n as u64).into_iter());
        let row_bytes = crate::array::row_elems(&self.part.dim).saturating_mul(size_of::<T>());
        plan.row_bytes = plan.row_bytes.max(row_bytes);
        plan.agree(self.len)
    }
    unsafe fn view<'p>(&self, span: Span) -> Self::View<'p> {
        let (lo, hi) = (self.lead.saturating_add(span.lo), self.lead.saturating_add(span.hi));
        let seen = Span::new(lo.saturating_sub(self.k), hi.saturating_add(self.k).min(self.part.rows()));
        // SAFETY: the span lies inside the rows that are cut, which lie inside the part; its neighbours are cut
        // off at the part's ends. Nobody writes the array in this phase, by the caller's word.
        unsafe { D::view_rows(self.part.base, &self.part.dim, seen) }
    }
}
