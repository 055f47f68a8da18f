//! Summary statistics of a numeric dataset.
mod analysis;
mod histogram;
mod number;
mod quantile;
mod simd;
mod summary;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;
fn main() {}
