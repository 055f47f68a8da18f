//! Seats: the calling thread as rank 0 of a pool.

use super::{Pool, PoolError};
use crate::base::with_own;
use crate::sys::fork;
use crate::topology::{CpuSet, bind_thread, bound_cpuset};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

thread_local! {
    /// The seats that this thread holds, keyed by the address of their pool's core, each with the thread's
    /// mask before it was taken. Seats may be dropped in any order.
    static MASKS: RefCell<Vec<(usize, CpuSet)>> = const { RefCell::new(Vec::new()) };
}

/// Removes a seat's saved mask. Returns it if the thread should restore it now, because no later seat has
/// bound the thread since.
fn mask_after(pool: usize) -> Option<CpuSet> {
    with_own(&MASKS, |masks| {
        let index = masks.iter().rposition(|(of, _)| *of == pool)?;
        let (_, before) = masks.remove(index);
        match masks.get_mut(index) {
            None => Some(before),
            // The later seat restores it instead.
            Some((_, later)) => {
                *later = before;
                None
            }
        }
    })
}

/// Makes the calling thread rank 0 of the pool until dropped. Returned by [`Pool::join_here`].
///
/// Not `Send`: the seat belongs to the thread that took it.
#[derive(Debug)]
#[must_use = "the seat is given up when it is dropped"]
pub struct Seat<'p> {
    pool: &'p Pool,
    taken: bool,
    only_here: PhantomData<*mut ()>,
}

impl Pool {
    /// Makes the calling thread rank 0, on that rank's core, until the returned seat is dropped. These are
    /// the fastest launches, since the caller need not be woken.
    ///
    /// Launches from this thread then run rank 0's share on it while worker 0 sleeps. Launches from other
    /// threads still use worker 0. The share is not isolated: a crash in it ends the program, and only the
    /// kernel's cooperation can cancel it. Threads that this thread starts meanwhile inherit its pinning.
    /// Costs two system calls. Dropping the thread's last seat restores its old CPU mask.
    ///
    /// A kernel must not wait for a thread that it started and that launches on this pool. With a seat, that
    /// thread would wait for the kernel in turn.
    ///
    /// # Errors
    /// If the thread's current CPU mask cannot be read.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let seat = pool.join_here()?;
    /// let mut y = pool.zeros::<f64>(1000)?;
    /// pool.for_each(y.split_mut(), |y| y.fill(1.0))?;
    /// drop(seat);
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_here(&self) -> Result<Seat<'_>, PoolError> {
        if fork::is_foreign() {
            return Err(crate::AllocError::Forked.into());
        }
        let before = bound_cpuset().map_err(PoolError::Os)?;
        let taken = self.core.launcher.take_seat();
        if taken {
            with_own(&MASKS, |masks| masks.push((Arc::as_ptr(&self.core).addr(), before)));
            let refused = self.core.launcher.crew.bind_cpus_here(0);
            if !refused.is_empty() {
                tracing::warn!("the caller's seat is not pinned: {}", refused.join("; "));
            }
        }
        Ok(Seat { pool: self, taken, only_here: PhantomData })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        if !self.taken {
            return;
        }
        self.pool.core.launcher.leave_seat();
        if let Some(before) = mask_after(Arc::as_ptr(&self.pool.core).addr()) {
            // If this is refused, the thread stays where it is, which is inside the old mask.
            let _kept = bind_thread(&before);
        }
    }
}
