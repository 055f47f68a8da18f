//! Launches whose kernels may fail: the error of the lowest chunk that failed, whatever the schedule.
//!
//! # Safety
//! Leaves and answers are read after a launch that succeeded, with the operands that it had. The place of a
//! leaf is written by the member that claimed it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::base::Output;
use crate::code::{NoCapture, conjure};
use crate::launch::answer::answers::Answers;
use crate::launch::answer::search::SearchBody;
use crate::launch::answer::try_error::TryError;
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::member::entry::open;
use crate::launch::member::settle::{LeafPlaces, Leaves, fold_tree};
use crate::launch::operand::Operand;
use crate::launch::operand::tag::{Tag, mix};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use crate::team::orders::WireBytes;
use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::Location;

/// A kernel whose error is what is searched for.
struct Failure<K>(PhantomData<K>);

impl<O: Operand, E, K> SearchBody<O, E> for Failure<K>
where
    K: for<'w> Fn(O::View<'w>) -> Result<(), E> + Copy + Send + Sync,
{
    fn run(view: O::View<'_>) -> Option<E> {
        conjure::<K>()(view).err()
    }
}

impl Launch<'_> {
    /// Runs a kernel that may fail on every chunk. See [`Pool::try_for_each`](crate::Pool::try_for_each).
    #[track_caller]
    pub fn try_for_each<O, E, K>(self, mut operands: O, kernel: K) -> Result<(), TryError<E>>
    where
        O: Operand,
        E: Output,
        K: for<'w> Fn(O::View<'w>) -> Result<(), E> + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let _carried_by_its_type = kernel;
        let site = Location::caller();
        match self.search::<O, E, Failure<K>>(&mut operands, site)? {
            None => Ok(()),
            Some((span, error)) => Err(TryError::Kernel { site: site.to_string(), span, error }),
        }
    }

    /// Combines the results of a kernel that may fail. See [`Pool::try_reduce`](crate::Pool::try_reduce).
    #[track_caller]
    pub fn try_reduce<O, A, E, K, C>(
        self,
        operands: O,
        identity: A,
        kernel: K,
        combine: C,
    ) -> Result<A, TryError<E>>
    where
        O: Operand,
        A: Element,
        E: Output,
        K: for<'w> Fn(O::View<'w>) -> Result<A, E> + Copy + Send + Sync,
        C: Fn(A, A) -> A + Copy + Send + Sync,
    {
        const { (NoCapture::<K>::OK, NoCapture::<C>::OK) };
        let _carried_by_its_type = kernel;
        let site = Location::caller();
        let spill = self.launcher.spill()?;
        let mut operands = (operands, Answers(&spill));
        let mut description = self.describe(&operands)?;
        description.leaf(size_of::<A>());
        let (grid, _) = description.grid(self.options.chunk, site)?;
        let wire = operands.wire();
        let call = LaunchCall {
            entry: try_reduce_entry::<O, A, E, K, C>,
            layout: layout::<O, A>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, leaves) = self.run(&call, &description, site, None)?;
        let Some(scratch) = scratch else { return Ok(identity) };
        // SAFETY: the launch is over.
        unsafe { operands.1.check::<E>(&grid, site) }?;
        // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
        let mut places = unsafe { Leaves::new(scratch.base(), leaves) };
        operands.0.settle(&mut places);
        let partial: Vec<A> = places.take::<A>(1).iter().map(|leaf| leaf[0]).collect();
        let result = fold_tree(&partial, &combine).unwrap_or(identity);
        self.launcher.put_back(Some(scratch));
        Ok(result)
    }
}

const fn layout<O: Operand, A>() -> u64 {
    mix(mix(O::LAYOUT, Tag::TryReduce as u64), size_of::<A>() as u64)
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn try_reduce_entry<O, A, E, K, C>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: Operand,
    A: Element,
    E: Output,
    K: for<'w> Fn(O::View<'w>) -> Result<A, E> + Copy + Send + Sync,
    C: Fn(A, A) -> A + Copy + Send + Sync,
{
    let (kernel, combine): (K, C) = (conjure(), conjure());
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let (operands, answers) = unsafe { open::<(O, Answers<'_>)>(context, layout::<O, A>()) }?;
    let leaves = LeafPlaces::<A>::open(context, 1)?;
    let partial = Cell::new(A::zeroed());
    context.chunks(
        |chunk| {
            let Some(_admitted) = answers.admit(chunk.index) else { return };
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            match kernel(unsafe { O::view(&operands, chunk) }) {
                Ok(value) => {
                    partial.set(if chunk.opens_leaf { value } else { combine(partial.get(), value) });
                }
                Err(error) => answers.offer(chunk.index, chunk.span, &error),
            }
        },
        // SAFETY: the leaf was claimed by this member, and its place is written here only.
        |leaf| unsafe { leaves.at(leaf) }[0] = partial.get(),
    )?;
    answers.outcome()
}
