//! How many elements, whether any, and whether all satisfy a predicate.

use crate::error::KernelError;
use crate::inline::{here, is_inline, repeatable};
use crate::input::Input;
use crate::lanes::total;
use crate::simd::vectorized;
use phalanx::{Element, Pool, SharedArray};
use std::sync::atomic::Ordering::Relaxed;

/// Elements that are looked at between two questions whether to stop.
const BLOCK: usize = 1024;

/// Returns how many elements satisfy a predicate.
///
/// `f` is a function or a closure that captures nothing, and is inlined into the loop. Cost: every element
/// read once, and one call of `f` for each.
///
/// # Errors
/// `Memory`, `Launch`; also if `f` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(100_000, |i| i as u32)?;
/// assert_eq!(phalanx_kernels::reduce::count_if(&pool, &x, |x| x % 4 == 0)?, 25_000);
/// # Ok(())
/// # }
/// ```
pub fn count_if<T: Element, F>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
    f: F,
) -> Result<usize, KernelError>
where
    F: Fn(T) -> bool + Copy + Send + Sync,
{
    if is_inline(x.len()) {
        let x = x.elements();
        return Ok(here(x.len(), || count_slice(&x, f) as usize)?);
    }
    let x = x.share(pool)?;
    Ok(repeatable(pool).reduce(x.split_flat(), 0u64, move |x| count_slice(x, f), |a, b| a + b)? as usize)
}

/// Returns whether at least one element satisfies a predicate; false for an empty array.
///
/// Stops soon after one is found. Cost: at most every element read once, and one call of `f` for each.
///
/// # Errors
/// `Memory`, `Launch`; also if `f` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(100_000, |i| i as f64)?;
/// assert!(phalanx_kernels::reduce::any(&pool, &x, |x| x == 70_000.0)?);
/// assert!(!phalanx_kernels::reduce::any(&pool, &x, f64::is_nan)?);
/// # Ok(())
/// # }
/// ```
pub fn any<T: Element, F>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized), f: F) -> Result<bool, KernelError>
where
    F: Fn(T) -> bool + Copy + Send + Sync,
{
    if is_inline(x.len()) {
        let x = x.elements();
        return Ok(here(x.len(), || x.iter().any(|x| f(*x)))?);
    }
    let x = x.share(pool)?;
    let mut found = SharedArray::<u32>::zeros(1)?;
    // To find it again does no harm, so chunks may be run again.
    repeatable(pool).retry_in_place().for_each((x.split_flat(), found.atomic()), move |(x, found)| {
        for block in x.chunks(BLOCK) {
            if found[0].load(Relaxed) != 0 {
                return;
            }
            if count_slice(block, f) > 0 {
                found[0].store(1, Relaxed);
            }
        }
    })?;
    Ok(found.as_slice()[0] != 0)
}

/// Returns whether all elements satisfy a predicate; true for an empty array.
///
/// Stops soon after one is found that does not. Cost: as for [`any`].
///
/// # Errors
/// `Memory`, `Launch`; also if `f` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(100_000, |i| i as f64)?;
/// assert!(phalanx_kernels::reduce::all(&pool, &x, |x| x >= 0.0)?);
/// # Ok(())
/// # }
/// ```
pub fn all<T: Element, F>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized), f: F) -> Result<bool, KernelError>
where
    F: Fn(T) -> bool + Copy + Send + Sync,
{
    Ok(!any(pool, x, move |x: T| !f(x))?)
}

fn count_slice<T: Copy>(x: &[T], f: impl Fn(T) -> bool) -> u64 {
    vectorized(
        #[inline(always)]
        || {
            total(
                x,
                #[inline(always)]
                |x| u64::from(f(x)),
            )
        },
    )
}
