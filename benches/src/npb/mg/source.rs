//! The right-hand side: zeros but for +1 at ten points and -1 at ten others.

use crate::npb::random::{Random, SEED};

/// Charges of each sign.
const CHARGES: usize = 10;

/// Where the charges of a cube of `side` points per direction are: indices of the points that have the
/// largest of as many random numbers, and of those that have the smallest.
pub struct Charges {
    positive: Vec<usize>,
    negative: Vec<usize>,
}

impl Charges {
    /// Finds them.
    pub fn of(side: usize) -> Charges {
        let mut random = Random::new(SEED);
        let (mut largest, mut smallest) = (Extremes::default(), Extremes::default());
        let mut plane = vec![0.0; side * side];
        for index in 0..side {
            random.fill(&mut plane);
            for (at, value) in plane.iter().enumerate() {
                largest.offer(*value, index * side * side + at);
                smallest.offer(-*value, index * side * side + at);
            }
        }
        Charges { positive: largest.places(), negative: smallest.places() }
    }

    /// Writes them to a grid of zeros.
    pub fn place(&self, grid: &mut [f64]) {
        self.positive.iter().for_each(|at| grid[*at] = 1.0);
        self.negative.iter().for_each(|at| grid[*at] = -1.0);
    }
}

/// The largest values offered, ascending, with their places.
#[derive(Default)]
struct Extremes(Vec<(f64, usize)>);

impl Extremes {
    #[inline(always)]
    fn offer(&mut self, value: f64, place: usize) {
        if self.0.len() < CHARGES || value > self.0[0].0 {
            self.insert(value, place);
        }
    }

    #[cold]
    fn insert(&mut self, value: f64, place: usize) {
        let at = self.0.partition_point(|(known, _)| *known < value);
        self.0.insert(at, (value, place));
        if self.0.len() > CHARGES {
            self.0.remove(0);
        }
    }

    fn places(&self) -> Vec<usize> {
        self.0.iter().map(|(_, place)| *place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_charges_that_cancel() {
        let mut grid = vec![0.0; 32 * 32 * 32];
        Charges::of(32).place(&mut grid);
        assert_eq!(grid.iter().filter(|value| **value == 1.0).count(), CHARGES);
        assert_eq!(grid.iter().filter(|value| **value == -1.0).count(), CHARGES);
        assert_eq!(grid.iter().sum::<f64>(), 0.0);
    }

    #[test]
    fn they_lie_at_the_extremes_of_all_numbers() {
        let mut all = vec![0.0; 16 * 16 * 16];
        Random::new(SEED).fill(&mut all);
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|a, b| all[*a].total_cmp(&all[*b]));
        let charges = Charges::of(16);
        assert_eq!(charges.positive, order[order.len() - CHARGES..]);
        let mut negative = charges.negative;
        negative.reverse();
        assert_eq!(negative, order[..CHARGES]);
    }
}
