//! Sorting along an axis.

use super::layout::Axes;
use super::tile::{lines_of, tile_of};
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::layout::resolve;
use crate::local;
use crate::word::Key;
use ndarray::{ArrayView, ArrayViewMut, Axis};
use phalanx::{Pool, SharedArray};

/// Sorts every line along an axis in ascending order, in place.
///
/// The order is that of [`order::sort`](crate::order::sort): NaNs last, elements that compare equal by their
/// bits.
///
/// Cost: every line is sorted by one worker, in the caches if it fits there; extra memory: the lines that are
/// being sorted. For one long line use [`order::sort`](crate::order::sort). Changes `x` in place, so the call
/// fails if a worker dies.
///
/// # Errors
/// `Argument` if there is no such axis; `Launch`, and `x` then holds unspecified values.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut x = pool.from_ndarray(&ndarray::array![[3, 1, 2], [0, 5, 4]])?;
/// phalanx_kernels::axis::sort(&pool, &mut x, -1)?;
/// assert_eq!(x.as_slice(), [1, 2, 3, 0, 4, 5]);
/// # Ok(())
/// # }
/// ```
pub fn sort<T: Key, D: Axes>(pool: &Pool, x: &mut SharedArray<T, D>, axis: isize) -> Result<(), KernelError> {
    let axis = resolve(x.shape(), axis)?;
    if x.is_empty() {
        return Ok(());
    }
    if is_inline(x.len()) {
        sort_lines(x.view_mut(), axis);
        return Ok(());
    }
    let tile = tile_of(x.raw_dim(), axis);
    Ok(pool.for_each((x.tiles_mut(tile), axis), |(x, axis)| sort_lines(x.view, axis))?)
}

/// Writes to every line of `out` the places, along an axis, that would sort that line of `x`: a stable order.
///
/// -0.0 and +0.0 count as equal, and so do all NaNs, which come last.
///
/// Cost: as for [`sort`], of pairs of keys and places.
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut places = pool.zeros_nd((2, 3))?;
/// phalanx_kernels::axis::argsort(&pool, &mut places, &ndarray::array![[3, 1, 2], [0, 5, 0]], 1)?;
/// assert_eq!(places.as_slice(), [1, 2, 0, 0, 2, 1]);
/// # Ok(())
/// # }
/// ```
pub fn argsort<T: Key, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<u64, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<(), KernelError> {
    let axis = resolve(x.view().shape(), axis)?;
    check_shape("out", x.view().shape(), out.shape())?;
    if out.is_empty() {
        return Ok(());
    }
    if is_inline(out.len()) {
        order_lines(out.view_mut(), &x.view(), axis);
        return Ok(());
    }
    let x = x.share(pool)?;
    let tile = tile_of(out.raw_dim(), axis);
    let operands = (out.tiles_out(tile.clone()), x.tiles(tile), axis);
    Ok(repeatable(pool).for_each(operands, |(out, x, axis)| order_lines(out.view, &x.view, axis))?)
}

fn sort_lines<T: Key, D: Axes>(mut x: ArrayViewMut<'_, T, D>, axis: usize) {
    let len = x.len_of(Axis(axis));
    let mut lines = lines_of(&x.view(), axis, T::to_word);
    let mut scratch = vec![T::Word::default(); len];
    lines.chunks_exact_mut(len).for_each(|line| local::sort(line, &mut scratch));
    put_lines(&mut x, axis, &lines, T::from_word);
}

fn order_lines<T: Key, D: Axes>(mut out: ArrayViewMut<'_, u64, D>, x: &ArrayView<'_, T, D>, axis: usize) {
    let len = x.len_of(Axis(axis));
    let mut lines = lines_of(x, axis, |x: T| (x.to_rank(), 0u64));
    for line in lines.chunks_exact_mut(len) {
        line.iter_mut().zip(0..).for_each(|(pair, at)| pair.1 = at);
        line.sort_unstable();
    }
    put_lines(&mut out, axis, &lines, |(_, at)| at);
}

/// Writes lines back that [`lines_of`] read.
fn put_lines<T, U: Copy, D: Axes>(
    out: &mut ArrayViewMut<'_, T, D>,
    axis: usize,
    lines: &[U],
    f: impl Fn(U) -> T,
) {
    let len = out.len_of(Axis(axis));
    if axis + 1 == out.ndim() {
        let elements = out.lanes_mut(Axis(axis)).into_iter().flatten();
        return elements.zip(lines).for_each(|(to, x)| *to = f(*x));
    }
    for at in 0..len {
        let row = out.index_axis_mut(Axis(axis), at);
        row.into_iter().zip(lines.iter().skip(at).step_by(len)).for_each(|(to, x)| *to = f(*x));
    }
}
