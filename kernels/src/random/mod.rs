//! Random numbers that depend on seed and index only.
//!
//! | kernel | fills with |
//! |---|---|
//! | [`uniform`] | floats, uniformly distributed over a range |
//! | [`normal`] | floats of a normal distribution |
//! | [`integers`] | integers, uniformly distributed over a range, without bias |
//! | [`exponential`], [`gamma`], [`beta`] | floats of these distributions |
//! | [`poisson`], [`binomial`] | counts of these distributions |
//! | [`permutation`] | the numbers below a bound in random order |
//! | [`choice`] | some of these, without replacement |
//!
//! Element `i` of an array (in row-major order) is a function of the seed and `i`: the same on every machine,
//! for every number of workers, every schedule and every length of the array. ([`permutation`] and [`choice`]
//! depend on the bound too.) Different kernels and different
//! seeds produce unrelated numbers.
//!
//! # How numbers are made
//! Philox4x32-10 (Salmon and others, 2011) turns the counter `[i low, i high, attempt, kind]` under the seed
//! as key into four words of 32 bits. `kind` is 0 for [`uniform`], 1 for [`normal`], 2 for [`integers`];
//! attempts above 0 occur only if [`integers`] rejects a draw. A block of four words makes four `f32`, or two
//! elements of all other kinds, each from two words, the first the low one. The kinds above 2, which are 3
//! for [`exponential`], 4 [`gamma`], 5 [`beta`], 6 [`poisson`], 7 [`binomial`], 8 [`permutation`] and
//! [`choice`], 9 [`statistics::bootstrap`](crate::statistics::bootstrap), have a block for each element and
//! draw from attempts 0, 1, 2 and so on as many words as they need. These rules are part of the interface:
//! they do not change without notice in CHANGELOG.md.
//!
//! Not cryptographically secure: a few outputs are enough to predict the rest.
#![deny(clippy::arithmetic_side_effects)]

mod distribution;
mod permutation;
mod philox;
mod quantile;
mod resample;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests;

pub use distribution::{beta, binomial, exponential, gamma, poisson};
pub use permutation::{choice, permutation};
pub(crate) use resample::Resample;

use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::number::{Integer, Real};
use crate::simd::vectorized;
use phalanx::{Pool, Shape, SharedArray};
use philox::{Domain, Keys, LANES, Words};
use std::ops::{Bound, Range, RangeBounds};

/// Numbers of 64 bits that one step makes.
const STEP: usize = 2 * LANES;

/// Fills `out` with numbers uniformly distributed over `range`, the end excluded.
///
/// A number is `start + (end - start) * k / 2^b` with an integer `k` of `b` bits, 53 for `f64` and 24 for
/// `f32`, rounded. If that rounds to `end`, the result is the next number below.
///
/// Cost: writes every element once, with about 10 multiplications of 32 bits per word of output.
///
/// # Errors
/// `Argument` if the range is empty, not finite, or wider than the largest number. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let (mut x, mut y) = (pool.zeros::<f64>(100_000)?, pool.zeros_nd::<f64, _>((10, 100))?);
/// phalanx_kernels::random::uniform(&pool, &mut x, 42, 0.0..1.0)?;
/// phalanx_kernels::random::uniform(&pool, &mut y, 42, 0.0..1.0)?;
/// assert_eq!(y.as_slice(), &x.as_slice()[..1000]);
/// # Ok(())
/// # }
/// ```
pub fn uniform<T: Draw, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    seed: u64,
    range: Range<T>,
) -> Result<(), KernelError> {
    let Range { start, end } = range;
    let width = end.minus(start);
    if !(width > T::ZERO && width.is_finite() && start.is_finite()) {
        let why = format!("{start:?}..{end:?} is no range of finite width; give start < end, both finite");
        return Err(KernelError::argument("range", why));
    }
    fill(pool, out, (seed, [start, end]), |out, span, (seed, [start, end])| {
        T::fill_uniform(out, span.start as u64, seed, start, end);
    })
}

/// Fills `out` with normally distributed numbers of the given mean and standard deviation.
///
/// A number is `mean + deviation * z`; `z` is the quantile function (Wichura, AS 241) at `(k + 1/2) / 2^52`
/// with an integer `k` of 52 bits, so it lies within 8.3 of 0. In `f32` these are rounded results of the same
/// formula in `f64`.
///
/// Cost: writes every element once, with about 40 flops, and a logarithm and a square root for 15 % of the
/// elements.
///
/// # Errors
/// `Argument` if `mean` or `deviation` is not finite, `deviation` is negative, or numbers could become
/// infinite. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut noise = pool.zeros::<f32>(100_000)?;
/// phalanx_kernels::random::normal(&pool, &mut noise, 7, 0.0, 0.5)?;
/// let mean = noise.as_slice().iter().sum::<f32>() / 1e5;
/// assert!(mean.abs() < 0.01);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "gaussian")]
pub fn normal<T: Draw, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    seed: u64,
    mean: T,
    deviation: T,
) -> Result<(), KernelError> {
    for (what, value) in [("mean", mean), ("deviation", deviation)] {
        if !value.is_finite() {
            return Err(KernelError::argument(what, format!("{value:?} is not finite")));
        }
    }
    if deviation < T::ZERO {
        let why = format!("{deviation:?} is negative; a standard deviation is not");
        return Err(KernelError::argument("deviation", why));
    }
    let farthest = T::from_f64(mean.to_f64().abs() + 8.3 * deviation.to_f64());
    if !farthest.is_finite() {
        let why = format!("{deviation:?} about {mean:?} reaches beyond the largest number of the type");
        return Err(KernelError::argument("deviation", why));
    }
    fill(pool, out, (seed, [mean, deviation]), |out, span, (seed, [mean, deviation])| {
        let (mean, deviation) = (mean.to_f64(), deviation.to_f64());
        let keys = philox::keys(seed);
        steps(
            out,
            span.start as u64,
            #[inline(always)]
            |first, part: &mut [T; STEP]| {
                let draws = pairs(&philox::blocks(&keys, Domain::Normal, first / 2));
                let mut p = [0.0; STEP];
                for (p, bits) in p.iter_mut().zip(draws) {
                    *p = ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64);
                }
                for (out, z) in part.iter_mut().zip(quantile::quantiles(&p)) {
                    *out = T::from_f64(mean + deviation * z);
                }
            },
        );
    })
}

/// Fills `out` with integers uniformly distributed over `range`: `1..7` and `1..=6` are the same, and `..` stands for
/// all that the type has.
///
/// Without bias: every integer of the range has exactly the same chance (D. Lemire, Fast random integer
/// generation in an interval, 2019, <https://doi.org/10.1145/3230636>: a draw that would favour some integers
/// is rejected and repeated with the next attempt).
///
/// Cost: writes every element once, with one multiplication of 64 bits and, rarely, a further block.
///
/// # Errors
/// `Argument` if the range is empty. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut dice = pool.zeros::<u8>(60_000)?;
/// phalanx_kernels::random::integers(&pool, &mut dice, 1, 1..=6)?;
/// assert!(dice.as_slice().iter().all(|n| (1..=6).contains(n)));
/// # Ok(())
/// # }
/// ```
pub fn integers<T: Span, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    seed: u64,
    range: impl RangeBounds<T>,
) -> Result<(), KernelError> {
    let [start, end] = ends(&range)?;
    fill(pool, out, (seed, [start, end]), |out, span, (seed, [start, end])| {
        let (start, end) = (start.to_bits(), end.to_bits());
        // 0 stands for all 2^64.
        let count = end.wrapping_sub(start).wrapping_add(1);
        fill_integers(out, span.start as u64, seed, start, count);
    })
}

/// The first and the last integer of a range.
fn ends<T: Span>(range: &impl RangeBounds<T>) -> Result<[T; 2], KernelError> {
    let start = match range.start_bound() {
        Bound::Included(start) => Some(*start),
        Bound::Excluded(before) => (*before < T::HIGHEST).then(|| before.plus(T::ONE)),
        Bound::Unbounded => Some(T::LOWEST),
    };
    let end = match range.end_bound() {
        Bound::Included(end) => Some(*end),
        Bound::Excluded(behind) => (*behind > T::LOWEST).then(|| behind.minus(T::ONE)),
        Bound::Unbounded => Some(T::HIGHEST),
    };
    match start.zip(end) {
        Some((start, end)) if start <= end => Ok([start, end]),
        _ => Err(KernelError::argument("range", "it is empty; let it begin before it ends")),
    }
}

/// Runs a fill in the caller or by the workers: `body` writes the part of the array that begins at the span's
/// start.
fn fill<T, D, P, F>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    wish: (u64, P),
    body: F,
) -> Result<(), KernelError>
where
    T: phalanx::Element,
    D: Shape,
    P: phalanx::Plain,
    F: Fn(&mut [T], Range<usize>, (u64, P)) + Copy + Send + Sync,
{
    let len = out.len();
    if is_inline(len) {
        body(out.as_mut_slice(), 0..len, wish);
        return Ok(());
    }
    let operands = (out.split_flat_out(), 0..len, wish.0, wish.1);
    Ok(repeatable(pool).for_each(operands, move |(out, span, seed, wish)| body(out, span, (seed, wish)))?)
}

/// Calls `make` for every step of `N` elements that `out`, which begins at element `start`, has a part of;
/// `make` gets the number of the step's first element.
#[inline(always)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "places in a slice that is indexed; skip < N, and is what `start` is past a step"
)]
fn steps<T: Copy + Default, const N: usize>(out: &mut [T], start: u64, make: impl Fn(u64, &mut [T; N])) {
    vectorized(
        #[inline(always)]
        || {
            let mut skip = (start % N as u64) as usize;
            let mut first = start - skip as u64;
            let mut rest = out;
            while !rest.is_empty() {
                let part = rest.split_off_mut(..(N - skip).min(rest.len())).unwrap_or_default();
                match <&mut [T; N]>::try_from(&mut *part) {
                    Ok(whole) => make(first, whole),
                    Err(_) => {
                        let mut cut = [T::default(); N];
                        make(first, &mut cut);
                        part.copy_from_slice(&cut[skip..skip + part.len()]);
                    }
                }
                skip = 0;
                first = first.wrapping_add(N as u64);
            }
        },
    );
}

/// The 64-bit draws of some blocks, in order.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "lanes of words")]
fn pairs(words: &Words) -> [u64; STEP] {
    let mut draws = [0; STEP];
    for lane in 0..LANES {
        for half in 0..2 {
            draws[2 * lane + half] = words[2 * half + 1][lane] << 32 | words[2 * half][lane];
        }
    }
    draws
}

/// `count` integers from `low` on; a count of 0 stands for all 2^64.
fn fill_integers<T: Span>(out: &mut [T], start: u64, seed: u64, low: u64, count: u64) {
    if count == 0 || count > u64::from(u32::MAX) {
        fill_products(out, start, seed, (low, count), product);
    } else {
        fill_products(out, start, seed, (low, count), short_product);
    }
}

/// An integer is the upper half of a draw times the count, and is refused if the lower half is below 2^64 mod
/// the count.
#[inline(always)]
fn fill_products<T: Span>(
    out: &mut [T],
    start: u64,
    seed: u64,
    (low, count): (u64, u64),
    product: impl Fn(u64, u64) -> [u64; 2],
) {
    let refused = count.wrapping_neg().checked_rem(count).unwrap_or(0);
    let keys = philox::keys(seed);
    steps(
        out,
        start,
        #[inline(always)]
        |first, part: &mut [T; STEP]| {
            let draws = pairs(&philox::blocks(&keys, Domain::Integer, first / 2));
            let mut is_any_refused = false;
            for (out, draw) in part.iter_mut().zip(draws) {
                let [below, offset] = product(draw, count);
                is_any_refused |= below < refused;
                *out = T::from_bits(low.wrapping_add(offset));
            }
            if is_any_refused {
                for (index, (out, draw)) in (first..).zip(part.iter_mut().zip(draws)) {
                    if product(draw, count)[0] < refused {
                        *out = T::from_bits(low.wrapping_add(redraw(&keys, index, count, refused)));
                    }
                }
            }
        },
    );
}

/// The lower and the upper half of a draw times a count, 0 for 2^64.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "64-bit numbers multiplied in 128 bits")]
fn product(draw: u64, count: u64) -> [u64; 2] {
    let product = u128::from(draw) * u128::from(count);
    if count == 0 { [0, draw] } else { [product as u64, (product >> 64) as u64] }
}

/// As [`product`], for a count of 32 bits, in multiplications that vectors have.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "(2^32 - 1)^2 + 2^32 - 1 is below 2^64")]
fn short_product(draw: u64, count: u64) -> [u64; 2] {
    const LOW: u64 = u32::MAX as u64;
    let (high, low) = ((draw >> 32) * (count & LOW), (draw & LOW) * (count & LOW));
    [low.wrapping_add(high << 32), (high + (low >> 32)) >> 32]
}

/// The first later attempt for an element that is not refused.
#[cold]
#[expect(clippy::arithmetic_side_effects, reason = "attempts end long before 2^32")]
fn redraw(keys: &Keys, index: u64, count: u64, refused: u64) -> u64 {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let words = philox::block(keys, Domain::Integer, index / 2, attempt);
        let half = 2 * (index % 2) as usize;
        let [below, offset] = product(words[half + 1] << 32 | words[half], count);
        if below >= refused {
            return offset;
        }
    }
}

/// A float that can be drawn: `f32` or `f64`.
pub trait Draw: Real {
    /// Fills `out`, whose first element has number `start`.
    #[doc(hidden)]
    fn fill_uniform(out: &mut [Self], start: u64, seed: u64, low: Self, high: Self);
}

macro_rules! draws { ($($t:ident: $step:expr, $units:path);*) => { $(
    impl Draw for $t {
        fn fill_uniform(out: &mut [Self], start: u64, seed: u64, low: Self, high: Self) {
            let (width, below, keys) = (high - low, high.next_down(), philox::keys(seed));
            steps(out, start, #[inline(always)] |first, part: &mut [Self; $step]| {
                const PER_BLOCK: u64 = ($step / LANES) as u64;
                let words = philox::blocks(&keys, Domain::Uniform, first / PER_BLOCK);
                for (out, unit) in part.iter_mut().zip($units(&words)) {
                    let value = low + width * unit;
                    *out = if value < below { value } else { below };
                }
            });
        }
    }
)* } }
draws!(f64: STEP, doubles; f32: 2 * STEP, singles);

/// Multiples of 2^-53 below 1: the upper 53 bits of 64-bit draws.
///
/// Put together from two numbers whose bits are known, since most CPUs cannot convert vectors of 64-bit
/// integers: 2^20 + high * 2^-32, and 1/2 + (low >> 11) * 2^-53. Every step is exact.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "floats, and lanes of words")]
fn doubles(words: &Words) -> [f64; STEP] {
    const HIGH: f64 = (1 << 20) as f64;
    let mut units = [0.0; STEP];
    for lane in 0..LANES {
        for half in 0..2 {
            let high = f64::from_bits(words[2 * half + 1][lane] | HIGH.to_bits());
            let low = f64::from_bits(words[2 * half][lane] >> 11 | 0.5f64.to_bits());
            units[2 * lane + half] = high - (HIGH + 0.5) + low;
        }
    }
    units
}

/// Multiples of 2^-24 below 1: the upper 24 bits of 32-bit draws.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "floats, and lanes of words")]
fn singles(words: &Words) -> [f32; 2 * STEP] {
    let mut units = [0.0; 2 * STEP];
    for lane in 0..LANES {
        for word in 0..4 {
            units[4 * lane + word] = (words[word][lane] as u32 >> 8) as f32 * (1.0 / (1 << 24) as f32);
        }
    }
    units
}

/// An integer that can be drawn: `u8` to `u64`, `usize`, `i8` to `i64`, `isize`.
pub trait Span: Integer {
    /// Returns the 64-bit two's complement of the integer.
    #[doc(hidden)]
    fn to_bits(self) -> u64;
    /// Returns the integer with this 64-bit two's complement, which must fit.
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;
}

macro_rules! spans { ($($t:ident)*) => { $(
    impl Span for $t {
        #[inline(always)]
        fn to_bits(self) -> u64 { self as u64 }
        #[inline(always)]
        fn from_bits(bits: u64) -> Self { bits as $t }
    }
)* } }
spans!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
