//! A member's side of a launch: what a worker does with an order, from its entry to the results of its
//! chunks.

pub(crate) mod bitmap;
pub(crate) mod chunk;
pub(super) mod entry;
pub(crate) mod settle;
