//! Variances along an axis, and means of what is not NaN.

use super::fold::{Fold, fold};
use super::layout::Axes;
use crate::error::KernelError;
use crate::input::Input;
use crate::lanes::total;
use crate::number::{Number, Real};
use crate::simd::vectorized;
use phalanx::{Pool, SharedArray};
use std::marker::PhantomData;

/// Elements of a contiguous line whose mean is taken before their distances from it.
const BLOCK: usize = 4096;
/// Rows whose means are taken before the distances from them, so that the second look meets the second-level
/// cache.
const ROWS: usize = 64;

/// How many elements, their mean, and the sum of squares of their distances from it.
type Moments = [f64; 3];

/// What is made of moments.
trait Made: 'static {
    type In: Number;
    /// Whether NaN counts for nothing.
    const SKIPS: bool;
    fn of(moments: Moments, ddof: u64) -> f64;
}

macro_rules! made { ($($name:ident[$bound:path]: $skips:literal, |$m:ident, $ddof:ident| $made:expr;)*) => { $(
    struct $name<T>(PhantomData<T>);
    impl<T: $bound> Made for $name<T> {
        type In = T;
        const SKIPS: bool = $skips;
        fn of($m: Moments, $ddof: u64) -> f64 {
            $made
        }
    }
)* } }

made! {
    Variance[Number]: false, |m, ddof| variance_of(m, ddof);
    Deviation[Number]: false, |m, ddof| variance_of(m, ddof).sqrt();
    KnownVariance[Real]: true, |m, ddof| variance_of(m, ddof);
    KnownDeviation[Real]: true, |m, ddof| variance_of(m, ddof).sqrt();
    KnownMean[Real]: true, |m, _ddof| if m[0] == 0.0 { f64::NAN } else { m[1] };
}

fn variance_of([count, _, squares]: Moments, ddof: u64) -> f64 {
    let free = count - ddof as f64;
    if free > 0.0 { squares / free } else { f64::NAN }
}

/// The moments of two parts together. Source: T. F. Chan, G. H. Golub, R. J. LeVeque, Updating Formulae and a
/// Pairwise Algorithm for Computing Sample Variances, COMPSTAT (1982).
#[inline(always)]
fn together([a, a_mean, a_squares]: Moments, [b, b_mean, b_squares]: Moments) -> Moments {
    let count = a + b;
    let distance = b_mean - a_mean;
    let share = if count > 0.0 { b / count } else { 0.0 };
    // Where one part has no elements, the other stays as it is, with its NaN and infinities.
    if a == 0.0 {
        return [b, b_mean, b_squares];
    }
    if b == 0.0 {
        return [a, a_mean, a_squares];
    }
    [count, a_mean + distance * share, a_squares + b_squares + distance * distance * a * share]
}

struct Spread<K>(PhantomData<K>);

impl<K: Made> Spread<K> {
    /// 1 for an element that counts, and its value or 0.
    #[inline(always)]
    fn known(x: K::In) -> (f64, f64) {
        let is_skipped = K::SKIPS && x.is_unordered();
        if is_skipped { (0.0, 0.0) } else { (1.0, x.to_f64()) }
    }

    /// The moments of elements whose sum was taken first.
    #[inline(always)]
    fn block(x: &[K::In]) -> Moments {
        let sum = |term: &dyn Fn(K::In) -> f64| x.iter().fold(0.0, |sum, x| sum + term(*x));
        if x.len() < 32 {
            let count = sum(&|x| Self::known(x).0);
            let mean = if count > 0.0 { sum(&|x| Self::known(x).1) / count } else { 0.0 };
            return Self::centred(
                count,
                mean,
                sum(&|x| distance::<K>(x, mean)),
                sum(&|x| square::<K>(x, mean)),
            );
        }
        let count: f64 = if K::SKIPS {
            total(
                x,
                #[inline(always)]
                |x| Self::known(x).0,
            )
        } else {
            x.len() as f64
        };
        let all: f64 = total(
            x,
            #[inline(always)]
            |x| Self::known(x).1,
        );
        let mean = if count > 0.0 { all / count } else { 0.0 };
        let rest: f64 = total(
            x,
            #[inline(always)]
            |x| distance::<K>(x, mean),
        );
        let squares: f64 = total(
            x,
            #[inline(always)]
            |x| square::<K>(x, mean),
        );
        Self::centred(count, mean, rest, squares)
    }

    /// Takes off what rounding left of the mean.
    #[inline(always)]
    fn centred(count: f64, mean: f64, rest: f64, squares: f64) -> Moments {
        if count == 0.0 {
            return [0.0; 3];
        }
        let squares = squares - rest * (rest / count);
        [count, mean + rest / count, if squares < 0.0 { 0.0 } else { squares }]
    }
}

#[inline(always)]
fn distance<K: Made>(x: K::In, mean: f64) -> f64 {
    if K::SKIPS && x.is_unordered() { 0.0 } else { x.to_f64() - mean }
}

#[inline(always)]
fn square<K: Made>(x: K::In, mean: f64) -> f64 {
    distance::<K>(x, mean) * distance::<K>(x, mean)
}

impl<K: Made> Fold for Spread<K> {
    type In = K::In;
    type State = Moments;
    type Out = f64;

    fn start() -> Moments {
        [0.0; 3]
    }
    fn line(x: &[K::In], _first: usize) -> Moments {
        let block = |block: &[K::In]| {
            vectorized(
                #[inline(always)]
                || Self::block(block),
            )
        };
        x.chunks(BLOCK).map(block).fold([0.0; 3], together)
    }
    fn rows(states: &mut [Moments], x: &[K::In], stride: usize, rows: usize, _first: usize) {
        let width = states.len();
        let (mut counts, mut means) = (vec![0.0; width], vec![0.0; width]);
        let (mut rests, mut squares) = (vec![0.0; width], vec![0.0; width]);
        for low in (0..rows).step_by(ROWS) {
            let high = rows.min(low + ROWS);
            for sums in [&mut counts, &mut means, &mut rests, &mut squares] {
                sums.fill(0.0);
            }
            vectorized(
                #[inline(always)]
                || {
                    for at in low..high {
                        let row = &x[at * stride..][..width];
                        for ((count, mean), x) in counts.iter_mut().zip(&mut means).zip(row) {
                            let (one, value) = Self::known(*x);
                            *count += one;
                            *mean += value;
                        }
                    }
                    for (mean, count) in means.iter_mut().zip(&counts) {
                        *mean = if *count > 0.0 { *mean / *count } else { 0.0 };
                    }
                    for at in low..high {
                        let row = &x[at * stride..][..width];
                        for (((rest, squares), mean), x) in
                            rests.iter_mut().zip(&mut squares).zip(&means).zip(row)
                        {
                            *rest += distance::<K>(*x, *mean);
                            *squares += square::<K>(*x, *mean);
                        }
                    }
                },
            );
            for (at, state) in states.iter_mut().enumerate() {
                *state = together(*state, Self::centred(counts[at], means[at], rests[at], squares[at]));
            }
        }
    }
    fn merge(left: Moments, right: Moments) -> Moments {
        together(left, right)
    }
    fn finish(moments: Moments, _len: usize, ddof: u64) -> f64 {
        K::of(moments, ddof)
    }
}

macro_rules! moments { ($(
    $(#[$doc:meta])*
    $name:ident[$bound:path]($($ddof:ident)?): $made:ty;
)*) => { $(
    $(#[$doc])*
    ///
    /// # Errors
    /// `Argument` if there is no such axis; `Memory`, `Launch`.
    pub fn $name<T: $bound, D: Axes>(
        pool: &Pool,
        x: &(impl Input<Elem = T, Dim = D> + ?Sized),
        axis: isize,
        $($ddof: u64,)?
    ) -> Result<SharedArray<f64, D::Less>, KernelError> {
        let parameter = 0 $(+ $ddof)?;
        fold::<Spread<$made>, D>(pool, x, axis, parameter)
    }
)* } }

moments! {
    /// Returns the variances along an axis, which divide by the length less `ddof` (0 is NumPy's default, 1
    /// estimates from a sample).
    ///
    /// Computed in float64 for all types, about the mean of each block, so that nothing cancels; 0 where all
    /// elements are equal. NaN where `len - ddof` is not positive, or where an element is NaN or infinite.
    /// Squares that leave the range of float64 make a variance infinite or 0, as in NumPy.
    ///
    /// Cost: every element read once from memory, with about six operations.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[1.0, 1e9], [2.0, 1e9 + 1.0]];
    /// assert_eq!(phalanx_kernels::axis::variance(&pool, &x, 0, 1)?.as_slice(), [0.5, 0.5]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "var")]
    variance[Number](ddof): Variance<T>;

    /// Returns the square roots of [`variance`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[1, 5], [3, 5]];
    /// assert_eq!(phalanx_kernels::axis::std(&pool, &x, 0, 0)?.as_slice(), [1.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    std[Number](ddof): Deviation<T>;

    /// Returns the means along an axis of all elements that are not NaN; NaN where all are.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[1.0, f64::NAN, 4.0]];
    /// assert_eq!(phalanx_kernels::axis::nanmean(&pool, &x, 1)?.as_slice(), [2.5]);
    /// # Ok(())
    /// # }
    /// ```
    nanmean[Real](): KnownMean<T>;

    /// Returns the variances along an axis of all elements that are not NaN; otherwise like [`variance`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[1.0, f64::NAN, 3.0]];
    /// assert_eq!(phalanx_kernels::axis::nanvariance(&pool, &x, 1, 0)?.as_slice(), [1.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "nanvar")]
    nanvariance[Real](ddof): KnownVariance<T>;

    /// Returns the square roots of [`nanvariance`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[1.0, f64::NAN, 3.0]];
    /// assert_eq!(phalanx_kernels::axis::nanstd(&pool, &x, 1, 0)?.as_slice(), [1.0]);
    /// # Ok(())
    /// # }
    /// ```
    nanstd[Real](ddof): KnownDeviation<T>;
}
