//! Operands of a region: what its body holds for the whole region.
//!
//! # Safety
//! Handles of arrays give no access to data, except to arrays that no rank writes during the region. The
//! other operands are copies, the rank's own state, and locks, counters and the like (`grant::handle`), whose
//! contents are reached only through atomics or under the lock.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, RangeRef, Shape, SharedArray};
use crate::base::{Span, up_to_eight};
use crate::launch::error::LaunchError;
use crate::launch::grant::{ArrayWire, Captured, Located, PerWorker, describe};
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix, of, sized};
use crate::launch::operand::{Operand, Plain, Val};
use crate::launch::region::digest::{ArrayName, Key};
use crate::launch::region::ghosts::GhostRows;
use crate::launch::region::handle::{RegionMut, RegionRef};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use bytemuck::NoUninit;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::marker::PhantomData;

/// An operand of a region: `&mut array`, `&array`, slices of up to 12 arrays, plain values, [`Val`],
/// `&`[`Captured`](crate::Captured), shared locks, counters and queues, `&PerWorker`, `&mut`
/// [`Publisher`](crate::shared::Publisher), and tuples of up to 8 of these.
///
/// # Safety
/// Memory that another rank may write must be accessible through a handle only in phases, through atomics or
/// under a lock. `handle` must check every place that the wire names against its segment.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an operand of a region",
    label = "not an operand of a region",
    note = "regions take whole arrays, `&mut a` or `&a` (grants are made inside, in each phase), slices of arrays, plain values, `Val(value)`, `&Captured`, shared locks and counters, `&PerWorker`, `&mut publisher` of a snapshot and tuples of up to 8 of these"
)]
pub unsafe trait RegionOperand {
    #[doc(hidden)]
    type Wire: Copy + 'static;
    /// What the body receives.
    type Handle<'w>;
    #[doc(hidden)]
    const LAYOUT: u64;
    #[doc(hidden)]
    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError>;
    #[doc(hidden)]
    fn wire(&self) -> Self::Wire;
    /// Adds those arrays over a cluster whose ghost rows the region may have exchanged, and marks these rows as
    /// stale.
    #[doc(hidden)]
    fn ghosted(&mut self, _to: &mut Vec<GhostRows>) {}
    /// # Safety
    /// `wire` was made by [`Self::wire`] of the same type in this launch, which lasts for `'w`.
    #[doc(hidden)]
    unsafe fn handle<'w>(
        wire: &Self::Wire,
        context: &mut LaunchContext<'_>,
    ) -> Result<Self::Handle<'w>, Fault>;
}

/// The array as this region's digests name it.
fn name_of<T>(wire: &ArrayWire, context: &LaunchContext<'_>) -> ArrayName {
    ArrayName::new(Key::new(context.order.step_key), &wire.words(), size_of::<T>())
}

macro_rules! arrays {
    ($array:ty, $handle:ident, $writes:literal, $tag:ident) => {
        // SAFETY: see the module.
        unsafe impl<T: Element, D: Shape> RegionOperand for $array {
            type Wire = ArrayWire;
            type Handle<'w> = $handle<'w, T, D>;
            const LAYOUT: u64 = sized(Tag::$tag, size_of::<T>());
            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                describe(&RangeRef::of(self), "an array of a region", $writes, to)
            }
            fn wire(&self) -> ArrayWire {
                ArrayWire::of(&RangeRef::of(self))
            }
            unsafe fn handle<'w>(
                wire: &ArrayWire,
                context: &mut LaunchContext<'_>,
            ) -> Result<Self::Handle<'w>, Fault> {
                let name = name_of::<T>(wire, context);
                Ok($handle {
                    name,
                    local: Located::open(wire, context, $writes)?,
                    spare: Cell::default(),
                    life: PhantomData,
                })
            }
        }
    };
}
arrays!(&mut SharedArray<T, D>, RegionMut, true, RegionMut);
arrays!(&SharedArray<T, D>, RegionRef, false, RegionRef);

/// Largest number of arrays that one slice brings into a region.
const MOST_IN_SLICE: usize = 12;

/// A slice of arrays, possibly of different shapes (as the levels of a grid hierarchy are), becomes a vector
/// of their handles.
macro_rules! slices {
    ($slice:ty, $handle:ident, $writes:literal, $tag:ident) => {
        // SAFETY: see the module; arrays of one slice are apart, as each owns its elements.
        unsafe impl<T: Element, D: Shape> RegionOperand for $slice {
            type Wire = (u64, [ArrayWire; MOST_IN_SLICE]);
            type Handle<'w> = Vec<$handle<'w, T, D>>;
            const LAYOUT: u64 = sized(Tag::$tag, size_of::<T>());
            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                let what = "a slice of arrays of a region";
                if self.len() > MOST_IN_SLICE {
                    let why = format!(
                        "it has {} arrays, at most {MOST_IN_SLICE} travel; pass several slices",
                        self.len()
                    );
                    return Err(LaunchError::BadGrant { what, why });
                }
                self.iter().try_for_each(|array| describe(&RangeRef::of(array), what, $writes, to))
            }
            fn wire(&self) -> Self::Wire {
                let mut wires = [ArrayWire::default(); MOST_IN_SLICE];
                for (wire, array) in wires.iter_mut().zip(self.iter()) {
                    *wire = ArrayWire::of(&RangeRef::of(array));
                }
                (self.len() as u64, wires)
            }
            unsafe fn handle<'w>(
                (count, wires): &Self::Wire,
                context: &mut LaunchContext<'_>,
            ) -> Result<Self::Handle<'w>, Fault> {
                let wires = wires.get(..*count as usize);
                let wires =
                    wires.ok_or_else(|| fault(FaultKind::Corrupt, "a slice of arrays has no such length"))?;
                let open = |wire: &ArrayWire| {
                    let name = name_of::<T>(wire, context);
                    Ok($handle {
                        name,
                        local: Located::open(wire, context, $writes)?,
                        spare: Cell::default(),
                        life: PhantomData,
                    })
                };
                wires.iter().map(open).collect()
            }
        }
    };
}
slices!(&mut [SharedArray<T, D>], RegionMut, true, RegionMutSlice);
slices!(&[SharedArray<T, D>], RegionRef, false, RegionRefSlice);

macro_rules! values { ($( [$($bound:tt)*] $value:ty => $handle:ty, $tag:ident, |$this:ident| $copy:expr );* $(;)?) => { $(
    // SAFETY: a copy; no memory is shared.
    unsafe impl<$($bound)*> RegionOperand for $value {
        type Wire = $handle;
        type Handle<'w> = $handle;
        const LAYOUT: u64 = sized(Tag::$tag, size_of::<$handle>());
        fn describe(&self, _to: &mut Description<'_>) -> Result<(), LaunchError> {
            Ok(())
        }
        fn wire(&self) -> $handle {
            let $this = self;
            $copy
        }
        unsafe fn handle<'w>(wire: &$handle, _visit: &mut LaunchContext<'_>) -> Result<Self::Handle<'w>, Fault> {
            Ok(*wire)
        }
    }
)* } }
values! {
    [T: Plain] T => T, RegionPlain, |this| *this;
    [T: NoUninit + Send + Sync] Val<T> => T, RegionVal, |this| this.0;
    [] () => (), RegionNothing, |_this| ();
}

// SAFETY: the state is this rank's own, and stands among the operands once, as `Description::state` sees to.
unsafe impl<T: Send + 'static> RegionOperand for &PerWorker<T> {
    type Wire = (u64, u64);
    type Handle<'w> = &'w mut T;
    const LAYOUT: u64 = sized(Tag::RegionState, size_of::<T>());
    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        Operand::describe(self, to)
    }
    fn wire(&self) -> Self::Wire {
        Operand::wire(self)
    }
    unsafe fn handle<'w>(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<&'w mut T, Fault> {
        let whole = Chunk { span: Span::default(), index: 0, leaf: 0, opens_leaf: true };
        // SAFETY: the same wire form, of this launch, by the caller's promise; opened once for the body.
        let local = unsafe { <Self as Operand>::open(wire, context) }?;
        // SAFETY: the body is the only user in this member while it runs, and has this one view; it leads to
        // the state, not through `local`, which need not stay.
        Ok(unsafe { <Self as Operand>::view(&local, &whole) })
    }
}

// SAFETY: a shared reference to the member's own copy, which its table of states keeps until the body is
// over.
unsafe impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> RegionOperand for &Captured<T> {
    type Wire = (u64, ArrayWire);
    type Handle<'w> = &'w T;
    const LAYOUT: u64 = mix(<Self as Operand>::LAYOUT, Tag::OfRegion as u64);
    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        Operand::describe(self, to)
    }
    fn wire(&self) -> Self::Wire {
        Operand::wire(self)
    }
    unsafe fn handle<'w>(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<&'w T, Fault> {
        let whole = Chunk { span: Span::default(), index: 0, leaf: 0, opens_leaf: true };
        // SAFETY: the same wire form, of this launch, by the caller's promise.
        let local = unsafe { <Self as Operand>::open(wire, context) }?;
        // SAFETY: it leads to the member's copy, not through `local`, which need not stay.
        Ok(unsafe { <Self as Operand>::view(&local, &whole) })
    }
}

macro_rules! tuples { ($( ($($o:ident $i:tt),+) )*) => { $(
    // SAFETY: each element keeps its own promises.
    unsafe impl<$($o: RegionOperand),+> RegionOperand for ($($o,)+) {
        type Wire = ($($o::Wire,)+);
        type Handle<'w> = ($($o::Handle<'w>,)+);
        const LAYOUT: u64 = { let hash = of(Tag::RegionTuple); $( let hash = mix(hash, $o::LAYOUT); )+ hash };
        fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
            $( self.$i.describe(to)?; )+
            Ok(())
        }
        fn wire(&self) -> Self::Wire {
            ($( self.$i.wire(), )+)
        }
        fn ghosted(&mut self, to: &mut Vec<GhostRows>) {
            $( self.$i.ghosted(to); )+
        }
        unsafe fn handle<'w>(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Handle<'w>, Fault> {
            // SAFETY: element by element, by the caller's promise.
            Ok(unsafe { ($( $o::handle(&wire.$i, context)?, )+) })
        }
    }
)* } }
up_to_eight!(tuples);
