//! Elements by place, places by element.

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::{Input, flat};
use crate::number::{Integer, Number};
use crate::word::Key;
use ndarray::Ix1;
use phalanx::{Element, Pool, Shape, SharedArray};

/// Sets every `out[i]` to `x[indices[i]]`, where `x` is taken as one long vector in row-major order: NumPy's
/// `take`. Negative indices count from the end.
///
/// Cost: indices are read twice, to check them first, and one element of `x` at random for each.
///
/// # Errors
/// `Shape` if `out` and `indices` differ in shape; `Index` if one lies outside; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(3)?;
/// phalanx_kernels::select::take(&pool, &mut out, &[1.5, 2.5, 3.5], &[2, 0, -1])?;
/// assert_eq!(out.as_slice(), [3.5, 1.5, 3.5]);
/// # Ok(())
/// # }
/// ```
pub fn take<T: Element, I: Integer, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T> + ?Sized),
    indices: &(impl Input<Elem = I, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    check_shape("indices", out.shape(), indices.view().shape())?;
    let len = x.len();
    if is_inline(out.len()) {
        let indices = indices.elements();
        check_indices(&indices, first_bad(&indices, 0, len), len)?;
        let x = flat(pool, x)?;
        look_up(out.as_mut_slice(), &x, &indices);
        return Ok(());
    }
    let (x, indices) = (x.share(pool)?, indices.share(pool)?);
    let operands = (indices.split_flat(), 0..indices.len(), len);
    let bad = repeatable(pool).reduce(
        operands,
        u64::MAX,
        |(indices, span, len)| first_bad(indices, span.start, len),
        |a, b| a.min(b),
    )?;
    check_indices(indices.as_slice(), bad, len)?;
    let operands = (out.split_flat_out(), x.whole_flat(), indices.split_flat());
    Ok(repeatable(pool).for_each(operands, |(out, x, indices)| look_up(out, x, indices))?)
}

/// The place that an index means.
#[inline(always)]
fn place_of<I: Integer>(index: I, len: usize) -> usize {
    let word =
        if index < I::ZERO { index.to_total().to_word().wrapping_add(len as u64) } else { index.to_word() };
    word as usize
}

/// The number of the first index, of those from number `first` on, that lies outside.
fn first_bad<I: Integer>(indices: &[I], first: usize, len: usize) -> u64 {
    indices.iter().position(|index| place_of(*index, len) >= len).map_or(u64::MAX, |at| (first + at) as u64)
}

fn check_indices<I: Integer>(indices: &[I], bad: u64, len: usize) -> Result<(), KernelError> {
    if bad == u64::MAX {
        return Ok(());
    }
    let index = indices[bad as usize].to_string();
    Err(KernelError::Index { what: "indices", at: bad as usize, index, len })
}

fn look_up<T: Copy, I: Integer>(out: &mut [T], x: &[T], indices: &[I]) {
    let len = x.len();
    out.iter_mut().zip(indices).for_each(|(out, index)| *out = x[place_of(*index, len)]);
}

/// On which side of equal elements a place lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before them.
    Left,
    /// Behind them.
    Right,
}

/// Sets every `out[i]` to the place in `sorted` where `values[i]` would keep the order: before all elements
/// that are not smaller ([`Side::Left`]), or behind all that are not larger ([`Side::Right`]).
///
/// Like NumPy's `searchsorted`; of bins with ascending edges, [`Side::Right`] is its `digitize`. NaNs sort
/// last, and -0.0 equals 0.0. If `sorted` is not in order, the results are places that mean nothing.
///
/// Cost: every value read once, with a binary search.
///
/// # Errors
/// `Shape` if `out` and `values` differ in shape; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::select::{Side, searchsorted};
///
/// let mut places = pool.zeros(3)?;
/// searchsorted(&pool, &mut places, &[1.0, 2.0, 2.0, 5.0], &[2.0, 9.0, f64::NAN], Side::Left)?;
/// assert_eq!(places.as_slice(), [1, 4, 4]);
/// searchsorted(&pool, &mut places, &[1.0, 2.0, 2.0, 5.0], &[2.0, 0.0, 1.0], Side::Right)?;
/// assert_eq!(places.as_slice(), [3, 0, 1]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "digitize")]
pub fn searchsorted<T: Key, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<u64, D>,
    sorted: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    values: &(impl Input<Elem = T, Dim = D> + ?Sized),
    side: Side,
) -> Result<(), KernelError> {
    check_shape("values", out.shape(), values.view().shape())?;
    let is_right = side == Side::Right;
    if is_inline(out.len()) {
        let sorted = flat(pool, sorted)?;
        places(out.as_mut_slice(), &sorted, &values.elements(), is_right);
        return Ok(());
    }
    let (sorted, values) = (sorted.share(pool)?, values.share(pool)?);
    let operands = (out.split_flat_out(), sorted.whole_flat(), values.split_flat(), is_right);
    Ok(repeatable(pool)
        .for_each(operands, |(out, sorted, values, right)| places(out, sorted, values, right))?)
}

fn places<T: Key>(out: &mut [u64], sorted: &[T], values: &[T], is_right: bool) {
    for (out, value) in out.iter_mut().zip(values) {
        let value = value.to_rank();
        let is_before = |x: &T| if is_right { x.to_rank() <= value } else { x.to_rank() < value };
        *out = sorted.partition_point(is_before) as u64;
    }
}

/// Sets every `out[i]` to 1 where `x[i]` equals an element of `set`, else to 0: NumPy's `isin`. NaN equals
/// nothing.
///
/// Cost: the set is copied and sorted by the caller; every element of `x` is read once, with a binary search.
///
/// # Errors
/// `Shape` if `out` and `x` differ in shape; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(4)?;
/// phalanx_kernels::select::isin(&pool, &mut out, &[3, 1, 4, 1], &[1, 5])?;
/// assert_eq!(out.as_slice(), [0, 1, 0, 1]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "in1d")]
pub fn isin<T: Key + Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<u8, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    set: &(impl Input<Elem = T> + ?Sized),
) -> Result<(), KernelError> {
    check_shape("x", out.shape(), x.view().shape())?;
    let mut kinds = pool.from_slice(&flat(pool, set)?)?;
    kinds.as_mut_slice().sort_unstable_by_key(|x| x.to_rank());
    if is_inline(out.len()) {
        mark(out.as_mut_slice(), &x.elements(), kinds.as_slice());
        return Ok(());
    }
    let x = x.share(pool)?;
    let operands = (out.split_flat_out(), x.split_flat(), kinds.whole());
    Ok(repeatable(pool).for_each(operands, |(out, x, kinds)| mark(out, x, kinds))?)
}

fn mark<T: Key + Number>(out: &mut [u8], x: &[T], kinds: &[T]) {
    for (out, x) in out.iter_mut().zip(x) {
        let found = kinds.binary_search_by_key(&x.to_rank(), |kind| kind.to_rank());
        *out = u8::from(!x.is_unordered() && found.is_ok());
    }
}
