//! Arrays put into larger ones.

use super::layout::Axes;
use super::tile::tile_of;
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::layout::resolve;
use ndarray::{Axis, Slice};
use phalanx::{Element, Pool, SharedArray};

/// Sets `out` to the arrays `parts`, one after the other along an axis.
///
/// `out` is as long along the axis as all parts together, and as long as each of them along the others. To
/// stack arrays along a new axis, give each of them that axis first, by [`expand_dims`](super::expand_dims).
///
/// Cost: every element read once and written once; one launch for each part that is not short.
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes do not fit; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let (a, b) = (ndarray::array![[1, 2], [3, 4]], ndarray::array![[5], [6]]);
/// let mut out = pool.zeros_nd((2, 3))?;
/// phalanx_kernels::axis::concatenate(&pool, &mut out, &[&a, &b], 1)?;
/// assert_eq!(out.as_slice(), [1, 2, 5, 3, 4, 6]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "stack")]
#[doc(alias = "vstack")]
#[doc(alias = "hstack")]
pub fn concatenate<T: Element, D: Axes, X>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    parts: &[&X],
    axis: isize,
) -> Result<(), KernelError>
where
    X: Input<Elem = T, Dim = D> + ?Sized,
{
    let axis = resolve(out.shape(), axis)?;
    let mut length = 0usize;
    for part in parts {
        let shape = part.shape();
        let mut expected = out.shape().to_vec();
        if shape.len() == expected.len() {
            expected[axis] = shape[axis];
        }
        check_shape("a part", &expected, &shape)?;
        length = length.saturating_add(shape[axis]);
    }
    let mut expected = out.shape().to_vec();
    expected[axis] = length;
    check_shape("out", &expected, out.shape())?;
    let mut first = vec![0; expected.len()];
    for part in parts {
        put(pool, out, *part, &first)?;
        first[axis] += part.view().shape()[axis];
    }
    Ok(())
}

/// Sets `out` to `x` with a border of `value`: `before[a]` elements in front along axis `a`, and as many
/// behind as `out` is longer.
///
/// NumPy's `pad` of mode `constant`. Stencils need no padded copy: their borders are arguments.
///
/// Cost: `out` is written once, and once more where `x` is put.
///
/// # Errors
/// `Shape` if `x` and its border do not fit into `out`, or `before` does not have one number per axis;
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros_nd((2, 4))?;
/// phalanx_kernels::axis::pad(&pool, &mut out, &ndarray::array![[1, 2]], &[1, 1], 9)?;
/// assert_eq!(out.as_slice(), [9, 9, 9, 9, 9, 1, 2, 9]);
/// # Ok(())
/// # }
/// ```
pub fn pad<T: Element, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    before: &[usize],
    value: T,
) -> Result<(), KernelError> {
    let shape = x.shape();
    check_shape("before", &[out.ndim()], &[before.len()])?;
    let with_border = |(own, before): (&usize, &usize)| own.saturating_add(*before);
    let least: Vec<usize> = shape.iter().zip(before).map(with_border).collect();
    if shape.len() != out.ndim() || least.iter().zip(out.shape()).any(|(least, length)| least > length) {
        return Err(KernelError::Shape { what: "out", expected: least, got: out.shape().to_vec() });
    }
    if is_inline(out.len()) {
        out.fill(value);
    } else {
        repeatable(pool)
            .for_each((out.split_flat_out(), phalanx::Val(value)), |(out, value)| out.fill(value))?;
    }
    put(pool, out, x, before)
}

/// Copies `x` to where its first element is `first` in `out`. It lies inside.
fn put<T: Element, D: Axes>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    first: &[usize],
) -> Result<(), KernelError> {
    if x.is_empty() {
        return Ok(());
    }
    let shape = x.shape();
    if is_inline(x.len()) {
        let mut place = out.view_mut();
        for (axis, (first, length)) in first.iter().zip(&shape).enumerate() {
            place.slice_axis_inplace(Axis(axis), Slice::from(*first..first + length));
        }
        place.assign(&x.view());
        return Ok(());
    }
    let x = x.share(pool)?;
    let tile = tile_of(x.raw_dim(), shape.len() - 1);
    let operands = (D::block(out, first, &shape)?.tiles_out(tile.clone()), x.tiles(tile));
    Ok(repeatable(pool).for_each(operands, |(mut out, x)| out.view.assign(&x.view))?)
}
