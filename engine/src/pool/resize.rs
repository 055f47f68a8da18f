//! Changing the number of workers of a pool: for good, or for a while.

use super::{Pool, PoolError};
use crate::spawn::StartError;
use crate::sys::fork;
use crate::team::crew::Crew;
use crate::team::gate::Phase;
use std::sync::Arc;

impl Pool {
    /// Changes the number of workers to `workers`, at least 1 and at most
    /// [`PoolBuilder::max_workers`](crate::PoolBuilder::max_workers).
    ///
    /// Blocks until the current launch is over and all new workers have started. Surplus workers end after
    /// their current task. What they keep between launches ([`PerWorker`](crate::PerWorker)) is lost with
    /// them, unless an [exit function](crate::PoolBuilder::at_exit) hands it over. No task is lost. An inline
    /// pool stays as it is. To have fewer workers only for a while, see [`Self::park`]; a resize ends that.
    ///
    /// # Errors
    /// - [`PoolError::Start`](crate::PoolError): a worker cannot be started.
    /// - [`PoolError::PoolClosed`](crate::PoolError): the pool has ended, or ends meanwhile.
    /// - [`PoolError::Inside`](crate::PoolError): called by a kernel, a task or a callback of a launch, which
    ///   the resize would wait for.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(1).max_workers(3).build()?;
    /// pool.resize(3)?;
    /// assert_eq!((pool.workers(), pool.worker_pids().len()), (3, 3));
    /// pool.resize(1)?;
    /// assert_eq!(pool.map(|n: u64| n + 1, 0..3)?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resize(&self, workers: usize) -> Result<(), PoolError> {
        self.between_launches(|crew| crew.resize(workers))
    }

    /// Keeps the first `workers` workers in service and parks the others: they sleep on their cores, and take
    /// part in no launch, region or task until [`Self::unpark`] or a call with a larger number. `workers` is
    /// at least 1 and at most the number of workers that the pool has, including parked ones.
    ///
    /// Parked workers keep what they have: their processes, pins, mapped arrays, statics and
    /// [`PerWorker`](crate::PerWorker) states. Parking and unparking therefore take microseconds, while
    /// [`resize`](Self::resize) ends processes and starts new ones. A worker that runs a task finishes it
    /// first. One that dies while it is parked is replaced when it is needed again. Parked workers do not
    /// spin, but the call that wakes sleeping workers wakes them too; they look, and sleep again.
    ///
    /// Results of launches have the same bits for any number of workers. Blocks until the current launch is
    /// over, and until missing workers have started. An inline pool stays as it is.
    ///
    /// # Errors
    /// As for [`resize`](Self::resize).
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(3).build()?;
    /// let pids = pool.worker_pids();
    /// pool.park(1)?;
    /// assert_eq!((pool.workers(), pool.parked()), (1, 2));
    /// pool.unpark()?;
    /// assert_eq!((pool.workers(), pool.parked()), (3, 0));
    /// assert_eq!(pool.worker_pids(), pids);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "omp_set_num_threads")]
    pub fn park(&self, workers: usize) -> Result<(), PoolError> {
        self.between_launches(|crew| crew.park(workers))
    }

    /// Returns all parked workers to service. See [`Self::park`].
    ///
    /// # Errors
    /// As for [`resize`](Self::resize).
    pub fn unpark(&self) -> Result<(), PoolError> {
        self.between_launches(|crew| crew.park(usize::MAX))
    }

    /// Returns the number of parked workers, including any that have died. See [`Self::park`].
    pub fn parked(&self) -> usize {
        let team = self.core.launcher.crew.team();
        team.there.saturating_sub(team.serving)
    }

    fn between_launches(
        &self,
        change: impl FnOnce(&Arc<Crew>) -> Result<(), StartError>,
    ) -> Result<(), PoolError> {
        if fork::is_foreign() {
            return Err(crate::AllocError::Forked.into());
        }
        let crew = &self.core.launcher.crew;
        let changed = self.core.launcher.between_launches(|| {
            let stays = self.core.queue.is_none() || crew.has_reached(Phase::Ending);
            if stays { Ok(()) } else { change(crew) }
        });
        match changed {
            None => Err(PoolError::Inside),
            _ if crew.has_reached(Phase::Ending) => Err(PoolError::PoolClosed),
            Some(changed) => Ok(changed?),
        }
    }
}
