//! Matrices: transposes and products.
//!
//! Matrices are row-major; `m x n` means `m` rows of `n` columns. Products follow the BLAS (reference:
//! <https://www.netlib.org/blas/>): the result is `alpha * A B + beta * C`. If `beta` is 0, the old `C` is
//! not read, so a NaN in it does not spread.

mod gemm;
mod gemv;
mod transpose;

pub use gemm::{Product, gemm};
pub use gemv::{gemv, gemv_transposed};
pub use transpose::{transpose, transpose_in_place};
