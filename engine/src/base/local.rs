//! Values of one thread, also while the thread ends.

use std::cell::RefCell;
use std::thread::LocalKey;

/// Calls `body` with the thread's own value of `key`; with a fresh one where the thread has let go of its
/// values already: `atexit` handlers run after that, and so do destructors of other such values.
#[inline]
pub(crate) fn with_own<T: Default, R>(
    key: &'static LocalKey<RefCell<T>>,
    body: impl FnOnce(&mut T) -> R,
) -> R {
    if key.try_with(|_| ()).is_err() {
        return body(&mut T::default());
    }
    key.with_borrow_mut(body)
}
