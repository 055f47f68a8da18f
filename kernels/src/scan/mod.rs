//! Prefix sums, and prefixes under any associative operator.
//!
//! | kernel | computes |
//! |---|---|
//! | [`inclusive_sum`] | `out[i] = x[0] + .. + x[i]` |
//! | [`exclusive_sum`] | `out[i] = x[0] + .. + x[i - 1]` |
//! | [`inclusive`] | `out[i] = x[0] op .. op x[i]` |
//! | [`exclusive`] | `out[i] = identity op x[0] op .. op x[i - 1]` |
//!
//! Arrays with several axes are treated as one long vector in row-major order, like NumPy's `cumsum` without
//! an axis. Sums of integers have 64 bits: see [`inclusive_sum`].
//!
//! Cost: the input is read twice and the output written once, 24 bytes per element of 8 bytes; one operation
//! per element in each pass. Results have the same bits for every number of workers, since the array is cut
//! into parts that depend on its length only: the first pass folds each part, the second starts from the fold
//! of all parts before it. Floats are added in another order than in NumPy, so last digits may differ, and
//! **prefix sums of positive floats may fall by a rounding error where two parts meet**.
//!
//! Source: G. E. Blelloch, Prefix Sums and Their Applications, CMU-CS-90-190 (1990).
#![deny(clippy::arithmetic_side_effects)]

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests;

use crate::error::{KernelError, check_shape};
use crate::inline::{here, is_inline, repeatable};
use crate::input::Input;
use crate::number::Number;
use crate::store::{BLOCK, Way, copy, way};
use phalanx::{Element, Pool, Shape, SharedArray};

/// Elements of a part: 128 KiB of float64.
const PART: usize = 1 << 14;
/// Parts that one call works on in lockstep: a chain of float additions takes four cycles a step, and four
/// chains keep the adder busy.
const STRANDS: usize = 4;
/// Bytes of an element up to which strands run in lockstep: their blocks are on the stack.
const STRAND_ELEMENT: usize = 64;
/// Parts at most, whose folds the caller combines alone.
const MOST_PARTS: usize = 1 << 18;

/// Sets `out[i]` to the sum of `x[0..=i]`.
///
/// Integers are added in 64 bits of the same sign and wrap around, as in NumPy, so the output's elements are
/// `u64` or `i64`. Floats are added in their own type. NaN and infinities carry over to all later elements.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(4)?;
/// phalanx_kernels::scan::inclusive_sum(&pool, &mut out, &[200u8, 100, 1, 2])?;
/// assert_eq!(out.as_slice(), [200u64, 300, 301, 303]);
/// # Ok(())
/// # }
/// ```
pub fn inclusive_sum<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T::Total, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    prefixes::<Inclusive, _, _, _, _, _>(pool, out, x, T::Total::ZERO, T::to_total, T::Total::plus)
}

/// Sets `out[i]` to the sum of `x[0..i]`, so that `out[0]` is 0.
///
/// Like [`inclusive_sum`], but no sum includes the last element of `x`.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut offsets = pool.zeros(4)?;
/// phalanx_kernels::scan::exclusive_sum(&pool, &mut offsets, &[3u64, 0, 2, 7])?;
/// assert_eq!(offsets.as_slice(), [0, 3, 3, 5]);
/// # Ok(())
/// # }
/// ```
pub fn exclusive_sum<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T::Total, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    prefixes::<Exclusive, _, _, _, _, _>(pool, out, x, T::Total::ZERO, T::to_total, T::Total::plus)
}

/// Sets `out[i]` to the fold of `x[0..=i]` by an associative operator.
///
/// `op` is a function or a closure that captures nothing. It need not commute. If it is not exactly
/// associative, as with additions of floats, results depend on the length of the array. `identity` is its
/// neutral element: `op(identity, x)` must be `x`.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`; also if `op` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut highest = pool.zeros(5)?;
/// phalanx_kernels::scan::inclusive(&pool, &mut highest, &[3, 1, 4, 1, 5], i64::MIN, |a, b| a.max(b))?;
/// assert_eq!(highest.as_slice(), [3, 3, 4, 4, 5]);
/// # Ok(())
/// # }
/// ```
pub fn inclusive<T: Element, D: Shape, F>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    identity: T,
    op: F,
) -> Result<(), KernelError>
where
    F: Fn(T, T) -> T + Copy + Send + Sync,
{
    prefixes::<Inclusive, _, _, _, _, _>(pool, out, x, identity, |x| x, op)
}

/// Sets `out[i]` to the fold of `x[0..i]` by an associative operator, so that `out[0]` is `identity`.
///
/// See [`inclusive`] for `op` and `identity`.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`; also if `op` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(4)?;
/// phalanx_kernels::scan::exclusive(&pool, &mut out, &[2u64, 3, 5, 7], 1, |a, b| a * b)?;
/// assert_eq!(out.as_slice(), [1, 2, 6, 30]);
/// # Ok(())
/// # }
/// ```
pub fn exclusive<T: Element, D: Shape, F>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    identity: T,
    op: F,
) -> Result<(), KernelError>
where
    F: Fn(T, T) -> T + Copy + Send + Sync,
{
    prefixes::<Exclusive, _, _, _, _, _>(pool, out, x, identity, |x| x, op)
}

/// Which prefixes are wanted.
trait Prefix: 'static {
    /// What is written for an element, from the folds before and with it.
    fn wanted<A>(before: A, with: A) -> A;
}

struct Inclusive;
impl Prefix for Inclusive {
    #[inline(always)]
    fn wanted<A>(_before: A, with: A) -> A {
        with
    }
}

struct Exclusive;
impl Prefix for Exclusive {
    #[inline(always)]
    fn wanted<A>(before: A, _with: A) -> A {
        before
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "parts of an array in memory, and a part has elements")]
fn prefixes<P: Prefix, T: Element, A: Element, D: Shape, L, F>(
    pool: &Pool,
    out: &mut SharedArray<A, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    identity: A,
    lift: L,
    op: F,
) -> Result<(), KernelError>
where
    L: Fn(T) -> A + Copy + Send + Sync,
    F: Fn(A, A) -> A + Copy + Send + Sync,
{
    check_shape("x", out.shape(), x.view().shape())?;
    if is_inline(out.len()) {
        let (out, x) = (out.as_mut_slice(), x.elements());
        return Ok(here(x.len(), || spread::<P, _, _>(out, &x, identity, lift, op))?);
    }
    let x = x.share(pool)?;
    let part = PART.max(x.len().div_ceil(MOST_PARTS));
    let parts = x.len().div_ceil(part);
    // One number a part: its fold, then what stands before it.
    let mut ends = SharedArray::<A>::zeros(parts)?;
    let operands = (ends.split_out(), 0..parts, x.whole_flat(), part);
    repeatable(pool).chunk(STRANDS).for_each(operands, move |(ends, index, x, part)| {
        fold(ends, &x[index.start * part..x.len().min(index.end * part)], part, lift, op);
    })?;
    let before = |before, end: &mut A| op(before, std::mem::replace(end, before));
    here(x.len(), || ends.as_mut_slice().iter_mut().fold(identity, before))?;
    let way = way(pool, out.len_bytes() + x.len_bytes());
    let operands = (out.split_flat_out(), x.split_flat(), 0..x.len(), ends.whole(), [part, way.into()]);
    let launch = repeatable(pool).chunk(STRANDS * part);
    Ok(launch.for_each(operands, move |(out, x, at, ends, [part, way])| {
        let befores = &ends[at.start / part..];
        let is_whole = out.len() == STRANDS * part && size_of::<A>() <= STRAND_ELEMENT;
        let strands = if is_whole { out.len() } else { 0 };
        let (whole, short) = out.split_at_mut(strands);
        if !whole.is_empty() {
            spread_strands::<P, _, _>(whole, &x[..strands], part, befores, way as Way, lift, op);
        }
        for (index, (out, x)) in short.chunks_mut(part).zip(x[strands..].chunks(part)).enumerate() {
            spread::<P, _, _>(out, x, befores[strands / part + index], lift, op);
        }
    })?)
}

/// The fold of each part of `x`: in lockstep where there are as many as strands, so that one's operation need
/// not wait for another's.
#[expect(clippy::arithmetic_side_effects, reason = "parts of a slice that is indexed")]
fn fold<T: Copy, A: Copy>(
    ends: &mut [A],
    x: &[T],
    part: usize,
    lift: impl Fn(T) -> A,
    op: impl Fn(A, A) -> A,
) {
    if x.len() == STRANDS * part {
        let [a, b, c, d] = [0, 1, 2, 3].map(|s| &x[s * part..(s + 1) * part]);
        let mut sums = [lift(a[0]), lift(b[0]), lift(c[0]), lift(d[0])];
        for (((a, b), c), d) in a[1..].iter().zip(&b[1..]).zip(&c[1..]).zip(&d[1..]) {
            sums =
                [op(sums[0], lift(*a)), op(sums[1], lift(*b)), op(sums[2], lift(*c)), op(sums[3], lift(*d))];
        }
        ends.copy_from_slice(&sums);
        return;
    }
    for (end, x) in ends.iter_mut().zip(x.chunks(part)) {
        *end = x[1..].iter().fold(lift(x[0]), |sum, x| op(sum, lift(*x)));
    }
}

/// The prefixes of one part, from what stands before it.
fn spread<P: Prefix, T: Copy, A: Copy>(
    out: &mut [A],
    x: &[T],
    before: A,
    lift: impl Fn(T) -> A,
    op: impl Fn(A, A) -> A,
) {
    let mut running = before;
    for (out, x) in out.iter_mut().zip(x) {
        let with = op(running, lift(*x));
        *out = P::wanted(running, with);
        running = with;
    }
}

/// The prefixes of as many parts as strands, in lockstep, block by block.
#[expect(clippy::arithmetic_side_effects, reason = "parts of slices that are indexed")]
fn spread_strands<P: Prefix, T: Copy, A: Element>(
    out: &mut [A],
    x: &[T],
    part: usize,
    befores: &[A],
    way: Way,
    lift: impl Fn(T) -> A,
    op: impl Fn(A, A) -> A,
) {
    let mut running = [befores[0], befores[1], befores[2], befores[3]];
    let mut buffers = [[A::zeroed(); BLOCK]; STRANDS];
    for first in (0..part).step_by(BLOCK) {
        let len = BLOCK.min(part - first);
        let [a, b, c, d] = [0, 1, 2, 3].map(|s| &x[s * part + first..][..len]);
        let [p, q, r, t] = buffers.each_mut().map(|buffer| &mut buffer[..len]);
        for i in 0..len {
            let with = [
                op(running[0], lift(a[i])),
                op(running[1], lift(b[i])),
                op(running[2], lift(c[i])),
                op(running[3], lift(d[i])),
            ];
            p[i] = P::wanted(running[0], with[0]);
            q[i] = P::wanted(running[1], with[1]);
            r[i] = P::wanted(running[2], with[2]);
            t[i] = P::wanted(running[3], with[3]);
            running = with;
        }
        for (strand, buffer) in buffers.iter().enumerate() {
            copy(&mut out[strand * part + first..][..len], &buffer[..len], way);
        }
    }
}
