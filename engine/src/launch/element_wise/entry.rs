//! The entries of element-wise launches.
//!
//! # Safety
//! As in `member::entry`.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::elements::{Elements, MapOutput};
use crate::array::Element;
use crate::code::conjure;
use crate::launch::grant::MAX_AXES;
use crate::launch::member::entry::open;
use crate::launch::operand::Operand;
use crate::launch::operand::tag::{Tag, mix};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use ndarray::Dimension;

pub(super) const fn map_layout<Out: Operand, In: Operand, P: Operand>() -> u64 {
    mix(<(Out, In, P)>::LAYOUT, Tag::MapInto as u64)
}

pub(super) const fn fill_layout<Out: Operand, P: Operand>() -> u64 {
    mix(<(Out, Lengths, P)>::LAYOUT, Tag::Fill as u64)
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
pub(super) unsafe fn map_entry<U, Out, In, P, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    U: Element,
    Out: MapOutput<U>,
    In: Elements,
    P: Operand,
    for<'w> P::View<'w>: Copy,
    K: for<'w> Fn(In::Item, P::View<'w>) -> U + Copy + Send + Sync,
{
    let kernel: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<(Out, In, P)>(context, map_layout::<Out, In, P>()) }?;
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let (out, input, parameters) = unsafe { <(Out, In, P)>::view(&local, chunk) };
            let out = Out::elements(out);
            let lanes = In::lanes(input, out.len());
            for (index, out) in out.iter_mut().enumerate() {
                *out = kernel(In::at(lanes, index), parameters);
            }
        },
        |_| (),
    )
}

/// The number of an array's axes and their lengths.
pub(super) type Lengths = (usize, [usize; MAX_AXES]);

/// The lengths of a shape that the launch accepts; those of any other are refused with the array itself.
pub(super) fn lengths_of(shape: &[usize]) -> Lengths {
    let mut lengths = [1; MAX_AXES];
    lengths.iter_mut().zip(shape).for_each(|(to, from)| *to = *from);
    (shape.len().min(MAX_AXES), lengths)
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
pub(super) unsafe fn fill_entry<U, Out, P, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    U: Element,
    Out: MapOutput<U>,
    P: Operand,
    for<'w> P::View<'w>: Copy,
    K: for<'w> Fn(<Out::Dim as Dimension>::Pattern, P::View<'w>) -> U + Copy + Send + Sync,
{
    let kernel: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<(Out, Lengths, P)>(context, fill_layout::<Out, P>()) }?;
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let (out, (axes, lengths), parameters) = unsafe { <(Out, Lengths, P)>::view(&local, chunk) };
            let mut dim = Out::Dim::zeros(axes);
            for (to, from) in dim.slice_mut().iter_mut().zip(lengths) {
                *to = from;
            }
            fill(Out::elements(out), dim, chunk.span.lo, |index| kernel(index, parameters));
        },
        |_| (),
    )
}

/// Fills rows of an array of shape `dim`, of which `first` is the first.
#[inline]
#[expect(clippy::arithmetic_side_effects, reason = "indices of elements of an array")]
fn fill<U, D: Dimension>(out: &mut [U], dim: D, first: usize, kernel: impl Fn(D::Pattern) -> U) {
    let Some(last) = dim.ndim().checked_sub(1) else { return };
    let mut index = D::zeros(dim.ndim());
    index[0] = first;
    let start = index[last];
    let run = if last == 0 { out.len() } else { dim[last] };
    for out in out.chunks_mut(run.max(1)) {
        for (at, out) in out.iter_mut().enumerate() {
            index[last] = start + at;
            *out = kernel(index.clone().into_pattern());
        }
        // The next run: like an odometer, whose first digit has no end.
        for axis in (0..last).rev() {
            index[axis] += 1;
            if axis == 0 || index[axis] < dim[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}
