//! Random numbers by their place: anybody can make any of them, in any order, so data do not depend on
//! workers.

/// What is added to the state from one number to the next: 2^64 over the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number `index` of the sequence that begins with `seed`: 64 well mixed bits
/// ([SplitMix64](https://prng.di.unimi.it/splitmix64.c); Steele, Lea, Flood, *Fast splittable pseudorandom
/// number generators*, 2014).
#[inline(always)]
pub const fn random(seed: u64, index: u64) -> u64 {
    mix(seed.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP)))
}

/// The numbers of [`random`], one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins the sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[inline(always)]
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `end`, which is small beside 2^64; 0 if `end` is.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// One of these.
    pub fn one_of<T: Copy, const N: usize>(&mut self, choice: [T; N]) -> T {
        choice[self.below(N as u64) as usize]
    }
}

/// Mixes the bits of a number, without losing any: the last step of SplitMix64.
#[inline(always)]
pub const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Dice, random};

    #[test]
    fn numbers_are_those_of_the_published_program() {
        // The first numbers that splitmix64.c returns for the state 1234567.
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let mut dice = Dice::new(1_234_567);
        for (index, number) in (0..).zip(published) {
            assert_eq!((random(1_234_567, index), dice.roll()), (number, number));
        }
    }
}
