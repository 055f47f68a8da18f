//! Sampling and statistics.

use crate::cli::Cli;
use crate::report::Record;
use crate::watchdog;
use phalanx::topology::{CpuSet, Limits, Machine, Request, plan};
use phalanx::{Backend, Pool};
use std::time::{Duration, Instant};

/// The result of anything here; the error is for the person at the terminal.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Samples of one turn at most.
const MAX_SAMPLES: usize = 1 << 20;
/// Warm-up of a turn: at least this long and this often.
const WARM_UP: (Duration, u32) = (Duration::from_millis(10), 20);

/// What all benches share.
pub struct Setup {
    /// The cores that every team is pinned to, one a worker.
    pub places: Vec<CpuSet>,
    /// Why these.
    pub reason: String,
    /// Time for the samples of one bench and variant.
    pub budget: Duration,
    /// Turns in which it is spent.
    pub rounds: u32,
    /// Variants to measure; empty for all.
    pub variants: Vec<String>,
}

impl Setup {
    /// Finds the cores.
    pub fn new(cli: &Cli) -> Outcome<Setup> {
        let workers = cli.workers.map(|workers| workers as usize);
        let request = Request { workers, threads_per_worker: 1, ..Request::default() };
        let layout = plan(&Machine::detect()?, &Limits::detect(), &request)?;
        Ok(Setup {
            places: layout.workers.into_iter().map(|place| place.cpuset).collect(),
            reason: layout.reason,
            budget: Duration::from_secs_f64(cli.seconds),
            rounds: cli.rounds,
            variants: cli.variants.clone(),
        })
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.places.len()
    }

    /// A pool of this backend on these cores.
    pub fn pool(&self, backend: Backend) -> Outcome<Pool> {
        Ok(Pool::builder().workers(self.workers()).backend(backend).build()?)
    }
}

/// What a variant does in its turn.
type Turn<'a> = Box<dyn FnMut(&mut Sampler) -> Outcome<()> + 'a>;

/// One variant of a bench: makes its team, then hands work to the sampler.
pub struct Contender<'a> {
    /// The variant's name.
    pub variant: &'static str,
    /// One turn.
    pub turn: Turn<'a>,
}

impl<'a> Contender<'a> {
    /// A variant whose turn is `turn`.
    pub fn new(variant: &'static str, turn: impl FnMut(&mut Sampler) -> Outcome<()> + 'a) -> Self {
        Contender { variant, turn: Box::new(turn) }
    }
}

/// Takes the samples of one variant.
pub struct Sampler {
    /// In nanoseconds, or whatever the bench's unit is.
    pub samples: Vec<f64>,
    /// Time for one turn.
    pub budget: Duration,
}

impl Sampler {
    /// Times each run of `step`, one after the other without a pause: one clock reading a sample (about 25 ns) is part of it.
    pub fn chain(&mut self, mut step: impl FnMut() -> Outcome<()>) -> Outcome<()> {
        warm_up(&mut step)?;
        self.samples.reserve(MAX_SAMPLES / 16);
        let began = Instant::now();
        let mut last = began;
        for _ in 0..MAX_SAMPLES {
            step()?;
            let now = Instant::now();
            self.samples.push((now - last).as_nanos() as f64);
            if now - began > self.budget {
                break;
            }
            last = now;
        }
        Ok(())
    }

    /// Times each run of `step`, which does `parts` things, and counts the time of one.
    pub fn parts(&mut self, parts: u64, mut step: impl FnMut() -> Outcome<()>) -> Outcome<()> {
        step()?;
        let earlier = self.samples.len();
        self.each(|| Ok(()), |()| step())?;
        self.samples[earlier..].iter_mut().for_each(|sample| *sample /= parts as f64);
        Ok(())
    }

    /// Times each run of `step` on what `prepare` gives; `prepare` is not timed.
    pub fn each<T>(
        &mut self,
        mut prepare: impl FnMut() -> Outcome<T>,
        mut step: impl FnMut(T) -> Outcome<()>,
    ) -> Outcome<()> {
        let began = Instant::now();
        for _ in 0..MAX_SAMPLES {
            let ready = prepare()?;
            let start = Instant::now();
            step(ready)?;
            self.samples.push(start.elapsed().as_nanos() as f64);
            if began.elapsed() > self.budget {
                break;
            }
        }
        Ok(())
    }

    /// Times how long `make` takes; what it makes is dropped untimed.
    pub fn makes<T>(&mut self, mut make: impl FnMut() -> Outcome<T>) -> Outcome<()> {
        let began = Instant::now();
        for _ in 0..MAX_SAMPLES {
            let start = Instant::now();
            let made = make()?;
            self.samples.push(start.elapsed().as_nanos() as f64);
            drop(made);
            if began.elapsed() > self.budget {
                break;
            }
        }
        Ok(())
    }
}

fn warm_up(step: &mut impl FnMut() -> Outcome<()>) -> Outcome<()> {
    let began = Instant::now();
    let mut runs = 0;
    while runs < WARM_UP.1 || began.elapsed() < WARM_UP.0 {
        step()?;
        runs += 1;
    }
    Ok(())
}

/// Runs the variants of a bench in turns, each round beginning with another one, and gives their figures.
pub fn race(setup: &Setup, bench: &'static str, mut contenders: Vec<Contender<'_>>) -> Outcome<Vec<Record>> {
    let wanted = |name: &str| setup.variants.is_empty() || setup.variants.iter().any(|want| want == name);
    contenders.retain(|contender| wanted(contender.variant));
    let budget = setup.budget / setup.rounds;
    let mut samples: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    let count = contenders.len();
    for round in 0..setup.rounds as usize {
        for turn in 0..count {
            let index = (round + turn) % count;
            let contender = &mut contenders[index];
            watchdog::note(format!("{bench} of {}", contender.variant));
            let mut sampler = Sampler { samples: std::mem::take(&mut samples[index]), budget };
            (contender.turn)(&mut sampler)
                .map_err(|error| format!("{bench} of {} failed: {error}", contender.variant))?;
            samples[index] = sampler.samples;
        }
    }
    let workers = setup.workers();
    let named = contenders.iter().zip(samples);
    Ok(named
        .map(|(contender, samples)| Record::of(bench, contender.variant, workers, samples, "ns"))
        .collect())
}

/// The `q` quantile of sorted samples (nearest rank); NaN without samples.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// The median of sorted samples: the mean of the middle two where there are two.
pub fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.05), 5.0);
        assert_eq!(quantile(&hundred, 0.95), 95.0);
        assert_eq!(quantile(&[7.0], 0.05), 7.0);
        assert_eq!(quantile(&[7.0], 0.95), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn medians_of_even_and_odd_counts() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_sampler_takes_at_least_one_sample_and_divides_parts() {
        let mut sampler = Sampler { samples: vec![8.0], budget: Duration::ZERO };
        sampler.parts(1_000_000_000, || Ok(())).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(sampler.samples.len(), 2);
        assert_eq!(sampler.samples[0], 8.0, "earlier turns stay as they are");
        assert!(sampler.samples[1] < 1.0);
    }

    #[test]
    fn a_failing_step_ends_the_turn() {
        let mut sampler = Sampler { samples: Vec::new(), budget: Duration::from_secs(60) };
        assert!(sampler.chain(|| Err("no".into())).is_err());
        assert!(sampler.samples.is_empty());
    }
}
