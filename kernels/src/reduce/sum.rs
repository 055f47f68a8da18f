//! Sums and what follows from sums: dot products, norms, means.

use super::extreme::norm_inf;
use super::fold::{fold, fold_scaled};
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::lanes::{total, total2};
use crate::number::{Number, Real};
use crate::scale::{exponent_of, keeps_digits, power};
use crate::simd::vectorized;
use phalanx::Pool;

/// Returns the sum of all elements, added pairwise.
///
/// Integers are added in 64 bits of the same sign and wrap around, as in NumPy. Floats are added in their own
/// type; the error grows with the logarithm of the length. The sum of no elements is 0, and so is a sum of
/// negative zeros. NaN and infinities propagate as in additions, and sums that are too large are infinite.
///
/// Cost: every element read once, with one addition.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::reduce::sum;
///
/// let x = pool.from_fn(1_000_000, |i| i as f64)?;
/// assert_eq!(sum(&pool, &x)?, 499_999_500_000.0);
/// assert_eq!(sum(&pool, &[200u8, 100])?, 300u64);
/// # Ok(())
/// # }
/// ```
pub fn sum<T: Number>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<T::Total, KernelError> {
    fold(pool, x, T::Total::ZERO, sum_slice, |a, b| a.plus(b))
}

/// The body of [`sum`].
pub(crate) fn sum_slice<T: Number>(x: &[T]) -> T::Total {
    vectorized(
        #[inline(always)]
        || {
            total(
                x,
                #[inline(always)]
                |x| x.to_total(),
            )
        },
    )
}

/// Returns the sum of all elements, with rounding errors compensated: as exact as a sum in twice the
/// precision, rounded at the end.
///
/// The error does not grow with the length, even if large terms cancel. [`sum`] is faster, though by little
/// if memory is the limit. A sum that is infinite or NaN is the same as that of [`sum`].
///
/// Cost: every element read once, with seven operations. Source: A. Neumaier, Rundungsfehleranalyse einiger
/// Verfahren zur Summation endlicher Summen, ZAMM 54 (1974); two-sum after D. E. Knuth, The Art of Computer
/// Programming 2, 4.2.2.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::reduce::{sum, sum_compensated};
///
/// let x = [1e100f64, 1.0, -1e100, 1.0];
/// assert_eq!(sum_compensated(&pool, &x)?, 2.0);
/// assert_eq!(sum(&pool, &x)?, 1.0);
/// # Ok(())
/// # }
/// ```
pub fn sum_compensated<T: Real>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<T, KernelError> {
    let [sum, error] = fold(pool, x, [T::ZERO; 2], compensated_slice, two_sum)?;
    Ok(if sum.is_finite() { sum + error } else { sum })
}

/// The sum of two sums with their errors.
#[inline(always)]
fn two_sum<T: Real>([a, a_error]: [T; 2], [b, b_error]: [T; 2]) -> [T; 2] {
    let sum = a + b;
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    [sum, error + (a_error + b_error)]
}

fn compensated_slice<T: Real>(x: &[T]) -> [T; 2] {
    const LANES: usize = 16;
    vectorized(
        #[inline(always)]
        || {
            let (groups, rest) = x.as_chunks::<LANES>();
            let (mut sums, mut errors) = ([T::ZERO; LANES], [T::ZERO; LANES]);
            for group in groups {
                for lane in 0..LANES {
                    let [sum, error] = two_sum([sums[lane], errors[lane]], [group[lane], T::ZERO]);
                    (sums[lane], errors[lane]) = (sum, error);
                }
            }
            let lanes = sums.into_iter().zip(errors).map(|(sum, error)| [sum, error]);
            lanes.chain(rest.iter().map(|&x| [x, T::ZERO])).fold([T::ZERO; 2], two_sum)
        },
    )
}

/// Returns the sum of the products of all pairs of elements.
///
/// Added like [`sum`]: integers in 64 bits, which wrap around; floats pairwise, each product rounded first.
/// Arrays with several axes are treated as long vectors, like NumPy's `vdot` of real arrays.
///
/// Cost: both arrays read once, with two operations per pair.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(100_000, |i| i as f64)?;
/// let y = pool.from_fn(100_000, |_| 2.0)?;
/// assert_eq!(phalanx_kernels::reduce::dot(&pool, &x, &y)?, 9_999_900_000.0);
/// # Ok(())
/// # }
/// ```
pub fn dot<T: Number, X, Y>(pool: &Pool, x: &X, y: &Y) -> Result<T::Total, KernelError>
where
    X: Input<Elem = T> + ?Sized,
    Y: Input<Elem = T, Dim = X::Dim> + ?Sized,
{
    check_shape("y", x.view().shape(), y.view().shape())?;
    if is_inline(x.len()) {
        return Ok(dot_slices(&x.elements(), &y.elements()));
    }
    let (x, y) = (x.share(pool)?, y.share(pool)?);
    let operands = (x.split_flat(), y.split_flat());
    Ok(repeatable(pool).reduce(operands, T::Total::ZERO, |(x, y)| dot_slices(x, y), |a, b| a.plus(b))?)
}

fn dot_slices<T: Number>(x: &[T], y: &[T]) -> T::Total {
    vectorized(
        #[inline(always)]
        || {
            total2(
                x,
                y,
                #[inline(always)]
                |x, y| x.to_total().times(y.to_total()),
            )
        },
    )
}

/// Returns the sum of absolute values.
///
/// Cost and behaviour as for [`sum`]; 0 for no elements.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// assert_eq!(phalanx_kernels::reduce::norm1(&pool, &[3.0, -4.0])?, 7.0);
/// # Ok(())
/// # }
/// ```
pub fn norm1<T: Real>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<T, KernelError> {
    fold(
        pool,
        x,
        T::ZERO,
        |x| {
            vectorized(
                #[inline(always)]
                || {
                    total(
                        x,
                        #[inline(always)]
                        |x| x.abs(),
                    )
                },
            )
        },
        |a, b| a + b,
    )
}

/// Returns the Euclidean norm: the square root of the sum of squares.
///
/// Infinite only if the norm itself is too large for the type, and 0 only if all elements are 0: if squares
/// leave the type's range, the sum is repeated with scaled elements. (NumPy's `linalg.norm` does not do
/// that.) Cost: as for [`dot`] of one array, three times that if the norm lies below 1e-146 or above 1e154
/// (float32: 1e-15, 1e19). The norm of no elements is 0.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::reduce::norm2;
///
/// assert_eq!(norm2(&pool, &[3.0, -4.0])?, 5.0);
/// assert!((norm2(&pool, &[3e200f64, -4e200])? / 5e200 - 1.0).abs() < 1e-15);
/// # Ok(())
/// # }
/// ```
pub fn norm2<T: Real>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<T, KernelError> {
    let plain = fold(
        pool,
        x,
        T::ZERO,
        |x| {
            squares(
                x,
                #[inline(always)]
                |x| x * x,
            )
        },
        |a, b| a + b,
    )?;
    if x.is_empty() || keeps_digits(plain, x.len()) {
        return Ok(plain.sqrt());
    }
    let largest = norm_inf(pool, x)?;
    if largest == T::ZERO || !largest.is_finite() {
        return Ok(largest);
    }
    let exponent = exponent_of(largest);
    let scaled = |x: &[T], scale: T| {
        squares(
            x,
            #[inline(always)]
            |x| (x * scale) * (x * scale),
        )
    };
    let sum = fold_scaled(pool, x, power::<T>(-exponent), T::ZERO, scaled, |a, b| a + b)?;
    Ok(sum.sqrt() * power(exponent))
}

fn squares<T: Real>(x: &[T], square: impl Fn(T) -> T) -> T {
    vectorized(
        #[inline(always)]
        || total(x, square),
    )
}

/// Returns the mean: the sum in float64 over the number of elements. NaN for no elements.
///
/// The mean of float32 is computed in float64 too, unlike in NumPy. The mean of finite elements is finite
/// even if their sum is not; NumPy's is infinite then. Cost: as for [`sum`], twice that if the sum is not
/// finite.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::reduce::mean;
///
/// assert_eq!(mean(&pool, &[1i32, 2])?, 1.5);
/// assert_eq!(mean(&pool, &[1e308, 1e308])?, 1e308);
/// assert!(mean::<f64>(&pool, &[])?.is_nan());
/// # Ok(())
/// # }
/// ```
pub fn mean<T: Number>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<f64, KernelError> {
    let n = x.len() as f64;
    let sum = fold(
        pool,
        x,
        0.0,
        |x| {
            sum_f64(
                x,
                #[inline(always)]
                |x: T| x.to_f64(),
            )
        },
        |a, b| a + b,
    )?;
    if sum.is_finite() || x.is_empty() {
        return Ok(sum / n);
    }
    // No array has 2^64 elements.
    let (down, up) = (2f64.powi(-64), 2f64.powi(64));
    let scaled = |x: &[T], scale: f64| {
        sum_f64(
            x,
            #[inline(always)]
            |x| x.to_f64() * scale,
        )
    };
    Ok(fold_scaled(pool, x, down, 0.0, scaled, |a, b| a + b)? / n * up)
}

fn sum_f64<T: Number>(x: &[T], wide: impl Fn(T) -> f64) -> f64 {
    vectorized(
        #[inline(always)]
        || total(x, wide),
    )
}
