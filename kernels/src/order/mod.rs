//! Order: sorting, selection, unique elements.
mod blocks;
mod count;
mod local;
mod partition;
mod sort;
#[cfg(test)]
mod tests;
mod word;

pub use sort::sort;
pub use word::Key;
