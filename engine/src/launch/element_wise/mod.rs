//! Element-wise kernels: `map_into`, `fill_with` and `scan` call them once per element, inlined into the
//! loop.

mod elements;
mod entry;
mod scan;
mod with;

pub use elements::{Elements, MapOutput};
pub(crate) use scan::Prefix;
pub use with::With;
