//! A mark on a thread that the threads which it starts inherit, and theirs in turn: whether a thread descends from a member.
//!
//! The kernel hands few things from a thread to those that it starts. One is the timer slack, nanoseconds by which timed
//! sleeps may be late (50,000 by default): its lowest bits are the mark, too little for anybody to notice. A thread that sets its own slack
//! loses the mark.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use std::ffi::c_ulong;
// Plain atomics on purpose: process-local.
use std::sync::atomic::{AtomicBool, Ordering};

/// The bits of the mark.
const MASK: c_ulong = 0x3FF;

/// Whether any thread of this process was ever marked.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Another one in other processes, which inherit the slack as well.
fn mark() -> c_ulong {
    c_ulong::from(std::process::id().wrapping_mul(0x9E37_79B9) >> 22)
}

#[doc(alias = "PR_GET_TIMERSLACK")]
fn slack() -> Option<c_ulong> {
    // SAFETY: takes nothing and returns a number.
    let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
    c_ulong::try_from(slack).ok().filter(|slack| *slack > 0)
}

#[doc(alias = "PR_SET_TIMERSLACK")]
fn set_slack(slack: c_ulong) {
    // SAFETY: takes a number, which concerns this thread alone.
    let _kept_where_refused = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack) };
}

/// Undoes a mark; forgotten, it is for good.
pub(crate) struct Unmark(Option<c_ulong>);

impl Drop for Unmark {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            set_slack(before);
        }
    }
}

/// Marks this thread, and all that it starts until the result is dropped.
pub(crate) fn mark_this_thread() -> Unmark {
    IN_USE.store(true, Ordering::Relaxed);
    let before = slack();
    if let Some(before) = before {
        set_slack((before & !MASK | mark()).max(1));
    }
    Unmark(before)
}

/// Whether this thread is marked.
pub(crate) fn is_marked() -> bool {
    IN_USE.load(Ordering::Relaxed) && slack().is_some_and(|slack| slack & MASK == mark())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_inherit_the_mark_of_who_starts_them() {
        let child = || std::thread::spawn(is_marked).join().unwrap();
        std::thread::spawn(move || {
            assert!(!is_marked() && !child());
            let unmark = mark_this_thread();
            assert!(is_marked() && child());
            assert!(std::thread::spawn(child).join().unwrap(), "and theirs");
            drop(unmark);
            assert!(!is_marked() && !child());
        })
        .join()
        .unwrap();
    }
}
