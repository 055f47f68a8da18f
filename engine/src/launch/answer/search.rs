//! Launches that look for something, and end early when it is found.
//!
//! # Safety
//! Answers are read after a launch that succeeded.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::{Output, Span};
use crate::code::{NoCapture, conjure};
use crate::launch::answer::answers::Answers;
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::element_wise::{Elements, With};
use crate::launch::error::LaunchError;
use crate::launch::member::entry::open;
use crate::launch::member::settle::Leaves;
use crate::launch::operand::Operand;
use crate::launch::operand::tag::{Tag, mix};
use crate::team::current;
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use crate::team::orders::WireBytes;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::Location;

/// Elements of a chunk between two looks at whether anybody needs its answer.
const LOOK_EVERY: usize = 4096;

/// Where among a chunk's elements the first stands for which `predicate` holds. `None` also if the answer is
/// not needed any more: a lower chunk has one, or the launch is to end.
fn position<X: Elements>(view: X::View<'_>, predicate: impl Fn(X::Item) -> bool) -> Option<usize> {
    let len = X::count(&view);
    let lanes = X::lanes(view, len);
    let (mut lo, mut hi) = (0, len.min(LOOK_EVERY));
    loop {
        let found = (lo..hi).find(|index| predicate(X::at(lanes, *index)));
        if found.is_some() || hi == len || current::is_cancelled() {
            return found;
        }
        (lo, hi) = (hi, hi.saturating_add(LOOK_EVERY).min(len));
    }
}

/// What a search does with one chunk, as a type: kernels travel by their type.
pub(super) trait SearchBody<O: Operand, A> {
    /// Whether any answer will do, so that all other chunks may be skipped.
    const ANY: bool = false;
    fn run(view: O::View<'_>) -> Option<A>;
}

/// A kernel that looks through a chunk.
struct FindMap<K>(PhantomData<K>);
/// A predicate, asked for each element: where it first holds.
struct Position<K>(PhantomData<K>);
/// A predicate, asked for each element: whether it is ever as the flag says.
struct Any<K, const WANTED: bool>(PhantomData<K>);

impl<O: Operand, A, K> SearchBody<O, A> for FindMap<K>
where
    K: for<'w> Fn(O::View<'w>) -> Option<A> + Copy + Send + Sync,
{
    fn run(view: O::View<'_>) -> Option<A> {
        conjure::<K>()(view)
    }
}

impl<X, P, K> SearchBody<(X, Range<usize>, P), usize> for Position<K>
where
    X: Elements,
    P: Operand,
    for<'w> P::View<'w>: Copy,
    K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
{
    fn run((view, indices, parameters): (X::View<'_>, Range<usize>, P::View<'_>)) -> Option<usize> {
        // Elements of a row.
        let row = X::count(&view).checked_div(indices.len()).unwrap_or(0);
        let first = indices.start.saturating_mul(row);
        let found = position::<X>(view, |element| conjure::<K>()(element, parameters));
        found.map(|position| first.saturating_add(position))
    }
}

impl<X, P, K, const WANTED: bool> SearchBody<(X, P), ()> for Any<K, WANTED>
where
    X: Elements,
    P: Operand,
    for<'w> P::View<'w>: Copy,
    K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
{
    const ANY: bool = true;
    fn run((view, parameters): (X::View<'_>, P::View<'_>)) -> Option<()> {
        position::<X>(view, |element| conjure::<K>()(element, parameters) == WANTED).map(|_| ())
    }
}

impl Launch<'_> {
    /// Returns the answer of the lowest chunk that has one. See
    /// [`Pool::find_map_first`](crate::Pool::find_map_first).
    #[track_caller]
    pub fn find_map_first<O, A, K>(self, operands: O, kernel: K) -> Result<Option<A>, LaunchError>
    where
        O: Operand,
        A: Output,
        K: for<'w> Fn(O::View<'w>) -> Option<A> + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let _carried_by_its_type = kernel;
        let found = self.search::<O, A, FindMap<K>>(&mut { operands }, Location::caller())?;
        Ok(found.map(|(_, answer)| answer))
    }

    /// Returns the position of the first element for which `predicate` holds. See
    /// [`Pool::position_first`](crate::Pool::position_first).
    #[track_caller]
    pub fn position_first<X, K>(self, elements: X, predicate: K) -> Result<Option<usize>, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        Ok(self.with(()).position(elements, move |element, ()| predicate(element), Location::caller())?.1)
    }

    /// Returns the first element for which `predicate` holds. See
    /// [`Pool::find_first`](crate::Pool::find_first).
    #[track_caller]
    pub fn find_first<X, K>(self, elements: X, predicate: K) -> Result<Option<X::Item>, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.with(()).first(elements, move |element, ()| predicate(element), Location::caller())
    }

    /// Returns whether `predicate` holds for any element. See [`Pool::any`](crate::Pool::any).
    #[track_caller]
    pub fn any<X, K>(self, elements: X, predicate: K) -> Result<bool, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let kernel = move |element, ()| predicate(element);
        self.with(()).found::<X, _, true>(elements, kernel, Location::caller())
    }

    /// Returns whether `predicate` holds for all elements. See [`Pool::all`](crate::Pool::all).
    #[track_caller]
    pub fn all<X, K>(self, elements: X, predicate: K) -> Result<bool, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let kernel = move |element, ()| predicate(element);
        Ok(!self.with(()).found::<X, _, false>(elements, kernel, Location::caller())?)
    }

    /// Runs chunks until the lowest answer is known. Returns it with its chunk's units.
    pub(super) fn search<O, A, B>(
        self,
        operands: &mut O,
        site: &'static Location<'static>,
    ) -> Result<Option<(Span, A)>, LaunchError>
    where
        O: Operand,
        A: Output,
        B: SearchBody<O, A>,
    {
        let spill = self.launcher.spill()?;
        let answers = Answers(&spill);
        let mut description = self.describe(operands)?;
        answers.describe(&mut description)?;
        let (grid, _) = description.grid(self.options.chunk, site)?;
        let wire = (operands.wire(), answers.wire());
        let call = LaunchCall {
            entry: search_entry::<O, A, B>,
            layout: layout::<O, A>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, leaves) = self.run(&call, &description, site, None)?;
        // SAFETY: the launch is over.
        let found = unsafe { answers.lowest(&grid, site) }?;
        if let Some(scratch) = scratch.as_ref().filter(|_| found.is_none()) {
            // All chunks were run.
            // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
            operands.settle(&mut unsafe { Leaves::new(scratch.base(), leaves) });
        }
        self.launcher.put_back(scratch);
        Ok(found)
    }
}

impl<P: Operand> With<'_, P>
where
    for<'w> P::View<'w>: Copy,
{
    /// Returns the position of the first element for which `predicate(element, parameters)` holds. Otherwise
    /// as [`Pool::position_first`](crate::Pool::position_first).
    ///
    /// # Errors
    /// See [`LaunchError`].
    #[track_caller]
    pub fn position_first<X, K>(self, elements: X, predicate: K) -> Result<Option<usize>, LaunchError>
    where
        X: Elements,
        K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        Ok(self.position(elements, predicate, Location::caller())?.1)
    }

    /// Returns the first element for which `predicate(element, parameters)` holds. Otherwise as
    /// [`Pool::find_first`](crate::Pool::find_first).
    ///
    /// # Errors
    /// See [`LaunchError`].
    #[track_caller]
    pub fn find_first<X, K>(self, elements: X, predicate: K) -> Result<Option<X::Item>, LaunchError>
    where
        X: Elements,
        K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.first(elements, predicate, Location::caller())
    }

    /// Returns whether `predicate(element, parameters)` holds for any element. Otherwise as
    /// [`Pool::any`](crate::Pool::any).
    ///
    /// # Errors
    /// See [`LaunchError`].
    #[track_caller]
    pub fn any<X, K>(self, elements: X, predicate: K) -> Result<bool, LaunchError>
    where
        X: Elements,
        K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.found::<X, K, true>(elements, predicate, Location::caller())
    }

    /// Returns whether `predicate(element, parameters)` holds for all elements. Otherwise as
    /// [`Pool::all`](crate::Pool::all).
    ///
    /// # Errors
    /// See [`LaunchError`].
    #[track_caller]
    pub fn all<X, K>(self, elements: X, predicate: K) -> Result<bool, LaunchError>
    where
        X: Elements,
        K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        Ok(!self.found::<X, K, false>(elements, predicate, Location::caller())?)
    }

    /// The elements, and the position of the first for which the predicate holds.
    fn position<X, K>(
        self,
        elements: X,
        predicate: K,
        site: &'static Location<'static>,
    ) -> Result<(X, Option<usize>), LaunchError>
    where
        X: Elements,
        K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
    {
        let _carried_by_its_type = predicate;
        let rows = elements.checked_rows()?;
        let mut operands = (elements, 0..rows, self.parameters);
        let found = self.launch.search::<_, usize, Position<K>>(&mut operands, site)?;
        Ok((operands.0, found.map(|(_, position)| position)))
    }

    fn first<X, K>(
        self,
        elements: X,
        predicate: K,
        site: &'static Location<'static>,
    ) -> Result<Option<X::Item>, LaunchError>
    where
        X: Elements,
        K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
    {
        let (elements, position) = self.position(elements, predicate, site)?;
        Ok(position.and_then(|position| elements.get(position)))
    }

    /// Whether the predicate is as wanted for any element.
    fn found<X, K, const WANTED: bool>(
        self,
        elements: X,
        predicate: K,
        site: &'static Location<'static>,
    ) -> Result<bool, LaunchError>
    where
        X: Elements,
        K: for<'w> Fn(X::Item, P::View<'w>) -> bool + Copy + Send + Sync,
    {
        let _carried_by_its_type = predicate;
        elements.checked_rows()?;
        let mut operands = (elements, self.parameters);
        Ok(self.launch.search::<_, (), Any<K, WANTED>>(&mut operands, site)?.is_some())
    }
}

const fn layout<O: Operand, A>() -> u64 {
    mix(mix(O::LAYOUT, Tag::Search as u64), size_of::<A>() as u64)
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn search_entry<O, A, B>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    O: Operand,
    A: Output,
    B: SearchBody<O, A>,
{
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let (operands, answers) = unsafe { open::<(O, Answers<'_>)>(context, layout::<O, A>()) }?;
    context.chunks(
        |chunk| {
            // Where any answer will do it is that of chunk 0, and all others are above it.
            let place = chunk.index.saturating_add(B::ANY.into());
            let Some(_admitted) = answers.admit(place) else { return };
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            if let Some(answer) = B::run(unsafe { O::view(&operands, chunk) }) {
                answers.offer(if B::ANY { 0 } else { chunk.index }, chunk.span, &answer);
            }
        },
        |_| (),
    )?;
    answers.outcome()
}
