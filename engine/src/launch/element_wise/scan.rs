//! Prefix sums.
//!
//! # Safety
//! As in `entry`. The entry's own type names the kernel, so nothing is sent.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::elements::MapOutput;
use crate::array::Element;
use crate::code::{NoCapture, conjure};
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::grant::Split;
use crate::launch::member::entry::open;
use crate::launch::member::settle::LeafPlaces;
use crate::launch::operand::Operand;
use crate::launch::operand::tag::{Tag, mix, of};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use crate::team::orders::WireBytes;
use ndarray::Ix1;
use std::cell::Cell;
use std::panic::Location;

/// Which prefixes a scan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Element `i` holds the fold of `0..=i`.
    Inclusive,
    /// Element `i` holds the fold of `0..i`.
    Exclusive,
}

impl Launch<'_> {
    /// Sets every `out[i]` to the fold of `input[0..=i]`. See [`Pool::scan`](crate::Pool::scan).
    #[track_caller]
    pub fn scan<T, Out, K>(
        self,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        Out: MapOutput<T, Dim = Ix1>,
        K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<K>::OK };
        self.prefix(Prefix::Inclusive, out, input, identity, combine, Location::caller())
    }

    /// Sets every `out[i]` to the fold of `input[0..i]`, so that `out[0]` is `identity`.
    #[track_caller]
    pub fn scan_exclusive<T, Out, K>(
        self,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        Out: MapOutput<T, Dim = Ix1>,
        K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<K>::OK };
        self.prefix(Prefix::Exclusive, out, input, identity, combine, Location::caller())
    }

    /// Sweeps twice over the same leaves: first computes each leaf's fold, then each leaf's prefixes from the
    /// total before it. The result's bits depend only on the leaves.
    fn prefix<T, Out, K>(
        self,
        prefix: Prefix,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
        site: &'static Location<'static>,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        Out: MapOutput<T, Dim = Ix1>,
        K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        let operands = (out, input, [u64::from(prefix == Prefix::Exclusive)]);
        let mut description = self.describe(&operands)?;
        description.leaf(size_of::<T>());
        let wire = operands.wire();
        let fold_wire = operands.1.wire();
        let fold = LaunchCall {
            entry: fold_entry::<T, K>,
            layout: of(Tag::ScanFold),
            wire: WireBytes::of(&fold_wire),
        };
        let (Some(scratch), leaves) = self.run(&fold, &description, site, None)? else { return Ok(()) };
        // SAFETY: the launch succeeded with one `T` a leaf, and nobody else has this scratch.
        let places = unsafe { LeafPlaces::<T>::of_driver(scratch.base(), 1) };
        let mut before = identity;
        for leaf in 0..leaves {
            // SAFETY: one leaf's place at a time, no member is in a launch with this scratch.
            let place = &mut unsafe { places.at(leaf) }[0];
            let total = std::mem::replace(place, before);
            before = if leaf == 0 { total } else { combine(before, total) };
        }
        let spread = LaunchCall {
            entry: spread_entry::<T, Out, K>,
            layout: mix(Out::LAYOUT, Tag::ScanSpread as u64),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.run(&spread, &description, site, Some(scratch))?;
        self.launcher.put_back(scratch);
        Ok(())
    }
}

/// The fold of each leaf.
///
/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn fold_entry<T, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    T: Element,
    K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
{
    let combine: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<Split<'_, T, Ix1>>(context, of(Tag::ScanFold)) }?;
    let leaves = LeafPlaces::<T>::open(context, 1)?;
    let total = Cell::new(T::zeroed());
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let input: &[T] = unsafe { Split::<'_, T, Ix1>::view(&local, chunk) };
            let folded = input.iter().copied().reduce(combine).unwrap_or(T::zeroed());
            total.set(if chunk.opens_leaf { folded } else { combine(total.get(), folded) });
        },
        // SAFETY: the leaf was claimed by this member, and its place is written here only.
        |leaf| unsafe { leaves.at(leaf) }[0] = total.get(),
    )
}

/// The prefixes of each leaf, from what stands before it.
///
/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn spread_entry<T, Out, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    T: Element,
    Out: MapOutput<T, Dim = Ix1>,
    K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
{
    let combine: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe {
        open::<(Out, Split<'_, T, Ix1>, [u64; 1])>(context, mix(Out::LAYOUT, Tag::ScanSpread as u64))
    }?;
    let leaves = LeafPlaces::<T>::open(context, 1)?;
    let running = Cell::new(T::zeroed());
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let (out, input, [exclusive]) =
                unsafe { <(Out, Split<'_, T, Ix1>, [u64; 1])>::view(&local, chunk) };
            // SAFETY: the leaf was claimed by this member; the driver wrote its place before the launch.
            let offered = unsafe { leaves.at(chunk.leaf) };
            let before = if chunk.opens_leaf { offered[0] } else { running.get() };
            let whole_start = chunk.span.lo == 0;
            running.set(prefixes(Out::elements(out), input, before, whole_start, exclusive == 1, combine));
        },
        |_| (),
    )
}

/// Writes the prefixes of one chunk, and returns the fold of everything up to its end. If `first`, nothing
/// precedes the chunk, so `before` is the identity and does not take part.
fn prefixes<T: Copy>(
    out: &mut [T],
    input: &[T],
    before: T,
    first: bool,
    exclusive: bool,
    combine: impl Fn(T, T) -> T,
) -> T {
    let mut running = before;
    for (index, (out, value)) in out.iter_mut().zip(input).enumerate() {
        let next = if first && index == 0 { *value } else { combine(running, *value) };
        *out = if exclusive { running } else { next };
        running = next;
    }
    running
}
