//! Sorting by the bits of keys.
#![deny(clippy::arithmetic_side_effects)]

use super::partition::{self, Bucket, Classifier, Gathered, MOST_BUCKETS, Plan, stripe_slots, stripe_words};
use crate::error::KernelError;
use crate::inline::is_inline;
use crate::local;
use crate::word::{Key, Word};
use bytemuck::{Pod, Zeroable};
use phalanx::{Element, PerWorker, Pool, SharedArray, Val};
use std::ops::Range;

/// Bytes of a bucket that is sorted by one worker: it and its scratch lie in a second-level cache together.
///
/// This and the following sizes were chosen with `phalanx-bench kernels sort` on a 2-core virtual machine
/// (Intel Xeon, family 6 model 167, 2 MiB of second-level cache a core), 2026-11-21. Tests use small ones, so
/// that short arrays take every path.
const BUCKET_BYTES: usize = if cfg!(test) { 4 << 10 } else { 512 << 10 };
/// Bytes of a bucket from which it is cut again by all workers.
const MOST_BUCKET_BYTES: usize = if cfg!(test) { 16 << 10 } else { 4 << 20 };
/// Bytes of a block that moves as one: long enough to stream, short enough that all buffers fit a
/// second-level cache.
const BLOCK_BYTES: usize = if cfg!(test) { 256 } else { 2048 };
/// Sample words for each bucket.
const OVERSAMPLING: usize = 8;
/// Parts of the moves for each worker, so that a worker that is held up delays little.
const PARTS_PER_WORKER: usize = 16;

/// Sorts `x` in place, ascending.
///
/// Integers of every width, and floats in NumPy's order: `-inf` first, then numbers, `+inf`, and all NaNs
/// last. -0.0 comes before +0.0 (NumPy does not say which comes first). Elements keep their bits, so the
/// result has the same bits for every number of workers.
///
/// Cost: `x` is read and written three times: the leading bits are counted, blocks of 2 KiB are moved, and
/// buckets that fit a cache are radix-sorted (see the source of `partition` and `local`). An array that
/// already ascends or descends is read once and at most reversed. Extra memory: a block for each bucket and
/// worker, at most 2 MiB per worker, and twice the largest bucket. 8- and 16-bit keys are counted instead:
/// read once, written once.
///
/// # Errors
/// `Memory` if there is not enough extra memory; `x` is unchanged. `Launch`; `x` then holds unspecified
/// values.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut x = pool.from_fn(100_000, |i| (i as f64 * 0.37).sin())?;
/// phalanx_kernels::order::sort(&pool, &mut x)?;
/// assert!(x.as_slice().is_sorted());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "radix_sort")]
pub fn sort<T: Key>(pool: &Pool, x: &mut SharedArray<T>) -> Result<(), KernelError> {
    if is_inline(x.len()) {
        sort_slice(x.as_mut_slice());
        return Ok(());
    }
    if sort_monotone(pool, x)? {
        return Ok(());
    }
    if T::Word::BITS <= 16 {
        return super::count::sort(pool, x);
    }
    sort_by_buckets(pool, x)
}

/// As [`sort`], in the caller, for short arrays.
pub(super) fn sort_slice<T: Key>(x: &mut [T]) {
    let words: &mut [T::Word] = bytemuck::cast_slice_mut(x);
    encode::<T>(words);
    local::sort(words, &mut vec![T::Word::default(); words.len()]);
    decode::<T>(words);
}

/// Turns the bits of keys into words.
fn encode<T: Key>(bits: &mut [T::Word]) {
    bits.iter_mut().for_each(|bits| *bits = bytemuck::cast::<T::Word, T>(*bits).to_word());
}

/// Turns words into the bits of keys.
fn decode<T: Key>(words: &mut [T::Word]) {
    words.iter_mut().for_each(|word| *word = bytemuck::cast::<T, T::Word>(T::from_word(*word)));
}

/// The order in which keys lie, as bits: there is a descent, there is an ascent.
fn turns<T: Key>(keys: &[T]) -> u8 {
    let mut seen = 0;
    for pair in keys.windows(2) {
        let (a, b) = (pair[0].to_word(), pair[1].to_word());
        seen |= u8::from(a > b) | u8::from(a < b) << 1;
        if seen == 3 {
            break;
        }
    }
    seen
}

/// Sorts an array that ascends or descends already, which takes one reading to see; others are left as they
/// are. Chunks give up at the first turn.
#[expect(clippy::arithmetic_side_effects, reason = "spans lie in the array")]
fn sort_monotone<T: Key>(pool: &Pool, x: &mut SharedArray<T>) -> Result<bool, KernelError> {
    let seen = pool.launch().retry(3).reduce(
        (x.whole(), 0..x.len()),
        0u8,
        |(x, span)| turns(&x[span.start..(span.end + 1).min(x.len())]),
        |a, b| a | b,
    )?;
    if seen == 1 {
        let half = x.len() / 2;
        pool.for_each((x.scatter(), 0..half), |(x, span)| super::blocks::reverse(&x, span))?;
    }
    Ok(seen != 3)
}

/// How one range is cut.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Geometry {
    /// First element of the range.
    base: usize,
    /// Words of a slot.
    block: usize,
    buckets: usize,
    stripes: usize,
}

/// What launches share while one array is sorted.
struct Room<W: Word> {
    buffers: SharedArray<W>,
    left: SharedArray<u32>,
    blocks: SharedArray<u32>,
    labels: SharedArray<u16>,
    scratch: PerWorker<Vec<W>>,
    /// Longest block, and the length of a stripe's buffers.
    block: usize,
    row: usize,
    stripes: usize,
}

impl<W: Word> Room<W> {
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "at most 2048 buckets and 4096 workers, and blocks of a few KiB"
    )]
    fn new(pool: &Pool, len: usize) -> Result<Room<W>, KernelError> {
        let (stripes, buckets) = (pool.workers(), buckets_for::<W>(len));
        let mut block = (BLOCK_BYTES / size_of::<W>()).max(16);
        while block > 16 && 4 * block * buckets * stripes > len {
            block /= 2;
        }
        let row = buckets.max(3) * block;
        Ok(Room {
            buffers: pool.zeros(row * stripes)?,
            left: pool.zeros(buckets.max(3) * stripes)?,
            blocks: pool.zeros(buckets.max(3) * stripes)?,
            labels: pool.zeros(len / block)?,
            scratch: PerWorker::scratch(|_| Vec::new()),
            block,
            row,
            stripes,
        })
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "the bytes of an array in memory")]
fn buckets_for<W>(len: usize) -> usize {
    (len * size_of::<W>()).div_ceil(BUCKET_BYTES).next_power_of_two().clamp(64, MOST_BUCKETS)
}

/// Partitions, and partitions again what is still too long for one worker.
fn sort_by_buckets<T: Key>(pool: &Pool, x: &mut SharedArray<T>) -> Result<(), KernelError> {
    let mut room = Room::<T::Word>::new(pool, x.len())?;
    let all = 0..x.len();
    let mut open = Vec::new();
    partition::<T, true>(pool, x, all, &mut room, &mut open)?;
    while let Some(range) = open.pop() {
        partition::<T, false>(pool, x, range, &mut room, &mut open)?;
    }
    Ok(())
}

/// Cuts `range` into buckets and sorts those that are short enough; the others are added to `open`, as words.
#[expect(clippy::arithmetic_side_effects, reason = "places in an array in memory, and blocks have a size")]
fn partition<T: Key, const FRESH: bool>(
    pool: &Pool,
    x: &mut SharedArray<T>,
    range: Range<usize>,
    room: &mut Room<T::Word>,
    open: &mut Vec<Range<usize>>,
) -> Result<(), KernelError> {
    let classifier = classify::<T, FRESH>(&x.as_slice()[range.clone()], room.row / room.block);
    let (block, stripes) = (room.block, room.stripes);
    let geometry = Geometry { base: range.start, block, buckets: classifier.buckets(), stripes };
    gather::<T, FRESH>(pool, x, range.clone(), room, &classifier, geometry)?;
    let slots = range.len() / block;
    let used = geometry.buckets * stripes;
    let mut plan = partition::plan(
        range.len(),
        block,
        &classifier,
        (&room.left.as_slice()[..used], &room.blocks.as_slice()[..used]),
        &mut room.labels.as_mut_slice()[..slots],
        PARTS_PER_WORKER * stripes,
    );
    for bucket in plan.buckets.iter_mut().filter(|bucket| bucket.sorts != 0) {
        if bucket.len() * size_of::<T>() > MOST_BUCKET_BYTES {
            bucket.sorts = LEAVE;
            open.push(range.start + bucket.start as usize..range.start + bucket.end as usize);
        }
    }
    let surplus = copies(pool, x, &plan.surplus, geometry)?;
    move_blocks(pool, x, &plan, geometry)?;
    finish(pool, x, &plan, &surplus, room, geometry)
}

/// A bucket's `sorts`: it stays as it is, in words.
const LEAVE: u32 = 2;

#[expect(clippy::arithmetic_side_effects, reason = "at most 2048 buckets; the product has 128 bits")]
fn classify<T: Key, const FRESH: bool>(x: &[T], buckets: usize) -> Classifier {
    let count = (OVERSAMPLING * buckets).min(x.len());
    // The golden ratio's multiples are spread evenly, and not in step with periodic data.
    let place = |i: usize| {
        ((u128::from((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)) * x.len() as u128) >> 64) as usize
    };
    let mut sample: Vec<T::Word> = (0..count)
        .map(|i| x[place(i)])
        .map(|key| if FRESH { key.to_word() } else { bytemuck::cast::<T, T::Word>(key) })
        .collect();
    sample.sort_unstable();
    Classifier::from_sample(&sample, buckets)
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "places in an array in memory, by at most 4096 workers; blocks have a size"
)]
fn gather<T: Key, const FRESH: bool>(
    pool: &Pool,
    x: &mut SharedArray<T>,
    range: Range<usize>,
    room: &mut Room<T::Word>,
    classifier: &Classifier,
    geometry: Geometry,
) -> Result<(), KernelError> {
    let Geometry { block, buckets, stripes, .. } = geometry;
    let slots = range.len() / block;
    let cuts = stripe_slots(slots, stripes);
    let words: Vec<usize> = cuts
        .windows(2)
        .map(|pair| range.start + stripe_words(range.len(), block, pair[0]..pair[1], slots).start)
        .chain([range.end])
        .collect();
    let rows = |row: usize| (0..=stripes).map(|stripe| stripe * row).collect::<Vec<_>>();
    Ok(pool.for_each(
        (
            x.split_at_mut(&words),
            room.labels.split_at_mut(&cuts),
            room.buffers.split_at_mut(&rows(room.row)),
            room.left.split_at_mut(&rows(buckets)),
            room.blocks.split_at_mut(&rows(buckets)),
            Val(*classifier),
            block,
        ),
        |(stripe, labels, buffers, left, blocks, classifier, block)| {
            let words = bytemuck::cast_slice_mut::<T, T::Word>(stripe);
            let to = Gathered { buffers, left, blocks, labels };
            partition::gather::<T, FRESH>(words, &classifier, block, to);
        },
    )?)
}

/// Copies some slots' blocks out of the array, one behind the other.
#[expect(clippy::arithmetic_side_effects, reason = "slots lie in the array")]
fn copies<T: Element>(
    pool: &Pool,
    x: &SharedArray<T>,
    slots: &[usize],
    geometry: Geometry,
) -> Result<SharedArray<T>, KernelError> {
    let mut copies = pool.zeros(slots.len() * geometry.block)?;
    for (copy, slot) in copies.as_mut_slice().chunks_exact_mut(geometry.block).zip(slots) {
        copy.copy_from_slice(&x.as_slice()[geometry.base + slot * geometry.block..][..geometry.block]);
    }
    Ok(copies)
}

fn move_blocks<T: Element>(
    pool: &Pool,
    x: &mut SharedArray<T>,
    plan: &Plan,
    geometry: Geometry,
) -> Result<(), KernelError> {
    if plan.moves.is_empty() {
        return Ok(());
    }
    let saved = copies(pool, x, &plan.saved, geometry)?;
    let moves = pool.from_slice(&plan.moves)?;
    let operands = (x.scatter(), moves.split(), saved.whole(), Val(geometry));
    Ok(pool.launch().chunk(plan.part).for_each(operands, |(x, moves, saved, geometry)| {
        super::blocks::carry(&x, moves, saved, geometry.base, geometry.block);
    })?)
}

#[expect(clippy::arithmetic_side_effects, reason = "places in an array in memory; there are stripes")]
fn finish<T: Key>(
    pool: &Pool,
    x: &mut SharedArray<T>,
    plan: &Plan,
    surplus: &SharedArray<T>,
    room: &Room<T::Word>,
    geometry: Geometry,
) -> Result<(), KernelError> {
    let bounds: Vec<usize> = plan
        .buckets
        .iter()
        .map(|bucket| bucket.start as usize)
        .chain(plan.buckets.last().map(|last| last.end as usize))
        .map(|bound| geometry.base + bound)
        .collect();
    let buckets = pool.from_slice(&plan.buckets)?;
    Ok(pool.for_each(
        (
            x.split_at_mut(&bounds),
            buckets.split(),
            0..plan.buckets.len(),
            surplus.whole(),
            room.buffers.whole(),
            room.left.whole(),
            Val(geometry),
            &room.scratch,
        ),
        |(part, bucket, index, surplus, buffers, left, geometry, scratch)| {
            let words = bytemuck::cast_slice_mut::<T, T::Word>(part);
            let surplus = bytemuck::cast_slice::<T, T::Word>(surplus);
            let row = buffers.len() / geometry.stripes;
            let leftovers = (0..geometry.stripes).map(|stripe| {
                let len = left[stripe * geometry.buckets + index.start] as usize;
                &buffers[stripe * row + index.start * geometry.block..][..len]
            });
            finish_bucket::<T>(words, &bucket[0], surplus, leftovers, geometry.block, scratch);
        },
    )?)
}

fn finish_bucket<'a, T: Key>(
    words: &mut [T::Word],
    bucket: &Bucket,
    surplus: &'a [T::Word],
    leftovers: impl Iterator<Item = &'a [T::Word]>,
    block: usize,
    scratch: &mut Vec<T::Word>,
) {
    partition::fill_holes(words, bucket, surplus, leftovers, block);
    if bucket.sorts == LEAVE {
        return;
    }
    if bucket.sorts != 0 {
        if scratch.len() < words.len() {
            scratch.resize(words.len(), T::Word::default());
        }
        local::sort(words, scratch);
    }
    decode::<T>(words);
}
