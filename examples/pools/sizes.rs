//! How many workers to use, and how far they have got.

use crate::{Outcome, Setting};
use phalanx::Pool;
use phalanx::pool::{Load, recommended_workers};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Something to compute: the total number of steps of the Collatz sequences that start below `n`.
fn heavy(n: u64) -> u64 {
    let steps = |start: u64| {
        let mut n = start;
        let step = || {
            n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
            n > 1
        };
        std::iter::repeat_with(step).take_while(|goes_on| *goes_on).count() as u64
    };
    (2..n).map(steps).sum()
}

pub fn pool_sizes(setting: &Setting) -> Outcome {
    let (mut best, mut least) = (0, f64::INFINITY);
    println!("workers  seconds");
    for workers in [1, 2, 4, 8] {
        let pool = setting.pool(workers)?;
        let began = Instant::now();
        pool.map(heavy, std::iter::repeat_n(20_000, 16))?;
        let seconds = began.elapsed().as_secs_f64();
        println!("{workers:7}  {seconds:.4}");
        if seconds < least {
            (best, least) = (workers, seconds);
        }
    }
    println!("Best pool size: {best}");
    Ok(())
}

pub fn adaptive(setting: &Setting) -> Outcome {
    const EACH: u64 = 1 << 30;
    for busy in [0.3, 0.6, 0.9] {
        let load = Load { busy, free_bytes: 64 << 30 };
        println!("8 cores, {:.0} % busy: {} workers", busy * 100.0, load.workers(8, EACH));
    }
    let load = Load { busy: 0.3, free_bytes: 3 << 30 };
    println!("8 cores, 30 % busy, 3 GiB free for 1 GiB each: {} workers", load.workers(8, EACH));
    println!("This machine now: {} workers", recommended_workers(64 << 20));
    // The same by one call of the builder, and a pool whose size changes while it works.
    let pool = Pool::builder().backend(setting.backend).adaptive(64 << 20).max_workers(64).build()?;
    pool.resize(3)?;
    println!("Resized: {} workers give {:?}", pool.workers(), pool.map(|n: u64| n * n, 1..=5)?);
    Ok(())
}

pub fn progress(setting: &Setting) -> Outcome {
    let square = |(n, takes): (u64, Duration)| {
        sleep(takes);
        n * n
    };
    let pool = setting.pool(8)?;
    let tasks = (0..100).map(|n| (n, setting.unit / 10));
    let squares = pool.tasks().chunksize(1).progress_bar("squares").map(square, tasks)?;
    println!("100 tasks, {} squares, the last is {:?}", squares.len(), squares.last());
    Ok(())
}
