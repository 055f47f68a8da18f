//! Elements by condition, by place and by value.
//!
//! | kernel | result |
//! |---|---|
//! | [`compress`] | the elements that a mask selects, a new array |
//! | [`nonzero`] | the places of elements that are not 0, a new array |
//! | [`take`] | the elements at given places |
//! | [`searchsorted`] | the places of values in a sorted array |
//! | [`isin`] | whether elements occur in a set: 1 or 0 |
//!
//! Masks are numbers, of which 0 stands for false: a `bool` cannot lie in memory that other processes write.
//! Places are `u64` and count in row-major order. A result whose length is known only afterwards is a new
//! array; others go to `out`, an array of the caller's. Results are the same for every number of workers.

mod filter;
mod look;

pub use filter::{compress, nonzero};
pub use look::{Side, isin, searchsorted, take};
