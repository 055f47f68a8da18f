//! Phalanx: shared-memory data-parallel computing with worker processes.
//!
//! A team of worker processes, pinned one per physical core, works on the same arrays without copying them. A
//! crash in one of them costs a chunk of work and not the program.
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
//!   are **operands**: [grants](grant) of arrays (`split`, `tiles`, `halo` and others), ranges of indices,
//!   plain values, any serde value ([`Captured`]), a state per worker ([`PerWorker`]), locks and other
//!   handles.
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
//! [`TaskError`]). Nothing is left behind in `/dev/shm`, however the program ends.
//!
//! # Modules
//!
//! The names that most programs use are at the root, the others in their modules.
//!
//! | module | to | see |
//! |---|---|---|
//! | [`pool`] | make a team, see what happened | [`Pool`], [`PoolBuilder`], [`Backend`], [`PoolStats`], [`Pool::reason`] |
//! | [`topology`] | choose where workers run | [`Placement`], [`Machine`] |
//! | [`array`](mod@array) | make arrays, map files, let tasks write | [`SharedArray`], [`FrozenArray`], [`MappedArray`], [`ArrayParts`], [`npy`] |
//! | [`memory`] | choose pages, read where they are | [`ArrayOptions`], [`Residency`] |
//! | [`launch`] | run kernels | [`Launch`], [`grant`], [`Schedule`], [`CancelToken`], [`LaunchError`] |
//! | [`region`] | run one body on all ranks | [`Team`], [`RegionError`] |
//! | [`task`] | call functions, resume after a kill | [`Tasks`], [`AsyncResult`], [`Imap`], [`Journal`], [`TaskError`] |
//! | [`process`] | start single processes | [`Process`], [`ProcessBuilder`] |
//! | [`channel`] | send messages | [`Queue`], [`Pipe`] |
//! | [`sync`] | synchronise | [`Lock`](sync::Lock), [`Event`](sync::Event), [`Barrier`](sync::Barrier), [`Counter`](sync::Counter) |
//! | [`shared`] | share values, lists, atomics, snapshots | [`Value`](shared::Value), [`Atomic`](shared::Atomic), [`SharedList`](shared::SharedList) |
//! | [`manager`] | host objects behind proxies | [`Manager`] |
//! | [`tuning`] | set what depends on the machine | [`Tuning`](tuning::Tuning), [`Profile`](tuning::Profile) |
//! | [`observe`] | watch the pools of another program | [`pools`](observe::pools) |
//! | [`cluster`] | run the same program on many machines | [`Cluster`](cluster::Cluster) |
//!
//! [`Error`] holds any error of the crate, so that `?` works in a function that returns it. [`azip!`] is a
//! loop over the elements of several arrays. Numeric kernels are in the crate `phalanx-kernels`. The guide,
//! one chapter per topic, is in the repository: `docs/guide.md`.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `half` | `half::f16` as an element of `.npy` files: [`npy`] |
//! | `indicatif` | progress bars: `pool.tasks().progress_bar(label)` |
//! | `shared_memory` | existing segments of the crate `shared_memory` as arrays |
//!
//! # Platform
//!
//! Linux on 64-bit machines, Rust 1.91 or later. libhwloc is loaded at run time if it is installed. The crate
//! must be linked into the executable itself. Programs with raised privileges (set-user-ID and the like)
//! cannot execute themselves as workers: they use [`Backend::Threads`] or [`StartMethod::Fork`].

// tests/floors.rs checks which of these modules may use which others.
pub mod array;
mod base;
pub mod channel;
pub mod cluster;
mod code;
mod error;
mod handle;
pub mod launch;
pub mod manager;
pub mod memory;
pub mod observe;
pub mod pool;
pub mod process;
pub mod shared;
mod spawn;
pub mod sync;
mod sys;
pub mod task;
mod team;
pub mod topology;
pub mod tuning;

// The names that most programs use. All others stand in their modules.
#[doc(inline)]
pub use array::{ArrayParts, Element, FrozenArray, MappedArray, SharedArray, SharedValue};
pub use base::Span;
#[doc(inline)]
pub use channel::{Pipe, Queue};
pub use error::Error;
#[doc(inline)]
pub use launch::{
    CancelToken, Captured, Edge, Launch, LaunchError, PerWorker, RegionError, Schedule, Team, TryError, Val,
    grant, region,
};
#[doc(inline)]
pub use manager::Manager;
#[doc(inline)]
pub use memory::ArrayOptions;
#[doc(inline)]
pub use pool::{Backend, Pool, PoolBuilder};
#[doc(inline)]
pub use process::Process;
pub use spawn::{ExitCause, StartError, StartMethod};
#[doc(inline)]
pub use task::{AsyncResult, Imap, Journal, TaskError, Tasks};
pub use team::current::{current_rank, current_team_size, is_cancelled};
#[doc(inline)]
pub use topology::{Machine, Placement};

// Names of the modules that can be written without them, too.
#[doc(hidden)]
pub use array::{
    ArrayPart, AttachError, FrozenValue, PartGuard, PartsError, PrivateArray, RangeRef, RangeRefMut, Shape,
    SliceRef, SliceRefMut, npy,
};
#[doc(hidden)]
pub use channel::{Connection, JoinableQueue, QueueError, Receiver, Sender, SimpleQueue};
#[doc(hidden)]
pub use launch::{BodyError, Death, Elements, MapOutput, Operand, Plain, Progress, Region, With};
#[doc(hidden)]
pub use manager::{
    CallError, CounterProxy, DictProxy, Hosted, ListProxy, ManagerError, NamespaceProxy, ValueProxy,
};
#[doc(hidden)]
pub use memory::{AllocError, HugePages, LimitKind, PageKind, PagePlacement, PageReport, Residency};
#[doc(hidden)]
pub use pool::{
    ExitError, ExitOutcome, LaunchStats, LaunchWorkerStats, Load, MemoryReport, Opened, PoolError, PoolStats,
    Seat, TraceError, WorkerStats, ZipViews, monitored, recommended_workers,
};
#[doc(hidden)]
pub use process::{
    ActiveChild, CpuCount, CurrentProcess, JoinError, ProcessBuilder, ProcessKind, ProcessResult, SpawnError,
    active_children, cpu_count, current_process,
};
#[doc(hidden)]
pub use task::{
    Argument, AsCompleted, Failure, Insights, JournalError, JournaledTasks, Output, SlowTask, Star,
    WorkerInsight, as_completed, wait_all, wait_first,
};
#[doc(hidden)]
pub use topology::CpuSet;
