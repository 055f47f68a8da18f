//! Shared futexes: wait on a word, wake its waiters, between processes.
//!
//! # Safety
//! A `&AtomicU32` is a valid, aligned, mapped word for as long as the borrow lives, which is all the kernel
//! asks. Waits work on read-only mappings too.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::AtomicU32;
use std::time::Instant;

/// Why a wait ended. None of them proves anything about the word: look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody woke us, the word had changed already, or a signal came.
    LookAgain,
    /// The deadline passed.
    TimedOut,
}

#[cfg(not(loom))]
mod real {
    use super::Woken;
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> Woken {
        // FUTEX_WAIT takes a relative time; it is computed anew from the absolute deadline at every call, so
        // a storm of signals cannot postpone it. Relative times also mean the same in every time namespace.
        let left = match deadline {
            None => None,
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Woken::TimedOut;
                }
                Some(libc::timespec {
                    // `time_t`, a name that the libc crate warns of on musl.
                    tv_sec: left.as_secs().min(i32::MAX as u64) as _,
                    tv_nsec: left.subsec_nanos() as libc::c_long,
                })
            }
        };
        let timeout = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the word and the timeout outlive the call; no private flag, as waiters live in other
        // processes.
        let rc =
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, timeout) };
        if rc == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT) {
            return Woken::TimedOut;
        }
        Woken::LookAgain
    }

    pub(crate) fn wake(word: &AtomicU32, count: u32) -> usize {
        let count = count.min(i32::MAX as u32);
        // SAFETY: the word outlives the call.
        let rc = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
        usize::try_from(rc).unwrap_or(0)
    }
}

#[cfg(loom)]
mod model {
    //! A futex for the model checker: compare and sleep are one step under a lock, as in the kernel, and a
    //! wake-up goes to the first sleepers on its word and to no others, so that one too few is found.
    use super::Woken;
    use crate::base::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};
    use std::time::Instant;

    struct Sleeper {
        word: usize,
        ticket: u64,
        woken: bool,
    }

    loom::lazy_static! {
        static ref QUEUE: (Mutex<(u64, Vec<Sleeper>)>, Condvar) = (Mutex::new((0, Vec::new())), Condvar::new());
    }

    pub(crate) fn wait(word: &AtomicU32, expected: u32, _deadline: Option<Instant>) -> Woken {
        let mut queue = QUEUE.0.lock().unwrap();
        if word.load(Ordering::SeqCst) != expected {
            return Woken::LookAgain;
        }
        queue.0 += 1;
        let ticket = queue.0;
        queue.1.push(Sleeper { word: std::ptr::from_ref(word).addr(), ticket, woken: false });
        loop {
            queue = QUEUE.1.wait(queue).unwrap();
            if let Some(at) = queue.1.iter().position(|s| s.ticket == ticket && s.woken) {
                queue.1.remove(at);
                return Woken::LookAgain;
            }
        }
    }

    pub(crate) fn wake(word: &AtomicU32, count: u32) -> usize {
        let mut queue = QUEUE.0.lock().unwrap();
        let here = std::ptr::from_ref(word).addr();
        let sleepers = queue.1.iter_mut().filter(|s| s.word == here && !s.woken).take(count as usize);
        let woken = sleepers.map(|s| s.woken = true).count();
        QUEUE.1.notify_all();
        woken
    }
}

#[cfg(loom)]
use model as imp;
#[cfg(not(loom))]
use real as imp;

/// Sleeps while `*word == expected`, at most until `deadline`.
#[doc(alias = "FUTEX_WAIT")]
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> Woken {
    imp::wait(word, expected, deadline)
}

/// Wakes up to `count` waiters; returns how many were woken.
#[doc(alias = "FUTEX_WAKE")]
pub(crate) fn wake(word: &AtomicU32, count: u32) -> usize {
    imp::wake(word, count)
}
