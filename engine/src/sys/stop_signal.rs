//! SIGTERM and SIGUSR1, by which batch systems announce that a job's time is nearly over: noted, for whoever asks.
//!
//! # Safety
//! The handler writes to one atomic, and then calls the handler that was there before, which was to be called for
//! that signal anyway. The earlier action lies in memory that is never given back.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::process;
use libc::{SA_SIGINFO, SIG_DFL, SIG_IGN, SIGTERM, SIGUSR1, sigaction, siginfo_t};
use std::ffi::{c_int, c_void};
use std::ptr;
// Plain on purpose: process-local.
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The process that was told to stop; a fork of it was not.
static TOLD: AtomicU32 = AtomicU32::new(0);
/// The process that has the handlers.
static WATCHER: AtomicU32 = AtomicU32::new(0);

/// What SIGTERM and SIGUSR1 did before, where that was a handler.
static EARLIER: [AtomicPtr<sigaction>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

extern "C" fn note(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    TOLD.store(WATCHER.load(Ordering::Relaxed), Ordering::Relaxed);
    let earlier = EARLIER[usize::from(number == SIGUSR1)].load(Ordering::Acquire);
    // SAFETY: null, or leaked and never changed.
    let Some(earlier) = (unsafe { earlier.as_ref() }) else { return };
    if earlier.sa_flags & SA_SIGINFO != 0 {
        // SAFETY: the flag says that it is the address of such a function.
        let handler = unsafe {
            std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(
                earlier.sa_sigaction,
            )
        };
        handler(number, info, context);
    } else {
        // SAFETY: an address that is neither of the two constants is that of such a function.
        let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(earlier.sa_sigaction) };
        handler(number);
    }
}

/// Whether one of the signals has come since this was first called. A handler that was there before is called as
/// well (MPICH has one for SIGUSR1). A signal that the program ignores stays ignored.
pub(crate) fn is_told() -> bool {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        WATCHER.store(process::own_pid(), Ordering::Relaxed);
        [SIGTERM, SIGUSR1].into_iter().for_each(install);
    });
    TOLD.load(Ordering::Relaxed) == process::own_pid()
}

fn install(number: c_int) {
    // SAFETY: all-zero is a valid sigaction (empty mask).
    let mut action: sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the present action only.
    unsafe { libc::sigaction(number, ptr::null(), &raw mut action) };
    if action.sa_sigaction == SIG_IGN {
        return;
    }
    if action.sa_sigaction != SIG_DFL {
        let earlier = Box::leak(Box::new(action));
        EARLIER[usize::from(number == SIGUSR1)].store(earlier, Ordering::Release);
    }
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = note;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the action outlives the call; the handler is as the module says.
    unsafe { libc::sigaction(number, &raw const action, ptr::null_mut()) };
}
