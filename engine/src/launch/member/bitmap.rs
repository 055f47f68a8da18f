//! Done bits: one per claim unit, set after the unit's writes.
//!
//! Bits of units that one member owns under the static schedule lie together, and different owners' bits are
//! at least 128 bytes apart. Members that work on their own blocks therefore never write to the same line.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::launch::grid::block;

/// Words between the places of neighbouring owners.
pub(crate) const OWNER_STRIDE: usize = 16;

/// The done bits of one launch.
#[derive(Clone, Copy)]
pub(crate) struct Bitmap<'a> {
    words: &'a [AtomicU64],
    units: usize,
    size: usize,
}

impl<'a> Bitmap<'a> {
    pub(crate) fn new(words: &'a [AtomicU64], units: usize, size: usize) -> Bitmap<'a> {
        Bitmap { words, units, size }
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the plan is checked: units are not 0, and units times ranks is far below a word"
    )]
    fn place(&self, unit: usize) -> (&'a AtomicU64, u64) {
        let owner = ((unit + 1) * self.size - 1) / self.units;
        (&self.words[unit / 64 + owner * OWNER_STRIDE], 1 << (unit % 64))
    }

    /// Clears all bits. Driver only, before the launch opens.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the plan is checked: units are not 0, and units times ranks is far below a word"
    )]
    pub(crate) fn clear(&self) {
        for owner in 0..self.size {
            let own = block(self.units, owner, self.size);
            if !own.is_empty() {
                let (first, last) = (own.lo / 64, (own.hi - 1) / 64);
                for word in &self.words[first + owner * OWNER_STRIDE..=last + owner * OWNER_STRIDE] {
                    word.store(0, Ordering::Relaxed);
                }
            }
        }
    }

    /// Records that `unit` is done. Release: pairs with the Acquire in [`Self::is_done`].
    pub(crate) fn set(&self, unit: usize) {
        let (word, bit) = self.place(unit);
        word.fetch_or(bit, Ordering::Release);
    }

    pub(crate) fn is_done(&self, unit: usize) -> bool {
        let (word, bit) = self.place(unit);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Units done so far.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the plan is checked: units are not 0, and units times ranks is far below a word"
    )]
    pub(crate) fn count(&self) -> usize {
        let mut done = 0;
        for owner in 0..self.size {
            let own = block(self.units, owner, self.size);
            if !own.is_empty() {
                let (first, last) = (own.lo / 64, (own.hi - 1) / 64);
                let words = &self.words[first + owner * OWNER_STRIDE..=last + owner * OWNER_STRIDE];
                done += words
                    .iter()
                    .map(|word| word.load(Ordering::Relaxed).count_ones() as usize)
                    .sum::<usize>();
            }
        }
        done
    }

    /// The units that are not done, in order.
    pub(crate) fn holes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.units).filter(|unit| !self.is_done(*unit))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_independent_and_owners_apart(units in 1usize..3000, size in 1usize..70) {
            let words: Vec<AtomicU64> = (0..units / 64 + 1 + size * OWNER_STRIDE).map(|_| AtomicU64::new(!0)).collect();
            let map = Bitmap::new(&words, units, size);
            map.clear();
            prop_assert_eq!(map.count(), 0);
            for unit in (0..units).step_by(3) {
                map.set(unit);
            }
            for unit in 0..units {
                prop_assert_eq!(map.is_done(unit), unit % 3 == 0);
            }
            prop_assert_eq!(map.count(), units.div_ceil(3));
            prop_assert_eq!(map.holes().count(), units - units.div_ceil(3));
            for rank in 0..size {
                for unit in block(units, rank, size).range() {
                    prop_assert_eq!(((unit + 1) * size - 1) / units, rank);
                }
            }
        }
    }
}
