//! Operations that have names in NumPy.

use super::zip::{zip2, zip3};
use crate::error::KernelError;
use crate::input::Input;
use crate::number::{Number, Real};
use phalanx::{Element, Pool, Shape, SharedArray};

macro_rules! operations { ($(
    $(#[$doc:meta])*
    $name:ident[$bound:path] -> $out:ty: |$a:ident, $b:ident| $f:expr;
)*) => { $(
    $(#[$doc])*
    ///
    /// Inputs are stretched as by [`zip2`](super::zip2), and cost and errors are the same.
    ///
    /// # Errors
    /// `Shape` if an input cannot be stretched to the shape of `out`; `Memory`, `Launch`.
    pub fn $name<T: $bound, D: Shape>(
        pool: &Pool,
        out: &mut SharedArray<$out, D>,
        x: &(impl Input<Elem = T> + ?Sized),
        y: &(impl Input<Elem = T> + ?Sized),
    ) -> Result<(), KernelError> {
        zip2(
            pool,
            out,
            x,
            y,
            #[inline(always)]
            |$a: T, $b: T| $f,
        )
    }
)* } }

operations! {
    /// Sets `out = x + y`. Integers wrap around.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros_nd((2, 3))?;
    /// let rows = ndarray::array![[10], [20]];
    /// phalanx_kernels::elementwise::add(&pool, &mut out, &rows, &[1, 2, 3])?;
    /// assert_eq!(out.as_slice(), [11, 12, 13, 21, 22, 23]);
    /// # Ok(())
    /// # }
    /// ```
    add[Number] -> T: |x, y| x.plus(y);
    /// Sets `out = x - y`. Integers wrap around.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(2)?;
    /// phalanx_kernels::elementwise::subtract(&pool, &mut out, &[5.0, 6.0], &[1.0])?;
    /// assert_eq!(out.as_slice(), [4.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    subtract[Number] -> T: |x, y| x.minus(y);
    /// Sets `out = x * y`. Integers wrap around.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(2)?;
    /// phalanx_kernels::elementwise::multiply(&pool, &mut out, &[5.0, 6.0], &[2.0, 0.5])?;
    /// assert_eq!(out.as_slice(), [10.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    multiply[Number] -> T: |x, y| x.times(y);
    /// Sets `out = x / y` for floats. By 0 the result is infinite or NaN.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(2)?;
    /// phalanx_kernels::elementwise::divide(&pool, &mut out, &[5.0, 6.0], &[2.0, 0.0])?;
    /// assert_eq!(out.as_slice(), [2.5, f64::INFINITY]);
    /// # Ok(())
    /// # }
    /// ```
    divide[Real] -> T: |x, y| x / y;
    /// Sets `out` to the smaller of `x` and `y`; NaN if one is NaN.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(2)?;
    /// phalanx_kernels::elementwise::minimum(&pool, &mut out, &[5, 1], &[2])?;
    /// assert_eq!(out.as_slice(), [2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    minimum[Number] -> T: |x, y| least(x, y);
    /// Sets `out` to the larger of `x` and `y`; NaN if one is NaN.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(2)?;
    /// phalanx_kernels::elementwise::maximum(&pool, &mut out, &[5, 1], &[2])?;
    /// assert_eq!(out.as_slice(), [5, 2]);
    /// # Ok(())
    /// # }
    /// ```
    maximum[Number] -> T: |x, y| most(x, y);
    /// Sets `out` to 1 where `x < y`, else to 0.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(3)?;
    /// phalanx_kernels::elementwise::less(&pool, &mut out, &[1.0, 2.0, f64::NAN], &[2.0])?;
    /// assert_eq!(out.as_slice(), [1u8, 0, 0]);
    /// # Ok(())
    /// # }
    /// ```
    less[Number] -> u8: |x, y| u8::from(x < y);
    /// Sets `out` to 1 where `x <= y`, else to 0.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(3)?;
    /// phalanx_kernels::elementwise::less_equal(&pool, &mut out, &[1, 2, 3], &[2])?;
    /// assert_eq!(out.as_slice(), [1, 1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    less_equal[Number] -> u8: |x, y| u8::from(x <= y);
    /// Sets `out` to 1 where `x > y`, else to 0.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(3)?;
    /// phalanx_kernels::elementwise::greater(&pool, &mut out, &[1, 2, 3], &[2])?;
    /// assert_eq!(out.as_slice(), [0, 0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    greater[Number] -> u8: |x, y| u8::from(x > y);
    /// Sets `out` to 1 where `x >= y`, else to 0.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(3)?;
    /// phalanx_kernels::elementwise::greater_equal(&pool, &mut out, &[1, 2, 3], &[2])?;
    /// assert_eq!(out.as_slice(), [0, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    greater_equal[Number] -> u8: |x, y| u8::from(x >= y);
    /// Sets `out` to 1 where `x == y`, else to 0. NaN equals nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(3)?;
    /// phalanx_kernels::elementwise::equal(&pool, &mut out, &[1, 2, 3], &[2])?;
    /// assert_eq!(out.as_slice(), [0, 1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    equal[Number] -> u8: |x, y| u8::from(x == y);
    /// Sets `out` to 1 where `x != y`, else to 0. NaN equals nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let mut out = pool.zeros(3)?;
    /// phalanx_kernels::elementwise::not_equal(&pool, &mut out, &[1, 2, 3], &[2])?;
    /// assert_eq!(out.as_slice(), [1, 0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    not_equal[Number] -> u8: |x, y| u8::from(x != y);
}

/// Sets `out` to `x` where `condition` is not 0, else to `y`: NumPy's `where`.
///
/// Inputs are stretched as by [`zip2`](super::zip2).
///
/// # Errors
/// `Shape` if an input cannot be stretched to the shape of `out`; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(3)?;
/// phalanx_kernels::elementwise::select(&pool, &mut out, &[1u8, 0, 1], &[1.5, 2.5, 3.5], &[0.0])?;
/// assert_eq!(out.as_slice(), [1.5, 0.0, 3.5]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "where")]
pub fn select<C: Number, T: Element, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    condition: &(impl Input<Elem = C> + ?Sized),
    x: &(impl Input<Elem = T> + ?Sized),
    y: &(impl Input<Elem = T> + ?Sized),
) -> Result<(), KernelError> {
    zip3(
        pool,
        out,
        condition,
        x,
        y,
        #[inline(always)]
        |condition: C, x: T, y: T| if condition == C::ZERO { y } else { x },
    )
}

/// Sets `out` to `x`, or to `low` where `x` is below it, or to `high` where it is above: NumPy's `clip`. NaN
/// stays NaN; where `low` is above `high` the result is `high`.
///
/// Inputs are stretched as by [`zip2`](super::zip2).
///
/// # Errors
/// `Shape` if an input cannot be stretched to the shape of `out`; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(3)?;
/// phalanx_kernels::elementwise::clip(&pool, &mut out, &[-5, 5, 50], &[0], &[9])?;
/// assert_eq!(out.as_slice(), [0, 5, 9]);
/// # Ok(())
/// # }
/// ```
pub fn clip<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T> + ?Sized),
    low: &(impl Input<Elem = T> + ?Sized),
    high: &(impl Input<Elem = T> + ?Sized),
) -> Result<(), KernelError> {
    zip3(
        pool,
        out,
        x,
        low,
        high,
        #[inline(always)]
        |x: T, low: T, high: T| least(most(x, low), high),
    )
}

#[inline(always)]
fn least<T: Number>(x: T, y: T) -> T {
    if (x < y) | x.is_unordered() { x } else { y }
}

#[inline(always)]
fn most<T: Number>(x: T, y: T) -> T {
    if (x > y) | x.is_unordered() { x } else { y }
}
