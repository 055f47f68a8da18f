//! Numeric kernels over [`phalanx`] shared arrays, written only with its public API.
//!
//! ```
//! use phalanx::Pool;
//! use phalanx_kernels::{order, reduce, stream};
//!
//! # fn main() -> Result<(), phalanx::Error> {
//! let pool = Pool::builder().workers(2).build()?;
//! let x = pool.from_fn(100_000, |i| ((i * 7919) % 100_000) as f64)?;
//! let mut y = pool.zeros(x.len())?;
//! stream::axpy(&pool, &mut y, 0.5, &x)?;
//! assert_eq!(reduce::mean(&pool, &y)?, 24_999.75);
//! assert_eq!(order::quantiles(&pool, &y, &[0.5])?, [24_999.75]);
//! order::sort(&pool, &mut y)?;
//! assert!(y.as_slice().is_sorted());
//! # Ok(())
//! # }
//! ```
//!
//! # Families
//!
//! | family | kernels |
//! |---|---|
//! | [`stream`] | fill, copy, scale, add, triad, axpy, axpby, elementwise maps of one and two inputs |
//! | [`reduce`] | sum, dot, norms, extremes, mean, variance, moments, histogram, counts |
//! | [`profile`] | many statistics of a dataset in one pass: sums, extremes, bins, values inside intervals |
//! | [`axis`] | along one axis: sums, moments, extremes and their places, running sums, sorting, quantiles, differences |
//! | [`elementwise`] | operations, comparisons and any function of up to four arrays, with broadcasting |
//! | [`select`] | elements by mask, by place, by value: compress, take, searchsorted, isin |
//! | [`group`] | folds of runs of equal keys, run lengths, sums of weights by value |
//! | [`scan`] | inclusive and exclusive prefix sums, any associative operator |
//! | [`dense`] | transpose, products, LU, Cholesky, QR, least squares, eigenvalues, singular values; batches of small matrices |
//! | [`sparse`] | compressed rows, sums and products, solvers with preconditioners, a few eigenvalues, Matrix Market files |
//! | [`stencil`] | star stencils of any radius in 2-D and 3-D, convolutions, filters of images, the heat equation |
//! | [`spectral`] | Fourier transforms, complex and real, along any axes; cosine and sine transforms |
//! | [`signal`] | convolutions by transforms, filters along an axis, windows, spectra |
//! | [`order`] | sorting by bits, by key, by comparison; argsort, selection, quantiles, distinct elements |
//! | [`records`] | where lines, CSV, FASTA and FASTQ records begin: cuts of a text for `split_at` |
//! | [`random`] | floats and integers of many distributions, permutations, determined by seed and index |
//! | [`statistics`] | covariances, weighted means and quantiles, regression, principal components, bootstrap |
//! | [`particles`] | all-pairs gravitation: accelerations, energies, leapfrog steps |
//!
//! # What holds for all of them
//!
//! - **Inputs** are shared arrays of any number of axes, or ndarray arrays and slices, which are copied in
//!   once ([`Input`]). **Results** as large as an input go to an array of the caller's, a `&mut SharedArray`, which
//!   can be used again; what is smaller, or whose length is known only afterwards, is returned: as a `SharedArray`
//!   where the data say how long it is, as a `Vec` where an argument does (the bins of a histogram, the quantiles
//!   asked for).
//! - **Short arrays**, below [`INLINE_ELEMENTS`], are processed by the caller without a launch.
//! - **Results have the same bits** for every number of workers, every backend, every vector width of the
//!   CPU, and on x86-64 and aarch64: the order of operations depends on lengths only, and no product is fused
//!   with a sum. Only for products and factorisations in [`dense`], what [`statistics`] makes of them, and
//!   [`spectral`] and [`signal`] they depend on the kind of CPU, since the libraries behind them fuse where it can. The sign of a NaN that an operation makes differs between architectures.
//! - **NaN, infinities, -0.0 and overflow** behave as in NumPy, unless a kernel's documentation says
//!   otherwise. Integers wrap around.
//! - **Bad arguments** are reported as a [`KernelError`] before any work is done. If a worker dies, a kernel
//!   that only reads its inputs repeats the lost work. If a function passed to a kernel panics, the kernel
//!   returns an error, whether the function ran in the caller or in a worker.
//! - **Vectors**: a program built for baseline x86-64 uses AVX2 or AVX-512 if the CPU has them.
//!
//! # Features and platform
//!
//! `half` makes `half::f16` an element that [`profile::tally`] counts. The platform is that of [`phalanx`]:
//! Linux on 64-bit machines, Rust 1.91 or later.

mod error;
mod inline;
mod input;
mod interpolate;
mod lanes;
mod layout;
mod lines;
mod local;
mod number;
mod scale;
mod simd;
mod store;
mod word;

pub mod axis;
pub mod dense;
pub mod elementwise;
pub mod group;
pub mod order;
pub mod particles;
pub mod profile;
pub mod random;
pub mod records;
pub mod reduce;
pub mod scan;
pub mod select;
pub mod signal;
pub mod sparse;
pub mod spectral;
pub mod statistics;
pub mod stencil;
pub mod stream;

#[cfg(test)]
mod testing;

pub use error::KernelError;
pub use inline::INLINE_ELEMENTS;
pub use input::{Input, Shared};
pub use number::{Integer, Number, Real};
