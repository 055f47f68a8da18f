//! The entries of launches: the functions that a member calls for an order, instantiated for the operands'
//! types and for its functions, whose values a member creates from their types.
//!
//! # Safety
//! An entry is instantiated for the operand type whose wire it receives: the driver sends both in one order,
//! and the entry compares the layout hash before it reads the wire.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::code::conjure;
use crate::launch::grid::block;
use crate::launch::member::chunk::Chunk;
use crate::launch::member::settle::LeafPlaces;
use crate::launch::operand::Operand;
use crate::launch::operand::tag::{Tag, mix};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use std::cell::Cell;

pub(crate) const fn reduce_layout<O: Operand, A>() -> u64 {
    mix(mix(O::LAYOUT, Tag::Reduce as u64), size_of::<A>() as u64)
}

/// Compares the layout of the order's operands with the entry's own, and opens the operands.
///
/// # Safety
/// The driver, which runs the same build, sends the entry that calls this with the wire of an `O` alone, and
/// this member is in the launch.
pub(crate) unsafe fn open<O: Operand>(
    context: &mut LaunchContext<'_>,
    layout: u64,
) -> Result<O::Local, Fault> {
    context.check_layout(layout)?;
    // SAFETY: the caller's word, and the layout agrees.
    let wire: O::Wire = unsafe { context.wire() };
    // SAFETY: this launch's wire, and we are in the launch.
    unsafe { O::open(&wire, context) }
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
pub(crate) unsafe fn for_each_entry<O, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: Operand,
    K: for<'w> Fn(O::View<'w>) + Copy + Send + Sync,
{
    let kernel: K = conjure();
    // SAFETY: this entry goes with the wire of an `O`, and we are in the launch.
    let local = unsafe { open::<O>(context, O::LAYOUT) }?;
    context.chunks(
        // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
        |chunk: &Chunk| kernel(unsafe { O::view(&local, chunk) }),
        |_| (),
    )
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
pub(crate) unsafe fn broadcast_entry<O, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: Operand,
    K: for<'w> Fn(usize, O::View<'w>) + Copy + Send + Sync,
{
    let kernel: K = conjure();
    // SAFETY: this entry goes with the wire of an `O`, and we are in the launch.
    let local = unsafe { open::<O>(context, mix(O::LAYOUT, Tag::Broadcast as u64)) }?;
    let (rank, size) = (context.member.rank, context.order.size as usize);
    let span = block(context.order.len as usize, rank, size);
    let chunk = Chunk { span, index: rank, leaf: rank, opens_leaf: true };
    // SAFETY: ranks have disjoint blocks, and each runs the kernel once; `local` stays until it has returned.
    kernel(rank, unsafe { O::view(&local, &chunk) });
    Ok(())
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
pub(crate) unsafe fn reduce_entry<O, A, K, C>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: Operand,
    A: Element,
    K: for<'w> Fn(O::View<'w>) -> A + Copy + Send + Sync,
    C: Fn(A, A) -> A + Copy + Send + Sync,
{
    let (kernel, combine): (K, C) = (conjure(), conjure());
    // SAFETY: this entry goes with the wire of an `O`, and we are in the launch.
    let local = unsafe { open::<O>(context, reduce_layout::<O, A>()) }?;
    let leaves = LeafPlaces::<A>::open(context, 1)?;
    let partial = Cell::new(A::zeroed());
    context.chunks(
        |chunk: &Chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let value = kernel(unsafe { O::view(&local, chunk) });
            partial.set(if chunk.opens_leaf { value } else { combine(partial.get(), value) });
        },
        // SAFETY: the leaf was claimed by this member, and its place is written here only.
        |leaf| unsafe { leaves.at(leaf) }[0] = partial.get(),
    )
}
