//! Moving elements within an array, several workers at once.
//!
//! # Safety
//! Parts of a plan's moves touch disjoint slots: each slot is the target of at most one move and the source
//! of at most one, and where a chain is cut the later part's first target, which the earlier part would read
//! last, is read from its saved copy. The callers' share, which nothing here checks: [`carry`] is given whole
//! parts of one plan, each once; [`reverse`] disjoint spans; [`append`] a counter that starts at 0 and counts
//! this array alone. None of these launches is retried.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::partition::{Source, source};
use phalanx::Element;
use phalanx::grant::ScatterView;
use phalanx::sync::Counter;
use std::ops::Range;

/// Makes one part of a plan's moves, in order.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "slots have 32 bits, blocks 11, and the view checks the places"
)]
pub(super) fn carry<T: Element>(
    x: &ScatterView<'_, T>,
    moves: &[[u32; 2]],
    saved: &[T],
    base: usize,
    block: usize,
) {
    let place = |slot: usize| base + slot * block..base + (slot + 1) * block;
    for &[to, from] in moves {
        // SAFETY: this part alone touches the slot, by the module's argument, and the slice ends with this
        // turn.
        let target = unsafe { x.slice_mut(place(to as usize)) };
        match source(from) {
            // SAFETY: as above; no move has its own target as source.
            Source::Slot(slot) => target.copy_from_slice(unsafe { x.slice(place(slot)) }),
            Source::Saved(index) => target.copy_from_slice(&saved[index * block..][..block]),
        }
    }
}

/// Swaps the elements of `span`, in the first half of the array, with those that mirror them.
#[expect(clippy::arithmetic_side_effects, reason = "the span lies in the array")]
pub(super) fn reverse<T: Element>(x: &ScatterView<'_, T>, span: Range<usize>) {
    let mirror = x.len() - span.end..x.len() - span.start;
    assert!(span.end <= mirror.start, "the span lies in the first half");
    // SAFETY: spans of different chunks are disjoint, their mirrors too, and all mirrors lie behind all
    // spans.
    let low = unsafe { x.slice_mut(span) };
    // SAFETY: as above.
    let high = unsafe { x.slice_mut(mirror) };
    for (low, high) in low.iter_mut().zip(high.iter_mut().rev()) {
        std::mem::swap(low, high);
    }
}

/// Writes `count` words behind those that other chunks have appended. The room was made for all of them.
pub(super) fn append<T: Element>(
    out: &ScatterView<'_, T>,
    taken: &Counter,
    count: usize,
    words: impl Iterator<Item = T>,
) {
    if count == 0 {
        return;
    }
    let start = taken.add(count as u64) as usize;
    // SAFETY: the counter gives every chunk a range of its own, and nobody reads the array meanwhile.
    let place = unsafe { out.slice_mut(start..start.saturating_add(count)) };
    place.iter_mut().zip(words).for_each(|(place, word)| *place = word);
}
