//! IS: ranks of small integer keys, ten times, with two keys changed before each.
//!
//! After section 2.7 of the NPB specification. The timed part gives, for every possible key, how many keys
//! are at most as large, and looks up the ranks of five keys; drawing the keys and the sort by rank that
//! verifies the last ranking are not timed. A ranking reads keys once, and writes and reads half of their
//! bits, in streams: about 10 bytes and 15 operations per key. Operations are counted as the reference does:
//! one per key and ranking.
//!
//! Departure from the reference: buckets are sorted block by block (see `sort`), so ranks write only blocks
//! and key ranges of their own, and nothing is scattered over memory.

mod sort;

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::memory;
use super::random::{Random, SEED};
use super::team::Team;
use super::verification::{self, Check, Ranks};
use crate::harness::Outcome;
use phalanx::{Pool, RegionError};
use rayon::prelude::*;
use sort::{BOUNDS, BUCKET_BITS, BUCKETS, Blocks, Low, Totals};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Rankings that are timed.
const ITERATIONS: usize = 10;
/// Keys that are looked up.
const LOOKED_UP: usize = 5;
/// log2 of the keys in a block: block and scratch block stay in a second cache of 1 MiB.
const BLOCK_BITS: u32 = 17;
/// Blocks at least, for some balance in small classes.
const MIN_BLOCKS_LOG2: u32 = 4;

/// IS.
pub struct Is;

/// A class's numbers.
#[derive(Clone, Copy)]
struct Size {
    keys_log2: u32,
    key_bits: u32,
}

impl Size {
    fn of(class: Class) -> Size {
        let (keys_log2, key_bits) = match class {
            Class::S => (16, 11),
            Class::W => (20, 16),
            Class::A => (23, 19),
            Class::B => (25, 21),
            Class::C => (27, 23),
            Class::D => (31, 27),
        };
        Size { keys_log2, key_bits }
    }

    fn keys(self) -> usize {
        1 << self.keys_log2
    }

    /// Keys of a block.
    fn block(self) -> usize {
        1 << BLOCK_BITS.min(self.keys_log2 - MIN_BLOCKS_LOG2)
    }

    fn blocks(self) -> usize {
        self.keys() / self.block()
    }

    /// Bits of a key below those that name its bucket.
    fn shift(self) -> u32 {
        self.key_bits - BUCKET_BITS
    }

    /// Number of possible keys.
    fn range(self) -> usize {
        1 << self.key_bits
    }
}

/// What is found for the five keys in each timed ranking: how many keys are smaller.
type Found = [[u32; LOOKED_UP]; ITERATIONS];

/// Before each ranking: the two keys that change.
fn change(keys: &mut [u32], iteration: usize, size: Size) {
    keys[iteration] = iteration as u32;
    keys[iteration + ITERATIONS] = (size.range() - iteration) as u32;
}

/// How many keys are smaller than each of the five.
fn look_up(keys: &[u32], places: &[usize; LOOKED_UP], ranks: &[u32]) -> [u32; LOOKED_UP] {
    places.map(|place| match keys[place] as usize {
        0 => 0,
        key => ranks[key - 1],
    })
}

impl Benchmark for Is {
    fn name(&self) -> &'static str {
        "is"
    }

    fn size(&self, class: Class) -> String {
        let size = Size::of(class);
        format!("2^{} keys below 2^{}, {ITERATIONS} rankings", size.keys_log2, size.key_bits)
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let size = Size::of(class);
        let Some(official) = verification::is(class)? else {
            return Err(format!("no keys to look up are published for class {}", class.letter()).into());
        };
        // Low bits take two bytes per key, four in the largest class.
        let run = match size.shift() {
            0..=16 => measured::<u16>(size, &official.index, team)?,
            _ => measured::<u32>(size, &official.index, team)?,
        };
        Ok(Measured {
            seconds: run.seconds,
            operations: (ITERATIONS * size.keys()) as f64,
            checks: compared(class, &official, &run),
        })
    }
}

fn measured<L: Low>(size: Size, places: &[usize; LOOKED_UP], team: &Team<'_>) -> Outcome<Run> {
    match team {
        Team::Serial => Ok(on_threads(size, places, 1, serial_ranking::<L>)),
        Team::Rayon(threads) => {
            Ok(threads
                .install(|| on_threads(size, places, threads.current_num_threads(), rayon_ranking::<L>)))
        }
        Team::Phalanx(pool) => on_pool::<L>(size, places, pool),
    }
}

/// What a run came to.
struct Run {
    seconds: f64,
    found: Found,
    /// Whether the sort by the last ranks is a sort.
    sorted: bool,
}

/// Five ranks of each of the ten iterations, and the sort. The ranks move with the keys that change: which
/// way is the reference's table.
fn compared(class: Class, official: &Ranks, run: &Run) -> Vec<Check> {
    let mut checks = Vec::new();
    for (index, found) in run.found.iter().enumerate() {
        let iteration = index as i64 + 1;
        for (which, (found, rank)) in found.iter().zip(official.rank).enumerate() {
            let moved = match class {
                Class::S | Class::C if which <= 2 => iteration,
                Class::W if which < 2 => iteration - 2,
                Class::A if which <= 2 => iteration - 1,
                Class::A => 1 - iteration,
                Class::B if matches!(which, 1 | 2 | 4) => iteration,
                Class::D if which < 2 => iteration,
                _ => -iteration,
            };
            let name = format!("the rank of key {which} in iteration {iteration}");
            checks.push(Check::exact(&name, i64::from(*found), rank + moved));
        }
    }
    checks.push(Check::property("keys sorted by the last ranks are in order", run.sorted));
    checks
}

/// Whether moving every key to its rank sorts them all.
fn is_sorted_by(keys: &[u32], ranks: &mut [u32]) -> bool {
    let mut sorted: Vec<u32> = memory::zeroed(keys.len());
    let mut taken = 0;
    for key in keys {
        let Some(rank) = ranks.get_mut(*key as usize) else { return false };
        let Some(place) = rank.checked_sub(1) else { return false };
        let Some(to) = sorted.get_mut(place as usize) else { return false };
        *rank = place;
        // Keys but 0 mark their place, so that none is taken twice.
        taken += usize::from(*to == 0);
        *to = *key;
    }
    taken == keys.len() && sorted.is_sorted()
}

/// Arrays of the runtimes without shared memory.
struct Arrays<L> {
    size: Size,
    keys: Vec<u32>,
    sorted: Vec<L>,
    bounds: Vec<u32>,
    ranks: Vec<u32>,
    /// One per thread.
    scratch: Vec<Mutex<Vec<L>>>,
}

impl<L: Low> Arrays<L> {
    fn new(size: Size, threads: usize) -> Arrays<L> {
        let mut arrays = Arrays {
            size,
            keys: memory::zeroed(size.keys()),
            sorted: memory::zeroed(size.keys()),
            bounds: memory::zeroed(size.blocks() * BOUNDS),
            ranks: memory::zeroed(size.range()),
            scratch: (0..threads).map(|_| Mutex::new(memory::zeroed(size.block()))).collect(),
        };
        sort::draw(&Random::new(SEED), 0, size.key_bits, &mut arrays.keys);
        arrays
    }
}

/// Draws keys, ranks once untimed and ten times timed, and sorts.
fn on_threads<L: Low>(
    size: Size,
    places: &[usize; LOOKED_UP],
    threads: usize,
    ranking: impl Fn(&mut Arrays<L>),
) -> Run {
    let mut arrays = Arrays::new(size, threads);
    change(&mut arrays.keys, 1, size);
    ranking(&mut arrays);
    let mut found = Found::default();
    let began = Instant::now();
    for (index, found) in found.iter_mut().enumerate() {
        change(&mut arrays.keys, index + 1, size);
        ranking(&mut arrays);
        *found = look_up(&arrays.keys, places, &arrays.ranks);
    }
    let seconds = began.elapsed().as_secs_f64();
    let sorted = is_sorted_by(&arrays.keys, &mut arrays.ranks);
    Run { seconds, found, sorted }
}

fn serial_ranking<L: Low>(arrays: &mut Arrays<L>) {
    let (block, shift) = (arrays.size.block(), arrays.size.shift());
    let mut totals = [0; BUCKETS];
    let mut scratch = arrays.scratch[0].lock().unwrap_or_else(PoisonError::into_inner);
    let to = arrays.sorted.chunks_exact_mut(block).zip(arrays.bounds.chunks_exact_mut(BOUNDS));
    for (keys, to) in arrays.keys.chunks_exact(block).zip(to) {
        sort::sort_block(keys, shift, &mut scratch, to, &mut totals);
    }
    let blocks = Blocks { sorted: &arrays.sorted, bounds: &arrays.bounds, block, shift };
    blocks.rank_buckets(0, &totals, &mut arrays.ranks);
}

fn rayon_ranking<L: Low>(arrays: &mut Arrays<L>) {
    let (block, shift) = (arrays.size.block(), arrays.size.shift());
    let to = arrays.sorted.par_chunks_exact_mut(block).zip(arrays.bounds.par_chunks_exact_mut(BOUNDS));
    let nothing = || [0; BUCKETS];
    let all = arrays.keys.par_chunks_exact(block).zip(to);
    let totals = all
        .fold(nothing, |mut totals, (keys, to)| {
            let own = &arrays.scratch[rayon::current_thread_index().unwrap_or(0)];
            let mut scratch = own.lock().unwrap_or_else(PoisonError::into_inner);
            sort::sort_block(keys, shift, &mut scratch, to, &mut totals);
            totals
        })
        .reduce(nothing, add);
    let blocks = Blocks { sorted: &arrays.sorted, bounds: &arrays.bounds, block, shift };
    arrays.ranks.par_chunks_exact_mut(1 << shift).enumerate().for_each(|(bucket, ranks)| {
        blocks.rank_bucket(bucket, totals[..bucket].iter().sum(), ranks);
    });
}

fn add(mut a: Totals, b: Totals) -> Totals {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

/// The same on a pool: keys are drawn by their owners, and all rankings are one region.
fn on_pool<L: Low>(size: Size, places: &[usize; LOOKED_UP], pool: &Pool) -> Outcome<Run> {
    let mut keys = memory::shared::<u32, _>(pool, size.keys())?;
    let mut sorted = memory::shared::<L, _>(pool, size.keys())?;
    let mut bounds = memory::shared::<u32, _>(pool, size.blocks() * BOUNDS)?;
    let mut ranks = memory::shared::<u32, _>(pool, size.range())?;
    pool.for_each((keys.split_out(), 0..size.keys(), size.key_bits), |(keys, span, key_bits)| {
        sort::draw(&Random::new(SEED), span.start, key_bits, keys);
    })?;
    let mut rankings = |count: usize| {
        let operands = (
            (&mut keys, &mut sorted, &mut bounds, &mut ranks),
            [size.keys_log2, size.key_bits],
            *places,
            count,
        );
        pool.region(
            operands,
            |team, ((keys, sorted, bounds, ranks), [keys_log2, key_bits], places, count)| {
                let shared = Shared { keys, sorted, bounds, ranks };
                shared.rankings(team, Size { keys_log2, key_bits }, &places, count)
            },
        )
    };
    rankings(1)?;
    let began = Instant::now();
    let found = rankings(ITERATIONS)?;
    let seconds = began.elapsed().as_secs_f64();
    let mut last = ranks.as_slice().to_vec();
    Ok(Run { seconds, found, sorted: is_sorted_by(keys.as_slice(), &mut last) })
}

/// What a rank holds of the arrays.
struct Shared<'w, L> {
    keys: Handle<'w, u32>,
    sorted: Handle<'w, L>,
    bounds: Handle<'w, u32>,
    ranks: Handle<'w, u32>,
}

type Handle<'w, T> = phalanx::region::RegionMut<'w, T, ndarray::Ix1>;

impl<L: Low> Shared<'_, L> {
    fn rankings(
        mut self,
        team: &mut phalanx::Team<'_>,
        size: Size,
        places: &[usize; LOOKED_UP],
        count: usize,
    ) -> Result<Found, RegionError> {
        let (block, shift) = (size.block(), size.shift());
        let even: Vec<usize> = (0..=team.size()).map(|rank| rank * size.blocks() / team.size()).collect();
        let [own_keys, own_bounds] =
            [block, BOUNDS].map(|unit| even.iter().map(|at| at * unit).collect::<Vec<usize>>());
        let rank = team.rank();
        let mut scratch: Vec<L> = memory::zeroed(block);
        let mut found = Found::default();
        for (index, found) in found.iter_mut().enumerate().take(count) {
            let mut totals = [0; BUCKETS];
            let own = (
                self.keys.split_at_mut(&own_keys),
                self.sorted.split_at_mut(&own_keys),
                self.bounds.split_at_mut(&own_bounds),
            );
            team.phase(own, |(keys, sorted, bounds)| {
                if rank == 0 {
                    change(keys, index + 1, size);
                }
                let to = sorted.chunks_exact_mut(block).zip(bounds.chunks_exact_mut(BOUNDS));
                for (keys, to) in keys.chunks_exact(block).zip(to) {
                    sort::sort_block(keys, shift, &mut scratch, to, &mut totals);
                }
            })?;
            let totals = team.all_reduce(totals, add)?;
            let buckets = sort::balanced(&totals, team.size());
            let own_ranks: Vec<usize> = buckets.iter().map(|bucket| bucket << shift).collect();
            let all = (self.sorted.whole(), self.bounds.whole(), self.ranks.split_at_mut(&own_ranks));
            team.phase(all, |(sorted, bounds, ranks)| {
                let blocks = Blocks { sorted, bounds, block, shift };
                blocks.rank_buckets(buckets[rank], &totals, ranks);
            })?;
            *found = team.phase((self.keys.whole(), self.ranks.whole()), |(keys, ranks)| {
                look_up(keys, places, ranks)
            })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_counts_of_smaller_or_equal_keys() {
        let size = Size::of(Class::S);
        let run = |ranking: fn(&mut Arrays<u16>)| {
            let mut arrays = Arrays::new(size, rayon::current_num_threads());
            arrays.ranks.fill(7);
            ranking(&mut arrays);
            arrays
        };
        let arrays = run(serial_ranking);
        for key in [0, 1, 500, 1024, size.range() - 1] {
            let naive = arrays.keys.iter().filter(|other| **other as usize <= key).count();
            assert_eq!(arrays.ranks[key] as usize, naive, "{key}");
        }
        assert_eq!(run(rayon_ranking).ranks, arrays.ranks);
        let mut wide = Arrays::<u32>::new(size, 1);
        serial_ranking(&mut wide);
        assert_eq!(wide.ranks, arrays.ranks);
    }

    #[test]
    fn keys_drawn_in_parts_are_the_same() {
        let random = Random::new(SEED);
        let (mut whole, mut part) = (vec![0; 1000], vec![0; 300]);
        sort::draw(&random, 0, 19, &mut whole);
        sort::draw(&random, 450, 19, &mut part);
        assert_eq!(whole[450..750], part);
    }

    #[test]
    fn buckets_are_shared_evenly_and_completely() {
        let mut totals = [10; BUCKETS];
        totals[3] = 5000;
        for parts in [1, 2, 3, 16, 300] {
            let bounds = sort::balanced(&totals, parts);
            assert_eq!((bounds.len(), bounds[0], bounds[parts]), (parts + 1, 0, BUCKETS));
            assert!(bounds.is_sorted());
        }
        assert_eq!(sort::balanced(&[10; BUCKETS], 4), [0, 64, 128, 192, 256]);
    }

    #[test]
    fn wrong_ranks_are_no_sort() {
        let keys = [3, 1, 2, 1];
        let right = [0, 2, 3, 4];
        assert!(is_sorted_by(&keys, &mut right.clone()));
        for (at, wrong) in [(1, 1), (1, 3), (2, 4), (3, 5), (3, 0)] {
            let mut ranks = right;
            ranks[at] = wrong;
            assert!(!is_sorted_by(&keys, &mut ranks), "{at} {wrong}");
        }
        assert!(!is_sorted_by(&[9], &mut right.clone()));
    }

    #[test]
    fn one_wrong_rank_is_refused() {
        let run = |found: Found| Run { seconds: 1.0, found, sorted: true };
        let official = verification::is(Class::A).unwrap().unwrap();
        let mut found = Found::default();
        for (index, found) in found.iter_mut().enumerate() {
            let moves = [0, 1, 2, 3, 4].map(|which| if which <= 2 { index as i64 } else { -(index as i64) });
            *found = [0, 1, 2, 3, 4].map(|which| (official.rank[which] + moves[which]) as u32);
        }
        let holds = |run: &Run| compared(Class::A, &official, run).iter().all(|check| check.holds);
        assert!(holds(&run(found)));
        assert!(!holds(&Run { sorted: false, ..run(found) }));
        found[9][4] += 1;
        assert!(!holds(&run(found)));
    }
}
