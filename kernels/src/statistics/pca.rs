//! Principal components.

use super::covariance::centred;
use crate::dense::{Product, Svd, gemm};
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use ndarray::{Ix2, s};
use phalanx::{Pool, SharedArray};

/// The directions in which a table varies most, by the singular values of the table minus its means.
///
/// ```
/// use phalanx_kernels::statistics::Pca;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// // Along (3, 4), with a little beside it.
/// let table = pool.from_shape_fn((1000, 2), |(i, j)| {
///     let (along, beside) = (i as f64 - 500.0, if i % 2 == 0 { 1.0 } else { -1.0 });
///     if j == 0 { 3.0 * along - 4.0 * beside } else { 4.0 * along + 3.0 * beside }
/// })?;
/// let pca = Pca::new(&pool, &table, 1)?;
/// let direction = pca.components.view();
/// assert!((direction[(0, 0)] / direction[(0, 1)] - 0.75).abs() < 1e-4);
/// assert!(pca.explained_ratio.as_slice()[0] > 0.99);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Pca<T> {
    /// The mean of each column.
    pub means: SharedArray<T>,
    /// Row `k` is direction `k`, of length 1; the element of largest size is positive.
    pub components: SharedArray<T, Ix2>,
    /// The variance along each direction, with `m - 1` degrees of freedom, descending.
    pub explained: SharedArray<T>,
    /// The part of the whole variance along each direction; NaN if there is none.
    pub explained_ratio: SharedArray<T>,
}

impl<T: Product> Pca<T> {
    /// Finds the first `count` directions of a table of `m x n`.
    ///
    /// Cost: as for [`Svd::new`]: for tables of many more rows than columns `6 m n^2` operations shared out.
    /// Extra memory: four copies of the table.
    ///
    /// # Errors
    /// `Argument` if there are fewer than two rows, or `count` is 0 or more than `min(m, n)`; `NotFinite`;
    /// `Launch`, `Memory`.
    pub fn new(
        pool: &Pool,
        table: &impl Input<Elem = T, Dim = Ix2>,
        count: usize,
    ) -> Result<Pca<T>, KernelError> {
        let (m, n) = table.view().dim();
        if m < 2 {
            return Err(KernelError::argument(
                "the table",
                format!("{m} observations do not vary; give 2 or more"),
            ));
        }
        if count == 0 || count > m.min(n) {
            let why = format!("{count} directions of {m} x {n}: give 1 to {}", m.min(n));
            return Err(KernelError::argument("count", why));
        }
        let (rest, means) = centred(pool, table)?;
        let svd = Svd::new(pool, &rest)?;
        let mut components = pool.zeros_nd::<T, _>((count, n))?;
        components.view_mut().assign(&svd.right.view().slice(s![.., ..count]).t());
        for mut row in components.view_mut().rows_mut() {
            let largest = row.iter().fold(T::ZERO, |most, x| if x.abs() > most.abs() { *x } else { most });
            if largest < T::ZERO {
                row.iter_mut().for_each(|x| *x = -*x);
            }
        }
        let free = T::from_f64((m - 1) as f64);
        let variances: Vec<T> = svd.values.as_slice().iter().map(|value| *value * *value / free).collect();
        let whole = variances.iter().fold(T::ZERO, |sum, variance| sum + *variance);
        let ratios: Vec<T> = variances.iter().map(|variance| *variance / whole).collect();
        let (explained, explained_ratio) =
            (pool.from_slice(&variances[..count])?, pool.from_slice(&ratios[..count])?);
        Ok(Pca { means, components, explained, explained_ratio })
    }

    /// Sets `out`, of `m x count`, to the coordinates of a table's rows along the directions.
    ///
    /// # Errors
    /// `Shape` if the table has another number of columns, or `out` another shape; `Launch`, `Memory`.
    pub fn transform(
        &self,
        pool: &Pool,
        table: &impl Input<Elem = T, Dim = Ix2>,
        out: &mut SharedArray<T, Ix2>,
    ) -> Result<(), KernelError> {
        let (count, n) = self.components.dim();
        let m = table.view().dim().0;
        check_shape("the table", &[m, n], &table.shape())?;
        let mut turned = pool.zeros_nd::<T, _>((n, count))?;
        turned.view_mut().assign(&self.components.view().t());
        gemm(pool, T::ONE, table, &turned, T::ZERO, out)?;
        // (x - mean) V = x V - mean V
        let shift = self.means.view().dot(&turned.view());
        out.view_mut().rows_mut().into_iter().for_each(|mut row| row -= &shift);
        Ok(())
    }
}
