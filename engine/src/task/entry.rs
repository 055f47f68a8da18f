//! The member's part of a task: decode each item, call the function, leave its result.
//!
//! # Safety
//! An entry is called with the bytes of a task that names it. Driver and member run the same build, and the
//! entry compares the task's layout with its own before it looks at the bytes. A function's address is that
//! of a `fn(A) -> R` with the entry's own `A` and `R`, since only [`TaskBody::of`] puts the two together.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::Ordering;
pub use crate::base::{Argument, Output};
use crate::code;
use crate::handle::results;
use crate::handle::travel::{KeepAlive, Manifest};
use crate::spawn::panic_note::{self, PanicNote};
use crate::spawn::segments::{Segments, resolver};
use crate::sys::clock::ticks;
use crate::task::board::TaskBoard;
use crate::task::codec::{self, WriteError};
use crate::task::error::{ItemFault, ItemFaultKind};
use crate::task::results::Results;
use crate::task::slot::{TaskSlot, Trouble};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One task as its entry sees it.
pub(crate) struct TaskCall<'a, 'm> {
    pub(crate) board: TaskBoard,
    pub(crate) slot: &'a TaskSlot,
    /// What the slot's `stop` holds when the task is to end early.
    pub(crate) number: u64,
    pub(crate) arguments: &'a [u8],
    pub(crate) results: Results<'a>,
    /// Address of the function.
    pub(crate) function: usize,
    pub(crate) items: usize,
    pub(crate) is_timed: bool,
    /// Whether results may go to other machines, where handles lead to nothing.
    pub(crate) is_by_value: bool,
    /// What the handles among the arguments refer to; `None` if there are none.
    pub(crate) manifest: Option<Manifest>,
    /// Where this member finds the objects of handles.
    pub(crate) segments: &'m mut dyn Segments,
}

/// The message for arguments whose bytes are incomplete.
const TORN: &str = "its bytes are not all there";

/// Why an item has no result.
enum Miss {
    Fault(ItemFaultKind, String),
    /// The task ends before the item, or with it: the driver decides what becomes of the rest.
    End,
}

impl TaskCall<'_, '_> {
    /// Reads an argument, with the handles in it.
    #[inline]
    fn read<A: Argument>(&mut self, bytes: &[u8]) -> Result<A, String> {
        match &self.manifest {
            None => codec::read(bytes),
            Some(manifest) => manifest.unpack(&mut resolver(&mut *self.segments), || codec::read(bytes)),
        }
    }

    /// Notes where the arguments of the item after `item` begin.
    #[inline]
    fn note_next(&self, item: usize, rest: &[u8]) {
        let at = self.arguments.len().wrapping_sub(rest.len()) as u64;
        // Release: not before the count of the item before, whose arguments began there.
        self.slot.next[item.wrapping_add(1) % 2].store(at, Ordering::Release);
    }

    /// Reads, runs and writes one item, whose arguments are at the start of `rest`.
    #[inline]
    fn item<A: Argument, R: Output>(
        &mut self,
        function: fn(A) -> R,
        item: usize,
        rest: &mut &[u8],
    ) -> Result<(), Miss> {
        let own = codec::split::<A>(rest).ok_or_else(|| Miss::Fault(ItemFaultKind::Corrupt, TORN.into()))?;
        self.note_next(item, rest);
        // Reading runs the type's own code: it is part of the item.
        if !self.slot.begin(item, self.is_timed) {
            return Err(Miss::End);
        }
        let argument =
            self.read::<A>(own).map_err(|message| Miss::Fault(ItemFaultKind::Argument, message))?;
        let value = function(argument);
        match self.results.push(&value, self.manifest.as_ref()) {
            Ok(keep_alive) => self.keep(keep_alive),
            Err(WriteError::Refused(why)) => Err(Miss::Fault(ItemFaultKind::Result, why)),
            Err(WriteError::NoRoom) => self.push_cold(item, &value),
        }
        // The value is dropped before its result counts: a panic there is the item's.
    }

    /// Writes a result for which there was no room.
    #[cold]
    fn push_cold<R: Output>(&mut self, item: usize, value: &R) -> Result<(), Miss> {
        let mut bytes = Vec::new();
        let keep_alive = codec::append_result(value, self.manifest.as_ref(), &mut bytes)
            .map_err(|why| Miss::Fault(ItemFaultKind::Result, why))?;
        self.keep(keep_alive)?;
        let is_kept = self.results.put(&bytes) || self.grow(item, bytes.len()) && self.results.put(&bytes);
        if is_kept { Ok(()) } else { Err(Miss::End) }
    }

    /// Keeps what a result leads to until it has been read.
    #[inline]
    fn keep(&self, keep_alive: Option<KeepAlive>) -> Result<(), Miss> {
        if let Some(keep_alive) = keep_alive {
            if self.is_by_value {
                return Err(Miss::Fault(
                    ItemFaultKind::Result,
                    format!("a handle is in it: {}", codec::ONE_MACHINE),
                ));
            }
            results::keep(std::ptr::from_ref(self.slot).addr(), keep_alive);
        }
        Ok(())
    }

    /// Stores the item's fault in place of its result; false if no room can be granted.
    #[cold]
    fn leave<R: 'static>(&mut self, item: usize, kind: ItemFaultKind, note: PanicNote) -> bool {
        let PanicNote { message, location, backtrace } = note;
        if backtrace.is_captured() {
            self.slot.resolving.store(1, Ordering::Release);
        }
        let backtrace = backtrace.resolve();
        let fault = ItemFault { item: item as u32, kind, message, location, backtrace };
        let mut bytes = Vec::new();
        // Strings and numbers into memory: nothing to refuse.
        let _cannot_fail = codec::append(&fault, &mut bytes);
        // Numbers keep their places.
        let filler = if codec::is_plain::<R>() { &[0; 16][..size_of::<R>()] } else { &[] };
        let is_kept = self.results.put_fault(&bytes, filler)
            || self.grow(item, bytes.len().saturating_add(filler.len()))
                && self.results.put_fault(&bytes, filler);
        self.slot.faulted.store(self.results.faulted() as u64, Ordering::Release);
        if self.slot.resolving.load(Ordering::Relaxed) != 0 {
            if self.is_timed {
                self.slot.began.store(ticks(), Ordering::Relaxed);
            }
            // Release: a driver that sees its clock go on sees it started anew.
            self.slot.resolving.store(0, Ordering::Release);
        }
        is_kept
    }

    /// Gets a larger room from the driver: `need` bytes more, and about as many for each item to come.
    #[cold]
    fn grow(&mut self, item: usize, need: usize) -> bool {
        let least = self.results.len().saturating_add(self.results.faulted()).saturating_add(need);
        let rest = (least.checked_div(item.saturating_add(1)).unwrap_or(least))
            .saturating_mul(self.items.saturating_sub(item).saturating_sub(1));
        // At most twice as much: the first may have been the largest.
        let room =
            self.ask_for_room(least.saturating_add(rest.min(least))).or_else(|| self.ask_for_room(least));
        let Some((room, home)) = room else { return false };
        if !self.results.move_to(room) {
            return false;
        }
        // Release: a thread that sees the number finds the results there.
        self.slot.home.store(home, Ordering::Release);
        true
    }
}

/// The monomorphised part of a task.
///
/// # Safety
/// Called by the member that claimed the task, with the bytes it came with.
pub(crate) type TaskEntry = unsafe fn(&mut TaskCall<'_, '_>);

/// What is to be run: the entry and the function, as addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskBody {
    /// The address of a [`TaskEntry`].
    pub(crate) entry: usize,
    pub(crate) function: usize,
    pub(crate) layout: u64,
    /// Splits the bytes of the first argument off others.
    pub(crate) split: for<'b> fn(&mut &'b [u8]) -> Option<&'b [u8]>,
}

impl TaskBody {
    pub(crate) fn of<A: Argument, R: Output>(function: fn(A) -> R) -> TaskBody {
        TaskBody {
            entry: run_items::<A, R> as TaskEntry as usize,
            function: function as usize,
            layout: code::type_key::<fn(A) -> R>(),
            split: codec::split::<A>,
        }
    }

    /// A number for the function, the same for all its tasks in this process.
    pub(crate) fn key(&self) -> usize {
        self.function ^ self.entry.rotate_left(32)
    }
}

unsafe fn run_items<A: Argument, R: Output>(call: &mut TaskCall<'_, '_>) {
    let slot = call.slot;
    if slot.layout.load(Ordering::Relaxed) != code::type_key::<fn(A) -> R>() {
        return slot.trouble.store(Trouble::Types as u32, Ordering::Relaxed);
    }
    // SAFETY: the address of a `fn(A) -> R`, by the module's argument: the layout is this entry's own.
    let function = unsafe { code::function_of::<fn(A) -> R>(call.function) };
    let mut rest = call.arguments;
    for item in 0..call.items {
        if slot.stop.load(Ordering::Relaxed) == call.number {
            return;
        }
        if call.is_timed {
            slot.began.store(ticks(), Ordering::Relaxed);
        }
        let before = call.results.len();
        let outcome = catch_unwind(AssertUnwindSafe(|| call.item(function, item, &mut rest)));
        if !matches!(outcome, Ok(Ok(()))) {
            call.results.back_to(before);
            call.note_next(item, rest);
            if !missed::<R>(call, item, outcome) {
                return;
            }
        }
        slot.written.store(call.results.len() as u64, Ordering::Release);
        // Release: pairs with the Acquire in `TaskQueue::account`; a thread that counts the item finds its
        // outcome.
        slot.items_done.store((item as u64).wrapping_add(1), Ordering::Release);
    }
}

/// Stores the outcome of an item without a result; false if the task ends with it.
#[cold]
fn missed<R: Output>(
    call: &mut TaskCall<'_, '_>,
    item: usize,
    outcome: std::thread::Result<Result<(), Miss>>,
) -> bool {
    let (kind, note) = match outcome {
        Ok(Ok(())) => return true,
        Ok(Err(Miss::End)) => return false,
        Ok(Err(Miss::Fault(kind, message))) => (kind, PanicNote { message, ..PanicNote::default() }),
        Err(payload) => (ItemFaultKind::Panic, panic_note::take(payload)),
    };
    call.leave::<R>(item, kind, note)
}
