//! The loops of the bucket sort.
//!
//! Keys come in blocks that stay in the second cache. Each block is sorted by bucket on its own: counted,
//! moved to its place in a scratch block, and copied out, so that memory is read and written in streams only.
//! (Moving keys right to memory took 4.1 ns per key instead of 2.1: most stores then miss all caches.) Then
//! each bucket is gathered from all blocks and its keys are counted one by one, in a table that stays in the
//! nearest cache.
//!
//! A sorted block holds the low bits of its keys only, two bytes each where they fit: the bucket has the high
//! ones.

use super::super::random::Random;
use phalanx::Element;

/// log2 of the number of buckets.
pub const BUCKET_BITS: u32 = 8;
/// Number of buckets: key ranges of equal width.
pub const BUCKETS: usize = 1 << BUCKET_BITS;

/// How many keys each bucket has.
pub type Totals = [u32; BUCKETS];

/// Where the buckets of a block begin; the last number is its length.
pub const BOUNDS: usize = BUCKETS + 1;

/// Draws keys `first ..` of the benchmark: each is the mean of four uniform numbers, scaled to
/// `1 << key_bits`.
pub fn draw(random: &Random, first: usize, key_bits: u32, keys: &mut [u32]) {
    let mut random = random.after(4 * first as u64);
    let scale = ((1u64 << key_bits) / 4) as f64;
    for key in keys {
        let sum = random.next() + random.next() + random.next() + random.next();
        *key = (scale * sum) as u32;
    }
}

/// Holds the low bits of a key.
pub trait Low: Element {
    /// Cuts off the high bits.
    fn of(key: u32) -> Self;
    /// As an index.
    fn index(self) -> usize;
}

impl Low for u16 {
    #[inline(always)]
    fn of(key: u32) -> u16 {
        key as u16
    }
    #[inline(always)]
    fn index(self) -> usize {
        self.into()
    }
}

impl Low for u32 {
    #[inline(always)]
    fn of(key: u32) -> u32 {
        key
    }
    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
}

/// Sorts one block by bucket, the key's high bits from `shift` on. Writes where buckets begin and adds to
/// `totals`; overwrites `scratch`, which is as long as the block.
pub fn sort_block<L: Low>(
    keys: &[u32],
    shift: u32,
    scratch: &mut [L],
    (sorted, bounds): (&mut [L], &mut [u32]),
    totals: &mut Totals,
) {
    // Four counts per bucket, since neighbouring keys often fall into the same one.
    let mut counts = [[0u32; BUCKETS]; 4];
    let (fours, rest) = keys.as_chunks::<4>();
    for four in fours {
        for (counts, key) in counts.iter_mut().zip(four) {
            counts[bucket(*key, shift)] += 1;
        }
    }
    for key in rest {
        counts[0][bucket(*key, shift)] += 1;
    }
    let mut places = [0u32; BUCKETS];
    let mut place = 0;
    for index in 0..BUCKETS {
        let count = counts.iter().map(|counts| counts[index]).sum::<u32>();
        places[index] = place;
        bounds[index] = place;
        place += count;
        totals[index] += count;
    }
    bounds[BUCKETS] = place;
    for key in keys {
        let place = &mut places[bucket(*key, shift)];
        scratch[*place as usize] = L::of(*key);
        *place += 1;
    }
    sorted.copy_from_slice(scratch);
}

/// A key's bucket.
#[inline(always)]
fn bucket(key: u32, shift: u32) -> usize {
    (key >> shift) as usize % BUCKETS
}

/// All blocks, sorted by bucket.
#[derive(Clone, Copy)]
pub struct Blocks<'a, L> {
    /// Low bits of keys, block by block.
    pub sorted: &'a [L],
    /// [`BOUNDS`] numbers per block.
    pub bounds: &'a [u32],
    /// Keys of a block.
    pub block: usize,
    /// Low bits of a key, by which the keys of a bucket differ.
    pub shift: u32,
}

impl<L: Low> Blocks<'_, L> {
    /// Writes, for each key of a bucket, how many keys are at most as large; `below` are in lower buckets.
    pub fn rank_bucket(&self, bucket: usize, below: u32, ranks: &mut [u32]) {
        ranks.fill(0);
        let mask = ranks.len() - 1;
        let blocks = self.sorted.chunks_exact(self.block).zip(self.bounds.chunks_exact(BOUNDS));
        for (sorted, bounds) in blocks {
            for key in &sorted[bounds[bucket] as usize..bounds[bucket + 1] as usize] {
                ranks[key.index() & mask] += 1;
            }
        }
        let mut sum = below;
        for rank in ranks {
            sum += *rank;
            *rank = sum;
        }
    }

    /// The same for neighbouring buckets from `first` on, as many as there is room for.
    pub fn rank_buckets(&self, first: usize, totals: &Totals, ranks: &mut [u32]) {
        let mut below = totals[..first].iter().sum();
        for (index, ranks) in ranks.chunks_exact_mut(1 << self.shift).enumerate() {
            self.rank_bucket(first + index, below, ranks);
            below += totals[first + index];
        }
    }
}

/// Boundaries of so many parts of neighbouring buckets with as good as equally many keys.
pub fn balanced(totals: &Totals, parts: usize) -> Vec<usize> {
    let all: u64 = totals.iter().map(|total| u64::from(*total)).sum();
    let (mut bounds, mut sum, mut bucket) = (vec![0], 0, 0);
    for part in 1..parts as u64 {
        let wanted = all * part / parts as u64;
        while bucket < BUCKETS && sum + u64::from(totals[bucket]) / 2 < wanted {
            sum += u64::from(totals[bucket]);
            bucket += 1;
        }
        bounds.push(bucket);
    }
    bounds.push(BUCKETS);
    bounds
}
