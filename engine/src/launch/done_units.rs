//! How many units of a launch are done, from a copy of its done bits (`member/bitmap.rs`).
#![deny(clippy::arithmetic_side_effects)]

use crate::launch::grid::block;
use crate::launch::member::bitmap::OWNER_STRIDE;

/// Words that hold the bits of a launch of so many units on a team of `size`.
pub(crate) fn words(units: usize, size: usize) -> usize {
    (units / 64).saturating_add(1).saturating_add(size.saturating_mul(OWNER_STRIDE))
}

/// Counts the bits in a copy of those words.
pub(crate) fn count(words: &[u64], units: usize, size: usize) -> u64 {
    let mut done = 0u64;
    for owner in 0..size {
        let own = block(units, owner, size);
        let Some(last) = own.hi.checked_sub(1).filter(|_| !own.is_empty()) else { continue };
        let shift = owner.saturating_mul(OWNER_STRIDE);
        let place = (own.lo / 64).saturating_add(shift)..(last / 64).saturating_add(shift).saturating_add(1);
        let bits = words.get(place).unwrap_or_default().iter().map(|word| u64::from(word.count_ones()));
        done = done.saturating_add(bits.fold(0, u64::saturating_add));
    }
    done.min(units as u64)
}
