//! Errors of creating or resizing a pool.

use crate::memory::AllocError;
use crate::spawn::StartError;
use crate::team::initializer::InitializerError;
use crate::topology::{PlacementError, TopologyError};

/// Why a pool cannot be made or resized. A pool that could not be made leaves no process behind.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The workers cannot be placed as requested.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The machine's topology cannot be detected.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A worker cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The control memory cannot be allocated.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// The initializer's arguments cannot be sent to the workers.
    #[error("{0}")]
    Initializer(String),
    /// The pool was joined, terminated or dropped.
    #[error("the pool is closed and cannot be resized; make another, or end this one later")]
    PoolClosed,
    /// The resize was requested by a kernel, a task or a callback of a launch, which it would wait for.
    #[error(
        "a pool cannot be resized by a kernel, a task or a callback of a launch: it would wait for itself; resize it elsewhere"
    )]
    Inside,
    /// A thread cannot be started, or a file descriptor cannot be opened.
    #[error("cannot make a pool: {0}; a limit on threads, processes or open files has likely been reached")]
    Os(#[source] std::io::Error),
}

crate::base::debug_is_display!(PoolError);

impl From<InitializerError> for PoolError {
    fn from(error: InitializerError) -> PoolError {
        PoolError::Initializer(error.to_string())
    }
}
