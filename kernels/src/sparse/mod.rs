//! Sparse matrices in compressed rows: assembly, algebra, products with vectors, solvers, preconditioners,
//! eigenvalues, files.
//!
//! | kernel | does |
//! |---|---|
//! | [`Csr`] | from entries, from and to dense; transpose, sum, product, diagonal, scaled rows and columns |
//! | [`spmv`] | matrix times vector |
//! | [`solve_triangular`] | systems with a triangular matrix |
//! | [`conjugate_gradient`], [`preconditioned_cg`] | symmetric, positive definite systems |
//! | [`minres`] | symmetric systems |
//! | [`bicgstab`], [`gmres`] | any systems |
//! | [`Jacobi`], [`Ssor`], [`Incomplete`], [`Multigrid`] | preconditioners |
//! | [`eigen_at`], [`power_iteration`] | a few eigenvalues |
//! | [`read_matrix_market`], [`write_matrix_market`] | files |
//!
//! [`Csr`] holds three shared arrays: values, their columns, and where each row begins (as in Saad,
//! *Iterative Methods for Sparse Linear Systems*, 2nd ed., 3.4). Its rows are cut once into parts of about
//! equal work, measured by entries rather than rows, and all kernels hand out these parts to workers. The
//! parts depend on the matrix only, and so do the bits of every result.

mod cg;
mod csr;
mod gmres;
mod iteration;
mod krylov;
mod lanczos;
mod market;
mod multigrid;
mod ops;
mod precondition;
mod solver;
mod spmv;
mod system;
mod vector;

pub use cg::conjugate_gradient;
pub use csr::Csr;
pub use gmres::gmres;
pub use krylov::{bicgstab, minres, preconditioned_cg};
pub use lanczos::{End, SomeEigen, eigen_at, power_iteration};
pub use market::{read_matrix_market, write_matrix_market};
pub use multigrid::Multigrid;
pub use ops::{Half, solve_triangular};
pub use precondition::{Incomplete, Jacobi, Preconditioner, Ssor};
pub use solver::{SolverOptions, SolverOutcome};
pub use spmv::spmv;
