//! Ending a pool: close, join, terminate or drop it, from any thread, in any order, any number of times.

use super::{Core, Pool};
use crate::launch::driver::launcher::exit_inline;
use crate::sys::fork;
use crate::task::queue::TaskQueue;
use crate::team::crew::{Crew, CrewKind};
use crate::team::current;
use crate::team::gate::Phase;
use std::sync::Arc;
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::Ordering;

/// What is needed to end a pool. Outlives the pool if the thread that ends it must not wait.
#[derive(Clone)]
struct Remains {
    crew: Arc<Crew>,
    queue: Option<Arc<TaskQueue>>,
}

impl Pool {
    /// Closes the pool to new tasks, which return [`TaskError::PoolClosed`](crate::TaskError) from now on.
    /// Tasks already submitted continue, and launches still run. Does not block.
    ///
    /// In a process forked from the one that made the pool, closing, joining, terminating and dropping it do
    /// nothing.
    pub fn close(&self) {
        self.core.close();
    }

    /// Closes the pool, waits until all tasks and the current launch are done, and ends the workers, which
    /// run the pool's [exit function](crate::PoolBuilder::at_exit) before. Dropping the last handle of the
    /// pool does the same.
    ///
    /// Later launches return [`LaunchError::PoolClosed`](crate::LaunchError). A launch made meanwhile by
    /// another thread either runs completely or returns that error. Several threads may end a pool at once,
    /// in any way: the first one ends it, and the others wait.
    ///
    /// In a kernel, a task or a callback of any pool, this returns at once, and a separate thread waits
    /// instead. Threads elsewhere that end the pool wait as usual.
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
        self.core.join();
    }

    /// Ends the pool at once by killing the workers, whatever they do. Unfinished tasks and launches return
    /// `PoolClosed`, and no exit function runs. Threads cannot be killed: they are asked to stop
    /// ([`is_cancelled`](crate::is_cancelled)) and waited for, as by [`Self::join`].
    pub fn terminate(&self) {
        self.core.terminate();
    }
}

impl Core {
    fn close(&self) {
        if fork::is_foreign() {
            return;
        }
        self.launcher.crew.reach(Phase::Closed);
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }

    fn join(&self) {
        if fork::is_foreign() {
            return;
        }
        self.close();
        self.end();
    }

    fn terminate(&self) {
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

    /// Waits for the end, on another thread if this one must not wait.
    fn end(&self) {
        let crew = &self.launcher.crew;
        // Nobody is waited for: what an exit function is to find is on this thread.
        let is_here =
            crew.kind == CrewKind::Inline && crew.exits.is_some() && !crew.has_reached(Phase::Ending);
        if current::may_wait() || is_here {
            return self.remains().end();
        }
        crew.reach(Phase::Ending);
        if !self.is_handed_over.swap(true, Ordering::AcqRel) {
            // If no thread can be started, the pool's owner must end it.
            let left = !self.remains().end_elsewhere();
            self.is_handed_over.store(!left, Ordering::Release);
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        // A thread that unwinds does not want to wait for work whose results nobody will read.
        if std::thread::panicking() {
            self.terminate()
        } else {
            self.join()
        }
        if !current::may_wait() && !self.is_handed_over.load(Ordering::Acquire) {
            // The pool has no other user, so no launch is running and none will come.
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
        let Some(queue) = &self.queue else { return self.crew.end(|| exit_inline(&self.crew)) };
        queue.drain();
        self.crew.end(|| queue.end());
        // Not behind the gate, which callbacks may want to pass.
        queue.calls.wait_idle();
        queue.calls.close();
    }

    /// Waits for the end on a separate thread. Returns whether that thread was started.
    fn end_elsewhere(self) -> bool {
        std::thread::Builder::new().name("phalanx end".into()).spawn(move || self.end()).is_ok()
    }
}
