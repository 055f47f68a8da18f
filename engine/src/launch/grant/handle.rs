//! Locks, counters, shared values and their like as operands.
//!
//! # Safety
//! Such a handle is an address in a segment. `locate` checks its length and alignment and, through `attach`,
//! the whole block against the segment's mapping. The operand borrows the maker's handle, which keeps the
//! block alive until no member is in the launch. What members do to each other through it is the handle's
//! responsibility: everything in the block is reached through atomics or under the lock.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::channel::{JoinableQueue, Message, Queue, Receiver, Sender, SimpleQueue};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix, sized};
use crate::launch::region::RegionOperand;
use crate::shared::{Array, Atomic, AtomicArray, AtomicElement, Item, RawArray, RawValue, SharedList, Value};
use crate::sync::place::Place;
use crate::sync::{
    Barrier, Borrowed, BoundedSemaphore, Condition, Counter, Event, Lock, RLock, Remote, RwLock, Semaphore,
    ShardedCounter, SyncWire,
};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use bytemuck::Pod;
use std::ptr::NonNull;

pub(super) const fn layout<H: Remote>() -> u64 {
    let mut hash = sized(Tag::Handle, H::ALIGN);
    let (name, mut at) = (H::WHAT.as_bytes(), 0);
    while at < name.len() {
        hash = mix(hash, name[at] as u64);
        at = at.saturating_add(1);
    }
    hash
}

fn describe<H: Remote>(handle: &H, to: &mut Description<'_>) -> Result<(), LaunchError> {
    describe_place(handle.place(), H::WHAT, to)
}

pub(super) fn describe_place(
    place: &Place,
    what: &'static str,
    to: &mut Description<'_>,
) -> Result<(), LaunchError> {
    let segment = place.segment().ok_or_else(|| LaunchError::BadGrant {
        what,
        why: "a handle that a kernel received cannot be an operand again; use it in the kernel itself".into(),
    })?;
    to.segment(segment);
    // A clone in a kernel of this process shares it.
    place.list();
    // A lost attempt may have added to the counter or changed what the lock protects.
    to.changes_in_place();
    Ok(())
}

pub(super) fn wire<H: Remote>(handle: &H) -> [u64; 3] {
    let SyncWire { segment, offset, len_bytes } = handle.wire();
    [segment, offset, len_bytes]
}

/// # Safety
/// The launch lasts for `'w`, and the wire is its own.
pub(super) unsafe fn open<'w, H: Remote>(
    wire: &[u64; 3],
    context: &mut LaunchContext<'_>,
) -> Result<Borrowed<'w, H>, Fault> {
    let (base, wire) = locate::<H>(wire, context)?;
    // SAFETY: where this process maps the block of the operand's own handle; range and alignment are checked.
    Ok(unsafe { H::from_base(base, wire) })
}

/// Where the block of such a handle is mapped in this process, after checking range and alignment.
pub(super) fn locate<H: Remote>(
    wire: &[u64; 3],
    context: &mut LaunchContext<'_>,
) -> Result<(NonNull<u8>, SyncWire), Fault> {
    let [segment, offset, len_bytes] = *wire;
    let len = usize::try_from(len_bytes).ok().filter(|&len| H::fits(len));
    let len =
        len.ok_or_else(|| fault(FaultKind::Corrupt, "a lock or counter has a length that makes no sense"))?;
    let base = context.attach(segment, offset, len, true)?;
    let base = NonNull::new(base).filter(|base| base.addr().get().is_multiple_of(H::ALIGN));
    let base = base.ok_or_else(|| fault(FaultKind::Corrupt, "a lock or counter is not aligned"))?;
    Ok((base, SyncWire { segment, offset, len_bytes }))
}

macro_rules! operands { ($( [$($bound:tt)*] $handle:ty );* $(;)?) => { $(
    // A kernel receives `&Lock<T>`, `&Counter` and so on.
    // SAFETY: see the module; handles may be shared by any number of threads and processes.
    unsafe impl<$($bound)*> Operand for &$handle {
        type Wire = [u64; 3];
        type Local = Borrowed<'static, $handle>;
        type View<'w> = &'w $handle;
        const LAYOUT: u64 = layout::<$handle>();

        fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
            describe(*self, to)
        }
        fn wire(&self) -> [u64; 3] {
            wire(*self)
        }
        unsafe fn open(wire: &[u64; 3], context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
            // SAFETY: the entry keeps it no longer than the launch.
            unsafe { open(wire, context) }
        }
        unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w $handle {
            // SAFETY: the entry keeps `local` in place until its last kernel call has returned, which is what
            // `'w` means.
            unsafe { &*std::ptr::from_ref::<$handle>(local) }
        }
    }

    // A body holds `Borrowed<Lock<T>>`, which dereferences to the lock.
    // SAFETY: see the module; nothing is reached but through atomics or under the lock.
    unsafe impl<$($bound)*> RegionOperand for &$handle {
        type Wire = [u64; 3];
        type Handle<'w> = Borrowed<'w, $handle>;
        const LAYOUT: u64 = mix(layout::<$handle>(), Tag::OfRegion as u64);

        fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
            describe(*self, to)
        }
        fn wire(&self) -> [u64; 3] {
            wire(*self)
        }
        unsafe fn handle<'w>(wire: &[u64; 3], context: &mut LaunchContext<'_>) -> Result<Borrowed<'w, $handle>, Fault> {
            // SAFETY: the launch lasts for `'w` by the caller's promise.
            unsafe { open(wire, context) }
        }
    }
)* } }
operands! {
    [T: Pod + Send] Lock<T>;
    [T: Pod + Send] RLock<T>;
    [T: Pod + Send + Sync] RwLock<T>;
    [] Semaphore;
    [] BoundedSemaphore;
    [] Event;
    [] Condition;
    [] Barrier;
    [] Counter;
    [] ShardedCounter;
    [T: Message] Queue<T>;
    [T: Message] SimpleQueue<T>;
    [T: Message] JoinableQueue<T>;
    [T: Message] Sender<T>;
    [T: Message] Receiver<T>;
    [T: Element] Value<T>;
    [T: Element] Array<T>;
    [T: Element] RawValue<T>;
    [T: Element] RawArray<T>;
    [T: AtomicElement] Atomic<T>;
    [T: AtomicElement] AtomicArray<T>;
    [T: Item] SharedList<T>;
}
