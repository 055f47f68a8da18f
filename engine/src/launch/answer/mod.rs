//! Launches that return values of any type, that may fail, or that end early: folds, searches, and kernels
//! that return a `Result`.

pub(super) mod answers;
mod fallible;
mod fold;
pub(super) mod lowest;
mod search;
pub(super) mod try_error;

pub use try_error::TryError;
