//! Element types as numbers: an order-preserving integer key for every value, and the grid of bins laid over
//! the values.
//!
//! `key` maps every value that is not NaN to a `u64` with the same order, so that ranks, interval borders and
//! bisection work on integers for all types alike. `-0.0` sorts directly below `0.0`, which is harmless: they
//! are neighbours and compare equal.
#![deny(clippy::arithmetic_side_effects)]

use crate::number::Number;
use bytemuck::{Pod, Zeroable};

/// Number of bins of the grid itself. There is one more bin each for values below it, values above it, and
/// NaN.
pub const BINS: usize = 1 << 13;
/// Bin of the values below the grid.
pub const BELOW: usize = 0;
/// Bin of the values above the grid.
pub const ABOVE: usize = BINS + 1;
/// Bin of the NaNs.
pub const NAN: usize = BINS + 2;
/// Length of a table of bins, rounded up to whole cache lines.
pub const TABLE: usize = BINS + 16;

/// The parameters of a pass. They are chosen from a sample and are the same for all workers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Plan {
    /// Sums are taken of distances from this value, which should be near the median, so that they lose no
    /// digits.
    pub centre: f64,
    /// Key of the lower edge of the first bin.
    pub low_key: u64,
    /// Bins are `2^exponent` wide, measured in values for floats and in keys for integers.
    pub exponent: i64,
}

impl Plan {
    /// Bins of floats up to 2^450 wide, and from 2^-450 on, leave squares of distances inside the range of
    /// float64.
    pub const MOST_PLAIN: i64 = 450;

    /// Returns the unit of distances from the centre: 1, or `2^exponent` if squares would otherwise overflow
    /// or underflow.
    pub fn unit(&self) -> f64 {
        if (-Self::MOST_PLAIN..=Self::MOST_PLAIN).contains(&self.exponent) {
            return 1.0;
        }
        power_of_two(self.exponent.clamp(-1000, 1000))
    }
}

/// A type of 32 or 64 bits that these kernels can read.
pub trait Keyed: Number {
    /// The grid as `bin` needs it, unpacked once per chunk.
    type Grid: Copy;

    /// Returns the finite value nearest to a number.
    fn nearest(x: f64) -> Self;
    /// Returns whether this is plus or minus infinity.
    fn is_infinite(self) -> bool;
    /// Returns an integer that is ordered like the values. Not for NaN.
    fn key(self) -> u64;
    /// Returns the value with this key.
    fn from_key(key: u64) -> Self;
    /// Lays a grid of `BINS` bins over `low ..= high`; returns the `low_key` and the exponent of a plan.
    /// Floats whose distance from the lower edge overflows count as above the grid.
    fn plan_grid(low: Self, high: Self) -> (u64, i64);
    /// Unpacks the grid of a plan.
    fn grid(plan: &Plan) -> Self::Grid;
    /// Returns the bin of a value, which never decreases as the value increases; `NAN` for NaN.
    fn bin(self, grid: Self::Grid) -> usize;
    /// Returns the key at which a bin of the grid starts, up to rounding.
    fn guess(plan: &Plan, bin: usize) -> u64;
    /// Returns `b - a` as NumPy computes it between the two neighbours of a percentile: in the element type,
    /// then converted to float64.
    fn gap(a: Self, b: Self) -> f64;
}

/// 2 to the power of an exponent in the normal range of f64.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits((exponent.saturating_add(1023).clamp(1, 2046) as u64) << 52)
}

/// Exponent and lower border of the narrowest grid with bins of 2^e that covers `low ..= high`, e not below
/// `least`.
#[expect(clippy::arithmetic_side_effects, reason = "floats, and an exponent below 1015")]
fn float_grid(low: f64, high: f64, least: i64) -> (f64, i64) {
    let half = high / 2.0 - low / 2.0; // high - low may overflow
    let mut exponent = least;
    while exponent < 1015 && half * power_of_two(-exponent) >= (BINS / 2 - 1) as f64 {
        exponent += 1;
    }
    let border = (low * power_of_two(-exponent)).floor() * power_of_two(exponent);
    (if border.is_finite() { border } else { low }, exponent)
}

macro_rules! float {
    ($t:ident, $bits:ident, $least:expr, $magic:expr) => {
        impl Keyed for $t {
            type Grid = ($t, $t);

            fn nearest(x: f64) -> Self {
                (x as $t).clamp($t::MIN, $t::MAX)
            }
            fn is_infinite(self) -> bool {
                $t::is_infinite(self)
            }
            #[inline(always)]
            fn key(self) -> u64 {
                const TOP: $bits = 1 << ($bits::BITS - 1);
                let bits = self.to_bits();
                u64::from(if bits & TOP == 0 { bits | TOP } else { !bits })
            }
            fn from_key(key: u64) -> Self {
                const TOP: $bits = 1 << ($bits::BITS - 1);
                let bits = key as $bits;
                $t::from_bits(if bits & TOP == 0 { !bits } else { bits & !TOP })
            }
            fn plan_grid(low: Self, high: Self) -> (u64, i64) {
                let (border, exponent) = float_grid(f64::from(low), f64::from(high), $least);
                ((border as $t).key(), exponent)
            }
            fn grid(plan: &Plan) -> Self::Grid {
                ($t::from_key(plan.low_key), power_of_two(plan.exponent.saturating_neg()) as $t)
            }
            #[inline(always)]
            fn bin(self, (low, scale): Self::Grid) -> usize {
                // Subtracting, scaling by a power of two, rounding down and clamping never reverse an order.
                // Adding $magic leaves the whole number in the low bits of the pattern.
                let t = ((self - low) * scale).floor();
                let t = if t < BINS as $t { t } else { BINS as $t };
                let t = if t > -1.0 { t } else { -1.0 };
                let t = if self.is_unordered() { (NAN - 1) as $t } else { t };
                ((t + ($magic + 1.0)).to_bits() & 0xffff) as usize
            }
            fn guess(plan: &Plan, bin: usize) -> u64 {
                let steps = bin.saturating_sub(1) as f64 * power_of_two(plan.exponent);
                ((f64::from($t::from_key(plan.low_key)) + steps) as $t).key()
            }
            fn gap(a: Self, b: Self) -> f64 {
                f64::from(b - a)
            }
        }
    };
}
float!(f32, u32, -120, 8_388_608.0);
float!(f64, u64, -1000, 4_503_599_627_370_496.0);

macro_rules! integer {
    ($t:ident, $u:ident, $flip:expr) => {
        impl Keyed for $t {
            type Grid = ($u, u32);

            fn nearest(x: f64) -> Self {
                x as $t
            }
            fn is_infinite(self) -> bool {
                false
            }
            #[inline(always)]
            fn key(self) -> u64 {
                u64::from(self as $u ^ $flip)
            }
            fn from_key(key: u64) -> Self {
                (key as $u ^ $flip) as $t
            }
            #[expect(
                clippy::arithmetic_side_effects,
                reason = "keys below 2^64 in steps of a power of two, which is no more than their distance"
            )]
            fn plan_grid(low: Self, high: Self) -> (u64, i64) {
                let mut exponent = 0;
                while high.key().saturating_sub(low.key()) >> exponent >= BINS as u64 - 1 {
                    exponent += 1;
                }
                // Aligning the border makes borders round numbers where that is possible.
                let zero = (0 as $t).key();
                let step = 1u64 << exponent;
                let border = match low.key().checked_sub(zero) {
                    Some(above) => zero + above / step * step,
                    None => zero.saturating_sub((zero - low.key()).div_ceil(step).saturating_mul(step)),
                };
                (border, exponent)
            }
            fn grid(plan: &Plan) -> Self::Grid {
                (plan.low_key as $u, plan.exponent.clamp(0, const { $u::BITS as i64 - 1 }) as u32)
            }
            #[inline(always)]
            fn bin(self, (low, shift): Self::Grid) -> usize {
                let key = self as $u ^ $flip;
                let t = key.wrapping_sub(low) >> shift;
                let t = if t < BINS as $u { t } else { BINS as $u };
                let t = if key < low { 0 } else { t.wrapping_add(1) };
                t as usize
            }
            fn guess(plan: &Plan, bin: usize) -> u64 {
                let above = (bin.saturating_sub(1) as u128) << plan.exponent.clamp(0, 63);
                plan.low_key.saturating_add(u64::try_from(above).unwrap_or(u64::MAX))
            }
            #[expect(clippy::arithmetic_side_effects, reason = "64-bit numbers in 128 bits")]
            fn gap(a: Self, b: Self) -> f64 {
                // NumPy wraps around where the difference does not fit the type; the true one is meant.
                (i128::from(b) - i128::from(a)) as f64
            }
        }
    };
}
integer!(i32, u32, 1 << 31);
integer!(u32, u32, 0);
integer!(i64, u64, 1 << 63);
integer!(u64, u64, 0);

/// Returns the first and last key that fall into bins `from ..= to`; `None` if no value can.
#[expect(clippy::arithmetic_side_effects, reason = "keys have 64 bits, sums 128; `first < end`")]
pub fn keys_of_bins<T: Keyed>(plan: &Plan, from: usize, to: usize) -> Option<(u64, u64)> {
    let (lowest, highest) = (T::LOWEST.key(), T::HIGHEST.key());
    let grid = T::grid(plan);
    // First key whose bin is at least `bin`; one past the highest key if there is none.
    let start = |bin: usize| -> u128 {
        let reaches = |key: u64| T::from_key(key).bin(grid) >= bin;
        if (1..=ABOVE).contains(&bin) {
            let guess = T::guess(plan, bin);
            if guess > lowest && guess <= highest && reaches(guess) && !reaches(guess.wrapping_sub(1)) {
                return u128::from(guess);
            }
        }
        let (mut low, mut high) = (u128::from(lowest), u128::from(highest) + 1);
        while low < high {
            let middle = low.midpoint(high);
            if reaches(middle as u64) { high = middle } else { low = middle + 1 }
        }
        low
    };
    let (first, end) = (start(from), start(to.saturating_add(1)));
    (first < end).then(|| (first as u64, (end - 1) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: Keyed>(mut values: Vec<T>, low: T, high: T) {
        values.retain(|v| !v.is_unordered());
        values.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let (low_key, exponent) = T::plan_grid(low, high);
        let plan = Plan { centre: 0.0, low_key, exponent };
        let grid = T::grid(&plan);
        for v in &values {
            assert_eq!(T::from_key(v.key()).to_f64(), v.to_f64());
            let bin = v.bin(grid);
            assert!(bin <= ABOVE, "{v:?} in {bin}");
            let (first, last) = keys_of_bins::<T>(&plan, bin, bin).unwrap();
            assert!((first..=last).contains(&v.key()));
        }
        for pair in values.windows(2) {
            assert!(pair[0].bin(grid) <= pair[1].bin(grid), "{pair:?}");
        }
        assert!(low.bin(grid) > BELOW && high.bin(grid) <= ABOVE, "{low:?} {high:?} {plan:?}");
        if exponent > -100 {
            let fits = high.minus(T::from_key(low_key)).to_f64().is_finite();
            assert_eq!(high.bin(grid) < ABOVE, fits, "{low:?} {high:?} {plan:?}");
        }
    }

    #[test]
    fn what_lies_farther_from_the_lowest_than_any_number_is_above() {
        check(vec![-1.7e308, -1e308, 0.0, 7e306, 4.3e307, 1.7e308], -1.7e308, 4.3e307);
        check(vec![-3e38f32, -1.0, 0.0, 4e37, 3e38], -3e38, 3e38);
    }

    #[test]
    fn plans_of_any_numbers_are_harmless() {
        for exponent in [i64::MIN, -1, 40, 64, i64::MAX] {
            for low_key in [0, 1 << 40, u64::MAX] {
                let plan = Plan { centre: 0.0, low_key, exponent };
                for (from, to) in [(0, 0), (1, ABOVE), (5, usize::MAX), (usize::MAX, usize::MAX)] {
                    keys_of_bins::<f32>(&plan, from, to);
                    keys_of_bins::<f64>(&plan, from, to);
                    keys_of_bins::<i32>(&plan, from, to);
                    keys_of_bins::<u64>(&plan, from, to);
                }
                assert!(7u32.bin(u32::grid(&plan)) <= NAN && 7.0f64.bin(f64::grid(&plan)) <= 0xffff);
            }
        }
    }

    proptest! {
        #[test]
        fn grids_keep_the_order(f in prop::collection::vec(any::<f64>(), 2..50), i in prop::collection::vec(any::<i64>(), 2..50)) {
            let ends = |v: &[f64]| (v.iter().copied().fold(f64::MAX, f64::min), v.iter().copied().fold(f64::MIN, f64::max));
            let finite: Vec<f64> = f.iter().copied().filter(|x| x.is_finite()).collect();
            if !finite.is_empty() {
                let (low, high) = ends(&finite);
                check(f.clone(), low, high);
                check(f.clone(), low / 1e9, low / 1e9);
                let single: Vec<f32> = f.iter().map(|x| (x / 1e270) as f32).collect();
                let fine: Vec<f64> = single.iter().copied().map(f64::from).filter(|x| x.is_finite()).collect();
                if !fine.is_empty() {
                    let (low, high) = ends(&fine);
                    check(single, low as f32, high as f32);
                }
            }
            let (low, high) = (*i.iter().min().unwrap(), *i.iter().max().unwrap());
            check(i.clone(), low, high);
            check(i.clone(), i64::MIN, i64::MAX);
            check(i.iter().map(|&x| x as u64).collect(), 0, u64::MAX);
            check(i.iter().map(|&x| x as i32).collect(), -5, 5);
            check(i.iter().map(|&x| x as u32).collect(), 7, 1 << 20);
        }
    }
}
