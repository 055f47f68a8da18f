//! The numbers of dense matrices.

use crate::number::Real;

/// What the library asks of a number. Not nameable outside: [`Product`] is the public name.
pub trait Field: faer::traits::RealField {}
impl Field for f32 {}
impl Field for f64 {}

/// An element type of matrix products and factorisations: `f32` or `f64`.
pub trait Product: Real + Field {}
impl Product for f32 {}
impl Product for f64 {}
