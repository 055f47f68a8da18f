//! Fourier transforms of complex and real arrays, cosine and sine transforms.
//!
//! | kernel | what it does |
//! |---|---|
//! | [`fft`] | complex transforms along any axes, in place; [`fft_1d`], [`fft_2d`], [`fft_3d`] for the common ones |
//! | [`rfft`], [`irfft`] | transforms of real arrays: half of the frequencies, half of the work |
//! | [`dct`], [`dst`] | cosine and sine transforms of four kinds, along any axis |
//! | [`fftfreq`], [`rfftfreq`], [`fftshift`], [`ifftshift`] | which frequency is where |
//! | [`next_fast_len`] | the next length that is transformed fast |
//!
//! Lines along the last axis are transformed in place. Lines along another axis are gathered, a block of
//! neighbouring lines at a time, into a buffer in which each is contiguous, transformed, and copied back:
//! every cache line of the array is read and written once per axis. Single lines are transformed by
//! [rustfft](https://docs.rs/rustfft), [realfft](https://docs.rs/realfft) and [rustdct](https://docs.rs/rustdct),
//! which pick an algorithm by length (any length: also primes) and use AVX or NEON if the CPU has
//! it: bits depend on the kind of CPU, not on the number of workers.
//!
//! As in NumPy (<https://numpy.org/doc/stable/reference/routines.fft.html>) the forward transform is
//! `X[k] = sum over j of x[j] exp(-2 pi i j k / n)`, and the inverse has the opposite sign and is divided by
//! `n`, so that it undoes the forward transform; [`Norm`] names the other ways to divide. NaN and infinities spread
//! over the whole line.
//!
//! # Long lines
//! A line of 2^17 elements or more, contiguous and among fewer than 32 such, is cut up: as a matrix of about as many
//! rows as columns, whose columns are transformed and turned in one pass over the memory, and whose rows in a second.
//! All workers share both passes. Whether this is done depends on the shape alone.

mod cosine;
mod direction;
mod fft;
mod frequency;
mod line;
mod long;
mod real;
mod turns;

pub use cosine::{Kind, dct, dst};
pub use direction::{Direction, Norm};
pub use fft::{fft, fft_1d, fft_2d, fft_3d};
pub use frequency::{fftfreq, fftshift, ifftshift, next_fast_len, rfftfreq};
pub use line::Transform;
pub use num_complex::Complex;
pub use real::{irfft, rfft};
