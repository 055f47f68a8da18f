//! A mark on a thread that the threads which it starts inherit, and theirs in turn: whether a thread descends
//! from a member.
//!
//! The kernel hands few things from a thread to those that it starts. One is the timer slack, nanoseconds by
//! which timed sleeps may be late (50,000 by default): its lowest bits are the mark, too little for anybody
//! to notice. A thread that sets its own slack loses the mark.
//!
//! # Safety
//! The two calls take and return plain numbers and touch no memory.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use std::ffi::c_ulong;
// Plain atomics on purpose: process-local.
use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of the mark.
const MASK: c_ulong = 0x3FF;
/// What the kernel gives to the first process.
const DEFAULT: c_ulong = 50_000;

/// The process whose threads are marked, above the mark; 0 while none is. A forked child has another number,
/// so its parent's marks say nothing in it.
static MARK: AtomicU64 = AtomicU64::new(0);

/// What the process with this number marks with, where threads that are not marked have `plain` as their
/// slack: never what those have in its place. Another one in most other processes, which inherit the slack as
/// well.
fn mark_for(pid: u32, plain: c_ulong) -> c_ulong {
    let first = c_ulong::from(pid.wrapping_mul(0x9E37_79B9) >> 22);
    let is_free = |mark: &c_ulong| ![plain & MASK, DEFAULT & MASK].contains(mark);
    (0..3).map(|step: c_ulong| first.wrapping_add(step) & MASK).find(is_free).unwrap_or(first)
}

/// The mark of this process, if any thread of it was ever marked.
fn mark() -> Option<c_ulong> {
    let word = MARK.load(Ordering::Relaxed);
    (word >> 32 == u64::from(std::process::id())).then_some(word & MASK)
}

/// The mark of this process from now on. The caller, whose slack is `slack`, is not marked if nobody is.
fn make_mark(slack: c_ulong) -> c_ulong {
    mark().unwrap_or_else(|| {
        let (pid, before) = (std::process::id(), MARK.load(Ordering::Relaxed));
        let word = u64::from(pid) << 32 | mark_for(pid, slack);
        // Of two first ones at once, one decides.
        match MARK.compare_exchange(before, word, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => word & MASK,
            Err(other) => other & MASK,
        }
    })
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
    let before = slack();
    if let Some(before) = before {
        // Never 0, which would ask for the default.
        set_slack((before & !MASK | make_mark(before)).max(1));
    }
    Unmark(before)
}

/// Whether this thread is marked.
pub(crate) fn is_marked() -> bool {
    mark().is_some_and(|mark| slack().is_some_and(|slack| slack & MASK == mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_takes_for_a_mark_what_its_threads_have_anyway() {
        for pid in 1..=1 << 16 {
            for plain in [DEFAULT, 1, 1 << 20, DEFAULT & !MASK | c_ulong::from(pid) & MASK] {
                let mark = mark_for(pid, plain);
                assert!(mark <= MASK && mark != plain & MASK && mark != DEFAULT & MASK, "{pid} {plain}");
            }
        }
    }

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
