//! Who is who: every process that takes part has a member id, every thread in it a number.
//!
//! Words in shared memory name their owner by these two numbers. Neither is ever reused while a driver lives,
//! so a word left behind by a dead process can never be mistaken for one of a living process.

use std::cell::Cell;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicU32, Ordering};

/// Identifies a participating process: 0 is nobody, 1 is the driver, and workers get the next numbers as they
/// start.
///
/// A driver never reuses an id, not even after a respawn. Ids do not exceed [`MemberId::MAX`], so that words
/// in shared memory can hold flags beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct MemberId(pub(crate) u32);

impl MemberId {
    /// No process.
    pub const NOBODY: MemberId = MemberId(0);
    /// The driver: the process that owns the pool.
    pub const DRIVER: MemberId = MemberId(1);
    /// The largest possible id (29 bits).
    pub const MAX: MemberId = MemberId((1 << 29) - 1);

    /// Returns the id as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for MemberId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            MemberId::NOBODY => f.write_str("nobody"),
            MemberId::DRIVER => f.write_str("the driver"),
            MemberId(id) => write!(f, "member {id}"),
        }
    }
}

/// A thread of a member: the holder that a lock word names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The process.
    pub member: MemberId,
    /// The thread's number within the process: counted from 1 in order of first use and never reused; 0 means
    /// unknown.
    pub thread: u32,
}

impl Owner {
    /// Both numbers in one word: member in the upper half.
    #[allow(dead_code, reason = "for protocols that publish an owner in one 64-bit word")]
    pub(crate) const fn pack(self) -> u64 {
        (self.member.0 as u64) << 32 | self.thread as u64
    }

    /// The reverse of [`Owner::pack`].
    #[allow(dead_code, reason = "see `pack`")]
    pub(crate) const fn unpack(word: u64) -> Owner {
        Owner { member: MemberId((word >> 32) as u32), thread: word as u32 }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.thread {
            0 => write!(f, "{}", self.member),
            thread => write!(f, "thread {thread} of {}", self.member),
        }
    }
}

static CURRENT: AtomicU32 = AtomicU32::new(MemberId::DRIVER.0);
static LAST_MEMBER: AtomicU32 = AtomicU32::new(MemberId::DRIVER.0);
static LAST_THREAD: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// The calling thread.
#[inline]
pub(crate) fn current() -> Owner {
    let thread = match THREAD.get() {
        0 => number_cold(),
        thread => thread,
    };
    Owner { member: current_member(), thread }
}

/// The calling process.
#[inline]
pub(crate) fn current_member() -> MemberId {
    MemberId(CURRENT.load(Ordering::Relaxed))
}

/// Tells this process which member it is; a worker calls it once, at start, before it touches any shared
/// word.
#[allow(dead_code, reason = "the worker's start calls it")]
pub(crate) fn set_current_member(id: MemberId) {
    CURRENT.store(id.0, Ordering::Relaxed);
}

/// A fresh id for a worker about to start; the driver alone gives them out. `None` after half a billion
/// starts.
#[allow(dead_code, reason = "the roster calls it")]
pub(crate) fn next_member() -> Option<MemberId> {
    let take = |last| (last < MemberId::MAX.0).then_some(last + 1);
    LAST_MEMBER.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok().map(|last| MemberId(last + 1))
}

#[cold]
fn number_cold() -> u32 {
    // A wrap would need four thousand million threads in one process; the number 0 is skipped even then.
    let number = LAST_THREAD.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
    THREAD.set(number);
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_numbers_of_their_own() {
        let here = current();
        assert_eq!(here, current());
        assert_eq!(here.member, MemberId::DRIVER);
        let there = std::thread::spawn(current).join().unwrap();
        assert_ne!(here.thread, there.thread);
        assert_ne!(there.thread, 0);
    }

    #[test]
    fn member_ids_are_fresh_each_time() {
        let (a, b) = (next_member().unwrap(), next_member().unwrap());
        assert!(a > MemberId::DRIVER && b > a);
    }

    #[test]
    fn owners_survive_packing() {
        let owner = Owner { member: MemberId(7), thread: u32::MAX };
        assert_eq!(Owner::unpack(owner.pack()), owner);
    }
}
