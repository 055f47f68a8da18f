//! Mean, variance and higher moments about the mean, in one pass over memory.

use super::extreme::{max, min};
use super::fold::{fold, fold_scaled};
use crate::error::KernelError;
use crate::input::Input;
use crate::lanes::total;
use crate::number::Number;
use crate::scale::{exponent_of, power};
use crate::simd::vectorized;
use bytemuck::{Pod, Zeroable};
use phalanx::Pool;

/// Elements whose mean is taken before their distances from it: 32 KiB of float64, so that the second look
/// meets the first-level cache.
const BLOCK: usize = 4096;

/// Sums of powers of distances above this have lost nothing to powers that vanished, in arrays of any length.
const LEAST: f64 = 1e-200;

/// Number of elements, their sum and mean, and sums of powers of their distances from their mean, in float64.
///
/// If powers of the distances would overflow or underflow, distances are measured in units of `2^exponent`;
/// otherwise the exponent is 0. The methods account for that.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Moments {
    /// Number of elements.
    pub count: u64,
    /// Their sum, which may be infinite even if the mean is not.
    pub sum: f64,
    /// Their mean; 0 if there are none, NaN where it would be infinite.
    pub mean: f64,
    /// Sum of squares of the distances.
    pub m2: f64,
    /// Sum of third powers of the distances.
    pub m3: f64,
    /// Sum of fourth powers of the distances.
    pub m4: f64,
    /// The unit of the distances, as a power of two.
    pub exponent: i64,
}

impl Moments {
    /// Returns the mean; NaN if there are no elements.
    pub fn mean(&self) -> f64 {
        // Infinities leave no distances, but may have a mean.
        if self.count == 0 || self.mean.is_nan() { self.sum / self.count as f64 } else { self.mean }
    }

    /// Returns the variance: the sum of squares over `count - ddof`, NaN if that is not positive. `ddof` is 0
    /// for the variance of the elements themselves (NumPy's default), 1 for the estimate from a sample.
    pub fn variance(&self, ddof: u64) -> f64 {
        self.squares(ddof) * self.unit() * self.unit()
    }

    /// Returns the square root of the variance. It is finite and not 0 even if the variance is too large or
    /// too small for a float64.
    pub fn std(&self, ddof: u64) -> f64 {
        self.squares(ddof).sqrt() * self.unit()
    }

    /// Returns the skewness of the elements themselves, like `scipy.stats.skew` by default; NaN if all are
    /// equal.
    pub fn skewness(&self) -> f64 {
        self.m3 / self.m2 / (self.m2 / self.count as f64).sqrt()
    }

    /// Returns the excess kurtosis of the elements themselves, like `scipy.stats.kurtosis` by default; NaN if
    /// all are equal.
    pub fn kurtosis(&self) -> f64 {
        (self.m4 / self.m2) * (self.count as f64 / self.m2) - 3.0
    }

    /// The variance in units.
    fn squares(&self, ddof: u64) -> f64 {
        match self.count.checked_sub(ddof) {
            Some(free) if free > 0 => self.m2 / free as f64,
            _ => f64::NAN,
        }
    }

    fn unit(&self) -> f64 {
        two_to(self.exponent)
    }

    /// Returns the moments of two sets of elements taken together.
    ///
    /// Source: P. Pébay, Formulas for Robust, One-Pass Parallel Computation of Covariances and
    /// Arbitrary-Order Statistical Moments, Sandia report SAND2008-6212 (2008).
    pub fn combine(a: Moments, b: Moments) -> Moments {
        if a.count == 0 || b.count == 0 {
            return if a.count == 0 { b } else { a };
        }
        let exponent = a.exponent.max(b.exponent);
        let (na, nb) = (a.count as f64, b.count as f64);
        let (n, n_ab) = (na + nb, na * nb);
        let (a, b) = (a.in_units(exponent), b.in_units(exponent));
        let unit = a.unit();
        let d = b.mean / unit - a.mean / unit;
        let d_n = d / n;
        Moments {
            count: a.count.wrapping_add(b.count),
            sum: a.sum + b.sum,
            // Equal means stay what they are to the last bit.
            mean: a.mean + d_n * nb * unit,
            m2: a.m2 + b.m2 + d * d_n * n_ab,
            m3: a.m3 + b.m3 + d * d_n * d_n * n_ab * (na - nb) + 3.0 * d_n * (na * b.m2 - nb * a.m2),
            m4: a.m4
                + b.m4
                + d * d_n * d_n * d_n * n_ab * (na * na - n_ab + nb * nb)
                + 6.0 * d_n * d_n * (na * na * b.m2 + nb * nb * a.m2)
                + 4.0 * d_n * (na * b.m3 - nb * a.m3),
            exponent,
        }
    }

    /// The same in units that are not smaller.
    fn in_units(self, exponent: i64) -> Moments {
        let factor = two_to(self.exponent.saturating_sub(exponent));
        let square = factor * factor;
        let (m2, m3, m4) = (self.m2 * square, self.m3 * square * factor, self.m4 * square * square);
        Moments { m2, m3, m4, exponent, ..self }
    }

    /// Whether no power has overflowed or vanished that counts.
    fn keeps_digits(&self, higher: bool) -> bool {
        let highest = if higher { self.m4 } else { self.m2 };
        // Distances of elements that are not tiny are not so either, save 0.
        let constant = self.m2 == 0.0 && self.mean.abs() > 1e-30;
        highest.is_finite() && (highest > LEAST || constant)
    }
}

/// Computes mean, variance, skewness and kurtosis in one pass.
///
/// Each block of 4096 elements is centred on its own mean, and blocks are combined without cancellation. If
/// all elements are equal, the moments are 0. NaN and infinities make everything but `count` NaN or infinite.
///
/// Cost: every element read once, with about ten operations; about four times that if fourth powers of the
/// distances leave the range of float64.
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
    let plain = |x: &[T]| {
        blocks(
            x,
            true,
            #[inline(always)]
            |x| x.to_f64(),
        )
    };
    let scaled = |x: &[T], scale: f64| {
        blocks(
            x,
            true,
            #[inline(always)]
            |x| x.to_f64() * scale,
        )
    };
    let first = fold(pool, x, Moments::default(), plain, Moments::combine)?;
    let Some(exponent) = wants_scaling(pool, x, &first, true)? else { return Ok(first) };
    let second = fold_scaled(pool, x, power(-exponent), Moments::default(), scaled, Moments::combine)?;
    Ok(in_place_of(&first, second, exponent))
}

/// Returns the variance, dividing by the number of elements less `ddof` (0 is NumPy's default, 1 estimates
/// from a sample).
///
/// Computed in float64 for all types, as precisely as in two passes over memory; 0 if all elements are equal,
/// and infinite only if the variance itself is too large. NaN if `len - ddof` is not positive, or if an
/// element is NaN or infinite.
///
/// Cost: every element read once, with about five operations; about four times that if squares of the
/// distances leave the range of float64.
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
    let plain = |x: &[T]| {
        blocks(
            x,
            false,
            #[inline(always)]
            |x| x.to_f64(),
        )
    };
    let scaled = |x: &[T], scale: f64| {
        blocks(
            x,
            false,
            #[inline(always)]
            |x| x.to_f64() * scale,
        )
    };
    let first = fold(pool, x, Moments::default(), plain, Moments::combine)?;
    let Some(exponent) = wants_scaling(pool, x, &first, false)? else { return Ok(first.variance(ddof)) };
    let second = fold_scaled(pool, x, power(-exponent), Moments::default(), scaled, Moments::combine)?;
    Ok(in_place_of(&first, second, exponent).variance(ddof))
}

/// The exponent by which elements are to be scaled where what was found unscaled is not right.
fn wants_scaling<T: Number>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    found: &Moments,
    higher: bool,
) -> Result<Option<i32>, KernelError> {
    // Fourth powers of all other types are far inside the range of float64.
    let wide = T::IS_FLOAT && size_of::<T>() == 8;
    if !wide || x.is_empty() || found.keeps_digits(higher) {
        return Ok(None);
    }
    let (low, high) = (min(pool, x)?.to_f64(), max(pool, x)?.to_f64());
    let largest = low.abs().max(high.abs());
    Ok((largest.is_finite() && largest != 0.0).then(|| exponent_of(largest)))
}

/// What is known of the elements from the sums of unscaled and of scaled ones.
fn in_place_of(plain: &Moments, scaled: Moments, exponent: i32) -> Moments {
    Moments {
        sum: plain.sum,
        mean: scaled.mean * power::<f64>(exponent),
        exponent: exponent.into(),
        ..scaled
    }
}

/// `2^exponent`: 0 or infinite where that is no number of the type.
fn two_to(exponent: i64) -> f64 {
    2f64.powi(exponent.clamp(-5000, 5000) as i32)
}

fn blocks<T: Number>(x: &[T], higher: bool, wide: impl Fn(T) -> f64 + Copy) -> Moments {
    let one = |block: &[T]| {
        vectorized(
            #[inline(always)]
            || block_moments(block, higher, wide),
        )
    };
    x.chunks(BLOCK).map(one).fold(Moments::default(), Moments::combine)
}

#[inline(always)]
fn block_moments<T: Number>(x: &[T], higher: bool, wide: impl Fn(T) -> f64 + Copy) -> Moments {
    let n = x.len() as f64;
    let sum: f64 = total(x, wide);
    let rough = sum / n;
    let rest: f64 = total(
        x,
        #[inline(always)]
        |x| wide(x) - rough,
    );
    // What rounding left of the mean is added, and what is left then (`d`) taken off the powers. Of equal
    // elements nothing is.
    let mean = rough + rest / n;
    let left = rest - n * (mean - rough);
    let d = left / n;
    let m2: f64 = total(
        x,
        #[inline(always)]
        |x| (wide(x) - mean) * (wide(x) - mean),
    );
    let (mut m3, mut m4) = (0.0, 0.0);
    if higher {
        let third: f64 = total(
            x,
            #[inline(always)]
            |x| (wide(x) - mean) * (wide(x) - mean) * (wide(x) - mean),
        );
        let fourth: f64 = total(
            x,
            #[inline(always)]
            |x| {
                let square = (wide(x) - mean) * (wide(x) - mean);
                square * square
            },
        );
        m3 = third - d * (3.0 * m2 - d * (3.0 * left - d * n));
        m4 = fourth - d * (4.0 * third - d * (6.0 * m2 - d * (4.0 * left - d * n)));
    }
    let m2 = m2 - d * left;
    let m2 = if m2 < 0.0 { 0.0 } else { m2 };
    Moments { count: x.len() as u64, sum, mean, m2, m3, m4, exponent: 0 }
}
