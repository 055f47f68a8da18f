//! Random numbers by place (splitmix64), the same in every language: see also `splitmix.py` and `splitmix.h`.

/// 64 random bits.
pub fn bits(i: u64) -> u64 {
    let z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random number from 0 to 1.
pub fn unit(i: u64) -> f64 {
    (bits(i) >> 11) as f64 / (1_u64 << 53) as f64
}
