//! The end of a pool: closed, joined, terminated or dropped, from any thread, in any order, as often as one
//! likes.

use super::Pool;
use crate::sys::fork;
use crate::task::queue::TaskQueue;
use crate::team::crew::Crew;
use crate::team::current;
use crate::team::gate::Phase;
use std::sync::Arc;
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::Ordering;

/// What it takes to end a pool; outlives it where nobody may wait.
#[derive(Clone)]
struct Remains {
    crew: Arc<Crew>,
    queue: Option<Arc<TaskQueue>>,
}

impl Pool {
    /// Takes no more tasks: they give [`TaskError::PoolClosed`](crate::TaskError) from now on. Those that are
    /// under way go on, and launches too. Does not block.
    ///
    /// In a fork of the process that made the pool, this, joining, terminating and dropping do nothing.
    pub fn close(&self) {
        if fork::is_foreign() {
            return;
        }
        self.launcher.crew.reach(Phase::Closed);
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }

    /// Closes the pool, waits until all tasks and the launch that runs are done, and ends the workers. So
    /// does dropping it.
    ///
    /// From then on launches give [`LaunchError::PoolClosed`](crate::LaunchError); one that another thread
    /// makes meanwhile either runs completely or gives that. Several threads may end a pool at once, in any
    /// way: the first does it, the others wait.
    ///
    /// In a kernel, a task or a callback, of this pool or another, this returns at once: a thread of its own
    /// waits instead, and so does whoever ends the pool elsewhere.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let result = pool.apply_async(|n: u64| n + 1, 1);
    /// pool.join();
    /// assert_eq!(result.get()?, 2);
    /// assert!(matches!(pool.apply(|n: u64| n, 1), Err(phalanx::TaskError::PoolClosed)));
    /// assert!(matches!(pool.for_each(0..8, |_| ()), Err(phalanx::LaunchError::PoolClosed)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(&self) {
        if fork::is_foreign() {
            return;
        }
        self.close();
        self.end();
    }

    /// Ends the pool at once: kills the workers, whatever they do. Tasks and launches that were not done give
    /// `PoolClosed`. Threads cannot be killed: what they run is asked to stop
    /// ([`is_cancelled`](crate::is_cancelled)), and waited for, as by [`Self::join`].
    pub fn terminate(&self) {
        if fork::is_foreign() {
            return;
        }
        self.close();
        self.remains().stop();
        self.end();
    }

    fn remains(&self) -> Remains {
        Remains { crew: self.launcher.crew.clone(), queue: self.queue.clone() }
    }

    /// Waits for the end; has another thread do so where this one may not.
    fn end(&self) {
        if current::may_wait() {
            return self.remains().end();
        }
        self.launcher.crew.reach(Phase::Ending);
        if !self.is_handed_over.swap(true, Ordering::AcqRel) {
            // Without a thread it is left to whoever owns the pool.
            let left = !self.remains().end_elsewhere();
            self.is_handed_over.store(!left, Ordering::Release);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        // Whoever unwinds does not want to wait for work that nobody will look at.
        if std::thread::panicking() {
            self.terminate()
        } else {
            self.join()
        }
        if !current::may_wait() && !self.is_handed_over.load(Ordering::Acquire) {
            // Nobody else has it, so no launch is on its way and none will come.
            let remains = self.remains();
            remains.stop();
            remains.crew.let_go();
        }
    }
}

impl Remains {
    /// Ends what runs, without waiting for it.
    fn stop(&self) {
        self.crew.reach(Phase::Terminated);
        if let Some(queue) = &self.queue {
            queue.stop_all();
        }
        self.crew.stop();
    }

    fn end(&self) {
        let Some(queue) = &self.queue else { return self.crew.end(|| ()) };
        queue.drain();
        self.crew.end(|| queue.end());
        // Not behind the gate, which callbacks may want to pass.
        queue.calls.wait_idle();
        queue.calls.close();
    }

    /// Has a thread of its own wait for the end; says whether there is one.
    fn end_elsewhere(self) -> bool {
        std::thread::Builder::new().name("phalanx end".into()).spawn(move || self.end()).is_ok()
    }
}
