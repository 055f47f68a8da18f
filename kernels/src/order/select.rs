//! Selection: the elements that sorting would put at given indices, without sorting.
//!
//! ```text
//! range = [lowest word, highest word]
//! while more than a few elements lie in the range:
//!   count the leading bits of (word - lo) over all words in the range, in 4096 bins
//!   range = the bin in which the wanted place falls
//! copy the words in the range out, and let the standard library select among them
//! ```
#![deny(clippy::arithmetic_side_effects)]

use crate::error::KernelError;
use crate::inline::is_inline;
use crate::input::Input;
use crate::interpolate::interpolate;
use crate::number::Number;
use crate::word::{Key, Word};
use phalanx::sync::Counter;
use phalanx::{Pool, Shape, SharedArray};

/// Bins of one count: their table fits a first-level cache.
const BINS: usize = 4096;
/// Elements that are left to one core.
const FEW: usize = if cfg!(test) { 100 } else { 1 << 18 };

/// Returns the element that sorting would put at index `nth` (0 is the smallest). NaNs are last.
///
/// Cost: reads the array three times if its values are spread evenly (extremes, counts, copy of one bin), and
/// twice more for every `2^12`-fold crowding of a bin. The array is not changed. Extra memory: at most 2 MiB,
/// and 32 KiB for each of 256 leaves.
///
/// # Errors
/// `Empty` if there are no elements; `Argument` if `nth` is not below the length; `Memory`; `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(100_001, |i| (i * 7919 % 100_001) as u32)?;
/// assert_eq!(phalanx_kernels::order::select_nth(&pool, &x, 50_000)?, 50_000);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "partition")]
pub fn select_nth<T: Key, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    nth: usize,
) -> Result<T, KernelError> {
    check_not_empty(x.len(), "select_nth")?;
    if nth >= x.len() {
        let why = format!("there is no place {nth} among {} elements; places count from 0", x.len());
        return Err(KernelError::argument("nth", why));
    }
    let found = select_words(pool, x, &[nth])?;
    Ok(T::from_word(found[0]))
}

/// Returns exact quantiles, like NumPy's `quantile(x, q)`, with linear interpolation between the two elements
/// next to index `q * (n - 1)` of the sorted array.
///
/// There is one value for each of `q`, in float64. If any element is NaN, all quantiles are NaN. Between
/// equal infinities the result is that infinity (NumPy returns NaN).
///
/// Cost: as for [`select_nth`], with one more pass over floats to look for NaN; quantiles that fall into the
/// same bin share the passes.
///
/// # Errors
/// `Empty` if there are no elements; `Argument` if a `q` is not in 0..=1; `Memory`; `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = [4.0, 1.0, 3.0, 2.0];
/// assert_eq!(phalanx_kernels::order::quantiles(&pool, &x, &[0.0, 0.5, 0.9])?, [1.0, 2.5, 3.7]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "percentile")]
#[doc(alias = "median")]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "x is not empty, and an index rounded up is far from the end of its type"
)]
pub fn quantiles<T: Key + Number, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    q: &[f64],
) -> Result<Vec<f64>, KernelError> {
    check_not_empty(x.len(), "quantiles")?;
    if let Some(bad) = q.iter().find(|q| !(0.0..=1.0).contains(*q)) {
        return Err(KernelError::argument("q", format!("{bad:?} is no quantile; give numbers from 0 to 1")));
    }
    let last = x.len() - 1;
    let mut places: Vec<usize> = q
        .iter()
        .map(|q| (q * last as f64) as usize)
        .flat_map(|at| [at.min(last), (at + 1).min(last)])
        .collect();
    if T::IS_FLOAT {
        // NaNs sort last: if there is one, it is the last element.
        places.push(last);
    }
    let found: Vec<f64> = select_words(pool, x, &places)?
        .into_iter()
        .map(|word| <T as Key>::from_word(word).to_f64())
        .collect();
    if T::IS_FLOAT && found[places.len() - 1].is_nan() {
        return Ok(vec![f64::NAN; q.len()]);
    }
    Ok(q.iter()
        .zip(found.chunks_exact(2))
        .map(|(q, pair)| {
            let place = q * last as f64;
            interpolate(pair[0], pair[1], place - place.floor())
        })
        .collect())
}

/// Writes the largest elements of `x` to `out`, largest first, as many as `out` can hold.
///
/// The order is that of [`sort`](super::sort), so NaNs count as largest.
///
/// Cost: as for [`select_nth`], one more pass, and a sort of `out` by the caller.
///
/// # Errors
/// `Argument` if `out` is longer than `x`; `Memory`; `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(100_000, |i| (i * 7919 % 100_003) as i64)?;
/// let mut out = pool.zeros(3)?;
/// phalanx_kernels::order::top_k(&pool, &mut out, &x)?;
/// assert!(out.as_slice().is_sorted_by(|a, b| a >= b) && out.as_slice()[0] <= 100_002);
/// # Ok(())
/// # }
/// ```
#[expect(clippy::arithmetic_side_effects, reason = "k <= len, and least is below the largest word")]
pub fn top_k<T: Key, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    let (k, len) = (out.len(), x.len());
    if k > len {
        let why = format!("it has {k} places, but there are {len} elements to take the largest of");
        return Err(KernelError::argument("out", why));
    }
    if k == 0 {
        return Ok(());
    }
    let least = select_words(pool, x, &[len - k])?[0];
    let mut words = if least == T::Word::MAX {
        Vec::new()
    } else {
        // Fewer than `k` lie above the element at place `len - k`.
        let next = T::Word::narrow(least.widen() + 1);
        copy_between(pool, x, next, T::Word::MAX, k)?
    };
    words.sort_unstable_by(|a, b| b.cmp(a));
    words.resize(k, least);
    for (out, word) in out.as_mut_slice().iter_mut().zip(words) {
        *out = T::from_word(word);
    }
    Ok(())
}

fn check_not_empty(len: usize, kernel: &'static str) -> Result<(), KernelError> {
    if len == 0 { Err(KernelError::Empty { kernel }) } else { Ok(()) }
}

/// The words at some places of the sorted array.
fn select_words<T: Key, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    places: &[usize],
) -> Result<Vec<T::Word>, KernelError> {
    if is_inline(x.len()) {
        let mut words: Vec<T::Word> = x.elements().iter().map(|key| key.to_word()).collect();
        words.sort_unstable();
        return Ok(places.iter().map(|place| words[*place]).collect());
    }
    let x = x.share(pool)?;
    let extremes = pool.launch().retry(3).reduce(
        x.split_flat(),
        [T::Word::MAX, T::Word::default()],
        |part| {
            part.iter()
                .map(|key| key.to_word())
                .fold([T::Word::MAX, T::Word::default()], |[lo, hi], word| [lo.min(word), hi.max(word)])
        },
        |a, b| [a[0].min(b[0]), a[1].max(b[1])],
    )?;
    let mut found = vec![T::Word::default(); places.len()];
    let whole = Wanted { lo: extremes[0], hi: extremes[1], below: 0, places: (0..places.len()).collect() };
    let mut open = vec![whole];
    while let Some(wanted) = open.pop() {
        narrow(pool, &*x, places, wanted, &mut found, &mut open)?;
    }
    Ok(found)
}

/// Places that are known to hold words from `lo` to `hi`.
struct Wanted<W> {
    lo: W,
    hi: W,
    /// Elements below `lo`.
    below: usize,
    /// Indices into the list of places asked for.
    places: Vec<usize>,
}

/// Finds the bin of each wanted place, and the words themselves in bins that hold few.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "counts of elements in memory; a bin lies between two words"
)]
fn narrow<T: Key, D: Shape>(
    pool: &Pool,
    x: &SharedArray<T, D>,
    places: &[usize],
    wanted: Wanted<T::Word>,
    found: &mut [T::Word],
    open: &mut Vec<Wanted<T::Word>>,
) -> Result<(), KernelError> {
    let Wanted { lo, hi, below, places: mut indices } = wanted;
    if lo == hi {
        indices.iter().for_each(|index| found[*index] = lo);
        return Ok(());
    }
    let shift = hi.width_above(lo).saturating_sub(BINS.ilog2());
    let counts = count_bins(pool, x, lo, hi, shift)?;
    indices.sort_unstable_by_key(|index| places[*index]);
    let (mut bin, mut sum) = (0, below);
    for group in indices.chunk_by(|a, b| same_bin(&counts, below, places[*a], places[*b])) {
        while sum + counts[bin] as usize <= places[group[0]] {
            sum += counts[bin] as usize;
            bin += 1;
        }
        let start = lo.widen() + ((bin as u128) << shift);
        let first = T::Word::narrow(start);
        let last = T::Word::narrow(start.saturating_add((1 << shift) - 1).min(hi.widen()));
        let inside = counts[bin] as usize;
        if inside > FEW && shift > 0 {
            open.push(Wanted { lo: first, hi: last, below: sum, places: group.to_vec() });
        } else if shift == 0 {
            group.iter().for_each(|index| found[*index] = first);
        } else {
            let mut words = copy_between(pool, x, first, last, inside)?;
            words.sort_unstable();
            group.iter().for_each(|index| found[*index] = words[places[*index] - sum]);
        }
    }
    Ok(())
}

/// Whether two places, the second not before the first, fall into one bin.
#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn same_bin(counts: &[u64], below: usize, a: usize, b: usize) -> bool {
    let mut sum = below;
    for count in counts {
        sum += *count as usize;
        if a < sum {
            return b < sum;
        }
    }
    false
}

/// Counts the words from `lo` to `hi` by `(word - lo) >> shift`.
#[expect(clippy::arithmetic_side_effects, reason = "counts of elements in memory")]
fn count_bins<T: Key, D: Shape>(
    pool: &Pool,
    x: &SharedArray<T, D>,
    lo: T::Word,
    hi: T::Word,
    shift: u32,
) -> Result<Vec<u64>, KernelError> {
    let mut counts = pool.zeros::<u64>(BINS)?;
    let operands = (x.split_flat(), counts.reduce(0, |a, b| a + b), lo, hi, shift);
    pool.launch().retry(3).for_each(operands, |(part, counts, lo, hi, shift)| {
        for word in part.iter().map(|key| key.to_word()).filter(|word| (lo..=hi).contains(word)) {
            counts[word.digit_inside(lo, shift)] += 1;
        }
    })?;
    Ok(counts.to_vec())
}

/// Copies out the words from `lo` to `hi`, of which there are at most `limit`, in any order.
fn copy_between<T: Key, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    lo: T::Word,
    hi: T::Word,
    limit: usize,
) -> Result<Vec<T::Word>, KernelError> {
    if is_inline(x.len()) {
        return Ok(x.elements().iter().map(|key| key.to_word()).filter(|w| (lo..=hi).contains(w)).collect());
    }
    let x = x.share(pool)?;
    let mut out = pool.zeros::<T::Word>(limit)?;
    let taken = Counter::new(0).map_err(phalanx::Error::from)?;
    pool.for_each((x.split_flat(), out.scatter(), &taken, lo, hi), |(part, out, taken, lo, hi)| {
        let words = || part.iter().map(|key| key.to_word()).filter(|word| (lo..=hi).contains(word));
        super::blocks::append(&out, taken, words().count(), words());
    })?;
    Ok(out.as_slice()[..taken.get() as usize].to_vec())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::order::tests::{bytes, naive_sort, patterns};
    use crate::testing::{LENGTHS, pool, pools};

    fn check<T: Key + std::fmt::Debug>(name: &str, keys: &[T]) {
        let sorted = naive_sort(keys);
        for pool in pools() {
            let x = pool.from_slice(keys).unwrap();
            for nth in [0, keys.len() / 3, keys.len() / 2, keys.len() - 1] {
                let found = select_nth(pool, &x, nth).unwrap();
                assert!(bytes(&[found]) == bytes(&[sorted[nth]]), "{name} at {nth} of {}", keys.len());
            }
            for k in [0, 1, keys.len() / 2, keys.len()] {
                let mut out = pool.zeros(k).unwrap();
                top_k(pool, &mut out, &x).unwrap();
                let expected: Vec<T> = sorted.iter().rev().take(k).copied().collect();
                assert!(bytes(out.as_slice()) == bytes(&expected), "{name}: top {k} of {}", keys.len());
            }
        }
    }

    #[test]
    fn finds_what_sorting_would() {
        launching(|| {
            for len in [1, 2, 3, 64, 65, 1021, 20_011] {
                for (name, words) in patterns(len) {
                    check(name, &words);
                    check(name, &words.iter().map(|w| f32::from_bits(*w as u32)).collect::<Vec<_>>());
                }
            }
            for (name, words) in patterns(5003) {
                check(name, &words.iter().map(|w| i128::from(*w) << 60).collect::<Vec<_>>());
                check(name, &words.iter().map(|w| *w as i8).collect::<Vec<_>>());
            }
        });
        for (name, words) in patterns(1009) {
            check(name, &words);
        }
    }

    /// The naive twin: sort, then NumPy's formula.
    fn naive_quantile(x: &[f64], q: f64) -> f64 {
        let sorted = naive_sort(x);
        let place = q * (x.len() - 1) as f64;
        let (a, b) = (sorted[place as usize], sorted[(place as usize + 1).min(x.len() - 1)]);
        interpolate(a, b, place.fract())
    }

    #[test]
    fn quantiles_are_exact_for_all_lengths_and_teams() {
        let q = [0.5, 0.0, 1.0, 0.25, 0.999, 0.5, 1.0 / 3.0];
        launching(|| {
            for len in LENGTHS.into_iter().filter(|len| *len > 0 && *len < 11_000) {
                for (name, words) in patterns(len) {
                    let x: Vec<f64> = words.iter().map(|w| *w as f64).collect();
                    let expected: Vec<f64> = q.iter().map(|q| naive_quantile(&x, *q)).collect();
                    for pool in pools() {
                        assert_eq!(quantiles(pool, &x, &q).unwrap(), expected, "{name}, {len}");
                    }
                }
            }
        });
    }

    #[test]
    fn quantiles_follow_numpy_at_the_edges() {
        let q = |x: &[f64], q: f64| quantiles(pool(), x, &[q]).unwrap()[0];
        // numpy.quantile([15., 20., 35., 40., 50.], 0.4) is 29.0, numpy.quantile([1., 2., 3., 4.], 0.1) is
        // 1.3.
        assert_eq!(q(&[15.0, 20.0, 35.0, 40.0, 50.0], 0.4), 29.0);
        assert_eq!(q(&[4.0, 2.0, 3.0, 1.0], 0.1), 1.3);
        assert!(q(&[1.0, f64::NAN, 2.0], 0.0).is_nan());
        assert_eq!(q(&[f64::INFINITY, f64::INFINITY], 0.5), f64::INFINITY);
        assert_eq!(quantiles(pool(), &[3u8, 1], &[0.5]).unwrap(), [2.0]);
    }

    #[test]
    fn bad_arguments_are_refused() {
        let none: [f64; 0] = [];
        assert!(matches!(select_nth(pool(), &none, 0), Err(KernelError::Empty { .. })));
        assert!(matches!(quantiles(pool(), &none, &[0.5]), Err(KernelError::Empty { .. })));
        assert!(matches!(select_nth(pool(), &[1.0], 1), Err(KernelError::Argument { what: "nth", .. })));
        for q in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(quantiles(pool(), &[1.0], &[q]), Err(KernelError::Argument { what: "q", .. })));
        }
        let refused = top_k(pool(), &mut SharedArray::zeros(2).unwrap(), &[1.0]);
        assert!(matches!(refused, Err(KernelError::Argument { what: "out", .. })));
    }
}
