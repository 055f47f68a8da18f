//! Normally distributed numbers by (seed, path, step), many paths at once, and the exponential function.
//!
//! All is plain arithmetic without branches, so that the compiler works on several paths in each vector, and
//! so that a number has the same bits wherever it is drawn.

#![allow(clippy::needless_range_loop, reason = "lanes of several arrays advance together")]

use std::f64::consts::{FRAC_PI_2, LN_2, LOG2_E, SQRT_2};

/// Paths worked on at once.
pub const LANES: usize = 16;

const LOW: u64 = u32::MAX as u64;
/// Added to a small number, leaves the nearest whole number in the lowest bits: 1.5 * 2^52.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Two independent normal numbers for each of the paths `first..first + LANES`, the `pair`th of each path.
#[inline(always)]
pub fn normals(seed: u64, first: u64, pair: u64) -> [[f64; LANES]; 2] {
    let mut pairs = [[0.0; LANES]; 2];
    for lane in 0..LANES {
        let path = first + lane as u64;
        let [a, b, c, d] = philox([path & LOW, path >> 32, pair, 0], seed);
        // G. E. P. Box, M. E. Muller: A note on the generation of random normal deviates, 1958.
        let radius = (-2.0 * ln(unit(a, b))).sqrt();
        let [sin, cos] = sin_cos_turn(unit(c, d));
        (pairs[0][lane], pairs[1][lane]) = (radius * cos, radius * sin);
    }
    pairs
}

/// Philox4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel random numbers: as easy as
/// 1, 2, 3, 2011. Words of 32 bits, each in 64.
#[inline(always)]
fn philox([mut a, mut b, mut c, mut d]: [u64; 4], seed: u64) -> [u64; 4] {
    let (mut low, mut high) = (seed & LOW, seed >> 32);
    for _ in 0..10 {
        let (first, third) = (0xd251_1f53 * a, 0xcd9e_8d57 * c);
        (a, b, c, d) = ((third >> 32) ^ b ^ low, third & LOW, (first >> 32) ^ d ^ high, first & LOW);
        (low, high) = ((low + 0x9e37_79b9) & LOW, (high + 0xbb67_ae85) & LOW);
    }
    [a, b, c, d]
}

/// A number above 0 and below 1, in steps of 2^-52, from two words.
#[inline(always)]
fn unit(high: u64, low: u64) -> f64 {
    let bits = high << 20 | low >> 12;
    f64::from_bits(1.0f64.to_bits() | bits) - (1.0 - f64::EPSILON / 2.0)
}

/// The natural logarithm of a normal positive number.
#[inline(always)]
fn ln(x: f64) -> f64 {
    const EXPONENT_ZERO: f64 = 4_503_599_627_370_496.0; // 2^52
    let (bits, one) = (x.to_bits(), 1.0f64.to_bits());
    let exponent = f64::from_bits(bits >> 52 | EXPONENT_ZERO.to_bits()) - (EXPONENT_ZERO + 1023.0);
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | one);
    let is_high = mantissa > SQRT_2;
    let mantissa = if is_high { 0.5 * mantissa } else { mantissa };
    let exponent = if is_high { exponent + 1.0 } else { exponent };
    // ln m = 2 artanh((m - 1) / (m + 1)), whose argument is at most 0.172.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    exponent.mul_add(LN_2, 2.0 * s * polynomial(s * s, &ARTANH))
}

/// Sine and cosine of `turn` whole turns, from 0 to 1.
#[inline(always)]
fn sin_cos_turn(turn: f64) -> [f64; 2] {
    let rounded = 4.0 * turn + ROUND;
    let quarter = rounded.to_bits();
    let angle = (4.0 * turn - (rounded - ROUND)) * FRAC_PI_2;
    let square = angle * angle;
    let (sin, cos) = (angle * polynomial(square, &SIN), polynomial(square, &COS));
    let (sin, cos) = if quarter & 1 == 0 { (sin, cos) } else { (cos, sin) };
    [if quarter & 2 == 0 { sin } else { -sin }, if (quarter + 1) & 2 == 0 { cos } else { -cos }]
}

/// e to the power of `x`, between -700 and 700.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let rounded = x * LOG2_E + ROUND;
    let power = f64::from_bits((rounded.to_bits() << 52).wrapping_add(1.0f64.to_bits()));
    // At most 0.35.
    let rest = (rounded - ROUND).mul_add(-LN_2, x);
    power * polynomial(rest, &EXP)
}

const EXP: [f64; 14] = over_factorials(0, 1, 1.0);
const SIN: [f64; 8] = over_factorials(1, 2, -1.0);
const COS: [f64; 9] = over_factorials(0, 2, -1.0);
const ARTANH: [f64; 11] = {
    let mut coefficients = [0.0; 11];
    let mut k = 0;
    while k < coefficients.len() {
        coefficients[k] = 1.0 / (2 * k + 1) as f64;
        k += 1;
    }
    coefficients
};

/// `1 / first!`, `sign / (first + step)!`, `sign^2 / (first + 2 step)!` and so on.
const fn over_factorials<const N: usize>(first: u64, step: u64, sign: f64) -> [f64; N] {
    let (mut coefficients, mut k, mut factorial, mut n) = ([0.0; N], 0, 1.0, 0);
    let mut power = 1.0;
    while k < N {
        while n < first + k as u64 * step {
            n += 1;
            factorial *= n as f64;
        }
        coefficients[k] = power / factorial;
        power *= sign;
        k += 1;
    }
    coefficients
}

/// Coefficients from the lowest up. Without the instruction for `mul_add` this is slow, and has the same
/// bits.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let mut sum = coefficients[N - 1];
    for k in (0..N - 1).rev() {
        sum = sum.mul_add(x, coefficients[k]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_of_the_standard_library() {
        for i in 1..100_000 {
            let (u, x) = (f64::from(i) / 100_000.0, f64::from(i - 50_000) / 100.0);
            assert!((ln(u) - u.ln()).abs() <= 4e-16 * (1.0 + u.ln().abs()), "ln {u}");
            let [sin, cos] = sin_cos_turn(u);
            let exact = (std::f64::consts::TAU * u).sin_cos();
            assert!((sin - exact.0).abs() < 1e-15 && (cos - exact.1).abs() < 1e-15, "sin, cos {u}");
            assert!((exp(x) / x.exp() - 1.0).abs() < 2e-16 * (4.0 + x.abs()), "exp {x}");
        }
        assert!(ln(f64::EPSILON / 2.0).is_finite() && unit(0, 0) > 0.0 && unit(LOW, LOW) < 1.0);
    }

    #[test]
    fn philox_is_that_of_its_authors() {
        // The file `tests/kat_vectors` of Random123 1.14.
        let max = u64::from(u32::MAX);
        assert_eq!(philox([0; 4], 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([max; 4], u64::MAX), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let mut moments = [0.0; 4];
        let blocks = 20_000;
        for block in 0..blocks {
            for z in normals(7, block * LANES as u64, 3).as_flattened() {
                for (moment, power) in moments.iter_mut().zip(1..) {
                    *moment += z.powi(power);
                }
            }
        }
        let n = (blocks * 2 * LANES as u64) as f64;
        for (moment, (exact, variance)) in
            moments.iter().zip([(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0)])
        {
            assert!((moment / n - exact).abs() < 4.0 * (variance / n).sqrt(), "{moments:?}");
        }
    }
}
