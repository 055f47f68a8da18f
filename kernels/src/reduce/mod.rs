//! Kernels that reduce an array to one number or a few.
//!
//! | kernel | returns | reads | flops per element |
//! |---|---|---|---|
//! | [`sum`], [`sum_compensated`] | the sum | `x` | 1, 7 |
//! | [`dot`] | the sum of products | `x`, `y` | 2 |
//! | [`norm1`], [`norm2`], [`norm_inf`] | norms | `x` | 2 |
//! | [`min`], [`max`], [`argmin`], [`argmax`] | extremes and their places | `x` | 2 |
//! | [`mean`], [`variance`], [`moments`] | moments about the mean | `x` | 1, 5, 10 |
//! | [`histogram`], [`bincount`] | counts by value | `x`, wide integers twice | 6, 1 |
//! | [`count_if`], [`any`], [`all`] | how many elements satisfy a predicate | `x` | those of the function |
//!
//! Arrays with any number of axes are treated as one long vector in row-major order. Every array is read
//! once, at the full speed of memory.
//!
//! Results have the same bits for every number of workers, backend, schedule and vector width: sums are taken
//! in a fixed order that depends on the length only. NumPy adds in another order, so last digits may differ.

mod count;
mod extreme;
mod fold;
mod histogram;
mod moment;
#[cfg(test)]
mod range_tests;
mod sum;
#[cfg(test)]
mod tests;

pub use count::{all, any, count_if};
pub use extreme::{argmax, argmin, max, min, norm_inf};
pub use histogram::{Histogram, bincount, histogram};
pub use moment::{Moments, moments, variance};
pub use sum::{dot, mean, norm1, norm2, sum, sum_compensated};
