//! The sum of all errors.

use crate::array::AttachError;
use crate::array::npy::NpyError;
use crate::channel::QueueError;
use crate::launch::{LaunchError, RegionError};
use crate::manager::{CallError, ManagerError};
use crate::memory::AllocError;
use crate::pool::{PoolError, TraceError};
use crate::process::{JoinError, SpawnError};
use crate::shared::{BlockError, ListError};
use crate::spawn::StartError;
use crate::sync::{BarrierError, CreateError, LockError, SemaphoreError};
use crate::task::TaskError;
use crate::topology::{CpuSetError, PlacementError, TopologyError};

/// Any error of this crate, for programs that handle them alike: `?` makes one of each.
///
/// ```
/// use phalanx::{Queue, sync::Lock};
///
/// fn sum(queue: &Queue<f64>, total: &Lock<f64>) -> Result<(), phalanx::Error> {
///     *total.lock()? += queue.get()?;
///     Ok(())
/// }
///
/// let (queue, total) = (Queue::new()?, Lock::new(1.0)?);
/// queue.put(&2.0)?;
/// sum(&queue, &total)?;
/// assert_eq!(*total.lock()?, 3.0);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Making a pool, or resizing one.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Making an array or value.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// Opening an array file.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Reading or writing the header of an array file.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A launch.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A part of a region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// Making a lock, a counter or the like.
    #[error(transparent)]
    Sync(#[from] CreateError),
    /// Taking a lock. Where [`LockError::OwnerDied`] became one of these, the lock was released again.
    #[error(transparent)]
    Lock(LockError),
    /// Taking a permit of a semaphore, or returning it.
    #[error(transparent)]
    Semaphore(#[from] SemaphoreError),
    /// Waiting at a barrier.
    #[error(transparent)]
    Barrier(#[from] BarrierError),
    /// Making or using a queue or pipe.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Making or using a shared list.
    #[error(transparent)]
    List(#[from] ListError),
    /// Making or opening a named block.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// Reading the machine.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Reading a list of CPUs.
    #[error(transparent)]
    CpuSet(#[from] CpuSetError),
    /// Choosing places for workers.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Starting a worker.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Starting a process.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The end of a process.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Making a manager.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// A call of a hosted object.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Writing a trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl<G> From<LockError<G>> for Error {
    fn from(error: LockError<G>) -> Error {
        Error::Lock(error.map(drop))
    }
}
