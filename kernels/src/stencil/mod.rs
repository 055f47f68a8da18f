//! Stencils: every element of the result is a weighted sum of an element's neighbours.
//!
//! All kernels here are sums over *taps*, an offset and a weight each, computed row by row along the last axis: the rows that a tap
//! reads are slices, so that the inner loop runs over elements side by side. Taps are summed in a fixed order, one after the other; the
//! bits depend on nothing else. What lies beyond the border of the array is said by a [`Boundary`].

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
