//! `Condition`: releases a lock, waits until notified that the guarded value has changed, and takes the lock
//! again.
//!
//! # Safety
//! A condition's block is one `Turn` at its base.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::member::MemberId;
use crate::sync::lock::{Guard, Lock, LockError};
use crate::sync::place::{self, CreateError, Place, Remote, remote};
use crate::sync::wait::{Patience, Ticket, Turn};
use crate::sys::fork;
use crate::sys::futex::Woken;
use bytemuck::Pod;
use std::time::Duration;

/// A condition variable in shared memory, for the values of [`Lock`]s.
///
/// It is a single sequence number: a waiter sleeps until the number changes, and notifying changes it. So
/// neither notifying nor dropping ever blocks, and a killed waiter leaves nothing behind. A wait may end
/// without a notification: check the value, or use [`Condition::wait_while`].
///
/// ```
/// use phalanx::sync::{Condition, Lock};
///
/// let (stock, filled) = (Lock::new(0u32)?, Condition::new()?);
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         *stock.lock().unwrap() = 3;
///         filled.notify_all();
///     });
///     let guard = filled.wait_while(stock.lock().unwrap(), |stock| *stock == 0).unwrap();
///     assert_eq!(*guard, 3);
/// });
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
#[doc(alias("Condvar", "pthread_cond_wait"))]
pub struct Condition {
    place: Place,
}

fn repair(turn: &Turn, _dead: MemberId) {
    turn.rouse();
}

/// What a wait returns: the lock, held again, or why not.
type Again<'a, T> = Result<Guard<'a, T>, LockError<Guard<'a, T>>>;

impl Condition {
    /// Makes a condition.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new() -> Result<Condition, CreateError> {
        let place = place::make::<Condition>("condition", size_of::<Turn>(), |_| (), Some(repair))?;
        Ok(Condition { place })
    }

    /// Releases the lock, sleeps until notified, and takes the lock again.
    ///
    /// # Errors
    /// Those of [`Lock::lock`], from taking the lock again; with [`LockError::OwnerDied`] it is held.
    pub fn wait<'a, T: Pod + Send>(&self, guard: Guard<'a, T>) -> Again<'a, T> {
        self.wait_with(guard, Patience::Forever).0
    }

    /// Like [`Condition::wait`], but sleeps at most `timeout`; taking the lock again may take longer. Also
    /// returns whether the time ran out.
    pub fn wait_timeout<'a, T: Pod + Send>(
        &self,
        guard: Guard<'a, T>,
        timeout: Duration,
    ) -> (Again<'a, T>, bool) {
        self.wait_with(guard, Patience::of(timeout))
    }

    /// Waits as long as `busy` returns `true` for the value. `busy` is called with the lock held.
    ///
    /// # Errors
    /// As [`Condition::wait`].
    pub fn wait_while<'a, T: Pod + Send>(
        &self,
        mut guard: Guard<'a, T>,
        mut busy: impl FnMut(&mut T) -> bool,
    ) -> Again<'a, T> {
        while busy(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Like [`Condition::wait_while`], but waits at most `timeout` in all. Also returns whether `busy` still
    /// held when the time ran out.
    pub fn wait_while_timeout<'a, T: Pod + Send>(
        &self,
        mut guard: Guard<'a, T>,
        timeout: Duration,
        mut busy: impl FnMut(&mut T) -> bool,
    ) -> (Again<'a, T>, bool) {
        let patience = Patience::of(timeout);
        let mut timed_out = false;
        while busy(&mut guard) {
            if timed_out {
                return (Ok(guard), true);
            }
            let (again, out) = self.wait_with(guard, patience);
            timed_out = out;
            match again {
                Ok(again) => guard = again,
                Err(error) => return (Err(error), out),
            }
        }
        (Ok(guard), false)
    }

    /// Wakes one waiter. Once a thread has waited since the last [`Condition::notify_all`], this costs a
    /// system call even if no thread waits.
    pub fn notify_one(&self) {
        self.turn().advance_one();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.turn().advance();
    }

    /// A ticket, taken before a look at what the condition announces without a lock.
    pub(crate) fn ticket(&self) -> Ticket {
        self.turn().ticket()
    }

    /// Sleeps until notified since the ticket was taken. Returns `false` if the time ran out.
    pub(crate) fn wait_past(&self, ticket: Ticket, patience: Patience) -> bool {
        self.turn().wait(ticket, patience) != Woken::TimedOut
    }

    fn wait_with<'a, T: Pod + Send>(&self, guard: Guard<'a, T>, patience: Patience) -> (Again<'a, T>, bool) {
        if fork::is_foreign() {
            return (Err(LockError::Forked), false);
        }
        let lock: &'a Lock<T> = guard.lock;
        // Taken while the lock is held: a change made under the lock later moves the turn after this ticket.
        let ticket = self.turn().ticket();
        drop(guard);
        let woken = self.turn().wait(ticket, patience);
        (lock.lock(), woken == Woken::TimedOut)
    }

    fn turn(&self) -> &Turn {
        Remote::words(self)
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Condition").finish_non_exhaustive()
    }
}

remote!([] Condition, "condition", Turn, (), |this| this.place, |place| Condition { place });
