//! Synthetic sensor readings: a daily wave with noise, a few lost readings (NaN), a few spikes.
//!
//! Every reading depends on seed and index only, so any worker can make any part and all make the same file.

use common::random;
use std::f64::consts::TAU;

/// Seed of the dataset made when no file is given.
pub const SEED: u64 = 20_240_229;
/// Readings in the dataset: 1 GiB of float64.
pub const READINGS: usize = (1 << 30) / size_of::<f64>();
/// Readings per day, at ten per second.
const DAY: u64 = 864_000;
/// Readings between which the daily wave is taken as constant.
const STEP: u64 = 256;

/// The reading at an index, in degrees Celsius to a hundredth.
#[cfg(test)]
fn reading(seed: u64, index: u64) -> f64 {
    shape(random(seed, index), wave(index / STEP))
}

fn wave(step: u64) -> f64 {
    20.0 + 6.0 * ((step * STEP % DAY) as f64 * (TAU / DAY as f64)).sin()
}

#[inline(always)]
fn shape(bits: u64, base: f64) -> f64 {
    // The sum of four sixteen-bit uniforms is nearly normal; standard deviation about 1.15 x 1.3 degrees.
    let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    let noise = (sum as f64 / 65536.0 - 2.0) * 2.6;
    let rare = bits.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 44;
    match rare {
        0..1049 => f64::NAN,                // one in a thousand is lost
        1049..1101 => base + noise * 100.0, // one in twenty thousand is a spike
        _ => ((base + noise) * 100.0).round() / 100.0,
    }
}

/// Fills the part of the dataset that begins at index `first`.
pub fn fill(part: &mut [f64], first: u64, seed: u64) {
    let (mut step, mut base) = (u64::MAX, 0.0);
    for (x, index) in part.iter_mut().zip(first..) {
        if index / STEP != step {
            (step, base) = (index / STEP, wave(index / STEP));
        }
        *x = shape(random(seed, index), base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_is_the_same_as_the_whole() {
        let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let mut whole = vec![0.0; 5000];
        fill(&mut whole, 0, 7);
        let mut part = vec![0.0; 1234];
        fill(&mut part, 777, 7);
        assert_eq!(bits(&part), bits(&whole[777..777 + 1234]));
        assert_eq!(bits(&whole), bits(&(0..5000).map(|i| reading(7, i)).collect::<Vec<_>>()));
        assert!(whole.iter().any(|x| x.is_nan()));
        fill(&mut part, 777, 8);
        assert_ne!(bits(&part), bits(&whole[777..777 + 1234]));
    }
}
