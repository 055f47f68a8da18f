//! Elements beside each other along an axis: differences, slopes, rotations.
//!
//! A result's element depends on elements of the same line at a fixed distance, so that rows of the result
//! are made of rows of the input; where lines are contiguous, of parts of one line that are shifted against
//! each other.

use super::layout::Axes;
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::{Input, flat};
use crate::layout::{Lines, resolve};
use crate::number::{Number, Real};
use crate::simd::vectorized;
use phalanx::{Element, Pool, SharedArray};
use std::marker::PhantomData;

/// A number that a kernel takes: a distance in elements, or in the unit of the axis.
type Parameter = f64;

/// How rows of a result are made of rows of an input.
trait Made: 'static {
    type In: Element;
    type Out: Element;
    /// Makes row `at` of lines of `len` rows; `row(i)` is row `i` of the input. Where lines are contiguous, a
    /// row is the part of a line that begins there.
    fn make<'a>(
        out: &mut [Self::Out],
        row: impl Fn(usize) -> &'a [Self::In],
        at: usize,
        len: usize,
        parameter: Parameter,
    );
    /// The end of the places from `at` on that are made in the same way, for parts of contiguous lines.
    fn end(at: usize, len: usize, parameter: Parameter) -> usize;
}

struct Diff<T>(PhantomData<T>);
impl<T: Number> Made for Diff<T> {
    type In = T;
    type Out = T;

    #[inline(always)]
    fn make<'a>(out: &mut [T], row: impl Fn(usize) -> &'a [T], at: usize, _len: usize, _: Parameter) {
        let both = row(at).iter().zip(row(at + 1));
        out.iter_mut().zip(both).for_each(|(out, (x, next))| *out = next.minus(*x));
    }
    fn end(_at: usize, len: usize, _: Parameter) -> usize {
        len - 1
    }
}

struct Slope<T>(PhantomData<T>);
impl<T: Real> Made for Slope<T> {
    type In = T;
    type Out = T;

    #[inline(always)]
    fn make<'a>(out: &mut [T], row: impl Fn(usize) -> &'a [T], at: usize, len: usize, step: Parameter) {
        let (low, high) = (at.max(1) - 1, (at + 1).min(len - 1));
        let width = T::from_f64((high - low) as f64 * step);
        let both = row(low).iter().zip(row(high));
        out.iter_mut().zip(both).for_each(|(out, (low, high))| *out = (*high - *low) / width);
    }
    fn end(at: usize, len: usize, _: Parameter) -> usize {
        if at == 0 || at + 1 == len { at + 1 } else { len - 1 }
    }
}

struct Rolled<T>(PhantomData<T>);
impl<T: Element> Rolled<T> {
    fn source(at: usize, len: usize, shift: Parameter) -> usize {
        (at + len - shift as usize) % len
    }
}
impl<T: Element> Made for Rolled<T> {
    type In = T;
    type Out = T;

    #[inline(always)]
    fn make<'a>(out: &mut [T], row: impl Fn(usize) -> &'a [T], at: usize, len: usize, shift: Parameter) {
        out.copy_from_slice(&row(Self::source(at, len, shift))[..out.len()]);
    }
    fn end(at: usize, len: usize, shift: Parameter) -> usize {
        (at + len - Self::source(at, len, shift)).min(len)
    }
}

struct Flipped<T>(PhantomData<T>);
impl<T: Element> Made for Flipped<T> {
    type In = T;
    type Out = T;

    #[inline(always)]
    fn make<'a>(out: &mut [T], row: impl Fn(usize) -> &'a [T], at: usize, len: usize, _: Parameter) {
        out.copy_from_slice(&row(len - 1 - at)[..out.len()]);
    }
    fn end(at: usize, _len: usize, _: Parameter) -> usize {
        at + 1
    }
}

/// Sets `out` to the differences of neighbours along an axis, `x[i + 1] - x[i]`: `out` is shorter than `x` by
/// one along it. Integers wrap around.
///
/// Cost: every element read once and written once, along memory.
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if `out` does not have the shape of `x` with one element less
/// along the axis; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(3)?;
/// phalanx_kernels::axis::diff(&pool, &mut out, &[1, 4, 9, 16], 0)?;
/// assert_eq!(out.as_slice(), [3, 5, 7]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "ediff1d")]
pub fn diff<T: Number, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<(), KernelError> {
    let mut shape = x.shape();
    let axis = resolve(&shape, axis)?;
    shape[axis] = shape[axis].saturating_sub(1);
    check_shape("out", &shape, out.shape())?;
    run::<Diff<T>, D>(pool, out, x, axis, 0.0)
}

/// Sets `out` to the slopes along an axis of values that are `step` apart: half the difference of the
/// neighbours on both sides over `step`, and at both ends the difference to the only neighbour. NumPy's
/// `gradient` of one axis.
///
/// Cost: as for [`diff`].
///
/// # Errors
/// `Argument` if there is no such axis, or if it has fewer than 2 elements; `Shape` if the shapes differ;
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(4)?;
/// phalanx_kernels::axis::gradient(&pool, &mut out, &[1.0, 4.0, 9.0, 16.0], 0, 1.0)?;
/// assert_eq!(out.as_slice(), [3.0, 4.0, 6.0, 7.0]);
/// # Ok(())
/// # }
/// ```
pub fn gradient<T: Real, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    step: f64,
) -> Result<(), KernelError> {
    let shape = x.shape();
    let axis = resolve(&shape, axis)?;
    check_shape("out", &shape, out.shape())?;
    if shape[axis] < 2 {
        let why = format!("a slope takes two elements, and axis {axis} of {shape:?} does not have them");
        return Err(KernelError::argument("axis", why));
    }
    run::<Slope<T>, D>(pool, out, x, axis, step)
}

/// Sets `out` to `x` rotated along an axis by `shift` places, to higher ones if that is positive: elements
/// that leave at one end enter at the other.
///
/// Cost: as for [`diff`].
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(4)?;
/// phalanx_kernels::axis::roll(&pool, &mut out, &[1, 2, 3, 4], 0, -1)?;
/// assert_eq!(out.as_slice(), [2, 3, 4, 1]);
/// # Ok(())
/// # }
/// ```
pub fn roll<T: Element, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    shift: isize,
) -> Result<(), KernelError> {
    let shape = x.shape();
    let axis = resolve(&shape, axis)?;
    check_shape("out", &shape, out.shape())?;
    let shift = shift.rem_euclid(shape[axis].max(1) as isize);
    run::<Rolled<T>, D>(pool, out, x, axis, shift as f64)
}

/// Sets `out` to `x` in reverse order along an axis.
///
/// Cost: as for [`diff`]. To read an array in reverse order needs no copy: `a.slice(s![..;-1])` is an
/// operand.
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros_nd((2, 2))?;
/// phalanx_kernels::axis::flip(&pool, &mut out, &ndarray::array![[1, 2], [3, 4]], 0)?;
/// assert_eq!(out.as_slice(), [3, 4, 1, 2]);
/// # Ok(())
/// # }
/// ```
pub fn flip<T: Element, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<(), KernelError> {
    let axis = resolve(x.view().shape(), axis)?;
    check_shape("out", x.view().shape(), out.shape())?;
    run::<Flipped<T>, D>(pool, out, x, axis, 0.0)
}

fn run<M: Made, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<M::Out, D>,
    x: &(impl Input<Elem = M::In, Dim = D> + ?Sized),
    axis: usize,
    parameter: Parameter,
) -> Result<(), KernelError> {
    if out.is_empty() {
        return Ok(());
    }
    let (lines, made) = (Lines::of(x.view().shape(), axis), out.shape()[axis]);
    if is_inline(x.len()) {
        make_some::<M>(lines, made, &flat(pool, x)?, 0, out.as_mut_slice(), parameter);
        return Ok(());
    }
    let (x, len) = (x.share(pool)?, out.len());
    let operands = (out.split_flat_out(), 0..len, x.whole_flat(), lines.numbers(), made, parameter);
    repeatable(pool).for_each(operands, |(out, span, x, numbers, made, parameter)| {
        make_some::<M>(Lines::from_numbers(numbers), made, x, span.start, out, parameter);
    })?;
    Ok(())
}

/// The elements of the result from number `first` on, where lines of the result have `made` of them.
fn make_some<M: Made>(
    lines: Lines,
    made: usize,
    x: &[M::In],
    first: usize,
    out: &mut [M::Out],
    parameter: Parameter,
) {
    let Lines { len, inner, .. } = lines;
    vectorized(
        #[inline(always)]
        || {
            let (mut number, mut rest) = (first, out);
            while !rest.is_empty() {
                let (row, column) = (number / inner, number % inner);
                let (outer, at) = (row / made, row % made);
                let width = if inner == 1 { M::end(at, len, parameter) - at } else { inner - column };
                let width = width.min(rest.len());
                let (out, others) = rest.split_at_mut(width);
                let block = &x[outer * len * inner..][..len * inner];
                M::make(
                    out,
                    #[inline(always)]
                    |i| &block[i * inner + column..],
                    at,
                    len,
                    parameter,
                );
                (number, rest) = (number + width, others);
            }
        },
    );
}
