//! How a reduction runs: one kernel for each chunk, or for the whole of a short array.

use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use phalanx::{Element, Plain, Pool};

/// Folds what `kernel` makes of each chunk; of a short array what it makes of the whole.
pub(super) fn fold<T: Element, A: Element, K, C>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    identity: A,
    kernel: K,
    combine: C,
) -> Result<A, KernelError>
where
    K: for<'w> Fn(&'w [T]) -> A + Copy + Send + Sync,
    C: Fn(A, A) -> A + Copy + Send + Sync,
{
    if is_inline(x.len()) {
        return Ok(kernel(&x.elements()));
    }
    let x = x.share(pool)?;
    Ok(repeatable(pool).reduce(x.split_flat(), identity, kernel, combine)?)
}

/// As [`fold`], for a kernel that multiplies every element by a number first.
pub(super) fn fold_scaled<T: Element, V: Plain, A: Element, K, C>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    scale: V,
    identity: A,
    kernel: K,
    combine: C,
) -> Result<A, KernelError>
where
    K: for<'w> Fn(&'w [T], V) -> A + Copy + Send + Sync,
    C: Fn(A, A) -> A + Copy + Send + Sync,
{
    if is_inline(x.len()) {
        return Ok(kernel(&x.elements(), scale));
    }
    let x = x.share(pool)?;
    let operands = (x.split_flat(), [scale]);
    Ok(repeatable(pool).reduce(operands, identity, move |(x, [scale])| kernel(x, scale), combine)?)
}
