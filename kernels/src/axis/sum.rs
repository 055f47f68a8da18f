//! Sums along an axis and what follows from sums.

use super::fold::{Fold, each_row, fold};
use super::layout::Axes;
use crate::error::KernelError;
use crate::input::Input;
use crate::lanes::total;
use crate::number::{Number, Real};
use crate::simd::vectorized;
use phalanx::{Pool, SharedArray};
use std::marker::PhantomData;

/// What is added for an element, and what is made of the sum.
trait Term: 'static {
    type In: Number;
    type Sum: Number;
    type Out: phalanx::Element;
    fn of(x: Self::In) -> Self::Sum;
    fn finish(sum: Self::Sum, len: usize) -> Self::Out;
}

/// The fold by additions of terms.
struct Sum<K>(PhantomData<K>);

impl<K: Term> Fold for Sum<K> {
    type In = K::In;
    type State = K::Sum;
    type Out = K::Out;

    fn start() -> K::Sum {
        K::Sum::ZERO
    }
    fn line(x: &[K::In], _first: usize) -> K::Sum {
        // The sum of so few is the same, without the table of a long one.
        if x.len() < 32 {
            return x.iter().fold(K::Sum::ZERO, |sum, x| sum.plus(K::of(*x)));
        }
        vectorized(
            #[inline(always)]
            || {
                total(
                    x,
                    #[inline(always)]
                    |x| K::of(x),
                )
            },
        )
    }
    fn rows(states: &mut [K::Sum], x: &[K::In], stride: usize, rows: usize, _first: usize) {
        vectorized(
            #[inline(always)]
            || {
                each_row(
                    states,
                    x,
                    stride,
                    rows,
                    #[inline(always)]
                    |sum, x| sum.plus(K::of(x)),
                );
            },
        );
    }
    fn merge(left: K::Sum, right: K::Sum) -> K::Sum {
        left.plus(right)
    }
    fn finish(sum: K::Sum, len: usize, _parameter: u64) -> K::Out {
        K::finish(sum, len)
    }
}

macro_rules! terms { ($(
    $name:ident[$bound:path]: $sum:ty => $out:ty, |$x:ident| $term:expr, |$total:ident, $len:ident| $finish:expr;
)*) => { $(
    struct $name<T>(PhantomData<T>);
    impl<T: $bound> Term for $name<T> {
        type In = T;
        type Sum = $sum;
        type Out = $out;
        #[inline(always)]
        fn of($x: T) -> $sum {
            $term
        }
        fn finish($total: $sum, $len: usize) -> $out {
            $finish
        }
    }
)* } }

terms! {
    Plain[Number]: T::Total => T::Total, |x| x.to_total(), |sum, _len| sum;
    Known[Real]: T => T, |x| if x.is_unordered() { T::ZERO } else { x }, |sum, _len| sum;
    Mean[Number]: f64 => f64, |x| x.to_f64(), |sum, len| sum / len as f64;
    Absolute[Real]: T => T, |x| x.abs(), |sum, _len| sum;
    Square[Real]: T => T, |x| x * x, |sum, _len| sum.sqrt();
    NotZero[Number]: u64 => u64, |x| u64::from(x != T::ZERO), |sum, _len| sum;
    Any[Number]: u64 => u8, |x| u64::from(x != T::ZERO), |sum, _len| u8::from(sum > 0);
    All[Number]: u64 => u8, |x| u64::from(x != T::ZERO), |sum, len| u8::from(sum == len as u64);
}

/// Returns the sums along an axis, each added pairwise.
///
/// Integers are added in 64 bits of the same sign and wrap around; floats in their own type. The sum of an
/// axis of length 0 is 0. See the [module](super) for shapes.
///
/// Cost: every element read once, with one addition, along memory whichever axis it is.
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_shape_fn((200, 300), |(i, j)| (i * j) as u32)?;
/// let columns = phalanx_kernels::axis::sum(&pool, &x, 0)?;
/// assert_eq!((columns.shape(), columns.as_slice()[7]), (&[300][..], 7 * 199 * 100));
/// let rows = phalanx_kernels::axis::sum(&pool, &x, -1)?;
/// assert_eq!((rows.shape(), rows.as_slice()[3]), (&[200][..], 3 * 299 * 150));
/// # Ok(())
/// # }
/// ```
pub fn sum<T: Number, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<T::Total, D::Less>, KernelError> {
    fold::<Sum<Plain<T>>, D>(pool, x, axis, 0)
}

/// Returns the sums along an axis of all elements that are not NaN; otherwise like [`sum`].
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[1.0, f64::NAN], [2.0, 3.0]];
/// assert_eq!(phalanx_kernels::axis::nansum(&pool, &x, 1)?.as_slice(), [1.0, 5.0]);
/// # Ok(())
/// # }
/// ```
pub fn nansum<T: Real, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<T, D::Less>, KernelError> {
    fold::<Sum<Known<T>>, D>(pool, x, axis, 0)
}

/// Returns the means along an axis: sums in float64 over the length; NaN if that is 0.
///
/// Unlike in NumPy, means of float32 are computed in float64 and returned as such. A sum that overflows
/// leaves an infinite mean, as in NumPy. Cost: as for [`sum`].
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[1, 2], [3, 5]];
/// assert_eq!(phalanx_kernels::axis::mean(&pool, &x, 0)?.as_slice(), [2.0, 3.5]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "average")]
pub fn mean<T: Number, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<f64, D::Less>, KernelError> {
    fold::<Sum<Mean<T>>, D>(pool, x, axis, 0)
}

/// Returns the sums of absolute values along an axis. Cost and behaviour as for [`sum`].
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[3.0, -4.0], [0.0, 2.0]];
/// assert_eq!(phalanx_kernels::axis::norm1(&pool, &x, 1)?.as_slice(), [7.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn norm1<T: Real, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<T, D::Less>, KernelError> {
    fold::<Sum<Absolute<T>>, D>(pool, x, axis, 0)
}

/// Returns the Euclidean norms along an axis: square roots of sums of squares.
///
/// As in NumPy, squares that leave the range of the type make a norm infinite or 0, unlike
/// [`reduce::norm2`](crate::reduce::norm2). Cost: as for [`sum`], with two operations.
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[3.0, -4.0], [0.0, 2.0]];
/// assert_eq!(phalanx_kernels::axis::norm2(&pool, &x, 1)?.as_slice(), [5.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn norm2<T: Real, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<T, D::Less>, KernelError> {
    fold::<Sum<Square<T>>, D>(pool, x, axis, 0)
}

/// Returns how many elements along an axis are not 0. NaN is not 0.
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[3, 0], [1, 0]];
/// assert_eq!(phalanx_kernels::axis::count_nonzero(&pool, &x, 0)?.as_slice(), [2, 0]);
/// # Ok(())
/// # }
/// ```
pub fn count_nonzero<T: Number, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<u64, D::Less>, KernelError> {
    fold::<Sum<NotZero<T>>, D>(pool, x, axis, 0)
}

/// Returns whether any element along an axis is not 0: 1 or 0, and 0 for an axis of length 0. NaN is not 0.
///
/// Reads every element.
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[3, 0], [1, 0]];
/// assert_eq!(phalanx_kernels::axis::any(&pool, &x, 0)?.as_slice(), [1, 0]);
/// # Ok(())
/// # }
/// ```
pub fn any<T: Number, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<u8, D::Less>, KernelError> {
    fold::<Sum<Any<T>>, D>(pool, x, axis, 0)
}

/// Returns whether all elements along an axis are not 0: 1 or 0, and 1 for an axis of length 0. NaN is not 0.
///
/// Reads every element.
///
/// # Errors
/// `Argument` if there is no such axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[3, 0], [1, 2]];
/// assert_eq!(phalanx_kernels::axis::all(&pool, &x, 0)?.as_slice(), [1, 0]);
/// # Ok(())
/// # }
/// ```
pub fn all<T: Number, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<u8, D::Less>, KernelError> {
    fold::<Sum<All<T>>, D>(pool, x, axis, 0)
}
