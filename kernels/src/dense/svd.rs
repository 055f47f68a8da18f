//! Singular values.
//!
//! The [`faer`](https://docs.rs/faer) crate computes them in the calling thread. Before that, the workers
//! reduce a tall matrix to its triangular factor, which leaves the caller a small one (T. F. Chan, ACM TOMS
//! 8, 1982).

use super::field::{self, ALONE};
use super::{Product, Qr};
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use faer::Spec;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use ndarray::Ix2;
use phalanx::{Pool, Shape, SharedArray};

/// The decomposition `A = U S V'` of a matrix of `m x n`, with `k = min(m, n)` singular values.
///
/// ```
/// use phalanx_kernels::dense::Svd;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((500, 4), |(i, j)| ((i + 1) * (j + 1)) as f64)?;
/// let svd = Svd::new(&pool, &a)?;
/// assert_eq!(svd.rank(None), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Svd<T> {
    /// U: `m x k`, its columns orthonormal.
    pub left: SharedArray<T, Ix2>,
    /// The singular values, descending.
    pub values: SharedArray<T>,
    /// V: `n x k`, its columns orthonormal. NumPy returns the transpose of this.
    pub right: SharedArray<T, Ix2>,
}

impl<T: Product> Svd<T> {
    /// Decomposes a matrix.
    ///
    /// Cost: for `m >= 2 n`, `6 m n^2` operations shared out, as for [`Qr`], and some `20 n^3` in the calling
    /// thread; wide matrices likewise. For others, **all in the calling thread**, some `14 m n^2 + 8 n^3`.
    ///
    /// # Errors
    /// `NotFinite` if the matrix holds NaN or an infinity; `Breakdown` if the iteration does not end;
    /// `Launch`, `Memory`.
    #[doc(alias = "dgesdd")]
    pub fn new(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<Svd<T>, KernelError> {
        let (m, n) = a.view().dim();
        if m >= n {
            return Self::tall(pool, a);
        }
        let mut turned = pool.zeros_nd::<T, _>((n, m))?;
        super::transpose(pool, a, &mut turned)?;
        let svd = Self::tall(pool, &turned).map_err(turn)?;
        Ok(Svd { left: svd.right, values: svd.values, right: svd.left })
    }

    fn tall(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<Svd<T>, KernelError> {
        let (m, n) = a.view().dim();
        if m < 2 * n || n == 0 {
            let columns = field::columns_of(pool, "the matrix", a)?;
            let (left, values, right) = decompose(pool, &columns, true)?;
            return Self::of(pool, &left, values, &right);
        }
        let qr = Qr::new(pool, a)?;
        let (small, values, right) = decompose(pool, &triangle_of(pool, &qr)?, true)?;
        let mut left = pool.zeros_nd::<T, _>((n, m))?;
        for (to, from) in left.as_mut_slice().chunks_exact_mut(m).zip(small.as_slice().chunks_exact(n)) {
            to[..n].copy_from_slice(from);
        }
        qr.apply(pool, &mut left, false)?;
        Self::of(pool, &left, values, &right)
    }

    fn of(
        pool: &Pool,
        left: &SharedArray<T, Ix2>,
        values: SharedArray<T>,
        right: &SharedArray<T, Ix2>,
    ) -> Result<Svd<T>, KernelError> {
        let upright = |columns: &SharedArray<T, Ix2>| -> Result<SharedArray<T, Ix2>, KernelError> {
            let (k, rows) = columns.dim();
            let mut out = pool.zeros_nd::<T, _>((rows, k))?;
            super::transpose(pool, columns, &mut out)?;
            Ok(out)
        };
        Ok(Svd { left: upright(left)?, values, right: upright(right)? })
    }

    /// Returns how many singular values are above `relative` times the largest: by default `max(m, n)`
    /// roundings, as in NumPy.
    #[doc(alias = "matrix_rank")]
    pub fn rank(&self, relative: Option<f64>) -> usize {
        let rows = self.left.dim().0.max(self.right.dim().0);
        let relative = relative.map_or(T::from_f64(rows as f64) * T::epsilon(), T::from_f64);
        let values = self.values.as_slice();
        let least = values.first().map_or(T::ZERO, |largest| *largest * relative);
        values.iter().filter(|value| **value > least).count()
    }

    /// Returns the largest singular value divided by the smallest: infinite for singular matrices, NaN for
    /// empty ones.
    #[doc(alias = "cond")]
    pub fn condition(&self) -> T {
        match (self.values.as_slice().first(), self.values.as_slice().last()) {
            (Some(largest), Some(least)) if *least > T::ZERO => *largest / *least,
            (Some(_), Some(_)) => T::infinity(),
            _ => T::nan(),
        }
    }

    /// Sets `x` to the shortest vector that makes `|A x - b|` least, for matrices of any shape and rank: `b`
    /// has `m` elements and `x` has `n`, or `m x k` and `n x k`. Singular values that [`Self::rank`] does not
    /// count are left out.
    ///
    /// Cost: `2 (m + n) r k` operations for rank `r`, in the calling thread.
    ///
    /// # Errors
    /// `Shape` if `b` or `x` does not match; `Launch`, `Memory`.
    #[doc(alias = "lstsq", alias = "pinv", alias = "dgelsd")]
    pub fn solve<D: Shape>(
        &self,
        pool: &Pool,
        b: &impl Input<Elem = T, Dim = D>,
        x: &mut SharedArray<T, D>,
        relative: Option<f64>,
    ) -> Result<(), KernelError> {
        let (m, n, rank) = (self.left.dim().0, self.right.dim().0, self.rank(relative));
        let sides = field::sides_of("the right-hand side of least squares", m, &b.shape())?;
        let mut shape = b.shape();
        shape[0] = n;
        check_shape("the solution of least squares", &shape, x.shape())?;
        let columns = field::columns_of_sides(pool, b, m, sides)?;
        let mut solved = pool.zeros_nd::<T, _>((sides, n))?;
        let (left, right, values) = (self.left.view(), self.right.view(), self.values.as_slice());
        for (b, mut x) in columns.view().rows().into_iter().zip(solved.view_mut().rows_mut()) {
            for (j, value) in values.iter().enumerate().take(rank) {
                x.scaled_add(left.column(j).dot(&b) / *value, &right.column(j));
            }
        }
        field::put_sides(pool, &solved, x)
    }
}

/// Returns the singular values of a matrix, descending. As [`Svd::new`], but about a quarter of the work.
///
/// # Errors
/// As for [`Svd::new`].
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let values = dense::singular_values(&pool, &ndarray::array![[3.0_f64, 0.0], [0.0, -4.0]])?;
/// assert!((values.as_slice()[0] - 4.0).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "svdvals")]
pub fn singular_values<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
) -> Result<SharedArray<T>, KernelError> {
    let (m, n) = a.view().dim();
    let columns = if m >= 2 * n && n > 0 {
        triangle_of(pool, &Qr::new(pool, a)?)?
    } else {
        field::columns_of(pool, "the matrix", a)?
    };
    Ok(decompose(pool, &columns, false)?.1)
}

/// The columns of R.
fn triangle_of<T: Product>(pool: &Pool, qr: &Qr<T>) -> Result<SharedArray<T, Ix2>, KernelError> {
    let n = qr.shape().1;
    let (mut r, mut columns) = (pool.zeros_nd::<T, _>((n, n))?, pool.zeros_nd::<T, _>((n, n))?);
    qr.write_r(pool, &mut r)?;
    super::transpose(pool, &r, &mut columns)?;
    Ok(columns)
}

type Parts<T> = (SharedArray<T, Ix2>, SharedArray<T>, SharedArray<T, Ix2>);

/// U, S and V of columns; of both matrices the columns, as rows.
fn decompose<T: Product>(
    pool: &Pool,
    columns: &SharedArray<T, Ix2>,
    with_vectors: bool,
) -> Result<Parts<T>, KernelError> {
    let (n, m) = columns.dim();
    let (least, wanted) = (m.min(n), |side: usize| if with_vectors { side } else { 0 });
    let mut left = pool.zeros_nd::<T, _>((wanted(least), m))?;
    let mut right = pool.zeros_nd::<T, _>((wanted(least), n))?;
    let mut values = pool.zeros::<T>(least)?;
    if least == 0 {
        return Ok((left, values, right));
    }
    let compute = if with_vectors { ComputeSvdVectors::Thin } else { ComputeSvdVectors::No };
    let mut memory = MemBuffer::new(svd_scratch::<T>(m, n, compute, compute, ALONE, Spec::default()));
    let (u, v) = if with_vectors {
        (Some(field::of_mut(left.as_mut_slice(), m)), Some(field::of_mut(right.as_mut_slice(), n)))
    } else {
        (None, None)
    };
    let ended = svd(
        field::of(columns.as_slice(), m),
        DiagMut::from_slice_mut(values.as_mut_slice()),
        u,
        v,
        ALONE,
        MemStack::new(&mut memory),
        Spec::default(),
    );
    match ended {
        Ok(()) => Ok((left, values, right)),
        Err(_) => Err(KernelError::Breakdown {
            solver: "singular values",
            iterations: 0,
            why: "the iteration found no further value, which finite matrices hardly ever cause".to_owned(),
        }),
    }
}

/// An error about the transposed matrix, told of the matrix.
fn turn(mut error: KernelError) -> KernelError {
    if let KernelError::NotFinite { at, .. } = &mut error {
        at.reverse();
    }
    error
}

#[cfg(test)]
#[path = "svd_tests.rs"]
mod tests;
