//! Sweeps from corner to corner of the grid: blocks of neighbouring slabs go through the planes one behind
//! the other.

use super::grid::Grid;
use std::ops::Range;

/// Which way a sweep goes, along all three directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the first point to the last.
    Forth,
    /// From the last to the first.
    Back,
}

/// Neighbouring slabs of one thread or rank, and what it keeps of them from one sweep to the next.
pub struct Block {
    /// Which slabs.
    pub slabs: Range<usize>,
    /// Room; it grows when it is first needed.
    pub kept: Vec<f64>,
    /// Room for what planes hand to the next ones.
    pub carried: Vec<f64>,
    /// Room for one bundle.
    pub room: Vec<f64>,
}

impl Block {
    /// Of these slabs.
    pub fn new(slabs: Range<usize>) -> Block {
        Block { slabs, kept: Vec::new(), carried: Vec::new(), room: Vec::new() }
    }

    /// Those inside the border.
    pub fn inner(&self, grid: Grid) -> Range<usize> {
        self.slabs.start.max(1)..self.slabs.end.min(grid.side - 1)
    }
}

/// What a block's step through one plane reads and writes.
pub struct Step<'a> {
    /// Quantities, of the block's slabs.
    pub u: &'a mut [f64],
    /// The right-hand side.
    pub rhs: &'a [f64],
    /// A row of each slab: what the slab before has handed over.
    pub handed: &'a [f64],
    /// A row of each of the block's slabs: what it hands over.
    pub hands: &'a mut [f64],
}

/// The plane that the `position`th block of a sweep is at in the sweep's `step`th step, if it is at one.
pub fn plane_of(grid: Grid, way: Way, step: usize, position: usize) -> Option<usize> {
    let inner = grid.side - 2;
    let index = step.checked_sub(position).filter(|index| *index < inner)?;
    Some(match way {
        Way::Forth => 1 + index,
        Way::Back => inner - index,
    })
}

/// Steps until the last of `blocks` is through.
pub fn steps_of(grid: Grid, blocks: usize) -> usize {
    grid.side - 2 + blocks - 1
}

/// How many blocks a sweep passes before it comes to the `index`th.
pub fn position_of(way: Way, index: usize, blocks: usize) -> usize {
    match way {
        Way::Forth => index,
        Way::Back => blocks - 1 - index,
    }
}
