//! Rows with their neighbours, some of which are ghost rows: the halo of an array over a cluster.
//!
//! # Safety
//! The part holds the rows that are cut, `lead` rows before them and some after; `open` checks that. Views
//! stay inside the part, all of which is borrowed for reading.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRef, Shape};
use crate::base::Span;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use std::panic::Location;

const WHAT: &str = "a halo() of an array over a cluster";

/// A chunk with its neighbouring rows, those of other drivers among them. Returned by
/// [`ClusterArray::halo`](crate::cluster::ClusterArray::halo).
pub struct GhostHalo<'a, T, D> {
    part: RangeRef<'a, T, D>,
    /// Rows of the part before those that are cut, and the number of those.
    lead: usize,
    len: usize,
    k: usize,
    refusal: Option<Refusal>,
}

/// Why no launch accepts a halo. Its text is made when a launch asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// The ghost rows are older than the rows, which were written there.
    Stale(&'static Location<'static>),
    /// More neighbours are wanted than there are ghost rows.
    Narrow { k: usize, width: usize },
    /// While ghost rows are under way, these rows want some of them.
    UnderWay { lo: usize, hi: usize, k: usize },
}

impl<'a, T: Element, D: Shape> GhostHalo<'a, T, D> {
    /// Cuts `len` rows of the part, before which `lead` others stand, and shows `k` neighbours on each side
    /// where the part has them.
    pub(crate) fn new(part: RangeRef<'a, T, D>, lead: usize, len: usize, k: usize) -> Self {
        GhostHalo { part, lead, len, k, refusal: None }
    }

    /// A halo that no launch accepts.
    pub(crate) fn refused(part: RangeRef<'a, T, D>, refusal: Refusal) -> Self {
        GhostHalo { part, lead: 0, len: 0, k: 0, refusal: Some(refusal) }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error().fmt(f)
    }
}

impl Refusal {
    fn error(self) -> LaunchError {
        let bad = |why| LaunchError::BadGrant { what: WHAT, why };
        match self {
            Refusal::Stale(site) => LaunchError::StaleGhosts { written: site.to_string() },
            Refusal::Narrow { k, width } => {
                bad(format!("it shows {k} rows on each side, but the array was made with {width} ghost rows"))
            }
            Refusal::UnderWay { lo, hi, k } => bad(format!(
                "rows {lo}..{hi} with {k} neighbours on each side need ghost rows, which are under way: take inner_rows({k}) now and outer_rows({k}) after the exchange"
            )),
        }
    }
}

/// A halo opened by one member.
pub struct GhostHaloLocal<T, D> {
    part: Located<T, D>,
    lead: usize,
    k: usize,
}

impl<T: Element, D: Shape> GhostHaloLocal<T, D> {
    /// Where the rows and their neighbours lie in the part.
    fn seen(&self, rows: Span) -> Span {
        let (lo, hi) = (self.lead.saturating_add(rows.lo), self.lead.saturating_add(rows.hi));
        Span::new(lo.saturating_sub(self.k), hi.saturating_add(self.k).min(self.part.rows()))
    }
}

// SAFETY: read-only; the grant borrows the rows and the ghost rows, so nobody writes them.
unsafe impl<T: Element, D: Shape> Operand for GhostHalo<'_, T, D> {
    type Wire = (ArrayWire, [u64; 3]);
    type Local = GhostHaloLocal<T, D>;
    type View<'w> = D::View<'w, T>;
    const LAYOUT: u64 = sized(Tag::GhostHalo, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        if let Some(refusal) = self.refusal {
            return Err(refusal.error());
        }
        describe(&self.part, WHAT, false, to)?;
        to.length(self.len, WHAT)?;
        to.unit_bytes(self.part.row_bytes());
        Ok(())
    }
    fn wire(&self) -> Self::Wire {
        (ArrayWire::of(&self.part), [self.lead, self.len, self.k].map(|number| number as u64))
    }
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let part = Located::open(&wire.0, context, false)?;
        let [lead, len, k] = wire.1.map(|number| number as usize);
        if lead.checked_add(len).is_none_or(|end| end > part.rows()) {
            return Err(fault(FaultKind::Corrupt, "the rows of a halo lie outside its array"));
        }
        context.check_rows(len)?;
        Ok(GhostHaloLocal { part, lead, k })
    }
    unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: the chunk's rows are among those that are cut (`check_rows`), which lie inside the part
        // (`open`); its neighbours are cut off at the part's ends. It is mapped and frozen for the launch.
        unsafe { D::view_rows(local.part.base, &local.part.dim, local.seen(chunk.span)) }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use ndarray::Ix1;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_chunk_is_seen_with_its_neighbours_and_nothing_else(
            [lead, len, trail] in prop::array::uniform3(0usize..6),
            [lo, chunk] in prop::array::uniform2(0usize..6),
            k in prop_oneof![0usize..8, Just(usize::MAX)],
        ) {
            let rows = lead + len + trail;
            let local = GhostHaloLocal::<u8, Ix1> { part: Located::nowhere(Ix1(rows)), lead, k };
            let span = Span::new(lo.min(len), (lo + chunk).min(len));
            let seen = local.seen(span);
            prop_assert_eq!(lead + span.lo - seen.lo, k.min(lead + span.lo));
            prop_assert_eq!(seen.hi - (lead + span.hi), k.min(rows - lead - span.hi));
        }
    }
}
