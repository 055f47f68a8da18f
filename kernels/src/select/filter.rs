//! The elements, or the places, that a mask selects.

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::number::Number;
use phalanx::{Element, Pool, Shape, SharedArray};

/// Elements of a part, which is counted first and written then.
const PART: usize = 1 << 15;

/// Returns the elements of `x` where `mask` is not 0, in row-major order: NumPy's `x[mask]` and `compress`.
///
/// Cost: the mask is read twice, `x` once where it is selected, and the result written once.
///
/// # Errors
/// `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(20_000, |i| i as f64)?;
/// let mut mask = pool.zeros::<u8>(20_000)?;
/// phalanx_kernels::elementwise::greater(&pool, &mut mask, &x, &[19_997.0])?;
/// assert_eq!(phalanx_kernels::select::compress(&pool, &x, &mask)?.as_slice(), [19_998.0, 19_999.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "filter")]
#[doc(alias = "extract")]
pub fn compress<T: Element, M: Number, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    mask: &(impl Input<Elem = M, Dim = D> + ?Sized),
) -> Result<SharedArray<T>, KernelError> {
    check_shape("mask", x.view().shape(), mask.view().shape())?;
    if is_inline(x.len()) {
        let (x, mask) = (x.elements(), mask.elements());
        let found: Vec<T> = x.iter().zip(&*mask).filter(|(_, m)| **m != M::ZERO).map(|(x, _)| *x).collect();
        return Ok(pool.from_slice(&found)?);
    }
    let (x, mask) = (x.share(pool)?, mask.share(pool)?);
    let offsets = offsets_of::<M, D>(pool, &mask)?;
    let mut out = pool.zeros(offsets[offsets.len() - 1])?;
    let operands = (out.split_at_mut(&offsets), 0..offsets.len() - 1, x.whole_flat(), mask.whole_flat());
    repeatable(pool).retry_in_place().for_each(operands, |(out, part, x, mask)| {
        let (x, mask) = (part_of(x, part.start), part_of(mask, part.start));
        let selected = x.iter().zip(mask).filter(|(_, m)| **m != M::ZERO);
        out.iter_mut().zip(selected).for_each(|(out, (x, _))| *out = *x);
    })?;
    Ok(out)
}

/// Returns the places of the elements of `x` that are not 0, counted in row-major order: NumPy's
/// `flatnonzero`. NaN is not 0.
///
/// Cost: `x` is read twice and the result written once.
///
/// # Errors
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let places = phalanx_kernels::select::nonzero(&pool, &[0.0, 2.0, 0.0, f64::NAN])?;
/// assert_eq!(places.as_slice(), [1, 3]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "flatnonzero")]
#[doc(alias = "argwhere")]
pub fn nonzero<T: Number, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<SharedArray<u64>, KernelError> {
    if is_inline(x.len()) {
        let x = x.elements();
        let found: Vec<u64> = (0u64..).zip(&*x).filter(|(_, x)| **x != T::ZERO).map(|(at, _)| at).collect();
        return Ok(pool.from_slice(&found)?);
    }
    let x = x.share(pool)?;
    let offsets = offsets_of::<T, D>(pool, &x)?;
    let mut out = pool.zeros(offsets[offsets.len() - 1])?;
    let operands = (out.split_at_mut(&offsets), 0..offsets.len() - 1, x.whole_flat());
    repeatable(pool).retry_in_place().for_each(operands, |(out, part, x)| {
        let places = (part.start * PART) as u64..;
        let selected = places.zip(part_of(x, part.start)).filter(|(_, x)| **x != T::ZERO);
        out.iter_mut().zip(selected).for_each(|(out, (at, _))| *out = at);
    })?;
    Ok(out)
}

fn part_of<T>(x: &[T], part: usize) -> &[T] {
    &x[part * PART..x.len().min((part + 1) * PART)]
}

/// Where the elements that each part selects begin in the result, and how many there are.
fn offsets_of<M: Number, D: Shape>(pool: &Pool, mask: &SharedArray<M, D>) -> Result<Vec<usize>, KernelError> {
    let parts = mask.len().div_ceil(PART);
    let mut counts = SharedArray::<u64>::zeros(parts)?;
    repeatable(pool).chunk(1).for_each(
        (counts.split_out(), 0..parts, mask.whole_flat()),
        |(count, part, mask)| {
            count[0] = part_of(mask, part.start).iter().map(|m| u64::from(*m != M::ZERO)).sum();
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
