//! `Lock<T>`: mutual exclusion around a value in shared memory.
//!
//! # Safety
//! A guard exists only while the calling thread holds the lock, and the protocol gives the lock to one thread
//! of one process at a time, or to the next one after the holder's confirmed death. So between `lock` and the
//! guard's drop nobody else touches the value, and references to it are exclusive. A holder killed halfway
//! leaves some bytes old and some new, which for `Pod` is a value like any other.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::member::{self, Owner};
use crate::sync::lock_word::{Acquired, LockWord, Refused};
use crate::sync::place::{self, CreateError, Place, remote};
use crate::sync::wait::Patience;
use crate::sys::fork;
use bytemuck::Pod;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

/// Why a lock could not be taken, or that it was taken over from a holder that died.
///
/// `G` is the guard: [`LockError::OwnerDied`] carries it, since the lock **is** held then.
#[non_exhaustive]
#[derive(thiserror::Error)]
pub enum LockError<G = ()> {
    /// An earlier holder died or panicked while holding the lock, and the guard's `clear_poison` has not been
    /// called since. The lock **is** held now, but the value may be half changed.
    #[error(
        "an earlier holder of the lock died while holding it, so what it protects may be half changed; the lock is \
         yours now: check or rewrite the value, then call `clear_poison` on the guard"
    )]
    OwnerDied(G),
    /// The calling thread already holds the lock and would wait for itself.
    #[error(
        "this thread holds the lock already and would wait for itself forever; drop the first guard, or use an RLock"
    )]
    WouldDeadlock,
    /// The lock was not free in time, or, for `try_` calls, it is held now.
    #[error(
        "the lock was not free in time: {} holds it; it may be in a long section, stopped, or waiting for a lock \
         that you hold",
        name_of(.holder)
    )]
    TimedOut {
        /// The holder at the last check.
        holder: Option<Owner>,
    },
    /// An [`RLock`](crate::sync::RLock) was taken more often than it can count.
    #[error(
        "the RLock is held {depth} times by this thread, the most it can count; a guard was probably forgotten"
    )]
    TooDeep {
        /// How often the thread holds it.
        depth: u32,
    },
    /// The [part of an array](crate::ArrayPart) was taken back: its array is whole again.
    #[error(
        "this part of an array was taken back: its parts have been joined; lock it before that, or divide the array again"
    )]
    Joined,
    /// This process was forked from one that uses phalanx: the lock belongs to the parent.
    #[error("the lock cannot be used here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The lock's words hold a value that no lock operation writes: other code overwrote them.
    #[error(
        "the lock's state in shared memory is {seen:#010x}, which no lock operation writes; unsafe code in some \
         process wrote past its data; make a new lock"
    )]
    Corrupt {
        /// The value of the state word.
        seen: u32,
    },
}

crate::base::debug_is_display!(LockError<G>);

fn name_of(holder: &Option<Owner>) -> String {
    holder.map_or("another thread".to_owned(), |owner| owner.to_string())
}

impl<G> LockError<G> {
    /// Returns the guard if the lock is held, that is, after [`LockError::OwnerDied`].
    pub fn into_guard(self) -> Option<G> {
        match self {
            LockError::OwnerDied(guard) => Some(guard),
            _ => None,
        }
    }

    /// Returns the same error with another guard. With `|_| ()` the lock is released and the error no longer
    /// borrows from it.
    pub fn map<H>(self, guard: impl FnOnce(G) -> H) -> LockError<H> {
        match self {
            LockError::OwnerDied(held) => LockError::OwnerDied(guard(held)),
            LockError::WouldDeadlock => LockError::WouldDeadlock,
            LockError::TimedOut { holder } => LockError::TimedOut { holder },
            LockError::TooDeep { depth } => LockError::TooDeep { depth },
            LockError::Joined => LockError::Joined,
            LockError::Forked => LockError::Forked,
            LockError::Corrupt { seen } => LockError::Corrupt { seen },
        }
    }

    pub(crate) fn of(refused: Refused, holder: Option<Owner>) -> LockError<G> {
        match refused {
            Refused::WouldDeadlock => LockError::WouldDeadlock,
            Refused::TimedOut => LockError::TimedOut { holder },
            Refused::Corrupt(seen) => LockError::Corrupt { seen },
        }
    }
}

/// A value in shared memory that only one thread of one process accesses at a time.
///
/// The value lies beside the lock's word. Any thread of the driver, or of a worker that was given the lock,
/// may take it. The memory is freed with the last handle, including handles in transit.
///
/// **If a holder dies**, the next thread to lock gets [`LockError::OwnerDied`] with the guard inside: the
/// lock is never lost and never silently passed on. All later holders get the same error until one calls
/// [`Guard::clear_poison`]. A panic while a guard is held counts as the death of the holder.
///
/// The lock is not fair: a newcomer may take it before a thread that has waited longer. It must not be used
/// in signal handlers, except for [`Lock::try_lock`].
///
/// ```
/// use phalanx::sync::{Lock, LockError};
///
/// let totals = Lock::new([0u64; 2])?;
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| {
///             for i in 0..100 {
///                 let mut totals = totals.lock().expect("no holder dies here");
///                 totals[0] += 1;
///                 totals[1] += i;
///             }
///         });
///     }
/// });
/// let mut sums = match totals.lock() {
///     Ok(guard) => guard,
///     Err(LockError::OwnerDied(mut guard)) => {
///         *guard = [0; 2]; // half changed: start afresh
///         guard.clear_poison();
///         guard
///     }
///     Err(other) => panic!("{other}"),
/// };
/// assert_eq!(*sums, [400, 4 * 4950]);
/// sums[0] = 0;
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
#[doc(alias = "Mutex")]
pub struct Lock<T> {
    place: Place,
    _value: PhantomData<T>,
}

// SAFETY: threads reach the value only through guards, one at a time; `Pod` data is free of ties to a thread,
// and `T: Send` says the same.
unsafe impl<T: Pod + Send> Send for Lock<T> {}
// SAFETY: as for `Send`; sharing the lock lends the value to one thread at a time.
unsafe impl<T: Pod + Send> Sync for Lock<T> {}

/// Holds the lock; dropping the guard releases it.
///
/// It belongs to the thread that locked (it is not `Send`). Forgetting it leaves the lock held until this
/// process ends.
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct Guard<'a, T: Pod> {
    pub(crate) lock: &'a Lock<T>,
    held: Held<'a>,
}

// SAFETY: a shared guard gives out `&T` alone.
unsafe impl<T: Pod + Sync> Sync for Guard<'_, T> {}

/// A lock word that the calling thread holds; dropping this releases it.
#[must_use = "the lock is released as soon as this is dropped"]
pub(crate) struct Held<'a> {
    word: &'a LockWord,
    /// Whether its thread was already unwinding when this was made; then a drop by unwinding does not poison.
    unwinding: bool,
    _thread: PhantomData<*const ()>,
}

impl<'a> Held<'a> {
    #[inline]
    pub(crate) fn take(word: &'a LockWord, patience: Patience) -> Result<Held<'a>, LockError<Held<'a>>> {
        let me = member::current();
        let acquired = match word.lock(me, patience) {
            Ok(acquired) => acquired,
            Err(refused) => return Err(LockError::of(refused, word.holder())),
        };
        let held = Held { word, unwinding: std::thread::panicking(), _thread: PhantomData };
        match acquired {
            Acquired::Clean => Ok(held),
            Acquired::OwnerDied => Err(LockError::OwnerDied(held)),
        }
    }

    /// Declares that what the lock protects is sound again.
    pub(crate) fn clear_poison(&self) {
        self.word.clear_poison();
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        if std::thread::panicking() && !self.unwinding {
            self.word.poison();
        }
        // Not the owner only if something wrote over the word; the next `lock` sees that.
        let _ = self.word.unlock(member::current());
    }
}

impl<T: Pod + Send> Lock<T> {
    /// Makes an unlocked lock around `value`.
    ///
    /// Cost: one block of shared memory, as long as `T` plus 8 bytes, on cache lines of its own.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(value: T) -> Result<Lock<T>, CreateError> {
        let write = |base: NonNull<u8>| {
            // SAFETY: the block has room for words and value.
            let data = unsafe { base.add(place::data_offset::<LockWord, T>()) };
            // SAFETY: inside the block, aligned by `data_offset` and `ALIGN`, and nobody else knows the block
            // yet.
            unsafe { data.cast::<T>().write(value) }
        };
        let len = place::len_of::<LockWord, T>();
        let place = place::make::<Lock<T>>("lock", len, write, Some(LockWord::repair))?;
        Ok(Lock { place, _value: PhantomData })
    }

    /// Takes the lock. Blocks while another thread or process holds it.
    ///
    /// Cost: one atomic instruction if the lock is free; otherwise a spin of a few microseconds, then a sleep
    /// in the kernel. If the holder dies, the wait ends as soon as the driver has confirmed the death.
    ///
    /// # Errors
    /// - [`LockError::OwnerDied`]: the lock is held, with the guard inside; an earlier holder died.
    /// - [`LockError::WouldDeadlock`]: this thread holds the lock already.
    /// - [`LockError::Corrupt`]: the word in shared memory was overwritten.
    ///
    /// ```
    /// use phalanx::sync::{Lock, LockError};
    ///
    /// let total = Lock::new(0u64)?;
    /// match total.lock() {
    ///     Ok(mut total) => *total += 1,
    ///     // A holder died. The guard is here: check the value, or set it, and declare it sound.
    ///     Err(LockError::OwnerDied(mut total)) => {
    ///         *total = 0;
    ///         total.clear_poison();
    ///     }
    ///     Err(other) => panic!("{other}"),
    /// }
    /// assert_eq!(*total.lock().unwrap(), 1);
    /// # Ok::<(), phalanx::sync::CreateError>(())
    /// ```
    #[doc(alias("acquire", "pthread_mutex_lock"))]
    #[inline]
    pub fn lock(&self) -> Result<Guard<'_, T>, LockError<Guard<'_, T>>> {
        self.lock_with(Patience::Forever)
    }

    /// Takes the lock if it is free. Never blocks.
    ///
    /// # Errors
    /// As [`Lock::lock`], and [`LockError::TimedOut`] if another thread or process holds it.
    pub fn try_lock(&self) -> Result<Guard<'_, T>, LockError<Guard<'_, T>>> {
        self.lock_with(Patience::Try)
    }

    /// Takes the lock, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Lock::lock`], and [`LockError::TimedOut`] if it was held all that time.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Guard<'_, T>, LockError<Guard<'_, T>>> {
        self.lock_with(Patience::of(timeout))
    }

    #[inline]
    pub(crate) fn lock_with(&self, patience: Patience) -> Result<Guard<'_, T>, LockError<Guard<'_, T>>> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        match Held::take(self.word(), patience) {
            Ok(held) => Ok(Guard { lock: self, held }),
            Err(error) => Err(error.map(|held| Guard { lock: self, held })),
        }
    }
}

impl<T> Lock<T> {
    /// Returns the current holder; a snapshot.
    pub fn holder(&self) -> Option<Owner> {
        self.looked_at().holder()
    }

    /// Returns whether a holder died and [`Guard::clear_poison`] has not been called since.
    pub fn is_poisoned(&self) -> bool {
        self.looked_at().is_poisoned()
    }

    /// The words, for methods that have no error to return.
    fn looked_at(&self) -> &LockWord {
        // SAFETY: as in `word`.
        unsafe { self.place.words().cast().as_ref() }
    }

    /// The words; the caller has checked that this process is not a fork.
    pub(crate) fn word(&self) -> &LockWord {
        // SAFETY: the place holds a `LockWord` at its base for as long as it lives; it is all atomics.
        unsafe { self.place.base().cast().as_ref() }
    }

    fn data(&self) -> NonNull<T> {
        // SAFETY: `new` made the block long enough.
        unsafe { self.place.base().add(place::data_offset::<LockWord, T>()) }.cast()
    }
}

impl<T> std::fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lock").field("holder", &self.holder()).field("poisoned", &self.is_poisoned()).finish()
    }
}

impl<T: Pod> Guard<'_, T> {
    /// Declares the value sound again: later holders get [`Ok`]. Dropping the guard without calling this
    /// keeps the lock poisoned.
    pub fn clear_poison(&mut self) {
        self.held.clear_poison();
    }
}

impl<T: Pod> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so nobody else touches the value; every bit pattern is a `T`.
        unsafe { self.lock.data().as_ref() }
    }
}

impl<T: Pod> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`; the guard is borrowed exclusively.
        unsafe { self.lock.data().as_mut() }
    }
}

impl<T: Pod + std::fmt::Debug> std::fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

remote!([T: Pod + Send] Lock<T>, "lock", LockWord, T, |this| this.place, |place| Lock { place, _value: PhantomData });
