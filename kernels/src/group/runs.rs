//! Folds of runs of equal keys.
//!
//! ```text
//! a part of 32,768 elements: how many runs begin in it
//! a part: folds the elements of each run that begins in it, as far as the part goes, and those before the first
//!         such run (its head)
//! the caller: adds heads to the runs that reach into them, from left to right
//! ```

use crate::error::{KernelError, check_shape};
use crate::inline::{here, is_inline, repeatable};
use crate::input::{Input, flat};
use crate::word::Key;
use ndarray::Ix1;
use phalanx::{Element, Pool, SharedArray};

/// Elements of a part.
const PART: usize = 1 << 15;

/// The key of each run, and what was made of its values.
pub type Groups<K, A> = (SharedArray<K>, SharedArray<A>);

/// Returns the key of each run of equal keys, and the fold of its values by an associative operator. Of keys
/// in order, as [`order::sort_pairs`](crate::order::sort_pairs) leaves them, these are the groups of all
/// equal keys.
///
/// `op` is a function or a closure that captures nothing; it need not commute. -0.0 equals 0.0, and all NaNs
/// are equal; the first key stands for its run. Runs of any lengths are shared evenly. Floats are added in an
/// order that depends on the keys alone, so results have the same bits for every number of workers.
///
/// Cost: keys are read twice and values once.
///
/// # Errors
/// `Shape` if the lengths differ; `Memory`, `Launch`; also if `op` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut keys = pool.from_slice(&[3u32, 1, 3, 1, 2])?;
/// let mut values = pool.from_slice(&[1.0, 2.0, 4.0, 8.0, 16.0])?;
/// phalanx_kernels::order::sort_pairs(&pool, &mut keys, &mut values)?;
/// let (kinds, sums) = phalanx_kernels::group::reduce_by_key(&pool, &keys, &values, |a, b| a + b)?;
/// assert_eq!((kinds.as_slice(), sums.as_slice()), (&[1, 2, 3][..], &[10.0, 16.0, 5.0][..]));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "reduceat")]
#[doc(alias = "groupby")]
pub fn reduce_by_key<K: Key, T: Element, F>(
    pool: &Pool,
    keys: &(impl Input<Elem = K, Dim = Ix1> + ?Sized),
    values: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    op: F,
) -> Result<Groups<K, T>, KernelError>
where
    F: Fn(T, T) -> T + Copy + Send + Sync,
{
    fold_by_key(pool, keys, values, |x| x, op)
}

/// Returns the key of each run of equal keys, and the fold by `op` of what `lift` makes of its values;
/// otherwise like [`reduce_by_key`].
///
/// # Errors
/// `Shape` if the lengths differ; `Memory`, `Launch`; also if a function panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// // Sum and count, for means.
/// let (kinds, sums) = phalanx_kernels::group::fold_by_key(
///     &pool,
///     &[1u8, 1, 2],
///     &[3.0, 5.0, 7.0],
///     |x| [x, 1.0],
///     |a, b| [a[0] + b[0], a[1] + b[1]],
/// )?;
/// assert_eq!(kinds.as_slice(), [1, 2]);
/// assert_eq!(sums.as_slice(), [[8.0, 2.0], [7.0, 1.0]]);
/// # Ok(())
/// # }
/// ```
pub fn fold_by_key<K: Key, T: Element, A: Element, L, F>(
    pool: &Pool,
    keys: &(impl Input<Elem = K, Dim = Ix1> + ?Sized),
    values: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    lift: L,
    op: F,
) -> Result<Groups<K, A>, KernelError>
where
    L: Fn(T) -> A + Copy + Send + Sync,
    F: Fn(A, A) -> A + Copy + Send + Sync,
{
    check_shape("values", &[keys.len()], &[values.len()])?;
    if keys.is_empty() {
        return Ok((pool.zeros(0)?, pool.zeros(0)?));
    }
    if is_inline(keys.len()) {
        let (keys, values) = (flat(pool, keys)?, flat(pool, values)?);
        let (mut kinds, mut folds) = (Vec::new(), Vec::new());
        here(keys.len(), || {
            for run in runs_of(&keys, 0..keys.len()) {
                kinds.push(keys[run.start]);
                folds.push(fold(&values[run], lift, op));
            }
        })?;
        return Ok((pool.from_slice(&kinds)?, pool.from_slice(&folds)?));
    }
    let (keys, values) = (keys.share(pool)?, values.share(pool)?);
    let offsets = offsets_of(pool, &keys)?;
    let (parts, runs) = (offsets.len() - 1, offsets[offsets.len() - 1]);
    let (mut kinds, mut folds) = (pool.zeros::<K>(runs)?, pool.zeros::<A>(runs)?);
    let (mut heads, mut has_heads) = (pool.zeros::<A>(parts)?, pool.zeros::<u8>(parts)?);
    let own = (kinds.split_at_mut(&offsets), folds.split_at_mut(&offsets));
    let operands = (own, heads.split_out(), has_heads.split_out(), 0..parts, keys.whole(), values.whole());
    let launch = repeatable(pool).retry_in_place();
    launch.for_each(operands, move |((kinds, folds), head, has_head, part, keys, values)| {
        let (low, high) = (part.start * PART, keys.len().min((part.start + 1) * PART));
        let first = (low..high).find(|at| is_start(keys, *at)).unwrap_or(high);
        has_head[0] = u8::from(first > low);
        if first > low {
            head[0] = fold(&values[low..first], lift, op);
        }
        for ((kind, out), run) in kinds.iter_mut().zip(folds).zip(runs_of(keys, first..high)) {
            (*kind, *out) = (keys[run.start], fold(&values[run], lift, op));
        }
    })?;
    let folded = folds.as_mut_slice();
    here(keys.len(), || {
        let heads = heads.as_slice().iter().zip(has_heads.as_slice()).zip(&offsets);
        for ((head, _), before) in heads.filter(|((_, has_head), _)| **has_head != 0) {
            // The run that began last before this part.
            folded[before - 1] = op(folded[before - 1], *head);
        }
    })?;
    Ok((kinds, folds))
}

/// Returns the key of each run of equal keys, and how long it is: run-length encoding.
///
/// Cost: keys are read twice. Keys are compared as by [`reduce_by_key`].
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let (kinds, lengths) = phalanx_kernels::group::run_lengths(&pool, &[7, 7, 7, 1, 7])?;
/// assert_eq!((kinds.as_slice(), lengths.as_slice()), (&[7, 1, 7][..], &[3, 1, 1][..]));
/// # Ok(())
/// # }
/// ```
pub fn run_lengths<K: Key>(
    pool: &Pool,
    keys: &(impl Input<Elem = K, Dim = Ix1> + ?Sized),
) -> Result<Groups<K, u64>, KernelError> {
    fold_by_key(pool, keys, keys, |_| 1, |a, b| a + b)
}

fn is_start<K: Key>(keys: &[K], at: usize) -> bool {
    at == 0 || keys[at].to_rank() != keys[at - 1].to_rank()
}

/// The runs of equal keys in a span that begins with a run.
fn runs_of<K: Key>(keys: &[K], span: std::ops::Range<usize>) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = span.start;
    keys[span].chunk_by(|a, b| a.to_rank() == b.to_rank()).map(move |run| {
        let low = start;
        start += run.len();
        low..start
    })
}

/// The fold of elements, of which there is at least one.
fn fold<T: Copy, A>(x: &[T], lift: impl Fn(T) -> A, op: impl Fn(A, A) -> A) -> A {
    x[1..].iter().fold(lift(x[0]), |fold, x| op(fold, lift(*x)))
}

/// How many runs begin before each part, and in all.
fn offsets_of<K: Key>(pool: &Pool, keys: &SharedArray<K>) -> Result<Vec<usize>, KernelError> {
    let parts = keys.len().div_ceil(PART);
    let mut counts = SharedArray::<u64>::zeros(parts)?;
    repeatable(pool).chunk(1).for_each(
        (counts.split_out(), 0..parts, keys.whole()),
        |(count, part, keys)| {
            let span = part.start * PART..keys.len().min((part.start + 1) * PART);
            count[0] = span.filter(|at| is_start(keys, *at)).count() as u64;
        },
    )?;
    let mut offsets = vec![0];
    let mut sum = 0;
    for count in counts.as_slice() {
        sum += *count as usize;
        offsets.push(sum);
    }
    Ok(offsets)
}
