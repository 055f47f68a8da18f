//! Lyapunov exponents of the logistic map whose parameter is forced by a pattern of two values a and b (M.
//! Markus, Computers in Physics 4, 1990): where they are negative the sequence settles down, where they are
//! positive it is chaotic.

use serde::{Deserialize, Serialize};

/// Which of the two parameters comes next, again and again.
const PATTERN: &[u8; 12] = b"bbbbbbaaaaaa";
/// The part of the plane in the picture: (a, b) from here
const FROM: [f64; 2] = [2.5, 3.4];
/// to here.
const TO: [f64; 2] = [3.4, 4.0];
/// Steps before the first that counts.
const WARM_UP: usize = 600;

/// One row of the picture.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Row {
    pub number: usize,
    pub pixels: usize,
    pub steps: usize,
}

/// The exponents of a row, from left to right. Takes as long as it has pixels times steps.
pub fn exponents(row: Row) -> Vec<f64> {
    let part = |at: usize| at as f64 / (row.pixels - 1).max(1) as f64;
    let between = |axis: usize, part: f64| FROM[axis] + (TO[axis] - FROM[axis]) * part;
    let b = between(1, 1.0 - part(row.number));
    (0..row.pixels).map(|column| exponent(between(0, part(column)), b, row.steps)).collect()
}

/// The mean of ln |r (1 - 2 x)| along the sequence x -> r x (1 - x).
pub fn exponent(a: f64, b: f64, steps: usize) -> f64 {
    let pattern = PATTERN.map(|letter| if letter == b'a' { a } else { b });
    let mut x = 0.5;
    let mut step = |r: f64| {
        x *= r * (1.0 - x);
        (r * (1.0 - 2.0 * x)).abs()
    };
    for at in 0..WARM_UP {
        step(pattern[at % pattern.len()]);
    }
    let rounds = steps.div_ceil(pattern.len());
    let mut sum = 0.0;
    for _ in 0..rounds {
        // One logarithm a round: twelve factors of at most 4 are far from the end of the numbers.
        sum += pattern.map(&mut step).iter().product::<f64>().max(f64::MIN_POSITIVE).ln();
    }
    sum / (rounds * pattern.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::{Row, exponent, exponents};

    #[test]
    fn exponents_of_the_plain_logistic_map_are_those_of_the_books() {
        // A fixed point with slope 2 - r, for r from 1 to 3; fully chaotic at 4.
        for r in [1.5, 2.3, 2.9f64] {
            let exact = f64::ln((2.0 - r).abs());
            assert!((exponent(r, r, 24_000) - exact).abs() < 1e-6, "{r}");
        }
        assert!((exponent(3.999_999_9, 3.999_999_9, 1_200_000) - f64::ln(2.0)).abs() < 0.01);
        let row = exponents(Row { number: 0, pixels: 5, steps: 120 });
        assert!(row.len() == 5 && row.iter().all(|exponent| exponent.is_finite()));
    }
}
