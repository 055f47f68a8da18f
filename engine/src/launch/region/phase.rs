//! Operands of one phase.
//!
//! # Safety
//! Views are opened after all ranks have met with the same description ([`Team::phase`](super::Team::phase),
//! [`Team::reduce_chunks`](super::Team::reduce_chunks)), and closed before this rank arrives at the next
//! step: both borrow the team, and `for<'p>` keeps views inside the kernel. Writing views cover this rank's
//! span, or one of its leaves, only, and those of different ranks are disjoint. Reading views of a written
//! array and writing views of it cannot be in one phase: in one rank both borrow its handle, and ranks that
//! differ in this have different descriptions.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape};
use crate::base::{Span, up_to_eight};
use crate::launch::grant::{Edge, HaloLocal, Located};
use crate::launch::region::digest::{ArrayName, Digest, Frame};
use crate::launch::region::error::RegionError;
use crate::launch::region::step::packed;
use std::cell::Cell;
use std::marker::PhantomData;

/// The description of a phase, collected from its operands.
pub struct PhasePlan {
    pub(crate) digest: Digest,
    pub(crate) rows: Option<usize>,
    pub(crate) row_bytes: usize,
    /// Whether the rows are parts with given boundaries, each of which is one chunk.
    pub(crate) parts: bool,
}

impl PhasePlan {
    /// `digest` covers only the kind of step.
    pub(crate) fn new(digest: Digest) -> PhasePlan {
        PhasePlan { digest, rows: None, row_bytes: 1, parts: false }
    }

    /// The digest of the operands, and of everything that decides how they are cut into one span per rank.
    #[inline]
    pub(crate) fn sealed_by_ranks(&self) -> Digest {
        self.sealed([self.rows.unwrap_or(0)])
    }

    /// The digest of the operands, and of everything that decides how they are cut into leaves.
    /// `result_bytes` is the size of a leaf's result, which bounds the number of leaves.
    pub(crate) fn sealed_by_leaves(&self, result_bytes: usize) -> Digest {
        self.sealed([self.rows.unwrap_or(0), self.row_bytes, result_bytes])
    }

    #[inline]
    fn sealed<const N: usize>(&self, sizes: [usize; N]) -> Digest {
        let mut digest = self.digest;
        let frame = match (self.rows, self.parts) {
            (None, _) => Frame::Uncut,
            (Some(_), false) => Frame::Cut,
            (Some(_), true) => Frame::CutIntoParts,
        };
        digest.frame(frame, sizes.into_iter().map(|size| size as u64));
        digest
    }

    /// Adds an operand that is cut along its first axis.
    fn split<T, D: Shape>(
        &mut self,
        operand: Frame,
        name: ArrayName,
        local: &Located<T, D>,
    ) -> Result<(), RegionError>
    where
        T: Element,
    {
        self.array(operand, name);
        self.row_bytes =
            self.row_bytes.max(crate::array::row_elems(&local.dim).saturating_mul(size_of::<T>()));
        self.agree(local.rows())
    }

    /// Compares the rows of one more operand with those of the others.
    pub(super) fn agree(&mut self, rows: usize) -> Result<(), RegionError> {
        match self.rows {
            Some(first) if first != rows => Err(RegionError::Lengths { first, other: rows }),
            _ => {
                self.rows = Some(rows);
                Ok(())
            }
        }
    }

    pub(super) fn array(&mut self, operand: Frame, name: ArrayName) {
        self.digest.array(operand, name);
    }
}

/// An operand of a phase: grants of region handles, index ranges, and tuples of up to 8 of these.
///
/// # Safety
/// `describe` must report everything that the views of *other* ranks depend on: which array, whether it is
/// written, and what decides the spans. Views of disjoint spans must not alias mutably.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be opened in a phase",
    label = "not an operand of a phase",
    note = "phases open grants of the body's handles (`a.split()`, `a.split_mut()`, `a.split_at(&offsets)`, `a.split_at_mut(&offsets)`, `a.whole()`, `a.halo(k, edge)`), index ranges `0..n` and tuples of up to 8 of these; plain values may simply be captured"
)]
pub unsafe trait PhaseOperand {
    /// What the kernel receives.
    type View<'p>;
    #[doc(hidden)]
    fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError>;
    /// Opens rows `span`.
    ///
    /// # Safety
    /// `describe` has succeeded, and `span` lies inside the rows that all operands of the phase agree on. All
    /// ranks have met with the same description, and none meets again before the view is gone. No other rank
    /// receives an overlapping span, and the previous view of this operand is gone.
    #[doc(hidden)]
    unsafe fn view<'p>(&self, span: Span) -> Self::View<'p>;
}

/// This rank's rows, for reading and writing. Returned by
/// [`RegionMut::split_mut`](super::RegionMut::split_mut).
pub struct PhaseMut<'h, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    pub(super) life: PhantomData<&'h mut T>,
}

/// This rank's rows, read-only. Returned by `split` of a region's handle.
pub struct PhaseRef<'h, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    pub(super) life: PhantomData<&'h T>,
}

/// This rank's parts with given boundaries, for reading and writing. Returned by
/// [`RegionMut::split_at_mut`](super::RegionMut::split_at_mut).
pub struct PhasePartsMut<'h, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    pub(super) bounds: &'h [usize],
    pub(super) life: PhantomData<&'h mut T>,
}

/// This rank's parts with given boundaries, read-only. Returned by `split_at` of a region's handle.
pub struct PhaseParts<'h, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    pub(super) bounds: &'h [usize],
    pub(super) life: PhantomData<&'h T>,
}

/// All rows, read-only. Returned by `whole` of a region's handle.
pub struct PhaseWhole<'h, T, D> {
    pub(super) name: ArrayName,
    pub(super) local: Located<T, D>,
    pub(super) life: PhantomData<&'h T>,
}

/// This rank's rows and their neighbours, read-only. Returned by `halo` of a region's handle.
pub struct PhaseHalo<'h, T: Element, D: Shape> {
    name: ArrayName,
    rows: Located<T, D>,
    local: HaloLocal<T, D>,
    k: usize,
    edge: (u64, T),
    /// Where the array's handle keeps the memory of copies from phase to phase.
    spare: &'h Cell<Vec<T>>,
}

impl<'h, T: Element, D: Shape> PhaseHalo<'h, T, D> {
    pub(super) fn new(
        name: ArrayName,
        local: Located<T, D>,
        k: usize,
        edge: Edge<T>,
        spare: &'h Cell<Vec<T>>,
    ) -> Self {
        let edge = edge.to_wire();
        PhaseHalo {
            name,
            rows: local.clone(),
            local: HaloLocal::new(local, k, edge, spare.take()),
            k,
            edge,
            spare,
        }
    }
}

impl<T: Element, D: Shape> Drop for PhaseHalo<'_, T, D> {
    fn drop(&mut self) {
        self.spare.set(self.local.take_buffer());
    }
}

macro_rules! phase_operand {
    ($grant:ident, $view:ident, |$this:ident, $span:ident| $open:expr) => {
        // SAFETY: see the module.
        unsafe impl<T: Element, D: Shape> PhaseOperand for $grant<'_, T, D> {
            type View<'p> = D::$view<'p, T>;
            fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError> {
                plan.split(Frame::$grant, self.name, &self.local)
            }
            unsafe fn view<'p>(&self, span: Span) -> Self::View<'p> {
                let ($this, $span) = (self, span);
                // SAFETY: the span lies inside the array, whose rows all operands of the phase agree on; the
                // rest is the caller's word.
                unsafe { $open }
            }
        }
    };
}
phase_operand!(PhaseMut, ViewMut, |this, span| D::view_rows_mut(this.local.base, &this.local.dim, span));
phase_operand!(PhaseRef, View, |this, span| D::view_rows(this.local.base, &this.local.dim, span));

/// Adds parts to a plan, after checking that they ascend inside the array.
fn describe_parts<T: Element, D: Shape>(
    plan: &mut PhasePlan,
    operand: Frame,
    name: ArrayName,
    local: &Located<T, D>,
    bounds: &[usize],
) -> Result<(), RegionError> {
    let ascend = bounds.is_sorted() && bounds.last().is_some_and(|last| *last <= local.rows());
    let Some(parts) = bounds.len().checked_sub(1).filter(|_| ascend) else {
        return Err(RegionError::Offsets { rows: local.rows() });
    };
    plan.array(operand, name);
    plan.digest.frame(Frame::Bounds, bounds.iter().map(|bound| *bound as u64));
    plan.parts = true;
    plan.agree(parts)
}

macro_rules! parts_operand {
    ($grant:ident, $view:ident, $make:ident) => {
        // SAFETY: parts of disjoint spans are disjoint, since boundaries ascend (`describe_parts`), and all
        // ranks have the same (the digest).
        unsafe impl<T: Element, D: Shape> PhaseOperand for $grant<'_, T, D> {
            type View<'p> = D::$view<'p, T>;
            fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError> {
                describe_parts(plan, Frame::$grant, self.name, &self.local, self.bounds)
            }
            unsafe fn view<'p>(&self, span: Span) -> Self::View<'p> {
                let rows = Span::new(self.bounds[span.lo], self.bounds[span.hi]);
                // SAFETY: `describe_parts` has found them inside the array; the rest is the caller's word.
                unsafe { D::$make(self.local.base, &self.local.dim, rows) }
            }
        }
    };
}
parts_operand!(PhasePartsMut, ViewMut, view_rows_mut);
parts_operand!(PhaseParts, View, view_rows);

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> PhaseOperand for PhaseWhole<'_, T, D> {
    type View<'p> = D::View<'p, T>;
    fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError> {
        plan.array(Frame::PhaseWhole, self.name);
        Ok(())
    }
    unsafe fn view<'p>(&self, _span: Span) -> Self::View<'p> {
        // SAFETY: all rows; nobody writes the array in this phase.
        unsafe { D::view_rows(self.local.base, &self.local.dim, Span::new(0, self.local.rows())) }
    }
}

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> PhaseOperand for PhaseHalo<'_, T, D> {
    type View<'p> = D::View<'p, T>;
    fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError> {
        if self.local.padded_bytes().is_none() {
            return Err(RegionError::Halo { k: self.k, rows: self.rows.rows() });
        }
        plan.split(Frame::PhaseHalo, self.name, &self.rows)?;
        plan.digest.frame(Frame::Halo, [self.k as u64, self.edge.0].into_iter());
        plan.digest.frame(Frame::Fill, bytemuck::bytes_of(&self.edge.1).chunks(8).map(packed));
        Ok(())
    }
    unsafe fn view<'p>(&self, span: Span) -> Self::View<'p> {
        // SAFETY: the span lies inside; nobody writes the array in this phase; the view before is gone, by
        // the caller's word; `describe` has found that `padded_bytes` gives some.
        unsafe { self.local.view(span) }
    }
}

// SAFETY: no memory is shared.
unsafe impl PhaseOperand for std::ops::Range<usize> {
    type View<'p> = std::ops::Range<usize>;
    fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError> {
        plan.digest.frame(Frame::Range, [self.start as u64, self.end as u64].into_iter());
        plan.agree(self.len())
    }
    unsafe fn view<'p>(&self, span: Span) -> Self::View<'p> {
        self.start.wrapping_add(span.lo)..self.start.wrapping_add(span.hi)
    }
}

macro_rules! tuples { ($( ($($o:ident $i:tt),+) )*) => { $(
    // SAFETY: each element keeps its own promises; grants of one handle are kept apart by the borrow checker,
    // here and, as all ranks have the same description, between ranks.
    unsafe impl<$($o: PhaseOperand),+> PhaseOperand for ($($o,)+) {
        type View<'p> = ($($o::View<'p>,)+);
        fn describe(&self, plan: &mut PhasePlan) -> Result<(), RegionError> {
            $( self.$i.describe(plan)?; )+
            Ok(())
        }
        unsafe fn view<'p>(&self, span: Span) -> Self::View<'p> {
            // SAFETY: element by element, by the caller's word.
            unsafe { ($( self.$i.view(span), )+) }
        }
    }
)* } }
up_to_eight!(tuples);

#[cfg(all(test, not(loom)))]
#[path = "phase_tests.rs"]
mod tests;
