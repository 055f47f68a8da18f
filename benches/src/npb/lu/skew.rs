//! Rows side by side, each one point behind the last, so that what a point waits for has been solved one step
//! before: in its own line, and in the line beside it.

use crate::npb::flow::grid::Grid;

/// Neighbouring rows of a bundle of `lanes` lines. Line `l` is at point `step - l` in a step.
#[derive(Clone, Copy)]
pub struct Skew {
    /// Numbers of a vector.
    pub lanes: usize,
    /// Rows that there are; the bundle's other lines repeat the last.
    pub count: usize,
    /// Where the first row is.
    pub start: usize,
    /// Elements from a row to the next.
    pub stride: usize,
    /// The grid.
    pub grid: Grid,
}

/// Steps from the first row's first point inside the border to the last row's last one.
pub fn steps(grid: Grid, lanes: usize) -> usize {
    grid.side - 3 + lanes
}

impl Skew {
    /// Copies rows into vectors, five of each step from step 1 on. Beyond the border a row continues as
    /// there.
    #[inline(always)]
    pub fn gather(self, from: &[f64], to: &mut [f64]) {
        let Skew { lanes, grid, .. } = self;
        let last = grid.side - 1;
        for lane in 0..lanes {
            let row = &from[self.start + lane.min(self.count - 1) * self.stride..][..grid.row()];
            for m in 0..5 {
                let row = &row[m * grid.pitch()..][..=last];
                let mut to = to[m * lanes + lane..].iter_mut().step_by(5 * lanes);
                // Step 1 is at the row's point 1 - lane.
                for to in to.by_ref().take(lane) {
                    *to = row[0];
                }
                for (value, to) in row[1..last].iter().zip(to.by_ref()) {
                    *to = *value;
                }
                for to in to.take(lanes - 1 - lane) {
                    *to = row[last];
                }
            }
        }
    }

    /// Adds vectors to the points of rows inside the border.
    #[inline(always)]
    pub fn add(self, from: &[f64], factor: f64, to: &mut [f64]) {
        let Skew { lanes, grid, .. } = self;
        for lane in 0..self.count.min(lanes) {
            let row = &mut to[self.start + lane * self.stride..][..grid.row()];
            for m in 0..5 {
                let row = &mut row[m * grid.pitch()..][1..grid.side - 1];
                let from = from[(lane * 5 + m) * lanes + lane..].iter().step_by(5 * lanes);
                for (value, to) in from.zip(row) {
                    *to += factor * value;
                }
            }
        }
    }

    /// Copies one line's points inside the border into a row.
    #[inline(always)]
    pub fn line(self, lane: usize, from: &[f64], row: &mut [f64]) {
        for m in 0..5 {
            let row = &mut row[m * self.grid.pitch()..][1..self.grid.side - 1];
            let from = from[(lane * 5 + m) * self.lanes + lane..].iter().step_by(5 * self.lanes);
            for (value, to) in from.zip(row) {
                *to = *value;
            }
        }
    }
}
