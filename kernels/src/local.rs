//! Sorting words that fit a core's cache: two radix steps over the leading bits, then whatever ties they
//! leave.
//!
//! ```text
//! sort(v):
//!   short              -> insertion, or the standard library
//!   lo, hi             -> equal: done
//!   lead(word) = the leading bits of (word - lo), about twice the bits of a place in v
//!   count the low and the high half of every lead
//!   place every word by the low half, in scratch
//!   place every word by the high half, back in v: now v is sorted by lead
//!   words of one lead  -> few: insertion; many: sort(them)
//! ```
//!
//! Leads of twice the bits of a place make ties rare where words are spread evenly, so that the last line is
//! one comparison a word; where they crowd, each round takes up to 24 bits off. Cost of a round for `n`
//! words: `5 n` reads and `2 n` writes inside the cache.
//!
//! # Safety
//! The digit of a word is computed twice with the same formula: first to count, then to place. So no place
//! lies outside, and every index is below the number of words counted.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::word::Word;

/// Up to here insertion beats everything.
const SHORT: usize = 20;
/// Up to here the standard library's sort is used.
const MIDDLING: usize = 256;
/// Bits of a digit at most: two tables of `2^12` counts leave most of a first-level cache to the words.
const MOST_BITS: u32 = 12;

/// Sorts `v`; `scratch` is at least as long, and holds nothing of use afterwards.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "bits of a word, and counts below 2^32, which `place` asserts"
)]
pub(crate) fn sort<W: Word>(v: &mut [W], scratch: &mut [W]) {
    if v.len() <= MIDDLING {
        return sort_short(v);
    }
    let (mut lo, mut hi) = (v[0], v[0]);
    for &word in v.iter() {
        lo = lo.min(word);
        hi = hi.max(word);
    }
    let width = hi.width_above(lo);
    if width == 0 {
        return;
    }
    let scratch = &mut scratch[..v.len()];
    let bits = (v.len().ilog2() * 4 / 5).clamp(8, MOST_BITS);
    if width <= bits {
        let mut heads = vec![0u32; 1 << width];
        v.iter().for_each(|word| heads[word.digit_inside(lo, 0)] += 1);
        to_heads(&mut heads);
        place(v, scratch, &mut heads, |word| word.digit_inside(lo, 0));
        return v.copy_from_slice(scratch);
    }
    let low_bits = bits.min(width - bits);
    let shift = width - bits - low_bits;
    let mask = (1usize << low_bits) - 1;
    let mut heads = vec![0u32; (1 << low_bits) + (1 << bits)];
    let (low, high) = heads.split_at_mut(1 << low_bits);
    for &word in v.iter() {
        let lead = word.digit_inside(lo, shift);
        low[lead & mask] += 1;
        high[lead >> low_bits] += 1;
    }
    to_heads(low);
    to_heads(high);
    place(v, scratch, low, |word| word.digit_inside(lo, shift) & mask);
    place(scratch, v, high, |word| word.digit_inside(lo, shift) >> low_bits);
    if shift > 0 {
        sort_ties(v, scratch, |word| word.digit_inside(lo, shift));
    }
}

/// Sorts every run of words with one lead.
#[expect(clippy::arithmetic_side_effects, reason = "start <= at")]
fn sort_ties<W: Word>(v: &mut [W], scratch: &mut [W], lead: impl Fn(W) -> usize) {
    let mut start = 0;
    let mut last = lead(v[0]);
    for at in 1..v.len() {
        let now = lead(v[at]);
        if now != last {
            if at - start > 1 {
                sort(&mut v[start..at], &mut scratch[start..at]);
            }
            (start, last) = (at, now);
        }
    }
    sort(&mut v[start..], &mut scratch[start..]);
}

#[expect(clippy::arithmetic_side_effects, reason = "at > 0")]
fn sort_short<W: Word>(v: &mut [W]) {
    if v.len() > SHORT {
        return v.sort_unstable();
    }
    for end in 1..v.len() {
        let word = v[end];
        let mut at = end;
        while at > 0 && v[at - 1] > word {
            v[at] = v[at - 1];
            at -= 1;
        }
        v[at] = word;
    }
}

/// Turns counts into where each bucket begins.
#[expect(clippy::arithmetic_side_effects, reason = "counts below 2^32, which `place` asserts")]
fn to_heads(counts: &mut [u32]) {
    let mut sum = 0;
    for count in counts {
        (*count, sum) = (sum, sum + *count);
    }
}

/// Places every word of `from` at its bucket's head in `to`, which advances. The heads were counted over
/// `from` with the same digits.
#[expect(clippy::arithmetic_side_effects, reason = "a head counts up to the next bucket's")]
fn place<W: Word>(from: &[W], to: &mut [W], heads: &mut [u32], digit: impl Fn(W) -> usize) {
    assert!(from.len() == to.len() && u32::try_from(from.len()).is_ok());
    for &word in from {
        let head = &mut heads[digit(word)];
        let at = *head as usize;
        *head += 1;
        debug_assert!(at < to.len());
        // SAFETY: the heads were counted over these words, in whatever order. Each starts at the sum of the
        // counts before and advances once a counted word: below `from.len()`, which is `to.len()` and fits 32
        // bits, as asserted.
        unsafe { *to.get_unchecked_mut(at) = word };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<W: Word + std::fmt::Debug>(words: Vec<W>) {
        let (mut mine, mut theirs, mut scratch) = (words.clone(), words.clone(), words);
        sort(&mut mine, &mut scratch);
        theirs.sort_unstable();
        assert_eq!(mine, theirs);
    }

    fn mixed(index: u64) -> u64 {
        let z = (index.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (z ^ z >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[test]
    fn words_of_every_spread_are_sorted() {
        for len in [0, 1, 2, SHORT, SHORT + 1, MIDDLING, MIDDLING + 1, 1009, 30_011] {
            for narrow in [0, 20, 40, 52, 56, 62, 63] {
                check((0..len as u64).map(|i| mixed(i) >> narrow).collect());
                check((0..len as u64).map(|i| mixed(i) << narrow).collect());
            }
            check((0..len as u64).map(|i| mixed(i) as u8).collect());
            check((0..len as u64).map(|i| (u128::from(mixed(i)) << 64) | u128::from(mixed(!i))).collect());
            // One far outlier crowds all others into one bucket, again and again.
            check(
                (0..len as u64)
                    .map(|i| if i % 1000 == 0 { u64::MAX >> (i % 64) } else { mixed(i) % 977 })
                    .collect(),
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_words_are_sorted(words in proptest::collection::vec(any::<u64>(), 0..2000), narrow in 0u32..64) {
            check(words.into_iter().map(|word| word >> narrow).collect());
        }
    }
}
