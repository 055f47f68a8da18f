//! A slab of neighbouring rows with its part of all vectors, and the loops over them.

use super::super::simd::multiversion;
use super::matrix::{Sparse, WIDTH};
use std::ops::Range;

/// Sums kept side by side, so that additions need not wait for each other.
const LANES: usize = 8;

/// One worker's rows of the solver's vectors, but of the direction p, which all must see.
pub struct Slab {
    /// Which rows.
    pub rows: Range<usize>,
    x: Vec<f64>,
    z: Vec<f64>,
    r: Vec<f64>,
    q: Vec<f64>,
}

impl Slab {
    /// With x = 1.
    pub fn new(rows: Range<usize>) -> Slab {
        let zeros = vec![0.0; rows.len()];
        Slab { x: vec![1.0; rows.len()], z: zeros.clone(), r: zeros.clone(), q: zeros, rows }
    }

    /// z = 0, r = x; returns r . r.
    pub fn begin(&mut self) -> f64 {
        self.z.fill(0.0);
        self.r.copy_from_slice(&self.x);
        dot(&self.r, &self.r)
    }

    /// p = r.
    pub fn first_direction(&self, p: &mut [f64]) {
        p.copy_from_slice(&self.r);
    }

    /// q = A p; returns p . q.
    pub fn product(&mut self, matrix: &Sparse<'_>, p: &[f64]) -> f64 {
        rows_times(matrix, self.rows.start, p, &mut self.q);
        dot(&p[self.rows.clone()], &self.q)
    }

    /// r = r - alpha q; returns r . r.
    pub fn reduce_residual(&mut self, alpha: f64) -> f64 {
        subtract_and_square(alpha, &self.q, &mut self.r)
    }

    /// z = z + alpha p, and then p = r + beta p.
    pub fn next_direction(&mut self, alpha: f64, beta: f64, p: &mut [f64]) {
        advance(alpha, beta, &self.r, &mut self.z, p);
    }

    /// p = z.
    pub fn solution(&self, p: &mut [f64]) {
        p.copy_from_slice(&self.z);
    }

    /// q = A p, where p is z; returns |x - q|^2, x . z and z . z.
    pub fn judge(&mut self, matrix: &Sparse<'_>, p: &[f64]) -> [f64; 3] {
        rows_times(matrix, self.rows.start, p, &mut self.q);
        // q becomes q - x.
        let off = subtract_and_square(1.0, &self.x, &mut self.q);
        [off, dot(&self.x, &self.z), dot(&self.z, &self.z)]
    }

    /// x = factor z.
    pub fn normalise(&mut self, factor: f64) {
        self.x.iter_mut().zip(&self.z).for_each(|(x, z)| *x = factor * z);
    }
}

multiversion! {
    /// Multiplies rows from `first` on, as many as `q` has, by `p`, which has whole blocks.
    fn rows_times(matrix: &Sparse<'_>, first: usize, p: &[f64], q: &mut [f64]) {
        let (p, _) = p.as_chunks::<WIDTH>();
        let p = &p[..matrix.blocks];
        for (index, q) in q.iter_mut().enumerate() {
            let starts = &matrix.starts[(first + index) * p.len()..][..=p.len()];
            let mut lanes = [0.0; LANES];
            for (bounds, p) in starts.windows(2).zip(p) {
                let range = bounds[0] as usize..bounds[1] as usize;
                segment(&matrix.values[range.clone()], &matrix.columns[range], p, &mut lanes);
            }
            *q = lanes.iter().sum();
        }
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        let mut lanes = [0.0; LANES];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                lanes[lane] += a[lane] * b[lane];
            }
        }
        let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        lanes.iter().sum::<f64>() + rest
    }

    /// r = r - alpha q; returns r . r.
    fn subtract_and_square(alpha: f64, q: &[f64], r: &mut [f64]) -> f64 {
        for (r, q) in r.iter_mut().zip(q) {
            *r -= alpha * q;
        }
        dot(r, r)
    }

    fn advance(alpha: f64, beta: f64, r: &[f64], z: &mut [f64], p: &mut [f64]) {
        for ((r, z), p) in r.iter().zip(z).zip(p) {
            *z += alpha * *p;
            *p = *r + beta * *p;
        }
    }
}

/// Adds the products of one row's non-zeros in one column block to the lanes.
#[inline(always)]
fn segment(values: &[f64], columns: &[u16], p: &[f64; WIDTH], lanes: &mut [f64; LANES]) {
    let (values, values_rest) = values.as_chunks::<LANES>();
    let (columns, columns_rest) = columns.as_chunks::<LANES>();
    for (values, columns) in values.iter().zip(columns) {
        for lane in 0..LANES {
            lanes[lane] += values[lane] * p[usize::from(columns[lane])];
        }
    }
    for ((value, column), lane) in values_rest.iter().zip(columns_rest).zip(lanes) {
        *lane += value * p[usize::from(*column)];
    }
}
