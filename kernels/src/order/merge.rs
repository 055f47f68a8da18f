//! Sorting by a comparison: runs sorted by the standard library, merged in rounds by all workers.
//!
//! Every round cuts its output into chunks; where a chunk's inputs begin is found by bisection along the merge's diagonal (Deo and
//! Sarkar, Parallel algorithms for merging and sorting, 1991), so all workers merge until the last round.

use crate::error::KernelError;
use crate::inline::is_inline;
use phalanx::{Element, Inlined, Pool, SharedArray};
use std::cmp::Ordering;
use std::ops::Range;

/// Sorts `x` in place by a comparison, stably: elements that compare equal keep their order.
///
/// `compare` is a function, or a closure that captures nothing, and a total order; `Ord::cmp` sorts any element with an order of its own.
/// If it is no total order, the elements end up in some order. For keys that are numbers [`sort`](super::sort) and
/// [`sort_by_key`](super::sort_by_key) are several times faster.
///
/// Cost: the standard library's merge sort of runs, at least one a worker; then, for every fourfold number of runs, two sweeps that
/// read and write all elements. Room beside the array: as much again.
///
/// # Errors
/// `Memory` for the room; `x` then holds what it held. `Launch`, also where `compare` panics; `x` then holds unspecified values.
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
pub fn sort_by<T, F>(pool: &Pool, x: &mut SharedArray<T>, compare: F) -> Result<(), KernelError>
where
    T: Element,
    F: Fn(&T, &T) -> Ordering + Copy + Send + Sync + 'static,
{
    if is_inline(x.len()) {
        x.as_mut_slice().sort_by(compare);
        return Ok(());
    }
    let len = x.len();
    // A power of four: an even number of rounds ends where it began.
    let mut runs = 4;
    while runs < pool.workers() {
        runs *= 4;
    }
    let mut run = len.div_ceil(runs).max(1);
    let mut room = if run < len { Some(pool.zeros::<T>(len)?) } else { None };
    let inlined = || Inlined::new::<(&'static T, &'static T)>(compare);
    pool.launch().chunk(run).for_each((x.split_mut(), inlined()), |(run, compare)| run.sort_by(compare))?;
    let Some(room) = &mut room else { return Ok(()) };
    while run < len {
        merge_round(pool, x, room, run, inlined())?;
        merge_round(pool, room, x, 2 * run, inlined())?;
        run *= 4;
    }
    Ok(())
}

/// Merges neighbouring runs of `from` into runs twice as long in `to`.
fn merge_round<T, F>(
    pool: &Pool,
    from: &SharedArray<T>,
    to: &mut SharedArray<T>,
    run: usize,
    compare: Inlined<F>,
) -> Result<(), KernelError>
where
    T: Element,
    F: Fn(&T, &T) -> Ordering + Copy + Send + Sync + 'static,
{
    let operands = (to.split_out(), from.whole(), 0..from.len(), run, compare);
    Ok(pool.launch().retry(3).for_each(operands, |(to, from, span, run, compare)| {
        merge_span(to, from, span, run, compare);
    })?)
}

/// Writes places `span` of what `from` becomes when its neighbouring runs of `run` elements are merged.
fn merge_span<T: Copy>(
    to: &mut [T],
    from: &[T],
    span: Range<usize>,
    run: usize,
    compare: impl Fn(&T, &T) -> Ordering + Copy,
) {
    let mut at = span.start;
    while at < span.end {
        let start = at / (2 * run) * (2 * run);
        let end = (start + 2 * run).min(from.len());
        let middle = (start + run).min(end);
        let stop = span.end.min(end);
        let (a, b) = (&from[start..middle], &from[middle..end]);
        merge_part(&mut to[at - span.start..stop - span.start], a, b, at - start, compare);
        at = stop;
    }
}

/// Writes `to.len()` elements, from place `skip` on, of the stable merge of `a` and `b`.
fn merge_part<T: Copy>(to: &mut [T], a: &[T], b: &[T], skip: usize, compare: impl Fn(&T, &T) -> Ordering) {
    let (mut i, mut j) = diagonal(a, b, skip, &compare);
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

/// How many elements of `a` and of `b` the first `count` of their stable merge are.
fn diagonal<T>(a: &[T], b: &[T], count: usize, compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let (mut low, mut high) = (count.saturating_sub(b.len()), count.min(a.len()));
    while low < high {
        let i = low.midpoint(high);
        // a[i] is among the first `count` unless b's last one there comes before it.
        if compare(&b[count - i - 1], &a[i]).is_lt() { high = i } else { low = i + 1 }
    }
    (low, count - low)
}

#[cfg(test)]
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

    #[test]
    fn a_panicking_comparison_is_an_error() {
        let mut x = pools()[1].from_fn(20_000, |i| i as u32).unwrap();
        let error = sort_by(&pools()[1], &mut x, |_, _| panic!("no order")).unwrap_err();
        assert!(matches!(error, KernelError::Launch(_)), "{error}");
    }

    #[test]
    fn diagonals_split_every_merge() {
        let (a, b) = ([1, 3, 3, 5, 9], [0, 3, 3, 4, 9, 9]);
        let mut all: Vec<_> = a.iter().map(|x| (*x, 0)).chain(b.iter().map(|x| (*x, 1))).collect();
        all.sort_by_key(|pair| pair.0);
        for count in 0..=all.len() {
            let (i, j) = diagonal(&a, &b, count, &|a: &i32, b: &i32| a.cmp(b));
            let of_a = all[..count].iter().filter(|pair| pair.1 == 0).count();
            assert_eq!((i, j), (of_a, count - of_a));
        }
    }
}
