//! The workloads on plain vectors, for teams of threads: the same inner loops as ours.

use super::bodies;
use super::team::Team;
use crate::harness::Outcome;
use crate::sizing::workload::{compare, wrong};
use crate::sizing::workloads::{flat, grid, items};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Parts for each member where the parts take different times.
const PIECES: usize = 64;

/// A workload with its data.
pub trait Theirs {
    /// One run.
    fn run(&mut self, team: &mut Team);

    /// Checks what the last run left.
    fn check(&self) -> Outcome<()>;
}

/// An empty body on every member.
pub struct Empty;

impl Theirs for Empty {
    fn run(&mut self, team: &mut Team) {
        team.everywhere(|rank| {
            std::hint::black_box(rank);
        });
    }

    fn check(&self) -> Outcome<()> {
        Ok(())
    }
}

/// a = b + 0.4 c.
pub struct Triad([Vec<f64>; 3]);

pub fn triad(len: usize) -> Box<dyn Theirs> {
    let values: Vec<f64> = (0..len).map(flat::value).collect();
    Box::new(Triad([vec![0.0; len], values.clone(), values]))
}

impl Theirs for Triad {
    fn run(&mut self, team: &mut Team) {
        let [a, b, c] = &mut self.0;
        let part = part(a.len(), team.members());
        let parts = a.chunks_mut(part).zip(b.chunks(part)).zip(c.chunks(part));
        team.each(parts.collect(), |((a, b), c)| {
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                *a = b + 0.4 * c;
            }
        });
    }

    fn check(&self) -> Outcome<()> {
        compare(&self.0[0], 1, |place| flat::value(place) + 0.4 * flat::value(place))
    }
}

/// The sum of an array.
pub struct Sum(Vec<f64>, f64);

pub fn sum(len: usize) -> Box<dyn Theirs> {
    Box::new(Sum((0..len).map(flat::value).collect(), f64::NAN))
}

impl Theirs for Sum {
    fn run(&mut self, team: &mut Team) {
        let part = part(self.0.len(), team.members());
        let mut sums = vec![0.0; self.0.len().div_ceil(part)];
        let parts = self.0.chunks(part).zip(&mut sums);
        team.each(parts.collect(), |(x, sum)| *sum = flat::sum_of(x));
        self.1 = sums.iter().sum();
    }

    fn check(&self) -> Outcome<()> {
        // Whole numbers: exact in any order.
        compare(&[self.1], 1, |_| (0..self.0.len()).map(flat::value).sum())
    }
}

/// The squares of so many numbers, each a task of its own.
pub struct Squares(Vec<u64>);

pub fn squares(len: usize) -> Box<dyn Theirs> {
    Box::new(Squares(vec![0; len]))
}

impl Theirs for Squares {
    fn run(&mut self, team: &mut Team) {
        let part = part(self.0.len(), team.members());
        let parts = self.0.chunks_mut(part).enumerate();
        team.each(parts.collect(), |(at, out)| {
            for (place, out) in out.iter_mut().enumerate() {
                *out = square(std::hint::black_box((at * part + place) as u64));
            }
        });
    }

    fn check(&self) -> Outcome<()> {
        check_squares(&self.0, self.0.len())
    }
}

/// The task of the map.
pub fn square(n: u64) -> u64 {
    n * n
}

/// Compares squares with what they should be.
pub fn check_squares(got: &[u64], len: usize) -> Outcome<()> {
    if got.len() != len {
        return Err(format!("{} results of {len} items", got.len()).into());
    }
    match got.iter().enumerate().find(|(n, got)| **got != square(*n as u64)) {
        Some((n, got)) => wrong(n, *got as f64, square(n as u64) as f64),
        None => Ok(()),
    }
}

/// Work of which the last part takes a thousand times the time of the first.
pub struct Uneven(Vec<u64>);

pub fn uneven(len: usize) -> Box<dyn Theirs> {
    Box::new(Uneven(vec![0; len]))
}

impl Theirs for Uneven {
    fn run(&mut self, team: &mut Team) {
        let len = self.0.len();
        let part = part(len, team.members() * PIECES);
        team.each(self.0.chunks_mut(part).enumerate().collect(), |(at, out)| {
            for (place, out) in out.iter_mut().enumerate() {
                let place = at * part + place;
                *out = items::churn(place as u64, items::steps(place, len));
            }
        });
    }

    fn check(&self) -> Outcome<()> {
        items::check_uneven(&self.0)
    }
}

/// A step of the heat equation.
pub struct Heat {
    out: Vec<f64>,
    u: Vec<f64>,
}

pub fn heat(len: usize) -> Box<dyn Theirs> {
    let len = len.div_ceil(grid::WIDTH) * grid::WIDTH;
    let height = |place: usize| grid::height(place / grid::WIDTH, place % grid::WIDTH);
    Box::new(Heat { out: vec![0.0; len], u: (0..len).map(height).collect() })
}

impl Theirs for Heat {
    fn run(&mut self, team: &mut Team) {
        let (u, width) = (&self.u, grid::WIDTH);
        let rows = u.len() / width;
        let part = part(rows, team.members());
        let one = |row: usize| &u[row * width..][..width];
        team.each(self.out.chunks_mut(part * width).enumerate().collect(), |(at, out)| {
            for (row, out) in out.chunks_mut(width).enumerate() {
                let row = at * part + row;
                grid::row(out, one(row.saturating_sub(1)), one(row), one((row + 1).min(rows - 1)));
            }
        });
    }

    fn check(&self) -> Outcome<()> {
        grid::check_heat(&self.out)
    }
}

/// Many tiny steps of a few bodies.
pub struct Bodies([Vec<AtomicU64>; 2]);

pub fn bodies(len: usize) -> Box<dyn Theirs> {
    Box::new(Bodies([bodies::start(len), bodies::start(len)]))
}

impl Theirs for Bodies {
    fn run(&mut self, team: &mut Team) {
        let members = team.members();
        bodies::reset(&self.0[0]);
        for step in 0..bodies::STEPS {
            let (from, to) = (&self.0[step % 2], &self.0[(step + 1) % 2]);
            team.everywhere(|rank| bodies::step(from, to, rank, members));
        }
    }

    fn check(&self) -> Outcome<()> {
        let last = &self.0[bodies::STEPS % 2];
        bodies::check(last.len() / bodies::WORDS, last.iter().map(|word| word.load(Relaxed)))
    }
}

/// Elements of a part, of so many for so many members.
fn part(len: usize, members: usize) -> usize {
    len.div_ceil(members.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_right_on_every_team_and_wrong_without_a_run() {
        let all = phalanx::topology::bound_cpuset().unwrap();
        let places = vec![all.clone(), all];
        type Make = fn(usize) -> Box<dyn Theirs>;
        let all: [(Make, usize); 6] =
            [(triad, 1001), (sum, 1001), (squares, 999), (uneven, 300), (heat, 5000), (bodies, 5)];
        for (make, len) in all {
            assert!(make(len).check().is_err(), "nothing was computed yet");
            for mut team in [Team::rayon(&places).unwrap(), Team::Threads(places.clone()), Team::Serial] {
                let mut own = make(len);
                own.run(&mut team);
                own.run(&mut team);
                own.check().unwrap();
            }
        }
    }
}
