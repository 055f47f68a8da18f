//! Floor 3: arrays in shared memory.
//!
//! A [`SharedArray`] is a place in a segment and a shape. It is the only owner of its bytes, so that `&` and `&mut`
//! mean for it what they mean for a `Vec`, in the driver and, through grants, in every worker.

mod attach;
mod element;
mod mapped;
mod named;
pub mod npy;
pub(crate) mod shape;
pub(crate) mod shared;
#[cfg(feature = "shared_memory")]
mod shmem;
mod value;

pub use attach::AttachError;
pub use element::Element;
pub use mapped::{MappedArray, PrivateArray};
pub use shape::Shape;
pub use shared::SharedArray;
pub use value::SharedValue;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod file_tests;
