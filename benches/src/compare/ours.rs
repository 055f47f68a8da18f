//! What there is not yet as a workload of the other commands: an empty launch, a map, tiny steps.

use super::bodies;
use super::theirs::{check_squares, square};
use crate::harness::Outcome;
use crate::sizing::workload::{Cut, Job};
use phalanx::{Pool, SharedArray};

struct Empty;

/// An empty body on every member.
pub fn empty(_: &Pool, _: usize) -> Outcome<Box<dyn Job>> {
    Ok(Box::new(Empty))
}

impl Job for Empty {
    fn run(&mut self, pool: &Pool, _: Cut) -> Outcome<()> {
        Ok(pool.broadcast((), |_rank, ()| ())?)
    }

    fn check(&self) -> Outcome<()> {
        Ok(())
    }
}

struct Squares(usize, Vec<u64>);

/// The squares of so many numbers by `map`.
pub fn squares(_: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    Ok(Box::new(Squares(len, Vec::new())))
}

impl Job for Squares {
    fn run(&mut self, pool: &Pool, _: Cut) -> Outcome<()> {
        self.1 = pool.tasks().always_out().map(square, 0..self.0 as u64)?;
        Ok(())
    }

    fn check(&self) -> Outcome<()> {
        check_squares(&self.1, self.0)
    }
}

struct Bodies([SharedArray<u64>; 2]);

/// Many tiny steps of a few bodies, a launch for each.
pub fn bodies(pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    let state = || pool.zeros::<u64>(len * bodies::WORDS);
    Ok(Box::new(Bodies([state()?, state()?])))
}

impl Job for Bodies {
    fn ready(&mut self) -> Outcome<()> {
        let words = self.0[0].as_mut_slice().iter_mut().enumerate();
        words.for_each(|(word, own)| *own = bodies::first(word).to_bits());
        Ok(())
    }

    fn run(&mut self, pool: &Pool, _: Cut) -> Outcome<()> {
        let [first, second] = &mut self.0;
        let ranks = pool.workers();
        for step in 0..bodies::STEPS {
            let (from, to) =
                if step % 2 == 0 { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
            pool.broadcast((from.atomic(), to.atomic(), ranks), |rank, (from, to, ranks)| {
                bodies::step(from, to, rank, ranks);
            })?;
        }
        Ok(())
    }

    fn check(&self) -> Outcome<()> {
        let last = self.0[bodies::STEPS % 2].as_slice();
        bodies::check(last.len() / bodies::WORDS, last.iter().copied())
    }
}
