use crate::splitmix::bits;
use rayon::prelude::*;
use std::cmp::Reverse;

type Record = (u64, usize);

/// The five highest scores, of equal ones those with the lower number.
fn best_of(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_unstable_by_key(|&(score, number)| (Reverse(score), number));
    records.truncate(5);
    records
}

pub fn main() {
    let scores: Vec<u64> = (0..200_000).into_par_iter().map(|i| bits(i) % 50_000).collect();
    let records = scores.into_par_iter().enumerate().map(|(number, score)| (score, number));
    let best = records.chunks(10_000).map(best_of).reduce(Vec::new, |mut best, more| {
        best.extend(more);
        best_of(best)
    });
    for (score, number) in best {
        println!("record {number} has {score}");
    }
}
