use crate::splitmix::bits;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const K: usize = 4;

pub fn main() {
    let dna: Vec<u8> = (0..50_000).into_par_iter().map(|i| b"ACGT"[bits(i) as usize % 4]).collect();
    let counts = dna
        .par_windows(K)
        .fold(BTreeMap::<&[u8], u64>::new, |mut counts, kmer| {
            *counts.entry(kmer).or_default() += 1;
            counts
        })
        .reduce(BTreeMap::new, |mut counts, more| {
            for (kmer, count) in more {
                *counts.entry(kmer).or_default() += count;
            }
            counts
        });
    let mut counts = Vec::from_iter(counts);
    counts.sort_by_key(|(_, count)| Reverse(*count));
    for (kmer, count) in &counts[..3] {
        println!("{} {count}", String::from_utf8_lossy(kmer));
    }
}
