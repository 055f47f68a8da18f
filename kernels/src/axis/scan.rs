//! Running sums and products along an axis.

use super::layout::Axes;
use super::tile::tile_of;
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::layout::resolve;
use crate::number::Number;
use ndarray::{ArrayView, ArrayViewMut, Axis, Zip};
use phalanx::{Pool, SharedArray};
use std::marker::PhantomData;

/// What is carried along a line.
trait Running: 'static {
    type In: Number;
    type Out: Number;
    fn first(x: Self::In) -> Self::Out;
    fn next(before: Self::Out, x: Self::In) -> Self::Out;
}

struct Added<T>(PhantomData<T>);
impl<T: Number> Running for Added<T> {
    type In = T;
    type Out = T::Total;
    #[inline(always)]
    fn first(x: T) -> T::Total {
        x.to_total()
    }
    #[inline(always)]
    fn next(before: T::Total, x: T) -> T::Total {
        before.plus(x.to_total())
    }
}

struct Multiplied<T>(PhantomData<T>);
impl<T: Number> Running for Multiplied<T> {
    type In = T;
    type Out = T::Total;
    #[inline(always)]
    fn first(x: T) -> T::Total {
        x.to_total()
    }
    #[inline(always)]
    fn next(before: T::Total, x: T) -> T::Total {
        before.times(x.to_total())
    }
}

/// Sets every element of `out` to the sum of the elements of `x` up to it along an axis.
///
/// Integers are added in 64 bits of the same sign and wrap around, so the output's elements are `u64` or
/// `i64`; floats in their own type, one after the other as in NumPy. NaN and infinities carry over to what
/// follows.
///
/// Cost: every element read once and written once, along memory. One worker computes a line, so with fewer
/// lines than workers some have nothing to do; for one line see
/// [`scan::inclusive_sum`](crate::scan::inclusive_sum).
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros_nd((2, 2))?;
/// phalanx_kernels::axis::cumsum(&pool, &mut out, &ndarray::array![[1u8, 200], [3, 100]], 0)?;
/// assert_eq!(out.as_slice(), [1, 200, 4, 300]);
/// # Ok(())
/// # }
/// ```
pub fn cumsum<T: Number, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T::Total, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<(), KernelError> {
    run::<Added<T>, D>(pool, out, x, axis)
}

/// Sets every element of `out` to the product of the elements of `x` up to it along an axis; otherwise like
/// [`cumsum`].
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros_nd((2, 2))?;
/// phalanx_kernels::axis::cumprod(&pool, &mut out, &ndarray::array![[2.0, 3.0], [4.0, 5.0]], 1)?;
/// assert_eq!(out.as_slice(), [2.0, 6.0, 4.0, 20.0]);
/// # Ok(())
/// # }
/// ```
pub fn cumprod<T: Number, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T::Total, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<(), KernelError> {
    run::<Multiplied<T>, D>(pool, out, x, axis)
}

fn run<R: Running, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<R::Out, D>,
    x: &(impl Input<Elem = R::In, Dim = D> + ?Sized),
    axis: isize,
) -> Result<(), KernelError> {
    let axis = resolve(x.view().shape(), axis)?;
    check_shape("out", x.view().shape(), out.shape())?;
    if out.is_empty() {
        return Ok(());
    }
    if is_inline(out.len()) {
        along::<R, D>(out.view_mut(), x.view(), axis);
        return Ok(());
    }
    let x = x.share(pool)?;
    let tile = tile_of(out.raw_dim(), axis);
    let operands = (out.tiles_out(tile.clone()), x.tiles(tile), axis);
    Ok(repeatable(pool).for_each(operands, |(out, x, axis)| along::<R, D>(out.view, x.view, axis))?)
}

/// The running values of some lines: one line after the other where they are contiguous, else row by row.
fn along<R: Running, D: Axes>(mut out: ArrayViewMut<'_, R::Out, D>, x: ArrayView<'_, R::In, D>, axis: usize) {
    if axis + 1 == x.ndim() {
        for (mut out, x) in out.lanes_mut(Axis(axis)).into_iter().zip(x.lanes(Axis(axis))) {
            let mut before = R::first(x[0]);
            out[0] = before;
            for (out, x) in out.iter_mut().zip(x).skip(1) {
                before = R::next(before, *x);
                *out = before;
            }
        }
        return;
    }
    let row = |at: usize| x.index_axis(Axis(axis), at);
    Zip::from(out.index_axis_mut(Axis(axis), 0)).and(row(0)).for_each(|out, x| *out = R::first(*x));
    for at in 1..x.len_of(Axis(axis)) {
        let (done, mut rest) = out.view_mut().split_at(Axis(axis), at);
        let before = done.index_axis(Axis(axis), at - 1);
        let now = rest.index_axis_mut(Axis(axis), 0);
        Zip::from(now).and(before).and(row(at)).for_each(|out, before, x| *out = R::next(*before, *x));
    }
}
