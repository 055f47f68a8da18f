//! Floor 0: ids, index spans, padding. Pure; asks the operating system nothing.

pub(crate) mod atomic;
mod line;
mod span;

pub(crate) use line::Line;
pub use span::Span;
