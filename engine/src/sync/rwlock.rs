//! `RwLock<T>`: many readers or one writer around a value in shared memory.
//!
//! # Safety
//! A read guard exists only while its process has a reader record and no writer is inside, a write guard only
//! while its thread is the writer inside, who found no record when it went in; so shared and exclusive
//! references to the value never meet. A reader that adds its record later sees the writer, and takes it off
//! again before it has a guard. After a confirmed death the dead process's references are gone with it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::member::{self, MemberId, Owner};
use crate::base::with_own;

use crate::sync::lock::LockError;
use crate::sync::lock_word::{Acquired, Refused};
use crate::sync::place::{self, CreateError, Place, remote};
use crate::sync::record::Slot;
use crate::sync::rw_word::RwWord;
use crate::sync::serial::Serial;
use crate::sync::wait::Patience;
use crate::sys::fork;
use bytemuck::Pod;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

/// A value in shared memory that many threads and processes may read at once, or one may write.
///
/// A waiting writer keeps new readers out, except for threads that are reading already: these may read again
/// at any time. A thread that reads must drop its guards before it writes; otherwise it gets
/// [`LockError::WouldDeadlock`] at once. If a reader dies its record is removed and nothing is reported,
/// since readers change nothing. If a writer dies while writing, every later reader and writer gets
/// [`LockError::OwnerDied`] until a writer calls [`WriteGuard::clear_poison`].
///
/// Cost: a read takes two atomic instructions and two fences in all. At most 256 processes read at once;
/// others wait until one leaves. About 2 KiB of shared memory besides the value.
///
/// ```
/// use phalanx::sync::RwLock;
///
/// let table = RwLock::new([0.0f64; 8])?;
/// table.write().unwrap()[3] = 2.5;
/// let (a, b) = (table.read().unwrap(), table.try_read());
/// assert_eq!(a[3], 2.5);
/// assert!(b.is_ok() && table.try_write().is_err());
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct RwLock<T> {
    place: Place,
    _value: PhantomData<T>,
}

// SAFETY: `T: Pod + Send` has no ties to a thread. A clone may stay behind and share the value: there are
// locks only of types that are `Sync` too (`new`, and `Remote` for those that arrive).
unsafe impl<T: Pod + Send> Send for RwLock<T> {}
// SAFETY: readers share the value (`T: Sync`), a writer has it alone (`T: Send`).
unsafe impl<T: Pod + Send + Sync> Sync for RwLock<T> {}

/// Shared access to the value; dropping the guard releases the lock.
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct ReadGuard<'a, T: Pod> {
    lock: &'a RwLock<T>,
    slot: Slot,
    _thread: PhantomData<*const ()>,
}

/// Exclusive access to the value; dropping the guard releases the lock.
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct WriteGuard<'a, T: Pod> {
    lock: &'a RwLock<T>,
    unwinding: bool,
    _thread: PhantomData<*const ()>,
}

type Read<'a, T> = Result<ReadGuard<'a, T>, LockError<ReadGuard<'a, T>>>;
type Write<'a, T> = Result<WriteGuard<'a, T>, LockError<WriteGuard<'a, T>>>;

impl<T: Pod + Send + Sync> RwLock<T> {
    /// Makes a free lock around `value`.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(value: T) -> Result<RwLock<T>, CreateError> {
        let write = |base: NonNull<u8>| {
            // SAFETY: the block has room for words and value, and all zero is a valid word.
            unsafe { base.cast::<RwWord>().as_ref() }.serial.init();
            // SAFETY: as above.
            let data = unsafe { base.add(place::data_offset::<RwWord, T>()) };
            // SAFETY: inside the block, aligned by `data_offset` and `ALIGN`, and nobody else knows the block
            // yet.
            unsafe { data.cast::<T>().write(value) }
        };
        let len = place::len_of::<RwWord, T>();
        let place = place::make::<RwLock<T>>("RwLock", len, write, Some(RwWord::repair))?;
        Ok(RwLock { place, _value: PhantomData })
    }

    /// Takes the lock for reading. Blocks while a writer holds it or waits for it.
    ///
    /// # Errors
    /// - [`LockError::OwnerDied`]: the lock is held, with the guard inside; a writer died and the value may
    ///   be inconsistent.
    /// - [`LockError::WouldDeadlock`]: this thread holds the lock for writing.
    /// - [`LockError::Corrupt`]: the words in shared memory were overwritten.
    pub fn read(&self) -> Read<'_, T> {
        self.read_with(Patience::Forever)
    }

    /// Takes the lock for reading if no writer holds it or waits for it. Never blocks.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::TimedOut`].
    pub fn try_read(&self) -> Read<'_, T> {
        self.read_with(Patience::Try)
    }

    /// Takes the lock for reading, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::TimedOut`].
    pub fn read_timeout(&self, timeout: Duration) -> Read<'_, T> {
        self.read_with(Patience::of(timeout))
    }

    /// Takes the lock for writing. Blocks until all other readers and writers have released it.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::WouldDeadlock`] if this thread has a read guard.
    pub fn write(&self) -> Write<'_, T> {
        self.write_with(Patience::Forever)
    }

    /// Takes the lock for writing if it is free. Never blocks.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::TimedOut`].
    pub fn try_write(&self) -> Write<'_, T> {
        self.write_with(Patience::Try)
    }

    /// Takes the lock for writing, waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`RwLock::read`], and [`LockError::TimedOut`].
    pub fn write_timeout(&self, timeout: Duration) -> Write<'_, T> {
        self.write_with(Patience::of(timeout))
    }

    fn read_with(&self, patience: Patience) -> Read<'_, T> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        let me = member::current();
        let again = if self.is_read_here(me) { self.word().read_again(me) } else { None };
        match again.map_or_else(|| self.word().read(me, patience), Ok) {
            Ok((acquired, slot)) => {
                with_own(&READING, |reading| reading.push(self.reading(me)));
                let guard = ReadGuard { lock: self, slot, _thread: PhantomData };
                if acquired == Acquired::Clean { Ok(guard) } else { Err(LockError::OwnerDied(guard)) }
            }
            Err(refused) => Err(self.refusal(refused)),
        }
    }

    fn write_with(&self, patience: Patience) -> Write<'_, T> {
        if fork::is_foreign() {
            return Err(LockError::Forked);
        }
        let me = member::current();
        if self.is_read_here(me) && self.word().is_read_by(me.member) {
            return Err(LockError::WouldDeadlock);
        }
        match self.word().write(me, patience) {
            Ok(acquired) => {
                let unwinding = std::thread::panicking();
                let guard = WriteGuard { lock: self, unwinding, _thread: PhantomData };
                if acquired == Acquired::Clean { Ok(guard) } else { Err(LockError::OwnerDied(guard)) }
            }
            Err(refused) => Err(self.refusal(refused)),
        }
    }
}

thread_local! {
    /// The locks of which this thread has read guards, or has forgotten some, with one entry per guard.
    static READING: RefCell<Vec<(Serial, MemberId)>> = const { RefCell::new(Vec::new()) };
}

impl<T> RwLock<T> {
    /// The key under which the calling thread notes that it reads: this very lock, not one that was at its
    /// address before, and this very process, since a fork has its parent's notes.
    fn reading(&self, me: Owner) -> (Serial, MemberId) {
        (self.word().serial.get(), me.member)
    }

    /// Whether the calling thread has a read guard of it, or forgot one, whose record then stays in the
    /// words.
    fn is_read_here(&self, me: Owner) -> bool {
        let own = self.reading(me);
        with_own(&READING, |reading| reading.contains(&own))
    }

    #[cold]
    fn refusal<G>(&self, refused: Refused) -> LockError<G> {
        LockError::of(refused, self.word().writer())
    }

    /// Returns the number of readers in all processes; a snapshot.
    pub fn readers(&self) -> u32 {
        self.looked_at().readers()
    }

    /// Returns the writer that holds the lock or waits for it; a snapshot.
    pub fn writer(&self) -> Option<Owner> {
        self.looked_at().writer()
    }

    /// Returns whether a writer died while writing and [`WriteGuard::clear_poison`] has not been called
    /// since.
    pub fn is_poisoned(&self) -> bool {
        self.looked_at().is_poisoned()
    }

    /// The words, for methods that have no error to return.
    fn looked_at(&self) -> &RwWord {
        // SAFETY: as in `word`.
        unsafe { self.place.words().cast().as_ref() }
    }

    /// The words; the caller has checked that this process is not a fork.
    fn word(&self) -> &RwWord {
        // SAFETY: the place holds one at its base for as long as it lives.
        unsafe { self.place.base().cast().as_ref() }
    }

    fn data(&self) -> NonNull<T> {
        // SAFETY: `new` made the block long enough.
        unsafe { self.place.base().add(place::data_offset::<RwWord, T>()) }.cast()
    }
}

impl<T> std::fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RwLock")
            .field("writer", &self.writer())
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}

impl<T: Pod> WriteGuard<'_, T> {
    /// Declares the value sound again.
    pub fn clear_poison(&mut self) {
        self.lock.word().clear_poison();
    }
}

impl<T: Pod> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard's own mark stands in its process's record, so no writer is inside.
        unsafe { self.lock.data().as_ref() }
    }
}

impl<T: Pod> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this thread is the writer inside.
        unsafe { self.lock.data().as_ref() }
    }
}

impl<T: Pod> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread is the writer inside, and the guard is borrowed exclusively.
        unsafe { self.lock.data().as_mut() }
    }
}

impl<T: Pod> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        // A guard stays on the thread that locked.
        let me = member::current();
        with_own(&READING, |reading| {
            let own = self.lock.reading(me);
            if let Some(last) = reading.iter().rposition(|noted| *noted == own) {
                reading.swap_remove(last);
            }
        });
        // It fails only if the words were overwritten.
        let _ = self.lock.word().unlock_read(me, self.slot);
    }
}

impl<T: Pod> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        let word = self.lock.word();
        if std::thread::panicking() && !self.unwinding {
            word.poison();
        }
        let _ = word.unlock_write(member::current());
    }
}

impl<T: Pod + std::fmt::Debug> std::fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Pod + std::fmt::Debug> std::fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

remote!([T: Pod + Send + Sync] RwLock<T>, "RwLock", RwWord, T, |this| this.place, |place| RwLock { place, _value: PhantomData });
