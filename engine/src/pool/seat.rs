//! The caller's seat.

use super::{Pool, PoolError};
use crate::base::with_own;
use crate::sys::fork;
use crate::topology::{CpuSet, bind_thread, bound_cpuset};
use std::cell::RefCell;
use std::marker::PhantomData;

thread_local! {
    /// The seats that this thread has, by the address of their pool, each with the mask that the thread had
    /// before it. They may be given up in any order.
    static MASKS: RefCell<Vec<(usize, CpuSet)>> = const { RefCell::new(Vec::new()) };
}

/// Forgets a seat's mask; gives it where the thread is to have it back now: no later seat has bound the
/// thread since.
fn mask_after(pool: usize) -> Option<CpuSet> {
    with_own(&MASKS, |masks| {
        let index = masks.iter().rposition(|(of, _)| *of == pool)?;
        let (_, before) = masks.remove(index);
        match masks.get_mut(index) {
            None => Some(before),
            // That one gives it back in our stead.
            Some((_, later)) => {
                *later = before;
                None
            }
        }
    })
}

/// Makes the calling thread rank 0 of the pool until dropped. From [`Pool::join_here`].
///
/// Not `Send`: it belongs to the thread that took it.
#[derive(Debug)]
#[must_use = "the seat is given up when it is dropped"]
pub struct Seat<'p> {
    pool: &'p Pool,
    taken: bool,
    only_here: PhantomData<*mut ()>,
}

impl Pool {
    /// Makes the calling thread rank 0, on that rank's core, until the result is dropped: the fastest
    /// launches, since nobody has to wake the caller.
    ///
    /// Launches of this thread then run rank 0's share here, while worker 0 sleeps; launches of other threads
    /// still use worker 0. The share is not isolated: a crash in it takes the program down, and it is
    /// cancelled only cooperatively. Threads that this thread starts meanwhile inherit its pinning. A kernel
    /// must not wait for a thread that it starts and that launches on this pool: in the seat, that thread
    /// would wait for the kernel. Costs two system calls; dropping the last seat that the thread has restores
    /// the old mask.
    ///
    /// # Errors
    /// If the thread's present mask cannot be read.
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
        let taken = self.launcher.take_seat();
        if taken {
            with_own(&MASKS, |masks| masks.push((std::ptr::from_ref(self).addr(), before)));
            let refused = self.launcher.crew.bind_cpus_here(0);
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
        self.pool.launcher.leave_seat();
        if let Some(before) = mask_after(std::ptr::from_ref(self.pool).addr()) {
            // A refusal leaves the thread where it is, which is inside the old mask.
            let _kept = bind_thread(&before);
        }
    }
}
