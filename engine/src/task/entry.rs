//! The member's part of a task: decode each item, call the function, leave its result.
//!
//! # Safety
//! An entry is called with the bytes of a task that names it. Driver and member run the same build, and the entry compares
//! the task's layout with its own before it looks at the bytes. A function's address is that of a `fn(A) -> R` with the
//! entry's own `A` and `R`, since only [`Body::pointer`] puts the two together.
#![allow(unsafe_code)]

use crate::base::atomic::Ordering;
use crate::memory::travel;
use crate::sys::clock::ticks;
use crate::task::board::Slot;
use crate::task::codec::{self, WriteError};
use crate::task::error::{ItemFault, ItemFaultKind};
use crate::team::member::Segments;
use crate::team::panic_note;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// What may be an argument of a task: any serde type that owns its data, numbers at the cost of a copy.
pub trait Argument: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {}

/// What may be the result of a task: as [`Argument`].
pub trait Output: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> Output for T {}

/// One task as its entry sees it.
pub(crate) struct Call<'a, 'm> {
    pub(crate) slot: &'a Slot,
    pub(crate) arguments: &'a [u8],
    pub(crate) results: Results<'a>,
    /// Address of the function, 0 if the entry knows it.
    pub(crate) function: usize,
    pub(crate) items: usize,
    pub(crate) is_timed: bool,
    /// Name of the message that the arguments are, 0 where no handle is among them.
    pub(crate) token: u64,
    /// Where this member finds what handles lead to.
    pub(crate) segments: &'m mut dyn Segments,
    /// Handles that were unpacked.
    pub(crate) leases: Vec<travel::Leases>,
}

impl Call<'_, '_> {
    /// Reads an argument, with the handles in it.
    #[inline]
    fn read<'b, A: Argument>(&mut self, bytes: &'b [u8]) -> Result<(A, &'b [u8]), String> {
        if self.token == 0 { codec::read(bytes) } else { self.unpack(bytes) }
    }

    #[cold]
    fn unpack<'b, A: Argument>(&mut self, bytes: &'b [u8]) -> Result<(A, &'b [u8]), String> {
        let segments = &mut *self.segments;
        let mut resolver = |id: u64, writable: bool| {
            let extent = segments.attach(id, writable)?;
            let base = NonNull::new(extent.base).ok_or("it is mapped nowhere")?;
            Ok((base, extent.len_bytes))
        };
        let (read, leases) = travel::unpack(self.token, &mut resolver, || codec::read(bytes));
        self.leases.push(leases);
        read
    }
}

/// Results on their way to the driver: into the room that the task came with, or, where that is too small, into
/// memory of the member's own.
pub(crate) struct Results<'a> {
    pub(crate) room: &'a mut [u8],
    pub(crate) len: usize,
    pub(crate) spilled: Option<Vec<u8>>,
    pub(crate) faults: Vec<ItemFault>,
}

impl<'a> Results<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Results<'a> {
        Results { room, len: 0, spilled: None, faults: Vec::new() }
    }

    #[inline]
    fn push<R: Serialize + 'static>(&mut self, value: &R) -> Result<(), String> {
        if self.spilled.is_none() {
            match codec::write(value, &mut self.room[self.len..]) {
                Ok(used) => {
                    self.len += used;
                    return Ok(());
                }
                Err(WriteError::Refused(why)) => return Err(why),
                Err(WriteError::NoRoom) => self.spilled = Some(self.room[..self.len].to_vec()),
            }
        }
        let bytes = self.spilled.get_or_insert_default();
        codec::append(value, bytes)?;
        self.len = bytes.len();
        Ok(())
    }

    /// Writes a number where it fits; false, and nothing done, if it is none, or does not.
    #[inline(always)]
    fn push_number<R: Serialize + 'static>(&mut self, outcome: &std::thread::Result<R>) -> bool {
        let Ok(value) = outcome else { return false };
        if !codec::is_plain::<R>() || self.spilled.is_some() {
            return false;
        }
        let written = self.room.get_mut(self.len..).map(|room| codec::write(value, room));
        if let Some(Ok(used)) = written {
            self.len += used;
        }
        matches!(written, Some(Ok(_)))
    }

    /// In the place of a result that there is none of.
    fn pass_over<R: 'static>(&mut self) {
        if codec::is_plain::<R>() {
            self.push_bytes(&[0; 16][..size_of::<R>()]);
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        if self.spilled.is_none() && self.room.len() - self.len < bytes.len() {
            self.spilled = Some(self.room[..self.len].to_vec());
        }
        match &mut self.spilled {
            Some(spilled) => spilled.extend_from_slice(bytes),
            None => self.room[self.len..self.len + bytes.len()].copy_from_slice(bytes),
        }
        self.len += bytes.len();
    }

    /// Appends the faults behind the results.
    pub(crate) fn close(&mut self) -> u32 {
        for fault in std::mem::take(&mut self.faults).iter() {
            let mut bytes = Vec::new();
            // Strings and numbers into memory: nothing to refuse.
            let _cannot_fail = codec::append(fault, &mut bytes);
            self.push_bytes(&bytes);
        }
        self.len as u32
    }
}

/// The monomorphised part of a task.
///
/// # Safety
/// Called by the member that claimed the task, with the bytes it came with.
pub(crate) type TaskEntry = unsafe fn(&mut Call<'_, '_>);

/// What is to be run: the entry and the function, as addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) entry: TaskEntry,
    pub(crate) function: usize,
    pub(crate) layout: u64,
}

impl Body {
    /// A function that is given as a value.
    pub(crate) fn pointer<A: Argument, R: Output>(function: fn(A) -> R) -> Body {
        Body {
            entry: run_items::<A, R, Pointer<A, R>>,
            function: function as usize,
            layout: codec::layout_of::<A, R>(),
        }
    }

    /// A function that its type names.
    pub(crate) fn by_type<A: Argument, R: Output, I: Invoke<A, R>>() -> Body {
        Body { entry: run_items::<A, R, I>, function: 0, layout: codec::layout_of::<A, R>() }
    }

    /// A number for the function, the same for all its tasks in this process.
    pub(crate) fn key(&self) -> usize {
        self.function ^ (self.entry as usize).rotate_left(32)
    }
}

/// A way to call a function.
pub(crate) trait Invoke<A, R>: 'static {
    /// # Safety
    /// `function` is what [`Body`] holds beside the entry that calls this.
    unsafe fn invoke(function: usize, argument: A) -> R;
}

/// A function by its address.
struct Pointer<A, R>(PhantomData<fn(A) -> R>);

impl<A: 'static, R: 'static> Invoke<A, R> for Pointer<A, R> {
    unsafe fn invoke(function: usize, argument: A) -> R {
        // SAFETY: the address of a `fn(A) -> R`, by the module's argument.
        let function = unsafe { std::mem::transmute::<usize, fn(A) -> R>(function) };
        function(argument)
    }
}

unsafe fn run_items<A: Argument, R: Output, I: Invoke<A, R>>(call: &mut Call<'_, '_>) {
    let slot = call.slot;
    if slot.layout.load(Ordering::Relaxed) != codec::layout_of::<A, R>() {
        return call.results.faults.push(ItemFault {
            item: 0,
            kind: ItemFaultKind::Corrupt,
            message: "the task was made for other types than its function takes".into(),
            location: String::new(),
        });
    }
    let all = call.arguments;
    let mut rest = all;
    for item in 0..call.items {
        if call.is_timed {
            slot.began.store(ticks(), Ordering::Relaxed);
        }
        let argument = match call.read::<A>(rest) {
            Ok((argument, after)) => {
                rest = after;
                argument
            }
            Err(message) => {
                // Nobody knows where the next one begins.
                let unread = (item..call.items).map(|item| ItemFault {
                    item: item as u32,
                    kind: ItemFaultKind::Argument,
                    message: message.clone(),
                    location: String::new(),
                });
                call.results.faults.extend(unread);
                return;
            }
        };
        slot.read.store((all.len() - rest.len()) as u64, Ordering::Relaxed);
        // Release: pairs with the Acquire in `Remains::of`; who sees the number sees where the next item begins.
        slot.reading.store(item as u64 + 1, Ordering::Release);
        // SAFETY: the caller's promise, and the layout is this entry's own.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { I::invoke(call.function, argument) }));
        if !call.results.push_number(&outcome) {
            leave::<R>(&mut call.results, item, outcome);
        }
        if call.results.spilled.is_none() && call.results.faults.is_empty() {
            slot.done_at.store((all.len() - rest.len()) as u64, Ordering::Relaxed);
            slot.written.store(call.results.len as u64, Ordering::Relaxed);
            // Release: pairs with the Acquire in `Remains::of`; who counts the item finds its result.
            slot.items_done.store(item as u64 + 1, Ordering::Release);
        }
    }
}

/// Keeps an item's result, or what it panicked with.
#[inline]
fn leave<R: Output>(results: &mut Results<'_>, item: usize, outcome: std::thread::Result<R>) {
    let fault = match outcome {
        // A type's own code writes it, and may panic.
        Ok(value) => match catch_unwind(AssertUnwindSafe(|| results.push(&value))) {
            Ok(Ok(())) => return,
            Ok(Err(message)) => {
                ItemFault { item: item as u32, kind: ItemFaultKind::Result, message, location: String::new() }
            }
            Err(payload) => of_panic(item, payload),
        },
        Err(payload) => of_panic(item, payload),
    };
    results.pass_over::<R>();
    results.faults.push(fault);
}

#[cold]
fn of_panic(item: usize, payload: Box<dyn std::any::Any + Send>) -> ItemFault {
    let fault = panic_note::take(payload);
    ItemFault {
        item: item as u32,
        kind: ItemFaultKind::Panic,
        message: fault.message,
        location: fault.location,
    }
}
