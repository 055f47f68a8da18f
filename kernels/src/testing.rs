//! What tests of all families share: pools, lengths around every boundary, a source of numbers.

use phalanx::Pool;
use std::sync::LazyLock;

/// Pools of 1, 2, 3 and 7 worker processes, started once for all tests of the binary.
pub(crate) fn pools() -> &'static [Pool] {
    static POOLS: LazyLock<Vec<Pool>> = LazyLock::new(|| {
        [1, 2, 3, 7].into_iter().map(|n| Pool::builder().workers(n).build().unwrap()).collect()
    });
    &POOLS
}

/// The pool of two workers.
pub(crate) fn pool() -> &'static Pool {
    &pools()[1]
}

/// Lengths around every boundary of vectors, blocks, the inline limit and the engine's chunks, and primes
/// between them.
pub(crate) const LENGTHS: [usize; 24] = [
    0, 1, 2, 3, 7, 8, 9, 31, 64, 65, 127, 128, 129, 1021, 4095, 4097, 9_999, 10_000, 10_007, 32_767, 32_768,
    32_769, 65_537, 100_003,
];

/// Numbers that look random and are the same in every run (SplitMix64,
/// <https://prng.di.unimi.it/splitmix64.c>).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A value in -1 .. 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub(crate) fn units(&mut self, len: usize) -> Vec<f64> {
        (0..len).map(|_| self.unit()).collect()
    }
}
