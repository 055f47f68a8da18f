//! CG's matrix: a weighted sum of outer products of random sparse vectors, and a shifted diagonal.
//!
//! After section 2.5 of the NPB specification: vector i has `nonzer` random places and 1/2 at place i; its
//! weight falls geometrically from 1 to `rcond`; (rcond - shift) is added to the diagonal. Where vectors
//! meet, terms are added in the order of the vectors, as in the reference.
//!
//! Columns are kept as offsets in column blocks of 2^16, two bytes each: a product reads 10 bytes per
//! non-zero instead of 12, and an offset cannot leave its block, so the inner loop needs no check of bounds.

use super::super::random::{Random, SEED};
use super::size::Size;

/// Columns of a block.
pub const WIDTH: usize = 1 << 16;
/// Ratio of the smallest weight to the largest.
const RCOND: f64 = 0.1;

/// Rows of non-zeros; borrowed, since they lie in vectors or in shared memory.
#[derive(Clone, Copy)]
pub struct Sparse<'a> {
    /// Where block b of row j begins: `[j * blocks + b]`; the last is the number of non-zeros.
    pub starts: &'a [u64],
    /// Columns, each counted from its block's first.
    pub columns: &'a [u16],
    /// Values.
    pub values: &'a [f64],
    /// Column blocks.
    pub blocks: usize,
}

impl Sparse<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        (self.starts.len() - 1) / self.blocks
    }

    /// Boundaries of so many parts of neighbouring rows with as good as equally many non-zeros.
    pub fn balanced(&self, parts: usize) -> Vec<usize> {
        let (rows, total) = (self.rows(), self.values.len() as u64);
        let firsts = |row: usize| self.starts[row * self.blocks];
        let mut bounds = vec![0];
        for part in 1..parts {
            let wanted = total * part as u64 / parts as u64;
            let (mut low, mut high) = (bounds[part - 1], rows);
            while low < high {
                let middle = (low + high) / 2;
                if firsts(middle) < wanted { low = middle + 1 } else { high = middle }
            }
            bounds.push(low);
        }
        bounds.push(rows);
        bounds
    }
}

/// The vectors whose outer products make the matrix.
pub struct Outline {
    shift: f64,
    rows: usize,
    /// Where each vector begins in `places` and `elements`.
    vectors: Vec<usize>,
    places: Vec<u32>,
    elements: Vec<f64>,
    weights: Vec<f64>,
    /// Where each row begins in `holders`.
    holders_of: Vec<usize>,
    /// The vectors that have an element in a row, ascending, and that element.
    holders: Vec<(u32, f64)>,
}

impl Outline {
    /// Draws the vectors.
    pub fn new(size: &Size) -> Outline {
        let rows = size.rows;
        let mut random = Random::new(SEED);
        random.next();
        let (mut vectors, mut places, mut elements) = (vec![0], Vec::new(), Vec::new());
        for own in 0..rows {
            draw(&mut random, rows, size.nonzer, own, &mut places, &mut elements);
            vectors.push(places.len());
        }
        let ratio = RCOND.powf(1.0 / rows as f64);
        let weights = std::iter::successors(Some(1.0), |weight| Some(weight * ratio)).take(rows).collect();
        let (holders_of, holders) = transposed(rows, &vectors, &places, &elements);
        Outline { shift: size.shift, rows, vectors, places, elements, weights, holders_of, holders }
    }

    /// Column blocks.
    pub fn blocks(&self) -> usize {
        self.rows.div_ceil(WIDTH)
    }

    /// Counts the non-zeros: [`Sparse::starts`].
    pub fn starts(&self) -> Vec<u64> {
        let mut row = Row::new(self.rows);
        let mut starts = vec![0];
        let mut total = 0;
        let mut counts = vec![0; self.blocks()];
        for index in 0..self.rows {
            self.assemble(index, &mut row);
            counts.fill(0);
            row.columns.iter().for_each(|column| counts[*column as usize / WIDTH] += 1);
            starts.extend(counts.iter().map(|count| {
                total += count;
                total
            }));
        }
        starts
    }

    /// Fills [`Sparse::columns`] and [`Sparse::values`], rows and columns ascending.
    pub fn fill(&self, columns: &mut [u16], values: &mut [f64]) {
        let mut row = Row::new(self.rows);
        let mut places = columns.iter_mut().zip(values);
        for index in 0..self.rows {
            self.assemble(index, &mut row);
            row.columns.sort_unstable();
            for (column, (to_column, to_value)) in row.columns.iter().zip(&mut places) {
                *to_column = (*column as usize % WIDTH) as u16;
                *to_value = row.values[*column as usize];
            }
        }
    }

    /// Sums up one row.
    fn assemble(&self, index: usize, row: &mut Row) {
        row.clear(index);
        for (vector, element) in &self.holders[self.holders_of[index]..self.holders_of[index + 1]] {
            let vector = *vector as usize;
            let scale = self.weights[vector] * element;
            for at in self.vectors[vector]..self.vectors[vector + 1] {
                let column = self.places[at];
                let mut value = self.elements[at] * scale;
                if vector == index && column as usize == index {
                    value = value + RCOND - self.shift;
                }
                row.add(column, value);
            }
        }
    }
}

/// One row being summed up: dense, with a list of what is set.
struct Row {
    values: Vec<f64>,
    /// For which row a place was last set, from 1.
    stamps: Vec<u32>,
    stamp: u32,
    columns: Vec<u32>,
}

impl Row {
    fn new(rows: usize) -> Row {
        Row { values: vec![0.0; rows], stamps: vec![0; rows], stamp: 0, columns: Vec::new() }
    }

    fn clear(&mut self, index: usize) {
        self.stamp = index as u32 + 1;
        self.columns.clear();
    }

    fn add(&mut self, column: u32, value: f64) {
        let at = column as usize;
        if self.stamps[at] != self.stamp {
            self.stamps[at] = self.stamp;
            self.values[at] = 0.0;
            self.columns.push(column);
        }
        self.values[at] += value;
    }
}

/// Draws one vector: `nonzer` different places below `rows`, and 1/2 at `own`.
fn draw(
    random: &mut Random,
    rows: usize,
    nonzer: usize,
    own: usize,
    places: &mut Vec<u32>,
    elements: &mut Vec<f64>,
) {
    let first = places.len();
    let range = rows.next_power_of_two() as f64;
    while places.len() < first + nonzer {
        let element = random.next();
        let place = (range * random.next()) as usize;
        if place < rows && !places[first..].contains(&(place as u32)) {
            places.push(place as u32);
            elements.push(element);
        }
    }
    match places[first..].iter().position(|place| *place as usize == own) {
        Some(at) => elements[first + at] = 0.5,
        None => {
            places.push(own as u32);
            elements.push(0.5);
        }
    }
}

/// By place, the vectors that have it.
fn transposed(
    rows: usize,
    vectors: &[usize],
    places: &[u32],
    elements: &[f64],
) -> (Vec<usize>, Vec<(u32, f64)>) {
    let mut begins = vec![0; rows + 1];
    places.iter().for_each(|place| begins[*place as usize + 1] += 1);
    for row in 0..rows {
        begins[row + 1] += begins[row];
    }
    let mut next = begins.clone();
    let mut holders = vec![(0, 0.0); places.len()];
    for vector in 0..rows {
        for at in vectors[vector]..vectors[vector + 1] {
            let place = &mut next[places[at] as usize];
            holders[*place] = (vector as u32, elements[at]);
            *place += 1;
        }
    }
    (begins, holders)
}
