//! Sorts that carry something along: indices, values, whole elements. All are stable.
//!
//! Each key is joined with its index into one wider word, `rank << bits | index`; words are sorted in place,
//! and what is carried is gathered by the index in the low bits. No two words are equal, which makes the
//! order of equal keys that of their indices.
#![deny(clippy::arithmetic_side_effects)]

use super::merge::sort_by;
use super::sort::sort;
use crate::error::{KernelError, check_shape};
use crate::inline::{here, is_inline};
use crate::input::Input;
use crate::word::{Key, Word};
use bytemuck::{Pod, Zeroable};
use ndarray::Ix1;
use phalanx::{Element, Pool, SharedArray};

/// A rank and an index in one word, the index in the low half.
trait Tagged: Key {
    fn join(rank: u128, index: usize) -> Self;
    fn index(self) -> usize;
}

impl Tagged for u64 {
    #[inline(always)]
    fn join(rank: u128, index: usize) -> u64 {
        (rank as u64) << 32 | index as u64
    }
    #[inline(always)]
    fn index(self) -> usize {
        self as u32 as usize
    }
}

impl Tagged for u128 {
    #[inline(always)]
    fn join(rank: u128, index: usize) -> u128 {
        rank << 64 | index as u128
    }
    #[inline(always)]
    fn index(self) -> usize {
        self as u64 as usize
    }
}

/// A rank too wide to be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
struct Wide {
    rank: u128,
    index: u128,
}

/// Indices in the order of their keys, in one of three forms.
enum Order {
    Short(SharedArray<u64>),
    Long(SharedArray<u128>),
    Wide(SharedArray<Wide>),
}

impl Order {
    /// The stable order of the keys that `key` returns for the elements of `x`.
    fn of<T, K, F>(pool: &Pool, x: &SharedArray<T>, key: F) -> Result<Order, KernelError>
    where
        T: Element,
        K: Key,
        F: Fn(&T) -> K + Copy + Send + Sync,
    {
        if K::Word::BITS <= 32 && u32::try_from(x.len()).is_ok() {
            return Ok(Order::Short(tagged(pool, x, key)?));
        }
        if K::Word::BITS <= 64 {
            return Ok(Order::Long(tagged(pool, x, key)?));
        }
        let mut wide = pool.zeros::<Wide>(x.len())?;
        let operands = (wide.split_out(), x.split(), 0..x.len());
        pool.launch().retry(3).for_each(operands, move |(wide, x, span)| {
            for ((wide, x), index) in wide.iter_mut().zip(x).zip(span) {
                *wide = Wide { rank: key(x).to_rank().widen(), index: index as u128 };
            }
        })?;
        sort_by(pool, &mut wide, Ord::cmp)?;
        Ok(Order::Wide(wide))
    }

    /// Sets `to[i] = from[order[i]]`.
    fn gather<T: Element>(
        &self,
        pool: &Pool,
        to: &mut SharedArray<T>,
        from: &SharedArray<T>,
    ) -> Result<(), KernelError> {
        match self {
            Order::Short(tags) => gather(pool, to, from, tags, |tag| tag.index()),
            Order::Long(tags) => gather(pool, to, from, tags, |tag| tag.index()),
            Order::Wide(tags) => gather(pool, to, from, tags, |tag| tag.index as usize),
        }
    }

    /// Writes the indices.
    fn write(&self, pool: &Pool, out: &mut SharedArray<u64>) -> Result<(), KernelError> {
        Ok(match self {
            Order::Short(tags) => pool.map_into(out.split_out(), tags.split(), |tag| tag.index() as u64),
            Order::Long(tags) => pool.map_into(out.split_out(), tags.split(), |tag| tag.index() as u64),
            Order::Wide(tags) => pool.map_into(out.split_out(), tags.split(), |tag| tag.index as u64),
        }?)
    }
}

fn tagged<T, K, P, F>(pool: &Pool, x: &SharedArray<T>, key: F) -> Result<SharedArray<P>, KernelError>
where
    T: Element,
    K: Key,
    P: Tagged,
    F: Fn(&T) -> K + Copy + Send + Sync,
{
    let mut tags = pool.zeros::<P>(x.len())?;
    let operands = (tags.split_out(), x.split(), 0..x.len());
    pool.launch().retry(3).for_each(operands, move |(tags, x, span)| {
        for ((tag, x), index) in tags.iter_mut().zip(x).zip(span) {
            *tag = P::join(key(x).to_rank().widen(), index);
        }
    })?;
    sort(pool, &mut tags)?;
    Ok(tags)
}

fn gather<T, P, F>(
    pool: &Pool,
    to: &mut SharedArray<T>,
    from: &SharedArray<T>,
    tags: &SharedArray<P>,
    index: F,
) -> Result<(), KernelError>
where
    T: Element,
    P: Element,
    F: Fn(P) -> usize + Copy + Send + Sync,
{
    let operands = (to.split_out(), tags.split(), from.whole());
    Ok(pool.launch().retry(3).for_each(operands, move |(to, tags, from)| {
        for (to, tag) in to.iter_mut().zip(tags) {
            *to = from[index(*tag)];
        }
    })?)
}

/// Writes to `out` the indices that would sort `x`: `x[out[0]] <= x[out[1]] <= ..`. Stable, like NumPy's
/// `argsort(kind="stable")`.
///
/// -0.0 and +0.0 count as equal, and so do all NaNs, which come last.
///
/// Cost: a sort of words twice as wide as the keys (64 bits for keys of at most 32 bits, else 128; keys of
/// 128 bits are sorted by comparison). These words are also the extra memory.
///
/// # Errors
/// `Shape` if `out` is not as long as `x`. `Memory`. `Launch`; `out` then holds unspecified values.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut order = pool.zeros(4)?;
/// phalanx_kernels::order::argsort(&pool, &mut order, &[2.5, f64::NAN, -1.0, 2.5])?;
/// assert_eq!(order.as_slice(), [2, 0, 3, 1]);
/// # Ok(())
/// # }
/// ```
pub fn argsort<T: Key>(
    pool: &Pool,
    out: &mut SharedArray<u64>,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
) -> Result<(), KernelError> {
    check_shape("out", &[x.len()], out.shape())?;
    if is_inline(x.len()) {
        let keys = x.elements();
        let order = out.as_mut_slice();
        order.iter_mut().enumerate().for_each(|(i, index)| *index = i as u64);
        order.sort_by_key(|index| keys[*index as usize].to_rank());
        return Ok(());
    }
    let x = x.share(pool)?;
    Order::of(pool, &x, |key: &T| *key)?.write(pool, out)
}

/// Sorts `keys` in place and moves `values` along. The sort is stable: pairs with equal keys keep their
/// order.
///
/// -0.0 and +0.0 count as equal, and so do all NaNs, which come last. Every element keeps its bits.
///
/// Cost: as for [`argsort`], and a random read of every pair. Extra memory: the words of [`argsort`], and as
/// much as the longer array.
///
/// # Errors
/// `Shape` if the lengths differ. `Memory`, before anything is changed. `Launch`; both arrays then hold
/// unspecified values.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut keys = pool.from_slice(&[3i32, 1, 2, 1])?;
/// let mut values = pool.from_slice(&[30.0, 10.0, 20.0, 11.0])?;
/// phalanx_kernels::order::sort_pairs(&pool, &mut keys, &mut values)?;
/// assert_eq!(keys.as_slice(), [1, 1, 2, 3]);
/// assert_eq!(values.as_slice(), [10.0, 11.0, 20.0, 30.0]);
/// # Ok(())
/// # }
/// ```
pub fn sort_pairs<K: Key, V: Element>(
    pool: &Pool,
    keys: &mut SharedArray<K>,
    values: &mut SharedArray<V>,
) -> Result<(), KernelError> {
    check_shape("values", keys.shape(), values.shape())?;
    if is_inline(keys.len()) {
        let mut pairs: Vec<(K, V)> =
            keys.as_slice().iter().copied().zip(values.as_slice().iter().copied()).collect();
        pairs.sort_by_key(|pair| pair.0.to_rank());
        for ((key, value), pair) in keys.as_mut_slice().iter_mut().zip(values.as_mut_slice()).zip(pairs) {
            (*key, *value) = pair;
        }
        return Ok(());
    }
    let (old_keys, old_values) = (copy(pool, keys)?, copy(pool, values)?);
    let order = Order::of(pool, keys, |key: &K| *key)?;
    order.gather(pool, keys, &old_keys)?;
    order.gather(pool, values, &old_values)
}

/// Sorts `x` in place by a key that `key` computes from each element. The sort is stable.
///
/// `key` is a function or a closure that captures nothing. It is called once for each element. -0.0 and +0.0
/// count as equal, and so do all NaNs, which come last.
///
/// Cost: as for [`argsort`], and a random read of every element. Extra memory: the words of [`argsort`], and
/// as much as the array.
///
/// # Errors
/// `Memory`; `x` is unchanged. `Launch`, also if `key` panics; `x` is unchanged then, or holds unspecified
/// values if workers died.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut points = pool.from_fn(30_000, |i| [(i as f64).sin(), i as f64])?;
/// phalanx_kernels::order::sort_by_key(&pool, &mut points, |point| point[0])?;
/// assert!(points.as_slice().is_sorted_by_key(|point| point[0]));
/// # Ok(())
/// # }
/// ```
pub fn sort_by_key<T, K, F>(pool: &Pool, x: &mut SharedArray<T>, key: F) -> Result<(), KernelError>
where
    T: Element,
    K: Key,
    F: Fn(&T) -> K + Copy + Send + Sync,
{
    if is_inline(x.len()) {
        let x = x.as_mut_slice();
        return Ok(here(x.len(), || x.sort_by_cached_key(|element| key(element).to_rank()))?);
    }
    let old = copy(pool, x)?;
    let order = Order::of(pool, &old, key)?;
    order.gather(pool, x, &old)
}

fn copy<T: Element>(pool: &Pool, x: &SharedArray<T>) -> Result<SharedArray<T>, KernelError> {
    let mut copy = pool.zeros(x.len())?;
    pool.launch().retry(3).for_each((copy.split_out(), x.split()), |(to, from)| to.copy_from_slice(from))?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::order::tests::{bytes, patterns};
    use crate::testing::{LENGTHS, pool, pools};

    /// The naive twin.
    fn naive_argsort<T: Key>(x: &[T]) -> Vec<u64> {
        let mut order: Vec<u64> = (0..x.len() as u64).collect();
        order.sort_by_key(|i| x[*i as usize].to_rank());
        order
    }

    fn check<T: Key>(name: &str, keys: &[T]) {
        let expected = naive_argsort(keys);
        let sorted: Vec<T> = expected.iter().map(|i| keys[*i as usize]).collect();
        let indices: Vec<u64> = (0..keys.len() as u64).collect();
        for pool in pools() {
            let (mut out, x) = (pool.zeros(keys.len()).unwrap(), pool.from_slice(keys).unwrap());
            argsort(pool, &mut out, &x).unwrap();
            assert!(out.as_slice() == expected, "{name}, {} of them", keys.len());
            let (mut x, mut values) = (x, pool.from_slice(&indices).unwrap());
            sort_pairs(pool, &mut x, &mut values).unwrap();
            assert!(values.as_slice() == expected && bytes(x.as_slice()) == bytes(&sorted), "{name}");
            let mut x = pool.from_slice(keys).unwrap();
            sort_by_key(pool, &mut x, |key: &T| *key).unwrap();
            assert!(bytes(x.as_slice()) == bytes(&sorted), "{name}");
        }
    }

    #[test]
    fn orders_are_those_of_the_stable_twin() {
        launching(|| {
            for len in LENGTHS.into_iter().filter(|len| *len < 11_000) {
                for (name, words) in patterns(len) {
                    check(name, &words);
                    check(name, &words.iter().map(|w| f32::from_bits(*w as u32)).collect::<Vec<_>>());
                }
            }
            for (name, words) in patterns(3001) {
                check(name, &words.iter().map(|w| *w as u8).collect::<Vec<_>>());
                check(name, &words.iter().map(|w| i128::from(*w) << 60).collect::<Vec<_>>());
            }
        });
        for (name, words) in patterns(1009) {
            check(name, &words.iter().map(|w| f64::from_bits(*w)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn zeros_of_both_signs_and_all_nans_keep_their_order() {
        launching(|| {
            let mut out = pool().zeros(6).unwrap();
            argsort(pool(), &mut out, &[0.0, -0.0, f64::NAN, -f64::NAN, 1.0, -0.0]).unwrap();
            assert_eq!(out.as_slice(), [0, 1, 5, 4, 2, 3]);
        });
    }

    #[test]
    fn wrong_lengths_are_refused_before_anything_is_changed() {
        let (mut keys, mut values) =
            (SharedArray::from_slice(&[2u8, 1]).unwrap(), SharedArray::zeros(3).unwrap());
        let refused = sort_pairs::<u8, f32>(pool(), &mut keys, &mut values);
        assert!(matches!(refused, Err(KernelError::Shape { what: "values", .. })));
        assert_eq!(keys.as_slice(), [2, 1]);
        let refused = argsort(pool(), &mut SharedArray::zeros(3).unwrap(), &[1.0]);
        assert!(matches!(refused, Err(KernelError::Shape { what: "out", .. })));
    }
}
