//! Phalanx: a shared-memory data-parallel compute engine.
//!
//! A team of worker processes, one per physical core and pinned there, advances in lockstep through the same
//! zero-copy arrays.

// Floors, lowest first: a module imports only from the floors above it in this list.
mod array;
mod base;
mod memory;
pub mod sync;
mod sys;

pub use array::npy;
pub use array::{AttachError, Element, MappedArray, PrivateArray, Shape, SharedArray, SharedValue};
pub use memory::{
    AllocError, ArrayOptions, HugePages, LimitKind, PageKind, PagePlacement, PageReport, Residency,
};
