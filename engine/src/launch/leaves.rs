//! Launches that leave one result in each leaf, for the caller to fold.
//!
//! # Safety
//! Leaves are read after a launch that succeeded, with the operands that it had.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape};
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::grant::Accumulate;
use crate::launch::member::entry::{for_each_entry, reduce_entry, reduce_layout};
use crate::launch::member::settle::Leaves;
use crate::launch::operand::Operand;
use crate::team::orders::WireBytes;
use std::panic::Location;

impl Launch<'_> {
    /// How many units the operands have.
    pub(crate) fn units<O: Operand>(
        &self,
        operands: &O,
        site: &'static Location<'static>,
    ) -> Result<usize, LaunchError> {
        let len = self.describe(operands)?.len();
        len.ok_or_else(|| LaunchError::NoLength { site: site.to_string() })
    }

    /// The kernel's results, one for each leaf. `combine` joins those of chunks within a leaf.
    pub(crate) fn leaves<O, A, K, C>(
        self,
        mut operands: O,
        kernel: K,
        combine: C,
        site: &'static Location<'static>,
    ) -> Result<Vec<A>, LaunchError>
    where
        O: Operand,
        A: Element,
        K: for<'w> Fn(O::View<'w>) -> A + Copy + Send + Sync,
        C: Fn(A, A) -> A + Copy + Send + Sync,
    {
        let _carried_by_their_types = (kernel, combine);
        let mut description = self.describe(&operands)?;
        description.leaf(size_of::<A>());
        let wire = operands.wire();
        let call = LaunchCall {
            entry: reduce_entry::<O, A, K, C>,
            layout: reduce_layout::<O, A>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, leaves) = self.run(&call, &description, site, None)?;
        let mut values = Vec::new();
        if let Some(scratch) = &scratch {
            // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
            let mut places = unsafe { Leaves::new(scratch.base(), leaves) };
            operands.settle(&mut places);
            values = places.take::<A>(1).iter().map(|leaf| leaf[0]).collect();
        }
        self.launcher.put_back(scratch);
        Ok(values)
    }

    /// What the kernel has left in the accumulator of each leaf. Folds nothing into the accumulators' array.
    pub(crate) fn accumulators<'a, O, T, D, K>(
        self,
        operands: O,
        into: Accumulate<'a, T, D>,
        kernel: K,
        site: &'static Location<'static>,
    ) -> Result<Vec<Vec<T>>, LaunchError>
    where
        O: Operand,
        T: Element,
        D: Shape,
        K: for<'w> Fn((O::View<'w>, D::ViewMut<'w, T>)) + Copy + Send + Sync,
    {
        let _carried_by_its_type = kernel;
        let mut operands = (operands, into);
        let description = self.describe(&operands)?;
        let wire = operands.wire();
        let call = LaunchCall {
            entry: for_each_entry::<(O, Accumulate<'a, T, D>), K>,
            layout: <(O, Accumulate<'a, T, D>)>::LAYOUT,
            wire: WireBytes::of(&wire),
        };
        let (scratch, leaves) = self.run(&call, &description, site, None)?;
        let mut values = Vec::new();
        if let Some(scratch) = &scratch {
            // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
            let mut places = unsafe { Leaves::new(scratch.base(), leaves) };
            operands.0.settle(&mut places);
            values = places.take::<T>(operands.1.len()).into_iter().map(<[T]>::to_vec).collect();
        }
        self.launcher.put_back(scratch);
        Ok(values)
    }
}
