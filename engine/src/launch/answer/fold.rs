//! Launches that fold chunks into a value of any type that travels.
//!
//! Each leaf is folded by one member, which encodes the result: into the leaf's own place if it is short, and
//! into the launch's spill otherwise. The driver decodes the leaves in order, one at a time.
//!
//! # Safety
//! Leaves and spill are read after a launch that succeeded, with the operands that it had. The place of a
//! leaf is written by the member that claimed it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::{Output, Span, notation};
use crate::code::{NoCapture, conjure};
use crate::launch::answer::answers::{AnswerPlaces, Answers};
use crate::launch::answer::try_error::TryError;
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::grid::Grid;
use crate::launch::member::entry::open;
use crate::launch::member::settle::{LeafPlaces, Leaves};
use crate::launch::operand::Operand;
use crate::launch::operand::tag::{Tag, mix};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use crate::team::orders::WireBytes;
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::Location;

/// Words of a leaf's place for its result: with length and place, 128 bytes.
const INLINE_WORDS: usize = 14;

/// The encoded result of one leaf.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct LeafResult {
    len_bytes: u64,
    /// Where it lies in the spill; 0 if it stands here.
    place: u64,
    inline: [u64; INLINE_WORDS],
}

// The layout that docs/segment-layout.md lists.
const _: () = assert!(size_of::<LeafResult>() == 128);

/// The error of a kernel that cannot fail.
#[derive(Serialize, Deserialize)]
enum Never {}

/// What a fold does with one chunk, as a type: kernels travel by their type.
trait FoldBody<O: Operand, R, E> {
    fn run(accumulator: &mut R, view: O::View<'_>) -> Result<(), E>;
}

/// A kernel that returns nothing.
struct Plain<K>(PhantomData<K>);
/// A kernel that may fail.
struct Fallible<K>(PhantomData<K>);

impl<O: Operand, R, K> FoldBody<O, R, Never> for Plain<K>
where
    K: for<'w> Fn(&mut R, O::View<'w>) + Copy + Send + Sync,
{
    fn run(accumulator: &mut R, view: O::View<'_>) -> Result<(), Never> {
        conjure::<K>()(accumulator, view);
        Ok(())
    }
}

impl<O: Operand, R, E, K> FoldBody<O, R, E> for Fallible<K>
where
    K: for<'w> Fn(&mut R, O::View<'w>) -> Result<(), E> + Copy + Send + Sync,
{
    fn run(accumulator: &mut R, view: O::View<'_>) -> Result<(), E> {
        conjure::<K>()(accumulator, view)
    }
}

impl Launch<'_> {
    /// Folds all chunks into one value of any type that travels. See [`Pool::fold`](crate::Pool::fold).
    #[track_caller]
    pub fn fold<O, R, I, K, C>(
        self,
        operands: O,
        identity: I,
        kernel: K,
        combine: C,
    ) -> Result<R, LaunchError>
    where
        O: Operand,
        R: Output,
        I: Fn() -> R + Copy + Send + Sync,
        K: for<'w> Fn(&mut R, O::View<'w>) + Copy + Send + Sync,
        C: FnMut(&mut R, R),
    {
        const { (NoCapture::<I>::OK, NoCapture::<K>::OK) };
        let _carried_by_its_type = kernel;
        match self.fold_at::<O, R, Never, I, Plain<K>>(operands, identity, combine, Location::caller()) {
            Ok(value) => Ok(value),
            Err(TryError::Launch(error)) => Err(error),
            Err(TryError::Kernel { error, .. } | TryError::Body { error, .. }) => match error {},
        }
    }

    /// Like [`Self::fold`], with a kernel that may fail. See [`Pool::try_fold`](crate::Pool::try_fold).
    #[track_caller]
    pub fn try_fold<O, R, E, I, K, C>(
        self,
        operands: O,
        identity: I,
        kernel: K,
        combine: C,
    ) -> Result<R, TryError<E>>
    where
        O: Operand,
        R: Output,
        E: Output,
        I: Fn() -> R + Copy + Send + Sync,
        K: for<'w> Fn(&mut R, O::View<'w>) -> Result<(), E> + Copy + Send + Sync,
        C: FnMut(&mut R, R),
    {
        const { (NoCapture::<I>::OK, NoCapture::<K>::OK) };
        let _carried_by_its_type = kernel;
        self.fold_at::<O, R, E, I, Fallible<K>>(operands, identity, combine, Location::caller())
    }

    fn fold_at<O, R, E, I, B>(
        self,
        operands: O,
        identity: I,
        mut combine: impl FnMut(&mut R, R),
        site: &'static Location<'static>,
    ) -> Result<R, TryError<E>>
    where
        O: Operand,
        R: Output,
        E: Output,
        I: Fn() -> R + Copy + Send + Sync,
        B: FoldBody<O, R, E>,
    {
        let spill = self.launcher.spill()?;
        let mut operands = (operands, Answers(&spill));
        let mut description = self.describe(&operands)?;
        description.leaf(size_of::<LeafResult>());
        let (grid, unit) = description.grid(self.options.chunk, site)?;
        let wire = operands.wire();
        let call = LaunchCall {
            entry: fold_entry::<O, R, E, I, B>,
            layout: layout::<O, R>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, leaves) = self.run(&call, &description, site, None)?;
        let Some(scratch) = scratch else { return Ok(identity()) };
        // SAFETY: the launch is over.
        unsafe { operands.1.check::<E>(&grid, site) }?;
        // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
        let mut places = unsafe { Leaves::new(scratch.base(), leaves) };
        operands.0.settle(&mut places);
        let mut result = None;
        for (leaf, stored) in places.take::<LeafResult>(1).into_iter().enumerate() {
            // SAFETY: the launch is over.
            let value = unsafe { read(&operands.1, &stored[0]) }.map_err(|why| {
                let span = unit_span(&grid, unit, leaf);
                LaunchError::Codec { site: site.to_string(), span, why }
            })?;
            match &mut result {
                None => result = Some(value),
                Some(result) => combine(result, value),
            }
        }
        self.launcher.put_back(Some(scratch));
        Ok(result.unwrap_or_else(identity))
    }
}

/// The units of one leaf.
fn unit_span(grid: &Grid, unit: usize, leaf: usize) -> Span {
    let first = leaf.saturating_mul(unit);
    Span::new(grid.span(first).lo, grid.span(first.saturating_add(unit).saturating_sub(1)).hi)
}

const fn layout<O: Operand, R>() -> u64 {
    mix(mix(O::LAYOUT, Tag::Fold as u64), size_of::<R>() as u64)
}

/// Folds the leaves that this member claims.
///
/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn fold_entry<O, R, E, I, B>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: Operand,
    R: Output,
    E: Output,
    I: Fn() -> R + Copy + Send + Sync,
    B: FoldBody<O, R, E>,
{
    let identity: I = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let (operands, answers) = unsafe { open::<(O, Answers<'_>)>(context, layout::<O, R>()) }?;
    let leaves = LeafPlaces::<LeafResult>::open(context, 1)?;
    let accumulator = RefCell::new(None);
    let start = Cell::new(0);
    let end = Cell::new(0);
    context.chunks(
        |chunk| {
            let Some(_admitted) = answers.admit(chunk.index) else { return };
            let mut accumulator = accumulator.borrow_mut();
            if chunk.opens_leaf {
                *accumulator = None;
                start.set(chunk.span.lo);
            }
            end.set(chunk.span.hi);
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let view = unsafe { O::view(&operands, chunk) };
            if let Err(error) = B::run(accumulator.get_or_insert_with(identity), view) {
                answers.offer(chunk.index, chunk.span, &error);
            }
        },
        |leaf| {
            let Some(value) = accumulator.take().filter(|_| !answers.has_answer()) else { return };
            // SAFETY: the leaf was claimed by this member, and its place is written here only.
            let place = &mut unsafe { leaves.at(leaf) }[0];
            if let Err(why) = write(&answers, place, &value) {
                answers.fail(Span::new(start.get(), end.get()), &why);
            }
        },
    )?;
    answers.outcome()
}

fn write<R: Output>(answers: &AnswerPlaces, place: &mut LeafResult, value: &R) -> Result<(), String> {
    let written = answers.encoded(value, |bytes| {
        place.len_bytes = bytes.len() as u64;
        place.place = match bytemuck::bytes_of_mut(&mut place.inline).get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                0
            }
            None => answers.keep(bytes)?,
        };
        Ok(())
    });
    written.flatten()
}

/// The result of a leaf.
///
/// # Safety
/// No member is in a launch with these answers.
unsafe fn read<R: Output>(answers: &Answers<'_>, stored: &LeafResult) -> Result<R, String> {
    if stored.place != 0 {
        // SAFETY: the caller's word.
        return unsafe { answers.value(stored.place) };
    }
    let bytes = bytemuck::bytes_of(&stored.inline).get(..stored.len_bytes as usize);
    notation::read(bytes.ok_or("its place was overwritten")?).map_err(|error| error.to_string())
}
