//! Steps: how ranks meet. README.md in `launch` describes the protocol and what a kill leaves behind.
//!
//! In small teams, every rank meets every other one. Larger teams meet in a tree of fan-out 8: a rank arrives
//! once its subtree has arrived, the root releases, and releases travel down.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{Ordering, spin_loop};
use crate::launch::region::claims::{self, ChunkClaims};
use crate::launch::region::digest::{Digest, Key};
use crate::launch::region::error::RegionError;
use crate::launch::region::step_kind::StepKind;
use crate::sync::{ALL, EventCount};
use crate::sys::affinity;
use crate::sys::clock::ticks;
use crate::team::member::SpinBudget;
use crate::team::step_state::{PAYLOAD_BYTES, POISON, Payload, StepState};
use bytemuck::Pod;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Largest team in which every rank meets every other one.
const ALL_TO_ALL: usize = 8;
/// Children of a rank in the tree.
const FAN_OUT: usize = 8;

/// What a step adds to a count, whose lowest bit is POISON.
const STEP: u32 = 2;

/// How many times a rank checks for its peer between two reads of the clock.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 64 };
/// Longest sleep of a waiting rank: a backstop against a state whose words were overwritten by a stray write.
const BACKSTOP: Duration = Duration::from_secs(1);

/// Every rank's state and payload, wherever these words live: on the board, or on the heap under the model
/// checker.
#[derive(Clone, Copy)]
pub(crate) struct StepStates<'a> {
    pub(crate) states: &'a [Line<StepState>],
    pub(crate) payloads: &'a [Line<Payload>],
}

/// One rank's place at the steps of a region.
pub(crate) struct Steps<'a> {
    at: StepStates<'a>,
    rank: usize,
    size: usize,
    key: Key,
    /// Steps made so far, wrapping.
    count: u32,
    /// How long to look for a peer before sleeping.
    patience: SpinBudget,
    broken: Option<RegionError>,
    /// Whether this thread has asked for short time slices.
    short_slices: Cell<bool>,
}

/// Time slice of a member that has had to sleep at a step, in ns: about the shortest that the kernel grants.
const SHORT_SLICE_NS: u64 = 100_000;

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        if self.short_slices.get() {
            // 0 is the kernel's own choice, as before.
            let _older = affinity::set_slice(0);
        }
    }
}

fn has_reached(word: u32, target: u32) -> bool {
    (word & !POISON).wrapping_sub(target) as i32 >= 0
}

impl<'a> Steps<'a> {
    pub(crate) fn new(
        at: StepStates<'a>,
        rank: usize,
        size: usize,
        key: Key,
        patience: SpinBudget,
    ) -> Steps<'a> {
        Steps { at, rank, size, key, count: 0, patience, broken: None, short_slices: Cell::new(false) }
    }

    /// Which of the two slots the next step uses.
    fn parity(&self) -> usize {
        self.count as usize & 1
    }

    /// The digest of a step, with nothing added yet but its kind.
    #[inline]
    pub(crate) fn digest(&self, kind: StepKind) -> Digest {
        Digest::new(self.key, kind)
    }

    /// Meets all other ranks: after everything this rank has written, and before anything it reads next.
    #[inline]
    pub(crate) fn meet(&mut self, kind: StepKind, digest: Digest, line: u32) -> Result<(), RegionError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let (state, parity) = (&self.at.states[self.rank], self.parity());
        let slot = &state.slots[parity];
        let digest = digest.words();
        slot.digest[0].store(digest[0], Ordering::Relaxed);
        slot.digest[1].store(digest[1], Ordering::Relaxed);
        slot.site.store((kind as u64) << 32 | u64::from(line), Ordering::Relaxed);
        self.count = self.count.wrapping_add(1);
        let target = self.count << 1;
        let met = if self.size <= ALL_TO_ALL {
            self.meet_all(state, parity, digest, target)
        } else {
            self.meet_in_tree(state, parity, digest, target)
        };
        met.inspect_err(|error| {
            self.broken = Some(error.clone());
            self.poison();
        })
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "ranks and the size of a team are small, and a team has ranks"
    )]
    fn meet_all(
        &self,
        state: &StepState,
        parity: usize,
        digest: [u64; 2],
        target: u32,
    ) -> Result<(), RegionError> {
        state.arrived.count_by(STEP, ALL);
        for distance in 1..self.size {
            // Ranks start with different peers, so that they do not all read one line at once.
            let peer = (self.rank + distance) % self.size;
            let other = &self.at.states[peer];
            self.await_count(&other.arrived, target, peer)?;
            self.compare(peer, parity, digest)?;
        }
        Ok(())
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "ranks and the size of a team are small, and a team has ranks"
    )]
    fn meet_in_tree(
        &self,
        state: &StepState,
        parity: usize,
        digest: [u64; 2],
        target: u32,
    ) -> Result<(), RegionError> {
        let first = self.rank * FAN_OUT + 1;
        for child in first..(first + FAN_OUT).min(self.size) {
            let other = &self.at.states[child];
            self.await_count(&other.arrived, target, child)?;
            self.compare(child, parity, digest)?;
        }
        state.arrived.count_by(STEP, ALL);
        if self.rank > 0 {
            let parent = (self.rank - 1) / FAN_OUT;
            let above = &self.at.states[parent];
            self.await_count(&above.released, target, parent)?;
        }
        state.released.count_by(STEP, ALL);
        Ok(())
    }

    fn compare(&self, peer: usize, parity: usize, digest: [u64; 2]) -> Result<(), RegionError> {
        let theirs = &self.at.states[peer].slots[parity];
        let seen = [theirs.digest[0].load(Ordering::Relaxed), theirs.digest[1].load(Ordering::Relaxed)];
        if seen == digest { Ok(()) } else { Err(self.disagreement(peer, parity)) }
    }

    #[cold]
    fn disagreement(&self, peer: usize, parity: usize) -> RegionError {
        let mine = self.at.states[self.rank].slots[parity].site.load(Ordering::Relaxed);
        let theirs = self.at.states[peer].slots[parity].site.load(Ordering::Relaxed);
        RegionError::Disagree {
            rank: self.rank,
            mine: StepKind::name_of(mine >> 32),
            my_line: mine as u32,
            other: peer,
            theirs: StepKind::name_of(theirs >> 32),
            their_line: theirs as u32,
        }
    }

    /// Waits until a count of `owner`'s has reached `target`.
    #[inline]
    fn await_count(&self, count: &EventCount, target: u32, owner: usize) -> Result<(), RegionError> {
        let mut began = 0;
        for look in 0_u32.. {
            // What the owner wrote before its step is visible.
            let seen = count.seen();
            if has_reached(seen, target) {
                return Ok(());
            }
            if seen & POISON != 0 {
                return Err(RegionError::Broken { by: owner });
            }
            if look % LOOKS == LOOKS - 1 {
                let now = ticks();
                began = if began == 0 { now } else { began };
                // No yield: on a shared core it would give away a whole time slice, whereas a sleeper keeps
                // its claim.
                if now.wrapping_sub(began) >= self.patience.shared.min(self.patience.ticks) {
                    self.want_short_slices();
                    sleep_on(count, seen);
                }
            }
            spin_loop();
        }
        Err(RegionError::Broken { by: owner })
    }

    /// Asks for short time slices until the region ends, once. A peer that is late has probably lost its core
    /// to another program, and a team that meets often waits for its slowest member's next slice. The share
    /// of the core stays the same. An operating system without this option performs as well on a quiet
    /// machine.
    #[cold]
    fn want_short_slices(&self) {
        if !self.short_slices.replace(true) {
            let _older = affinity::set_slice(SHORT_SLICE_NS);
        }
    }

    /// Why this rank can make no further step, if it cannot.
    pub(crate) fn broken(&self) -> Option<&RegionError> {
        self.broken.as_ref()
    }

    /// Marks permanently, for all ranks, that this rank will not continue.
    pub(crate) fn poison(&self) {
        self.at.states[self.rank].poison();
    }

    /// Publishes this rank's value for the coming step.
    pub(crate) fn put<A: Pod>(&self, index: usize, value: &A) {
        put(self.at, self.rank, self.parity(), index, value);
    }

    /// Publishes a value for the coming step in a rank's place, which only this rank does.
    pub(crate) fn put_for<A: Pod>(&self, rank: usize, index: usize, value: &A) {
        put(self.at, rank, self.parity(), index, value);
    }

    /// Lets the chunks of the coming step be claimed. Before [`Self::meet`].
    pub(crate) fn open_claims(&self) {
        claims::open(&self.at.states[self.rank].claims, self.count.wrapping_add(1));
    }

    /// This rank's claims on the chunks of the step just made, which [`Self::open_claims`] went before.
    pub(crate) fn claims(&self) -> ChunkClaims<'a> {
        ChunkClaims::new(self.at.states, self.rank, self.size, self.count)
    }

    /// A rank's value of the step just made.
    pub(crate) fn get<A: Pod>(&self, rank: usize, index: usize) -> A {
        get(self.at, rank, self.parity() ^ 1, index)
    }
}

#[cold]
#[expect(clippy::arithmetic_side_effects, reason = "a constant second or so from now")]
fn sleep_on(count: &EventCount, seen: u32) {
    count.sleep(seen, Some(Instant::now() + BACKSTOP), || false);
}

/// Resets the states for a region. Driver only, before the region opens.
pub(crate) fn reset(at: StepStates<'_>) {
    for state in at.states {
        state.arrived.reset();
        state.released.reset();
    }
}

/// Number of words that a value takes in a payload.
pub(crate) fn words_of<A>() -> usize {
    size_of::<A>().div_ceil(8)
}

#[expect(clippy::arithmetic_side_effects, reason = "the words of a payload, which its slice checks")]
fn put<A: Pod>(at: StepStates<'_>, rank: usize, parity: usize, index: usize, value: &A) {
    let words = &at.payloads[rank][parity][index * words_of::<A>()..];
    for (word, part) in words.iter().zip(bytemuck::bytes_of(value).chunks(8)) {
        word.store(packed(part), Ordering::Relaxed);
    }
}

/// Up to eight bytes as a word.
pub(crate) fn packed(part: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..part.len()].copy_from_slice(part);
    u64::from_le_bytes(word)
}

#[expect(clippy::arithmetic_side_effects, reason = "the words of a payload, which its slice checks")]
fn get<A: Pod>(at: StepStates<'_>, rank: usize, parity: usize, index: usize) -> A {
    let mut value = A::zeroed();
    let words = &at.payloads[rank][parity][index * words_of::<A>()..];
    for (word, part) in words.iter().zip(bytemuck::bytes_of_mut(&mut value).chunks_mut(8)) {
        part.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes()[..part.len()]);
    }
    value
}

/// What a rank's body returned: the value of its last step.
pub(crate) fn left_with<R: Pod>(at: StepStates<'_>, rank: usize) -> R {
    let steps = at.states[rank].arrived.seen() >> 1;
    get(at, rank, (steps.wrapping_sub(1) & 1) as usize, 0)
}

/// Number of values of `A` that fit into one payload.
pub(crate) const fn payload_capacity<A>() -> usize {
    let size = size_of::<A>().next_multiple_of(8);
    match PAYLOAD_BYTES.checked_div(size) {
        Some(count) => count,
        None => PAYLOAD_BYTES,
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
