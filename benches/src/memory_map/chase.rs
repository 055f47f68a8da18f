//! Loads that depend on each other: what a core waits for a cache line.

use crate::harness::Outcome;
use crate::sizing::bootstrap::Random;
use phalanx::CancelToken;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes of a cache line.
pub const LINE: usize = 64;
/// Words of a cache line.
const WORDS: usize = LINE / size_of::<u64>();
/// Loads of a sample.
const LOADS: usize = 1 << 15;
/// Loads of the untimed walk before, at most.
const WARM_UP: usize = 1 << 18;
/// Samples at most: more make intervals slow to compute.
const MOST: usize = 400;

/// Links all cache lines of the words into one cycle in random order (Sattolo's shuffle, 1986): the first
/// word of a line is the place of the next line's. No prefetcher can tell it beforehand.
pub fn link(words: &mut [u64], random: &mut Random) {
    let lines = words.len() / WORDS;
    let mut next: Vec<u32> = (0..lines as u32).collect();
    for line in (1..lines).rev() {
        next.swap(line, random.below(line));
    }
    for (line, next) in next.into_iter().enumerate() {
        words[line * WORDS] = u64::from(next) * WORDS as u64;
    }
}

/// Follows the cycle for so many loads, each of which needs the one before.
fn follow(words: &[u64], mut at: usize, loads: usize) -> usize {
    for _ in 0..loads {
        at = words[at] as usize;
    }
    at
}

/// Nanoseconds of a load, in samples of many, for as long as the time allows: at least three.
pub fn samples(words: &[u64], budget: Duration, stop: &CancelToken) -> Outcome<Vec<f64>> {
    let lines = words.len() / WORDS;
    let mut at = follow(words, 0, lines.min(WARM_UP));
    if lines <= WARM_UP && at != 0 {
        return Err(format!("the cycle over {lines} cache lines does not close: it is at word {at}").into());
    }
    let mut samples = Vec::new();
    let began = Instant::now();
    while samples.len() < 3 || (began.elapsed() < budget && samples.len() < MOST) {
        if stop.is_cancelled() {
            break;
        }
        let start = Instant::now();
        at = black_box(follow(black_box(words), at, LOADS));
        samples.push(start.elapsed().as_nanos() as f64 / LOADS as f64);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_visits_every_line_once_before_it_closes() {
        for lines in [1, 2, 3, 64, 1000] {
            let mut words = vec![u64::MAX; lines * WORDS];
            link(&mut words, &mut Random(lines as u64));
            let mut seen = vec![false; lines];
            let mut at = 0;
            for _ in 0..lines {
                assert!(at % WORDS == 0 && !std::mem::replace(&mut seen[at / WORDS], true), "{lines}");
                at = follow(&words, at, 1);
            }
            assert_eq!(at, 0);
        }
    }

    #[test]
    fn a_cycle_that_does_not_close_is_an_error() {
        let mut words = vec![0; 64 * WORDS];
        link(&mut words, &mut Random(1));
        assert!(samples(&words, Duration::ZERO, &CancelToken::new()).unwrap().len() >= 3);
        let last = (0..64).map(|line| line * WORDS).find(|at| words[*at] == 0).unwrap();
        words[last] = last as u64;
        assert!(samples(&words, Duration::ZERO, &CancelToken::new()).is_err());
    }
}
