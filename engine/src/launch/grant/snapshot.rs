//! Publishers and snapshots as operands.
//!
//! # Safety
//! Both consist of handles, each checked like every handle (see `handle`). What members do to each other
//! through them is up to these: elements are moved by atomics.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::MAX_AXES;
use super::handle::{describe_place, locate};
use crate::array::{Element, Shape};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix, sized};
use crate::launch::region::{RegionOperand, RegionPublisher};
use crate::shared::snapshot::{Frame, OBJECTS};
use crate::shared::{Publisher, RawArray, RawValue, Snapshot};
use crate::sync::place::Place;
use crate::sync::{Borrowed, Condition, RwLock, SyncWire};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use std::ptr::NonNull;

/// The objects, the number of axes, and their lengths.
type Wire = ([[u64; 3]; OBJECTS], u64, [u64; MAX_AXES]);

fn describe(places: [&Place; OBJECTS], axes: usize, to: &mut Description<'_>) -> Result<(), LaunchError> {
    let what = "snapshot";
    if axes == 0 || axes > MAX_AXES {
        return Err(LaunchError::BadGrant { what, why: "those of 1 to 6 axes can be operands".into() });
    }
    places.into_iter().try_for_each(|place| describe_place(place, what, to))
}

fn wire(places: [&Place; OBJECTS], shape: &[usize]) -> Wire {
    let objects = places.map(|place| {
        let SyncWire { segment, offset, len_bytes } = place.wire();
        [segment, offset, len_bytes]
    });
    let mut lengths = [1; MAX_AXES];
    lengths.iter_mut().zip(shape).for_each(|(to, from)| *to = *from as u64);
    (objects, shape.len() as u64, lengths)
}

/// Where the objects are mapped here, after checking range and alignment of each.
fn located<T: Element>(
    objects: &[[u64; 3]; OBJECTS],
    context: &mut LaunchContext<'_>,
) -> Result<[(NonNull<u8>, SyncWire); OBJECTS], Fault> {
    let [elements, a, b, c, latest, published] = objects;
    Ok([
        locate::<RawArray<T>>(elements, context)?,
        locate::<RwLock<Frame>>(a, context)?,
        locate::<RwLock<Frame>>(b, context)?,
        locate::<RwLock<Frame>>(c, context)?,
        locate::<RawValue<u64>>(latest, context)?,
        locate::<Condition>(published, context)?,
    ])
}

/// The lengths of the axes; those of no array if there are too many.
fn shape((_, axes, lengths): &Wire) -> Vec<usize> {
    lengths.iter().take(*axes as usize).map(|length| *length as usize).collect()
}

fn misshapen() -> Fault {
    fault(FaultKind::Corrupt, "the shape of a snapshot makes no sense")
}

const fn layout<T>(tag: Tag) -> u64 {
    mix(sized(Tag::Snapshot, size_of::<T>()), tag as u64)
}

/// # Safety
/// As for `open`.
unsafe fn open_snapshot<'w, T: Element, D: Shape>(
    wire: &Wire,
    context: &mut LaunchContext<'_>,
) -> Result<Borrowed<'w, Snapshot<T, D>>, Fault> {
    let bases = located::<T>(&wire.0, context)?;
    // SAFETY: where this process maps the blocks of the operand's own handle; ranges and alignments are
    // checked.
    unsafe { Snapshot::from_bases(bases, &shape(wire)) }.ok_or_else(misshapen)
}

// SAFETY: as for the other handles.
unsafe impl<T: Element, D: Shape> Operand for &Snapshot<T, D> {
    type Wire = Wire;
    type Local = Borrowed<'static, Snapshot<T, D>>;
    type View<'w> = &'w Snapshot<T, D>;
    const LAYOUT: u64 = layout::<T>(Tag::Handle);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(self.places(), self.shape().len(), to)
    }
    fn wire(&self) -> Wire {
        wire(self.places(), self.shape())
    }
    unsafe fn open(wire: &Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        // SAFETY: the entry keeps it no longer than the launch.
        unsafe { open_snapshot(wire, context) }
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w Snapshot<T, D> {
        // SAFETY: the entry keeps `local` in place until its last kernel call has returned, which is what
        // `'w` means.
        unsafe { &*std::ptr::from_ref::<Snapshot<T, D>>(local) }
    }
}

// SAFETY: as for the other handles.
unsafe impl<T: Element, D: Shape> RegionOperand for &Snapshot<T, D> {
    type Wire = Wire;
    type Handle<'w> = Borrowed<'w, Snapshot<T, D>>;
    const LAYOUT: u64 = layout::<T>(Tag::OfRegion);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        Operand::describe(self, to)
    }
    fn wire(&self) -> Wire {
        Operand::wire(self)
    }
    unsafe fn handle<'w>(wire: &Wire, context: &mut LaunchContext<'_>) -> Result<Self::Handle<'w>, Fault> {
        // SAFETY: the launch lasts for `'w` by the caller's promise.
        unsafe { open_snapshot(wire, context) }
    }
}

// SAFETY: as for the other handles.
unsafe impl<T: Element, D: Shape> RegionOperand for &mut Publisher<T, D> {
    type Wire = Wire;
    type Handle<'w> = RegionPublisher<'w, T, D>;
    const LAYOUT: u64 = layout::<T>(Tag::RegionMut);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(self.places(), self.shape().len(), to)
    }
    fn wire(&self) -> Wire {
        wire(self.places(), self.shape())
    }
    unsafe fn handle<'w>(wire: &Wire, context: &mut LaunchContext<'_>) -> Result<Self::Handle<'w>, Fault> {
        let bases = located::<T>(&wire.0, context)?;
        // SAFETY: where this process maps the blocks of the operand's own handle; ranges and alignments are
        // checked; the launch lasts for `'w` by the caller's promise.
        let publisher = unsafe { Publisher::from_bases(bases, &shape(wire)) };
        publisher.map(RegionPublisher::new).ok_or_else(misshapen)
    }
}
