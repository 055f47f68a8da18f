//! Philox4x32-10: 128 random bits from a 128-bit counter and a 64-bit key, with no state between calls.
//!
//! J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011,
//! <https://doi.org/10.1145/2063384.2063405>. It passes TestU01's BigCrush (same paper, section 5).

#![allow(clippy::needless_range_loop, reason = "lanes of several arrays advance together")]

/// Counters worked on at once: a few vectors, whatever their width.
pub(super) const LANES: usize = 32;

/// The four output words of [`LANES`] counters, by word. Each stands in 64 bits, as the vector instruction
/// that multiplies them wants it.
pub(super) type Words = [[u64; LANES]; 4];

const MULTIPLIERS: [u64; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// What a counter is used for, so that draws of different kinds with one seed have nothing to do with each
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Uniform = 0,
    Normal = 1,
    Integer = 2,
    Exponential = 3,
    Gamma = 4,
    Beta = 5,
    Poisson = 6,
    Binomial = 7,
    Permutation = 8,
    Resample = 9,
}

/// The key of each round.
pub(super) type Keys = [[u64; 2]; ROUNDS];

pub(super) fn keys(seed: u64) -> Keys {
    let mut key = [seed as u32, (seed >> 32) as u32];
    std::array::from_fn(|_| {
        let round = key.map(u64::from);
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        round
    })
}

/// Words of blocks `first..first + LANES`.
#[inline(always)]
pub(super) fn blocks(keys: &Keys, domain: Domain, first: u64) -> Words {
    const HALF: usize = LANES / 2;
    let mut words = [[0; LANES]; 4];
    for lane in 0..HALF {
        let block = first.wrapping_add(lane as u64);
        let counters = [block, block.wrapping_add(HALF as u64)].map(
            #[inline(always)]
            |block| [block & LOW, block >> 32, 0, domain as u64],
        );
        let [near, far] = philox(counters, keys);
        for word in 0..4 {
            (words[word][lane], words[word][HALF..][lane]) = (near[word], far[word]);
        }
    }
    words
}

/// Words of one block, at a later attempt to draw from it.
pub(super) fn block(keys: &Keys, domain: Domain, block: u64, attempt: u32) -> [u64; 4] {
    let [words] = philox([[block & LOW, block >> 32, u64::from(attempt), domain as u64]], keys);
    words
}

/// The low half of 64 bits: a word.
const LOW: u64 = u32::MAX as u64;

/// All rounds of some counters, so that the compiler lays lanes side by side in vectors and keeps them there.
/// Of two counters, one's multiplications fill the time in which the other's are under way. The rounds leave
/// the halves above the words as they come; the end clears them.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "32-bit numbers multiplied in 64 bits")]
fn philox<const N: usize>(mut counters: [[u64; 4]; N], keys: &Keys) -> [[u64; 4]; N] {
    for key in keys {
        for counter in &mut counters {
            let [a, b, c, d] = *counter;
            let (first, third) = (MULTIPLIERS[0] * (a & LOW), MULTIPLIERS[1] * (c & LOW));
            *counter = [(third >> 32) ^ (b ^ key[0]), third, (first >> 32) ^ (d ^ key[1]), first];
        }
    }
    counters.as_flattened_mut().iter_mut().for_each(
        #[inline(always)]
        |word| *word &= LOW,
    );
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(counter: [u32; 4], [low, high]: [u32; 2]) -> [u64; 4] {
        philox([counter.map(u64::from)], &keys(u64::from(low) | u64::from(high) << 32))[0]
    }

    /// The vectors for `philox4x32 10` of the file `tests/kat_vectors` of Random123 1.14
    /// (<https://github.com/DEShawResearch/random123>).
    #[test]
    fn known_answers() {
        let max = u32::MAX;
        assert_eq!(words([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(words([max; 4], [max; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            words([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn lanes_are_single_blocks_also_where_the_low_half_overflows() {
        let first = u64::from(u32::MAX) - 5;
        let keys = keys(77 << 33 | 5);
        let many = blocks(&keys, Domain::Normal, first);
        for lane in 0..LANES {
            let one = block(&keys, Domain::Normal, first + lane as u64, 0);
            assert_eq!(many.map(|word| word[lane]), one);
        }
    }
}
