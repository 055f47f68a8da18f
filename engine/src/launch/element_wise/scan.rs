//! Prefix sums.
//!
//! # Safety
//! As in `entry`. The entry's own type names the kernel, so nothing is sent. The driver reads the leaves after
//! the first sweep has succeeded, with the operands that it had.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::elements::MapOutput;
use super::with::With;
use crate::array::Element;
use crate::code::{NoCapture, conjure};
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::grant::Split;
use crate::launch::member::entry::open;
use crate::launch::member::settle::{LeafPlaces, Leaves};
use crate::launch::operand::tag::{Tag, mix};
use crate::launch::operand::{Operand, Val};
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
        K: Fn(T, T) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let combine = move |a, b, ()| combine(a, b);
        let site = Location::caller();
        self.with(()).prefix(Prefix::Inclusive, (out, input), identity, combine, site, no_seed)
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
        K: Fn(T, T) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let combine = move |a, b, ()| combine(a, b);
        let site = Location::caller();
        self.with(()).prefix(Prefix::Exclusive, (out, input), identity, combine, site, no_seed)
    }
}

impl<P: Operand> With<'_, P>
where
    for<'w> P::View<'w>: Copy,
{
    /// Sets every `out[i]` to the fold of `input[0..=i]` by `combine(a, b, parameters)`. Otherwise as
    /// [`Pool::scan`](crate::Pool::scan).
    ///
    /// # Errors
    /// See [`LaunchError`].
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
        K: for<'w> Fn(T, T, P::View<'w>) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.prefix(Prefix::Inclusive, (out, input), identity, combine, Location::caller(), no_seed)
    }

    /// Sets every `out[i]` to the fold of `input[0..i]` by `combine(a, b, parameters)`, so that `out[0]` is
    /// `identity`.
    ///
    /// # Errors
    /// See [`LaunchError`].
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
        K: for<'w> Fn(T, T, P::View<'w>) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.prefix(Prefix::Exclusive, (out, input), identity, combine, Location::caller(), no_seed)
    }

    /// Sweeps twice over the same leaves: first computes each leaf's fold, then each leaf's prefixes from the
    /// folds of the leaves before it. The result's bits depend only on the leaves.
    ///
    /// In between, `seed` gets the folds of all leaves, and returns the fold of what comes before the first. It
    /// is not called if there are no leaves.
    pub(crate) fn prefix<T, Out, K, E>(
        self,
        prefix: Prefix,
        (out, input): (Out, Split<'_, T, Ix1>),
        identity: T,
        combine: K,
        site: &'static Location<'static>,
        seed: impl FnOnce(&[T]) -> Result<Option<T>, E>,
    ) -> Result<(), E>
    where
        T: Element,
        Out: MapOutput<T, Dim = Ix1>,
        K: for<'w> Fn(T, T, P::View<'w>) -> T + Copy + Send + Sync,
        E: From<LaunchError>,
    {
        let _carried_by_its_type = combine;
        let operands = (out, input, Val(identity), prefix == Prefix::Exclusive, false, self.parameters);
        let mut description = self.launch.describe(&operands)?;
        description.leaf(size_of::<T>());
        let mut wire = operands.wire();
        let fold_wire = (wire.1, wire.5);
        let fold = LaunchCall {
            entry: fold_entry::<T, P, K>,
            layout: fold_layout::<T, P>(),
            wire: WireBytes::of(&fold_wire),
        };
        let (scratch, leaves) = self.launch.run(&fold, &description, site, None)?;
        let Some(scratch) = scratch else { return Ok(()) };
        // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
        let folds = unsafe { Leaves::new(scratch.base(), leaves) }.take::<T>(1);
        let seed = seed(&folds.iter().map(|fold| fold[0]).collect::<Vec<T>>())?;
        (wire.2, wire.4) = (seed.unwrap_or(identity), seed.is_some());
        let spread = LaunchCall {
            entry: spread_entry::<T, Out, P, K>,
            layout: spread_layout::<T, Out, P>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.launch.run(&spread, &description, site, Some(scratch))?;
        self.launch.launcher.put_back(scratch);
        Ok(())
    }
}

/// Nothing comes before the first leaf.
fn no_seed<T>(_folds: &[T]) -> Result<Option<T>, LaunchError> {
    Ok(None)
}

/// Operands of the first sweep.
type Folded<'a, T, P> = (Split<'a, T, Ix1>, P);
/// Operands of the second sweep: with the fold of what comes before, whether the scan is exclusive, and whether
/// that fold is of anything: if not, it is the identity.
type Spread<'a, T, Out, P> = (Out, Split<'a, T, Ix1>, Val<T>, bool, bool, P);

const fn fold_layout<T: Element, P: Operand>() -> u64 {
    mix(<Folded<'_, T, P>>::LAYOUT, Tag::ScanFold as u64)
}

const fn spread_layout<T: Element, Out: Operand, P: Operand>() -> u64 {
    mix(<Spread<'_, T, Out, P>>::LAYOUT, Tag::ScanSpread as u64)
}

/// The fold of each leaf.
///
/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn fold_entry<T, P, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    T: Element,
    P: Operand,
    for<'w> P::View<'w>: Copy,
    K: for<'w> Fn(T, T, P::View<'w>) -> T + Copy + Send + Sync,
{
    let combine: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<Folded<'_, T, P>>(context, fold_layout::<T, P>()) }?;
    let leaves = LeafPlaces::<T>::open(context, 1)?;
    let total = Cell::new(T::zeroed());
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let (input, parameters) = unsafe { <Folded<'_, T, P>>::view(&local, chunk) };
            let combine = |a, b| combine(a, b, parameters);
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
unsafe fn spread_entry<T, Out, P, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    T: Element,
    Out: MapOutput<T, Dim = Ix1>,
    P: Operand,
    for<'w> P::View<'w>: Copy,
    K: for<'w> Fn(T, T, P::View<'w>) -> T + Copy + Send + Sync,
{
    let combine: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<Spread<'_, T, Out, P>>(context, spread_layout::<T, Out, P>()) }?;
    let leaves = LeafPlaces::<T>::open(context, 1)?;
    let (mut before, mut running) = (None, T::zeroed());
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let view = unsafe { <Spread<'_, T, Out, P>>::view(&local, chunk) };
            let (out, input, seed, exclusive, is_seeded, parameters) = view;
            let combine = |a, b| combine(a, b, parameters);
            if chunk.opens_leaf {
                // SAFETY: the first sweep left them, and nobody writes them in this launch.
                let fold = |leaf| unsafe { leaves.get(leaf) }[0];
                let before = before.get_or_insert_with(|| Before::new(is_seeded.then_some(seed)));
                running = before.reach(chunk.leaf, fold, combine).unwrap_or(seed);
            }
            let whole_start = chunk.span.lo == 0 && !is_seeded;
            running = prefixes(Out::elements(out), input, running, whole_start, exclusive, combine);
        },
        |_| (),
    )
}

/// The fold of the leaves before one, kept from leaf to leaf: members mostly claim them in order.
struct Before<T> {
    /// The fold of what comes before the first leaf.
    seed: Option<T>,
    leaf: usize,
    fold: Option<T>,
}

impl<T: Copy> Before<T> {
    fn new(seed: Option<T>) -> Before<T> {
        Before { seed, leaf: 0, fold: seed }
    }

    /// The fold of what comes before `leaf`, one after the other; `None` if that is nothing.
    fn reach(&mut self, leaf: usize, fold: impl Fn(usize) -> T, combine: impl Fn(T, T) -> T) -> Option<T> {
        if leaf < self.leaf {
            *self = Before::new(self.seed);
        }
        for next in self.leaf..leaf {
            self.fold = Some(self.fold.map_or_else(|| fold(next), |before| combine(before, fold(next))));
        }
        self.leaf = leaf;
        self.fold
    }
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
