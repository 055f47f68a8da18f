//! A few eigenvalues of a large matrix.
//!
//! Power iteration, and Lanczos' method with full orthogonalisation and thick restarts (K. Wu and H. Simon,
//! SIAM J. Matrix Anal. Appl. 22, 2000).

use super::vector::{begin, blend, inner, norm};
use super::{Csr, spmv};
use crate::error::{KernelError, check_shape};
use crate::number::Real;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, Par, Spec};
use ndarray::{Ix1, Ix2};
use phalanx::{Pool, SharedArray};

/// Which eigenvalues are sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The largest, with their signs.
    Largest,
    /// The smallest, with their signs. Those of positive definite matrices need many steps where the largest
    /// is thousands of times larger.
    Smallest,
}

/// Eigenvalues and eigenvectors. Returned by [`eigen_at`].
#[derive(Debug)]
#[non_exhaustive]
pub struct SomeEigen<T> {
    /// Eigenvalues, the farthest out first.
    pub values: SharedArray<T, Ix1>,
    /// Row `j` is the eigenvector of value `j`, of length 1.
    pub vectors: SharedArray<T, Ix2>,
    /// Products with the matrix that were made.
    pub products: usize,
}

/// Computes the `count` largest or smallest eigenvalues of a symmetric matrix, and their eigenvectors.
///
/// A pair is found when `|A v - value v|` is at most `tolerance` times the largest eigenvalue's size, as far
/// as it is known. The start is the same in every run, and so are the bits, for any number of workers. An
/// eigenvalue that occurs several times may be found once: Lanczos' method sees one vector of each.
///
/// Cost: for each product, up to `2 (2 count + 20)` inner products and sums of vectors. Memory: as many
/// vectors.
///
/// # Errors
/// `Shape` if the matrix is not square or its values were replaced; `Argument` if `count` is 0 or more than
/// the rows, or the tolerance is negative or NaN; `NotConverged` after `max_products`; `Breakdown` if NaN or
/// infinities appear; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::sparse::{self, Csr, End};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let places: Vec<u32> = (0..1000).collect();
/// let values: Vec<f64> = (0..1000).map(f64::from).collect();
/// let a = Csr::from_coo(&pool, (1000, 1000), &places, &places, &values)?;
/// let eigen = sparse::eigen_at(&pool, &a, End::Largest, 2, 1e-9, 10_000)?;
/// assert!((eigen.values.as_slice()[0] - 999.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "eigsh", alias = "lanczos")]
pub fn eigen_at<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    end: End,
    count: usize,
    tolerance: f64,
    max_products: usize,
) -> Result<SomeEigen<T>, KernelError> {
    let n = check(a, tolerance)?;
    if count == 0 || count > n {
        let why = format!("{count} eigenvalues of {n} rows: give 1 to {n}");
        return Err(KernelError::argument("count", why));
    }
    let most = (2 * count + 20).min(n);
    let mut space = Space::new(pool, n)?;
    loop {
        while space.basis.len() < most && space.grow(pool, a)? {}
        space.rayleigh(end);
        let size = space.values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        if !size.is_finite() || !space.beta.is_finite() {
            let why = "numbers have overflowed, or the matrix holds NaN".to_owned();
            return Err(KernelError::Breakdown { solver: "Lanczos", iterations: space.products, why });
        }
        let found = (0..count.min(space.values.len())).map(|j| space.error_of(j)).fold(0.0, f64::max);
        if space.values.len() >= count && (found <= tolerance * size || space.basis.len() == n) {
            return space.ended(pool, count);
        }
        if space.products >= max_products {
            let iterations = space.products;
            return Err(KernelError::NotConverged { solver: "Lanczos", iterations, residual: found });
        }
        space.restart(pool, (count + 10).min(space.values.len() - 1).max(1))?;
    }
}

fn check<T: Real>(a: &Csr<T>, tolerance: f64) -> Result<usize, KernelError> {
    let (m, n) = a.shape();
    a.check_values()?;
    check_shape("a matrix whose eigenvalues are sought", &[m, m], &[m, n])?;
    if tolerance >= 0.0 {
        return Ok(m);
    }
    Err(KernelError::argument("tolerance", format!("{tolerance} is not 0 or more")))
}

/// An orthonormal basis, and what the matrix is in it.
struct Space<T> {
    basis: Vec<SharedArray<T>>,
    /// What comes next, of length 1, and the length that it had.
    next: SharedArray<T>,
    beta: f64,
    /// `V' A V`, symmetric, row by row as the basis grows.
    inside: Vec<Vec<f64>>,
    products: usize,
    /// Eigenvalues of the inside in the order sought, and their vectors.
    values: Vec<f64>,
    vectors: Vec<Vec<f64>>,
    starts: u64,
}

impl<T: Real> Space<T> {
    fn new(pool: &Pool, n: usize) -> Result<Space<T>, KernelError> {
        let mut next = pool.zeros::<T>(n)?;
        begin(&mut next);
        let size = norm(pool, &next)?;
        let copy = pool.from_slice(next.as_slice())?;
        blend(pool, &mut next, 1.0 / size, &copy, 0.0)?;
        let (values, vectors) = (Vec::new(), Vec::new());
        Ok(Space {
            basis: Vec::new(),
            next,
            beta: 0.0,
            inside: Vec::new(),
            products: 0,
            values,
            vectors,
            starts: 0,
        })
    }

    /// Takes `next` into the basis and makes another. Returns whether there is one: not if the basis holds
    /// all that the matrix makes of its vectors.
    fn grow(&mut self, pool: &Pool, a: &Csr<T>) -> Result<bool, KernelError> {
        let n = a.shape().0;
        let mut w = pool.zeros::<T>(n)?;
        spmv(pool, T::ONE, a, &self.next, T::ZERO, &mut w)?;
        self.products += 1;
        let v = std::mem::replace(&mut self.next, pool.zeros::<T>(0)?);
        self.basis.push(v);
        let mut row = vec![0.0; self.basis.len()];
        // Twice, since rounding leaves something the first time (Parlett: twice is enough).
        for _ in 0..2 {
            for (v, sum) in self.basis.iter().zip(&mut row) {
                let along = inner(pool, v, &w)?;
                blend(pool, &mut w, -along, v, 1.0)?;
                *sum += along;
            }
        }
        let size = row.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        self.inside.push(row);
        self.beta = norm(pool, &w)?;
        let eps = super::system::wide(T::epsilon());
        let mut is_new = false;
        if self.beta <= 10.0 * eps * size {
            // The space is closed under the matrix: go on from elsewhere.
            self.beta = 0.0;
            is_new = true;
            self.starts += 1;
            let shift = self.starts as usize * 7919;
            begin(&mut w);
            w.as_mut_slice().rotate_left(shift % n.max(1));
            for _ in 0..2 {
                for v in &self.basis {
                    let along = inner(pool, v, &w)?;
                    blend(pool, &mut w, -along, v, 1.0)?;
                }
            }
        }
        let length = if is_new { norm(pool, &w)? } else { self.beta };
        if self.basis.len() == n || length == 0.0 {
            self.next = w;
            return Ok(false);
        }
        let mut next = pool.zeros::<T>(n)?;
        blend(pool, &mut next, 1.0 / length, &w, 0.0)?;
        self.next = next;
        Ok(true)
    }

    /// Eigenvalues and vectors of the inside, in the order sought.
    fn rayleigh(&mut self, end: End) {
        let m = self.inside.len();
        let at = |i: usize, j: usize| self.inside[i.max(j)][i.min(j)];
        let matrix = Mat::from_fn(m, m, at);
        let (mut values, mut vectors) = (vec![0.0; m], Mat::<f64>::zeros(m, m));
        let yes = ComputeEigenvectors::Yes;
        let scratch = self_adjoint_evd_scratch::<f64>(m, yes, Par::Seq, Spec::default());
        let mut memory = MemBuffer::new(scratch);
        let is_finite = self.inside.iter().flatten().all(|x| x.is_finite());
        let ended = is_finite.then(|| {
            self_adjoint_evd(
                matrix.as_ref(),
                DiagMut::from_slice_mut(&mut values),
                Some(vectors.as_mut()),
                Par::Seq,
                MemStack::new(&mut memory),
                Spec::default(),
            )
        });
        if !matches!(ended, Some(Ok(()))) {
            values.fill(f64::NAN);
        }
        let order: Vec<usize> = match end {
            End::Smallest => (0..m).collect(),
            End::Largest => (0..m).rev().collect(),
        };
        self.values = order.iter().map(|j| values[*j]).collect();
        self.vectors = order.iter().map(|j| (0..m).map(|i| vectors[(i, *j)]).collect()).collect();
    }

    /// The norm of `A v - value v` for vector `j`.
    fn error_of(&self, j: usize) -> f64 {
        (self.beta * self.vectors[j].last().copied().unwrap_or(0.0)).abs()
    }

    /// Vector `j` in the space of the matrix.
    fn vector(&self, pool: &Pool, j: usize) -> Result<SharedArray<T>, KernelError> {
        let mut sum = pool.zeros::<T>(self.next.len())?;
        for (v, weight) in self.basis.iter().zip(&self.vectors[j]) {
            blend(pool, &mut sum, *weight, v, 1.0)?;
        }
        Ok(sum)
    }

    /// Keeps the first vectors, which are as good a basis, and goes on from there. What the matrix makes of
    /// `next` is made orthogonal to all of them, which writes their couplings down again.
    fn restart(&mut self, pool: &Pool, kept: usize) -> Result<(), KernelError> {
        let basis = (0..kept).map(|j| self.vector(pool, j)).collect::<Result<Vec<_>, _>>()?;
        self.inside =
            (0..kept).map(|i| (0..=i).map(|j| if i == j { self.values[i] } else { 0.0 }).collect()).collect();
        self.basis = basis;
        Ok(())
    }

    fn ended(&self, pool: &Pool, count: usize) -> Result<SomeEigen<T>, KernelError> {
        let n = self.next.len();
        let mut values = pool.zeros::<T>(count)?;
        let mut vectors = pool.zeros_nd::<T, _>((count, n))?;
        for j in 0..count {
            values.as_mut_slice()[j] = T::from_f64(self.values[j]);
            let vector = self.vector(pool, j)?;
            vectors.as_mut_slice()[j * n..(j + 1) * n].copy_from_slice(vector.as_slice());
        }
        Ok(SomeEigen { values, vectors, products: self.products })
    }
}

/// Finds the eigenvalue of largest size of any matrix, and its eigenvector, by repeated multiplication. `v`
/// is overwritten with the vector, of length 1. Returns the value.
///
/// It has converged when `|A v - value v|` is at most `tolerance` times the value's size. That takes many
/// products where the second largest is nearly as large, and never happens where both are of equal size, such
/// as conjugate ones: [`eigen_at`] is for symmetric matrices, and needs far fewer.
///
/// # Errors
/// `Shape` if the shapes do not match; `Argument` if the tolerance is negative or NaN; `NotConverged` after
/// `max_products`; `Breakdown` if a product is 0 or not finite; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::sparse::{self, Csr};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1], &[0, 1, 1], &[3.0, 1.0, 1.0])?;
/// let value = sparse::power_iteration(&pool, &a, &mut pool.zeros(2)?, 1e-10, 1000)?;
/// assert!((value - 3.0f64).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
pub fn power_iteration<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    v: &mut SharedArray<T, Ix1>,
    tolerance: f64,
    max_products: usize,
) -> Result<T, KernelError> {
    let n = check(a, tolerance)?;
    check_shape("the eigenvector", &[n], v.shape())?;
    let mut w = pool.zeros::<T>(n)?;
    begin(&mut w);
    let (mut value, mut error, mut size) = (0.0, f64::INFINITY, norm(pool, &w)?);
    for products in 0..=max_products {
        if !(size > 0.0 && size.is_finite()) {
            let why =
                format!("the product with the matrix has length {size:e}, from which no vector follows");
            return Err(KernelError::Breakdown { solver: "power iteration", iterations: products, why });
        }
        blend(pool, v, 1.0 / size, &w, 0.0)?;
        if error <= tolerance * f64::abs(value) {
            return Ok(T::from_f64(value));
        }
        spmv(pool, T::ONE, a, v, T::ZERO, &mut w)?;
        value = inner(pool, v, &w)?;
        size = norm(pool, &w)?;
        // |A v - value v|, for v of length 1.
        error = (size * size - value * value).max(0.0).sqrt();
        if error <= 1e-6 * size {
            // Digits cancel there: by the definition.
            let mut rest = pool.from_slice(w.as_slice())?;
            blend(pool, &mut rest, -value, v, 1.0)?;
            error = norm(pool, &rest)?;
        }
    }
    Err(KernelError::NotConverged { solver: "power iteration", iterations: max_products, residual: error })
}

#[cfg(test)]
#[path = "lanczos_tests.rs"]
mod tests;
