//! Grants: which elements of an array a kernel may access, and how.
//!
//! A grant borrows its array until the launch returns. [`SharedArray`](crate::SharedArray) has a method for
//! each: `split`, `whole`, `halo`, `tiles` and others. The types here are what these methods return, and
//! what kernels receive; programs name them in structs and signatures only.

// `Located` resolves an array's wire to an address in this process, after checking the whole array against
// the segment's mapping. Every view of a grant stays inside it.
#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

mod accumulate;
mod atomic;
mod axis;
mod cancel;
mod captured;
mod connection;
mod flat;
mod ghosts;
mod given;
mod halo;
mod halo_nd;
mod handle;
mod part;
mod scatter;
mod slice;
mod snapshot;
mod split;
mod strided;
mod tile;
mod value;
mod worker_state;

pub use crate::shared::{AtomicElement, AtomicF64};
pub use accumulate::Accumulate;
pub use atomic::Atomics;
pub use axis::{SplitAxis, SplitAxisMut};
pub use cancel::KernelToken;
pub use captured::Captured;
pub use flat::{SplitFlat, SplitFlatMut, SplitFlatOut, WholeFlat};
pub use ghosts::GhostHalo;
pub(crate) use ghosts::Refusal;
pub(crate) use halo::HaloLocal;
pub use halo::{Edge, Halo};
pub use halo_nd::{HaloNd, HaloTile, TilesHalo};
pub use part::{Parts, PartsMut};
pub use scatter::{Scatter, ScatterView};
pub use slice::{SplitSlice, SplitSliceMut, SplitSliceOut, WholeSlice};
pub use split::{Split, SplitMut, SplitOut, Whole};
pub use tile::{Tile, TileMut, Tiles, TilesMut, TilesOut};
pub use worker_state::PerWorker;

use crate::array::{Element, RangeRef, Shape};
use crate::base::Span;
use crate::launch::error::LaunchError;
use crate::launch::operand::describe::Description;
use crate::memory::{Access, Segment};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use std::marker::PhantomData;
use std::sync::Arc;

/// Largest number of axes of an array that is sent to workers.
pub(crate) const MAX_AXES: usize = 6;

/// An array as it is sent: its segment, offset and shape.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ArrayWire {
    segment: u64,
    offset: u64,
    axes: u64,
    shape: [u64; MAX_AXES],
}

impl ArrayWire {
    /// `describe` has found the segment before.
    pub(crate) fn of<T: Element, D: Shape>(array: &RangeRef<'_, T, D>) -> ArrayWire {
        let mut shape = [1; MAX_AXES];
        for (to, from) in shape.iter_mut().zip(array.shape()) {
            *to = *from as u64;
        }
        ArrayWire {
            segment: array.segment().map_or(0, |segment| segment.id().0),
            offset: array.byte_offset() as u64,
            axes: array.ndim() as u64,
            shape,
        }
    }

    /// All fields as numbers, for comparing descriptions between ranks.
    pub(crate) fn words(&self) -> [u64; 3 + MAX_AXES] {
        let [a, b, c, d, e, f] = self.shape;
        [self.segment, self.offset, self.axes, a, b, c, d, e, f]
    }
}

/// An array as resolved in this process.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Located<T, D> {
    pub(crate) base: *mut T,
    pub(crate) dim: D,
    item: PhantomData<T>,
}

impl<T: Element, D: Shape> Located<T, D> {
    /// Resolves and range-checks a wire.
    pub(crate) fn open(
        wire: &ArrayWire,
        context: &mut LaunchContext<'_>,
        writable: bool,
    ) -> Result<Located<T, D>, Fault> {
        let corrupt = || fault(FaultKind::Corrupt, "an operand's shape makes no sense");
        let axes = wire.axes as usize;
        if axes == 0 || axes > MAX_AXES || D::NDIM.is_some_and(|own| own != axes) {
            return Err(corrupt());
        }
        let mut dim = D::zeros(axes);
        let mut bytes = size_of::<T>();
        for (to, from) in dim.slice_mut().iter_mut().zip(wire.shape) {
            *to = usize::try_from(from).map_err(|_| corrupt())?;
            bytes = bytes.checked_mul(*to).ok_or_else(corrupt)?;
        }
        let base = context.attach(wire.segment, wire.offset, bytes, writable)?.cast::<T>();
        if !base.is_aligned() {
            return Err(corrupt());
        }
        Ok(Located { base, dim, item: PhantomData })
    }

    /// Units of the first axis.
    pub(crate) fn rows(&self) -> usize {
        crate::array::rows(&self.dim)
    }

    /// The rows `span`, which lie inside.
    pub(crate) fn range(&self, span: Span) -> Located<T, D> {
        // No wrap: inside the array.
        let skipped = span.lo.wrapping_mul(crate::array::row_elems(&self.dim));
        let mut dim = self.dim.clone();
        dim.slice_mut()[0] = span.len();
        Located { base: self.base.wrapping_add(skipped), dim, item: PhantomData }
    }

    /// A shape without elements, for tests that only describe it.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn nowhere(dim: D) -> Located<T, D> {
        Located { base: std::ptr::null_mut(), dim, item: PhantomData }
    }
}

/// Reports to the driver an array, or rows of it, that members will access.
pub(crate) fn describe<T: Element, D: Shape>(
    array: &RangeRef<'_, T, D>,
    what: &'static str,
    writes: bool,
    to: &mut Description<'_>,
) -> Result<(), LaunchError> {
    describe_part(array.segment(), array.ndim(), what, writes, to)
}

/// Reports to the driver a part of an array in `segment`, if this process can name it to others.
fn describe_part(
    segment: Option<&Arc<Segment>>,
    axes: usize,
    what: &'static str,
    writes: bool,
    to: &mut Description<'_>,
) -> Result<(), LaunchError> {
    let bad = |why: &str| Err(LaunchError::BadGrant { what, why: why.into() });
    if axes == 0 || axes > MAX_AXES {
        return bad("arrays of 1 to 6 axes can be operands");
    }
    let Some(segment) = segment else {
        return bad("another process made this frozen array, and only that process can launch with it");
    };
    match segment.access() {
        Access::ReadWrite => {}
        Access::ReadOnly if !writes => {}
        Access::ReadOnly => {
            return bad(
                "the array maps a file read-only; grant it for reading, or copy it into an array first",
            );
        }
    }
    to.segment(segment);
    Ok(())
}

#[cfg(all(test, not(loom)))]
#[path = "wire_tests.rs"]
mod tests;
