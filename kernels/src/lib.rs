//! Numeric kernels over [`phalanx`] shared arrays, written only with its public API.
//!
//! | family | kernels |
//! |---|---|
//! | [`stream`] | fill, copy, scale, add, triad, axpy, axpby, elementwise maps of one and two inputs |
//! | [`reduce`] | sum, dot, norms, extremes, mean, variance, moments, histogram, counts |
//! | [`profile`] | many statistics of a dataset in one pass: sums, extremes, bins, values inside intervals |
//! | [`scan`] | inclusive and exclusive prefix sums, any associative operator |
//! | [`dense`] | transpose, products, LU, Cholesky, QR, least squares, eigenvalues, singular values; batches of small matrices |
//! | [`sparse`] | compressed rows, sums and products, solvers with preconditioners, a few eigenvalues, Matrix Market files |
//! | [`stencil`] | star stencils of any radius in 2-D and 3-D, convolutions, the heat equation |
//! | [`spectral`] | Fourier transforms: batches of lines, 2-D, 3-D |
//! | [`order`] | sorting by bits, by key, by comparison; argsort, selection, quantiles, distinct elements |
//! | [`records`] | where lines, CSV, FASTA and FASTQ records begin: cuts of a text for `split_at` |
//! | [`random`] | floats and integers of many distributions, permutations, determined by seed and index |
//! | [`statistics`] | covariances, weighted means and quantiles, regression, principal components, bootstrap |
//! | [`particles`] | all-pairs gravitation: accelerations, energies, leapfrog steps |
//!
//! # What holds for all of them
//!
//! - **Inputs** are shared arrays of any number of axes, or ndarray arrays and slices, which are copied in
//!   once ([`Input`]). **Outputs** are `&mut SharedArray` of the same shape.
//! - **Short arrays**, below [`INLINE_ELEMENTS`], are processed by the caller without a launch.
//! - **Results have the same bits** for every number of workers, every backend and every vector width of the
//!   CPU: the order of operations depends on lengths only.
//! - **NaN, infinities, -0.0 and overflow** behave as in NumPy, unless a kernel's documentation says
//!   otherwise. Integers wrap around.
//! - **Bad arguments** are reported as a [`KernelError`] before any work is done. If a worker dies, a kernel
//!   that only reads its inputs repeats the lost work. If a function passed to a kernel panics, the kernel
//!   returns an error, whether the function ran in the caller or in a worker.
//! - **Vectors**: a program built for baseline x86-64 uses AVX2 or AVX-512 if the CPU has them.

mod error;
mod inline;
mod input;
mod number;
mod scale;
mod simd;
mod store;

pub mod dense;
pub mod order;
pub mod particles;
pub mod profile;
pub mod random;
pub mod records;
pub mod reduce;
pub mod scan;
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
