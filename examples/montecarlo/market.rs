//! The options, their prices by simulation, and those that are known.

use crate::normal::{LANES, exp, normals};
use std::f64::consts::PI;
use std::ops::Range;

pub const OPTIONS: [&str; 4] = ["European", "Asian, geometric", "Asian, arithmetic", "up and out"];

/// A share whose price is a geometric Brownian motion, and the terms of calls on it.
#[derive(Clone, Copy, bytemuck::NoUninit, serde::Serialize, serde::Deserialize)]
#[repr(C)]
pub struct Market {
    pub spot: f64,
    pub strike: f64,
    /// At a price this high on any date, the third call ends without value.
    pub barrier: f64,
    /// Interest and volatility, per year.
    pub rate: f64,
    pub volatility: f64,
    pub years: f64,
    /// Dates, at even distances, at which the price counts.
    pub dates: u64,
    pub seed: u64,
}

/// Sums of the discounted payoffs of all options, and of their squares.
pub type Sums = [[f64; OPTIONS.len()]; 2];

pub fn add(a: Sums, b: Sums) -> Sums {
    [0, 1].map(|power| std::array::from_fn(|option| a[power][option] + b[power][option]))
}

impl Market {
    fn step(&self) -> f64 {
        self.years / self.dates as f64
    }

    fn discount(&self) -> f64 {
        (-self.rate * self.years).exp()
    }

    /// The mean of the logarithm of the price grows by this much in a year.
    fn drift(&self) -> f64 {
        self.rate - 0.5 * self.volatility * self.volatility
    }

    /// The exact price of an option, where it is known: F. Black, M. Scholes, 1973; A. Kemna, A. Vorst, 1990.
    pub fn exact(&self, option: usize) -> Option<f64> {
        let (n, variance) = (self.dates as f64, self.volatility * self.volatility * self.years);
        let (mean, variance) = match option {
            0 => (self.drift() * self.years, variance),
            1 => {
                let mean = self.drift() * self.years * (n + 1.0) / (2.0 * n);
                (mean, variance * (n + 1.0) * (2.0 * n + 1.0) / (6.0 * n * n))
            }
            _ => return None,
        };
        // What pays max(e^X - strike, 0) for a normal X.
        let mean = mean + self.spot.ln();
        let low = (mean - self.strike.ln()) / variance.sqrt();
        let forward = (mean + 0.5 * variance).exp() * below(low + variance.sqrt());
        Some(self.discount() * (forward - self.strike * below(low)))
    }

    /// Runs some paths, each by its own random numbers.
    pub fn simulate(self, paths: Range<usize>) -> Sums {
        let mut sums = [[[0.0; LANES]; OPTIONS.len()]; 2];
        let lanes = &mut sums;
        let blocks = paths.clone().step_by(LANES);
        // The closure consumes `blocks`: one that may be called again would not be inlined, and so not be
        // compiled for the vectors of this CPU.
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for block in blocks {
                    self.block(block as u64, (paths.end - block) as u64, lanes);
                }
            },
        );
        sums.map(|sums| sums.map(|lanes| lanes.iter().sum()))
    }

    /// Runs `LANES` paths, of which the first `count` count.
    #[inline(always)]
    fn block(&self, first: u64, count: u64, sums: &mut [[[f64; LANES]; OPTIONS.len()]; 2]) {
        let (drift, deviation) = (self.drift() * self.step(), self.volatility * self.step().sqrt());
        let mut log = [self.spot.ln(); LANES];
        let [mut price, mut highest, mut total, mut total_log] = [[0.0; LANES]; 4];
        for pair in 0..self.dates.div_ceil(2) {
            let normals = normals(self.seed, first, pair);
            for normals in &normals[..(self.dates - 2 * pair).min(2) as usize] {
                for lane in 0..LANES {
                    log[lane] += drift + deviation * normals[lane];
                    price[lane] = exp(log[lane]);
                    highest[lane] = if price[lane] > highest[lane] { price[lane] } else { highest[lane] };
                    total[lane] += price[lane];
                    total_log[lane] += log[lane];
                }
            }
        }
        let (share, discount) = (1.0 / self.dates as f64, self.discount());
        for lane in 0..LANES {
            let weight = if (lane as u64) < count { discount } else { 0.0 };
            let call = |price: f64| if price > self.strike { weight * (price - self.strike) } else { 0.0 };
            let european = call(price[lane]);
            let payoffs = [
                european,
                call(exp(total_log[lane] * share)),
                call(total[lane] * share),
                if highest[lane] < self.barrier { european } else { 0.0 },
            ];
            for (option, payoff) in payoffs.into_iter().enumerate() {
                sums[0][option][lane] += payoff;
                sums[1][option][lane] += payoff * payoff;
            }
        }
    }
}

/// The distribution function of the standard normal distribution, by its series (G. Marsaglia, 2004).
fn below(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (x, 0.0, 1.0);
    while sum + term != sum {
        sum += term;
        k += 2.0;
        term *= x * x / k;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKET: Market = Market {
        spot: 42.0,
        strike: 40.0,
        barrier: 50.0,
        rate: 0.1,
        volatility: 0.2,
        years: 0.5,
        dates: 1,
        seed: 3,
    };

    #[test]
    fn the_exact_price_is_the_textbooks() {
        // J. C. Hull, Options, futures and other derivatives: 4.76.
        let price = MARKET.exact(0).unwrap();
        assert!((price - 4.7594).abs() < 1e-4, "{price}");
        // With one date, its mean is the price on it.
        assert!((MARKET.exact(1).unwrap() - price).abs() < 1e-12);
        assert_eq!(MARKET.exact(2), None);
    }

    #[test]
    fn paths_count_once_however_they_are_cut() {
        let whole = Market { dates: 3, ..MARKET }.simulate(5..1000);
        let parts =
            [5..6, 6..70, 70..70, 70..1000].map(|paths| Market { dates: 3, ..MARKET }.simulate(paths));
        let parts = parts.into_iter().reduce(add).unwrap();
        for (whole, parts) in whole.as_flattened().iter().zip(parts.as_flattened()) {
            assert!((whole / parts - 1.0).abs() < 1e-12, "{whole} {parts}");
        }
    }
}
