//! Workloads over arrays of one axis.

use crate::harness::Outcome;
use crate::npb::simd::multiversion;
use crate::sizing::workload::{Cut, Job, compare};
use phalanx::{Pool, SharedArray};

/// Neighbours differ, so that a chunk at the wrong place shows.
pub fn value(place: usize) -> f64 {
    1.0 + (place % 1021) as f64
}

fn values(pool: &Pool, len: usize) -> Outcome<SharedArray<f64>> {
    Ok(pool.from_fn(len, value)?)
}

struct Triad([SharedArray<f64>; 3]);

pub fn triad(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    Ok(Box::new(Triad([pool.zeros(len)?, values(pool, len)?, values(pool, len)?])))
}

impl Job for Triad {
    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()> {
        let [a, b, c] = &mut self.0;
        Ok(cut.launch(pool).for_each((a.split_out(), b.split(), c.split()), |(a, b, c)| {
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                *a = b + 0.4 * c;
            }
        })?)
    }

    fn check(&self) -> Outcome<()> {
        compare(self.0[0].as_slice(), 1, |place| value(place) + 0.4 * value(place))
    }

    fn own_chunk(&self, pool: &Pool) -> Outcome<Option<usize>> {
        let [a, b, c] = &self.0;
        let operands = (a.split(), b.split(), c.split());
        let longest = pool.reduce(operands, 0, |(a, ..)| a.len() as u64, u64::max)?;
        Ok(Some(longest as usize))
    }
}

struct Sum(SharedArray<f64>, f64);

pub fn sum(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    Ok(Box::new(Sum(values(pool, len)?, f64::NAN)))
}

/// Eight sums side by side: one alone waits for each addition.
pub fn sum_of(x: &[f64]) -> f64 {
    let (eights, rest) = x.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        sums.iter_mut().zip(eight).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().chain(rest).sum()
}

impl Job for Sum {
    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()> {
        self.1 = cut.launch(pool).reduce(self.0.split(), 0.0, sum_of, |a, b| a + b)?;
        Ok(())
    }

    fn check(&self) -> Outcome<()> {
        // Whole numbers: exact in any order.
        compare(&[self.1], 1, |_| (0..self.0.len()).map(value).sum())
    }

    fn own_chunk(&self, pool: &Pool) -> Outcome<Option<usize>> {
        Ok(Some(pool.reduce(self.0.split(), 0, |x| x.len() as u64, u64::max)? as usize))
    }
}

/// An array that is computed element by element from another.
struct Map {
    out: SharedArray<f64>,
    x: SharedArray<f64>,
    run: fn(&mut Map, &Pool, Cut) -> Outcome<()>,
    want: fn(f64) -> f64,
}

pub fn sqrt(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    let run = |map: &mut Map, pool: &Pool, cut: Cut| -> Outcome<()> {
        Ok(cut.launch(pool).for_each((map.out.split_out(), map.x.split()), |(out, x)| {
            out.iter_mut().zip(x).for_each(|(out, x)| *out = x.sqrt());
        })?)
    };
    Ok(Box::new(Map { out: pool.zeros(len)?, x: values(pool, len)?, run, want: f64::sqrt }))
}

/// Terms of the polynomial beside the constant.
const DEGREE: usize = 16;

#[inline(always)]
fn polynomial_at(x: f64) -> f64 {
    // Near 1, so that no power of it leaves the range.
    let x = x / 1021.0;
    let mut sum = 1.0;
    for _ in 0..DEGREE {
        sum = sum * x + 1.0;
    }
    sum
}

multiversion! {
    fn polynomial_of(out: &mut [f64], x: &[f64]) {
        out.iter_mut().zip(x).for_each(|(out, x)| *out = polynomial_at(*x));
    }
}

pub fn polynomial(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    let run = |map: &mut Map, pool: &Pool, cut: Cut| -> Outcome<()> {
        let operands = (map.out.split_out(), map.x.split());
        Ok(cut.launch(pool).for_each(operands, |(out, x)| polynomial_of(out, x))?)
    };
    Ok(Box::new(Map { out: pool.zeros(len)?, x: values(pool, len)?, run, want: polynomial_at }))
}

impl Job for Map {
    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()> {
        (self.run)(self, pool, cut)
    }

    fn check(&self) -> Outcome<()> {
        compare(self.out.as_slice(), 1, |place| (self.want)(value(place)))
    }

    fn own_chunk(&self, pool: &Pool) -> Outcome<Option<usize>> {
        let operands = (self.out.split(), self.x.split());
        Ok(Some(pool.reduce(operands, 0, |(out, _)| out.len() as u64, u64::max)? as usize))
    }
}

struct Histogram {
    x: SharedArray<u8>,
    counts: SharedArray<u64>,
}

pub fn histogram(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    Ok(Box::new(Histogram { x: pool.from_fn(len, |place| (place % 251) as u8)?, counts: pool.zeros(256)? }))
}

impl Job for Histogram {
    fn ready(&mut self) -> Outcome<()> {
        self.counts.fill(0);
        Ok(())
    }

    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()> {
        let operands = (self.x.split(), self.counts.reduce(0, |a, b| a + b));
        Ok(cut.launch(pool).for_each(operands, |(x, counts)| {
            x.iter().for_each(|x| counts[usize::from(*x)] += 1);
        })?)
    }

    fn check(&self) -> Outcome<()> {
        let counts: Vec<f64> = self.counts.as_slice().iter().map(|count| *count as f64).collect();
        let len = self.x.len();
        compare(&counts, 1, |value| if value < 251 { (len + 250 - value) / 251 } else { 0 } as f64)
    }

    fn own_chunk(&self, pool: &Pool) -> Outcome<Option<usize>> {
        Ok(Some(pool.reduce(self.x.split(), 0, |x| x.len() as u64, u64::max)? as usize))
    }
}
