//! The first Ctrl-C (SIGINT) is a note for a thread that waits for it; the next does what it did before.
//!
//! # Safety
//! The handler makes async-signal-safe calls alone (`futex`, `sigaction`, `raise`, `getpid`) and keeps
//! `errno`. The action that it puts back lies in memory that is never given back.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::AtomicU32;
use crate::sys::{futex, process};
use parking_lot::Mutex;
use std::ffi::c_int;
use std::io;
use std::ptr;
// Plain on purpose: process-local.
use std::sync::LazyLock;
use std::sync::atomic::{AtomicPtr, AtomicU32 as OwnNumber, Ordering};

/// The current turn, times 2, plus 1 if Ctrl-C was pressed in it. Each [`Watch`] has a turn of its own.
static TURN: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(0));
/// What SIGINT did before.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());
/// The process that watches; a fork of it has the handler too, but nobody that waits.
static WATCHER: OwnNumber = OwnNumber::new(0);
/// How many watches there are: the first installs the handler, and the last puts the previous action back.
static WATCHES: Mutex<usize> = Mutex::new(0);

/// While it lives, the first Ctrl-C is noted and the second does what Ctrl-C did before.
#[derive(Debug)]
pub(crate) struct Watch {
    turn: Turn,
}

/// Names a watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(u32);

/// Begins a watch; `None` where the program was started with Ctrl-C ignored, as a shell's background jobs
/// are: then it stays ignored.
pub(crate) fn watch() -> io::Result<Option<Watch>> {
    // Made here, since the handler must not.
    let word = &*TURN;
    let mut watches = WATCHES.lock();
    let turn = word.load(Ordering::SeqCst) & !1;
    let turn = Turn(turn.wrapping_add(2));
    if *watches == 0 {
        let previous = current()?;
        if previous.sa_sigaction == libc::SIG_IGN {
            return Ok(None);
        }
        PREVIOUS.store(Box::leak(Box::new(previous)), Ordering::SeqCst);
        WATCHER.store(process::own_pid(), Ordering::SeqCst);
        word.store(turn.0, Ordering::SeqCst);
        install()?;
    } else {
        word.store(turn.0, Ordering::SeqCst);
    }
    futex::wake(word, u32::MAX);
    *watches = watches.saturating_add(1);
    Ok(Some(Watch { turn }))
}

impl Watch {
    pub(crate) fn turn(&self) -> Turn {
        self.turn
    }
}

impl Turn {
    /// Waits until Ctrl-C is pressed in this turn; false if it has ended before.
    pub(crate) fn wait(self) -> bool {
        loop {
            let seen = TURN.load(Ordering::SeqCst);
            if seen != self.0 {
                return seen == self.0 | 1;
            }
            futex::wait(&TURN, seen, None);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if WATCHER.load(Ordering::SeqCst) != process::own_pid() {
            return;
        }
        let mut watches = WATCHES.lock();
        *watches = watches.saturating_sub(1);
        if *watches > 0 {
            return;
        }
        // Who waits ends, and a signal from here on finds a turn of nobody's.
        let over = TURN.load(Ordering::SeqCst) & !1;
        TURN.store(over.wrapping_add(2) | 1, Ordering::SeqCst);
        futex::wake(&TURN, u32::MAX);
        // If somebody has put a handler over ours, it stays.
        if current().is_ok_and(|action| action.sa_sigaction == address()) {
            put_back();
        }
    }
}

fn address() -> libc::sighandler_t {
    let handler: extern "C" fn(c_int) = pressed;
    handler as libc::sighandler_t
}

extern "C" fn pressed(number: c_int) {
    // SAFETY: the calling thread's own `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: takes nothing and cannot fail.
    let is_ours = unsafe { libc::getpid() }.cast_unsigned() == WATCHER.load(Ordering::SeqCst);
    // A turn is pressed once: what was set already says that this is the second.
    if is_ours && TURN.fetch_or(1, Ordering::SeqCst) & 1 == 0 {
        futex::wake(&TURN, u32::MAX);
    } else {
        put_back();
        // SAFETY: a plain number. It is delivered when this handler has returned.
        unsafe { libc::raise(number) };
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

fn current() -> io::Result<libc::sigaction> {
    // SAFETY: all-zero is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null action changes nothing; the old one goes into a local.
    match unsafe { libc::sigaction(libc::SIGINT, ptr::null(), &raw mut action) } {
        0 => Ok(action),
        _ => Err(io::Error::last_os_error()),
    }
}

fn install() -> io::Result<()> {
    // SAFETY: all-zero is a valid sigaction (empty mask).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = address();
    // System calls of the program go on as if nothing had happened; a thread's signal stack is used if it has
    // one.
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler is async-signal-safe (module documentation).
    match unsafe { libc::sigaction(libc::SIGINT, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn put_back() {
    let previous = PREVIOUS.load(Ordering::SeqCst);
    // SAFETY: null or leaked, so valid forever; as the program had it. (Null changes nothing.)
    unsafe { libc::sigaction(libc::SIGINT, previous, ptr::null_mut()) };
}
