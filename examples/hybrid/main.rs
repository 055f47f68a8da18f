//! Processes with threads inside: two threads per worker, so that rayon's parallel iterators in a kernel use
//! exactly the worker's own cores. On a large machine one would take a process per NUMA node or shared cache.

use phalanx::Pool;
use rayon::prelude::*;

const NUMBERS: usize = 1 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().threads_per_worker(2).build()?;
    eprintln!("{}", pool.reason());
    let mut x = pool.from_fn(NUMBERS, |i| (i * i) as f64)?;
    pool.for_each(x.split_mut(), |x| x.par_iter_mut().for_each(|x| *x = x.sqrt()))?;
    let sum = pool.reduce(x.split(), 0.0, |x| x.par_iter().sum(), |a, b| a + b)?;
    let threads = pool.reduce(0..1, 0u64, |_| rayon::current_num_threads() as u64, u64::max)?;
    println!("{threads} threads a worker: the roots of {NUMBERS} squares add up to {sum}");
    assert_eq!(sum, (NUMBERS * (NUMBERS - 1) / 2) as f64);
    Ok(())
}
