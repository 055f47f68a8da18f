//! `Semaphore` and `BoundedSemaphore`: permits that processes hold, and return when they die.
//!
//! # Safety
//! A semaphore's block is one `SemaphoreWord` at its base.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::member::{self, MemberId};
use crate::sync::place::{self, CreateError, Place, Remote, remote};
use crate::sync::record::{RECORDS, Slot};
use crate::sync::semaphore_word::{Denied, SemaphoreWord};
use crate::sync::wait::Patience;
use crate::sys::fork;
use std::ptr::NonNull;
use std::time::Duration;

/// Why permits could not be taken or returned.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SemaphoreError {
    /// Too few permits came free in time, or, for `try_` calls, too few are free now.
    #[error(
        "{asked} permits of the semaphore did not come free in time ({free} are free now); others hold the rest"
    )]
    TimedOut {
        /// The number of permits requested.
        asked: u32,
        /// The number of permits that were free at the last check.
        free: u32,
    },
    /// The call requested more permits than the bounded semaphore has, and would never return.
    #[error(
        "{asked} permits were asked for, but the bounded semaphore has {total} in all; ask for fewer at once"
    )]
    TooMany {
        /// The number of permits requested.
        asked: u32,
        /// The total number of permits, held or free.
        total: u32,
    },
    /// The call would return more permits than this process holds, or more than a semaphore can count.
    #[error(
        "{asked} permits were to be released, but this process does not hold so many of a bounded semaphore (or the \
         semaphore's count would exceed u32::MAX); release each permit once"
    )]
    NotHeld {
        /// The number of permits to be returned.
        asked: u32,
    },
    /// More processes hold permits than the semaphore has records for.
    #[error("{RECORDS} processes hold permits of the semaphore already, the most it can keep records of")]
    TableFull,
    /// This process was forked from one that uses phalanx: the semaphore belongs to the parent.
    #[error("the semaphore cannot be used here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The words in shared memory hold a value that no semaphore operation writes.
    #[error(
        "the semaphore's state in shared memory is {seen:#010x}, which no semaphore operation writes; unsafe code in \
         some process wrote past its data; make a new semaphore"
    )]
    Corrupt {
        /// The value.
        seen: u32,
    },
}

crate::base::debug_is_display!(SemaphoreError);

/// A number of permits in shared memory, taken and returned by any thread of any process.
///
/// Each permit taken is recorded with the process that holds it. When that process dies its permits become
/// free again; nothing is reported, since permits guard no data. [`Semaphore::release`] may add permits
/// beyond the initial number; a [`BoundedSemaphore`] never has more than it began with.
///
/// Cost: two uncontended lock operations, without a system call, if permits are free. About 2 KiB of shared
/// memory.
///
/// ```
/// use phalanx::sync::Semaphore;
///
/// let slots = Semaphore::new(2)?;
/// let one = slots.acquire()?;
/// let _two = slots.acquire()?;
/// assert!(slots.try_acquire().is_err());
/// drop(one);
/// assert!(slots.try_acquire().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Semaphore {
    place: Place,
}

/// Permits held by this process; dropping the value returns them.
///
/// They belong to the process, not to the thread, and may be sent to another thread of the process.
#[must_use = "the permits are returned as soon as this is dropped"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    slot: Slot,
    n: u32,
}

impl Semaphore {
    /// Makes a semaphore with `permits` free permits.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(permits: u32) -> Result<Semaphore, CreateError> {
        // SAFETY: the block is long enough, zeroed, and all zero is a valid word.
        let init = |base: NonNull<u8>| unsafe { base.cast::<SemaphoreWord>().as_ref() }.init(permits);
        let place = place::make::<Semaphore>(
            "semaphore",
            size_of::<SemaphoreWord>(),
            init,
            Some(SemaphoreWord::repair),
        )?;
        Ok(Semaphore { place })
    }

    /// Takes one permit. Blocks until one is free; if the semaphore was made with none, until the first
    /// [`release`](Semaphore::release).
    ///
    /// # Errors
    /// - [`SemaphoreError::TableFull`], [`SemaphoreError::Corrupt`]: see [`SemaphoreError`].
    pub fn acquire(&self) -> Result<Permit<'_>, SemaphoreError> {
        self.acquire_with(1, Patience::Forever)
    }

    /// Takes `n` permits at once. Blocks until that many are free, even if the semaphore has fewer in all,
    /// since [`release`](Semaphore::release) may add more. Not fair: smaller requests may overtake this one.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`].
    pub fn acquire_many(&self, n: u32) -> Result<Permit<'_>, SemaphoreError> {
        self.acquire_with(n, Patience::Forever)
    }

    /// Takes one permit if one is free.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and [`SemaphoreError::TimedOut`] if none is free. That answer takes up to
    /// 50 ms if another process was killed or stopped in the middle of an operation.
    pub fn try_acquire(&self) -> Result<Permit<'_>, SemaphoreError> {
        self.acquire_with(1, Patience::Try)
    }

    /// Takes one permit, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and [`SemaphoreError::TimedOut`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, SemaphoreError> {
        self.acquire_with(1, Patience::of(timeout))
    }

    /// Takes `n` permits at once if that many are free.
    ///
    /// # Errors
    /// As [`Semaphore::try_acquire`].
    pub fn try_acquire_many(&self, n: u32) -> Result<Permit<'_>, SemaphoreError> {
        self.acquire_with(n, Patience::Try)
    }

    /// Takes `n` permits at once, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`Semaphore::acquire_timeout`].
    pub fn acquire_many_timeout(&self, n: u32, timeout: Duration) -> Result<Permit<'_>, SemaphoreError> {
        self.acquire_with(n, Patience::of(timeout))
    }

    fn acquire_with(&self, n: u32, patience: Patience) -> Result<Permit<'_>, SemaphoreError> {
        if fork::is_foreign() {
            return Err(SemaphoreError::Forked);
        }
        let taken = self.word().acquire(member::current(), n, patience);
        taken.map(|slot| Permit { semaphore: self, slot, n }).map_err(|denied| self.error(denied, n))
    }

    /// Adds `n` free permits, whether or not they were held: for signalling how many items are ready.
    ///
    /// # Errors
    /// - [`SemaphoreError::NotHeld`]: the count would exceed `u32::MAX`.
    /// - [`SemaphoreError::Corrupt`]: the words in shared memory were overwritten.
    pub fn release(&self, n: u32) -> Result<(), SemaphoreError> {
        if fork::is_foreign() {
            return Err(SemaphoreError::Forked);
        }
        self.word().grow(member::current(), n).map_err(|denied| self.error(denied, n))
    }

    /// Returns the number of free permits; a snapshot.
    pub fn available(&self) -> u32 {
        self.word().free()
    }

    /// Returns the processes that hold permits and how many each holds; a snapshot.
    pub fn holders(&self) -> Vec<(MemberId, u32)> {
        self.word().holders()
    }

    fn error(&self, denied: Denied, asked: u32) -> SemaphoreError {
        match denied {
            Denied::TimedOut => SemaphoreError::TimedOut { asked, free: self.available() },
            Denied::NotHeld => SemaphoreError::NotHeld { asked },
            Denied::TableFull => SemaphoreError::TableFull,
            Denied::Corrupt(seen) => SemaphoreError::Corrupt { seen },
        }
    }

    pub(crate) fn word(&self) -> &SemaphoreWord {
        Remote::words(self)
    }
}

impl std::fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).finish()
    }
}

impl Permit<'_> {
    /// Returns the number of permits.
    pub fn count(&self) -> u32 {
        self.n
    }

    /// Drops this guard but leaves the permits with the process, until [`BoundedSemaphore::release`] or the
    /// end of the process.
    pub fn keep(self) {
        std::mem::forget(self);
    }

    /// Uses the permits up: the semaphore has that many fewer. Together with [`Semaphore::release`] this
    /// passes items from producers to consumers.
    ///
    /// # Errors
    /// - [`SemaphoreError::Corrupt`]: the words in shared memory were overwritten.
    pub fn consume(self) -> Result<(), SemaphoreError> {
        let permit = std::mem::ManuallyDrop::new(self);
        if fork::is_foreign() {
            return Err(SemaphoreError::Forked);
        }
        let done = permit.semaphore.word().consume(member::current(), permit.slot, permit.n);
        done.map_err(|denied| permit.semaphore.error(denied, permit.n))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        // It fails only if the words were overwritten; the next `acquire` reports that.
        let _ = self.semaphore.word().release(member::current(), self.slot, self.n);
    }
}

/// A [`Semaphore`] that never has more permits than it was made with.
///
/// ```
/// use phalanx::sync::{BoundedSemaphore, SemaphoreError};
///
/// let slots = BoundedSemaphore::new(1)?;
/// slots.acquire()?.keep();
/// slots.release(1)?;
/// assert_eq!(slots.release(1), Err(SemaphoreError::NotHeld { asked: 1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BoundedSemaphore(Semaphore);

impl BoundedSemaphore {
    /// Makes a semaphore with `permits` free permits; it never has more.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(permits: u32) -> Result<BoundedSemaphore, CreateError> {
        Semaphore::new(permits).map(BoundedSemaphore)
    }

    /// Returns `n` permits that this process [keeps](Permit::keep).
    ///
    /// # Errors
    /// - [`SemaphoreError::NotHeld`]: this process holds fewer; nothing is returned.
    /// - [`SemaphoreError::Corrupt`]: the words in shared memory were overwritten.
    pub fn release(&self, n: u32) -> Result<(), SemaphoreError> {
        if fork::is_foreign() {
            return Err(SemaphoreError::Forked);
        }
        self.0.word().release_kept(member::current(), n).map_err(|denied| self.0.error(denied, n))
    }

    /// Takes one permit; see [`Semaphore::acquire`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and [`SemaphoreError::TooMany`] if the semaphore has none in all.
    pub fn acquire(&self) -> Result<Permit<'_>, SemaphoreError> {
        self.check(1)?;
        self.0.acquire()
    }

    /// Takes `n` permits at once; see [`Semaphore::acquire_many`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and [`SemaphoreError::TooMany`] if `n` is more than there are in all.
    pub fn acquire_many(&self, n: u32) -> Result<Permit<'_>, SemaphoreError> {
        self.check(n)?;
        self.0.acquire_many(n)
    }

    /// Takes one permit if one is free; see [`Semaphore::try_acquire`].
    ///
    /// # Errors
    /// As [`Semaphore::try_acquire`], and [`SemaphoreError::TooMany`].
    pub fn try_acquire(&self) -> Result<Permit<'_>, SemaphoreError> {
        self.check(1)?;
        self.0.try_acquire()
    }

    /// Takes one permit, waiting at most `timeout`; see [`Semaphore::acquire_timeout`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire_timeout`], and [`SemaphoreError::TooMany`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, SemaphoreError> {
        self.check(1)?;
        self.0.acquire_timeout(timeout)
    }

    /// Refuses a request that no release can ever satisfy.
    fn check(&self, asked: u32) -> Result<(), SemaphoreError> {
        if fork::is_foreign() {
            return Err(SemaphoreError::Forked);
        }
        let total = self.0.word().total();
        if asked > total { Err(SemaphoreError::TooMany { asked, total }) } else { Ok(()) }
    }

    /// Returns the number of free permits; a snapshot.
    pub fn available(&self) -> u32 {
        self.0.available()
    }

    /// Returns the processes that hold permits and how many each holds; see [`Semaphore::holders`].
    pub fn holders(&self) -> Vec<(MemberId, u32)> {
        self.0.holders()
    }

    /// Takes `n` permits at once if that many are free; see [`Semaphore::try_acquire_many`].
    ///
    /// # Errors
    /// As [`Semaphore::try_acquire`], and [`SemaphoreError::TooMany`].
    pub fn try_acquire_many(&self, n: u32) -> Result<Permit<'_>, SemaphoreError> {
        self.check(n)?;
        self.0.try_acquire_many(n)
    }

    /// Takes `n` permits at once, waiting at most `timeout`; see [`Semaphore::acquire_many_timeout`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire_timeout`], and [`SemaphoreError::TooMany`].
    pub fn acquire_many_timeout(&self, n: u32, timeout: Duration) -> Result<Permit<'_>, SemaphoreError> {
        self.check(n)?;
        self.0.acquire_many_timeout(n, timeout)
    }
}

remote!([] Semaphore, "semaphore", SemaphoreWord, (), |this| this.place, |place| Semaphore { place });
remote!([] BoundedSemaphore, "bounded semaphore", SemaphoreWord, (), |this| this.0.place, |place| {
    BoundedSemaphore(Semaphore { place })
});
