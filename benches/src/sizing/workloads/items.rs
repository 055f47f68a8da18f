//! Workloads of items that are work by themselves.

use crate::harness::Outcome;
use crate::sizing::bootstrap::Random;
use crate::sizing::workload::{Cut, Job, compare, wrong};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::order;
use std::hint::black_box;

/// Arithmetic that touches no memory; each step needs the one before.
pub fn churn(seed: u64, steps: u64) -> u64 {
    (0..steps).fold(seed, |word, step| black_box(word ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Steps of the work of an index, of so many: from 1 to 1000.
pub fn steps(place: usize, len: usize) -> u64 {
    1 + 999 * place as u64 / len.max(1) as u64
}

struct Uneven(SharedArray<u64>);

pub fn uneven(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    Ok(Box::new(Uneven(pool.zeros(len)?)))
}

impl Job for Uneven {
    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()> {
        let len = self.0.len();
        Ok(cut.launch(pool).for_each((self.0.split_out(), 0..len, len), |(out, range, len)| {
            out.iter_mut().zip(range).for_each(|(out, place)| *out = churn(place as u64, steps(place, len)));
        })?)
    }

    fn check(&self) -> Outcome<()> {
        check_uneven(self.0.as_slice())
    }

    fn own_chunk(&self, pool: &Pool) -> Outcome<Option<usize>> {
        let operands = (self.0.split(), 0..self.0.len());
        Ok(Some(pool.reduce(operands, 0, |(out, _)| out.len() as u64, u64::max)? as usize))
    }
}

/// Checks what uneven work left.
pub fn check_uneven(got: &[u64]) -> Outcome<()> {
    for (place, own) in got.iter().enumerate().skip(1).step_by(7) {
        let want = churn(place as u64, steps(place, got.len()));
        if *own != want {
            return wrong(place, *own as f64, want as f64);
        }
    }
    Ok(())
}

/// Steps of a task.
const TASK: u64 = 500;

struct Tasks {
    items: u64,
    results: Vec<u64>,
}

pub fn tasks(_: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    Ok(Box::new(Tasks { items: len as u64, results: Vec::new() }))
}

impl Job for Tasks {
    fn run(&mut self, pool: &Pool, cut: Cut) -> Outcome<()> {
        let tasks = pool.tasks().always_out();
        let tasks = match cut.chunk {
            Some(items) => tasks.chunksize(items),
            None => tasks,
        };
        self.results = tasks.map(|item: u64| churn(item, TASK), 0..self.items)?;
        Ok(())
    }

    fn check(&self) -> Outcome<()> {
        if self.results.len() as u64 != self.items {
            return Err(format!("{} results of {} items", self.results.len(), self.items).into());
        }
        for (place, got) in self.results.iter().enumerate().step_by(7) {
            let want = churn(place as u64, TASK);
            if *got != want {
                return wrong(place, *got as f64, want as f64);
            }
        }
        Ok(())
    }
}

struct Sort {
    before: Vec<u64>,
    array: SharedArray<u64>,
}

pub fn sort(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    let mut random = Random(len as u64);
    let before: Vec<u64> = (0..len).map(|_| random.next()).collect();
    Ok(Box::new(Sort { array: pool.zeros(len)?, before }))
}

impl Job for Sort {
    fn ready(&mut self) -> Outcome<()> {
        self.array.as_mut_slice().copy_from_slice(&self.before);
        Ok(())
    }

    fn run(&mut self, pool: &Pool, _: Cut) -> Outcome<()> {
        Ok(order::sort(pool, &mut self.array)?)
    }

    fn check(&self) -> Outcome<()> {
        let sorted = self.array.as_slice();
        if let Some(place) = sorted.windows(2).position(|pair| pair[0] > pair[1]) {
            return wrong(place, sorted[place] as f64, sorted[place + 1] as f64);
        }
        // The same elements: their sum is the same, whatever the order.
        let sum = |of: &[u64]| of.iter().fold(0_u64, |sum, x| sum.wrapping_add(*x)) as f64;
        compare(&[sum(sorted)], 1, |_| sum(&self.before))
    }
}
