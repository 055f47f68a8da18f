//! Element-wise launches, with parameters or without.
#![deny(clippy::arithmetic_side_effects)]

use super::elements::{Elements, MapOutput};
use super::entry;
use crate::array::Element;
use crate::code::NoCapture;
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::operand::Operand;
use crate::team::orders::WireBytes;
use ndarray::Dimension;
use std::panic::Location;

/// A launch whose element-wise kernel receives parameters. Created by [`Pool::with`](crate::Pool::with) and
/// [`Launch::with`].
#[derive(Clone, Copy)]
#[must_use = "parameters alone run nothing: call map_into, fill_with, scan or a search"]
pub struct With<'p, P> {
    pub(in crate::launch) launch: Launch<'p>,
    pub(in crate::launch) parameters: P,
}

impl<'p> Launch<'p> {
    /// Passes `parameters` to an element-wise kernel. See [`Pool::with`](crate::Pool::with).
    pub fn with<P: Operand>(self, parameters: P) -> With<'p, P> {
        With { launch: self, parameters }
    }

    /// Sets every element of `out` to the kernel's result for the elements of `input` at the same place. See
    /// [`Pool::map_into`](crate::Pool::map_into).
    #[track_caller]
    pub fn map_into<U, Out, In, K>(self, out: Out, input: In, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: MapOutput<U>,
        In: Elements,
        K: Fn(In::Item) -> U + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.with(()).map(out, input, move |item, ()| kernel(item))
    }

    /// Sets every element of `out` to `kernel(index)`. The index is a number in one dimension and a tuple in
    /// more.
    #[track_caller]
    pub fn fill_with<U, Out, K>(self, out: Out, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: MapOutput<U>,
        K: Fn(<Out::Dim as Dimension>::Pattern) -> U + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.with(()).fill(out, move |index, ()| kernel(index))
    }
}

impl<P: Operand> With<'_, P>
where
    for<'w> P::View<'w>: Copy,
{
    /// Sets every element of `out` to `kernel(item, parameters)`, where `item` is the element of `input` at
    /// the same place.
    ///
    /// # Errors
    /// See [`LaunchError`]. Inputs of another shape than the output's are refused before anything runs.
    #[track_caller]
    pub fn map_into<U, Out, In, K>(self, out: Out, input: In, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: MapOutput<U>,
        In: Elements,
        K: for<'w> Fn(In::Item, P::View<'w>) -> U + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.map(out, input, kernel)
    }

    #[track_caller]
    fn map<U, Out, In, K>(self, out: Out, input: In, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: MapOutput<U>,
        In: Elements,
        K: for<'w> Fn(In::Item, P::View<'w>) -> U + Copy + Send + Sync,
    {
        let _carried_by_its_type = kernel;
        input.check_shape(out.dim().slice())?;
        let operands = (out, input, self.parameters);
        let description = self.launch.describe(&operands)?;
        let wire = operands.wire();
        let call = LaunchCall {
            entry: entry::map_entry::<U, Out, In, P, K>,
            layout: entry::map_layout::<Out, In, P>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.launch.run(&call, &description, Location::caller(), None)?;
        self.launch.launcher.put_back(scratch);
        Ok(())
    }

    /// Sets every element of `out` to `kernel(index, parameters)`. The index is a number in one dimension and
    /// a tuple in more.
    ///
    /// # Errors
    /// See [`LaunchError`].
    #[track_caller]
    pub fn fill_with<U, Out, K>(self, out: Out, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: MapOutput<U>,
        K: for<'w> Fn(<Out::Dim as Dimension>::Pattern, P::View<'w>) -> U + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.fill(out, kernel)
    }

    #[track_caller]
    fn fill<U, Out, K>(self, out: Out, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: MapOutput<U>,
        K: for<'w> Fn(<Out::Dim as Dimension>::Pattern, P::View<'w>) -> U + Copy + Send + Sync,
    {
        let _carried_by_its_type = kernel;
        let lengths = entry::lengths_of(out.dim().slice());
        let operands = (out, lengths, self.parameters);
        let description = self.launch.describe(&operands)?;
        let wire = operands.wire();
        let call = LaunchCall {
            entry: entry::fill_entry::<U, Out, P, K>,
            layout: entry::fill_layout::<Out, P>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.launch.run(&call, &description, Location::caller(), None)?;
        self.launch.launcher.put_back(scratch);
        Ok(())
    }
}
