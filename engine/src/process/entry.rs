//! What runs in the new process: reads the arguments, calls the function, leaves the outcome.
//!
//! # Safety
//! The entry of types `A` and `R` is named only by the driver's `ProcessBuilder::spawn::<A, R>` of the same
//! build, together with the distance of a `fn(A) -> R`; the layout word says so once more, and the seal that
//! nothing was written over them.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::call_block::{Left, View};
use super::worker::{self, Site};
use crate::base::MemberId;
use crate::code;
use crate::handle::travel;
use crate::memory::{ArrayOptions, Segment};
use crate::spawn::panic_note::{self, PanicNote, ToldPanic};
use crate::spawn::worker::FAILED;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// Number of bytes of a panic message, or another text, that are kept.
const TEXT_BYTES: usize = 3072;

/// Calls the function; the result is the exit status.
///
/// # Safety
/// As the module says.
pub(super) unsafe fn enter<A, R>(site: &mut Site) -> i32
where
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
{
    // SAFETY: the assignment's block is this process's until its end, writable, and as long as it says: the
    // driver took it for a call block, at a multiple of a head's bytes and longer than one.
    let call_block = unsafe { View::new(site.block, site.len_bytes) };
    let call = call_block.call().filter(|call| call.layout == code::type_key::<fn(A) -> R>());
    // SAFETY: the driver sent the distance of a function of this type, of the same build, and the layout
    // agrees.
    let function = call.and_then(|call| unsafe { code::function_at::<fn(A) -> R>(call.function) });
    let Some(function) = function else {
        return give_up(&call_block, Left::BadArguments, "the function's types are not those of this build");
    };
    let args = match call_block.args().map(|bytes| read::<A>(bytes)) {
        Some(Ok(args)) => args,
        Some(Err(why)) => return give_up(&call_block, Left::BadArguments, &why),
        None => return give_up(&call_block, Left::BadArguments, "they lie outside their block"),
    };
    // The value is written down inside as well: a serialiser is the program's code, and may panic.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let value = function(args);
        travel::encode_answer(MemberId::DRIVER, &value).map(|(bytes, _keep_alive)| bytes)
    }));
    match outcome {
        Ok(Ok(bytes)) => leave_value(site, &call_block, &bytes),
        Ok(Err(error)) => give_up(&call_block, Left::BadValue, &error.to_string()),
        Err(payload) => {
            let fault = panic_note::take(payload);
            tracing::error!(location = fault.location, "panicked: {}", fault.message);
            leave_panic(site, &call_block, fault);
            FAILED
        }
    }
}

/// Leaves what is known of a panic, with its backtrace if that can be sent.
fn leave_panic(site: &Site, call_block: &View, fault: PanicNote) {
    let mut told = fault.told();
    told.message.truncate(cut(&told.message).len());
    told.location.truncate(cut(&told.location).len());
    let whole = told.to_bytes();
    if call_block.leave(Left::Panic, &whole) {
        return;
    }
    match send_far(site, &whole) {
        Ok(()) => call_block.leave(Left::FarPanic, &[]),
        Err(_) => call_block.leave(Left::Panic, &ToldPanic { backtrace: String::new(), ..told }.to_bytes()),
    };
}

fn read<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, String> {
    // The leases need no counting: the driver keeps what they stand for until this process has ended.
    let read = catch_unwind(AssertUnwindSafe(|| travel::decode(bytes, &mut worker::resolve)));
    match read {
        Ok(read) => read.map(|(args, _leases)| args).map_err(|error| error.to_string()),
        Err(payload) => Err(panic_note::take(payload).message),
    }
}

/// Leaves what the function returned: in the call block, or in a segment of its own.
fn leave_value(site: &Site, call_block: &View, bytes: &[u8]) -> i32 {
    if call_block.leave(Left::Value, bytes) {
        return 0;
    }
    match send_far(site, bytes) {
        Ok(()) => {
            call_block.leave(Left::FarValue, &[]);
            0
        }
        Err(why) => give_up(call_block, Left::BadValue, &why),
    }
}

fn send_far(site: &Site, bytes: &[u8]) -> Result<(), String> {
    let segment =
        Segment::create(bytes.len(), &ArrayOptions::default()).map_err(|error| error.to_string())?;
    // SAFETY: made just now with this length, and nobody else knows of it.
    unsafe { segment.base().copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
    site.send_outcome(bytes.len(), segment.fd()).map_err(|error| format!("it cannot be sent: {error}"))?;
    // Dropping it would give its pages back, which are the driver's now.
    std::mem::forget(segment);
    Ok(())
}

fn give_up(call_block: &View, left: Left, why: &str) -> i32 {
    call_block.leave(left, cut(why).as_bytes());
    FAILED
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES / 2)]
}
