//! Ids, index spans, padding, values as bytes. Pure; asks the operating system nothing.

pub(crate) mod atomic;
mod line;
mod local;
pub(crate) mod member;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod notation;
#[cfg(all(test, not(loom)))]
pub(crate) mod random_tests;
mod span;

pub(crate) use line::Line;
pub(crate) use local::with_own;
pub use member::MemberId;
pub use span::Span;
