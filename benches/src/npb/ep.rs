//! EP: sums and counts of Gaussian deviates by the acceptance-rejection method, in 2^M pairs of random
//! numbers.
//!
//! After section 2.4 of the NPB specification. Pairs come in batches of 2^16, each with a seed of its own
//! found by a jump, so that batches are independent. About 60 operations per number; no memory but a few KiB
//! of the nearest cache. Operations are counted as the reference does: one per random number.
//!
//! Departure from the text of the algorithm: all pairs of a block go through the same operations, and those
//! outside the unit circle get the factor 0, so that the loops need no branches and become vector
//! instructions; the logarithm is a polynomial for the same reason. Sums stay within a few ulp of those in
//! the order of the numbers.

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::random::{MULTIPLIER, Random, power, times, uniform};
use super::simd::multiversion;
use super::team::Team;
use super::verification::{self, Check};
use crate::harness::Outcome;
use phalanx::Pool;
use phalanx::sync::Counter;
use rayon::prelude::*;
use std::time::Instant;

/// log2 of the pairs in a batch.
const BATCH_BITS: u32 = 16;
/// Pairs in a batch.
const BATCH: usize = 1 << BATCH_BITS;
/// Pairs in a block: four arrays of them stay in a nearest cache of 32 KiB.
const BLOCK: usize = 512;
/// Pairs side by side.
const LANES: usize = 8;
/// Square annuli in which deviates are counted.
const ANNULI: usize = 10;
/// Parts that ranks claim; their sums fit one collective.
const LEAVES: usize = 256;
const SEED: u64 = 271_828_183;

/// EP.
pub struct Ep;

/// Sum of the first deviates, of the second, and counts by annulus: exact integers.
type Tally = [f64; 2 + ANNULI];

/// Numbers of a block. Aligned, so that no vector crosses a cache line.
#[repr(align(64))]
struct Block([f64; BLOCK]);

const NOTHING: Tally = [0.0; 2 + ANNULI];

/// log2 of the number of pairs.
fn pairs_log2(class: Class) -> u32 {
    match class {
        Class::S => 24,
        Class::W => 25,
        Class::A => 28,
        Class::B => 30,
        Class::C => 32,
        Class::D => 36,
    }
}

impl Benchmark for Ep {
    fn name(&self) -> &'static str {
        "ep"
    }

    fn size(&self, class: Class) -> String {
        format!("2^{} pairs of random numbers", pairs_log2(class))
    }

    fn run(&self, class: Class, team: &Team<'_>) -> Outcome<Measured> {
        let batches = 1usize << (pairs_log2(class) - BATCH_BITS);
        let began = Instant::now();
        let tally = match team {
            Team::Serial => (0..batches).map(batch).fold(NOTHING, add),
            Team::Rayon(threads) => {
                threads.install(|| (0..batches).into_par_iter().map(batch).reduce(|| NOTHING, add))
            }
            Team::Phalanx(pool) => on_pool(pool, batches)?,
        };
        Ok(Measured {
            seconds: began.elapsed().as_secs_f64(),
            operations: 2f64.powi(pairs_log2(class) as i32 + 1),
            checks: compared(class, &tally)?,
        })
    }
}

/// One region, in which ranks take leaves from one counter, so that a slow core computes less. Each leaf's
/// sums are added up in the order of leaves: the same bits for any number of workers, however the leaves were
/// shared out.
fn on_pool(pool: &Pool, batches: usize) -> Outcome<Tally> {
    let next = Counter::new(0)?;
    Ok(pool.region((&next, batches), |team, (next, batches)| {
        // The sums of leaves that others computed stay 0, so that adding ranks up is exact.
        let (mut sums, mut tally) = ([0.0; 2 * LEAVES], NOTHING);
        loop {
            let leaf = next.add(1) as usize;
            if leaf >= LEAVES {
                break;
            }
            let own = leaf * batches / LEAVES..(leaf + 1) * batches / LEAVES;
            let part = own.map(batch).fold(NOTHING, add);
            sums[2 * leaf..2 * leaf + 2].copy_from_slice(&part[..2]);
            tally = add(tally, part);
        }
        let sums = team.all_reduce(sums, add)?;
        let mut tally = team.all_reduce(tally, add)?;
        tally[0] = sums.iter().step_by(2).sum();
        tally[1] = sums.iter().skip(1).step_by(2).sum();
        Ok(tally)
    })?)
}

fn compared(class: Class, tally: &Tally) -> Outcome<Vec<Check>> {
    let Some(official) = verification::ep(class)? else { return Ok(Vec::new()) };
    Ok(vec![
        Check::relative("sx", tally[0], official.sx, 1e-8),
        Check::relative("sy", tally[1], official.sy, 1e-8),
    ])
}

fn add<const N: usize>(mut a: [f64; N], b: [f64; N]) -> [f64; N] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

multiversion! {
    /// Returns the tally of one batch.
    fn batch(index: usize) -> Tally {
        // The numbers of a pair are neighbours of one sequence; lane l of a block has the pairs l, l + 8, l +
        // 16 ...
        let mut random = Random::new(SEED).after((2 * BATCH) as u64 * index as u64);
        let (mut first, mut second) = ([0; LANES], [0; LANES]);
        for (first, second) in first.iter_mut().zip(&mut second) {
            random.next();
            *first = random.state();
            random.next();
            *second = random.state();
        }
        let (mut x, mut y) = (Block([0.0; BLOCK]), Block([0.0; BLOCK]));
        let mut tally = NOTHING;
        for _ in 0..BATCH / BLOCK {
            draw(&mut first, &mut x.0);
            draw(&mut second, &mut y.0);
            gauss(&mut x.0, &mut y.0);
            tally[0] += sum(&x.0);
            tally[1] += sum(&y.0);
            count(&mut x.0, &y.0, &mut tally);
        }
        tally
    }
}

/// Numbers in (-1, 1), lane by lane.
#[inline(always)]
fn draw(lanes: &mut [u64; LANES], out: &mut [f64; BLOCK]) {
    const STRIDE: u64 = power(MULTIPLIER, 2 * LANES as u64);
    for chunk in out.chunks_exact_mut(LANES) {
        for (out, lane) in chunk.iter_mut().zip(&mut *lanes) {
            *out = 2.0 * uniform(*lane) - 1.0;
            *lane = times(*lane, STRIDE);
        }
    }
}

/// Makes deviates of the pairs in the unit circle, and zeros of the others: -0.0, which no deviate is, in
/// `x`.
#[inline(always)]
fn gauss(x: &mut [f64; BLOCK], y: &mut [f64; BLOCK]) {
    for (x, y) in x.iter_mut().zip(y) {
        let t = *x * *x + *y * *y;
        let factor = (-2.0 * ln(t) / t).sqrt();
        let inside = t <= 1.0;
        *x = if inside { *x * factor } else { OUTSIDE };
        *y = if inside { *y * factor } else { 0.0 };
    }
}

/// Stands for a pair outside the circle; adds nothing to a sum.
const OUTSIDE: f64 = -0.0;

/// The natural logarithm of a positive normal number, to about 1 ulp. After the argument reduction and series
/// of Sun's fdlibm (e_log.c): ln(2^e m) = e ln 2 + 2 atanh(f / (2 + f)), f = m - 1, m between the roots of
/// 1/2 and 2.
#[inline(always)]
fn ln(x: f64) -> f64 {
    const ROOT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
    // Coefficients of the minimax series in s^2 and the two parts of ln 2.
    const C: [f64; 7] = [
        0.6666666666666735,
        0.3999999999940942,
        0.2857142874366239,
        0.22222198432149784,
        0.1818357216161805,
        0.15313837699209373,
        0.14798198605116586,
    ];
    const LN2: [f64; 2] = [0.6931471803691238, 1.9082149292705877e-10];
    // Every number here is below 4, so the exponent's steps stay small; shifted without a sign as AVX2 has no
    // other shift.
    let above = x.to_bits().wrapping_sub(ROOT_HALF).wrapping_add(1024 << 52) >> 52;
    let m = f64::from_bits(x.to_bits().wrapping_sub(above.wrapping_sub(1024) << 52));
    let e = f64::from_bits(0x4330_0000_0000_0000 | above) - (4503599627370496.0 + 1024.0);
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let odd = w * (C[1] + w * (C[3] + w * C[5]));
    let even = z * (C[0] + w * (C[2] + w * (C[4] + w * C[6])));
    let half = 0.5 * f * f;
    e * LN2[0] - ((half - (s * (half + odd + even) + e * LN2[1])) - f)
}

#[inline(always)]
fn sum(values: &[f64; BLOCK]) -> f64 {
    let mut lanes = [0.0; LANES];
    for chunk in values.chunks_exact(LANES) {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().sum()
}

/// Adds to annulus l how many pairs have max(|x|, |y|) in l..l + 1. Overwrites `x`.
#[inline(always)]
fn count(x: &mut [f64; BLOCK], y: &[f64; BLOCK], tally: &mut Tally) {
    for (x, y) in x.iter_mut().zip(y) {
        let larger = if x.abs() > y.abs() { x.abs() } else { y.abs() };
        *x = if x.to_bits() == OUTSIDE.to_bits() { -1.0 } else { larger };
    }
    let mut above = at_least(x, 0.0);
    for annulus in 0..ANNULI {
        let next = at_least(x, (annulus + 1) as f64);
        tally[2 + annulus] += above - next;
        above = next;
        if above == 0.0 {
            break;
        }
    }
}

#[inline(always)]
fn at_least(values: &[f64; BLOCK], limit: f64) -> f64 {
    let mut lanes = [0u64; LANES];
    for chunk in values.chunks_exact(LANES) {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += u64::from(*value >= limit));
    }
    lanes.iter().sum::<u64>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The algorithm as the specification describes it.
    fn naive(index: usize) -> Tally {
        let mut random = Random::new(SEED).after((2 * BATCH * index) as u64);
        let mut tally = NOTHING;
        for _ in 0..BATCH {
            let (x, y) = (2.0 * random.next() - 1.0, 2.0 * random.next() - 1.0);
            let t = x * x + y * y;
            if t <= 1.0 {
                let factor = (-2.0 * t.ln() / t).sqrt();
                let (x, y) = (x * factor, y * factor);
                tally[0] += x;
                tally[1] += y;
                tally[2 + x.abs().max(y.abs()) as usize] += 1.0;
            }
        }
        tally
    }

    #[test]
    fn a_batch_is_what_the_plain_algorithm_gives() {
        for index in [0, 1, 77] {
            let (fast, plain) = (batch(index), naive(index));
            assert_eq!(fast[2..], plain[2..], "{index}");
            assert!((fast[0] - plain[0]).abs() < 1e-10 * BATCH as f64, "{index}: {} {}", fast[0], plain[0]);
            assert!((fast[1] - plain[1]).abs() < 1e-10 * BATCH as f64, "{index}: {} {}", fast[1], plain[1]);
        }
    }

    #[test]
    fn sums_have_the_same_bits_for_any_number_of_workers() {
        let tally = |workers| on_pool(&Pool::builder().workers(workers).build().unwrap(), 20).unwrap();
        let one = tally(1);
        assert_eq!(one[2..], (0..20).map(naive).fold(NOTHING, add)[2..]);
        for workers in 2..=4 {
            assert_eq!(tally(workers).map(f64::to_bits), one.map(f64::to_bits), "{workers}");
        }
    }

    #[test]
    fn the_logarithm_is_within_an_ulp_or_so() {
        let mut x = 1e-30;
        while x < 2.0 {
            let (got, want): (f64, f64) = (ln(x), f64::ln(x));
            assert!((got - want).abs() <= 2.0 * f64::EPSILON * want.abs(), "{x}: {got} {want}");
            x *= 1.001;
        }
    }

    #[test]
    fn a_tally_slightly_off_is_refused() {
        let official = verification::ep(Class::S).unwrap().unwrap();
        let mut tally = NOTHING;
        (tally[0], tally[1]) = (official.sx, official.sy);
        assert!(compared(Class::S, &tally).unwrap().iter().all(|check| check.holds));
        tally[1] *= 1.0 + 2e-8;
        assert!(!compared(Class::S, &tally).unwrap().iter().all(|check| check.holds));
    }
}
