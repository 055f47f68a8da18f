//! Eigenvalues and eigenvectors.
//!
//! The [`faer`](https://docs.rs/faer) crate computes them in the calling thread: reductions to tridiagonal
//! and Hessenberg form depend on one column after the other.

use super::Product;
use super::field::{self, ALONE};
use crate::error::KernelError;
use crate::input::Input;
use faer::Spec;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{
    ComputeEigenvectors, evd_real, evd_scratch, self_adjoint_evd, self_adjoint_evd_scratch,
};
use ndarray::Ix2;
use num_complex::Complex;
use phalanx::{Element, Pool, SharedArray};

/// Eigenvalues and eigenvectors of a symmetric matrix. Returned by [`symmetric_eigen`].
#[derive(Debug)]
#[non_exhaustive]
pub struct SymmetricEigen<T> {
    /// Eigenvalues, ascending.
    pub values: SharedArray<T>,
    /// Column `j` is the eigenvector of value `j`. They are orthonormal; their signs are not determined.
    pub vectors: SharedArray<T, Ix2>,
}

/// Computes eigenvalues and eigenvectors of a symmetric matrix of `n x n`, of which only the diagonal and
/// what is below it counts.
///
/// Cost: some `4 to 9 n^3` operations, **all in the calling thread**: workers only transpose. For a few
/// eigenvalues of a large sparse matrix see [`sparse`](crate::sparse); for many small matrices see
/// [`batch`](super::batch).
///
/// # Errors
/// `Shape` if the matrix is not square; `NotFinite` if it holds NaN or an infinity; `Breakdown` if the
/// iteration does not end; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let eigen = dense::symmetric_eigen(&pool, &ndarray::array![[2.0_f64, 1.0], [1.0, 2.0]])?;
/// assert!((eigen.values.as_slice()[0] - 1.0).abs() < 1e-14);
/// assert!((eigen.values.as_slice()[1] - 3.0).abs() < 1e-14);
/// let vector = eigen.vectors.view().column(1).to_owned();
/// assert!((vector[0] - vector[1]).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "eigh", alias = "dsyevd")]
pub fn symmetric_eigen<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
) -> Result<SymmetricEigen<T>, KernelError> {
    let (values, columns) = symmetric(pool, a, true)?;
    let mut vectors = pool.zeros_nd::<T, _>(columns.dim())?;
    super::transpose(pool, &columns, &mut vectors)?;
    Ok(SymmetricEigen { values, vectors })
}

/// Computes the eigenvalues of a symmetric matrix, ascending. As [`symmetric_eigen`], but `4/3 n^3`
/// operations.
///
/// # Errors
/// As for [`symmetric_eigen`].
#[doc(alias = "eigvalsh")]
pub fn symmetric_eigenvalues<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
) -> Result<SharedArray<T>, KernelError> {
    Ok(symmetric(pool, a, false)?.0)
}

/// The values, and the vectors as rows.
fn symmetric<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    with_vectors: bool,
) -> Result<(SharedArray<T>, SharedArray<T, Ix2>), KernelError> {
    let n = field::check_square("a matrix whose eigenvalues are sought", a.view().dim())?;
    let columns = field::columns_of(pool, "the matrix", a)?;
    let mut values = pool.zeros::<T>(n)?;
    let mut vectors = pool.zeros_nd::<T, _>(if with_vectors { (n, n) } else { (0, 0) })?;
    if n == 0 {
        return Ok((values, vectors));
    }
    let wanted = if with_vectors { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<T>(n, wanted, ALONE, Spec::default()));
    let to = with_vectors.then(|| field::of_mut(vectors.as_mut_slice(), n));
    self_adjoint_evd(
        field::of(columns.as_slice(), n),
        DiagMut::from_slice_mut(values.as_mut_slice()),
        to,
        ALONE,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .map_err(|_| endless())?;
    Ok((values, vectors))
}

fn endless() -> KernelError {
    let why =
        "the QR iteration found no further eigenvalue, which finite matrices hardly ever cause".to_owned();
    KernelError::Breakdown { solver: "eigenvalues", iterations: 0, why }
}

/// Eigenvalues and right eigenvectors of a matrix. Returned by [`eigen`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Eigen<T>
where
    Complex<T>: Element,
{
    /// Eigenvalues, in no order; conjugate ones are neighbours, the one with positive imaginary part first.
    pub values: SharedArray<Complex<T>>,
    /// Column `j` is an eigenvector of value `j`, of length 1.
    pub vectors: SharedArray<Complex<T>, Ix2>,
}

/// Computes eigenvalues and right eigenvectors of a square matrix: `A v = value v`.
///
/// Cost: some `25 n^3` operations, **all in the calling thread**. Symmetric matrices are cheaper by
/// [`symmetric_eigen`].
///
/// # Errors
/// As for [`symmetric_eigen`].
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let turn = ndarray::array![[0.0_f64, -1.0], [1.0, 0.0]];
/// let eigen = dense::eigen(&pool, &turn)?;
/// assert!((eigen.values.as_slice()[0].im - 1.0).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "eig", alias = "dgeev")]
pub fn eigen<T: Product>(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<Eigen<T>, KernelError>
where
    Complex<T>: Element,
{
    let n = field::check_square("a matrix whose eigenvalues are sought", a.view().dim())?;
    let columns = field::columns_of(pool, "the matrix", a)?;
    let mut values = pool.zeros::<Complex<T>>(n)?;
    let mut vectors = pool.zeros_nd::<Complex<T>, _>((n, n))?;
    if n == 0 {
        return Ok(Eigen { values, vectors });
    }
    let (mut real, mut imaginary) = (vec![T::ZERO; n], vec![T::ZERO; n]);
    let mut packed = vec![T::ZERO; n * n];
    let (no, yes) = (ComputeEigenvectors::No, ComputeEigenvectors::Yes);
    let mut memory = MemBuffer::new(evd_scratch::<T>(n, no, yes, ALONE, Spec::default()));
    evd_real(
        field::of(columns.as_slice(), n),
        DiagMut::from_slice_mut(&mut real),
        DiagMut::from_slice_mut(&mut imaginary),
        None,
        Some(field::of_mut(&mut packed, n)),
        ALONE,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .map_err(|_| endless())?;
    for (value, parts) in values.as_mut_slice().iter_mut().zip(real.iter().zip(&imaginary)) {
        *value = Complex::new(*parts.0, *parts.1);
    }
    unpack(&packed, &imaginary, &mut vectors);
    Ok(Eigen { values, vectors })
}

/// Vectors of real values are columns; those of a conjugate pair have their real and imaginary parts in two
/// neighbouring columns.
fn unpack<T: Product>(packed: &[T], imaginary: &[T], vectors: &mut SharedArray<Complex<T>, Ix2>)
where
    Complex<T>: Element,
{
    let n = imaginary.len();
    let column = |j: usize| &packed[j * n..(j + 1) * n];
    let mut j = 0;
    while j < n {
        let is_pair = imaginary[j] != T::ZERO && j + 1 < n;
        let zeros = vec![T::ZERO; n];
        let (re, im) = (column(j), if is_pair { column(j + 1) } else { &zeros[..] });
        let square = re.iter().chain(im).fold(T::ZERO, |sum, part| sum + *part * *part);
        let scale = T::ONE / square.sqrt();
        for i in 0..n {
            let value = Complex::new(re[i] * scale, im[i] * scale);
            vectors.view_mut()[(i, j)] = value;
            if is_pair {
                vectors.view_mut()[(i, j + 1)] = value.conj();
            }
        }
        j += 1 + usize::from(is_pair);
    }
}

#[cfg(test)]
#[path = "eigen_tests.rs"]
mod tests;
