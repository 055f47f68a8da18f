//! Shared objects: values, arrays, atomics, lists and named blocks for concurrent use by many processes.
//!
//! All types here are handles to an object in shared memory. Handles are cheap to clone, may be used by any
//! thread, may be operands of a launch, and may be part of arguments and results of processes. The memory is
//! freed when the last handle is dropped.
//!
//! | for | take |
//! |---|---|
//! | one value that is changed as a whole | [`Value`]: with its lock |
//! | many elements that are changed together | [`Array`]: with its lock |
//! | flags, progress, results with one writer each | [`RawValue`], [`RawArray`]: no lock, each element whole |
//! | numbers that all add to | [`Atomic`], [`AtomicArray`], [`ShardedCounter`](crate::sync::ShardedCounter) |
//! | a few items of any serde type | [`SharedList`] |
//! | memory that other programs open by its name | [`NamedBlock`], or a named `.npy` file ([`SharedArray::create_npy`]) |
//! | arrays that are computed on | [`SharedArray`] and its grants, [`FrozenArray`](crate::FrozenArray) to share for reading |
//!
//! [`SharedArray`]: crate::SharedArray
//! [`SharedArray::create_npy`]: crate::SharedArray::create_npy

mod array;
mod atomic;
mod block;
mod list;
mod raw;
mod value;

pub use array::{Array, ArrayGuard};
pub use atomic::{Atomic, AtomicArray, AtomicElement, AtomicF32, AtomicF64};
pub use block::{BlockError, NamedBlock};
pub use list::{Item, ListError, SharedList};
pub use raw::{RawArray, RawValue};
pub use value::Value;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
