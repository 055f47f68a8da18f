//! How benches measure: the cores they share, samples of one variant, variants that take turns.

use crate::report::{Record, Report, Target};
use crate::watchdog;
use clap::Args;
use phalanx::topology::{CpuSet, Limits, Machine, Request, plan};
use phalanx::{Backend, Pool};
use std::time::{Duration, Instant};

/// The result of everything in this program. The error text is for the person at the terminal.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Samples of one turn at most.
const MAX_SAMPLES: usize = 1 << 20;
/// Warm-up of a turn: at least this long and this often.
const WARM_UP: (Duration, u32) = (Duration::from_millis(10), 20);

/// Options that all benches share.
#[derive(Debug, Args)]
pub struct Options {
    /// Number of workers [default: one per physical core this process may use]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub workers: Option<u32>,

    /// Seconds of samples per bench and variant, without warm-up
    #[arg(long, global = true, value_name = "S", default_value = "0.5", value_parser = seconds)]
    pub seconds: f64,

    /// Turns in which that time is spent; variants alternate turn by turn
    #[arg(long, global = true, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    /// Measure only these variants in launch benches (phalanx-processes, phalanx-caller-seat,
    /// phalanx-threads, ...)
    #[arg(long, global = true, value_name = "VARIANTS", value_delimiter = ',')]
    pub variants: Vec<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 100.0 => Ok(seconds),
        _ => Err("give a number of seconds above 0 and up to 100".into()),
    }
}

/// What all benches share.
pub struct Setup {
    /// The cores that every team is pinned to, one per worker.
    pub places: Vec<CpuSet>,
    /// Why these.
    pub reason: String,
    /// Time for the samples of one bench and variant.
    pub budget: Duration,
    /// Turns in which it is spent.
    pub rounds: u32,
    /// Variants to measure; empty for all.
    pub variants: Vec<String>,
    /// The number of workers that was asked for.
    pub asked: Option<usize>,
}

impl Setup {
    /// Chooses the cores.
    pub fn new(options: &Options) -> Outcome<Setup> {
        let workers = options.workers.map(|workers| workers as usize);
        let request = Request { workers, threads_per_worker: 1, ..Request::default() };
        let layout = plan(&Machine::detect()?, &Limits::detect(), &request)?;
        Ok(Setup {
            places: layout.workers.into_iter().map(|place| place.cpuset).collect(),
            reason: layout.reason,
            budget: Duration::from_secs_f64(options.seconds),
            rounds: options.rounds,
            variants: options.variants.clone(),
            asked: workers,
        })
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.places.len()
    }

    /// Starts a pool with this backend on these cores.
    pub fn pool(&self, backend: Backend) -> Outcome<Pool> {
        Setup::pool_of(self.workers(), backend)
    }

    /// Starts a pool of so many workers with this backend, on the cores that a pool has by default.
    pub fn pool_of(workers: usize, backend: Backend) -> Outcome<Pool> {
        Ok(Pool::builder().workers(workers).backend(backend).build()?)
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
    /// Times each run of `step`, one after the other without a pause: one clock reading a sample (about 25
    /// ns) is part of it.
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

    /// Times each run of `step` on what `prepare` returns; `prepare` is not timed.
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

/// Runs the variants of a bench in turns, each round beginning with another one, and returns their figures.
fn race(setup: &Setup, bench: &'static str, mut contenders: Vec<Contender<'_>>) -> Outcome<Vec<Record>> {
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

/// A bench whose variants take turns: its name, and its variants under the options of its family.
pub type Race<O> = (&'static str, for<'a> fn(&'a Setup, &O) -> Outcome<Vec<Contender<'a>>>);

/// The names of these benches.
pub fn names<O>(races: &[Race<O>]) -> Vec<&'static str> {
    races.iter().map(|(bench, _)| *bench).collect()
}

/// The help of an option that chooses some of these benches.
pub fn only_these<O>(races: &[Race<O>]) -> String {
    format!("Run only these benches ({})", names(races).join(", "))
}

/// Runs the benches that are named in `only`, or all where it is empty, and reports each.
pub fn run<O>(
    races: &[Race<O>],
    only: &[String],
    setup: &Setup,
    options: &O,
    targets: &[Target],
    report: &mut Report,
) -> Outcome<()> {
    if let Some(unknown) = only.iter().find(|name| !names(races).contains(&name.as_str())) {
        return Err(format!("there is no bench '{unknown}' here, only {}", names(races).join(", ")).into());
    }
    for (bench, contenders) in races {
        if only.is_empty() || only.iter().any(|name| name == bench) {
            report.group(&race(setup, bench, contenders(setup, options)?)?, targets);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
