//! Cancelling a launch from another thread.

use crate::sys::fork;
use crate::team::crew::Crew;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Stops launches from another thread.
///
/// All clones are the same token. Workers stop at their next chunk, or where the kernel checks
/// [`is_cancelled`](crate::is_cancelled). Worker processes that do not stop are killed after the launch's
/// grace period.
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
    waiting: Mutex<Vec<Arc<Waiting>>>,
}

/// A launch in progress that the token can stop.
struct Waiting {
    crew: Weak<Crew>,
    /// Its current number.
    epoch: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cancelled: {}", self.cancelled.load(Ordering::Acquire))
    }
}

impl CancelToken {
    /// Returns a token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Cancels every current and future launch that uses this token. Never blocks on a launch.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        if fork::is_foreign() {
            // The launches are the parent's.
            return;
        }
        let waiting = self.shared.waiting.lock();
        for (launch, crew) in waiting.iter().filter_map(|launch| Some((launch, launch.crew.upgrade()?))) {
            launch.stop(&crew);
            crew.board().fork_join(&crew.orders).notify();
        }
    }

    /// Returns whether [`Self::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Lets a cancellation wake the driver of `crew` until the returned guard is dropped.
    pub(crate) fn watch(&self, crew: &Arc<Crew>) -> CancelGuard<'_> {
        let launch = Arc::new(Waiting { crew: Arc::downgrade(crew), epoch: AtomicU64::new(0) });
        self.shared.waiting.lock().push(launch.clone());
        CancelGuard { token: self, launch }
    }
}

impl Waiting {
    /// Tells the members to stop. The driver does so too when it wakes; it does not while it runs chunks
    /// itself.
    fn stop(&self, crew: &Crew) {
        // The largest number wins, so a launch that has ended meanwhile cannot overwrite the stop of a later
        // one.
        crew.board().stop().fetch_max(self.epoch.load(Ordering::SeqCst), Ordering::AcqRel);
    }
}

/// Undoes [`CancelToken::watch`].
pub(crate) struct CancelGuard<'a> {
    token: &'a CancelToken,
    launch: Arc<Waiting>,
}

impl CancelGuard<'_> {
    /// Notes that the launch was opened with this number.
    pub(crate) fn opened(&self, epoch: u64) {
        self.launch.epoch.store(epoch, Ordering::SeqCst);
        // Either the canceller saw the number, or we see the cancellation.
        if self.token.is_cancelled()
            && let Some(crew) = self.launch.crew.upgrade()
        {
            self.launch.stop(&crew);
        }
    }
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        let mut waiting = self.token.shared.waiting.lock();
        if let Some(index) = waiting.iter().position(|launch| Arc::ptr_eq(launch, &self.launch)) {
            waiting.swap_remove(index);
        }
    }
}
