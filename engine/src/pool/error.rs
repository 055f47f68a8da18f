//! Why a pool cannot be made.

use crate::memory::AllocError;
use crate::spawn::StartError;
use crate::team::initializer::InitializerError;
use crate::topology::{PlacementError, TopologyError};

/// Why a pool cannot be made. No process is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The workers cannot be placed as asked.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The machine cannot be read.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A worker cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The control memory cannot be made.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// The initializer's arguments cannot be handed over.
    #[error("{0}")]
    Initializer(String),
    /// The pool was joined, terminated or dropped.
    #[error("the pool is closed and cannot be resized; make another, or end this one later")]
    PoolClosed,
    /// A pool cannot be resized from within: by a kernel, a task or a callback of a launch.
    #[error(
        "a pool cannot be resized by a kernel, a task or a callback of a launch, which it would wait for; do it elsewhere"
    )]
    Inside,
    /// A thread cannot be started, or a descriptor not be had.
    #[error("cannot make a pool: {0}; likely a limit on threads, processes or open files is reached")]
    Os(#[source] std::io::Error),
}

impl From<InitializerError> for PoolError {
    fn from(error: InitializerError) -> PoolError {
        PoolError::Initializer(error.to_string())
    }
}
