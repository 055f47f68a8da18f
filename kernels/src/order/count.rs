//! Sorting 8- and 16-bit keys by counting them.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::KernelError;
use crate::word::{Key, Word};
use phalanx::{Pool, SharedArray};

/// Sorts by counting every possible word.
///
/// Cost: reads the array once and writes it once.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "counts of elements in memory, by at most 4096 workers and 65,536 words"
)]
pub(super) fn sort<T: Key>(pool: &Pool, x: &mut SharedArray<T>) -> Result<(), KernelError> {
    let (kinds, stripes) = (1usize << T::Word::BITS, pool.workers());
    let cuts = |len: usize| (0..=stripes).map(|stripe| len * stripe / stripes).collect::<Vec<_>>();
    let mut counts = pool.zeros::<u64>(kinds * stripes)?;
    let rows: Vec<usize> = (0..=stripes).map(|stripe| stripe * kinds).collect();
    pool.launch().retry(3).retry_in_place().for_each(
        (x.split_at(&cuts(x.len())), counts.split_at_mut(&rows)),
        |(part, counts)| {
            counts.fill(0);
            count(part, counts);
        },
    )?;
    let mut ends = pool.zeros::<u64>(kinds)?;
    let mut sum = 0;
    for (word, end) in ends.as_mut_slice().iter_mut().enumerate() {
        sum += counts.as_slice().iter().skip(word).step_by(kinds).sum::<u64>();
        *end = sum;
    }
    let len = x.len();
    Ok(pool.launch().retry(3).for_each((x.split_out(), 0..len, ends.whole()), |(part, span, ends)| {
        write::<T>(part, span.start as u64, ends);
    })?)
}

/// Counts the words of some keys.
#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn count<T: Key>(part: &[T], counts: &mut [u64]) {
    part.iter().for_each(|key| counts[key.to_word().widen() as usize] += 1);
}

/// Writes the sorted keys from place `start` on, given how many keys there are up to each word.
#[expect(clippy::arithmetic_side_effects, reason = "places in slices that are indexed")]
fn write<T: Key>(part: &mut [T], start: u64, ends: &[u64]) {
    let mut word = ends.partition_point(|end| *end <= start);
    let mut done = 0;
    while done < part.len() {
        let run = ((ends[word] - start) as usize).min(part.len());
        part[done..run.max(done)].fill(T::from_word(T::Word::narrow(word as u128)));
        done = run.max(done);
        word += 1;
    }
}
