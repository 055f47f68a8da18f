//! How many bytes per second a team reads, writes or copies.

use crate::harness::Outcome;
use crate::npb::simd::multiversion;
use phalanx::{ArrayOptions, CancelToken, Pool, Schedule, SharedArray};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes that one launch moves at least, so that its own cost does not count.
const MOVED: usize = 32 << 20;
/// Samples at most.
const MOST: usize = 200;

/// What is done with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A sum of all of them.
    Read,
    /// The same value everywhere.
    Write,
    /// From one half to the other; the bytes of both count.
    Copy,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::Read, Way::Write, Way::Copy];

    /// The variant's name.
    pub fn name(self) -> &'static str {
        match self {
            Way::Read => "read",
            Way::Write => "write",
            Way::Copy => "copy",
        }
    }
}

multiversion! {
    /// Eight vectors of sums side by side: one alone waits for each addition.
    fn sum(x: &[f64]) -> f64 {
        let (blocks, rest) = x.as_chunks::<64>();
        let mut sums = [0.0; 64];
        for block in blocks {
            sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += x);
        }
        sums.iter().chain(rest).sum()
    }

    fn write(x: &mut [f64], value: f64) {
        x.iter_mut().for_each(|x| *x = value);
    }
}

fn value(place: usize) -> f64 {
    1.0 + (place % 1021) as f64
}

/// Two arrays of so many bytes together, cut into one part for each worker.
pub struct Arrays {
    from: SharedArray<f64>,
    to: SharedArray<f64>,
    /// The sum of all of the first.
    sum: f64,
    chunk: usize,
}

impl Arrays {
    /// Makes them, each worker its own part.
    pub fn make(pool: &Pool, bytes: usize, options: &ArrayOptions) -> Outcome<Arrays> {
        let len = (bytes / 2 / size_of::<f64>()).max(1);
        let chunk = len.div_ceil(pool.workers().max(1));
        let (mut from, mut to) = (pool.zeros_with(len, options)?, pool.zeros_with(len, options)?);
        let launch = pool.launch().chunk(chunk).schedule(Schedule::Static);
        launch.for_each((from.split_mut(), to.split_mut(), 0..len), |(from, to, places)| {
            to.fill(0.0);
            from.iter_mut().zip(places).for_each(|(x, place)| *x = value(place));
        })?;
        // Whole numbers: exact in any order.
        Ok(Arrays { sum: (0..len).map(value).sum(), from, to, chunk })
    }

    /// Bytes per nanosecond, which are GB/s, of launches for as long as the time allows: at least three.
    pub fn samples(
        &mut self,
        pool: &Pool,
        way: Way,
        budget: Duration,
        stop: &CancelToken,
    ) -> Outcome<Vec<f64>> {
        let bytes = 2 * self.from.len_bytes();
        let passes = MOVED.div_ceil(bytes) as u64;
        self.pass(pool, way, passes.min(2))?;
        let mut samples = Vec::new();
        let began = Instant::now();
        while samples.len() < 3 || (began.elapsed() < budget && samples.len() < MOST) {
            if stop.is_cancelled() {
                break;
            }
            let start = Instant::now();
            self.pass(pool, way, passes)?;
            samples.push((bytes as u64 * passes) as f64 / start.elapsed().as_nanos() as f64);
        }
        self.check(way)?;
        Ok(samples)
    }

    /// One launch, in which every worker goes over its part so often.
    fn pass(&mut self, pool: &Pool, way: Way, passes: u64) -> Outcome<()> {
        let launch = pool.launch().chunk(self.chunk).schedule(Schedule::Static);
        let (from, to) = (&mut self.from, &mut self.to);
        match way {
            Way::Read => {
                // The other half holds zeros, the value of the last write, or a copy.
                let expected = to.as_slice().first().copied();
                let got = launch.reduce(
                    (from.split(), to.split(), passes),
                    0.0,
                    |(from, to, passes)| {
                        (0..passes).map(|_| sum(black_box(from)) + sum(black_box(to))).sum::<f64>()
                    },
                    |a, b| a + b,
                )?;
                let other = match expected {
                    Some(first) if first == value(0) => self.sum,
                    Some(first) => first * to.len() as f64,
                    None => 0.0,
                };
                let want = (self.sum + other) * passes as f64;
                if got != want {
                    return Err(format!("a wrong sum: {got} instead of {want}").into());
                }
            }
            Way::Write => {
                launch.for_each((from.split_mut(), to.split_mut(), passes), |(from, to, passes)| {
                    for _ in 0..passes {
                        write(black_box(&mut *from), WRITTEN);
                        write(black_box(&mut *to), WRITTEN);
                    }
                })?
            }
            Way::Copy => launch.for_each((from.split(), to.split_mut(), passes), |(from, to, passes)| {
                for _ in 0..passes {
                    black_box(&mut *to).copy_from_slice(black_box(from));
                }
            })?,
        }
        Ok(())
    }

    /// Looks at what the passes left.
    fn check(&mut self, way: Way) -> Outcome<()> {
        let wrong = |at: usize, got: f64| Err(format!("{}: element {at} is {got}", way.name()).into());
        match way {
            Way::Read => Ok(()),
            Way::Write => {
                let all = self.from.as_slice().iter().chain(self.to.as_slice());
                if let Some((at, got)) = all.enumerate().find(|(_, got)| **got != WRITTEN) {
                    return wrong(at, *got);
                }
                // As it was, for the reads and copies to come.
                self.from.as_mut_slice().iter_mut().enumerate().for_each(|(at, x)| *x = value(at));
                Ok(())
            }
            Way::Copy => {
                let own = self.to.as_slice().iter().enumerate();
                own.clone().find(|(at, got)| **got != value(*at)).map_or(Ok(()), |(at, got)| wrong(at, *got))
            }
        }
    }
}

/// What is written.
const WRITTEN: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::Backend;

    #[test]
    fn every_way_is_checked_in_any_order_on_any_team() {
        for workers in [1, 3] {
            let pool = Pool::builder().workers(workers).backend(Backend::Threads).build().unwrap();
            let mut arrays = Arrays::make(&pool, 50_000, &ArrayOptions::new()).unwrap();
            for way in [Way::Read, Way::Write, Way::Read, Way::Copy, Way::Read, Way::Write] {
                let rates = arrays.samples(&pool, way, Duration::ZERO, &CancelToken::new()).unwrap();
                assert!(rates.len() >= 3 && rates.iter().all(|rate| *rate > 0.0), "{way:?}");
            }
            arrays.from.as_mut_slice()[7] += 1.0;
            let wrong = arrays.samples(&pool, Way::Read, Duration::ZERO, &CancelToken::new());
            assert!(wrong.unwrap_err().to_string().contains("wrong sum"));
            let wrong = arrays.samples(&pool, Way::Copy, Duration::ZERO, &CancelToken::new());
            assert!(wrong.unwrap_err().to_string().contains("element 7"));
        }
    }
}
