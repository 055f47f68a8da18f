//! Distinct elements.
#![deny(clippy::arithmetic_side_effects)]

use super::few::{Counted, count_few};
use super::sort::{sort, sort_slice};
use crate::error::KernelError;
use crate::inline::is_inline;
use crate::input::Input;
use crate::word::Key;
use phalanx::{Pool, Shape, SharedArray};

/// Elements of a part: a part's distinct elements are counted before, and written after, the parts' places
/// are known.
const PART: usize = if cfg!(test) { 1 << 10 } else { 1 << 16 };

/// Returns the distinct elements of `x` in ascending order, like NumPy's `unique`.
///
/// -0.0 and +0.0 count as one element (-0.0 if there is one), and so do all NaNs, which come last.
///
/// Cost: with at most 2048 distinct elements, one pass over `x`. With more, a copy of `x`, its [`sort`], two
/// passes over the sorted copy and one write of the distinct elements; extra memory is then a copy of `x`,
/// besides the result.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let kinds = phalanx_kernels::order::unique(&pool, &[3, 1, 3, 2, 1])?;
/// assert_eq!(kinds.as_slice(), [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
#[expect(clippy::arithmetic_side_effects, reason = "offsets begin with 0")]
pub fn unique<T: Key, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<SharedArray<T>, KernelError> {
    if is_inline(x.len()) {
        let (kinds, _counts) = count_short(x.elements().to_vec());
        return Ok(pool.from_slice(&kinds)?);
    }
    if let Some((kinds, _counts)) = count_few(pool, x)? {
        return Ok(pool.from_slice(&kinds)?);
    }
    let sorted = sorted_copy(pool, x)?;
    let (starts, offsets) = find_starts(pool, &sorted)?;
    let mut out = pool.zeros(starts)?;
    let parts = offsets.len() - 1;
    let operands = (out.split_at_mut(&offsets), sorted.whole(), 0..parts);
    pool.launch().retry(3).retry_in_place().for_each(operands, |(out, sorted, part)| {
        let starts = starts_of(sorted, part.start);
        out.iter_mut().zip(starts).for_each(|(out, at)| *out = sorted[at]);
    })?;
    Ok(out)
}

/// Returns the distinct elements of `x` like [`unique`], and how often each occurs.
///
/// Cost: as for [`unique`], and 24 bytes for each distinct element where there are many.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = [0.5, f64::NAN, 0.5, 0.0, -0.0, f64::NAN];
/// let (kinds, counts) = phalanx_kernels::order::unique_counts(&pool, &x)?;
/// assert_eq!(kinds.as_slice()[..2], [0.0, 0.5]);
/// assert!(kinds.as_slice()[2].is_nan());
/// assert_eq!(counts.as_slice(), [2, 2, 2]);
/// # Ok(())
/// # }
/// ```
#[allow(clippy::type_complexity, reason = "two arrays of one length; a struct would only name them again")]
#[expect(clippy::arithmetic_side_effects, reason = "offsets begin with 0, and places ascend to `len`")]
pub fn unique_counts<T: Key, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(SharedArray<T>, SharedArray<u64>), KernelError> {
    if is_inline(x.len()) {
        let (kinds, counts) = count_short(x.elements().to_vec());
        return Ok((pool.from_slice(&kinds)?, pool.from_slice(&counts)?));
    }
    if let Some((kinds, counts)) = count_few(pool, x)? {
        return Ok((pool.from_slice(&kinds)?, pool.from_slice(&counts)?));
    }
    let sorted = sorted_copy(pool, x)?;
    let (starts, offsets) = find_starts(pool, &sorted)?;
    let (mut out, mut places) = (pool.zeros(starts)?, pool.zeros::<u64>(starts)?);
    let parts = offsets.len() - 1;
    let operands = (out.split_at_mut(&offsets), places.split_at_mut(&offsets), sorted.whole(), 0..parts);
    pool.launch().retry(3).retry_in_place().for_each(operands, |(out, places, sorted, part)| {
        let starts = starts_of(sorted, part.start);
        for ((out, place), at) in out.iter_mut().zip(places).zip(starts) {
            (*out, *place) = (sorted[at], at as u64);
        }
    })?;
    let mut counts = pool.zeros::<u64>(starts)?;
    let operands = (counts.split_out(), places.whole(), 0..starts, sorted.len() as u64);
    pool.launch().retry(3).for_each(operands, |(counts, places, span, len)| {
        for (count, at) in counts.iter_mut().zip(span) {
            *count = places.get(at + 1).unwrap_or(&len) - places[at];
        }
    })?;
    Ok((out, counts))
}

/// The distinct elements of a short array and their counts, in the caller.
fn count_short<T: Key>(mut x: Vec<T>) -> Counted<T> {
    sort_slice(&mut x);
    x.chunk_by(|a, b| a.to_rank() == b.to_rank()).map(|run| (run[0], run.len() as u64)).unzip()
}

fn sorted_copy<T: Key, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<SharedArray<T>, KernelError> {
    let view = x.view();
    let mut copy = match view.as_slice() {
        Some(elements) => pool.from_slice(elements)?,
        None => {
            let mut copy = pool.zeros(view.len())?;
            copy.as_mut_slice().iter_mut().zip(view).for_each(|(to, from)| *to = *from);
            copy
        }
    };
    sort(pool, &mut copy)?;
    Ok(copy)
}

/// How many distinct elements there are, and where in the result each part's first one stands.
#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn find_starts<T: Key>(pool: &Pool, sorted: &SharedArray<T>) -> Result<(usize, Vec<usize>), KernelError> {
    let mut counts = pool.zeros::<u64>(sorted.len().div_ceil(PART))?;
    let parts = counts.len();
    let operands = (counts.split_out(), sorted.whole(), 0..parts);
    pool.launch().retry(3).chunk(1).for_each(operands, |(count, sorted, part)| {
        count[0] = starts_of(sorted, part.start).count() as u64;
    })?;
    let mut offsets = vec![0];
    let mut sum = 0;
    for count in counts.as_slice() {
        sum += *count as usize;
        offsets.push(sum);
    }
    Ok((sum, offsets))
}

/// Where, in part `part` of a sorted array, an element differs from the one before.
#[expect(clippy::arithmetic_side_effects, reason = "parts of an array in memory")]
fn starts_of<T: Key>(sorted: &[T], part: usize) -> impl Iterator<Item = usize> {
    let end = ((part + 1) * PART).min(sorted.len());
    (part * PART..end).filter(|at| *at == 0 || sorted[at - 1].to_rank() != sorted[*at].to_rank())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::order::tests::{bytes, naive_sort, patterns};
    use crate::testing::{LENGTHS, pool, pools};

    /// The naive twin: runs of the sorted array.
    fn naive<T: Key>(x: &[T]) -> (Vec<T>, Vec<u64>) {
        let sorted = naive_sort(x);
        let runs = sorted.chunk_by(|a, b| a.to_rank() == b.to_rank());
        runs.map(|run| (run[0], run.len() as u64)).unzip()
    }

    fn check<T: Key>(name: &str, keys: &[T]) {
        let (expected, expected_counts) = naive(keys);
        for pool in pools() {
            let x = pool.from_slice(keys).unwrap();
            assert!(
                bytes(unique(pool, &x).unwrap().as_slice()) == bytes(&expected),
                "{name}, {}",
                keys.len()
            );
            let (kinds, counts) = unique_counts(pool, &x).unwrap();
            assert!(bytes(kinds.as_slice()) == bytes(&expected), "{name}, {}", keys.len());
            assert_eq!(counts.as_slice(), expected_counts, "{name}, {}", keys.len());
        }
    }

    #[test]
    fn distinct_elements_are_the_twins() {
        launching(|| {
            for len in LENGTHS.into_iter().filter(|len| *len < 11_000).chain([PART - 1, PART, PART + 1]) {
                for (name, words) in patterns(len) {
                    check(name, &words);
                    check(name, &words.iter().map(|w| f32::from_bits(*w as u32)).collect::<Vec<_>>());
                }
            }
        });
    }

    #[test]
    fn short_arrays_are_counted_by_the_caller() {
        for (name, words) in patterns(1009).into_iter().chain(patterns(0)) {
            check(name, &words.iter().map(|w| f64::from_bits(*w)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn arrays_of_any_shape_are_taken() {
        let x = pool().from_shape_fn((3, 4), |(i, j)| (i * j) as i16).unwrap();
        assert_eq!(unique(pool(), &x).unwrap().as_slice(), [0, 1, 2, 3, 4, 6]);
    }
}
