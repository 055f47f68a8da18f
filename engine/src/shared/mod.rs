//! Shared objects: values, arrays, atomics, lists and named blocks for concurrent use by many processes.
//!
//! All types here are handles to an object in shared memory. Handles are cheap to clone, may be used by any
//! thread, may be operands of a launch, and may be part of arguments of tasks and processes, and of results
//! of processes. The memory of objects without a name is freed when the last handle is dropped.
//!
//! | for | take |
//! |---|---|
//! | a single value | [`Value`], with its lock |
//! | many elements under one lock | [`Array`], with its lock |
//! | flags, progress, single-writer results | [`RawValue`], [`RawArray`]: no lock, small elements atomic |
//! | numbers that many processes add to | [`Atomic`], [`AtomicArray`], [`ShardedCounter`] |
//! | a few items of any serde type | [`SharedList`] |
//! | whole copies of an array while a region changes it | [`Snapshot`], from its [`Publisher`] |
//! | named memory for other programs | [`NamedBlock`], or a named `.npy` file ([`SharedArray::create_npy`]) |
//! | arrays to compute on | [`SharedArray`] and its grants; [`FrozenArray`] for read-only sharing |
//!
//! [`FrozenArray`]: crate::FrozenArray
//! [`ShardedCounter`]: crate::sync::ShardedCounter
//! [`SharedArray`]: crate::SharedArray
//! [`SharedArray::create_npy`]: crate::SharedArray::create_npy

mod array;
mod atomic;
mod block;
mod list;
mod raw;
pub(crate) mod snapshot;
mod value;

pub use array::{Array, ArrayGuard};
pub use atomic::{Atomic, AtomicArray, AtomicElement, AtomicF32, AtomicF64};
pub use block::{BlockError, NamedBlock};
pub use list::{Item, ListError, SharedList};
pub use raw::{RawArray, RawValue};
pub use snapshot::{Publication, Publisher, Snapshot};
pub use value::Value;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
