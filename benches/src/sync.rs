//! Locks and their like: a pair of lock and unlock alone and against another process, beside the C library's
//! robust mutex and the standard library's; and all other primitives.

use crate::bench::Bench;
use crate::harness::{self, Contender, Outcome, Race, Sampler, Setup};
use crate::peers::robust::{self, Robust};
use crate::report::{Goal, Report, Target};
use clap::Args;
use phalanx::shared::{Array, Atomic, AtomicArray, RawArray, RawValue, SharedList, Value};
use phalanx::sync::{
    Barrier, Borrowed, BoundedSemaphore, Condition, Counter, Event, Lock, LockError, RLock, RwLock,
    Semaphore, ShardedCounter,
};
use phalanx::{Backend, Pool};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const LOCK: &str = "phalanx-lock";
const ROBUST: &str = "pthread-robust";

const TARGETS: &[Target] = &[
    Target { bench: "lock_pair", variant: LOCK, goal: Goal::Below(20.0) },
    Target { bench: "lock_pair", variant: LOCK, goal: Goal::BelowPeer(1.0, ROBUST) },
    Target { bench: "lock_contended", variant: LOCK, goal: Goal::Below(80.0) },
];

/// Operations of one sample of an uncontended bench.
const BATCH: u64 = 1000;

const RACES: &[Race<Sync>] = &[
    ("lock_pair", |_, _| lock_pair()),
    ("lock_contended", |setup, options| Ok(lock_contended(setup, options.pairs))),
    ("sync_pair", |_, _| sync_pair()),
    ("shared_op", |_, _| shared_op()),
    ("sync_contended", |setup, options| Ok(sync_contended(setup, options.pairs))),
    ("barrier", |setup, options| Ok(barrier(setup, options.pairs / 10 + 1))),
];

/// Locks, other primitives and shared objects, uncontended and contended by another process.
#[derive(Debug, Args)]
pub struct Sync {
    #[arg(long, value_name = "BENCHES", value_delimiter = ',', help = harness::only_these(RACES))]
    only: Vec<String>,

    /// Operations of each worker in one sample of a contended bench
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,
}

impl Bench for Sync {
    const NAME: &'static str = "sync";

    fn measures() -> Vec<&'static str> {
        harness::names(RACES)
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        harness::run(RACES, &self.only, setup, self, TARGETS, report)
    }
}

/// Returns the guard; an error if the lock's previous owner died.
#[inline]
fn held<G>(taken: Result<G, LockError<G>>) -> Outcome<G> {
    taken.map_err(|error| error.map(drop).to_string().into())
}

/// A variant that does `step` again and again, in this thread alone.
fn alone<'a>(variant: &'static str, mut step: impl FnMut() -> Outcome<()> + 'a) -> Contender<'a> {
    Contender::new(variant, move |sampler: &mut Sampler| {
        sampler.parts(BATCH, || {
            for _ in 0..BATCH {
                step()?;
            }
            Ok(())
        })
    })
}

/// One lock, one addition, one unlock; the lock is uncontended.
fn lock_pair() -> Outcome<Vec<Contender<'static>>> {
    let lock = Lock::new(0u64)?;
    let std = Mutex::new(0u64);
    let words: Vec<AtomicU64> = (0..robust::WORDS).map(|_| AtomicU64::new(0)).collect();
    // For the whole run, as the closure keeps a mutex in it.
    let words: &'static [AtomicU64] = words.leak();
    let mutex = Robust::make(words)?;
    let mut count = 0u64;
    Ok(vec![
        alone(LOCK, move || {
            *held(lock.lock())? += 1;
            Ok(())
        }),
        alone(ROBUST, move || mutex.pair(|| count = std::hint::black_box(count + 1))),
        alone("std-mutex", move || {
            *std.lock().map_err(|_| "poisoned")? += 1;
            Ok(())
        }),
    ])
}

/// Nanoseconds that each rank of a contended bench took.
type Times = Vec<u64>;

/// Nanoseconds of the slowest rank, for each of all ranks' operations.
fn share(sampler: &mut Sampler, times: &Times, operations: u64) {
    let slowest = times.iter().copied().max().unwrap_or(0);
    sampler.samples.push(slowest as f64 / (operations * times.len() as u64).max(1) as f64);
}

/// A variant whose turn makes an object, then lets all workers use it at once, `$pairs` times each; `$check`
/// at the end.
macro_rules! together {
    (
        $setup:expr, $backend:expr, $variant:expr, $pairs:expr, $object:expr,
        |$handle:ident: $type:ty| $step:expr, |$made:ident, $total:ident| $right:expr
    ) => {{
        let (setup, pairs) = ($setup, $pairs);
        Contender::new($variant, move |sampler: &mut Sampler| {
            let pool: Pool = setup.pool($backend)?;
            let $made = $object;
            let began = Instant::now();
            let mut $total = 0u64;
            while $total == 0 || began.elapsed() < sampler.budget {
                let launch =
                    pool.launch().region_each((&$made, pairs), |team, ($handle, pairs): ($type, u64)| {
                        team.barrier()?;
                        let start = Instant::now();
                        for _ in 0..pairs {
                            done($step);
                        }
                        Ok(start.elapsed().as_nanos() as u64)
                    })?;
                $total += pairs * setup.workers() as u64;
                share(sampler, &launch.results, pairs);
            }
            if $right { Ok(()) } else { Err("additions were lost".into()) }
        })
    }};
}

/// Returns the value, or panics: a bench cannot go on after an error in a worker.
fn sure<G, E: std::fmt::Display>(result: Result<G, E>) -> G {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// Drops the result of a step.
fn done<G>(_given: G) {}

static STD: Mutex<u64> = Mutex::new(0);

/// The same with all workers competing: nanoseconds from the end of one pair to the end of the next, on any
/// worker.
fn lock_contended(setup: &Setup, pairs: u64) -> Vec<Contender<'_>> {
    vec![
        together!(
            setup,
            Backend::Processes,
            LOCK,
            pairs,
            Lock::new(0u64)?,
            |lock: Borrowed<'_, Lock<u64>>| *sure(held(lock.lock())) += 1,
            |made, total| *held(made.lock())? == total
        ),
        together!(
            setup,
            Backend::Processes,
            ROBUST,
            pairs,
            {
                let words = AtomicArray::<u64>::zeros(robust::WORDS + 1)?;
                Robust::make(&words)?;
                words
            },
            |words: Borrowed<'_, AtomicArray<u64>>| {
                let count = &words[robust::WORDS];
                let add = || count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                sure(sure(Robust::at(&words)).pair(add));
            },
            |made, total| made[robust::WORDS].load(Ordering::Relaxed) == total
        ),
        together!(
            setup,
            Backend::Threads,
            "std-mutex-threads",
            pairs,
            {
                *STD.lock().map_err(|_| "poisoned")? = 0;
                Counter::new(0)?
            },
            |_none: Borrowed<'_, Counter>| *sure(STD.lock()) += 1,
            |made, total| made.get() == 0 && *STD.lock().map_err(|_| "poisoned")? == total
        ),
        together!(
            setup,
            Backend::Threads,
            "phalanx-lock-threads",
            pairs,
            Lock::new(0u64)?,
            |lock: Borrowed<'_, Lock<u64>>| *sure(held(lock.lock())) += 1,
            |made, total| *held(made.lock())? == total
        ),
    ]
}

/// The other primitives, uncontended.
fn sync_pair() -> Outcome<Vec<Contender<'static>>> {
    let (nested, shared, writing) = (RLock::new(0u64)?, RwLock::new(0u64)?, RwLock::new(0u64)?);
    let (semaphore, bounded) = (Semaphore::new(2)?, BoundedSemaphore::new(2)?);
    let (event, condition, single) = (Event::new()?, Condition::new()?, Barrier::new(1)?);
    let (counter, sharded) = (Counter::new(0)?, ShardedCounter::new()?);
    Ok(vec![
        alone("rlock", move || {
            held(nested.lock())?.update(|x| x + 1);
            Ok(())
        }),
        alone("rwlock-read", move || {
            std::hint::black_box(*held(shared.read())?);
            Ok(())
        }),
        alone("rwlock-write", move || {
            *held(writing.write())? += 1;
            Ok(())
        }),
        alone("semaphore", move || {
            drop(semaphore.acquire()?);
            Ok(())
        }),
        alone("bounded-semaphore", move || {
            drop(bounded.acquire()?);
            Ok(())
        }),
        alone("event-set-wait-clear", move || {
            event.set();
            event.wait();
            event.clear();
            Ok(())
        }),
        alone("condition-notify", move || {
            condition.notify_all();
            Ok(())
        }),
        alone("barrier-of-one", move || {
            single.wait()?;
            Ok(())
        }),
        alone("counter", move || {
            counter.add(1);
            Ok(())
        }),
        alone("sharded-counter", move || {
            sharded.add(1);
            Ok(())
        }),
    ])
}

/// Operations of the shared objects, uncontended.
fn shared_op() -> Outcome<Vec<Contender<'static>>> {
    let (value, array) = (Value::new(0u64)?, Array::<u64>::zeros(100)?);
    let (raw, raws, energy) = (RawValue::new(0u64)?, RawArray::<f64>::zeros(1000)?, Atomic::new(0.0f64)?);
    let list = SharedList::<(u64, f64)>::new(8, 24)?;
    let mut copy = vec![0.0; 1000];
    let keep = value.clone();
    Ok(vec![
        alone("value-update", move || {
            value.update(|x| x + 1)?;
            Ok(())
        }),
        alone("value-clone", move || {
            drop(std::hint::black_box(keep.clone()));
            Ok(())
        }),
        alone("array-set", move || Ok(array.set(50, 7)?)),
        alone("raw-value-set-get", move || {
            raw.set(raw.get() + 1);
            Ok(())
        }),
        alone("raw-array-read-1000", move || {
            raws.read(0, &mut copy);
            std::hint::black_box(&copy);
            Ok(())
        }),
        alone("atomic-f64-add", move || {
            energy.fetch_add(0.5, Ordering::Relaxed);
            Ok(())
        }),
        alone("list-push-pop", move || {
            list.push(&(300, 0.5))?;
            list.pop()?.map(drop).ok_or("the list is empty")?;
            Ok(())
        }),
    ])
}

/// The other primitives with all workers competing.
fn sync_contended(setup: &Setup, pairs: u64) -> Vec<Contender<'_>> {
    let mut all = contended_locks(setup, pairs);
    all.extend(contended_numbers(setup, pairs));
    all
}

/// Those that exclude other workers.
fn contended_locks(setup: &Setup, pairs: u64) -> Vec<Contender<'_>> {
    let processes = Backend::Processes;
    vec![
        together!(
            setup,
            processes,
            "rlock",
            pairs,
            RLock::new(0u64)?,
            |lock: Borrowed<'_, RLock<u64>>| sure(held(lock.lock())).update(|x| x + 1),
            |made, total| held(made.lock())?.get() == total
        ),
        together!(
            setup,
            processes,
            "rwlock-read",
            pairs,
            RwLock::new(0u64)?,
            |lock: Borrowed<'_, RwLock<u64>>| sure(held(lock.read())),
            |made, total| total > 0 && made.readers() == 0
        ),
        together!(
            setup,
            processes,
            "rwlock-write",
            pairs,
            RwLock::new(0u64)?,
            |lock: Borrowed<'_, RwLock<u64>>| *sure(held(lock.write())) += 1,
            |made, total| *held(made.read())? == total
        ),
        together!(
            setup,
            processes,
            "semaphore-of-one",
            pairs,
            Semaphore::new(1)?,
            |semaphore: Borrowed<'_, Semaphore>| sure(semaphore.acquire()),
            |made, total| total > 0 && made.available() == 1
        ),
    ]
}

/// Those that count or hold a number.
fn contended_numbers(setup: &Setup, pairs: u64) -> Vec<Contender<'_>> {
    let processes = Backend::Processes;
    vec![
        together!(
            setup,
            processes,
            "counter",
            pairs,
            Counter::new(0)?,
            |counter: Borrowed<'_, Counter>| counter.add(1),
            |made, total| made.get() == total
        ),
        together!(
            setup,
            processes,
            "sharded-counter",
            pairs,
            ShardedCounter::new()?,
            |counter: Borrowed<'_, ShardedCounter>| counter.add(1),
            |made, total| made.sum() == total
        ),
        together!(
            setup,
            processes,
            "atomic-f64-add",
            pairs,
            Atomic::new(0.0f64)?,
            |sum: Borrowed<'_, Atomic<f64>>| sum.fetch_add(1.0, Ordering::Relaxed),
            |made, total| made.load(Ordering::Relaxed) == total as f64
        ),
        together!(
            setup,
            processes,
            "value-update",
            pairs,
            Value::new(0u64)?,
            |value: Borrowed<'_, Value<u64>>| sure(value.update(|x| x + 1)),
            |made, total| made.get()? == total
        ),
    ]
}

/// One barrier of all workers, out of many in a row: nanoseconds per round and worker.
fn barrier(setup: &Setup, rounds: u64) -> Vec<Contender<'_>> {
    vec![together!(
        setup,
        Backend::Processes,
        "phalanx-barrier",
        rounds,
        Barrier::new(setup.workers() as u32)?,
        |barrier: Borrowed<'_, Barrier>| sure(barrier.wait()),
        |made, total| total > 0 && made.broken_by().is_none()
    )]
}
