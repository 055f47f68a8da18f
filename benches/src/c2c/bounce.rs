//! Two pinned workers that pass a cache line to and fro.

use crate::harness::Outcome;
use phalanx::{ArrayOptions, PagePlacement, Placement, Pool, SharedArray};
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// Looks at the word between two looks at the clock.
const LOOKS: u32 = 1 << 16;
/// Where each rank leaves its time, far from the word that is passed.
const TIMES: usize = 64;
/// Rounds before the timed ones.
const TOGETHER: u64 = 16;
/// Time after which a partner that does not answer counts as gone.
const FAILED: Duration = Duration::from_secs(30);

/// What passes the line on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A store, which the other waits for with loads.
    Store,
    /// A compare-and-swap, which each repeats until it succeeds.
    Exchange,
}

impl Way {
    /// The name of its records.
    pub fn name(self) -> &'static str {
        match self {
            Way::Store => "c2c_store",
            Way::Exchange => "c2c_exchange",
        }
    }
}

/// Two CPUs and the line between them.
pub struct Pair {
    /// The CPUs.
    pub cpus: (u32, u32),
    /// The node that the line's memory is on.
    pub home: Option<u32>,
}

impl Pair {
    /// Nanoseconds that the line takes one way, of as many samples as the time allows, at least five.
    pub fn samples(&self, way: Way, rounds: u32, budget: Duration) -> Outcome<Vec<f64>> {
        let both = Placement::Cpus(vec![self.cpus.0, self.cpus.1]);
        let pool = Pool::builder().placement(both).workers(2).build()?;
        let placement = self.home.map_or(PagePlacement::default(), PagePlacement::Bind);
        let mut line = SharedArray::<u64>::zeros_with(TIMES + 2, &ArrayOptions::new().placement(placement))?;
        let by_exchange = way == Way::Exchange;
        let mut samples = Vec::new();
        let began = Instant::now();
        // The first is warm-up.
        while samples.len() < 6 || began.elapsed() < budget / 10 {
            line.fill(0);
            let launch = pool.launch().timeout(FAILED);
            launch.broadcast((line.atomic(), rounds, by_exchange), |rank, (line, rounds, by_exchange)| {
                let pass = if by_exchange { exchange } else { store };
                // A few before the clock is read, so that both are there.
                if !pass(&line[0], rank as u64, 0..TOGETHER) {
                    return;
                }
                let began = Instant::now();
                let is_whole = pass(&line[0], rank as u64, TOGETHER..TOGETHER + u64::from(rounds));
                if is_whole {
                    line[TIMES + rank].store(began.elapsed().as_nanos() as u64, Relaxed);
                }
            })?;
            let ns = &line.as_slice()[TIMES..TIMES + 2];
            let (words, expected) = (line.as_slice()[0], 2 * (TOGETHER + u64::from(rounds)));
            if words != expected || ns.contains(&0) {
                let (name, cpus) = (way.name(), self.cpus);
                return Err(format!("{name} between CPUs {cpus:?}: {words} passes, not {expected}").into());
            }
            let ns = ns.iter().sum::<u64>() as f64 / ns.len() as f64;
            samples.push(ns / (2 * rounds) as f64);
        }
        samples.remove(0);
        Ok(samples)
    }
}

/// Waits for its turn, which is while the word is even for rank 0 and odd for rank 1, and passes it on.
fn store(word: &AtomicU64, rank: u64, mut rounds: Range<u64>) -> bool {
    rounds.all(|round| {
        let own = 2 * round + rank;
        let is_there = until(|| word.load(Acquire) == own);
        if is_there {
            word.store(own + 1, Release);
        }
        is_there
    })
}

/// The same by compare-and-swap alone.
fn exchange(word: &AtomicU64, rank: u64, mut rounds: Range<u64>) -> bool {
    rounds.all(|round| {
        let own = 2 * round + rank;
        until(|| word.compare_exchange(own, own + 1, Acquire, Relaxed).is_ok())
    })
}

/// Tries until it is so; false when the partner is gone.
fn until(is_so: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if is_so() {
                return true;
            }
            std::hint::spin_loop();
        }
        if began.elapsed() > FAILED || phalanx::is_cancelled() {
            return false;
        }
        // Both on one core, or a busy machine: the other has to run first.
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_is_counted_and_timed() {
        let allowed: Vec<u32> = phalanx::topology::Limits::detect().allowed.iter().collect();
        // Both workers on one CPU pass the word too, at the pace of the scheduler.
        let cpus = (allowed[0], *allowed.last().unwrap());
        for way in [Way::Store, Way::Exchange] {
            let samples = Pair { cpus, home: None }.samples(way, 20, Duration::ZERO).unwrap();
            assert!(samples.len() == 5 && samples.iter().all(|ns| *ns > 0.0), "{samples:?}");
        }
    }
}
