//! Sparse matrices in compressed rows: assembly from entries, products with vectors, a solver.
//!
//! [`Csr`] holds three shared arrays: values, their columns, and where each row begins (as in Saad,
//! *Iterative Methods for Sparse Linear Systems*, 2nd ed., 3.4). Its rows are cut once into parts of about
//! equal work, measured by entries rather than rows, and all kernels hand out these parts to workers. The
//! parts depend on the matrix only, and so do the bits of every result.

mod cg;
mod csr;
mod spmv;
mod system;

pub use cg::{CgOptions, CgOutcome, conjugate_gradient};
pub use csr::Csr;
pub use spmv::spmv;
