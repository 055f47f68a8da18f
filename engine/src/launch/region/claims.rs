//! How the chunks of one step are shared out: each rank begins with those of its own span, from the front, and
//! then takes chunks of other ranks, from the back.
//!
//! One word per rank holds the step, and how many of the rank's chunks were taken from either end:
//!
//! | bits | |
//! |---|---|
//! | 63 to 32 | the step's number |
//! | 31 to 16 | chunks taken from the front |
//! | 15 to 0 | chunks taken from the back |
//!
//! A rank opens its word for a step before it meets the others there, so all find it open. A rank that is
//! still at the step before sees another number and takes nothing; its compare-and-swap cannot mistake one
//! step for another, since ranks are at most one step apart. What is claimed by a rank that dies stays undone:
//! the region ends with an error then.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU64, Ordering};
use crate::team::step_state::StepState;

/// Chunks of a rank's span, if it is long enough.
pub(crate) const CHUNKS: usize = 16;

/// One rank's claims in one step.
pub(crate) struct ChunkClaims<'a> {
    states: &'a [Line<StepState>],
    rank: usize,
    size: usize,
    step: u32,
    /// Whose chunks are being taken, counted from this rank.
    distance: usize,
}

/// Opens a rank's word for a step.
pub(crate) fn open(word: &AtomicU64, step: u32) {
    // Relaxed: the rank's arrival at the step follows, which the others wait for.
    word.store(u64::from(step) << 32, Ordering::Relaxed);
}

impl<'a> ChunkClaims<'a> {
    pub(crate) fn new(states: &'a [Line<StepState>], rank: usize, size: usize, step: u32) -> ChunkClaims<'a> {
        ChunkClaims { states, rank, size, step, distance: 0 }
    }

    /// The next chunk to run, as its owner and its place among the owner's `count(owner)` chunks.
    #[expect(clippy::arithmetic_side_effects, reason = "ranks and the size of a team are small")]
    pub(crate) fn next(&mut self, count: impl Fn(usize) -> usize) -> Option<(usize, usize)> {
        while self.distance < self.size {
            let owner = (self.rank + self.distance) % self.size;
            let word = &self.states[owner].claims;
            if let Some(chunk) = claim(word, self.step, count(owner), owner == self.rank) {
                return Some((owner, chunk));
            }
            self.distance += 1;
        }
        None
    }
}

/// Takes one of `count` chunks, from the front or the back.
#[expect(clippy::arithmetic_side_effects, reason = "less than count, which is small")]
fn claim(word: &AtomicU64, step: u32, count: usize, front: bool) -> Option<usize> {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let (of_front, of_back) = ((seen >> 16 & 0xffff) as usize, (seen & 0xffff) as usize);
        if seen >> 32 != u64::from(step) || of_front + of_back >= count {
            return None;
        }
        let (next, chunk) =
            if front { (seen + (1 << 16), of_front) } else { (seen + 1, count - 1 - of_back) };
        // Relaxed: what chunks read was written before all met, and what they write is read after the next
        // meeting.
        match word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Some(chunk),
            Err(now) => seen = now,
        }
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
