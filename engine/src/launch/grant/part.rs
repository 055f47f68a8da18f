//! `split_at`: parts with given boundaries.
//!
//! # Safety
//! The driver checked that the boundaries ascend inside the array. Members read them from memory that other
//! members could write, so each pair is range-checked again when it is used.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::{reading_grants, writing_grants};
use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRef, RangeRefMut, Shape, SharedArray, rows};
use crate::base::Span;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::memory::AllocError;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use ndarray::Ix1;

type Bounds = Result<SharedArray<u64, Ix1>, String>;

/// Read-only parts with given boundaries. Returned by [`split_at`](crate::SharedArray::split_at).
pub struct Parts<'a, T, D>(RangeRef<'a, T, D>, Bounds);
/// Writable parts with given boundaries. Returned by [`split_at_mut`](crate::SharedArray::split_at_mut).
pub struct PartsMut<'a, T, D>(RangeRefMut<'a, T, D>, Bounds);

reading_grants! {
    Element;

    /// Grants each kernel call read access to one part. Part `i` holds rows `offsets[i]..offsets[i + 1]`.
    ///
    /// Each part is one chunk. Other operands that are split in the same launch must have as many units as
    /// there are parts. Offsets must ascend and stay inside the array, which the launch checks. Parts may be
    /// empty.
    fn split_at(part, offsets: &[usize]) -> Parts {
        Parts(part, share(offsets))
    }
}

writing_grants! {
    Element;

    /// Like [`Self::split_at`], for reading and writing.
    fn split_at_mut(part, offsets: &[usize]) -> PartsMut {
        PartsMut(part, share(offsets))
    }
}

fn share(offsets: &[usize]) -> Bounds {
    SharedArray::from_fn(offsets.len(), |index| offsets[index] as u64)
        .map_err(|error: AllocError| error.to_string())
}

/// The boundaries, if they make sense for `have` rows.
fn check(bounds: &Bounds, have: usize, what: &'static str) -> Result<usize, LaunchError> {
    let bad = |why: String| LaunchError::BadGrant { what, why };
    let bounds = bounds.as_ref().map_err(|why| bad(why.clone()))?.as_slice();
    let (Some(last), Some(parts)) = (bounds.last(), bounds.len().checked_sub(1)) else {
        return Err(bad("offsets must hold at least one boundary; n parts have n + 1".into()));
    };
    let falls = |pair: &(usize, &[u64])| pair.1[0] > pair.1[1];
    if let Some((at, pair)) = bounds.windows(2).enumerate().find(falls) {
        let (this, next) = (pair[0], pair[1]);
        return Err(bad(format!("offsets must ascend, but offset {at} is {this} and the next {next}")));
    }
    if *last > have as u64 {
        return Err(bad(format!("the last offset is {last}, outside an array of {have} rows")));
    }
    Ok(parts)
}

macro_rules! parts {
    ($grant:ident, $name:literal, $writes:literal, $view:ident, $make:ident) => {
        // SAFETY: see the module.
        unsafe impl<T: Element, D: Shape> Operand for $grant<'_, T, D> {
            type Wire = (ArrayWire, ArrayWire);
            type Local = (Located<T, D>, Located<u64, Ix1>);
            type View<'w> = D::$view<'w, T>;
            const LAYOUT: u64 = sized(Tag::$grant, size_of::<T>());

            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                describe(self.0.part(), $name, $writes, to)?;
                to.length(check(&self.1, rows(self.0.part().raw_dim()), $name)?, $name)?;
                to.parts($name);
                to.unit_bytes(self.0.part().row_bytes());
                if let Ok(bounds) = &self.1 {
                    to.segment(bounds.segment());
                }
                if $writes {
                    to.changes_in_place();
                }
                Ok(())
            }
            fn wire(&self) -> Self::Wire {
                (
                    ArrayWire::of(self.0.part()),
                    self.1.as_ref().map(|bounds| ArrayWire::of(&RangeRef::of(bounds))).unwrap_or_default(),
                )
            }
            unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
                let bounds = Located::<u64, Ix1>::open(&wire.1, context, false)?;
                let parts = bounds.rows().checked_sub(1);
                context.check_rows(
                    parts.ok_or_else(|| fault(FaultKind::Corrupt, "an operand has no boundaries"))?,
                )?;
                Ok((Located::open(&wire.0, context, $writes)?, bounds))
            }
            unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
                // SAFETY: `check_rows` found one more boundary than there are chunks.
                let boundary = |index: usize| unsafe { local.1.base.add(index).read() };
                let (lo, hi) = (boundary(chunk.index), boundary(chunk.index.wrapping_add(1)));
                assert!(
                    lo <= hi && hi <= local.0.rows() as u64,
                    "the boundaries of a split_at operand were overwritten"
                );
                // SAFETY: inside the array, as asserted above; parts are disjoint, since the driver found all
                // boundaries ascending, and no safe code can reach them since (one pair alone shows nothing).
                unsafe { D::$make(local.0.base, &local.0.dim, Span::new(lo as usize, hi as usize)) }
            }
        }
    };
}
parts!(Parts, "a split_at() array", false, View, view_rows);
parts!(PartsMut, "a split_at_mut() array", true, ViewMut, view_rows_mut);
