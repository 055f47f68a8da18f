//! Phalanx: a shared-memory data-parallel compute engine.
//!
//! A team of worker processes, pinned one per physical core, works on the same arrays without copying them.
//!
//! ```
//! use phalanx::Pool;
//!
//! # fn main() -> Result<(), phalanx::Error> {
//! let pool = Pool::new()?;
//! let x = pool.from_fn(100_000, |i| i as f64)?;
//! let mut y = pool.zeros::<f64>(x.len())?;
//! // Called on every worker, with one chunk of `y` and the same chunk of `x` at a time.
//! pool.for_each((y.split_mut(), x.split(), 2.5), |(y, x, a)| {
//!     for (y, x) in y.iter_mut().zip(x) {
//!         *y += a * x;
//!     }
//! })?;
//! let sum = pool.reduce(y.split(), 0.0, |y| y.iter().sum(), |a, b| a + b)?;
//! assert_eq!(sum, 2.5 * 99_999.0 * 50_000.0);
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//!
//! - A [`Pool`] is a team of workers. Workers are this same program, executed again; they never reach `main`.
//!   With [`Backend::Threads`] they are threads, and with [`Backend::Inline`] launches run in the caller.
//! - A [`SharedArray`] lies in memory that all of them map. It has one owner, like a `Vec`; a launch borrows
//!   it.
//! - A **kernel** is a function, or a closure that captures nothing, which the compiler checks. What it needs
//!   are **operands**: [grants](grant) of arrays (`split`, `tiles`, `halo`, ...), ranges of indices, plain
//!   values, any serde value ([`Captured`]), locks and other handles.
//! - A **launch** runs a kernel once for each chunk of its operands, on all workers: [`Pool::for_each`],
//!   [`reduce`](Pool::reduce), [`fold`](Pool::fold), [`scan`](Pool::scan), [`find_first`](Pool::find_first)
//!   and others. Options such as schedules, time limits and retries are those of [`Pool::launch`].
//! - A **region** ([`Pool::region`]) runs one body on all workers at the same time, with phases, barriers and
//!   reductions between them.
//! - A **task** is a call of a function with arguments that travel: [`Pool::map`], [`Pool::apply_async`],
//!   [`Pool::imap`], with the options of [`Pool::tasks`]. A [`Process`] is one function in a process of its
//!   own.
//! - **Handles** of [locks and other primitives](sync), [shared objects](shared), [queues](channel) and
//!   [managed objects](Manager) are cheap to clone and travel in arguments.
//!
//! Results of launches have the same bits for every number of workers, every schedule and every backend.
//!
//! # What a crash costs
//!
//! A kernel that panics, crashes, hangs beyond its time limit or is killed costs the chunks that it was
//! running; the worker is replaced, locks that it held are handed on as suspect
//! ([`OwnerDied`](sync::LockError::OwnerDied)), and the error says what was lost ([`LaunchError`],
//! [`TaskError`]). Nothing is left behind in `/dev/shm`, whatever way the program ends.
//!
//! # Where things are
//!
//! | to | see |
//! |---|---|
//! | make a team | [`Pool`], [`PoolBuilder`], [`Placement`], [`topology`] |
//! | make arrays, map files | [`SharedArray`], [`FrozenArray`], [`MappedArray`], [`npy`], [`ArrayOptions`] |
//! | run kernels | [`Launch`], [`grant`], [`Schedule`], [`CancelToken`], [`LaunchError`], [`TryError`] |
//! | run one body on all ranks | [`Team`], [`region`] |
//! | call functions | [`Tasks`], [`AsyncResult`], [`Imap`], [`TaskError`] |
//! | go on after a kill | [`Tasks::journal`], [`Journal`], [`JournalError`] |
//! | write arrays from tasks | [`ArrayParts`], [`ArrayPart`] |
//! | start single processes | [`Process`], [`ProcessBuilder`] |
//! | send messages | [`Queue`], [`Pipe`], [`channel`] |
//! | synchronise | [`sync`] |
//! | share values, lists, atomics | [`shared`] |
//! | host objects behind proxies | [`Manager`] |
//! | collect what each worker kept | [`PoolBuilder::at_exit`], [`Pool::exit_results`], [`ExitError`] |
//! | see what happened | [`PoolStats`], [`Insights`], [`Pool::reason`] |
//! | handle errors | [`Error`] holds any error of the crate |
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `half` | `half::f16` as an element of `.npy` files |
//! | `indicatif` | progress bars: `pool.tasks().progress_bar(label)` |
//! | `shared_memory` | existing segments of the crate `shared_memory` as arrays |
//!
//! # Platform
//!
//! Linux on 64-bit machines, Rust 1.91 or later. libhwloc is loaded at run time if it is installed. The crate
//! must be linked into the executable itself. [`Backend`] and [`StartMethod`] say what programs with raised
//! privileges can use.

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
pub mod observe;
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
    Argument, AsCompleted, AsyncResult, Failure, Imap, Insights, Journal, JournalError, JournaledTasks,
    Output, SlowTask, Star, TaskError, Tasks, WorkerInsight, as_completed, wait_all, wait_first,
};
pub use team::current::{current_rank, current_team_size, is_cancelled};
pub use team::exit_function::{ExitError, ExitOutcome};
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
