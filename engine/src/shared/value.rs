//! `Value<T>`: one value with its lock.
//!
//! # Safety
//! A value is a `Lock` and says so where it is rebuilt: the same words, the same value, the same place.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::sync::place::{CreateError, remote};
use crate::sync::{Guard, Lock, LockError, LockWord};
use std::time::Duration;

/// One value in shared memory, protected by a lock: the counterpart of `multiprocessing.Value`.
///
/// Every call acquires the lock; use [`lock`](Value::lock) to hold it over several steps. A call returns
/// [`LockError::WouldDeadlock`] at once if the same thread already holds the guard. If a process dies or
/// panics while it holds the lock, calls return [`LockError::OwnerDied`] until the poison is cleared, because
/// the value may be half changed.
///
/// Cost: an uncontended lock and unlock per call; 128 bytes for values of up to 88 bytes.
///
/// ```
/// use phalanx::shared::Value;
///
/// let total = Value::new(0i64)?;
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         let total = total.clone();
///         s.spawn(move || (0..100).for_each(|_| *total.lock().unwrap() += 1));
///     }
/// });
/// assert_eq!(total.get().unwrap(), 400);
/// total.update(|x| x * 2).unwrap();
/// assert_eq!(total.get().unwrap(), 800);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
#[derive(Debug)]
pub struct Value<T>(Lock<T>);

/// A guard, or why not.
type Held<'a, T> = Result<Guard<'a, T>, LockError<Guard<'a, T>>>;

impl<T: Element> Value<T> {
    /// Creates a shared value.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(value: T) -> Result<Value<T>, CreateError> {
        Lock::new(value).map(Value)
    }

    /// Returns the underlying [`Lock`], with all its methods.
    pub fn get_lock(&self) -> &Lock<T> {
        &self.0
    }

    /// Acquires the lock and returns a guard to the value. Blocks while another thread or process holds it.
    ///
    /// # Errors
    /// Same as [`Lock::lock`].
    pub fn lock(&self) -> Held<'_, T> {
        self.0.lock()
    }

    /// Same as [`lock`](Value::lock), but waits for at most `timeout`.
    ///
    /// # Errors
    /// Same as [`Lock::lock_timeout`].
    pub fn lock_timeout(&self, timeout: Duration) -> Held<'_, T> {
        self.0.lock_timeout(timeout)
    }

    /// Returns a copy of the value, under the lock.
    ///
    /// # Errors
    /// Same as [`Lock::lock`]. After [`LockError::OwnerDied`] the lock is free again, but the value remains
    /// poisoned.
    pub fn get(&self) -> Result<T, LockError> {
        self.lock().map(|guard| *guard).map_err(|error| error.map(drop))
    }

    /// Sets the value, under the lock. Since the whole value is replaced, this clears the poison.
    ///
    /// # Errors
    /// Same as [`Lock::lock`], except [`LockError::OwnerDied`].
    pub fn set(&self, value: T) -> Result<(), LockError> {
        let mut guard = match self.lock() {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(guard)) => guard,
            Err(other) => return Err(other.map(drop)),
        };
        *guard = value;
        guard.clear_poison();
        Ok(())
    }

    /// Replaces the value with `change(value)`, under the lock, and returns the new value.
    ///
    /// # Errors
    /// Same as [`get`](Value::get). The value is then unchanged.
    pub fn update(&self, change: impl FnOnce(T) -> T) -> Result<T, LockError> {
        let mut guard = self.lock().map_err(|error| error.map(drop))?;
        *guard = change(*guard);
        Ok(*guard)
    }
}

remote!([T: Element] Value<T>, "value", LockWord, T, |this| *this.0.place(), |place| Value(Lock::of(place)));
