//! Both sides of a pipe as operands.
//!
//! # Safety
//! A connection consists of the handles of one or two directions, each checked like every handle (see
//! `handle`).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::handle::{describe_place, layout, locate};
use crate::channel::{Connection, Message, Receiver, Sender};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix};
use crate::launch::region::RegionOperand;
use crate::sync::{Borrowed, SyncWire};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;

/// Both directions. A direction that the connection lacks is all zeros.
type Directions = [[u64; 3]; 2];

fn directions<S: Message, R: Message>(connection: &Connection<S, R>) -> Directions {
    connection.places().map(|place| {
        place.map_or([0; 3], |place| {
            let SyncWire { segment, offset, len_bytes } = place.wire();
            [segment, offset, len_bytes]
        })
    })
}

/// # Safety
/// As for `open`.
unsafe fn open_both<'w, S: Message, R: Message>(
    [sender, receiver]: &Directions,
    context: &mut LaunchContext<'_>,
) -> Result<Borrowed<'w, Connection<S, R>>, Fault> {
    let sender = if sender[0] == 0 { None } else { Some(locate::<Sender<S>>(sender, context)?) };
    let receiver = if receiver[0] == 0 { None } else { Some(locate::<Receiver<R>>(receiver, context)?) };
    // SAFETY: where this process maps the blocks of the operand's own handle; ranges and alignments are
    // checked.
    Ok(unsafe { Connection::from_bases([sender, receiver]) })
}

// SAFETY: as for the other handles.
unsafe impl<S: Message, R: Message> Operand for &Connection<S, R> {
    type Wire = Directions;
    type Local = Borrowed<'static, Connection<S, R>>;
    type View<'w> = &'w Connection<S, R>;
    const LAYOUT: u64 = mix(layout::<Sender<S>>(), layout::<Receiver<R>>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        self.places().into_iter().flatten().try_for_each(|place| describe_place(place, "connection", to))
    }
    fn wire(&self) -> Directions {
        directions(self)
    }
    unsafe fn open(wire: &Directions, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        // SAFETY: the entry keeps it no longer than the launch.
        unsafe { open_both(wire, context) }
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w Connection<S, R> {
        // SAFETY: the entry keeps `local` in place until its last kernel call has returned, which is what
        // `'w` means.
        unsafe { &*std::ptr::from_ref::<Connection<S, R>>(local) }
    }
}

// SAFETY: as for the other handles.
unsafe impl<S: Message, R: Message> RegionOperand for &Connection<S, R> {
    type Wire = Directions;
    type Handle<'w> = Borrowed<'w, Connection<S, R>>;
    const LAYOUT: u64 = mix(<Self as Operand>::LAYOUT, Tag::OfRegion as u64);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        Operand::describe(self, to)
    }
    fn wire(&self) -> Directions {
        directions(self)
    }
    unsafe fn handle<'w>(
        wire: &Directions,
        context: &mut LaunchContext<'_>,
    ) -> Result<Self::Handle<'w>, Fault> {
        // SAFETY: the launch lasts for `'w` by the caller's promise.
        unsafe { open_both(wire, context) }
    }
}
