//! Which work is too short for a launch, and how the rest is launched.
#![deny(clippy::arithmetic_side_effects)]

use phalanx::{Launch, LaunchError, Pool, Span};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

/// Arrays with fewer elements are processed by the caller itself: a launch would cost more than it gains.
///
/// A launch costs about 2 us if the workers are awake and about 45 us if they sleep (see the book's page of
/// results), and one core adds 10,000 float64 in 1 to 3 us. Kernels that do much more work per element have
/// limits of their own.
pub const INLINE_ELEMENTS: usize = 10_000;

/// Chunks of a launch that are run again where their workers die.
const RETRIES: u32 = 3;

/// Whether `len` elements are processed by the caller.
#[inline]
pub(crate) fn is_inline(len: usize) -> bool {
    len < limit()
}

#[cfg(not(test))]
#[inline]
fn limit() -> usize {
    INLINE_ELEMENTS
}

#[cfg(test)]
thread_local!(static LIMIT: std::cell::Cell<usize> = const { std::cell::Cell::new(INLINE_ELEMENTS) });

#[cfg(test)]
fn limit() -> usize {
    LIMIT.get()
}

/// Runs `work` so that this thread hands out arrays of any length, for tests of the launched path.
#[cfg(test)]
pub(crate) fn launching<R>(work: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(INLINE_ELEMENTS);
        }
    }
    LIMIT.set(0);
    let _restore = Restore;
    work()
}

/// Runs a function of the program's in the caller, where a panic is the same error as in a worker. What the
/// function has left half done is for the kernel to put right.
#[track_caller]
pub(crate) fn here<R>(len: usize, work: impl FnOnce() -> R) -> Result<R, LaunchError> {
    let site = Location::caller();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        LaunchError::Panicked {
            site: site.to_string(),
            rank: 0,
            span: Span::new(0, len),
            message: text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default(),
            location: String::new(),
            backtrace: Box::default(),
        }
    })
}

/// A launch whose chunks may be run again: one that reads its inputs and writes outputs without reading them.
pub(crate) fn repeatable(pool: &Pool) -> Launch<'_> {
    pool.launch().retry(RETRIES)
}
