//! Sorting by a comparison: runs sorted by the standard library, merged in rounds by all workers.
//!
//! Every round cuts its output into parts; where a part's inputs begin is found by bisection along the
//! merge's diagonal (Deo and Sarkar, Parallel algorithms for merging and sorting, 1991), so all workers merge
//! until the last round.
//!
//! **A comparison decides about order and about nothing else.** One that is no order
//! (`partial_cmp(..).unwrap_or(Greater)` among NaNs) answers differently from where it is asked, so nothing
//! is asked twice: each cut is found once, cuts are made to ascend, and both parts that meet at one take it
//! as it is. Every element is then moved exactly once in a round, whatever was answered.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::KernelError;
use crate::inline::{here, is_inline, repeatable};
use phalanx::{Element, Pool, SharedArray};
use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Parts of a run: what workers take in turn while two runs are merged.
const PARTS: usize = 16;

/// Sorts `x` in place by a comparison. The sort is stable: elements that compare equal keep their order.
///
/// `compare` is a function or a closure that captures nothing. It must be a total order; `Ord::cmp` sorts
/// elements by their own order. If it is not a total order, the elements end up in some order: none is lost
/// or duplicated, though the standard library may print a complaint to standard error. For numeric keys
/// [`sort`](super::sort) and [`sort_by_key`](super::sort_by_key) are several times faster.
///
/// Cost: the standard library's merge sort of runs, at least one per worker; then, for every doubling of the
/// runs, a pass that reads and writes all elements. Extra memory: as much as the array.
///
/// # Errors
/// `Memory` if there is not enough extra memory; `x` is unchanged. `Launch`, also if `compare` panics; `x`
/// then holds its elements in some order.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut points = pool.from_fn(50_000, |i| [(i * 7919 % 50_021) as i32, i as i32])?;
/// phalanx_kernels::order::sort_by(&pool, &mut points, |a, b| b[0].cmp(&a[0]))?;
/// assert!(points.as_slice().is_sorted_by(|a, b| a[0] >= b[0]));
/// # Ok(())
/// # }
/// ```
#[expect(clippy::arithmetic_side_effects, reason = "runs shorter than twice the array, in memory")]
pub fn sort_by<T, F>(pool: &Pool, x: &mut SharedArray<T>, compare: F) -> Result<(), KernelError>
where
    T: Element,
    F: Fn(&T, &T) -> Ordering + Copy + Send + Sync,
{
    let len = x.len();
    if is_inline(len) {
        let mut sorted = x.as_slice().to_vec();
        here(len, || sort_run(&mut sorted, &compare))?;
        x.as_mut_slice().copy_from_slice(&sorted);
        return Ok(());
    }
    // Twice a power of four: an odd number of rounds ends in `x`, which nobody writes before the last.
    let mut runs = 2;
    while runs < pool.workers() {
        runs *= 4;
    }
    let part = len.div_ceil(runs * PARTS).max(1);
    let mut run = part * PARTS;
    let mut room = pool.zeros::<T>(len)?;
    let operands = (room.split_out(), x.split());
    repeatable(pool).chunk(run).for_each(operands, move |(run, x)| {
        run.copy_from_slice(x);
        sort_run(run, &compare);
    })?;
    loop {
        if let Err(error) = merge_round(pool, &room, x, run, part, compare) {
            x.as_mut_slice().copy_from_slice(room.as_slice());
            return Err(error);
        }
        if 2 * run >= len {
            return Ok(());
        }
        merge_round(pool, x, &mut room, 2 * run, part, compare)?;
        run *= 4;
    }
}

/// Sorts a run. The standard library's sort is the fastest, and may panic where it finds that the comparison
/// is no order; every element is there then, and a plain merge sort takes over, which believes nothing.
fn sort_run<T: Copy>(run: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    if catch_unwind(AssertUnwindSafe(|| run.sort_by(compare))).is_err() {
        let mut room = run.to_vec();
        sort_plainly(run, &mut room, compare);
    }
}

/// Sorts `run` by merging halves; `room` holds the same elements in the same order.
fn sort_plainly<T: Copy>(run: &mut [T], room: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    if run.len() < 2 {
        return;
    }
    let middle = run.len() / 2;
    let ((a, b), (room_a, room_b)) = (run.split_at_mut(middle), room.split_at_mut(middle));
    sort_plainly(room_a, a, compare);
    sort_plainly(room_b, b, compare);
    merge(run, room_a, room_b, compare);
}

/// Merges neighbouring runs of `from` into runs twice as long in `to`, part by part. A run is a multiple of a
/// part.
#[expect(clippy::arithmetic_side_effects, reason = "places in runs of an array in memory")]
fn merge_round<T, F>(
    pool: &Pool,
    from: &SharedArray<T>,
    to: &mut SharedArray<T>,
    run: usize,
    part: usize,
    compare: F,
) -> Result<(), KernelError>
where
    T: Element,
    F: Fn(&T, &T) -> Ordering + Copy + Send + Sync,
{
    let (len, parts) = (from.len(), from.len().div_ceil(part));
    let mut cuts = pool.zeros::<u64>(parts)?;
    let operands = (cuts.split_out(), from.whole(), 0..parts, [run, part]);
    repeatable(pool).for_each(operands, move |(cuts, from, span, [run, part])| {
        for (cut, index) in cuts.iter_mut().zip(span) {
            let pair = Pair::of(index * part, run, from.len());
            *cut = diagonal(&from[pair.a()], &from[pair.b()], index * part - pair.start, &compare) as u64;
        }
    })?;
    make_ascending(cuts.as_mut_slice(), len, run, part);
    let operands = (to.split_out(), from.whole(), cuts.whole(), 0..len, [run, part]);
    repeatable(pool).chunk(part).for_each(operands, move |(to, from, cuts, span, [run, part])| {
        for (to, at) in to.chunks_mut(part).zip(span.step_by(part)) {
            let pair = Pair::of(at, run, from.len());
            let next = at + to.len();
            // Elements of the first run before this part, and before the next.
            let i = cuts[at / part] as usize;
            let i_next = if next == pair.end { pair.a().len() } else { cuts[next / part] as usize };
            let (j, j_next) = (at - pair.start - i, next - pair.start - i_next);
            merge(to, &from[pair.a()][i..i_next], &from[pair.b()][j..j_next], &compare);
        }
    })?;
    Ok(())
}

/// Two neighbouring runs that are merged; the second may be short or missing at the array's end.
struct Pair {
    start: usize,
    middle: usize,
    end: usize,
}

impl Pair {
    /// The pair of runs whose merge holds place `at`.
    #[expect(clippy::arithmetic_side_effects, reason = "places in runs of an array in memory")]
    fn of(at: usize, run: usize, len: usize) -> Pair {
        let start = at / (2 * run) * (2 * run);
        Pair { start, middle: (start + run).min(len), end: (start + 2 * run).min(len) }
    }

    fn a(&self) -> std::ops::Range<usize> {
        self.start..self.middle
    }

    fn b(&self) -> std::ops::Range<usize> {
        self.middle..self.end
    }
}

/// Makes each part take no element twice: within a pair of runs a cut is neither before the last one nor
/// further on than a part. For a total order that changes nothing.
#[expect(clippy::arithmetic_side_effects, reason = "places in runs of an array in memory")]
fn make_ascending(cuts: &mut [u64], len: usize, run: usize, part: usize) {
    let mut last = 0;
    for (index, cut) in cuts.iter_mut().enumerate() {
        let first = Pair::of(index * part, run, len).start == index * part;
        last = if first { 0 } else { (*cut).clamp(last, last + part as u64) };
        *cut = last;
    }
}

/// Merges two sorted slices stably into `to`, which is as long as both. Every element is moved once, whatever
/// `compare` says.
#[expect(clippy::arithmetic_side_effects, reason = "places in slices that are indexed")]
fn merge<T: Copy>(to: &mut [T], a: &[T], b: &[T], compare: &impl Fn(&T, &T) -> Ordering) {
    let (mut i, mut j) = (0, 0);
    for out in to {
        let first = j == b.len() || i < a.len() && compare(&b[j], &a[i]).is_ge();
        if first {
            *out = a[i];
            i += 1;
        } else {
            *out = b[j];
            j += 1;
        }
    }
}

/// How many elements of `a` the first `count` of the stable merge of `a` and `b` hold.
#[expect(clippy::arithmetic_side_effects, reason = "low <= i < high <= a.len()")]
fn diagonal<T>(a: &[T], b: &[T], count: usize, compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let (mut low, mut high) = (count.saturating_sub(b.len()), count.min(a.len()));
    while low < high {
        let i = low.midpoint(high);
        // a[i] is among the first `count` unless b's last one there comes before it.
        if compare(&b[count - i - 1], &a[i]).is_lt() { high = i } else { low = i + 1 }
    }
    low
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, LENGTHS, pools};

    /// Pairs whose first numbers repeat and whose second tell them apart.
    fn pairs(len: usize, kinds: u64) -> Vec<[u32; 2]> {
        let mut dice = Dice(len as u64);
        (0..len).map(|i| [(dice.roll() % kinds) as u32, i as u32]).collect()
    }

    #[test]
    fn sorts_stably_as_the_standard_library_does() {
        launching(|| {
            for len in LENGTHS {
                for kinds in [1, 2, 100, 1 << 30] {
                    let data = pairs(len, kinds);
                    let mut expected = data.clone();
                    expected.sort_by_key(|pair| pair[0]);
                    for pool in pools() {
                        let mut x = pool.from_slice(&data).unwrap();
                        sort_by(pool, &mut x, |a, b| a[0].cmp(&b[0])).unwrap();
                        assert_eq!(x.as_slice(), expected, "{len} pairs, {} workers", pool.workers());
                    }
                }
            }
        });
    }

    #[test]
    fn the_order_of_the_elements_themselves_is_a_comparison() {
        let mut x = SharedArray::from_fn(5000, |i| [(i * 7 % 13) as u8, i as u8]).unwrap();
        sort_by(&pools()[0], &mut x, Ord::cmp).unwrap();
        assert!(x.as_slice().is_sorted());
    }

    /// The bits of elements, in the order of these: equal for permutations of each other.
    fn multiset<T: Element>(x: &[T]) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = x.iter().map(|x| bytemuck::bytes_of(x).to_vec()).collect();
        all.sort();
        all
    }

    /// Answers that depend on the bits of both elements and on nothing else: no order at all.
    fn nonsense(a: &[u32; 2], b: &[u32; 2]) -> Ordering {
        let mix = (u64::from(a[1]) << 32 | u64::from(b[1])).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
        [Ordering::Less, Ordering::Equal, Ordering::Greater, Ordering::Greater][mix as usize]
    }

    #[test]
    fn no_element_is_lost_whatever_the_comparison_says() {
        let mut dice = Dice(9);
        let floats: Vec<f64> =
            (0..50_000).map(|_| if dice.roll().is_multiple_of(5) { f64::NAN } else { dice.unit() }).collect();
        for (pool, len) in pools().iter().zip([50_000, 9_000, 31_007, 50_000]) {
            let data = &floats[..len];
            let mut x = pool.from_slice(data).unwrap();
            sort_by(pool, &mut x, |a, b| a.partial_cmp(b).unwrap_or(Ordering::Greater)).unwrap();
            assert!(multiset(x.as_slice()) == multiset(data), "NaN is greater, {len}");
            sort_by(pool, &mut x, |a, b| a.partial_cmp(b).unwrap_or(Ordering::Less)).unwrap();
            assert!(multiset(x.as_slice()) == multiset(data), "NaN is less, {len}");
            let data = pairs(len, 1 << 30);
            for which in 0..3 {
                let mut x = pool.from_slice(&data).unwrap();
                launching(|| match which {
                    0 => sort_by(pool, &mut x, nonsense),
                    1 => sort_by(pool, &mut x, |_, _| Ordering::Less),
                    _ => sort_by(pool, &mut x, |_, _| Ordering::Greater),
                })
                .unwrap();
                assert!(multiset(x.as_slice()) == multiset(&data), "{which}, {len}");
            }
        }
    }

    #[test]
    fn a_panicking_comparison_is_an_error_that_loses_nothing() {
        let early = |_: &[u32; 2], _: &[u32; 2]| -> Ordering { panic!("no order") };
        // Comes up when most is sorted.
        let late = |a: &[u32; 2], b: &[u32; 2]| {
            assert!(a[1].abs_diff(b[1]) < 15_000, "far apart");
            a[0].cmp(&b[0])
        };
        for len in [100, 20_000, 50_000] {
            let data = pairs(len, 1 << 30);
            let mut x = pools()[1].from_slice(&data).unwrap();
            let error = sort_by(&pools()[1], &mut x, early).unwrap_err();
            assert!(error.to_string().contains("no order"), "{error}");
            assert!(matches!(error, KernelError::Launch(_)), "{error}");
            assert!(multiset(x.as_slice()) == multiset(&data));
            if sort_by(&pools()[1], &mut x, late).is_err() {
                assert!(multiset(x.as_slice()) == multiset(&data));
            }
        }
    }

    #[test]
    fn diagonals_split_every_merge() {
        let (a, b) = ([1, 3, 3, 5, 9], [0, 3, 3, 4, 9, 9]);
        let mut all: Vec<_> = a.iter().map(|x| (*x, 0)).chain(b.iter().map(|x| (*x, 1))).collect();
        all.sort_by_key(|pair| pair.0);
        for count in 0..=all.len() {
            let of_a = all[..count].iter().filter(|pair| pair.1 == 0).count();
            assert_eq!(diagonal(&a, &b, count, &|a: &i32, b: &i32| a.cmp(b)), of_a);
        }
    }
}
