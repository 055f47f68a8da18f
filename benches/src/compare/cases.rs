//! The workloads that runtimes are compared on: ours, theirs, and the sum that programs outside must print.

use super::theirs::{self, Theirs};
use super::{bodies, ours};
use crate::harness::Outcome;
use crate::sizing::workload::{Job, Workload};
use crate::sizing::workloads::{flat, grid, items, named};
use phalanx::Pool;

/// A workload on all runtimes.
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// The name of its records.
    pub bench: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Elements of one run, and with `--quick`.
    pub elements: (usize, usize),
    /// Pieces of a run, of which one is shown: launches, or steps.
    pub pieces: u32,
    /// Runs in a sample, since one is too short for the clock.
    pub runs: u32,
    /// Ours.
    pub ours: fn(&Pool, usize) -> Outcome<Box<dyn Job>>,
    /// That of teams of threads.
    pub theirs: fn(usize) -> Box<dyn Theirs>,
    /// What programs outside must print.
    pub checksum: fn(usize) -> f64,
}

/// Numbers stay small, so that their sum is exact.
const MODULUS: u64 = 1_000_003;

fn of_words(words: impl Iterator<Item = u64>) -> f64 {
    words.map(|word| word % MODULUS).sum::<u64>() as f64
}

/// Makes the job of a workload that the other commands have, too.
fn job(name: &str, pool: &Pool, len: usize) -> Outcome<Box<dyn Job>> {
    let own: &Workload = named(name)?;
    (own.prepare)(pool, len)
}

/// All of them.
pub const CASES: &[Case] = &[
    Case {
        name: "empty",
        bench: "compare_empty",
        about: "an empty launch on all members",
        elements: (1, 1),
        pieces: 1,
        runs: 100,
        ours: ours::empty,
        theirs: |_| Box::new(theirs::Empty),
        checksum: |_| 0.0,
    },
    Case {
        name: "triad",
        bench: "compare_triad",
        about: "a = b + 0.4 c over float64",
        elements: (1 << 22, 1 << 18),
        pieces: 1,
        runs: 1,
        ours: |pool, len| job("triad", pool, len),
        theirs: theirs::triad,
        checksum: |len| (0..len).map(|place| flat::value(place) + 0.4 * flat::value(place)).sum(),
    },
    Case {
        name: "sum",
        bench: "compare_sum",
        about: "the sum of an array of float64",
        elements: (1 << 23, 1 << 19),
        pieces: 1,
        runs: 1,
        ours: |pool, len| job("sum", pool, len),
        theirs: theirs::sum,
        checksum: |len| (0..len).map(flat::value).sum(),
    },
    Case {
        name: "map",
        bench: "compare_map",
        about: "the squares of so many numbers, each a small task",
        elements: (1_000_000, 100_000),
        pieces: 1,
        runs: 1,
        ours: ours::squares,
        theirs: theirs::squares,
        checksum: |len| of_words((0..len as u64).map(theirs::square)),
    },
    Case {
        name: "uneven",
        bench: "compare_uneven",
        about: "skewed work: the last element takes a thousand times the time of the first",
        elements: (1 << 16, 1 << 13),
        pieces: 1,
        runs: 1,
        ours: |pool, len| job("uneven", pool, len),
        theirs: theirs::uneven,
        checksum: |len| of_words((0..len).map(|at| items::churn(at as u64, items::steps(at, len)))),
    },
    Case {
        name: "heat",
        bench: "compare_heat",
        about: "a step of the heat equation on a plate of float64",
        elements: (1 << 22, 1 << 18),
        pieces: 1,
        runs: 1,
        ours: |pool, len| job("heat", pool, len),
        theirs: theirs::heat,
        checksum: |len| {
            let rows = len.div_ceil(grid::WIDTH);
            (0..rows * grid::WIDTH).map(|place| grid::next_height(place, rows)).sum()
        },
    },
    Case {
        name: "bodies",
        bench: "compare_bodies",
        about: "a step of so many bodies that attract each other, of very many tiny ones",
        elements: (128, 128),
        pieces: bodies::STEPS as u32,
        runs: 1,
        ours: ours::bodies,
        theirs: theirs::bodies,
        checksum: bodies::checksum,
    },
];

/// Returns the case of this name.
pub fn case(name: &str) -> Result<&'static Case, String> {
    let names = || CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
    let found = CASES.iter().find(|case| case.name == name);
    found.ok_or_else(|| format!("there is no workload '{name}' to compare on, only {}, npb", names()))
}
