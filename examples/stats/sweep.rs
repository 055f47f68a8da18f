//! How the passes reach the data: the program asks for passes through two traits, which hide whether one
//! thread or a team runs them.
//!
//! Bits do not depend on who runs a pass: chunks have a fixed size, sums of chunks are combined in a tree
//! that depends on their number only, and everything else is whole numbers.

use phalanx_kernels::profile::{
    CELLS, Cell, Extremes, Intervals, Keyed, Plan, Small, Summary, TABLE, gather_slice, refine_slice,
    summarise_slice, tally_slice,
};

/// What can go wrong in a pass.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Bytes of a chunk: large against the table of bins that is cleared for each, small against the data.
pub const CHUNK_BYTES: usize = 4 << 20;

/// Passes over 32 and 64 bit elements.
pub trait Sweep<T: Keyed> {
    /// All elements.
    fn data(&self) -> &[T];
    /// Summary and table of bins of all elements (see `profile::summarise`).
    fn summarise(&mut self, plan: &Plan) -> Result<(Summary, Vec<u64>)>;
    /// Cells of the wanted intervals (see `profile::refine`).
    fn refine(&mut self, wanted: &Intervals) -> Result<Vec<Cell>>;
    /// Keys of the `expected` values within the wanted intervals, in any order (see `profile::gather`).
    fn gather(&mut self, wanted: &Intervals, expected: usize) -> Result<Vec<u64>>;
}

/// The pass over 8 and 16 bit elements.
pub trait Tally<T: Small> {
    /// Counts of all codes and the extremes (see `profile::tally`).
    fn tally(&mut self) -> Result<(Vec<u64>, Extremes)>;
}

/// Called after each chunk with the number of bytes read.
pub type Progress<'a> = &'a dyn Fn(u64);

/// All passes in the calling thread.
pub struct Serial<'a, T> {
    data: &'a [T],
    progress: Progress<'a>,
}

impl<'a, T> Serial<'a, T> {
    /// Sweeps `data`.
    pub fn new(data: &'a [T], progress: Progress<'a>) -> Self {
        Self { data, progress }
    }

    /// Calls `each` with position and elements of each chunk in turn.
    fn chunks(&self, mut each: impl FnMut(u64, &[T])) {
        let len = CHUNK_BYTES / size_of::<T>();
        for (index, chunk) in self.data.chunks(len).enumerate() {
            each((index * len) as u64, chunk);
            (self.progress)(size_of_val(chunk) as u64);
        }
    }
}

impl<T: Keyed> Sweep<T> for Serial<'_, T> {
    fn data(&self) -> &[T] {
        self.data
    }

    fn summarise(&mut self, plan: &Plan) -> Result<(Summary, Vec<u64>)> {
        let mut table = vec![0; TABLE];
        let mut tree = Tree::new(Summary::combine::<T>);
        self.chunks(|first, chunk| tree.push(summarise_slice(chunk, first, plan, &mut table)));
        Ok((tree.finish().unwrap_or(Summary::EMPTY), table))
    }

    fn refine(&mut self, wanted: &Intervals) -> Result<Vec<Cell>> {
        let mut cells = vec![Cell::EMPTY; CELLS * wanted.len as usize];
        self.chunks(|_, chunk| refine_slice(chunk, wanted, &mut cells));
        Ok(cells)
    }

    fn gather(&mut self, wanted: &Intervals, expected: usize) -> Result<Vec<u64>> {
        let mut keys = Vec::with_capacity(expected);
        self.chunks(|_, chunk| gather_slice(chunk, wanted, &mut keys));
        Ok(keys)
    }
}

impl<T: Small> Tally<T> for Serial<'_, T> {
    fn tally(&mut self) -> Result<(Vec<u64>, Extremes)> {
        let (mut table, mut extremes) = (vec![0; T::CODES], Extremes::EMPTY);
        self.chunks(|first, chunk| {
            extremes = Extremes::combine(extremes, tally_slice(chunk, first, &mut table))
        });
        Ok((table, extremes))
    }
}

/// Combines a sequence pairwise, neighbours first, while it arrives: the shape depends on its length only.
struct Tree<A, F> {
    combine: F,
    partial: Vec<(u32, A)>,
}

impl<A, F: Fn(A, A) -> A> Tree<A, F> {
    fn new(combine: F) -> Self {
        Self { combine, partial: Vec::new() }
    }

    fn push(&mut self, leaf: A) {
        let (mut height, mut value) = (0, leaf);
        while let Some((_, left)) = self.partial.pop_if(|(h, _)| *h == height) {
            (height, value) = (height + 1, (self.combine)(left, value));
        }
        self.partial.push((height, value));
    }

    fn finish(mut self) -> Option<A> {
        let (_, mut value) = self.partial.pop()?;
        while let Some((_, left)) = self.partial.pop() {
            value = (self.combine)(left, value);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_pairs_neighbours() {
        let shape = |n: u32| {
            let mut tree = Tree::new(|a: String, b: String| format!("({a}{b})"));
            (0..n).for_each(|i| tree.push(i.to_string()));
            tree.finish()
        };
        assert_eq!(shape(0), None);
        assert_eq!(shape(1).as_deref(), Some("0"));
        assert_eq!(shape(6).as_deref(), Some("(((01)(23))(45))"));
    }
}
