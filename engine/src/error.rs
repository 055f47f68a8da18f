//! [`Error`]: one type that holds any error of the crate.

use crate::array::npy::NpyError;
use crate::array::{AttachError, PartsError};
use crate::channel::QueueError;
use crate::cluster::ClusterError;
use crate::launch::{BodyError, LaunchError, RegionError, TryError};
use crate::manager::{CallError, ManagerError};
use crate::memory::AllocError;
use crate::observe::ObserveError;
use crate::pool::{PoolError, TraceError};
use crate::process::{JoinError, SpawnError};
use crate::shared::{BlockError, ListError};
use crate::spawn::StartError;
use crate::sync::{BarrierError, CreateError, LockError, SemaphoreError};
use crate::task::{JournalError, TaskError};
use crate::team::exit_function::ExitError;
use crate::topology::{CpuSetError, PlacementError, TopologyError};
use crate::tuning::ProfileError;

/// Any error of this crate. `?` converts each of them into this type, and those of `phalanx-kernels` too.
///
/// All of them print the same text for `Debug` as for `Display`, so that a `main` may return them.
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
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Joining a cluster, or a call over one, failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Creating or resizing a pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Allocating an array or value failed.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// Opening an array file failed.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Reading or writing the header of an array file failed.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A launch failed.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The kernel of a launch, or the body of a region, returned an error.
    #[error(transparent)]
    Kernel(TryError),
    /// A step or the body of a region failed.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The body of a region that may fail has an error of its own.
    #[error(transparent)]
    Body(BodyError),
    /// Creating a lock, counter or other synchronisation object failed.
    #[error(transparent)]
    Sync(#[from] CreateError),
    /// Acquiring a lock failed. Converting [`LockError::OwnerDied`] drops its guard, so the lock is released.
    #[error(transparent)]
    Lock(LockError),
    /// Joining the parts of an array failed. Converting a [`PartsError`] drops its parts.
    #[error(transparent)]
    Parts(PartsError),
    /// Acquiring or releasing a semaphore permit failed.
    #[error(transparent)]
    Semaphore(#[from] SemaphoreError),
    /// Waiting at a barrier failed.
    #[error(transparent)]
    Barrier(#[from] BarrierError),
    /// Creating or using a queue or pipe failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Creating or using a shared list failed.
    #[error(transparent)]
    List(#[from] ListError),
    /// Creating or opening a named block failed.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// Detecting the machine's topology failed.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Parsing a list of CPUs failed.
    #[error(transparent)]
    CpuSet(#[from] CpuSetError),
    /// Placing workers failed.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Starting a worker failed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A task failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A map with a journal has no results.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A worker, or the pool, has no exit result.
    #[error(transparent)]
    Exit(#[from] ExitError),
    /// Starting a process failed.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Joining a process failed, or the process did not end well.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Starting a manager failed.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// A call to a hosted object failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Observing another program failed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// Reading or storing a profile of the machine failed.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Writing a trace failed.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// An error of the program or of a crate that builds on this one; see [`Error::other`].
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

crate::base::debug_is_display!(Error);

impl Error {
    /// Makes an error of any other, or of a text, for a function that returns this type.
    ///
    /// ```
    /// fn parse(text: &str) -> Result<u32, phalanx::Error> {
    ///     text.parse().map_err(phalanx::Error::other)
    /// }
    ///
    /// assert_eq!(parse("7")?, 7);
    /// assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Other(error.into())
    }
}

impl<G> From<LockError<G>> for Error {
    fn from(error: LockError<G>) -> Error {
        Error::Lock(error.map(drop))
    }
}

impl<P> From<PartsError<P>> for Error {
    fn from(error: PartsError<P>) -> Error {
        Error::Parts(error.without_parts())
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<TryError<E>> for Error {
    fn from(error: TryError<E>) -> Error {
        match error {
            TryError::Kernel { site, span, error } => {
                Error::Kernel(TryError::Kernel { site, span, error: error.into() })
            }
            TryError::Body { site, rank, error } => {
                Error::Kernel(TryError::Body { site, rank, error: error.into() })
            }
            TryError::Launch(error) => Error::Launch(error),
        }
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<BodyError<E>> for Error {
    fn from(error: BodyError<E>) -> Error {
        match error {
            BodyError::Region(error) => Error::Region(error),
            BodyError::Own(error) => Error::Body(BodyError::Own(error.into())),
        }
    }
}
