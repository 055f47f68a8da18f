//! `RLock<T>`: a reentrant lock.
//!
//! # Safety
//! As for `Lock`, but guards of one thread may coexist, so none of them gives out a reference: the value is
//! copied out and in, always by the one thread that holds the lock.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::member::{self, MemberId, Owner};
use crate::sync::lock::LockError;
use crate::sync::lock_word::{Acquired, LockWord, Refused};
use crate::sync::place::{self, CreateError, Place, remote};
use crate::sync::wait::Patience;
use crate::sys::fork;
use bytemuck::Pod;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

/// A lock, and how often its holder has taken it. The depth has a meaning only while the lock is held, and
/// only for its holder: whoever takes a free lock writes 1, even after a death at another depth.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct RLockWord {
    lock: LockWord,
    depth: AtomicU32,
    _pad: AtomicU32,
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<RLockWord>() == 16);
    assert!(std::mem::offset_of!(RLockWord, depth) == 8);
};

/// Guards of one thread at a time; far above any sane recursion, far below a wrap.
const MAX_DEPTH: u32 = 1 << 20;

/// Why an RLock was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RRefused {
    Lock(Refused),
    TooDeep(u32),
}

impl RLockWord {
    #[inline]
    pub(crate) fn lock(&self, me: Owner, patience: Patience) -> Result<Acquired, RRefused> {
        if self.lock.is_mine(me) {
            let depth = self.depth.load(Ordering::Relaxed);
            if depth == 0 || depth >= MAX_DEPTH {
                return Err(RRefused::TooDeep(depth));
            }
            self.depth.store(depth.wrapping_add(1), Ordering::Relaxed);
            return Ok(if self.lock.is_poisoned() { Acquired::OwnerDied } else { Acquired::Clean });
        }
        let acquired = self.lock.lock(me, patience).map_err(RRefused::Lock)?;
        self.depth.store(1, Ordering::Relaxed);
        Ok(acquired)
    }

    #[inline]
    pub(crate) fn unlock(&self, me: Owner) {
        if !self.lock.is_mine(me) {
            return;
        }
        match self.depth.load(Ordering::Relaxed) {
            0 | 1 => {
                let _ = self.lock.unlock(me);
            }
            depth => self.depth.store(depth.wrapping_sub(1), Ordering::Relaxed),
        }
    }

    pub(crate) fn holder(&self) -> Option<Owner> {
        self.lock.holder()
    }

    pub(crate) fn repair(&self, dead: MemberId) {
        self.lock.repair(dead);
    }
}

/// A value in shared memory under a reentrant lock: the thread that holds it may take it again.
///
/// Since one thread may have several guards, they return no references: [`RGuard::get`] and [`RGuard::set`]
/// copy. A death is reported as by [`crate::sync::Lock`]: the next thread to lock gets
/// [`LockError::OwnerDied`], whatever the dead holder's depth.
///
/// ```
/// use phalanx::sync::RLock;
///
/// let total = RLock::new(1.0f64)?;
/// let outer = total.lock().unwrap();
/// let inner = total.lock().unwrap(); // the same thread: no wait
/// inner.update(|x| x + 1.0);
/// drop(inner);
/// assert_eq!(outer.get(), 2.0);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
#[doc(alias("ReentrantLock", "RecursiveMutex"))]
pub struct RLock<T> {
    place: Place,
    _value: PhantomData<T>,
}

// SAFETY: the value is touched only by the thread that holds the lock; `T: Pod + Send` has no ties to a
// thread.
unsafe impl<T: Pod + Send> Send for RLock<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Pod + Send> Sync for RLock<T> {}

/// One level of a held [`RLock`]; dropping the last one releases the lock.
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct RGuard<'a, T: Pod> {
    lock: &'a RLock<T>,
    unwinding: bool,
    _thread: PhantomData<*const ()>,
}

impl<T: Pod + Send> RLock<T> {
    /// Makes an unlocked lock around `value`.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(value: T) -> Result<RLock<T>, CreateError> {
        let write = |base: NonNull<u8>| {
            // SAFETY: the block has room for words and value.
            let data = unsafe { base.add(place::data_offset::<RLockWord, T>()) };
            // SAFETY: inside the block, aligned by `data_offset` and `ALIGN`, and nobody else knows the block
            // yet.
            unsafe { data.cast::<T>().write(value) }
        };
        let len = place::len_of::<RLockWord, T>();
        let place = place::make::<RLock<T>>("RLock", len, write, Some(RLockWord::repair))?;
        Ok(RLock { place, _value: PhantomData })
    }

    /// Takes the lock, or takes it once more. Blocks while another thread or process holds it.
    ///
    /// # Errors
    /// - [`LockError::OwnerDied`]: the lock is held, with the guard inside; an earlier holder died and the
    ///   value may be inconsistent.
    /// - [`LockError::TooDeep`]: this thread has already taken the lock about a million times.
    /// - [`LockError::Corrupt`]: the words in shared memory were overwritten.
    #[inline]
    pub fn lock(&self) -> Result<RGuard<'_, T>, LockError<RGuard<'_, T>>> {
        self.lock_with(Patience::Forever)
    }

    /// Takes the lock if no other thread holds it. Never blocks.
    ///
    /// # Errors
    /// As [`RLock::lock`], and [`LockError::TimedOut`] if another thread holds it.
    pub fn try_lock(&self) -> Result<RGuard<'_, T>, LockError<RGuard<'_, T>>> {
        self.lock_with(Patience::Try)
    }

    /// Takes the lock, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`RLock::lock`], and [`LockError::TimedOut`].
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RGuard<'_, T>, LockError<RGuard<'_, T>>> {
        self.lock_with(Patience::of(timeout))
    }

    #[inline]
    fn lock_with(&self, patience: Patience) -> Result<RGuard<'_, T>, LockError<RGuard<'_, T>>> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        let me = member::current();
        match self.word().lock(me, patience) {
            Ok(acquired) => {
                let unwinding = std::thread::panicking();
                let guard = RGuard { lock: self, unwinding, _thread: PhantomData };
                if acquired == Acquired::Clean { Ok(guard) } else { Err(LockError::OwnerDied(guard)) }
            }
            Err(refused) => Err(self.refusal(refused)),
        }
    }

    #[cold]
    fn refusal<G>(&self, refused: RRefused) -> LockError<G> {
        match refused {
            RRefused::Lock(refused) => LockError::of(refused, self.word().holder()),
            RRefused::TooDeep(depth) => LockError::TooDeep { depth },
        }
    }
}

impl<T> RLock<T> {
    /// Returns the current holder; a snapshot.
    pub fn holder(&self) -> Option<Owner> {
        self.looked_at().holder()
    }

    /// Returns whether a holder died and [`RGuard::clear_poison`] has not been called since.
    pub fn is_poisoned(&self) -> bool {
        self.looked_at().lock.is_poisoned()
    }

    /// The words, for methods that have no error to return.
    fn looked_at(&self) -> &RLockWord {
        // SAFETY: as in `word`.
        unsafe { self.place.words().cast().as_ref() }
    }

    /// The words; the caller has checked that this process is not a fork.
    fn word(&self) -> &RLockWord {
        // SAFETY: the place holds one at its base for as long as it lives.
        unsafe { self.place.base().cast().as_ref() }
    }

    fn data(&self) -> NonNull<T> {
        // SAFETY: `new` made the block long enough.
        unsafe { self.place.base().add(place::data_offset::<RLockWord, T>()) }.cast()
    }
}

impl<T> std::fmt::Debug for RLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RLock")
            .field("holder", &self.holder())
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}

impl<T: Pod> RGuard<'_, T> {
    /// Returns a copy of the value.
    pub fn get(&self) -> T {
        // SAFETY: this thread holds the lock and is inside this call, so nobody writes meanwhile.
        unsafe { self.lock.data().read() }
    }

    /// Replaces the value by `value`.
    pub fn set(&self, value: T) {
        // SAFETY: this thread holds the lock and no reference to the value exists anywhere.
        unsafe { self.lock.data().write(value) }
    }

    /// Replaces the value by the result of `change`.
    pub fn update(&self, change: impl FnOnce(T) -> T) {
        self.set(change(self.get()));
    }

    /// Declares the value sound again. Dropping all guards without calling this keeps the lock poisoned.
    pub fn clear_poison(&self) {
        self.lock.word().lock.clear_poison();
    }
}

impl<T: Pod> Drop for RGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        let word = self.lock.word();
        if std::thread::panicking() && !self.unwinding {
            word.lock.poison();
        }
        // A guard stays on the thread that locked.
        word.unlock(member::current());
    }
}

impl<T: Pod + std::fmt::Debug> std::fmt::Debug for RGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

remote!([T: Pod + Send] RLock<T>, "RLock", RLockWord, T, |this| this.place, |place| RLock { place, _value: PhantomData });
