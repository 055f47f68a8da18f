//! Cancelling a launch from another thread.

use crate::team::crew::Crew;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Stops launches from another thread.
///
/// Clones are one token. Workers stop at their next chunk, or where the kernel asks [`is_cancelled`](crate::is_cancelled);
/// worker processes that do not are killed after the launch's grace period.
///
/// ```
/// use phalanx::{CancelToken, LaunchError, Pool};
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let token = CancelToken::new();
/// let canceller = std::thread::spawn({ let token = token.clone(); move || token.cancel() });
/// let endless = pool.launch().cancel(&token).for_each(0..8, |_| while !phalanx::is_cancelled() {});
/// assert!(matches!(endless, Err(LaunchError::Cancelled { .. })));
/// # canceller.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    waiting: Mutex<Vec<Weak<Crew>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cancelled: {}", self.cancelled.load(Ordering::Acquire))
    }
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Cancels every launch that uses this token, now and later. Never blocks on a launch.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        for crew in self.shared.waiting.lock().iter().filter_map(Weak::upgrade) {
            crew.board().muster(&crew.orders).notify();
        }
    }

    /// Whether [`Self::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Has the driver of `crew` woken by a cancellation until the result is dropped.
    pub(crate) fn watch(&self, crew: &Arc<Crew>) -> Watch<'_> {
        let crew = Arc::downgrade(crew);
        self.shared.waiting.lock().push(crew.clone());
        Watch { token: self, crew }
    }
}

/// Undoes [`CancelToken::watch`].
pub(crate) struct Watch<'a> {
    token: &'a CancelToken,
    crew: Weak<Crew>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut waiting = self.token.shared.waiting.lock();
        if let Some(index) = waiting.iter().position(|crew| crew.ptr_eq(&self.crew)) {
            waiting.swap_remove(index);
        }
    }
}
