//! In-place partition of a long array by the leading bits of its words, by several workers at once.
//!
//! ```text
//! 1 gather   every worker, on its stripe: put each word into its bucket's buffer of one block; write a full
//!            buffer back over the stripe's front, where the words have been read already
//! 2 plan     the driver: buckets' places from the counts; for every full block its slot
//! 3 move     every worker, on a part of the plan: copy blocks along chains of slots
//! 4 finish   every worker, on its bucket: fill the holes from what was left in the buffers; sort the bucket
//! ```
//!
//! A *slot* is a place of `block` words, counted from the array's start. Full blocks of bucket `b` go to the
//! slots that lie wholly inside the bucket: there are at most one fewer of these than full blocks, and a
//! block too many is put aside. Moves form chains (slot to slot, ending in an empty slot) and rings; a chain
//! may be cut anywhere if the block at the cut is saved before the first move, so parts of equal length can
//! run at once.
//!
//! Nothing but the buffers (a block for each bucket and stripe) is needed beside the array. The idea of
//! filling blocks in place and permuting them is that of IPS4o (Axtmann, Witt, Ferizovic, Sanders: In-Place
//! Parallel Super Scalar Samplesort, 2017); planning the permutation ahead instead of claiming blocks with
//! atomics is ours.
//!
//! Bodies on plain slices; `sort` runs them as launches.
//!
//! # Safety
//! A classifier returns digits below its number of buckets, and each table has as many entries as there are
//! buckets.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::word::{Key, Word};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// A slot that holds no full block.
pub(super) const EMPTY: u16 = u16::MAX;
/// Buckets at most; fewer than [`EMPTY`].
pub(super) const MOST_BUCKETS: usize = 2048;
/// Marks a source of a move that is a saved block.
const SAVED: u32 = 1 << 31;

/// Which bucket a word belongs to: a function that never falls as the word grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Classifier {
    lo: [u64; 2],
    shift: u32,
    /// Number of buckets; 0: three of them, for words below, equal to and above `lo`.
    buckets: u32,
}

impl Classifier {
    /// From a sorted sample of the words.
    #[expect(clippy::arithmetic_side_effects, reason = "two buckets at least, and 2048 at most")]
    pub(super) fn from_sample<W: Word>(sample: &[W], buckets: usize) -> Classifier {
        let split = |word: W| [word.widen() as u64, (word.widen() >> 64) as u64];
        let buckets = buckets.clamp(2, MOST_BUCKETS).next_power_of_two();
        let (Some(&lo), Some(&hi)) = (sample.first(), sample.last()) else {
            return Classifier { lo: [0; 2], shift: 0, buckets: 0 };
        };
        // A word that fills a good part of the array gets a bucket of its own, which needs no more sorting.
        let step = sample.len().div_ceil(4).max(1);
        let frequent = sample.iter().zip(sample.iter().skip(step)).find(|(a, b)| a == b).map(|(a, _)| *a);
        if let Some(word) = frequent.or((lo == hi).then_some(lo)) {
            return Classifier { lo: split(word), shift: 0, buckets: 0 };
        }
        let shift = hi.width_above(lo).saturating_sub(buckets.ilog2());
        let used = hi.digit(lo, shift, buckets - 1) + 1;
        Classifier { lo: split(lo), shift, buckets: used as u32 }
    }

    pub(super) fn buckets(&self) -> usize {
        if self.buckets == 0 { 3 } else { self.buckets as usize }
    }

    /// Whether all words of a bucket are equal by definition.
    #[expect(clippy::arithmetic_side_effects, reason = "at most 2048 buckets")]
    pub(super) fn is_uniform(&self, bucket: usize) -> bool {
        if self.buckets == 0 {
            bucket == 1
        } else {
            self.shift == 0 && bucket + 1 < self.buckets() && bucket > 0
        }
    }

    fn lo<W: Word>(&self) -> W {
        W::narrow(u128::from(self.lo[0]) | u128::from(self.lo[1]) << 64)
    }
}

/// What a stripe has gathered, for [`gather`] to fill: a block of room and two counts for each bucket.
pub(super) struct Gathered<'a, W> {
    /// A block for each bucket.
    pub(super) buffers: &'a mut [W],
    /// Words in each bucket's buffer.
    pub(super) left: &'a mut [u32],
    /// Full blocks of each bucket.
    pub(super) blocks: &'a mut [u32],
    /// The bucket of the block in each slot of the stripe, or [`EMPTY`].
    pub(super) labels: &'a mut [u16],
}

/// Step 1: gathers the words of one stripe into blocks of one bucket each at its front, and leftovers in the
/// buffers.
///
/// `stripe` holds the bits of keys where `FRESH`, else words; it holds words afterwards.
#[expect(clippy::arithmetic_side_effects, reason = "at most 2048 buckets of a block in memory")]
pub(super) fn gather<K: Key, const FRESH: bool>(
    stripe: &mut [K::Word],
    classifier: &Classifier,
    block: usize,
    mut to: Gathered<'_, K::Word>,
) {
    let buckets = classifier.buckets();
    assert!(block.is_power_of_two() && to.buffers.len() >= buckets * block);
    assert!(
        to.left.len() >= buckets && to.blocks.len() >= buckets && to.labels.len() >= stripe.len() / block
    );
    to.left[..buckets].fill(0);
    to.blocks[..buckets].fill(0);
    let front = if classifier.buckets == 0 {
        let pivot = classifier.lo::<K::Word>();
        let digit = |word| usize::from(word >= pivot) + usize::from(word > pivot);
        fill_blocks::<K, FRESH>(stripe, block, buckets, &mut to, digit)
    } else {
        let (lo, shift, most) = (classifier.lo::<K::Word>(), classifier.shift, buckets - 1);
        fill_blocks::<K, FRESH>(stripe, block, buckets, &mut to, |word| word.digit(lo, shift, most))
    };
    to.labels[front..].fill(EMPTY);
}

/// The loop of [`gather`]; returns the number of full blocks. `digit` returns numbers below `buckets`.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "places in buffers whose lengths are asserted")]
fn fill_blocks<K: Key, const FRESH: bool>(
    stripe: &mut [K::Word],
    block: usize,
    buckets: usize,
    to: &mut Gathered<'_, K::Word>,
    digit: impl Fn(K::Word) -> usize,
) -> usize {
    let (buffers, left) = (&mut to.buffers[..buckets * block], &mut to.left[..buckets]);
    let mut front = 0;
    for at in 0..stripe.len() {
        let word = if FRESH { bytemuck::cast::<K::Word, K>(stripe[at]).to_word() } else { stripe[at] };
        let bucket = digit(word);
        debug_assert!(bucket < buckets);
        // SAFETY: digits are below `buckets`, the length of `left`.
        let fill = unsafe { left.get_unchecked_mut(bucket) };
        // SAFETY: a buffer's fill is below `block` here, and the buffers are `buckets` blocks.
        unsafe { *buffers.get_unchecked_mut(bucket * block + *fill as usize) = word };
        *fill += 1;
        if *fill as usize == block {
            *fill = 0;
            // Fewer words are in full blocks than were read, so this overwrites none that is still to come.
            stripe[front * block..][..block].copy_from_slice(&buffers[bucket * block..][..block]);
            to.labels[front] = bucket as u16;
            to.blocks[bucket] += 1;
            front += 1;
        }
    }
    front
}

/// One bucket's place and what is known of it, in words from the range's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Bucket {
    /// Its first word.
    pub(super) start: u64,
    /// Past its last.
    pub(super) end: u64,
    /// First word of its full blocks.
    placed: u64,
    /// Past the last word of its full blocks.
    placed_end: u64,
    /// One more than the index of its surplus block, or 0.
    surplus: u32,
    /// Whether it is to be sorted when it is finished.
    pub(super) sorts: u32,
}

impl Bucket {
    #[expect(clippy::arithmetic_side_effects, reason = "start <= end")]
    pub(super) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

/// What is to be done after all stripes are gathered.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) buckets: Vec<Bucket>,
    /// Slots whose block no slot of its bucket can take, in the order of the buckets' `surplus`.
    pub(super) surplus: Vec<usize>,
    /// Copies from slot (or saved block) to slot, in order within each part.
    pub(super) moves: Vec<[u32; 2]>,
    /// Moves of each part but the last.
    pub(super) part: usize,
    /// Slots whose block is to be saved before any move.
    pub(super) saved: Vec<usize>,
}

/// Step 2: plans moves for `len` words gathered in stripes; `left` and `blocks` hold a row of `buckets`
/// counts for each stripe, `labels` a label for each slot.
#[expect(clippy::arithmetic_side_effects, reason = "places and counts of words in memory")]
pub(super) fn plan(
    len: usize,
    block: usize,
    classifier: &Classifier,
    (left, blocks): (&[u32], &[u32]),
    labels: &mut [u16],
    parts: usize,
) -> Plan {
    let count = classifier.buckets();
    let (mut buckets, mut next, mut limit) = (Vec::with_capacity(count), Vec::new(), Vec::new());
    let mut start = 0;
    for bucket in 0..count {
        let sum = |of: &[u32]| of.iter().skip(bucket).step_by(count).map(|n| *n as usize).sum::<usize>();
        let full = sum(blocks);
        let end = start + full * block + sum(left);
        let first = start.div_ceil(block);
        let placed = full.min((end / block).saturating_sub(first));
        let head = (first * block).min(end);
        buckets.push(Bucket {
            start: start as u64,
            end: end as u64,
            placed: head as u64,
            placed_end: (head + placed * block) as u64,
            surplus: 0,
            sorts: u32::from(!classifier.is_uniform(bucket)),
        });
        next.push(first);
        limit.push(first + placed);
        start = end;
    }
    assert_eq!(start, len, "the buckets hold all words");
    let mut from = vec![u32::MAX; labels.len()];
    for (slot, label) in labels.iter().enumerate().filter(|(_, label)| **label != EMPTY) {
        if (next[*label as usize]..limit[*label as usize]).contains(&slot) {
            from[slot] = slot as u32;
        }
    }
    let mut surplus = Vec::new();
    for slot in 0..labels.len() {
        let bucket = labels[slot] as usize;
        if labels[slot] == EMPTY || from[slot] == slot as u32 {
            continue;
        }
        while next[bucket] < limit[bucket] && from[next[bucket]] == next[bucket] as u32 {
            next[bucket] += 1;
        }
        if next[bucket] < limit[bucket] {
            from[next[bucket]] = slot as u32;
            next[bucket] += 1;
        } else {
            surplus.push(slot);
            buckets[bucket].surplus = surplus.len() as u32;
            labels[slot] = EMPTY;
        }
    }
    let (mut moves, mut saved) = chain(&mut from, labels);
    let part = cut(&mut moves, &mut saved, parts);
    Plan { buckets, surplus, moves, part, saved }
}

/// Orders the moves `from[slot] -> slot` so that no block is overwritten before it was copied; returns the
/// slots to save too.
fn chain(from: &mut [u32], labels: &[u16]) -> (Vec<[u32; 2]>, Vec<usize>) {
    let (mut moves, mut saved) = (Vec::with_capacity(from.len()), Vec::new());
    for end in (0..from.len()).filter(|slot| labels[*slot] == EMPTY) {
        let mut slot = end;
        while from[slot] != u32::MAX {
            let source = std::mem::replace(&mut from[slot], u32::MAX);
            moves.push([slot as u32, source]);
            slot = source as usize;
        }
    }
    // What is left are rings, and blocks that lie where they belong.
    for first in 0..from.len() {
        if from[first] == u32::MAX || from[first] as usize == first {
            continue;
        }
        let mut slot = first;
        loop {
            let source = std::mem::replace(&mut from[slot], u32::MAX);
            if source as usize == first {
                moves.push([slot as u32, SAVED | saved.len() as u32]);
                saved.push(first);
                break;
            }
            moves.push([slot as u32, source]);
            slot = source as usize;
        }
    }
    (moves, saved)
}

/// Makes the moves independent between parts of equal length; returns that length.
#[expect(clippy::arithmetic_side_effects, reason = "part is 1 at least")]
fn cut(moves: &mut [[u32; 2]], saved: &mut Vec<usize>, parts: usize) -> usize {
    let part = moves.len().div_ceil(parts.max(1)).max(1);
    for at in (part..moves.len()).step_by(part) {
        if moves[at][0] == moves[at - 1][1] {
            moves[at - 1][1] = SAVED | saved.len() as u32;
            saved.push(moves[at][0] as usize);
        }
    }
    part
}

/// Where a move reads: a slot, or a saved block.
pub(super) enum Source {
    Slot(usize),
    Saved(usize),
}

/// The source that a move names.
pub(super) fn source(word: u32) -> Source {
    if word & SAVED != 0 { Source::Saved((word & !SAVED) as usize) } else { Source::Slot(word as usize) }
}

/// Step 4, first half: fills what the moves left open in a bucket. `v` is the bucket; `leftover(stripe)` its
/// words that remained in a buffer.
#[expect(clippy::arithmetic_side_effects, reason = "places in slices that are indexed")]
pub(super) fn fill_holes<'a, W: Word>(
    v: &mut [W],
    bucket: &Bucket,
    surplus: &'a [W],
    leftovers: impl Iterator<Item = &'a [W]>,
    block: usize,
) {
    let (head, tail) = ((bucket.placed - bucket.start) as usize, (bucket.placed_end - bucket.start) as usize);
    let surplus = match bucket.surplus {
        0 => &[][..],
        index => &surplus[(index as usize - 1) * block..][..block],
    };
    let mut at = 0;
    for words in std::iter::once(surplus).chain(leftovers) {
        let mut words = words;
        while !words.is_empty() {
            if at == head {
                at = tail;
            }
            let room = if at < head { head - at } else { v.len() - at };
            let (now, later) = words.split_at(room.min(words.len()));
            v[at..at + now.len()].copy_from_slice(now);
            at += now.len();
            words = later;
        }
    }
    debug_assert!(at == v.len() || at == head && tail == v.len(), "holes and leftovers agree");
}

/// Where each of `stripes` stripes begins, in slots, and the end.
#[expect(clippy::arithmetic_side_effects, reason = "slots of an array in memory, by at most 4096 workers")]
pub(super) fn stripe_slots(slots: usize, stripes: usize) -> Vec<usize> {
    (0..=stripes).map(|stripe| slots * stripe / stripes.max(1)).collect()
}

/// The words of a stripe between two of [`stripe_slots`]; the last takes those past the last slot too.
#[expect(clippy::arithmetic_side_effects, reason = "slots lie in the array")]
pub(super) fn stripe_words(len: usize, block: usize, slots: Range<usize>, all: usize) -> Range<usize> {
    slots.start * block..if slots.end == all { len } else { slots.end * block }
}
