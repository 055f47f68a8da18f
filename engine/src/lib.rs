//! Phalanx: a shared-memory data-parallel compute engine.
//!
//! A team of worker processes, pinned one per physical core, works on the same arrays without copying them.

// tests/floors.rs checks which of these modules may use which others.
mod array;
mod base;
pub mod channel;
mod code;
mod error;
mod handle;
mod launch;
mod manager;
mod memory;
mod pool;
mod process;
pub mod shared;
mod spawn;
pub mod sync;
mod sys;
mod task;
mod team;
pub mod topology;

pub use array::npy;
pub use array::{
    ArrayPart, ArrayParts, AttachError, Element, FrozenArray, FrozenValue, MappedArray, PartGuard,
    PartsError, PrivateArray, RangeRef, RangeRefMut, Shape, SharedArray, SharedValue, SliceRef, SliceRefMut,
};
pub use base::Span;
pub use channel::{Connection, JoinableQueue, Pipe, Queue, QueueError, Receiver, Sender, SimpleQueue};
pub use error::Error;
pub use launch::{
    BodyError, CancelToken, Captured, Death, Edge, Elements, Launch, LaunchError, MapOutput, Operand,
    PerWorker, Plain, Progress, Region, RegionError, Schedule, Team, TryError, Val, With, grant, region,
};
pub use manager::{
    CallError, CounterProxy, DictProxy, Hosted, ListProxy, Manager, ManagerError, NamespaceProxy, ValueProxy,
};
pub use memory::{
    AllocError, ArrayOptions, HugePages, LimitKind, PageKind, PagePlacement, PageReport, Residency,
};
#[doc(hidden)]
pub use pool::ZipViews;
pub use pool::{
    Backend, LaunchStats, LaunchWorkerStats, Load, MemoryReport, Pool, PoolBuilder, PoolError, PoolStats,
    Seat, TraceError, WorkerStats, monitored, recommended_workers,
};
pub use process::{
    ActiveChild, CpuCount, CurrentProcess, JoinError, Process, ProcessBuilder, ProcessKind, ProcessResult,
    SpawnError, active_children, cpu_count, current_process,
};
pub use spawn::{ExitCause, StartError, StartMethod};
pub use task::{
    Argument, AsCompleted, AsyncResult, Failure, Imap, Insights, Output, SlowTask, Star, TaskError, Tasks,
    WorkerInsight, as_completed, wait_all, wait_first,
};
pub use team::current::{current_rank, current_team_size, is_cancelled};
pub use team::initializer::Opened;
pub use topology::{CpuSet, Machine, Placement};

/// The Rust code blocks of the book and of the README, compiled and run as doc tests so that they stay true.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/guide.md")]
    mod guide {}
    #[doc = include_str!("../../docs/topology.md")]
    mod topology {}
    #[doc = include_str!("../../docs/memory.md")]
    mod memory {}
    #[doc = include_str!("../../docs/faults.md")]
    mod faults {}
    #[doc = include_str!("../../docs/from-python.md")]
    mod from_python {}
}
