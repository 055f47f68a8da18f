//! What a benchmark is, and the result of a run.

use super::class::Class;
use super::team::Team;
use super::verification::{Check, Verdict};
use crate::harness::Outcome;

/// One of the benchmarks.
pub trait Benchmark {
    /// Its short name, lower case.
    fn name(&self) -> &'static str;
    /// The size of a class, for the printed headline.
    fn size(&self, class: Class) -> String;
    /// Prepares, runs the timed part once, and compares the result.
    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured>;
}

/// The result of one run.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Time of the timed part.
    pub seconds: f64,
    /// Operations in it, as the reference implementation counts them.
    pub operations: f64,
    /// Comparisons with official values; none where none are published.
    pub checks: Vec<Check>,
}

impl Measured {
    /// The rate.
    pub fn mops(&self) -> f64 {
        self.operations / self.seconds / 1e6
    }

    /// The verdict of the comparisons.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.checks)
    }
}
