//! All passes by the engine: each is one launch, in which pinned workers sweep the mapped array in chunks.
//!
//! Nothing is copied or sent: workers map the same file, and what they find goes through shared memory. Leaves of a
//! reduction depend on the data's length only and are folded in a fixed tree, so the bits are the same for every
//! number of workers and every backend.

use crate::number::{Number, Plan, TABLE};
use crate::progress::Meter;
use crate::quantile::{self, CELLS, Cell, Intervals};
use crate::summary::{self, Moments};
use crate::sweep::{Result, Sweep, Tally};
use crate::tally::{self, Extremes, Small};
use phalanx::{Element, Launch, PerWorker, Pool, Progress, SharedArray, Val};
use std::cell::Cell as Mutable;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of a chunk at least: large against the table of bins that is cleared for each.
const LEAST_CHUNK: usize = 256 << 10;
/// Bytes of a chunk at most. A leaf holds a table of 64 KiB, so leaves take 0.4% of the data or less.
const MOST_CHUNK: usize = 16 << 20;
/// Chunks that smaller data is cut into, so that workers end together.
const CHUNKS: usize = 64;
/// Chunks run again if their workers die: a killed worker costs time, not the result.
const RETRIES: u32 = 3;

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

    /// One pass: a launch over the data with chunks of a size that depends on the data's length only.
    fn pass<R>(&self, work: impl FnOnce(Launch<'_>) -> std::result::Result<R, phalanx::Error>) -> Result<R> {
        let bytes = (self.data.len_bytes() / CHUNKS).clamp(LEAST_CHUNK, MOST_CHUNK).next_multiple_of(4096);
        let advance = Advance { meter: self.meter, unit_bytes: size_of::<T>() as u64, done: Mutable::new(0) };
        let tell = |progress: Progress| advance.to(progress.done);
        self.meter.pass(self.data.len_bytes() as u64);
        let result = work(self.pool.launch().chunk(bytes / size_of::<T>()).progress(&tell))?;
        advance.to(self.data.len());
        Ok(result)
    }

    fn positions(&self) -> std::ops::Range<usize> {
        0..self.data.len()
    }
}

impl<T: Number> Sweep<T> for Team<'_, T> {
    fn data(&self) -> &[T] {
        self.data.as_slice()
    }

    fn summarise(&mut self, plan: &Plan) -> Result<(Moments, Vec<u64>)> {
        let mut table = SharedArray::<u64>::zeros(TABLE)?;
        let moments = self.pass(|launch| {
            Ok(launch.retry(RETRIES).reduce(
                (self.data.split(), self.positions(), Val(*plan), table.reduce(0, |a, b| a + b)),
                Moments::EMPTY,
                |(chunk, at, plan, table)| summary::summarise(chunk, at.start as u64, &plan, table),
                Moments::combine::<T>,
            )?)
        })?;
        Ok((moments, table.to_vec()))
    }

    fn refine(&mut self, wanted: &Intervals) -> Result<Vec<Cell>> {
        let mut cells = SharedArray::<Cell>::zeros(CELLS * wanted.len as usize)?;
        cells.fill(Cell::EMPTY);
        self.pass(|launch| {
            Ok(launch.retry(RETRIES).for_each(
                (self.data.split(), Val(*wanted), cells.reduce(Cell::EMPTY, Cell::combine)),
                |(chunk, wanted, cells)| quantile::refine(chunk, &wanted, cells),
            )?)
        })?;
        Ok(cells.to_vec())
    }

    fn gather(&mut self, wanted: &Intervals, expected: usize) -> Result<Vec<u64>> {
        // Each worker collects a chunk's keys in a buffer of its own, then takes room for all of them at once.
        let own = PerWorker::new(|_rank| Vec::<u64>::new());
        let mut keys = SharedArray::<u64>::zeros(expected)?;
        let mut used = SharedArray::<u64>::zeros(1)?;
        self.pass(|launch| {
            Ok(launch.for_each(
                (self.data.split(), Val(*wanted), &own, keys.atomic(), used.atomic()),
                |(chunk, wanted, own, keys, used)| {
                    own.clear();
                    quantile::gather(chunk, &wanted, own);
                    let first = used[0].fetch_add(own.len() as u64, Relaxed) as usize;
                    for (place, key) in keys.iter().skip(first).zip(own.iter()) {
                        place.store(*key, Relaxed);
                    }
                },
            )?)
        })?;
        match used.as_slice()[0] as usize {
            found if found == expected => Ok(keys.to_vec()),
            _ => Err("the file changed while it was read; run again when nobody writes it".into()),
        }
    }
}

impl<T: Small> Tally<T> for Team<'_, T> {
    fn tally(&mut self) -> Result<(Vec<u64>, Extremes)> {
        let mut table = SharedArray::<u64>::zeros(T::CODES)?;
        let extremes = self.pass(|launch| {
            Ok(launch.retry(RETRIES).reduce(
                (self.data.split(), self.positions(), table.reduce(0, |a, b| a + b)),
                Extremes::EMPTY,
                |(chunk, at, table)| tally::tally(chunk, at.start as u64, table),
                Extremes::combine,
            )?)
        })?;
        Ok((table.to_vec(), extremes))
    }
}
