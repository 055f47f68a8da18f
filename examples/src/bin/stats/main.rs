//! Summary statistics of a numeric dataset.
fn main() {}
