//! Locks, semaphores, events, conditions, barriers and counters that work between threads and processes.
//!
//! | object | for | if a process dies |
//! |---|---|---|
//! | [`Lock`] | a value that one thread at a time uses | the next holder receives [`LockError::OwnerDied`] |
//! | [`RLock`] | the same; its holder may take it again | as [`Lock`] |
//! | [`RwLock`] | many readers, or one writer | readers are removed; after a writer, as [`Lock`] |
//! | [`Semaphore`], [`BoundedSemaphore`] | at most so many at once | its permits become free |
//! | [`Event`] | a flag to wait for | waiters still wait for the flag |
//! | [`Condition`] | waiting until the value of a [`Lock`] has changed | waiters still wait |
//! | [`Barrier`] | no one continues before all have arrived | it is broken until [`Barrier::reset`] |
//! | [`Counter`], [`ShardedCounter`] | a number that many add to | each addition is whole |
//!
//! Handles are cheap to clone. They are operands of launches and regions, by reference, and travel in
//! arguments and results of tasks and processes. The memory is freed with the last handle.

// Every object is a few words in shared memory with a protocol, described in README.md beside this file. The
// words name their owner, so that the driver can take back what a dead process held.

mod barrier;
mod barrier_word;
mod condition;
mod counter;
mod event;
mod event_count;
mod lock;
mod lock_word;
pub(crate) mod place;
mod record;
pub(crate) mod repair;
mod rlock;
mod rw_word;
mod rwlock;
mod semaphore;
mod semaphore_word;
mod serial;
pub(crate) mod wait;

#[cfg(test)]
mod models;
#[cfg(test)]
#[cfg(not(loom))]
pub(crate) mod tests;

pub use crate::base::member::{MemberId, Owner};
pub use barrier::{Barrier, BarrierError};
pub use condition::Condition;
pub use counter::{Counter, ShardedCounter};
pub use event::Event;
pub(crate) use event_count::EventCount;
pub(crate) use lock::Held;
pub use lock::{Guard, Lock, LockError};
pub(crate) use lock_word::{Acquired, LockWord, Refused};
pub(crate) use place::data_offset;
pub use place::{Borrowed, CreateError};
pub(crate) use place::{Remote, SyncWire};
pub(crate) use record::Table;
pub use rlock::{RGuard, RLock};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore, SemaphoreError};
pub(crate) use wait::{ALL, GRACE, Patience, sleep};
