//! Powers of two by which numbers are brought to about 1 before they are squared.
//!
//! A square leaves the range of float64 above 1e154 and below 1e-154, though the root that is asked for may
//! lie well inside it. To multiply by a power of two rounds nothing, so sums of squares are taken as they
//! come first, and only where the sum shows that some may have overflowed or vanished, once more of scaled
//! numbers. After J. L. Blue, A Portable Fortran Program to Find the Euclidean Norm of a Vector, ACM TOMS 4
//! (1978), who keeps three sums instead.

use crate::number::Real;

/// The exponent by which numbers of this size are scaled: `largest * 2^-exponent` is about 1, as far as the
/// power can be written. 0 for zeros and for what is not finite.
pub(crate) fn exponent_of<T: Real>(largest: T) -> i32 {
    let largest = crate::number::Number::to_f64(largest).abs();
    if largest == 0.0 || !largest.is_finite() {
        return 0;
    }
    // Powers of both signs are normal numbers then, and what is left over does no harm to squares.
    let most = if size_of::<T>() < 8 { 100 } else { 1000 };
    // Subnormal numbers count as the lowest normal one.
    ((largest.to_bits() >> 52) as i32 - 1023).clamp(-most, most)
}

/// `2^exponent`, for exponents of [`exponent_of`] and their negatives, and up to twice as large ones with
/// what overflows infinite.
pub(crate) fn power<T: Real>(exponent: i32) -> T {
    T::from_f64(2f64.powi(exponent))
}

/// Whether a sum of `count` squares (or higher even powers) has kept its digits: none overflowed, and those
/// that vanished do not count beside it.
pub(crate) fn keeps_digits<T: Real>(sum: T, count: usize) -> bool {
    sum.is_finite() && sum >= T::from_f64(count as f64) * (T::min_positive_value() / T::epsilon())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_scale_everything_without_rounding() {
        for x in [5e-324, 1e-308, 1e-200, 0.1, 1.0, 1e200, f64::MAX] {
            let exponent = exponent_of(x);
            let scaled: f64 = x * power::<f64>(-exponent);
            assert_eq!(scaled * power::<f64>(exponent), x);
            assert!((1e-23..1e8).contains(&scaled), "{x:e} becomes {scaled:e}");
        }
        for x in [1e-45f32, 1e-30, 1.0, f32::MAX] {
            let scaled = x * power::<f32>(-exponent_of(x));
            assert_eq!(scaled * power::<f32>(exponent_of(x)), x);
            assert!((1e-15..1e9).contains(&scaled), "{x:e} becomes {scaled:e}");
        }
        assert_eq!([0.0, f64::NAN, f64::INFINITY].map(exponent_of), [0; 3]);
    }
}
