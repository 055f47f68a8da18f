//! How a cube of points lies in memory.

use super::equations::{Axis, Terms};

/// Rows of memory are whole vectors of the widest CPU.
pub const WIDTH: usize = 8;

/// A cube of points. A row holds five quantities, each of all points along x and of a few more that fill the
/// last vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Points along each direction.
    pub side: usize,
}

impl Grid {
    /// Elements from one quantity of a row to the next.
    pub fn pitch(self) -> usize {
        self.side.next_multiple_of(WIDTH)
    }

    /// Elements of a row.
    pub fn row(self) -> usize {
        5 * self.pitch()
    }

    /// Elements of a slab or plane: one row more than it has, so that the rows of a column do not all lie in
    /// the same few lines of the cache.
    pub fn sheet(self) -> usize {
        (self.side + 1) * self.row()
    }

    /// Elements of an array.
    pub fn elements(self) -> usize {
        self.side * self.sheet()
    }

    /// Where a row is: in sheet `outer`, the `inner`th.
    pub fn at(self, outer: usize, inner: usize) -> usize {
        outer * self.sheet() + inner * self.row()
    }

    /// The place of a point in the unit cube.
    pub fn place(self, index: [usize; 3]) -> [f64; 3] {
        index.map(|index| index as f64 / (self.side - 1) as f64)
    }

    /// Points inside the border, of all three directions.
    pub fn interior(self) -> f64 {
        ((self.side - 2) as f64).powi(3)
    }

    /// A direction's coefficients.
    pub fn terms(self, axis: Axis) -> Terms {
        Terms::new(axis, self.side)
    }
}
