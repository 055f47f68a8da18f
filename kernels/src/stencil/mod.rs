//! Stencils: every element of the result is a weighted sum of an element and its neighbours.
//!
//! All kernels here are sums over *taps*, each an offset and a weight. They are computed row by row along the
//! last axis: the rows that a tap reads are slices, so that the inner loop runs over contiguous elements.
//! Taps are summed in a fixed order, one after the other, so results have the same bits for every number of
//! workers. A [`Boundary`] defines what lies beyond the border of the array.

mod boundary;
mod convolve;
mod heat;
mod past;
mod star;
mod sweep;

pub use boundary::Boundary;
pub use convolve::{convolve_2d, convolve_separable};
pub use heat::{heat_2d, heat_3d};
pub use star::{star_2d, star_3d};
