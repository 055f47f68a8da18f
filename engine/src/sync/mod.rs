//! Floor 2: locks, semaphores, events, conditions, barriers and counters that work between processes.
//!
//! Every object is a few words in shared memory and a protocol on them, told in README.md beside this file. Words
//! name their owner, so that the driver can take back what a dead process held: no call here waits for the dead.

mod counter;
mod lock;
mod lock_word;
mod place;
mod record;
pub(crate) mod repair;
mod wait;

pub use crate::base::member::{MemberId, Owner};
pub use counter::{Counter, ShardedCounter};
pub use lock::{Guard, Lock, LockError};
#[allow(unused_imports, reason = "the launch floor uses it")]
pub(crate) use place::SyncWire;
pub use place::{Borrowed, CreateError};
