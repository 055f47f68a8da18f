//! Random orders.
//!
//! Short ones are shuffled (R. Durstenfeld, CACM 7, 1964, algorithm 235). In long ones each place is computed
//! by itself, without memory for the others: a Feistel network of eight rounds permutes the numbers below a
//! power of four, and a number outside the bound is permuted again until it lies inside (J. Black and P.
//! Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002).
#![allow(
    clippy::arithmetic_side_effects,
    reason = "bounds above 0, half numbers of 7 to 32 bits, and products of 64-bit numbers in 128 bits"
)]

use super::distribution::Stream;
use super::philox::{self, Domain, Keys};
use crate::error::KernelError;
use crate::inline::repeatable;
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// Bounds below this are shuffled: a network for few numbers does not reach all their orders.
const SHUFFLED: u64 = 16_384;
const ROUNDS: u32 = 8;

/// Fills `out` with the numbers below its length in random order.
///
/// The order depends on seed and length only. Up to 16,383 numbers all orders are equally likely, as far as
/// seeds are. Of more numbers only one order occurs for each seed and length, which looks as random.
///
/// Cost: the caller shuffles short ones; for long ones 8 to 32 blocks of draws per element, divided among the
/// workers.
///
/// # Errors
/// `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut order = pool.zeros::<u64>(52)?;
/// phalanx_kernels::random::permutation(&pool, &mut order, 7)?;
/// let mut sorted = order.to_vec();
/// sorted.sort();
/// assert_eq!(sorted, (0..52).collect::<Vec<u64>>());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "shuffle")]
pub fn permutation(pool: &Pool, out: &mut SharedArray<u64, Ix1>, seed: u64) -> Result<(), KernelError> {
    let bound = out.len() as u64;
    choice(pool, out, seed, bound)
}

/// Fills `out` with different numbers below `bound`, in random order: the first of [`permutation`]'s for that
/// bound.
///
/// Cost: as for [`permutation`], for the elements of `out` alone; a bound of up to 16,383 is shuffled whole.
///
/// # Errors
/// `Argument` if `out` has more elements than there are numbers. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut rows = pool.zeros::<u64>(1000)?;
/// phalanx_kernels::random::choice(&pool, &mut rows, 7, 1 << 40)?;
/// assert!(rows.as_slice().iter().all(|row| *row < 1 << 40));
/// # Ok(())
/// # }
/// ```
pub fn choice(
    pool: &Pool,
    out: &mut SharedArray<u64, Ix1>,
    seed: u64,
    bound: u64,
) -> Result<(), KernelError> {
    if out.len() as u64 > bound {
        let why = format!("there are no {} different numbers below {bound}", out.len());
        return Err(KernelError::argument("bound", why));
    }
    if bound < SHUFFLED {
        let order = shuffled(seed, bound);
        out.as_mut_slice().iter_mut().zip(order).for_each(|(out, number)| *out = number);
        return Ok(());
    }
    let len = out.len();
    let operands = (out.split_out(), 0..len, [seed, bound]);
    repeatable(pool).for_each(operands, |(out, span, [seed, bound])| {
        let (keys, half) = (philox::keys(seed), half_of(bound));
        for (out, index) in out.iter_mut().zip(span) {
            *out = placed(&keys, half, bound, index as u64);
        }
    })?;
    Ok(())
}

fn shuffled(seed: u64, bound: u64) -> Vec<u64> {
    let keys = philox::keys(seed);
    let mut order: Vec<u64> = (0..bound).collect();
    for last in (1..order.len()).rev() {
        let other = below(&mut Stream::new(&keys, Domain::Permutation, last as u64), last as u64 + 1);
        order.swap(last, other as usize);
    }
    order
}

/// A number below `count`, each with the same chance (D. Lemire, 2019).
pub(super) fn below(stream: &mut Stream<'_>, count: u64) -> u64 {
    let refused = count.wrapping_neg() % count;
    loop {
        let product = u128::from(stream.bits()) * u128::from(count);
        if product as u64 >= refused {
            return (product >> 64) as u64;
        }
    }
}

/// Bits of half a number of the network, whose numbers reach up to `bound`.
fn half_of(bound: u64) -> u32 {
    (64 - (bound - 1).leading_zeros()).div_ceil(2)
}

fn placed(keys: &Keys, half: u32, bound: u64, index: u64) -> u64 {
    let mask = (1_u64 << half) - 1;
    let mut number = index;
    loop {
        let (mut left, mut right) = (number >> half, number & mask);
        for round in 0..ROUNDS {
            // Of each round's own counters. The bound is among them, so that orders of other lengths differ.
            let words = philox::block(keys, Domain::Permutation, right ^ bound << 32, 1 + round);
            (left, right) = (right, left ^ (words[0] & mask));
        }
        number = left << half | right;
        if number < bound {
            return number;
        }
    }
}

#[cfg(test)]
#[path = "permutation_tests.rs"]
mod tests;
