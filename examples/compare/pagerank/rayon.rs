use crate::splitmix::bits;
use rayon::prelude::*;
use std::array::from_fn;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const PAGES: usize = 5000;

pub fn main() {
    // Each page is linked from eight random others.
    let page = |at| (bits(at) % PAGES as u64) as usize;
    let links: Vec<[usize; 8]> =
        (0..PAGES).into_par_iter().map(|i| from_fn(|k| page((8 * i + k) as u64))).collect();
    let degrees: Vec<AtomicU32> = (0..PAGES).map(|_| AtomicU32::new(0)).collect();
    links.par_iter().flatten_iter().for_each(|&from| {
        degrees[from].fetch_add(1, Relaxed);
    });
    let degrees: Vec<u32> = degrees.into_iter().map(AtomicU32::into_inner).collect();

    let mut ranks = vec![1.0 / PAGES as f64; PAGES];
    let mut shares = Vec::with_capacity(PAGES);
    for _ in 0..20 {
        let share = |(rank, &degree): (&f64, &u32)| rank / f64::from(degree.max(1));
        ranks.par_iter().zip(&degrees).map(share).collect_into_vec(&mut shares);
        ranks.par_iter_mut().zip(&links).for_each(|(rank, links)| {
            *rank = 0.15 / PAGES as f64 + 0.85 * links.iter().map(|&from| shares[from]).sum::<f64>();
        });
    }
    let first = ranks.par_iter().copied().reduce(|| 0.0, f64::max);
    let total: f64 = ranks.par_iter().sum();
    println!("the highest rank is {first:.9}, all together {total:.9}");
}
