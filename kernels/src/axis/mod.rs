//! Along one axis of an array: what NumPy does with `axis=`.
//!
//! | kernel | result for each line | its elements |
//! |---|---|---|
//! | [`sum`], [`nansum`] | the sum | `u64`, `i64` for integers, else as in the input |
//! | [`mean`], [`nanmean`], [`variance`], [`nanvariance`], [`std`](std()), [`nanstd`] | moments | `f64` |
//! | [`norm1`], [`norm2`], [`norm_inf`] | norms | as in the input |
//! | [`min`], [`max`], [`nanmin`], [`nanmax`] | extremes | as in the input |
//! | [`argmin`], [`argmax`], [`nanargmin`], [`nanargmax`] | their places | `u64` |
//! | [`any`], [`all`], [`count_nonzero`] | whether and how many elements are not 0 | `u8`, `u64` |
//! | [`median`], [`quantile`], [`nanmedian`], [`nanquantile`] | what lies at a place of the sorted line | `f64` |
//!
//! | kernel | result as large as the input | its elements |
//! |---|---|---|
//! | [`cumsum`], [`cumprod`] | running sums and products, in `out` | `u64`, `i64` for integers, else as in the input |
//! | [`diff`], [`gradient`] | differences of neighbours (one less), slopes, in `out` | as in the input |
//! | [`roll`], [`flip`] | rotated, reversed, in `out` | as in the input |
//! | [`concatenate`], [`pad`] | several arrays in a row; an array with a border, in `out` | as in the input |
//! | [`sort`], [`argsort`] | every line in order, in place; the places that would sort it, in `out` | as in the input; `u64` |
//!
//! # Shapes
//! A **line** is what is left of an array when all indices but the one along `axis` are fixed. `axis` counts
//! from 0, or from the last axis if it is negative. Arrays have 1 to 6 axes, also as
//! [`IxDyn`](type@ndarray::IxDyn); views may have any strides.
//!
//! A kernel with one result for each line returns a new array that has the axes of the input without that
//! one: for the shape `(300, 4)` and axis 0 the shape `(4)`, for an array of one axis one element.
//! [`expand_dims`] puts an axis of length 1 in its place (`keepdims`) without a copy. A kernel whose result
//! is as large as its input writes to an array of the caller's, `out`, of the same shape.
//!
//! # Cost
//! Elements are read along memory, in full rows, whichever axis it is. Workers share the lines, and where
//! lines are few or long, parts of them. Results have the same bits for every number of workers, but sums
//! along one axis and those along the same axis of the transposed array may differ in last digits.

mod extreme;
mod fold;
mod layout;
mod moment;
mod neighbour;
mod place;
mod quantile;
mod scan;
mod sort;
mod sum;
mod tile;

pub use extreme::{argmax, argmin, max, min, nanargmax, nanargmin, nanmax, nanmin, norm_inf};
pub use layout::{Axes, expand_dims};
pub use moment::{nanmean, nanstd, nanvariance, std, variance};
pub use neighbour::{diff, flip, gradient, roll};
pub use place::{concatenate, pad};
pub use quantile::{median, nanmedian, nanquantile, quantile};
pub use scan::{cumprod, cumsum};
pub use sort::{argsort, sort};
pub use sum::{all, any, count_nonzero, mean, nansum, norm1, norm2, sum};
