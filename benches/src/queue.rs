//! Queues: small and large items from one worker process to the other and from the driver to a worker, beside
//! a channel of threads that moves items without copying them.

use crate::bench::Bench;
use crate::harness::{self, Contender, Outcome, Race, Sampler, Setup};
use crate::report::{Goal, Report, Target};
use clap::Args;
use phalanx::channel::{self, Message};
use phalanx::{Backend, Pool};
use std::sync::mpsc;

const WORKERS: &str = "phalanx-processes";
const DRIVER: &str = "phalanx-driver-worker";
const THREADS: &str = "phalanx-threads";
const MPSC: &str = "std-mpsc-threads";

/// Bytes of a large item.
const LARGE: usize = 1_000_000;
/// Capacity of the queue: enough that neither side waits for every step of the other.
const WAITING: usize = 1000;

const TARGETS: &[Target] = &[
    // 1.5 million a second, and 3 GB/s.
    Target { bench: "queue_small", variant: WORKERS, goal: Goal::Below(667.0) },
    Target { bench: "queue_1mb", variant: WORKERS, goal: Goal::Below(333_333.0) },
];

const RACES: &[Race<Queue>] = &[
    ("queue_alone", |_, _| Ok(alone())),
    ("queue_small", |setup, options| Ok(contenders::<u64>(setup, options.items))),
    ("queue_1mb", |setup, options| Ok(contenders::<Vec<u8>>(setup, options.large))),
    ("queue_round_trip", |setup, options| Ok(round_trips(setup, options.items / 20 + 1))),
];

/// Items through queues between processes.
#[derive(Debug, Args)]
pub struct Queue {
    /// Small items per sample
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    items: u64,

    /// Items of 1 MB per sample
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    large: u64,
}

impl Bench for Queue {
    const NAME: &'static str = "queue";

    fn measures() -> Vec<&'static str> {
        harness::names(RACES)
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        if setup.workers() < 2 {
            return Err("the queue benches need two workers; give --workers 2".into());
        }
        harness::run(RACES, &[], setup, self, TARGETS, report)
    }
}

/// An item of this bench, and the value that a reader finds in it.
trait Parcel: Message + Send + Clone {
    fn make() -> Self;
    fn value(&self) -> u64;
}

impl Parcel for u64 {
    fn make() -> u64 {
        3
    }
    fn value(&self) -> u64 {
        *self
    }
}

impl Parcel for Vec<u8> {
    fn make() -> Vec<u8> {
        vec![3; LARGE]
    }
    fn value(&self) -> u64 {
        if self.len() == LARGE && self[LARGE - 1] == 3 { 3 } else { 0 }
    }
}

fn write<T: Parcel>(queue: &channel::Queue<T>, count: u64) {
    let item = T::make();
    for _ in 0..count {
        queue.put(&item).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn read<T: Parcel>(queue: &channel::Queue<T>, count: u64) {
    let next = || queue.get().unwrap_or_else(|error| panic!("{error}")).value();
    let sum: u64 = (0..count).map(|_| next()).sum();
    assert_eq!(sum, 3 * count, "an item came out wrong");
}

fn contenders<T: Parcel>(setup: &Setup, count: u64) -> Vec<Contender<'_>> {
    let between = move |sampler: &mut Sampler, backend| {
        let (pool, queue) = (setup.pool(backend)?, channel::Queue::<T>::bounded(WAITING)?);
        sampler.parts(count, || {
            Ok(pool.broadcast((&queue, count), |rank, (queue, count)| match rank {
                0 => write(queue, count),
                1 => read(queue, count),
                _ => {}
            })?)
        })
    };
    let from_driver = move |sampler: &mut Sampler| {
        let (pool, queue) = (Pool::builder().workers(1).build()?, channel::Queue::<T>::bounded(WAITING)?);
        sampler.parts(count, || {
            std::thread::scope(|s| {
                s.spawn(|| write(&queue, count));
                Ok(pool.broadcast((&queue, count), |_, (queue, count)| read(queue, count))?)
            })
        })
    };
    let threads = move |sampler: &mut Sampler| {
        sampler.parts(count, || {
            let (sender, receiver) = mpsc::sync_channel::<T>(WAITING);
            std::thread::scope(|s| {
                s.spawn(move || {
                    let item = T::make();
                    (0..count).for_each(|_| drop(sender.send(item.clone())));
                });
                let sum: u64 = receiver.iter().map(|item| item.value()).sum();
                if sum == 3 * count { Ok(()) } else { Err("an item came out wrong".into()) }
            })
        })
    };
    vec![
        Contender::new(WORKERS, move |sampler| between(sampler, Backend::Processes)),
        Contender::new(DRIVER, from_driver),
        Contender::new(THREADS, move |sampler| between(sampler, Backend::Threads)),
        Contender::new(MPSC, threads),
    ]
}

/// An item in and out again, by one thread: what the queue itself costs.
fn alone() -> Vec<Contender<'static>> {
    let turn = |sampler: &mut Sampler| {
        let queue = channel::Queue::<u64>::new()?;
        sampler.parts(1000, || {
            for _ in 0..1000 {
                write(&queue, 1);
                read(&queue, 1);
            }
            Ok(())
        })
    };
    vec![Contender::new("phalanx-one-thread", turn)]
}

/// One small item there and one back, one after the other.
fn round_trips(setup: &Setup, count: u64) -> Vec<Contender<'_>> {
    let turn = move |sampler: &mut Sampler, backend| {
        let (pool, there, back) =
            (setup.pool(backend)?, channel::Queue::<u64>::new()?, channel::Queue::<u64>::new()?);
        sampler.parts(count, || {
            Ok(pool.broadcast((&there, &back, count), |rank, (there, back, count)| {
                for _ in 0..count {
                    match rank {
                        0 => (write(there, 1), read(back, 1)),
                        1 => (read(there, 1), write(back, 1)),
                        _ => return,
                    };
                }
            })?)
        })
    };
    vec![
        Contender::new(WORKERS, move |sampler| turn(sampler, Backend::Processes)),
        Contender::new(THREADS, move |sampler| turn(sampler, Backend::Threads)),
    ]
}
