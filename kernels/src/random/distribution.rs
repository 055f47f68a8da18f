//! Distributions whose draws take a number of attempts that is not known before: each element has a stream of
//! its own.
//!
//! Logarithms, powers and gamma functions are those of the crate `libm`, so results have the same bits on
//! every machine.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "floats, and counts of successes, no more than there are trials"
)]

use super::philox::{self, Domain, Keys};
use super::{Draw, fill, quantile};
use crate::error::KernelError;
use crate::number::{Number, Real};
use phalanx::{Pool, Shape, SharedArray};
use std::ops::Range;

/// What is drawn for one element, as often as needed: two draws of 64 bits from each attempt.
pub(super) struct Stream<'k> {
    keys: &'k Keys,
    domain: Domain,
    index: u64,
    attempt: u32,
    kept: Option<u64>,
}

impl<'k> Stream<'k> {
    pub(super) fn new(keys: &'k Keys, domain: Domain, index: u64) -> Stream<'k> {
        Stream { keys, domain, index, attempt: 0, kept: None }
    }

    pub(super) fn bits(&mut self) -> u64 {
        if let Some(bits) = self.kept.take() {
            return bits;
        }
        let words = philox::block(self.keys, self.domain, self.index, self.attempt);
        self.attempt = self.attempt.wrapping_add(1);
        self.kept = Some(words[3] << 32 | words[2]);
        words[1] << 32 | words[0]
    }

    /// A number of 0 .. 1, neither included: `(k + 1/2) / 2^52`.
    fn unit(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    fn normal(&mut self) -> f64 {
        let [z] = quantile::quantiles(&[self.unit()]);
        z
    }

    fn exponential(&mut self) -> f64 {
        -libm::log(self.unit())
    }

    /// The natural logarithm of a number of the gamma distribution (G. Marsaglia and W. W. Tsang, ACM TOMS
    /// 26, 2000); below a shape of 1 by that of a larger shape times a power.
    fn log_gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let larger = self.log_gamma(shape + 1.0);
            return larger - self.exponential() / shape;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let z = self.normal();
            let v = 1.0 + c * z;
            if v <= 0.0 {
                continue;
            }
            let v = v * v * v;
            if libm::log(self.unit()) < 0.5 * z * z + d - d * v + d * libm::log(v) {
                return libm::log(d) + libm::log(v);
            }
        }
    }

    /// A number of the Poisson distribution: by products of uniform numbers for small means, else by W.
    /// Hörmann, Insurance: Mathematics and Economics 12 (1993), algorithm PTRS.
    fn poisson(&mut self, mean: f64) -> u64 {
        if mean < 10.0 {
            let (end, mut product, mut count) = (libm::exp(-mean), self.unit(), 0);
            while product > end {
                product *= self.unit();
                count += 1;
            }
            return count;
        }
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.024_83 * b;
        let inverse = 1.1239 + 1.1328 / (b - 3.4);
        let sure = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let (u, v) = (self.unit() - 0.5, self.unit());
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= sure {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let left = libm::log(v * inverse / (a / (us * us) + b));
            if left <= k * libm::log(mean) - mean - libm::lgamma(k + 1.0) {
                return k as u64;
            }
        }
    }

    /// A number of the binomial distribution for `p` of at most 1/2: by inversion for small means, else by W.
    /// Hörmann, J. Statist. Comput. Simul. 46 (1993), algorithm BTRS.
    fn binomial(&mut self, trials: u64, p: f64) -> u64 {
        let (n, q) = (trials as f64, 1.0 - p);
        if n * p < 10.0 {
            return self.few(trials, p);
        }
        let deviation = (n * p * q).sqrt();
        let b = 1.15 + 2.53 * deviation;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let sure = 0.92 - 4.2 / b;
        let alpha = (2.83 + 5.1 / b) * deviation;
        let odds = libm::log(p / q);
        let mode = ((n + 1.0) * p).floor();
        let at_mode = libm::lgamma(mode + 1.0) + libm::lgamma(n - mode + 1.0);
        loop {
            let (u, v) = (self.unit() - 0.5, self.unit());
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + n * p + 0.5).floor();
            if !(0.0..=n).contains(&k) {
                continue;
            }
            if us >= 0.07 && v <= sure {
                return k as u64;
            }
            let left = libm::log(v * alpha / (a / (us * us) + b));
            let right = at_mode - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0) + (k - mode) * odds;
            if left <= right {
                return k as u64;
            }
        }
    }

    /// Binomial with a small mean: the distribution function is summed up until it passes a uniform number.
    fn few(&mut self, trials: u64, p: f64) -> u64 {
        let odds = p / (1.0 - p);
        loop {
            let mut chance = libm::exp(trials as f64 * libm::log1p(-p));
            let mut left = self.unit();
            for count in 0..=trials.min(200) {
                if left <= chance {
                    return count;
                }
                left -= chance;
                chance *= odds * (trials - count) as f64 / (count + 1) as f64;
            }
        }
    }
}

/// Fills elements from number `span.start` on with what `draw` makes of each one's stream.
fn each<T>(
    out: &mut [T],
    span: Range<usize>,
    seed: u64,
    domain: Domain,
    draw: impl Fn(&mut Stream<'_>) -> T,
) {
    let keys = philox::keys(seed);
    for (out, index) in out.iter_mut().zip(span) {
        *out = draw(&mut Stream::new(&keys, domain, index as u64));
    }
}

/// Refuses a parameter that is not above 0 and finite.
fn check_positive<T: Real>(what: &'static str, value: T) -> Result<(), KernelError> {
    if value > T::ZERO && value.is_finite() {
        return Ok(());
    }
    Err(KernelError::argument(what, format!("{value:?} is not above 0 and finite")))
}

/// Fills `out` with numbers of the exponential distribution with this mean (NumPy's `scale`).
///
/// Cost: a block of draws and a logarithm for each element.
///
/// # Errors
/// `Argument` if the mean is not above 0 and finite. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut waits = pool.zeros::<f64>(100_000)?;
/// phalanx_kernels::random::exponential(&pool, &mut waits, 5, 2.0)?;
/// let mean = waits.as_slice().iter().sum::<f64>() / 1e5;
/// assert!((mean - 2.0).abs() < 0.05);
/// # Ok(())
/// # }
/// ```
pub fn exponential<T: Draw, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    seed: u64,
    mean: T,
) -> Result<(), KernelError> {
    check_positive("mean", mean)?;
    fill(pool, out, (seed, mean), |out, span, (seed, mean)| {
        let mean = Number::to_f64(mean);
        each(out, span, seed, Domain::Exponential, |stream| T::from_f64(mean * stream.exponential()));
    })
}

/// Fills `out` with numbers of the gamma distribution with this shape and scale; its mean is their product.
///
/// Cost: about two blocks of draws, a quantile and two logarithms for each element.
///
/// # Errors
/// `Argument` if a parameter is not above 0 and finite. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut x = pool.zeros::<f64>(100_000)?;
/// phalanx_kernels::random::gamma(&pool, &mut x, 5, 3.0, 2.0)?;
/// assert!((x.as_slice().iter().sum::<f64>() / 1e5 - 6.0).abs() < 0.1);
/// # Ok(())
/// # }
/// ```
pub fn gamma<T: Draw, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    seed: u64,
    shape: T,
    scale: T,
) -> Result<(), KernelError> {
    check_positive("shape", shape)?;
    check_positive("scale", scale)?;
    fill(pool, out, (seed, [shape, scale]), |out, span, (seed, wish)| {
        let [shape, scale] = wish.map(Number::to_f64);
        each(out, span, seed, Domain::Gamma, |stream| {
            T::from_f64(scale * libm::exp(stream.log_gamma(shape)))
        });
    })
}

/// Fills `out` with numbers of the beta distribution, in 0 ..= 1, by two of the gamma distribution.
///
/// Cost: twice that of [`gamma`].
///
/// # Errors
/// `Argument` if a parameter is not above 0 and finite. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut x = pool.zeros::<f64>(100_000)?;
/// phalanx_kernels::random::beta(&pool, &mut x, 5, 1.0, 3.0)?;
/// assert!((x.as_slice().iter().sum::<f64>() / 1e5 - 0.25).abs() < 0.01);
/// # Ok(())
/// # }
/// ```
pub fn beta<T: Draw, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    seed: u64,
    alpha: T,
    beta: T,
) -> Result<(), KernelError> {
    check_positive("alpha", alpha)?;
    check_positive("beta", beta)?;
    fill(pool, out, (seed, [alpha, beta]), |out, span, (seed, wish)| {
        let [alpha, beta] = wish.map(Number::to_f64);
        each(out, span, seed, Domain::Beta, |stream| {
            let (left, right) = (stream.log_gamma(alpha), stream.log_gamma(beta));
            // Of logarithms, since for small parameters both numbers may vanish.
            if left == f64::NEG_INFINITY && right == f64::NEG_INFINITY {
                return if stream.unit() * (alpha + beta) < alpha { T::ONE } else { T::ZERO };
            }
            T::from_f64(1.0 / (1.0 + libm::exp(right - left)))
        });
    })
}

/// Fills `out` with numbers of the Poisson distribution with this mean.
///
/// Cost: `mean + 1` draws per element for means below 10, else about three and a few logarithms.
///
/// # Errors
/// `Argument` if the mean is negative, not finite or above 2^32. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut counts = pool.zeros::<u64>(100_000)?;
/// phalanx_kernels::random::poisson(&pool, &mut counts, 5, 3.5)?;
/// assert!((counts.as_slice().iter().sum::<u64>() as f64 / 1e5 - 3.5).abs() < 0.05);
/// # Ok(())
/// # }
/// ```
pub fn poisson<D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<u64, D>,
    seed: u64,
    mean: f64,
) -> Result<(), KernelError> {
    if !(0.0..=LARGEST).contains(&mean) {
        return Err(KernelError::argument("mean", format!("{mean:?} is not in 0 ..= 2^32")));
    }
    fill(pool, out, (seed, mean), |out, span, (seed, mean)| {
        each(out, span, seed, Domain::Poisson, |stream| stream.poisson(mean));
    })
}

/// The largest mean or number of trials for which logarithms of factorials keep enough digits.
const LARGEST: f64 = (1_u64 << 32) as f64;

/// Fills `out` with the number of successes in `trials` attempts that succeed with probability `p` each.
///
/// Cost: about `trials p` steps per element where that or `trials (1 - p)` is below 10, else about three
/// draws and a few logarithms.
///
/// # Errors
/// `Argument` if `p` is not in 0 ..= 1, or there are more than 2^32 trials. `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut heads = pool.zeros::<u64>(100_000)?;
/// phalanx_kernels::random::binomial(&pool, &mut heads, 5, 20, 0.5)?;
/// assert!((heads.as_slice().iter().sum::<u64>() as f64 / 1e5 - 10.0).abs() < 0.05);
/// # Ok(())
/// # }
/// ```
pub fn binomial<D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<u64, D>,
    seed: u64,
    trials: u64,
    p: f64,
) -> Result<(), KernelError> {
    if !(0.0..=1.0).contains(&p) {
        return Err(KernelError::argument("p", format!("{p:?} is no probability, 0 to 1")));
    }
    if trials > LARGEST as u64 {
        return Err(KernelError::argument("trials", format!("{trials} are more than 2^32")));
    }
    fill(pool, out, (seed, [trials, p.to_bits()]), |out, span, (seed, [trials, p])| {
        let p = f64::from_bits(p);
        each(out, span, seed, Domain::Binomial, |stream| {
            if p <= 0.5 { stream.binomial(trials, p) } else { trials - stream.binomial(trials, 1.0 - p) }
        });
    })
}

#[cfg(test)]
#[path = "distribution_tests.rs"]
mod tests;
