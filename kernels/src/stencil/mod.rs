//! Stencils: every element of the result is a weighted sum of an element and its neighbours.
//!
//! Most kernels here are sums over *taps*, each an offset and a weight. They are computed row by row along the
//! last axis: the rows that a tap reads are slices, so that the inner loop runs over contiguous elements.
//! Taps are summed in a fixed order, one after the other, so results have the same bits for every number of
//! workers. A [`Boundary`] defines what lies beyond the border of the array.
//!
//! Filters of images and volumes, of any number of axes, are passes along one axis after the other: bells, means,
//! extremes, morphology, slopes.

mod boundary;
mod convolve;
mod filter;
mod heat;
mod past;
mod star;
mod sweep;

pub use boundary::Boundary;
pub use convolve::{convolve_2d, convolve_separable};
pub use filter::{closing, correlate_1d, gaussian, maximum, minimum, opening, prewitt, sobel, uniform};
pub use heat::{heat_2d, heat_3d};
pub use star::{star_2d, star_3d};
