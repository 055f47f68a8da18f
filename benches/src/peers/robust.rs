//! The C library's robust mutex, shared between processes: it survives the death of its owner.
//!
//! # Safety
//! A mutex lies in memory that nothing else touches, and neither moves nor goes away while it is in use or
//! held; it is locked only after [`Robust::make`] has made it there, and what runs under it does not unwind,
//! which would leave it held. No function here checks that: it is up to the code that makes a `Robust`.
#![allow(unsafe_code)]

use crate::harness::Outcome;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU64;

/// 64-bit words that a mutex needs.
pub const WORDS: usize = size_of::<libc::pthread_mutex_t>().div_ceil(8);

/// A mutex in these words.
pub struct Robust<'a>(&'a [AtomicU64]);

impl<'a> Robust<'a> {
    /// Makes a mutex in the words.
    pub fn make(words: &'a [AtomicU64]) -> Outcome<Robust<'a>> {
        let this = Robust::at(words)?;
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        // SAFETY: the attributes are made by the first call and used by the others; the words are the mutex's
        // own.
        let codes = unsafe {
            [
                libc::pthread_mutexattr_init(attributes.as_mut_ptr()),
                libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED),
                libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST),
                libc::pthread_mutex_init(this.mutex(), attributes.as_ptr()),
            ]
        };
        if codes == [0; 4] { Ok(this) } else { Err(format!("pthread_mutex_init: {codes:?}").into()) }
    }

    /// Returns the mutex that was made in the words before.
    pub fn at(words: &'a [AtomicU64]) -> Outcome<Robust<'a>> {
        if words.len() < WORDS { Err("too few words for a mutex".into()) } else { Ok(Robust(words)) }
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.0.as_ptr().cast_mut().cast()
    }

    /// One lock and unlock around `inside`.
    #[inline]
    pub fn pair(&self, inside: impl FnOnce()) -> Outcome<()> {
        // SAFETY: made and in place, see the module. Unlocked below by this thread; where an owner has died
        // it stays held (EOWNERDEAD is an error here), and the benchmark ends.
        let code = unsafe { libc::pthread_mutex_lock(self.mutex()) };
        if code != 0 {
            return Err(format!("pthread_mutex_lock: error {code}").into());
        }
        inside();
        // SAFETY: locked by this thread just now.
        unsafe { libc::pthread_mutex_unlock(self.mutex()) };
        Ok(())
    }
}
