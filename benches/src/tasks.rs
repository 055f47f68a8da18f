//! Tasks: maps, single calls, many calls, imap, start and stop.

use crate::bench::Bench;
use crate::harness::{self, Contender, Outcome, Race, Sampler, Setup};
use crate::peers::Peer;
use crate::report::{Goal, Report, Target};
use clap::Args;
use phalanx::{Backend, Pool};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

const PROCESSES: &str = "phalanx-processes";
const THREADS: &str = "phalanx-threads";
const RAYON: &str = "rayon";
const SERIAL: &str = "serial";

/// Items of `map_squares`.
const SQUARES: u64 = 1_000_000;
/// Calls of `apply_async_gather`.
const CALLS: u64 = 100_000;
/// Items of one sample of `imap_item`.
const STREAM: u64 = 50_000;

/// Stated for two workers on two cores.
const TARGETS: &[Target] = &[
    Target { bench: "map_squares", variant: PROCESSES, goal: Goal::Below(8e6) },
    Target { bench: "apply_empty", variant: PROCESSES, goal: Goal::Below(5e3) },
    Target { bench: "apply_async_gather", variant: PROCESSES, goal: Goal::Below(0.1e9) },
    Target { bench: "imap_item", variant: PROCESSES, goal: Goal::Below(1e9 / 300_000.0) },
    Target { bench: "pool_start_stop", variant: PROCESSES, goal: Goal::Below(10e6) },
];

const RACES: &[Race<Tasks>] = &[
    ("map_squares", map_squares),
    ("apply_empty", apply_empty),
    ("apply_async_gather", apply_async_gather),
    ("imap_item", imap_item),
    ("pool_start_stop", pool_start_stop),
];

/// Calls through the pool: map, apply, apply_async, imap, start and stop.
#[derive(Debug, Args)]
pub struct Tasks {
    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon")]
    vs: Vec<Peer>,

    #[arg(long, value_name = "BENCHES", value_delimiter = ',', help = harness::only_these(RACES))]
    only: Vec<String>,
}

impl Bench for Tasks {
    const NAME: &'static str = "tasks";

    fn measures() -> Vec<&'static str> {
        harness::names(RACES)
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        harness::run(RACES, &self.only, setup, self, TARGETS, report)
    }
}

fn ours<'a>(
    setup: &'a Setup,
    body: impl Fn(&mut Sampler, &Pool) -> Outcome<()> + Copy + 'a,
) -> Vec<Contender<'a>> {
    vec![
        Contender::new(PROCESSES, move |sampler| body(sampler, &setup.pool(Backend::Processes)?)),
        Contender::new(THREADS, move |sampler| body(sampler, &setup.pool(Backend::Threads)?)),
    ]
}

fn check(is_right: bool, what: &str) -> Outcome<()> {
    if is_right { Ok(()) } else { Err(format!("{what}: a wrong result").into()) }
}

fn check_squares(squares: &[u64]) -> Outcome<()> {
    let is_right =
        squares.len() as u64 == SQUARES && squares.iter().zip(0u64..).all(|(square, n)| *square == n * n);
    check(is_right, "map_squares")
}

/// `map` of x*x over a million integers.
fn map_squares<'a>(setup: &'a Setup, options: &Tasks) -> Outcome<Vec<Contender<'a>>> {
    let mut contenders = ours(setup, |sampler, pool| {
        check_squares(&pool.map(|n: u64| n * n, 0..SQUARES)?)?;
        sampler.each(
            || Ok(()),
            |()| {
                std::hint::black_box(pool.tasks().always_out().map(|n: u64| n * n, 0..SQUARES)?);
                Ok(())
            },
        )
    });
    if options.vs.contains(&Peer::Rayon) {
        contenders.push(Contender::new(RAYON, move |sampler| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(setup.workers()).build()?;
            sampler.each(
                || Ok(()),
                |()| {
                    let squares: Vec<u64> = pool.install(|| {
                        (0..SQUARES).into_par_iter().map(|n| std::hint::black_box(n) * n).collect()
                    });
                    std::hint::black_box(squares);
                    Ok(())
                },
            )
        }));
    }
    contenders.push(Contender::new(SERIAL, |sampler| {
        sampler.each(
            || Ok(()),
            |()| {
                let squares: Vec<u64> = (0..SQUARES).map(|n| std::hint::black_box(n) * n).collect();
                std::hint::black_box(squares);
                Ok(())
            },
        )
    }));
    Ok(contenders)
}

/// One empty call, to awake workers, and its result.
fn apply_empty<'a>(setup: &'a Setup, options: &Tasks) -> Outcome<Vec<Contender<'a>>> {
    let mut contenders = ours(setup, |sampler, pool| sampler.chain(|| Ok(pool.apply(|()| (), ())?)));
    if options.vs.contains(&Peer::Rayon) {
        contenders.push(Contender::new(RAYON, move |sampler| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(setup.workers()).build()?;
            sampler.chain(|| {
                pool.install(|| std::hint::black_box(()));
                Ok(())
            })
        }));
    }
    Ok(contenders)
}

/// A hundred thousand calls, then all results.
fn apply_async_gather<'a>(setup: &'a Setup, _options: &Tasks) -> Outcome<Vec<Contender<'a>>> {
    Ok(ours(setup, |sampler, pool| {
        sampler.each(
            || Ok(()),
            |()| {
                let results: Vec<_> = (0..CALLS).map(|n| pool.apply_async(|n: u64| n + 1, n)).collect();
                let mut sum = 0;
                for result in results {
                    sum += result.get()?;
                }
                check(sum == CALLS * (CALLS + 1) / 2, "apply_async_gather")
            },
        )
    }))
}

/// One item of `imap` in chunks of one.
fn imap_item<'a>(setup: &'a Setup, _options: &Tasks) -> Outcome<Vec<Contender<'a>>> {
    Ok(ours(setup, |sampler, pool| {
        sampler.parts(STREAM, || {
            let mut sum = 0;
            for value in pool.tasks().chunksize(1).imap(|n: u64| n + 1, 0..STREAM) {
                sum += value?;
            }
            check(sum == STREAM * (STREAM + 1) / 2, "imap_item")
        })
    }))
}

/// Making a pool, one call, and ending it.
fn pool_start_stop<'a>(setup: &'a Setup, _options: &Tasks) -> Outcome<Vec<Contender<'a>>> {
    let cycle = move |backend, sampler: &mut Sampler| {
        sampler.each(
            || Ok(()),
            |()| {
                let pool = setup.pool(backend)?;
                check(pool.apply(|n: u32| n + 1, 1)? == 2, "pool_start_stop")
            },
        )
    };
    Ok(vec![
        Contender::new(PROCESSES, move |sampler| cycle(Backend::Processes, sampler)),
        Contender::new(THREADS, move |sampler| cycle(Backend::Threads, sampler)),
    ])
}
