//! Fourier transforms of complex arrays.
//!
//! Lines along the last axis are transformed in place. Lines along another axis are gathered, a block of
//! neighbouring lines at a time, into a buffer in which each is contiguous, transformed, and copied back:
//! every cache line of the array is read and written once per axis. Single lines are transformed by
//! [rustfft](https://docs.rs/rustfft), which picks an algorithm by length and uses AVX or NEON if the CPU has
//! it: bits depend on the kind of CPU, not on the number of workers.
//!
//! As in NumPy (<https://numpy.org/doc/stable/reference/routines.fft.html>) the forward transform is
//! `X[k] = sum over j of x[j] exp(-2 pi i j k / n)`, and the inverse has the opposite sign and is divided by
//! `n`, so that it undoes the forward transform. NaN and infinities spread over the whole line.

mod direction;
mod fft;
mod line;

pub use direction::Direction;
pub use fft::{fft_1d, fft_2d, fft_3d};
pub use line::Transform;
pub use num_complex::Complex;
