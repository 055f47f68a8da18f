//! How large CG's problems are.

use crate::npb::class::Class;

/// Steps of the conjugate gradient method in each outer step.
pub const STEPS: usize = 25;
/// A class's numbers.
pub struct Size {
    /// Rows and columns of the matrix.
    pub rows: usize,
    /// Non-zeros of each random vector that the matrix is made from.
    pub nonzer: usize,
    /// Outer steps.
    pub iterations: usize,
    /// What is subtracted from the diagonal, and added to the result.
    pub shift: f64,
}

impl Size {
    /// Returns a class's.
    pub fn of(class: Class) -> Size {
        let (rows, nonzer, iterations, shift) = match class {
            Class::S => (1400, 7, 15, 10.0),
            Class::W => (7000, 8, 15, 12.0),
            Class::A => (14_000, 11, 15, 20.0),
            Class::B => (75_000, 13, 75, 60.0),
            Class::C => (150_000, 15, 75, 110.0),
            Class::D => (1_500_000, 21, 100, 500.0),
        };
        Size { rows, nonzer, iterations, shift }
    }

    /// Operations of the timed part, as the reference counts them.
    pub fn operations(&self) -> f64 {
        let nonzeros = (self.nonzer * (self.nonzer + 1)) as f64;
        let step = 5.0 + nonzeros;
        2.0 * (self.iterations * self.rows) as f64 * (3.0 + nonzeros + STEPS as f64 * step + 3.0)
    }
}
