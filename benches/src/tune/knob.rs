//! The settings that are tuned, with their candidates and what each is measured by.

use crate::harness::{Outcome, Setup};
use crate::sizing::bootstrap::Random;
use crate::sizing::turns::Turn;
use crate::sizing::workloads::items::churn;
use phalanx::Pool;
use phalanx::tuning::Tuning;
use phalanx_kernels::{reduce, stream};
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A setting.
pub struct Knob {
    /// What the command line calls it.
    pub name: &'static str,
    /// The name of its records.
    pub bench: &'static str,
    /// What is measured.
    pub about: &'static str,
    /// The default: microseconds, or KiB.
    pub default: u64,
    /// Values to try beside it.
    pub values: &'static [u64],
    /// Makes it one of these.
    pub set: fn(&mut Tuning, u64),
    /// A value for people.
    pub shown: fn(u64) -> String,
    /// Whether it has an effect here.
    pub matters: bool,
    /// One turn with these settings.
    pub turn: fn(&Setup, Tuning, &mut Turn<'_>) -> Outcome<()>,
}

/// All of them, in the order in which they are tuned: each with the values that those before it have by then.
pub const KNOBS: [Knob; 4] = [
    Knob {
        name: "spin",
        bench: "tune_gaps",
        about: "launches after pauses of 1 to 500 us: what the caller loses, and what a worker burns meanwhile",
        default: 50,
        values: &[0, 10, 25, 100, 200, 400],
        set: |tuning, us| tuning.spin = Duration::from_micros(us),
        shown: microseconds,
        matters: true,
        turn: gaps,
    },
    Knob {
        name: "inline",
        bench: "tune_maps",
        about: "maps of 8 us to 2 ms after such pauses",
        default: 100,
        values: &[0, 25, 50, 200, 400],
        set: |tuning, us| tuning.inline = Duration::from_micros(us),
        shown: microseconds,
        matters: true,
        turn: maps,
    },
    Knob {
        name: "chunk",
        bench: "tune_chunks",
        about: "a map of 8000 items, of which the last take longest",
        default: 200,
        values: &[25, 50, 100, 400, 800],
        set: |tuning, us| tuning.task_chunk = Duration::from_micros(us),
        shown: microseconds,
        matters: true,
        turn: chunks,
    },
    Knob {
        name: "stores",
        bench: "tune_stores",
        about: "a triad and a sum of what it wrote, over 1.5 to 48 MiB",
        default: 8 << 10,
        values: &[1 << 10, 2 << 10, 4 << 10, 16 << 10, 32 << 10, 64 << 10],
        set: |tuning, kib| tuning.past_caches_bytes = kib << 10,
        shown: |kib| format!("{} MiB", kib >> 10),
        // Elsewhere there is one way to store.
        matters: cfg!(target_arch = "x86_64"),
        turn: stores,
    },
];

fn microseconds(us: u64) -> String {
    format!("{us} us")
}

/// Launches, or maps, of a tour.
const STOPS: usize = 48;
/// Longer than any candidate lets a worker spin.
const REST: Duration = Duration::from_millis(3);
/// Steps of an item of a map: about 2 us.
const ITEM: u64 = 1000;

fn pool(setup: &Setup, tuning: Tuning) -> Outcome<Pool> {
    Ok(Pool::builder().workers(setup.workers()).tuning(tuning).build()?)
}

/// Numbers spread evenly over the doublings from `low` to `high`; the same ones every time.
fn spread(low: f64, high: f64, seed: u64) -> [f64; STOPS] {
    let mut random = Random(seed);
    std::array::from_fn(|_| low * (high / low).powf(random.below(1001) as f64 / 1000.0))
}

/// Nanoseconds of a step of work with nobody beside it: the least of many tries, once for all.
fn ns_per_step() -> f64 {
    static NS: OnceLock<f64> = OnceLock::new();
    *NS.get_or_init(|| {
        const STEPS: u64 = 20_000;
        let tries = (0..200).map(|_| {
            let began = Instant::now();
            black_box(churn(1, STEPS));
            began.elapsed()
        });
        tries.min().unwrap_or_default().as_nanos() as f64 / STEPS as f64
    })
}

/// Steps of the pauses, from 1 to 500 us each.
fn pauses() -> [u64; STOPS] {
    spread(1e3, 500e3, 7).map(|ns| (ns / ns_per_step()) as u64)
}

fn launch(pool: &Pool) -> Outcome<()> {
    Ok(pool.broadcast((), |_rank, ()| ())?)
}

/// Launches after pauses in which the caller works. A sample is what the tour takes beyond the caller's work, and the
/// time that a worker burnt: between launches it has nothing to do.
fn gaps(setup: &Setup, tuning: Tuning, turn: &mut Turn<'_>) -> Outcome<()> {
    let (pool, pauses) = (pool(setup, tuning)?, pauses());
    let work = Duration::from_nanos((pauses.iter().sum::<u64>() as f64 * ns_per_step()) as u64);
    let tour = || {
        launch(&pool)?;
        let before = asleep(&pool)?;
        let began = Instant::now();
        for steps in pauses {
            black_box(churn(steps, steps));
            launch(&pool)?;
        }
        let lost = began.elapsed().saturating_sub(work);
        Ok(lost + (asleep(&pool)?.saturating_sub(before)) / setup.workers() as u32)
    };
    tour()?;
    turn.take(tour)
}

/// The time that all workers have had on their cores, once they sleep: the kernel counts it when they leave the core.
fn asleep(pool: &Pool) -> Outcome<Duration> {
    std::thread::sleep(REST);
    let mut sum = 0;
    for pid in pool.worker_pids() {
        let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).map_err(|error| {
            format!("this kernel does not tell how long workers ran ({error}): leave spin out by --only")
        })?;
        let ns = text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
        sum += ns.ok_or("what the kernel tells of a worker's time is no number")?;
    }
    Ok(Duration::from_nanos(sum))
}

/// Maps after pauses. A sample is the time of the maps.
fn maps(setup: &Setup, tuning: Tuning, turn: &mut Turn<'_>) -> Outcome<()> {
    let (pool, pauses) = (pool(setup, tuning)?, pauses());
    let item = ITEM as f64 * ns_per_step();
    let lens = spread(8e3, 2e6, 11).map(|ns| (ns / item).max(1.0) as u64);
    let work = |n: u64| churn(n, ITEM);
    let right = pool.tasks().always_out().map(work, 0..4 * lens[0])?;
    if right.iter().zip(0..).any(|(got, n)| *got != churn(n, ITEM)) {
        return Err("a map returned a wrong result".into());
    }
    let tour = || {
        let mut time = Duration::ZERO;
        for (steps, len) in pauses.iter().zip(lens) {
            black_box(churn(*steps, *steps));
            let began = Instant::now();
            let results = pool.map(work, 0..len)?;
            time += began.elapsed();
            if results.len() as u64 != len || results[0] != right[0] {
                return Err("a map returned a wrong result".into());
            }
        }
        Ok(time)
    };
    tour()?;
    turn.take(tour)
}

/// A long map of items of 0.03 to 2 us.
fn chunks(setup: &Setup, tuning: Tuning, turn: &mut Turn<'_>) -> Outcome<()> {
    const ITEMS: u64 = 8000;
    let pool = pool(setup, tuning)?;
    let work = |n: u64| churn(n, 1 + n * ITEM / ITEMS);
    let last = churn(ITEMS - 1, 1 + (ITEMS - 1) * ITEM / ITEMS);
    let map = || {
        let began = Instant::now();
        let results = pool.tasks().always_out().map(work, 0..ITEMS)?;
        let time = began.elapsed();
        if results.len() as u64 != ITEMS || results.last() != Some(&last) {
            return Err("a map returned a wrong result".into());
        }
        Ok(time)
    };
    // Until the cost of an item is known.
    (0..3).try_for_each(|_| map().map(drop))?;
    turn.take(map)
}

/// A triad and the sum of its result, over several lengths, each counted alike: seconds for a GiB.
fn stores(setup: &Setup, tuning: Tuning, turn: &mut Turn<'_>) -> Outcome<()> {
    const HALF_MIB: [usize; 6] = [3, 6, 12, 24, 48, 96];
    let pool = pool(setup, tuning)?;
    let mut sets = Vec::new();
    for len in HALF_MIB.map(|halves| halves * (1 << 19) / 24) {
        let (x, y) = (pool.from_fn(len, |i| i as f64)?, pool.from_fn(len, |_| 1.0)?);
        sets.push((pool.zeros::<f64>(len)?, x, y));
    }
    let mut tour = || {
        let mut time = Duration::ZERO;
        for (out, x, y) in &mut sets {
            let (began, len) = (Instant::now(), out.len());
            stream::triad(&pool, out, x, 2.0, y)?;
            let sum = reduce::sum(&pool, out)?;
            time += began.elapsed().mul_f64((1 << 30) as f64 / (24 * len) as f64);
            if sum != (len * (len - 1) / 2 + 2 * len) as f64 {
                return Err(format!("a wrong sum of {len} elements: {sum}").into());
            }
        }
        Ok(time)
    };
    tour()?;
    turn.take(tour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_other_than_the_default_and_within_bounds() {
        for knob in &KNOBS {
            let mut tuning = Tuning::default();
            (knob.set)(&mut tuning, knob.default);
            assert_eq!(tuning, Tuning::default(), "{} of {}", knob.name, knob.default);
            for value in knob.values {
                let mut tuning = Tuning::default();
                (knob.set)(&mut tuning, *value);
                assert_ne!(tuning, Tuning::default(), "{} of {value}", knob.name);
                assert_eq!(tuning, tuning.clamped(), "{} of {value}", knob.name);
            }
        }
    }

    #[test]
    fn pauses_are_spread_over_all_lengths() {
        let all = spread(1.0, 512.0, 7);
        assert!(all.iter().all(|one| (1.0..=512.0).contains(one)));
        for doubling in [1.0, 8.0, 64.0] {
            assert!(all.iter().filter(|one| (doubling..8.0 * doubling).contains(*one)).count() > STOPS / 6);
        }
        assert_eq!(all, spread(1.0, 512.0, 7));
    }
}
