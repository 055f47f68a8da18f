//! The benchmarks' random numbers: x' = a x mod 2^46, of which 2^-46 x' is used.
//!
//! After section 2.3 of the NPB specification (RNR-94-007, <https://www.nas.nasa.gov/software/npb.html>). The
//! low 46 bits of a product depend on the low 46 bits of its factors only, so 64-bit wrapping multiplication
//! gives them exactly.

/// The multiplier of all benchmarks: 5^13.
pub const MULTIPLIER: u64 = 1_220_703_125;
/// The seed of all benchmarks but EP.
pub const SEED: u64 = 314_159_265;

/// Bits of a state.
const MASK: u64 = (1 << 46) - 1;
/// 2^-46.
const SCALE: f64 = 1.0 / (1u64 << 46) as f64;
/// Independent streams in [`Random::fill`].
const LANES: usize = 8;

/// The product of two states or multipliers.
#[inline(always)]
pub const fn times(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b) & MASK
}

/// `a` to the power `n`: the multiplier of `n` steps at once.
pub const fn power(a: u64, n: u64) -> u64 {
    let (mut result, mut square, mut rest) = (1, a, n);
    while rest > 0 {
        if rest & 1 == 1 {
            result = times(result, square);
        }
        square = times(square, square);
        rest >>= 1;
    }
    result
}

/// A state as a number in (0, 1). Exact.
#[inline(always)]
pub const fn uniform(state: u64) -> f64 {
    // The state as the fraction of a number in 2^52..2^53, less 2^52: exact, and vectorises where no
    // instruction converts.
    const BIAS: u64 = 1075 << 52;
    (f64::from_bits(BIAS | state) - (1u64 << 52) as f64) * SCALE
}

/// One sequence.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    multiplier: u64,
}

impl Random {
    /// The sequence of [`MULTIPLIER`] that begins after `seed`.
    pub const fn new(seed: u64) -> Random {
        Random::with_multiplier(seed, MULTIPLIER)
    }

    /// Another multiplier's.
    pub const fn with_multiplier(seed: u64, multiplier: u64) -> Random {
        Random { state: seed & MASK, multiplier }
    }

    /// The same sequence, `n` numbers later.
    #[must_use]
    pub const fn after(&self, n: u64) -> Random {
        Random { state: times(self.state, power(self.multiplier, n)), multiplier: self.multiplier }
    }

    /// The last state given.
    pub const fn state(&self) -> u64 {
        self.state
    }

    /// The next number, in (0, 1).
    #[inline(always)]
    pub const fn next(&mut self) -> f64 {
        self.state = times(self.state, self.multiplier);
        uniform(self.state)
    }

    /// As many numbers as there is room for; the same as from [`Self::next`], in lanes that advance
    /// independently.
    #[inline(always)]
    pub fn fill(&mut self, out: &mut [f64]) {
        let mut lanes = [0; LANES];
        let mut ahead = self.clone();
        for lane in &mut lanes {
            ahead.next();
            *lane = ahead.state;
        }
        let stride = power(self.multiplier, LANES as u64);
        let whole = out.len() / LANES;
        let (head, tail) = out.split_at_mut(whole * LANES);
        for chunk in head.chunks_exact_mut(LANES) {
            for (out, lane) in chunk.iter_mut().zip(&mut lanes) {
                *out = uniform(*lane);
                *lane = times(*lane, stride);
            }
        }
        *self = self.after((whole * LANES) as u64);
        for out in tail {
            *out = self.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_as_many_steps() {
        let mut walked = Random::new(SEED);
        for n in 0..100u64 {
            assert_eq!(walked.state(), Random::new(SEED).after(n).state(), "{n}");
            walked.next();
        }
    }

    #[test]
    fn multiplication_is_that_of_wide_integers() {
        let mut random = Random::new(SEED);
        for _ in 0..1000 {
            let wide = u128::from(random.state()) * u128::from(MULTIPLIER) % (1 << 46);
            random.next();
            assert_eq!(u128::from(random.state()), wide);
        }
    }

    #[test]
    fn filling_gives_what_steps_give() {
        for len in [0, 1, 7, 8, 9, 16, 100] {
            let (mut filling, mut stepping) = (Random::new(SEED), Random::new(SEED));
            let mut filled = vec![0.0; len];
            filling.fill(&mut filled);
            assert!(filled.iter().all(|number| *number == stepping.next()), "{len}");
            assert_eq!(filling.state(), stepping.state(), "{len}");
        }
    }

    #[test]
    fn numbers_lie_between_0_and_1() {
        let mut random = Random::new(SEED);
        assert!((0..10_000).map(|_| random.next()).all(|number| 0.0 < number && number < 1.0));
    }
}
