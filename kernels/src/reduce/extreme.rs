//! Smallest and largest elements, and their indices.

use super::fold::fold;
use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::lanes::strands;
use crate::number::{Integer, Number, Real};
use crate::simd::vectorized;
use phalanx::Pool;

/// Bytes of a block; an extreme is looked for block by block, and its place in the first block that holds it.
const BLOCK_BYTES: usize = 32 << 10;
/// Elements among which a place is looked for.
const SEARCHED_AT_ONCE: usize = 64;

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
/// Cost: every element read once, and up to 32 KiB of each chunk, where its smallest element is, again.
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
            if !T::IS_FLOAT {
                return plain_extreme(x, worst, &better);
            }
            let (best, nan, rest) = lanes(x, worst, &better);
            let values =
                best.as_flattened().iter().chain(nan.as_flattened().iter().filter(|x| x.is_unordered()));
            values.chain(rest).fold(worst, |a, &b| pick(a, b, &better))
        },
    )
}

/// The best element of integers. The compiler orders them as suits its vectors.
#[inline(always)]
fn plain_extreme<T: Number>(x: &[T], worst: T, better: &impl Fn(T, T) -> bool) -> T {
    x.iter().fold(
        worst,
        #[inline(always)]
        |best, &x| if better(x, best) { x } else { best },
    )
}

/// Best elements of 32 lanes, NaN where a pair of lanes met one, and the elements left over.
#[inline(always)]
fn lanes<'a, T: Number>(
    x: &'a [T],
    worst: T,
    better: &impl Fn(T, T) -> bool,
) -> ([[T; 8]; 4], [[T; 8]; 2], &'a [T]) {
    let (strands, rest) = strands(x);
    let (mut best, mut nan) = ([[worst; 8]; 4], [[T::ZERO; 8]; 2]);
    for (((a, b), c), d) in strands[0].iter().zip(strands[1]).zip(strands[2]).zip(strands[3]) {
        for (s, group) in [a, b, c, d].into_iter().enumerate() {
            for w in 0..8 {
                best[s][w] = if better(group[w], best[s][w]) { group[w] } else { best[s][w] };
            }
        }
        // One comparison tells of two elements. All bits set are NaN.
        for (s, [a, b]) in [[a, b], [c, d]].into_iter().enumerate() {
            for w in 0..8 {
                let is_any = a[w].is_unordered() | b[w].is_unordered();
                nan[s][w] = if is_any { T::from_word(u64::MAX) } else { nan[s][w] };
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
    let len = BLOCK_BYTES / size_of::<T>();
    let mut found: Option<(T, usize)> = None;
    for (index, block) in x.chunks(len).enumerate() {
        let (best, has_nan) = block_best::<T, O>(block);
        if has_nan {
            return place_of(x, first, index * len, |x| x.is_unordered());
        }
        if found.is_none_or(|(value, _)| O::better(best, value)) {
            found = Some((best, index * len));
        }
    }
    found.map_or(NOWHERE, |(best, start)| place_of(x, first, start, |x| x == best))
}

/// The first element from `start` on that is meant, by its bits and its place in the whole array.
#[inline(always)]
fn place_of<T: Number>(x: &[T], first: usize, start: usize, is_meant: impl Fn(T) -> bool) -> Found {
    // Some elements at a time, which vectors compare.
    let any = |x: &[T]| x.iter().fold(false, |any, &x| any | is_meant(x));
    let blocks = x[start..].chunks(SEARCHED_AT_ONCE).enumerate();
    let place = blocks.filter(|(_, block)| any(block)).find_map(|(index, block)| {
        Some(start + index * SEARCHED_AT_ONCE + block.iter().position(|&x| is_meant(x))?)
    });
    place.map_or(NOWHERE, |place| [x[place].to_word(), (first + place) as u64])
}

/// The best of a block that is not empty, and whether it holds a NaN.
#[inline(always)]
fn block_best<T: Number, O: Order>(block: &[T]) -> (T, bool) {
    if !T::IS_FLOAT {
        return (plain_extreme(block, block[0], &O::better), false);
    }
    let (best, nan, rest) = lanes(block, block[0], &O::better);
    fold_block::<T, O>(&best, &nan, rest)
}

/// Folds the lanes of a block. Out of line, because its shape otherwise leaks into the loop above as
/// shuffles.
#[inline(never)]
fn fold_block<T: Number, O: Order>(best: &[[T; 8]; 4], nan: &[[T; 8]; 2], rest: &[T]) -> (T, bool) {
    let better = |a, b| if O::better(b, a) { b } else { a };
    let has_nan = (0..8).any(|w| nan[0][w].is_unordered() | nan[1][w].is_unordered());
    let mut columns = best[0];
    for w in 0..8 {
        columns[w] = better(better(best[0][w], best[1][w]), better(best[2][w], best[3][w]));
    }
    let values = columns.iter().chain(rest);
    (values.fold(columns[0], |a, &b| better(a, b)), has_nan || rest.iter().any(|x| x.is_unordered()))
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
