//! The serving side: one thread, or process, that owns the hosted objects and works on one call at a time.
//!
//! # Safety
//! A request names the distances of an [`Entry`] and of a function; both come from this same build, and the entry compares
//! the layout word with its own before it uses the function.
#![allow(unsafe_code)]

use super::desk::{Desk, PIECE_BYTES, SLOTS, Visit};
use crate::memory::travel;
use crate::team::{assignment, panic_note, text};
use bytemuck::{Pod, Zeroable};
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What stands before the arguments in a request.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Head {
    /// What to run: distance of an [`Entry`] from the anchor.
    pub(super) entry: u64,
    /// The function that it is to call.
    pub(super) function: u64,
    pub(super) layout: u64,
    /// The object; 0 for none.
    pub(super) object: u64,
}

/// First byte of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Value = 0,
    /// The same, and the object has kept handles that came with the arguments.
    KeptValue = 1,
    Panic = 2,
    BadArguments = 3,
    BadValue = 4,
    Removed = 5,
    Corrupt = 6,
}

impl Kind {
    pub(super) fn of(byte: u8) -> Option<Kind> {
        use Kind::*;
        [Value, KeptValue, Panic, BadArguments, BadValue, Removed, Corrupt]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The hosted objects.
#[derive(Default)]
pub(super) struct Objects {
    last: u64,
    by_id: FxHashMap<u64, Box<dyn Any>>,
}

/// The monomorphised part of a request: what it answers.
///
/// # Safety
/// Called with a head that names this entry.
pub(super) type Entry = unsafe fn(&mut Objects, &Head, &[u8]) -> Vec<u8>;

thread_local! {
    static SERVED: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread is serving that desk.
pub(super) fn is_serving(desk: &Desk) -> bool {
    SERVED.get() == desk.key()
}

/// A call on its way through a slot.
enum Stage {
    Gathering(Vec<u8>),
    Answering { answer: Vec<u8>, told: usize },
}

/// Serves until the desk is shut.
pub(super) fn serve(desk: &Desk) {
    SERVED.set(desk.key());
    let mut objects = Objects::default();
    let mut stages: [Stage; SLOTS] = std::array::from_fn(|_| Stage::Gathering(Vec::new()));
    desk.serve(|index, visit| {
        let Visit::Turn(turn) = visit else {
            stages[index] = Stage::Gathering(Vec::new());
            return;
        };
        let stage = &mut stages[index];
        if let Stage::Gathering(request) = stage {
            let answer = match turn.take(request) {
                Some(true) => return turn.ask_more(),
                Some(false) => run(&mut objects, request),
                None => vec![Kind::Corrupt as u8],
            };
            *stage = Stage::Answering { answer, told: 0 };
        }
        let Stage::Answering { answer, told } = stage else { return };
        let end = answer.len().min(*told + PIECE_BYTES);
        let (piece, more) = (&answer[*told..end], end < answer.len());
        let told_now = std::mem::replace(told, end);
        debug_assert!(told_now <= end);
        turn.answer(piece, more);
        if !more {
            *stage = Stage::Gathering(Vec::new());
        }
    });
    for object in objects.by_id.into_values() {
        // Its destructor is the program's code, and must not keep the others from theirs.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(object))) {
            let fault = panic_note::take(payload);
            tracing::error!(
                location = fault.location,
                "the drop of a hosted object panicked: {}",
                fault.message
            );
        }
    }
    SERVED.set(0);
}

fn run(objects: &mut Objects, request: &[u8]) -> Vec<u8> {
    let corrupt = || vec![Kind::Corrupt as u8];
    let Some((head, args)) = request.split_at_checked(size_of::<Head>()) else { return corrupt() };
    let head: Head = bytemuck::pod_read_unaligned(head);
    let Some(entry) = text::address_of(head.entry) else { return corrupt() };
    // SAFETY: the caller sent the distance of an `Entry` of this same build.
    let entry = unsafe { std::mem::transmute::<usize, Entry>(entry) };
    // SAFETY: the head named it.
    let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { entry(objects, &head, args) }));
    outcome.unwrap_or_else(|payload| {
        let fault = panic_note::take(payload);
        let texts = (fault.message, fault.location);
        told(Kind::Panic, &postcard::to_stdvec(&texts).unwrap_or_default())
    })
}

fn told(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::with_capacity(1 + bytes.len());
    answer.push(kind as u8);
    answer.extend_from_slice(bytes);
    answer
}

/// Reads arguments, calls `then` with them, and writes down what it returns.
fn with_args<A: DeserializeOwned, R: Serialize>(args: &[u8], then: impl FnOnce(A) -> R) -> Vec<u8> {
    let (args, leases) = match travel::decode::<A>(args, &mut assignment::resolve) {
        Ok(read) => read,
        Err(error) => return told(Kind::BadArguments, error.to_string().as_bytes()),
    };
    let value = then(args);
    // Nobody would keep what handles in an answer lead to.
    match travel::encode(&value) {
        Ok((bytes, _)) if travel::has_handles(&bytes) => {
            told(Kind::BadValue, b"handles of shared objects do not come back from a manager")
        }
        Ok((bytes, _)) => told(if leases.alive() > 0 { Kind::KeptValue } else { Kind::Value }, &bytes),
        Err(error) => told(Kind::BadValue, error.to_string().as_bytes()),
    }
}

/// Hosts what `function(args)` returns; answers its id.
///
/// # Safety
/// As [`Entry`].
pub(super) unsafe fn host<T: 'static, A: DeserializeOwned>(
    objects: &mut Objects,
    head: &Head,
    args: &[u8],
) -> Vec<u8> {
    let function = text::address_of(head.function);
    let Some(function) = function.filter(|_| head.layout == text::layout_of::<fn(A) -> T>()) else {
        return vec![Kind::Corrupt as u8];
    };
    // SAFETY: the layout agrees, so the caller sent the distance of such a function of the same build.
    let make = unsafe { std::mem::transmute::<usize, fn(A) -> T>(function) };
    with_args(args, |args: A| {
        let object = Box::new(make(args));
        objects.last += 1;
        objects.by_id.insert(objects.last, object);
        objects.last
    })
}

/// Calls `function(object, args)`.
///
/// # Safety
/// As [`Entry`].
pub(super) unsafe fn call<T: 'static, A: DeserializeOwned, R: Serialize>(
    objects: &mut Objects,
    head: &Head,
    args: &[u8],
) -> Vec<u8> {
    let function = text::address_of(head.function);
    let Some(function) = function.filter(|_| head.layout == text::layout_of::<fn(&mut T, A) -> R>()) else {
        return vec![Kind::Corrupt as u8];
    };
    // SAFETY: the layout agrees, so the caller sent the distance of such a function of the same build.
    let function = unsafe { std::mem::transmute::<usize, fn(&mut T, A) -> R>(function) };
    let Some(object) = objects.by_id.get_mut(&head.object) else { return vec![Kind::Removed as u8] };
    let Some(object) = object.downcast_mut::<T>() else { return vec![Kind::Corrupt as u8] };
    with_args(args, |args: A| function(object, args))
}

/// Drops an object.
///
/// # Safety
/// As [`Entry`].
pub(super) unsafe fn remove(objects: &mut Objects, head: &Head, args: &[u8]) -> Vec<u8> {
    let object = objects.by_id.remove(&head.object);
    with_args(args, |()| drop(object))
}
