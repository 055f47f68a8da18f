//! The quantile function of the standard normal distribution.
//!
//! Algorithm AS 241 (PPND16): M. J. Wichura, The percentage points of the normal distribution, Applied
//! Statistics 37 (1988) 477-484; relative error about 1e-16. The logarithm of the tails is that of the crate
//! `libm`, pure Rust, so that results have the same bits on every machine.

#![allow(clippy::excessive_precision, reason = "coefficients stand as they were published")]

/// Half-width of the middle range, in probability.
const MIDDLE: f64 = 0.425;

/// `p(r) / q(r)` for polynomials given lowest coefficient first.
#[inline(always)]
fn ratio(r: f64, p: &[f64; 8], q: &[f64; 8]) -> f64 {
    let (mut above, mut below) = (p[7], q[7]);
    for power in (0..7).rev() {
        above = above * r + p[power];
        below = below * r + q[power];
    }
    above / below
}

/// Numerator and denominator for the middle range.
const A: [f64; 8] = [
    3.387_132_872_796_366_608,
    133.141_667_891_784_377_45,
    1_971.590_950_306_551_442_7,
    13_731.693_765_509_461_125,
    45_921.953_931_549_871_457,
    67_265.770_927_008_700_853,
    33_430.575_583_588_128_105,
    2_509.080_928_730_122_672_7,
];
const B: [f64; 8] = [
    1.0,
    42.313_330_701_600_911_252,
    687.187_007_492_057_908_3,
    5_394.196_021_424_751_107_7,
    21_213.794_301_586_595_867,
    39_307.895_800_092_710_61,
    28_729.085_735_721_942_674,
    5_226.495_278_852_854_561,
];
/// Near tails.
const C: [f64; 8] = [
    1.423_437_110_749_683_577_34,
    4.630_337_846_156_545_295_9,
    5.769_497_221_460_691_405_5,
    3.647_848_324_763_204_605_04,
    1.270_458_252_452_368_382_58,
    0.241_780_725_177_450_611_77,
    0.022_723_844_989_269_184_583_3,
    7.745_450_142_783_414_076_4e-4,
];
const D: [f64; 8] = [
    1.0,
    2.053_191_626_637_758_821_87,
    1.676_384_830_183_803_849_4,
    0.689_767_334_985_100_004_55,
    0.148_103_976_427_480_074_59,
    0.015_198_666_563_616_457_196_6,
    5.475_938_084_995_344_946e-4,
    1.050_750_071_644_416_843_24e-9,
];
/// Far tails.
const E: [f64; 8] = [
    6.657_904_643_501_103_777_2,
    5.463_784_911_164_114_369_9,
    1.784_826_539_917_291_335_8,
    0.296_560_571_828_504_891_23,
    0.026_532_189_526_576_123_093,
    1.242_660_947_388_078_438_6e-3,
    2.711_555_568_743_487_578_15e-5,
    2.010_334_399_292_288_132_65e-7,
];
const F: [f64; 8] = [
    1.0,
    0.599_832_206_555_887_937_69,
    0.136_929_880_922_735_805_31,
    0.014_875_361_290_850_614_852_5,
    7.868_691_311_456_132_591e-4,
    1.846_318_317_510_054_681_8e-5,
    1.421_511_758_316_445_888_7e-7,
    2.044_263_103_389_939_785_64e-15,
];

/// Values of the quantile function for some probabilities between 0 and 1, both excluded.
///
/// The middle range, 85 % of the cases, is computed for all at once, in vectors; tails replace it one by one.
#[inline(always)]
pub(super) fn quantiles<const N: usize>(p: &[f64; N]) -> [f64; N] {
    let mut values = [0.0; N];
    for (value, p) in values.iter_mut().zip(p) {
        let q = p - 0.5;
        *value = q * ratio(0.180_625 - q * q, &A, &B);
    }
    for (value, p) in values.iter_mut().zip(p) {
        if (p - 0.5).abs() > MIDDLE {
            *value = tail(*p);
        }
    }
    values
}

#[inline(never)]
fn tail(p: f64) -> f64 {
    let r = (-libm::log(p.min(1.0 - p))).sqrt();
    let value = if r <= 5.0 { ratio(r - 1.6, &C, &D) } else { ratio(r - 5.0, &E, &F) };
    if p < 0.5 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverts_the_distribution_function() {
        for i in 1..20_000 {
            let p = f64::from(i) / 20_000.0;
            let z = quantiles(&[p])[0];
            let back = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
            assert!((back - p).abs() <= 4e-16 + 8e-16 * p, "p {p}, z {z}, back {back}");
        }
    }

    #[test]
    fn tails_are_those_of_the_literature() {
        // Wichura's check values for PPND16.
        for (p, z) in [
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_408),
        ] {
            let got = quantiles(&[p])[0];
            assert!((got / z - 1.0f64).abs() < 1e-15, "{p}: {got} for {z}");
        }
        assert_eq!(quantiles(&[0.5])[0], 0.0);
        for p in [1e-300, 1e-10, 0.074_999, 0.075_001, 0.3] {
            assert!(quantiles(&[p])[0] < quantiles(&[p * 1.001])[0]);
        }
    }
}
