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

/// One value in shared memory, with the lock that protects it: what `multiprocessing.Value` is.
///
/// Every call takes the lock; [`lock`](Value::lock) holds it over several steps. A call while the same thread
/// holds the guard is [`LockError::WouldDeadlock`], at once. If a process dies, or panics, with the lock
/// held, calls say [`LockError::OwnerDied`] until somebody clears it, since the value may be half changed.
///
/// Cost: an uncontended lock and unlock a call; 128 bytes for values up to 88.
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
    /// Makes a shared value.
    ///
    /// # Errors
    /// - [`CreateError`] when shared memory is not to be had.
    pub fn new(value: T) -> Result<Value<T>, CreateError> {
        Lock::new(value).map(Value)
    }

    /// Its lock: holder, `try_lock`, and what else a [`Lock`] can do.
    pub fn get_lock(&self) -> &Lock<T> {
        &self.0
    }

    /// Takes the lock; the guard is the value. Blocks while another thread or process holds it.
    ///
    /// # Errors
    /// Those of [`Lock::lock`].
    pub fn lock(&self) -> Held<'_, T> {
        self.0.lock()
    }

    /// As [`lock`](Value::lock), for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`Lock::lock_timeout`].
    pub fn lock_timeout(&self, timeout: Duration) -> Held<'_, T> {
        self.0.lock_timeout(timeout)
    }

    /// Copies the value out, under the lock.
    ///
    /// # Errors
    /// Those of [`Lock::lock`]; with [`LockError::OwnerDied`] the lock is free again and the value still
    /// suspect.
    pub fn get(&self) -> Result<T, LockError> {
        self.lock().map(|guard| *guard).map_err(|error| error.map(drop))
    }

    /// Sets the value, under the lock. A value set whole is sound, so a suspect one is so no more.
    ///
    /// # Errors
    /// Those of [`Lock::lock`], but for [`LockError::OwnerDied`].
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

    /// Replaces the value by `change` of it, under the lock; the new value.
    ///
    /// # Errors
    /// As [`get`](Value::get); nothing is changed then.
    pub fn update(&self, change: impl FnOnce(T) -> T) -> Result<T, LockError> {
        let mut guard = self.lock().map_err(|error| error.map(drop))?;
        *guard = change(*guard);
        Ok(*guard)
    }
}

remote!([T: Element] Value<T>, "value", LockWord, T, |this| *this.0.place(), |place| Value(Lock::of(place)));
