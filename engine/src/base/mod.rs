//! Floor 0: ids, index spans, padding. Pure; asks the operating system nothing.

pub(crate) mod atomic;
mod line;
pub(crate) mod member;
#[cfg(test)]
pub(crate) mod model;
mod span;

pub(crate) use line::Line;
pub use member::MemberId;
pub use span::Span;
