use crate::splitmix::bits;
use phalanx::Pool;
use phalanx_kernels::reduce::{max, sum};
use std::array::from_fn;
use std::sync::atomic::Ordering::Relaxed;

const PAGES: usize = 5000;

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    // Each page is linked from eight random others.
    let links =
        pool.from_fn(PAGES, |i| from_fn::<u32, 8, _>(|k| (bits((8 * i + k) as u64) % PAGES as u64) as u32))?;
    let mut degrees = pool.zeros::<u32>(PAGES)?;
    pool.for_each((degrees.atomic(), links.split()), |(degrees, links)| {
        for &from in links.as_flattened() {
            degrees[from as usize].fetch_add(1, Relaxed);
        }
    })?;

    let mut ranks = pool.from_fn(PAGES, |_| 1.0 / PAGES as f64)?;
    let mut shares = pool.zeros::<f64>(PAGES)?;
    for _ in 0..20 {
        pool.map_into(shares.split_out(), (ranks.split(), degrees.split()), |(rank, degree)| {
            rank / f64::from(degree.max(1))
        })?;
        pool.with(shares.whole()).map_into(ranks.split_out(), links.split(), |links, shares| {
            0.15 / PAGES as f64 + 0.85 * links.iter().map(|&from| shares[from as usize]).sum::<f64>()
        })?;
    }
    let (first, total) = (max(&pool, &ranks)?, sum(&pool, &ranks)?);
    println!("the highest rank is {first:.9}, all together {total:.9}");
    Ok(())
}
