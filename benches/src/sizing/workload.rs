//! What a workload is: a job of a known number of elements, whose answer is checked.

use crate::harness::Outcome;
use phalanx::{Launch, Pool, Schedule};
use std::time::{Duration, Instant};

/// A built-in workload.
pub struct Workload {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Elements of one run.
    pub elements: usize,
    /// The same with `--quick`.
    pub quick: usize,
    /// Floating-point operations per element, given how many elements there are; 0 where it has none worth
    /// counting.
    pub flops: fn(usize) -> f64,
    /// Bytes read from and written to memory per element, if nothing stays in a cache; 0 where memory does
    /// not matter.
    pub bytes: f64,
    /// Whether twice the elements are twice the work.
    pub is_linear: bool,
    /// What a chunk is counted in.
    pub chunks: Chunks,
    /// Makes the data of so many elements.
    pub prepare: fn(&Pool, usize) -> Outcome<Box<dyn Job>>,
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Who decides on chunks, and what they consist of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chunks {
    /// A launch: the caller may set size and schedule. The unit is so many elements.
    Launch {
        /// Elements of a unit.
        elements: usize,
    },
    /// Calls of a function: the caller may set how many items travel together; the first free worker gets
    /// them.
    Tasks,
    /// The kernel itself.
    Kernel,
}

/// How a run is to be cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Units in a chunk; `None` leaves it to the engine.
    pub chunk: Option<usize>,
    /// Who gets which chunk.
    pub schedule: Schedule,
}

impl Cut {
    /// All is left to the engine.
    pub const OWN: Cut = Cut { chunk: None, schedule: Schedule::Stealing };

    /// A launch that is cut so.
    pub fn launch(self, pool: &Pool) -> Launch<'_> {
        let launch = pool.launch().schedule(self.schedule);
        match self.chunk {
            Some(units) => launch.chunk(units),
            None => launch,
        }
    }
}

/// A workload with its data, on one pool.
pub trait Job {
    /// Puts back what a run changes; not timed.
    fn ready(&mut self) -> Outcome<()> {
        Ok(())
    }

    /// One run.
    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()>;

    /// Checks what the last run left.
    fn check(&self) -> Outcome<()>;

    /// Units in the longest chunk that the engine cuts where it is not told, found by a launch over the same
    /// operands. `None` where that cannot be told.
    fn own_chunk(&self, _pool: &Pool) -> Outcome<Option<usize>> {
        Ok(None)
    }
}

/// One run, of which what makes it ready is not timed.
pub fn timed(job: &mut dyn Job, pool: &Pool, cut: Cut) -> Outcome<Duration> {
    job.ready()?;
    let began = Instant::now();
    job.run(pool, cut)?;
    Ok(began.elapsed())
}

/// An error that names the first place where an answer is not what it should be.
pub fn wrong(place: usize, got: f64, want: f64) -> Outcome<()> {
    Err(format!("a wrong answer: element {place} is {got} and should be {want}").into())
}

/// Whether two values differ by no more than this; NaN is near to nothing.
pub fn is_near(got: f64, want: f64, by: f64) -> bool {
    (got - want).abs() <= by
}

/// Compares an answer with a function of the place; every element, or some thousands spread over it.
pub fn compare(got: &[f64], stride: usize, want: impl Fn(usize) -> f64) -> Outcome<()> {
    for place in (0..got.len()).step_by(stride.max(1)) {
        let (got, want) = (got[place], want(place));
        if !is_near(got, want, 1e-12 * want.abs()) {
            return wrong(place, got, want);
        }
    }
    Ok(())
}
