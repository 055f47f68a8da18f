//! All passes by the engine: each is one launch, in which pinned workers sweep the mapped array in chunks.
//!
//! Nothing is copied or sent: workers map the same file, and what they find goes through shared memory.
//! Leaves of a reduction depend on the data's length only and are folded in a fixed tree, so the bits are the
//! same for every number of workers and every backend.

use crate::sweep::{Result, Sweep, Tally};
use common::Meter;
use phalanx::launch::Progress;
use phalanx::{Element, Launch, Pool, SharedArray};
use phalanx_kernels::KernelError;
use phalanx_kernels::profile::{self, Cell, Extremes, Intervals, Keyed, Plan, Small, Summary};
use std::cell::Cell as Mutable;

/// The passes over one array by the workers of a pool.
pub struct Team<'a, T> {
    pool: &'a Pool,
    data: &'a SharedArray<T>,
    meter: &'a Meter,
}

/// Progress of one launch in bytes, added to the meter of the whole run.
struct Advance<'a> {
    meter: &'a Meter,
    unit_bytes: u64,
    done: Mutable<u64>,
}

impl Advance<'_> {
    fn to(&self, units: usize) {
        let bytes = units as u64 * self.unit_bytes;
        self.meter.advance(bytes.saturating_sub(self.done.replace(bytes)));
    }
}

impl<'a, T: Element> Team<'a, T> {
    /// The passes over `data` by the workers of `pool`.
    pub fn new(pool: &'a Pool, data: &'a SharedArray<T>, meter: &'a Meter) -> Self {
        Self { pool, data, meter }
    }

    /// One pass: a launch that reports its progress to the meter.
    fn pass<R>(&self, work: impl FnOnce(Launch<'_>) -> std::result::Result<R, KernelError>) -> Result<R> {
        let advance = Advance { meter: self.meter, unit_bytes: size_of::<T>() as u64, done: Mutable::new(0) };
        let tell = |progress: Progress| advance.to(progress.done);
        self.meter.pass(self.data.len_bytes() as u64);
        let result = work(self.pool.launch().progress(&tell))?;
        advance.to(self.data.len());
        Ok(result)
    }
}

impl<T: Keyed> Sweep<T> for Team<'_, T> {
    fn data(&self) -> &[T] {
        self.data.as_slice()
    }

    fn summarise(&mut self, plan: &Plan) -> Result<(Summary, Vec<u64>)> {
        self.pass(|launch| profile::summarise(launch, self.data, plan))
    }

    fn refine(&mut self, wanted: &Intervals) -> Result<Vec<Cell>> {
        self.pass(|launch| profile::refine(launch, self.data, wanted))
    }

    fn gather(&mut self, wanted: &Intervals, expected: usize) -> Result<Vec<u64>> {
        let gathered = self.pass(|launch| profile::gather(launch, self.data, wanted, expected));
        gathered.map_err(|error| match error.downcast_ref() {
            Some(KernelError::Shape { .. }) => {
                "the file changed while it was read; run again when nobody writes it".into()
            }
            _ => error,
        })
    }
}

impl<T: Small> Tally<T> for Team<'_, T> {
    fn tally(&mut self) -> Result<(Vec<u64>, Extremes)> {
        self.pass(|launch| profile::tally(launch, self.data))
    }
}
