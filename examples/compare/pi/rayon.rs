use crate::splitmix::unit;
use rayon::prelude::*;

const DARTS: u64 = 10_000;

fn hits(seed: u64) -> u64 {
    let is_hit = |i: &u64| unit(2 * i).hypot(unit(2 * i + 1)) < 1.0;
    (seed * DARTS..(seed + 1) * DARTS).filter(is_hit).count() as u64
}

pub fn main() {
    let hits: u64 = (0..32).into_par_iter().map(hits).sum();
    println!("pi is about {:.6}", 4.0 * hits as f64 / (32 * DARTS) as f64);
}
