use crate::splitmix::bits;
use phalanx::Pool;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const K: usize = 4;

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let dna = pool.from_fn(50_000, |i| b"ACGT"[bits(i as u64) as usize % 4])?;
    let counts = pool.fold(
        (dna.whole(), 0..dna.len() - K + 1),
        BTreeMap::<String, u64>::new,
        |counts, (dna, starts)| {
            for kmer in dna[starts.start..starts.end + K - 1].windows(K) {
                *counts.entry(String::from_utf8_lossy(kmer).into()).or_default() += 1;
            }
        },
        |counts, more| {
            for (kmer, count) in more {
                *counts.entry(kmer).or_default() += count;
            }
        },
    )?;
    let mut counts = Vec::from_iter(counts);
    counts.sort_by_key(|(_, count)| Reverse(*count));
    for (kmer, count) in &counts[..3] {
        println!("{kmer} {count}");
    }
    Ok(())
}
