//! Message, location and backtrace of a kernel's panic.

use super::last_words;
use crate::sys::fork;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The last panic of any thread of a worker process: a parallel method inside a kernel passes a panic of
/// another thread on to the thread that runs the kernel.
static LAST: Mutex<Option<Noted>> = Mutex::new(None);

thread_local! {
    static OWN: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

/// What only the hook can know of a panic.
#[derive(Clone)]
struct Noted {
    /// File, line and column.
    place: String,
    /// Captured if the environment asks for it.
    backtrace: Arc<Backtrace>,
}

/// In a worker process: keeps the location of a panic for the driver's error, which reports it, instead of
/// printing here. Where the process aborts before the driver hears of it, its last words report it.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        note(info);
        let message = text_of(info.payload()).unwrap_or_default();
        if !ABORTING.contains(&message) {
            last_words::set_panic(info.location(), message);
        }
    }));
}

/// What std reports where a panic cannot go on unwinding: the panic before it is the one to tell of.
const ABORTING: [&str; 2] =
    ["panic in a function that cannot unwind", "panic in a destructor during cleanup"];

/// In a process that may end before anyone asks: keeps the location, and prints as before.
pub(crate) fn install_hook_beside() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        note(info);
        before(info);
    }));
}

fn note(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let noted = Noted { place, backtrace: Arc::new(Backtrace::capture()) };
    if !fork::is_foreign() {
        *LAST.lock() = Some(noted.clone());
    }
    // A panic while the note is being taken must not panic again.
    let _nobody_asks = OWN.try_with(|own| {
        if let Ok(mut own) = own.try_borrow_mut() {
            *own = Some(noted);
        }
    });
}

fn text_of(payload: &dyn Any) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// A caught panic.
#[derive(Clone, Debug, Default)]
pub(crate) struct PanicNote {
    pub(crate) message: String,
    /// File, line and column; empty if unknown.
    pub(crate) location: String,
    pub(crate) backtrace: Trace,
}

impl PanicNote {
    /// Looks up the names of the backtrace: now all of it is text.
    pub(crate) fn told(self) -> ToldPanic {
        let PanicNote { message, location, backtrace } = self;
        ToldPanic { message, location, backtrace: backtrace.resolve() }
    }
}

/// A panic as processes tell each other of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldPanic {
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: String,
}

impl ToldPanic {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Texts can always be written.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// `None` if the bytes make no sense.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<ToldPanic> {
        postcard::from_bytes(bytes).ok()
    }
}

/// Where a panic came from.
#[derive(Clone, Debug)]
pub(crate) enum Trace {
    /// Addresses. Looking up their names reads the program's debug information, which a process keeps for the
    /// next: for the first it may take seconds.
    Captured(Arc<Backtrace>),
    /// One call a line; empty unless the environment asked for it.
    Told(String),
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::Told(String::new())
    }
}

impl Trace {
    /// Whether the names are still to be looked up.
    pub(crate) fn is_captured(&self) -> bool {
        matches!(self, Trace::Captured(_))
    }

    /// What is known without looking up names.
    pub(crate) fn text(&self) -> &str {
        match self {
            Trace::Captured(_) => "",
            Trace::Told(text) => text,
        }
    }

    /// Looks up the names.
    pub(crate) fn resolve(self) -> String {
        match self {
            Trace::Captured(backtrace) => callers(&backtrace.to_string()),
            Trace::Told(text) => text,
        }
    }
}

/// How much longer than its time limit a launch or an item may take while a member looks up the names of its
/// panic's backtrace.
pub(crate) const RESOLVING: Duration = Duration::from_secs(120);

/// Takes the note of a panic that this thread has just caught. Names of the backtrace are not looked up yet.
pub(crate) fn take(payload: Box<dyn Any + Send>) -> PanicNote {
    let message = text_of(&*payload).unwrap_or("a panic whose payload is not a string").to_owned();
    // A payload's own destructor may panic: caught as well, and then forgotten.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    let own = OWN.try_with(|own| own.try_borrow_mut().map(|mut own| own.take()));
    let own = own.ok().and_then(Result::ok).flatten();
    let last = LAST.lock().take();
    last_words::clear_panic();
    let Some(Noted { place, backtrace }) = own.or(last) else {
        return PanicNote { message, ..PanicNote::default() };
    };
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = if is_captured { Trace::Captured(backtrace) } else { Trace::default() };
    PanicNote { message, location: place, backtrace }
}

/// A backtrace without the calls that report the panic, and without those of a worker around the program's
/// own; all of it with `RUST_BACKTRACE=full`.
fn callers(backtrace: &str) -> String {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value == "full") {
        return backtrace.to_owned();
    }
    let lines: Vec<&str> = backtrace.lines().collect();
    let first = lines.iter().rposition(|line| is_call(line, &REPORTING)).map_or(0, |at| at.saturating_add(1));
    let own = lines.get(first..).unwrap_or_default();
    let own = if own.first().is_some_and(|line| is_place(line)) { &own[1..] } else { own };
    let end = own.iter().position(|line| is_call(line, &AROUND)).unwrap_or(own.len());
    own[..end].join("\n")
}

/// The calls that report a panic.
const REPORTING: [&str; 3] = ["rust_begin_unwind", "core::panicking::", "std::panicking::begin_panic"];
/// The calls of a worker around the program's own.
const AROUND: [&str; 8] = [
    "phalanx::code::pointer_to",
    "phalanx::team::member::",
    "phalanx::task::serve::",
    "phalanx::spawn::",
    "phalanx::process::entry::",
    "phalanx::manager::hosted::",
    "phalanx::manager::server::",
    "phalanx::team::exit_function::",
];

/// Whether a line of a backtrace is the place of the call in the line above it.
fn is_place(line: &str) -> bool {
    line.trim_start().starts_with("at ")
}

fn is_call(line: &str, names: &[&str]) -> bool {
    !is_place(line) && names.iter().any(|name| line.contains(name))
}
