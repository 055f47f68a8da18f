//! Locks, semaphores, events, conditions, barriers and counters that work between processes.
//!
//! Every object is a few words in shared memory with a protocol, described in README.md beside this file. The
//! words name their owner, so that the driver can take back what a dead process held. No call here waits for
//! a dead process.

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
