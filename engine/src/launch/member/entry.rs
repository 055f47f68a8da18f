//! The entries of launches: what a member calls for an order, for the types of its operands.
//!
//! # Safety
//! Entries are instantiated for the operand type whose wire they are handed with: the driver sends both in one order,
//! and the entry compares the layout hash before it reads the wire.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::launch::grid::block;
use crate::launch::member::chunk::Chunk;
use crate::launch::member::settle::LeafPlaces;
use crate::launch::operand::{Operand, mix};
use crate::team::fault::Fault;
use crate::team::member::Visit;
use std::cell::Cell;

pub(crate) const fn reduce_layout<O: Operand, A>() -> u64 {
    mix(mix(O::LAYOUT, 6), size_of::<A>() as u64)
}

/// # Safety
/// As [`Entry`](crate::team::member::Entry).
pub(crate) unsafe fn for_each_entry<O: Operand>(visit: &mut Visit<'_>) -> Result<(), Fault> {
    visit.check_layout(O::LAYOUT)?;
    // SAFETY: the driver names this entry only with the offset of such a function, of the same build; the
    // layout agrees.
    let kernel = unsafe { visit.function::<for<'w> fn(O::View<'w>)>(visit.order.kernel) }?;
    // SAFETY: the layout agrees.
    let wire: O::Wire = unsafe { visit.wire() };
    // SAFETY: this launch's wire, and we are in the launch.
    let local = unsafe { O::open(&wire, visit) }?;
    visit.chunks(
        // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
        |chunk: &Chunk| kernel(unsafe { O::view(&local, chunk) }),
        |_| (),
    )
}

/// # Safety
/// As [`Entry`](crate::team::member::Entry).
pub(crate) unsafe fn broadcast_entry<O: Operand>(visit: &mut Visit<'_>) -> Result<(), Fault> {
    visit.check_layout(mix(O::LAYOUT, 7))?;
    // SAFETY: the driver names this entry only with the offset of such a function, of the same build; the
    // layout agrees.
    let kernel = unsafe { visit.function::<for<'w> fn(usize, O::View<'w>)>(visit.order.kernel) }?;
    // SAFETY: the layout agrees.
    let wire: O::Wire = unsafe { visit.wire() };
    // SAFETY: this launch's wire, and we are in the launch.
    let local = unsafe { O::open(&wire, visit) }?;
    let (rank, size) = (visit.member.rank, visit.order.size as usize);
    let span = block(visit.order.len as usize, rank, size);
    let chunk = Chunk { span, index: rank, leaf: rank, opens_leaf: true };
    // SAFETY: ranks have disjoint blocks, and each runs the kernel once; `local` stays until it has returned.
    kernel(rank, unsafe { O::view(&local, &chunk) });
    Ok(())
}

/// # Safety
/// As [`Entry`](crate::team::member::Entry).
pub(crate) unsafe fn reduce_entry<O: Operand, A: Element>(visit: &mut Visit<'_>) -> Result<(), Fault> {
    visit.check_layout(reduce_layout::<O, A>())?;
    // SAFETY: the driver names this entry only with the offset of such a function, of the same build; the
    // layout agrees.
    let kernel = unsafe { visit.function::<for<'w> fn(O::View<'w>) -> A>(visit.order.kernel) }?;
    // SAFETY: as above.
    let combine = unsafe { visit.function::<fn(A, A) -> A>(visit.order.combine) }?;
    // SAFETY: the layout agrees.
    let wire: O::Wire = unsafe { visit.wire() };
    // SAFETY: this launch's wire, and we are in the launch.
    let local = unsafe { O::open(&wire, visit) }?;
    let leaves = LeafPlaces::<A>::open(visit, 1)?;
    let partial = Cell::new(A::zeroed());
    visit.chunks(
        |chunk: &Chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let value = kernel(unsafe { O::view(&local, chunk) });
            partial.set(if chunk.opens_leaf { value } else { combine(partial.get(), value) });
        },
        // SAFETY: the leaf was claimed by this member, and its place is written here only.
        |leaf| unsafe { leaves.at(leaf) }[0] = partial.get(),
    )
}
