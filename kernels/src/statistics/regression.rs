//! Linear regression.

use crate::dense::{Product, Qr, Triangle, gemv, solve_triangular};
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use crate::number::Number;
use ndarray::{Ix1, Ix2};
use phalanx::Pool;

/// The plane that fits best: `y = intercept + table . coefficients`, by least squares.
///
/// ```
/// use phalanx_kernels::statistics::Regression;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let table = pool.from_shape_fn((100, 1), |(i, _)| i as f64)?;
/// let y = pool.from_fn(100, |i| 3.0 + 2.0 * i as f64 + if i % 2 == 0 { 0.1 } else { -0.1 })?;
/// let fit = Regression::new(&pool, &table, &y)?;
/// assert!((fit.coefficients[0] - 2.0).abs() < 1e-3 && (fit.intercept - 3.0).abs() < 0.1);
/// assert!(fit.r_squared > 0.999);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Regression {
    /// The value where all variables are 0.
    pub intercept: f64,
    /// One for each column of the table.
    pub coefficients: Vec<f64>,
    /// The standard error of the intercept; NaN without degrees of freedom.
    pub intercept_error: f64,
    /// The standard error of each coefficient; NaN without degrees of freedom.
    pub errors: Vec<f64>,
    /// The sum of squares of the residuals.
    pub residual: f64,
    /// The part of y's variance that the plane accounts for; NaN if all `y` are equal.
    pub r_squared: f64,
}

impl Regression {
    /// Fits a table of `m x n` to `m` values.
    ///
    /// Cost: `2 m n^2` operations, by [`Qr`]. Extra memory: three copies of the table.
    ///
    /// # Errors
    /// `Shape` if `y` does not have `m` elements; `Argument` if there are fewer than `n + 1` rows;
    /// `Singular` if columns depend on others or on the intercept (0 is the intercept, `j + 1` column
    /// `j`); `NotFinite`; `Launch`, `Memory`.
    #[doc(alias = "linregress", alias = "OLS", alias = "lstsq")]
    pub fn new<T: Product>(
        pool: &Pool,
        table: &impl Input<Elem = T, Dim = Ix2>,
        y: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    ) -> Result<Regression, KernelError> {
        let (m, n) = table.view().dim();
        check_shape("the values of a regression", &[m], &y.shape())?;
        let view = table.view();
        let mut wide = pool.zeros_nd::<T, _>((m, n + 1))?;
        wide.view_mut().column_mut(0).fill(T::ONE);
        wide.view_mut().slice_mut(ndarray::s![.., 1..]).assign(&view);
        let y = y.share(pool)?;
        if let Some(at) = y.as_slice().iter().position(|y| !y.is_finite()) {
            let value = y.as_slice()[at].to_string();
            return Err(KernelError::NotFinite { what: "the values of a regression", at: vec![at], value });
        }
        let qr = Qr::new(pool, &wide)?;
        let mut fit = pool.zeros::<T>(n + 1)?;
        qr.solve(pool, &*y, &mut fit)?;
        let mut left = pool.from_slice(y.as_slice())?;
        gemv(pool, -T::ONE, &wide, &fit, T::ONE, &mut left)?;
        let (residual, spread) = (squares(left.as_slice(), 0.0), squares(y.as_slice(), mean(y.as_slice())));
        let free = m - n - 1;
        let variance = if free > 0 { residual / free as f64 } else { f64::NAN };
        let errors = errors(pool, &qr, variance)?;
        let coefficients: Vec<f64> = fit.as_slice().iter().map(|c| Number::to_f64(*c)).collect();
        Ok(Regression {
            intercept: coefficients[0],
            coefficients: coefficients[1..].to_vec(),
            intercept_error: errors[0],
            errors: errors[1..].to_vec(),
            residual,
            r_squared: if spread > 0.0 { 1.0 - residual / spread } else { f64::NAN },
        })
    }
}

fn mean<T: Product>(x: &[T]) -> f64 {
    x.iter().map(|x| Number::to_f64(*x)).sum::<f64>() / x.len() as f64
}

fn squares<T: Product>(x: &[T], from: f64) -> f64 {
    x.iter().map(|x| (Number::to_f64(*x) - from).powi(2)).sum()
}

/// Square roots of the diagonal of `variance (R' R)^-1`: norms of the rows of R's inverse.
fn errors<T: Product>(pool: &Pool, qr: &Qr<T>, variance: f64) -> Result<Vec<f64>, KernelError> {
    let n = qr.shape().1;
    let (mut r, mut inverse) = (pool.zeros_nd::<T, _>((n, n))?, pool.zeros_nd::<T, _>((n, n))?);
    qr.write_r(pool, &mut r)?;
    solve_triangular(pool, &r, Triangle::Upper, &ndarray::Array2::<T>::eye(n), &mut inverse)?;
    let rows = inverse.view();
    Ok(rows.rows().into_iter().map(|row| (variance * squares(&row.to_vec(), 0.0)).sqrt()).collect())
}
