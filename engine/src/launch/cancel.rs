//! Cancelling launches and tasks from another thread, or from a launch's own kernel.

use crate::shared::Atomic;
use crate::sync::CreateError;
use crate::sys::{ctrl_c, fork};
use crate::team::crew::Crew;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Stops launches from another thread, or from a kernel; and calls of functions, with
/// [`Tasks::cancel`](crate::Tasks::cancel). [`CancelToken::on_ctrl_c`] is cancelled by Ctrl-C.
///
/// All clones are the same token. Workers stop at their next chunk, or where the kernel checks
/// [`is_cancelled`](crate::is_cancelled). Worker processes that do not stop are killed after the launch's
/// grace period.
///
/// Pass `&token` as an operand to let kernels look at it and cancel it (see
/// [`KernelToken`](crate::grant::KernelToken)). It then stops that launch as if it had been passed to
/// [`Launch::cancel`](crate::Launch::cancel) too.
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
    pub(super) shared: Arc<Shared>,
}

#[derive(Default)]
pub(super) struct Shared {
    cancelled: AtomicBool,
    /// What kernels see and set: 1 if cancelled. Made when the token is first an operand.
    flag: OnceLock<Atomic<u32>>,
    waiting: Mutex<Vec<Arc<Waiting>>>,
    listeners: Mutex<Listeners>,
    /// Whether what is running gets all the time it needs.
    drains: bool,
    /// Kept with the token that Ctrl-C cancels.
    _ctrl_c: Option<ctrl_c::Watch>,
}

/// Others that the token can stop.
#[derive(Default)]
struct Listeners {
    list: Vec<Arc<dyn OnCancel>>,
    /// The list's length at which those that are over are taken out.
    full: usize,
}

/// Something that a token can stop.
pub(crate) trait OnCancel: Send + Sync {
    /// Stops it. May be called more than once.
    fn stop(&self);
    /// Whether it has ended, so that it need not be stopped any more.
    fn is_over(&self) -> bool;
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

impl Shared {
    /// Of the token that Ctrl-C cancels.
    pub(super) fn on_ctrl_c(watch: Option<ctrl_c::Watch>) -> Shared {
        Shared { drains: true, _ctrl_c: watch, ..Shared::default() }
    }
}

impl CancelToken {
    /// Returns a token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Cancels every current and future launch and call that uses this token. Never blocks on one of them.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        if fork::is_foreign() {
            // The launches are the parent's.
            return;
        }
        let waiting = self.shared.waiting.lock();
        if let Some(flag) = self.shared.flag.get() {
            flag.store(1, Ordering::SeqCst);
        }
        for (launch, crew) in waiting.iter().filter_map(|launch| Some((launch, launch.crew.upgrade()?))) {
            launch.stop(&crew);
            crew.board().fork_join(&crew.orders).notify();
        }
        drop(waiting);
        // It calls code of the program: not under a lock.
        let listeners = self.shared.listeners.lock().list.clone();
        listeners.iter().for_each(|listener| listener.stop());
    }

    /// Has `listener` stopped when the token is cancelled, or now if it is.
    pub(crate) fn listen(&self, listener: Arc<dyn OnCancel>) {
        {
            let mut listeners = self.shared.listeners.lock();
            if listeners.list.len() >= listeners.full {
                listeners.list.retain(|listener| !listener.is_over());
                listeners.full = listeners.list.len().max(32) * 2;
            }
            listeners.list.push(listener.clone());
        }
        if self.is_cancelled() {
            listener.stop();
        }
    }

    /// Whether it lets what is running finish.
    pub(crate) fn drains(&self) -> bool {
        self.shared.drains
    }

    /// Returns whether [`Self::cancel`] was called, here or in a kernel.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst) || self.was_cancelled_by_a_kernel()
    }

    fn was_cancelled_by_a_kernel(&self) -> bool {
        // The flag is not mapped in forks of the process that made it.
        !fork::is_foreign() && self.flag().is_some_and(|flag| flag.load(Ordering::SeqCst) != 0)
    }

    /// What kernels see, if the token was ever an operand.
    pub(crate) fn flag(&self) -> Option<&Atomic<u32>> {
        self.shared.flag.get()
    }

    /// As [`Self::flag`], made now if need be.
    pub(crate) fn make_flag(&self) -> Result<&Atomic<u32>, CreateError> {
        // Under the lock: a cancellation either finds the flag there, or has been noted before.
        let _waiting = self.shared.waiting.lock();
        if let Some(flag) = self.flag() {
            return Ok(flag);
        }
        let flag = Atomic::new(u32::from(self.shared.cancelled.load(Ordering::SeqCst)))?;
        Ok(self.shared.flag.get_or_init(|| flag))
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
        drop(waiting);
        if self.token.was_cancelled_by_a_kernel() {
            // Other launches that use the token learn of it here.
            self.token.cancel();
        }
    }
}
