//! Mean, variance and higher moments about the mean, in one sweep over memory.

use super::fold;
use super::lanes::total;
use crate::error::KernelError;
use crate::input::Input;
use crate::number::Number;
use crate::simd::vectorized;
use bytemuck::{Pod, Zeroable};
use phalanx::Pool;

/// Elements whose mean is taken before their distances from it: 32 KiB of float64, so that the second look meets the
/// first-level cache.
const BLOCK: usize = 4096;

/// Number of elements, their sum, and sums of powers of their distances from their mean, in float64.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Moments {
    /// Number of elements.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Sum of squares of the distances.
    pub m2: f64,
    /// Sum of third powers of the distances.
    pub m3: f64,
    /// Sum of fourth powers of the distances.
    pub m4: f64,
}

impl Moments {
    /// The mean; NaN without elements.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The variance: squares over `count - ddof`, NaN where that is not positive. `ddof` is 0 for the variance of the elements
    /// themselves (NumPy's default), 1 for the estimate from a sample.
    pub fn variance(&self, ddof: u64) -> f64 {
        match self.count.checked_sub(ddof) {
            Some(free) if free > 0 => self.m2 / free as f64,
            _ => f64::NAN,
        }
    }

    /// The square root of the variance.
    pub fn std(&self, ddof: u64) -> f64 {
        self.variance(ddof).sqrt()
    }

    /// The skewness of the elements themselves, as `scipy.stats.skew` gives by default; NaN where all are equal.
    pub fn skewness(&self) -> f64 {
        (self.count as f64).sqrt() * self.m3 / self.m2.powf(1.5)
    }

    /// The excess kurtosis of the elements themselves, as `scipy.stats.kurtosis` gives by default; NaN where all are equal.
    pub fn kurtosis(&self) -> f64 {
        self.count as f64 * self.m4 / (self.m2 * self.m2) - 3.0
    }

    /// The moments of two sets of elements together.
    ///
    /// Source: P. Pébay, Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical
    /// Moments, Sandia report SAND2008-6212 (2008).
    pub fn combine(a: Moments, b: Moments) -> Moments {
        if a.count == 0 || b.count == 0 {
            return if a.count == 0 { b } else { a };
        }
        let (na, nb) = (a.count as f64, b.count as f64);
        let n = na + nb;
        let d = b.mean() - a.mean();
        let (d_n, ab) = (d / n, na * nb);
        Moments {
            count: a.count + b.count,
            sum: a.sum + b.sum,
            m2: a.m2 + b.m2 + d * d_n * ab,
            m3: a.m3 + b.m3 + d * d_n * d_n * ab * (na - nb) + 3.0 * d_n * (na * b.m2 - nb * a.m2),
            m4: a.m4
                + b.m4
                + d * d_n * d_n * d_n * ab * (na * na - ab + nb * nb)
                + 6.0 * d_n * d_n * (na * na * b.m2 + nb * nb * a.m2)
                + 4.0 * d_n * (na * b.m3 - nb * a.m3),
        }
    }
}

/// Mean, variance, skewness and kurtosis at once.
///
/// Each block of 4096 elements is centred on its own mean, and blocks are combined without cancellation. NaN and
/// infinities make all but `count` NaN or infinite.
///
/// Cost: every element read once, about ten operations each.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(100_000, |i| (i % 4) as f64)?;
/// let m = phalanx_kernels::reduce::moments(&pool, &x)?;
/// assert_eq!((m.mean(), m.variance(0), m.skewness()), (1.5, 1.25, 0.0));
/// # Ok(())
/// # }
/// ```
pub fn moments<T: Number>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<Moments, KernelError> {
    fold(pool, x, Moments::default(), |x| blocks(x, true), Moments::combine)
}

/// The variance, with `ddof` degrees of freedom taken off the number of elements (0 in NumPy's default, 1 for a sample).
///
/// Taken in float64 for all types, as precise as two sweeps over memory. NaN where `len - ddof` is not positive, or where an
/// element is NaN or infinite.
///
/// Cost: every element read once, about five operations each.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::reduce::variance;
///
/// assert_eq!(variance(&pool, &[1.0, 2.0, 3.0, 4.0], 0)?, 1.25);
/// assert_eq!(variance(&pool, &[1e9, 1e9 + 1.0], 1)?, 0.5);
/// assert!(variance(&pool, &[1.0], 1)?.is_nan());
/// # Ok(())
/// # }
/// ```
pub fn variance<T: Number>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    ddof: u64,
) -> Result<f64, KernelError> {
    Ok(fold(pool, x, Moments::default(), |x| blocks(x, false), Moments::combine)?.variance(ddof))
}

fn blocks<T: Number>(x: &[T], higher: bool) -> Moments {
    let one = |block: &[T]| {
        vectorized(
            #[inline(always)]
            || block_moments(block, higher),
        )
    };
    x.chunks(BLOCK).map(one).fold(Moments::default(), Moments::combine)
}

#[inline(always)]
fn block_moments<T: Number>(x: &[T], higher: bool) -> Moments {
    let n = x.len() as f64;
    let sum: f64 = total(
        x,
        #[inline(always)]
        |x| x.to_f64(),
    );
    let mean = sum / n;
    // What rounding left of the mean is taken off again.
    let left: f64 = total(
        x,
        #[inline(always)]
        |x| x.to_f64() - mean,
    );
    let m2: f64 = total(
        x,
        #[inline(always)]
        |x| (x.to_f64() - mean) * (x.to_f64() - mean),
    );
    let (mut m3, mut m4) = (0.0, 0.0);
    if higher {
        m3 = total(
            x,
            #[inline(always)]
            |x| (x.to_f64() - mean) * (x.to_f64() - mean) * (x.to_f64() - mean),
        );
        m4 = total(
            x,
            #[inline(always)]
            |x| {
                let square = (x.to_f64() - mean) * (x.to_f64() - mean);
                square * square
            },
        );
    }
    Moments { count: x.len() as u64, sum, m2: m2 - left * left / n, m3, m4 }
}
