//! The serving side: one thread or process that owns the hosted objects and carries out one call at a time.
//!
//! # Safety
//! A request names the distances of a [`CallEntry`] and of a function; both come from this same build, the
//! head's seal says that nothing was written over them since, and the entry compares the layout word with its
//! own before it uses the function.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::mailbox::{Mailbox, PIECE_BYTES, SLOTS, Turn, Visit};
use crate::base::MemberId;
use crate::code;
use crate::handle::kept;
use crate::handle::travel::{self, KeepAlive};
use crate::process::worker;
use crate::spawn::panic_note;
use bytemuck::{Pod, Zeroable};
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::cell::Cell;
use std::fmt::Pointer;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;

/// The head of a request, before the arguments.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Head {
    /// What to run: distance of a [`CallEntry`] from the anchor.
    pub(super) entry: u64,
    /// The function that it is to call.
    pub(super) function: u64,
    pub(super) layout: u64,
    /// The object; 0 for none.
    pub(super) object: u64,
    /// Checksum of the others.
    pub(super) seal: u64,
}

impl Head {
    /// The function that the head names, if it is of that type.
    ///
    /// # Safety
    /// The head was made by `Hosted`, of the same build, for the entry that calls this.
    unsafe fn function<F: Copy + Pointer + 'static>(&self) -> Option<F> {
        let is_its_type = self.layout == code::type_key::<F>();
        // SAFETY: the caller's word.
        is_its_type.then(|| unsafe { code::function_at(self.function) }).flatten()
    }

    pub(super) fn sealed(self) -> Head {
        Head { seal: code::seal_of(&[self.entry, self.function, self.layout, self.object]), ..self }
    }
}

/// First byte of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum AnswerKind {
    Value = 0,
    Panic = 1,
    BadArguments = 2,
    BadValue = 3,
    Removed = 4,
    Corrupt = 5,
}

impl AnswerKind {
    pub(super) fn of(byte: u8) -> Option<AnswerKind> {
        use AnswerKind::*;
        [Value, Panic, BadArguments, BadValue, Removed, Corrupt].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The hosted objects.
pub(super) struct Objects {
    last: u64,
    /// The member whose call is being carried out.
    caller: MemberId,
    by_id: FxHashMap<u64, Box<dyn Any>>,
}

/// The monomorphised part of a request: what it answers.
///
/// # Safety
/// Called with a head that names this entry.
pub(super) type CallEntry = unsafe fn(&mut Objects, &Head, &[u8]) -> Answer;

/// The answer to a request, and what the handles in it refer to.
pub(super) struct Answer {
    bytes: Vec<u8>,
    keep_alive: Option<KeepAlive>,
}

impl Answer {
    fn of(kind: AnswerKind, bytes: &[u8]) -> Answer {
        let mut answer = Vec::with_capacity(bytes.len().saturating_add(1));
        answer.push(kind as u8);
        answer.extend_from_slice(bytes);
        Answer { bytes: answer, keep_alive: None }
    }
}

thread_local! {
    static SERVED: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread is serving that mailbox.
pub(super) fn is_serving(mailbox: &Mailbox) -> bool {
    SERVED.get() == mailbox.key()
}

/// The progress of a call through a slot.
enum TurnStage {
    Gathering(Vec<u8>),
    Answering {
        answer: Answer,
        told: usize,
        caller: MemberId,
    },
    /// The caller has the whole answer, and opens what it refers to before it frees the slot.
    Answered {
        keep_alive: KeepAlive,
        caller: MemberId,
    },
}

impl TurnStage {
    const FRESH: TurnStage = TurnStage::Gathering(Vec::new());

    /// The slot was freed: the caller now holds something of the answer, or nothing.
    fn settle(&mut self) {
        if let TurnStage::Answered { keep_alive, caller } = std::mem::replace(self, TurnStage::FRESH) {
            kept::keep(caller, &keep_alive);
        }
    }
}

/// Serves until the mailbox is shut.
pub(super) fn serve(mailbox: &Mailbox, is_over: &AtomicBool) {
    SERVED.set(mailbox.key());
    let mut objects = Objects { last: 0, caller: MemberId::NOBODY, by_id: FxHashMap::default() };
    let mut stages: [TurnStage; SLOTS] = std::array::from_fn(|_| TurnStage::FRESH);
    mailbox.serve(is_over, |index, visit| {
        let stage = &mut stages[index];
        match visit {
            Visit::Free => stage.settle(),
            // The answer will not be opened any more.
            Visit::Abandoned => *stage = TurnStage::FRESH,
            Visit::Turn(turn) => serve_turn(&mut objects, stage, turn),
        }
    });
    stages.iter_mut().for_each(TurnStage::settle);
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

/// Takes a piece of a request, carries out a complete one, passes a piece of an answer.
fn serve_turn(objects: &mut Objects, stage: &mut TurnStage, turn: Turn<'_>) {
    if let TurnStage::Answered { .. } = stage {
        stage.settle();
    }
    let caller = turn.caller();
    if let TurnStage::Gathering(request) = stage {
        objects.caller = caller;
        let answer = match turn.take(request) {
            Some(true) => return turn.ask_more(),
            Some(false) => run(objects, request),
            None => Answer::of(AnswerKind::Corrupt, &[]),
        };
        *stage = TurnStage::Answering { answer, told: 0, caller };
    }
    let TurnStage::Answering { answer, told, .. } = stage else { return };
    let end = answer.bytes.len().min(told.saturating_add(PIECE_BYTES));
    let more = end < answer.bytes.len();
    let piece = answer.bytes.get(*told..end).unwrap_or_default().to_vec();
    *told = end;
    if !more {
        *stage = match std::mem::replace(stage, TurnStage::FRESH) {
            TurnStage::Answering { answer: Answer { keep_alive: Some(keep_alive), .. }, caller, .. } => {
                TurnStage::Answered { keep_alive, caller }
            }
            _ => TurnStage::FRESH,
        };
    }
    turn.answer(&piece, more);
}

fn run(objects: &mut Objects, request: &[u8]) -> Answer {
    let corrupt = || Answer::of(AnswerKind::Corrupt, &[]);
    let Some((head, args)) = request.split_at_checked(size_of::<Head>()) else { return corrupt() };
    let head: Head = bytemuck::pod_read_unaligned(head);
    let is_sealed = head.seal == head.sealed().seal;
    // SAFETY: the seal says that the head is as its caller made it, who put the distance of a `CallEntry`
    // there and runs the same build.
    let entry = is_sealed.then(|| unsafe { code::function_at::<CallEntry>(head.entry) }).flatten();
    let Some(entry) = entry else { return corrupt() };
    // SAFETY: the head named it.
    let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { entry(objects, &head, args) }));
    outcome
        .unwrap_or_else(|payload| Answer::of(AnswerKind::Panic, &panic_note::take(payload).told().to_bytes()))
}

/// Reads arguments, calls `then` with them, and writes down what it returns for `caller`.
fn with_args<A: DeserializeOwned, R: Serialize>(
    caller: MemberId,
    args: &[u8],
    then: impl FnOnce(A) -> R,
) -> Answer {
    // The caller keeps what they refer to, as long as anything of it is here.
    let (args, _leases) = match travel::decode::<A>(args, &mut worker::resolve) {
        Ok(read) => read,
        Err(error) => return Answer::of(AnswerKind::BadArguments, error.to_string().as_bytes()),
    };
    let value = then(args);
    match travel::encode_answer(caller, &value) {
        Ok((bytes, keep_alive)) => {
            let keep_alive = keep_alive.has_handles().then_some(keep_alive);
            Answer { keep_alive, ..Answer::of(AnswerKind::Value, &bytes) }
        }
        Err(error) => Answer::of(AnswerKind::BadValue, error.to_string().as_bytes()),
    }
}

/// Hosts what `function(args)` returns; answers its id.
///
/// # Safety
/// As [`CallEntry`].
pub(super) unsafe fn host<T: 'static, A: DeserializeOwned + 'static>(
    objects: &mut Objects,
    head: &Head,
    args: &[u8],
) -> Answer {
    // SAFETY: the head names this entry, and `Hosted` puts it beside a function of its own types alone; the
    // layout, a hash of its type, is compared as well. All members run the same build.
    let Some(make) = (unsafe { head.function::<fn(A) -> T>() }) else {
        return Answer::of(AnswerKind::Corrupt, &[]);
    };
    with_args(objects.caller, args, |args: A| {
        let object = Box::new(make(args));
        // Nobody hosts 2^64 objects.
        objects.last = objects.last.wrapping_add(1);
        objects.by_id.insert(objects.last, object);
        objects.last
    })
}

/// Calls `function(object, args)`.
///
/// # Safety
/// As [`CallEntry`].
pub(super) unsafe fn call<T, A, R>(objects: &mut Objects, head: &Head, args: &[u8]) -> Answer
where
    T: 'static,
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
{
    // SAFETY: as in `host`.
    let Some(function) = (unsafe { head.function::<fn(&mut T, A) -> R>() }) else {
        return Answer::of(AnswerKind::Corrupt, &[]);
    };
    let caller = objects.caller;
    let Some(object) = objects.by_id.get_mut(&head.object) else {
        return Answer::of(AnswerKind::Removed, &[]);
    };
    let Some(object) = object.downcast_mut::<T>() else { return Answer::of(AnswerKind::Corrupt, &[]) };
    with_args(caller, args, |args: A| function(object, args))
}

/// Drops an object.
///
/// # Safety
/// As [`CallEntry`].
pub(super) unsafe fn remove(objects: &mut Objects, head: &Head, args: &[u8]) -> Answer {
    let object = objects.by_id.remove(&head.object);
    with_args(objects.caller, args, |()| drop(object))
}
