//! Matrices: transposes, products, factorisations, linear systems, eigenvalues and singular values.
//!
//! | kernel | does |
//! |---|---|
//! | [`gemm`], [`gemv`], [`gemv_transposed`] | products |
//! | [`transpose`], [`transpose_in_place`] | transposes |
//! | [`Lu`], [`solve`], [`inverse`], [`determinant`] | square systems |
//! | [`Cholesky`] | symmetric, positive definite systems |
//! | [`Qr`], [`least_squares`] | more equations than unknowns |
//! | [`solve_triangular`] | systems with a triangular matrix |
//! | [`symmetric_eigen`], [`symmetric_eigenvalues`], [`eigen`] | eigenvalues and eigenvectors |
//! | [`Svd`], [`singular_values`] | singular values; least squares of any rank |
//! | [`batch`] | the same for many small matrices at once |
//!
//! Matrices are row-major; `m x n` means `m` rows of `n` columns. Products follow the BLAS (reference:
//! <https://www.netlib.org/blas/>): the result is `alpha * A B + beta * C`. If `beta` is 0, the old `C` is
//! not read, so a NaN in it does not spread.

pub mod batch;

mod cholesky;
mod eigen;
mod field;
mod gemm;
mod gemv;
mod lu;
mod product;
mod qr;
mod svd;
mod transpose;
mod triangle;

pub use cholesky::Cholesky;
pub use eigen::{Eigen, SymmetricEigen, eigen, symmetric_eigen, symmetric_eigenvalues};
pub use gemm::gemm;
pub use gemv::{gemv, gemv_transposed};
pub use lu::{Lu, determinant, inverse, solve};
pub use product::Product;
pub use qr::{Qr, least_squares};
pub use svd::{Svd, singular_values};
pub use transpose::{transpose, transpose_in_place};
pub use triangle::{Triangle, solve_triangular};
