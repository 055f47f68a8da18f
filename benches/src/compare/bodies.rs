//! A few bodies that attract each other, in very many tiny steps: what a step costs is mostly what it costs
//! to begin and end it on all members.
//!
//! All runtimes share the state as atomics, so that one text of the step serves threads and processes.

use crate::harness::Outcome;
use crate::sizing::workload::wrong;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Steps of one run: an even number, so that the last state is in the first array.
pub const STEPS: usize = 200;
/// Words of a body: place and velocity.
pub const WORDS: usize = 6;
/// Length of a step.
const DT: f64 = 1e-3;
/// Keeps bodies that meet from flying apart.
const SOFTENING: f64 = 0.05;

/// A word of the first state.
pub fn first(word: usize) -> f64 {
    let mixed = (word as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
    let unit = mixed as f64 / (1_u64 << 53) as f64;
    // Places from 0 to 1, velocities a tenth of that.
    if word % WORDS < 3 { unit } else { (unit - 0.5) * 0.1 }
}

/// The first state of so many bodies.
pub fn start(bodies: usize) -> Vec<AtomicU64> {
    let state: Vec<AtomicU64> = (0..bodies * WORDS).map(|_| AtomicU64::new(0)).collect();
    reset(&state);
    state
}

/// Puts the first state back.
pub fn reset(state: &[AtomicU64]) {
    state.iter().enumerate().for_each(|(word, own)| own.store(first(word).to_bits(), Relaxed));
}

/// The share of a rank in a step: reads all of `from` and writes its own bodies into `to`.
// Relaxed: the end of a launch orders everything.
pub fn step(from: &[AtomicU64], to: &[AtomicU64], rank: usize, ranks: usize) {
    let bodies = from.len() / WORDS;
    let read = |body: usize, word: usize| f64::from_bits(from[body * WORDS + word].load(Relaxed));
    let own = bodies * rank / ranks..bodies * (rank + 1) / ranks;
    for body in own {
        let place = [0, 1, 2].map(|axis| read(body, axis));
        let mut pull = [0.0; 3];
        for other in 0..bodies {
            let away = [0, 1, 2].map(|axis| read(other, axis) - place[axis]);
            let squared = away[0] * away[0] + away[1] * away[1] + away[2] * away[2] + SOFTENING * SOFTENING;
            let strength = 1.0 / (squared * squared.sqrt());
            pull.iter_mut().zip(away).for_each(|(pull, away)| *pull += strength * away);
        }
        for axis in 0..3 {
            let velocity = read(body, 3 + axis) + DT * pull[axis];
            to[body * WORDS + 3 + axis].store(velocity.to_bits(), Relaxed);
            to[body * WORDS + axis].store((place[axis] + DT * velocity).to_bits(), Relaxed);
        }
    }
}

/// The state after all steps, by one rank.
fn last(bodies: usize) -> Vec<f64> {
    let states = [start(bodies), start(bodies)];
    for at in 0..STEPS {
        step(&states[at % 2], &states[(at + 1) % 2], 0, 1);
    }
    states[STEPS % 2].iter().map(|word| f64::from_bits(word.load(Relaxed))).collect()
}

/// Compares a state with the one that one rank computes: the same bits.
pub fn check(bodies: usize, state: impl Iterator<Item = u64>) -> Outcome<()> {
    for (word, (got, want)) in state.zip(last(bodies)).enumerate() {
        let got = f64::from_bits(got);
        if got.to_bits() != want.to_bits() {
            return wrong(word, got, want);
        }
    }
    Ok(())
}

/// The sum of all words after all steps, for programs that print one.
pub fn checksum(bodies: usize) -> f64 {
    last(bodies).iter().sum()
}
