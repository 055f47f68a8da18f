//! Element by element, with inputs of several shapes: what NumPy does by broadcasting.
//!
//! | kernel | computes |
//! |---|---|
//! | [`zip2`], [`zip3`], [`zip4`] | any function of two to four arrays, in one sweep |
//! | [`add`], [`subtract`], [`multiply`], [`divide`] | arithmetic |
//! | [`minimum`], [`maximum`], [`clip`] | the smaller, the larger, what lies between bounds |
//! | [`less`], [`less_equal`], [`greater`], [`greater_equal`], [`equal`], [`not_equal`] | comparisons: 1 or 0 |
//! | [`select`] | one of two arrays by a condition |
//!
//! # Shapes
//! An input has the shape of `out`, or is **stretched** to it: shapes are compared from the last axis on, and
//! an axis of length 1, or one that is missing, is repeated. A scalar is an array of one element, `&[2.0]`.
//! Nothing is copied for that, and `out` is never stretched.
//!
//! # Types
//! Nothing is promoted: named operations have inputs and results of one type, so `zip2` with a closure that
//! converts is what NumPy does for two types, in the same sweep. Elements of `zip2`, `zip3`, `zip4` and
//! [`select`] are any plain data, complex numbers too. Comparisons return `u8`, since a `bool` cannot lie in
//! memory that other processes write.
//!
//! Expressions of several operations are one sweep as a closure, and several as named operations: `zip4`
//! reads four arrays and writes one for `a * x + b * y - c`, while three named operations read six and write
//! three. For two arrays of the shape of `out`, [`stream::map2`](crate::stream::map2) also writes past the
//! caches.

mod broadcast;
mod named;
mod zip;

pub use named::{
    add, clip, divide, equal, greater, greater_equal, less, less_equal, maximum, minimum, multiply,
    not_equal, select, subtract,
};
pub use zip::{zip2, zip3, zip4};
