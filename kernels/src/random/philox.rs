//! Philox4x32-10: 128 random bits from a 128-bit counter and a 64-bit key, with no state between calls.
//!
//! J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011,
//! <https://doi.org/10.1145/2063384.2063405>. It passes TestU01's BigCrush (same paper, section 5).

#![allow(clippy::needless_range_loop, reason = "lanes of several arrays advance together")]

/// Counters worked on at once: two vectors of 512 bits.
pub(super) const LANES: usize = 32;

/// The four output words of [`LANES`] counters, by word.
pub(super) type Words = [[u32; LANES]; 4];

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// What a counter is used for, so that draws of different kinds with one seed have nothing to do with each
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Uniform = 0,
    Normal = 1,
    Integer = 2,
}

/// Words of blocks `first..first + LANES`.
#[inline(always)]
pub(super) fn blocks(seed: u64, domain: Domain, first: u64) -> Words {
    let mut counters = [[0; LANES]; 4];
    for lane in 0..LANES {
        let block = first.wrapping_add(lane as u64);
        (counters[0][lane], counters[1][lane]) = (block as u32, (block >> 32) as u32);
        (counters[2][lane], counters[3][lane]) = (0, domain as u32);
    }
    philox(counters, key(seed))
}

/// Words of one block, at a later attempt to draw from it.
pub(super) fn block(seed: u64, domain: Domain, block: u64, attempt: u32) -> [u32; 4] {
    let counter = [block as u32, (block >> 32) as u32, attempt, domain as u32];
    philox(counter.map(|word| [word]), key(seed)).map(|word| word[0])
}

fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "32-bit numbers multiplied in 64 bits")]
fn philox<const N: usize>(mut counters: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..ROUNDS {
        for lane in 0..N {
            let first = u64::from(MULTIPLIERS[0]) * u64::from(counters[0][lane]);
            let third = u64::from(MULTIPLIERS[1]) * u64::from(counters[2][lane]);
            counters[0][lane] = (third >> 32) as u32 ^ counters[1][lane] ^ key[0];
            counters[2][lane] = (first >> 32) as u32 ^ counters[3][lane] ^ key[1];
            (counters[1][lane], counters[3][lane]) = (third as u32, first as u32);
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
        philox(counter.map(|word| [word]), key).map(|word| word[0])
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
        let many = blocks(77 << 33 | 5, Domain::Normal, first);
        for lane in 0..LANES {
            let one = block(77 << 33 | 5, Domain::Normal, first + lane as u64, 0);
            assert_eq!(many.map(|word| word[lane]), one);
        }
    }
}
