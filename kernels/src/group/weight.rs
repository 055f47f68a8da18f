//! Sums of weights by small integers.

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::{Input, flat};
use crate::number::Integer;
use phalanx::{Pool, Shape, SharedArray};

/// Sums up to which every leaf of a launch has a table of its own; more are added up by the caller alone.
const MOST_PARTED: usize = 1 << 15;

/// Returns the sum of the weights of each value from 0 on: element `v` is the sum of `weights[i]` where
/// `x[i]` is `v`.
///
/// Like `numpy.bincount(x, weights, minlength)`: there is one sum more than the largest value, and at least
/// `min_len`. Sums are added in an order that depends on the length alone.
/// [`reduce::bincount`](crate::reduce::bincount) counts.
///
/// Cost: `x` is read twice, since the largest element must be found first, and `weights` once. More than
/// 32,768 sums are added by the caller alone.
///
/// # Errors
/// `Shape` if the shapes differ; `Argument` if an element is negative; `Memory`, also if the largest element
/// needs more sums than memory can hold; `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let sums = phalanx_kernels::group::bincount(&pool, &[1, 1, 3], &[0.5, 0.25, 2.0], 0)?;
/// assert_eq!(sums.as_slice(), [0.0, 0.75, 0.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn bincount<T: Integer, D: Shape>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    weights: &(impl Input<Elem = f64, Dim = D> + ?Sized),
    min_len: usize,
) -> Result<SharedArray<f64>, KernelError> {
    check_shape("weights", x.view().shape(), weights.view().shape())?;
    let range =
        |x: &[T]| x.iter().fold([T::HIGHEST, T::LOWEST], |[low, high], x| [low.min(*x), high.max(*x)]);
    if is_inline(x.len()) {
        let (x, weights) = (flat(pool, x)?, flat(pool, weights)?);
        let mut sums = pool.zeros(sums_of(x.len(), range(&x), min_len)?)?;
        add_up(&x, &weights, sums.as_mut_slice());
        return Ok(sums);
    }
    let (x, weights) = (x.share(pool)?, weights.share(pool)?);
    let both = |a: [T; 2], b: [T; 2]| [a[0].min(b[0]), a[1].max(b[1])];
    let found = repeatable(pool).reduce(x.split_flat(), [T::HIGHEST, T::LOWEST], range, both)?;
    let mut sums = pool.zeros::<f64>(sums_of(x.len(), found, min_len)?)?;
    if sums.len() > MOST_PARTED {
        add_up(x.as_slice(), weights.as_slice(), sums.as_mut_slice());
        return Ok(sums);
    }
    let chunk = (x.len() / 64).clamp(1 << 15, 1 << 18).max(x.len() >> 15);
    let operands = (x.split_flat(), weights.split_flat(), sums.reduce(0.0, |a, b| a + b));
    repeatable(pool).chunk(chunk).for_each(operands, |(x, weights, sums)| add_up(x, weights, sums))?;
    Ok(sums)
}

/// How many sums there are.
fn sums_of<T: Integer>(len: usize, [low, high]: [T; 2], min_len: usize) -> Result<usize, KernelError> {
    if len == 0 {
        return Ok(min_len);
    }
    if low < T::ZERO {
        let why = format!("element {low} is negative, and only sums of values from 0 on are kept");
        return Err(KernelError::argument("x", why));
    }
    Ok(min_len.max((high.to_word() as usize).saturating_add(1)))
}

fn add_up<T: Integer>(x: &[T], weights: &[f64], sums: &mut [f64]) {
    x.iter().zip(weights).for_each(|(x, weight)| sums[x.to_word() as usize] += weight);
}
