//! Smallest and largest elements, and their indices.

use super::fold::fold;
use super::lanes::strands;
use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::number::{Integer, Number, Real};
use crate::simd::vectorized;
use phalanx::Pool;

/// Elements among which an extreme is looked for before its place is: 16 KiB of float64, so that the second
/// look meets the first-level cache.
const BLOCK: usize = 2048;

/// Returns the smallest element. NaN if any element is NaN; if both zeros are smallest, either of them.
///
/// Cost: every element read once, two operations each.
///
/// # Errors
/// `Empty` without elements, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::reduce::min;
///
/// assert_eq!(min(&pool, &[3, -1, 2])?, -1);
/// assert!(min(&pool, &[3.0, f64::NAN, 2.0])?.is_nan());
/// # Ok(())
/// # }
/// ```
pub fn min<T: Number>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<T, KernelError> {
    not_empty("min", x)?;
    fold(
        pool,
        x,
        T::HIGHEST,
        |x| {
            extreme_slice(
                x,
                T::HIGHEST,
                #[inline(always)]
                |a, b| a < b,
            )
        },
        |a, b| pick(a, b, |a, b| a < b),
    )
}

/// Returns the largest element. NaN if any element is NaN; if both zeros are largest, either of them.
///
/// Cost: every element read once, two operations each.
///
/// # Errors
/// `Empty` without elements, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// assert_eq!(phalanx_kernels::reduce::max(&pool, &[3, -1, 2])?, 3);
/// # Ok(())
/// # }
/// ```
pub fn max<T: Number>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<T, KernelError> {
    not_empty("max", x)?;
    fold(
        pool,
        x,
        T::LOWEST,
        |x| {
            extreme_slice(
                x,
                T::LOWEST,
                #[inline(always)]
                |a, b| a > b,
            )
        },
        |a, b| pick(a, b, |a, b| a > b),
    )
}

/// Smallest and largest element of integers in one sweep.
pub(super) fn range<T: Integer>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
) -> Result<[T; 2], KernelError> {
    fold(
        pool,
        x,
        [T::HIGHEST, T::LOWEST],
        |x| {
            // The second look meets the second-level cache.
            let low = extreme_slice(
                x,
                T::HIGHEST,
                #[inline(always)]
                |a, b| a < b,
            );
            let high = extreme_slice(
                x,
                T::LOWEST,
                #[inline(always)]
                |a, b| a > b,
            );
            [low, high]
        },
        |a, b| [a[0].min(b[0]), a[1].max(b[1])],
    )
}

/// Returns the largest absolute value. NaN if any element is NaN.
///
/// Cost: every element read once, three operations each.
///
/// # Errors
/// `Empty` without elements, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// assert_eq!(phalanx_kernels::reduce::norm_inf(&pool, &[3.0, -4.0])?, 4.0);
/// # Ok(())
/// # }
/// ```
pub fn norm_inf<T: Real>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<T, KernelError> {
    not_empty("norm_inf", x)?;
    let further = |x: &[T]| {
        extreme_slice(
            x,
            T::ZERO,
            #[inline(always)]
            |a: T, b: T| a.abs() > b.abs(),
        )
    };
    Ok(fold(pool, x, T::ZERO, further, |a, b| pick(a, b, |a, b| a.abs() > b.abs()))?.abs())
}

/// Returns the index of the smallest element in row-major order: the first of equal elements, or the first
/// NaN if there is one.
///
/// Cost: every element read once; a block of 2048 that holds a new smallest element is read again, from the
/// cache.
///
/// # Errors
/// `Empty` without elements, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::reduce::argmin;
///
/// assert_eq!(argmin(&pool, &[3, 1, 2, 1])?, 1);
/// assert_eq!(argmin(&pool, &[3.0, 1.0, f64::NAN])?, 2);
/// # Ok(())
/// # }
/// ```
pub fn argmin<T: Number>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<usize, KernelError> {
    not_empty("argmin", x)?;
    if is_inline(x.len()) {
        return Ok(place_slice::<_, Below>(&x.elements(), 0)[1] as usize);
    }
    let x = x.share(pool)?;
    let found = repeatable(pool).reduce(
        (x.split_flat(), 0..x.len()),
        NOWHERE,
        |(x, at)| place_slice::<_, Below>(x, at.start),
        first_of::<T, Below>,
    )?;
    Ok(found[1] as usize)
}

/// Returns the index of the largest element in row-major order: the first of equal elements, or the first NaN
/// if there is one.
///
/// Cost: as for [`argmin`].
///
/// # Errors
/// `Empty` without elements, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// assert_eq!(phalanx_kernels::reduce::argmax(&pool, &[1, 3, 2, 3])?, 1);
/// # Ok(())
/// # }
/// ```
pub fn argmax<T: Number>(pool: &Pool, x: &(impl Input<Elem = T> + ?Sized)) -> Result<usize, KernelError> {
    not_empty("argmax", x)?;
    if is_inline(x.len()) {
        return Ok(place_slice::<_, Above>(&x.elements(), 0)[1] as usize);
    }
    let x = x.share(pool)?;
    let found = repeatable(pool).reduce(
        (x.split_flat(), 0..x.len()),
        NOWHERE,
        |(x, at)| place_slice::<_, Above>(x, at.start),
        first_of::<T, Above>,
    )?;
    Ok(found[1] as usize)
}

fn not_empty(kernel: &'static str, x: &(impl Input + ?Sized)) -> Result<(), KernelError> {
    if x.is_empty() { Err(KernelError::Empty { kernel }) } else { Ok(()) }
}

/// Which of two elements is looked for.
trait Order {
    fn better<T: Number>(a: T, b: T) -> bool;
}

struct Below;
impl Order for Below {
    #[inline(always)]
    fn better<T: Number>(a: T, b: T) -> bool {
        a < b
    }
}

struct Above;
impl Order for Above {
    #[inline(always)]
    fn better<T: Number>(a: T, b: T) -> bool {
        a > b
    }
}

/// The better of two, NaN before all.
#[inline(always)]
fn pick<T: Number>(a: T, b: T, better: impl Fn(T, T) -> bool) -> T {
    if a.is_unordered() || (!b.is_unordered() && !better(b, a)) { a } else { b }
}

/// The best element of a slice; NaN if there is one; `worst` without elements.
#[inline(always)]
fn extreme_slice<T: Number>(x: &[T], worst: T, better: impl Fn(T, T) -> bool) -> T {
    vectorized(
        #[inline(always)]
        || {
            let (best, nan, rest) = lanes(x, worst, &better);
            let values =
                best.as_flattened().iter().chain(nan.as_flattened().iter().filter(|x| x.is_unordered()));
            values.chain(rest).fold(worst, |a, &b| pick(a, b, &better))
        },
    )
}

/// Best elements and NaN of 32 lanes, and the elements left over.
#[inline(always)]
fn lanes<'a, T: Number>(
    x: &'a [T],
    worst: T,
    better: &impl Fn(T, T) -> bool,
) -> ([[T; 8]; 4], [[T; 8]; 4], &'a [T]) {
    let (strands, rest) = strands(x);
    let (mut best, mut nan) = ([[worst; 8]; 4], [[T::ZERO; 8]; 4]);
    for (((a, b), c), d) in strands[0].iter().zip(strands[1]).zip(strands[2]).zip(strands[3]) {
        for (s, group) in [a, b, c, d].into_iter().enumerate() {
            for w in 0..8 {
                best[s][w] = if better(group[w], best[s][w]) { group[w] } else { best[s][w] };
                nan[s][w] = if group[w].is_unordered() { group[w] } else { nan[s][w] };
            }
        }
    }
    (best, nan, rest)
}

/// A value's bits and its place.
type Found = [u64; 2];
/// No place at all.
const NOWHERE: Found = [0, u64::MAX];

/// The first place of the best element of a slice that begins at place `first`; the first NaN if there is
/// one.
fn place_slice<T: Number, O: Order>(x: &[T], first: usize) -> Found {
    vectorized(
        #[inline(always)]
        || place_body::<T, O>(x, first),
    )
}

#[inline(always)]
fn place_body<T: Number, O: Order>(x: &[T], first: usize) -> Found {
    let mut found: Option<(T, usize)> = None;
    for (index, block) in x.chunks(BLOCK).enumerate() {
        let place = |at: usize| first + index * BLOCK + at;
        let (best, has_nan) = block_best::<T, O>(block);
        if has_nan && let Some(at) = block.iter().position(|x| x.is_unordered()) {
            return [block[at].to_word(), place(at) as u64];
        }
        if found.is_none_or(|(value, _)| O::better(best, value))
            && let Some(at) = block.iter().position(|&x| x == best)
        {
            found = Some((block[at], place(at)));
        }
    }
    found.map_or(NOWHERE, |(value, at)| [value.to_word(), at as u64])
}

/// The best of a block that is not empty, and whether it holds a NaN.
#[inline(always)]
fn block_best<T: Number, O: Order>(block: &[T]) -> (T, bool) {
    let (best, nan, rest) = lanes(block, block[0], &O::better);
    fold_block::<T, O>(&best, &nan, rest)
}

/// Folds the lanes of a block. Out of line, because its shape otherwise leaks into the loop above as
/// shuffles.
#[inline(never)]
fn fold_block<T: Number, O: Order>(best: &[[T; 8]; 4], nan: &[[T; 8]; 4], rest: &[T]) -> (T, bool) {
    let has_nan = nan.as_flattened().iter().chain(rest).any(|x| x.is_unordered());
    let values = best.as_flattened().iter().chain(rest);
    (values.fold(best[0][0], |a, &b| if O::better(b, a) { b } else { a }), has_nan)
}

/// The better of two findings, the earlier of equal ones.
fn first_of<T: Number, O: Order>(a: Found, b: Found) -> Found {
    if a[1] == NOWHERE[1] || b[1] == NOWHERE[1] {
        return if a[1] == NOWHERE[1] { b } else { a };
    }
    let (early, late) = if a[1] < b[1] { (a, b) } else { (b, a) };
    let (x, y) = (T::from_word(early[0]), T::from_word(late[0]));
    if x.is_unordered() || (!y.is_unordered() && !O::better(y, x)) { early } else { late }
}
