//! Counts primes: a reduction over an index range, with small primes that each worker finds once and keeps.
//! There are 664,579 below 10,000,000 (OEIS A006880).

use clap::Parser;
use common::{Result, count, refuse};
use phalanx::{PerWorker, Pool};
use std::process::ExitCode;

/// Counts the primes below a limit.
#[derive(Parser)]
struct Options {
    /// The limit, at most 2^32
    #[arg(value_parser = count, default_value = "10M")]
    limit: u64,
}

/// Numbers per call of the kernel: their marks fit into the first-level cache.
const CHUNK: usize = 32 << 10;

/// What a worker keeps: primes up to 2^16, enough for all numbers below 2^32, and marks for one chunk.
struct Sieve {
    small: Vec<usize>,
    composite: Vec<bool>,
}

impl Sieve {
    fn new() -> Sieve {
        let mut small: Vec<usize> = Vec::new();
        for n in 2..1 << 16 {
            if small.iter().take_while(|&&p| p * p <= n).all(|&p| n % p != 0) {
                small.push(n);
            }
        }
        Sieve { small, composite: Vec::with_capacity(CHUNK) }
    }

    /// Counts the primes in `from..to`.
    fn count(&mut self, from: usize, to: usize) -> u64 {
        self.composite.clear();
        self.composite.resize(to - from, false);
        for &p in self.small.iter().take_while(|&&p| p * p < to) {
            let first = (p * p).max(from.next_multiple_of(p));
            self.composite.iter_mut().skip(first - from).step_by(p).for_each(|mark| *mark = true);
        }
        self.composite.iter().filter(|mark| !**mark).count() as u64
    }
}

fn main() -> ExitCode {
    let Options { limit } = Options::parse();
    common::run("primes", || print_count(limit))
}

fn print_count(limit: u64) -> Result<()> {
    if limit > 1 << 32 {
        return Err(refuse(format!("{limit} is more than 2^32, up to which the small primes suffice")));
    }
    let limit = usize::try_from(limit)?;
    let pool = Pool::new()?;
    eprintln!("{}", pool.reason());
    let sieve = PerWorker::scratch(|_rank| Sieve::new());
    let primes = pool.launch().chunk(CHUNK).reduce(
        (2..limit.max(2), &sieve),
        0u64,
        |(range, sieve)| sieve.count(range.start, range.end),
        |a, b| a + b,
    )?;
    common::outln!("{primes} primes below {limit}");
    Ok(())
}
