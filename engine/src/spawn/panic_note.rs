//! The message and location of a kernel's panic.

use crate::sys::fork;
use parking_lot::Mutex;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

/// The last panic of any thread of a worker process: a parallel method inside a kernel passes a panic of
/// another thread on to the thread that runs the kernel.
static LAST: Mutex<String> = Mutex::new(String::new());

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// In a worker process: keeps the location of a panic for the driver's error, which reports it, instead of
/// printing here.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(note_place));
}

/// In a process that may end before anyone asks: keeps the location, and prints as before.
pub(crate) fn install_hook_beside() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        note_place(info);
        before(info);
    }));
}

fn note_place(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    if !fork::is_foreign() {
        place.clone_into(&mut LAST.lock());
    }
    // A panic while the note is being taken must not panic again.
    let _nobody_asks = PLACE.try_with(|note| {
        if let Ok(mut note) = note.try_borrow_mut() {
            *note = place;
        }
    });
}

/// The message and location of a caught panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PanicNote {
    pub(crate) message: String,
    /// File, line and column; empty if unknown.
    pub(crate) location: String,
}

/// Takes the note of a panic that this thread has just caught.
pub(crate) fn take(payload: Box<dyn Any + Send>) -> PanicNote {
    let message = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic whose payload is not a string".into());
    // A payload's own destructor may panic: caught as well, and then forgotten.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    let own = PLACE.try_with(|note| note.try_borrow_mut().map(|mut note| std::mem::take(&mut *note)));
    let own = own.ok().and_then(Result::ok).unwrap_or_default();
    let last = std::mem::take(&mut *LAST.lock());
    let location = if own.is_empty() { last } else { own };
    PanicNote { message, location }
}
