//! Discrete Fourier transforms of lines: contiguous ones, and columns of a plane side by side.
//!
//! Columns are gathered a block at a time into a buffer in which each row holds the real parts of its `LANES` columns
//! and then their imaginary parts, transformed all at once, and written back. So every operation is on whole vectors, none
//! moves numbers within one.
//!
//! ```text
//! Stockham, decimation in frequency, radix 4, for n = 4 m points and stride s:
//!     for p in 0..m, q in 0..s:
//!         a, b, c, d = x[q + s (p + k m)], k = 0..4
//!         y[q + s (4 p + 0)] =           (a + c) +   (b + d)
//!         y[q + s (4 p + 1)] = w^p     ((a - c) - i (b - d))
//!         y[q + s (4 p + 2)] = w^(2 p) ((a + c) -   (b + d))
//!         y[q + s (4 p + 3)] = w^(3 p) ((a - c) + i (b - d))      w = exp(-2 pi i / n)
//!     x, y = y, x; n = m; s = 4 s
//! ```
//! The last step is of radix 2 where the length is an odd power of 2; the inverse has the conjugate w and i.

use crate::npb::simd::multiversion;
use num_complex::Complex64;
use rustfft::{Fft, FftDirection, FftPlanner};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Columns side by side: a vector of 512 bits of each part, two cache lines of complex numbers.
pub const LANES: usize = 8;

/// One row of a block of columns.
type Row = [[f64; LANES]; 2];

/// Transforms of one length and direction, with the buffers of one thread.
pub struct Lines {
    len: usize,
    inverse: bool,
    /// exp(-+ 2 pi i k / len).
    roots: Vec<[f64; 2]>,
    block: [Vec<Row>; 2],
    contiguous: Arc<dyn Fft<f64>>,
    scratch: Vec<Complex64>,
}

impl Lines {
    /// For lines of `len` points, a power of two.
    pub fn new(len: usize, direction: FftDirection) -> Lines {
        let inverse = direction == FftDirection::Inverse;
        let sign = if inverse { 1.0 } else { -1.0 };
        let root = |k: usize| {
            let (sin, cos) = (sign * TAU * k as f64 / len as f64).sin_cos();
            [cos, sin]
        };
        let contiguous = FftPlanner::new().plan_fft(len, direction);
        let block = || vec![[[0.0; LANES]; 2]; len];
        Lines {
            len,
            inverse,
            roots: (0..len).map(root).collect(),
            block: [block(), block()],
            scratch: vec![Complex64::default(); contiguous.get_inplace_scratch_len()],
            contiguous,
        }
    }

    /// Transforms each of the contiguous lines of `data` in place.
    pub fn contiguous(&mut self, data: &mut [Complex64]) {
        self.contiguous.process_with_scratch(data, &mut self.scratch);
    }

    /// Takes the columns at `from` and following of `data`, whose rows are `stride` apart.
    #[inline(always)]
    pub fn gather(&mut self, data: &[Complex64], from: usize, stride: usize) {
        for (index, row) in self.block[0].iter_mut().enumerate() {
            *row = split(&data[from + index * stride..][..LANES]);
        }
    }

    /// As [`Self::gather`], each number times a factor of its row and one of its column.
    #[inline(always)]
    pub fn gather_scaled(
        &mut self,
        data: &[Complex64],
        from: usize,
        stride: usize,
        [rows, columns]: [&[f64]; 2],
    ) {
        let columns = &columns[from..][..LANES];
        for (index, (row, factor)) in self.block[0].iter_mut().zip(rows).enumerate() {
            *row = split(&data[from + index * stride..][..LANES]);
            for part in row.iter_mut() {
                part.iter_mut().zip(columns).for_each(|(value, column)| *value *= factor * column);
            }
        }
    }

    /// Transforms the columns that were taken.
    #[inline(always)]
    pub fn transform(&mut self) {
        let [x, y] = &mut self.block;
        let (mut len, mut stride) = (self.len, 1);
        while len > 1 {
            if len >= 4 {
                radix_4(x, y, [len, stride], &self.roots, self.inverse);
                (len, stride) = (len / 4, stride * 4);
            } else {
                radix_2(x, y);
                (len, stride) = (len / 2, stride * 2);
            }
            std::mem::swap(x, y);
        }
    }

    /// Writes the columns to where they were taken from, or to another place.
    #[inline(always)]
    pub fn scatter(&self, data: &mut [Complex64], from: usize, stride: usize) {
        for (index, [re, im]) in self.block[0].iter().enumerate() {
            let out = &mut data[from + index * stride..][..LANES];
            for ((out, re), im) in out.iter_mut().zip(re).zip(im) {
                *out = Complex64::new(*re, *im);
            }
        }
    }
}

#[inline(always)]
fn split(numbers: &[Complex64]) -> Row {
    let mut row = [[0.0; LANES]; 2];
    for (lane, number) in numbers.iter().enumerate() {
        row[0][lane] = number.re;
        row[1][lane] = number.im;
    }
    row
}

#[inline(always)]
fn plus(a: &Row, b: &Row) -> Row {
    std::array::from_fn(|part| std::array::from_fn(|lane| a[part][lane] + b[part][lane]))
}

#[inline(always)]
fn minus(a: &Row, b: &Row) -> Row {
    std::array::from_fn(|part| std::array::from_fn(|lane| a[part][lane] - b[part][lane]))
}

#[inline(always)]
fn times(a: &Row, [re, im]: [f64; 2]) -> Row {
    [
        std::array::from_fn(|lane| a[0][lane] * re - a[1][lane] * im),
        std::array::from_fn(|lane| a[0][lane] * im + a[1][lane] * re),
    ]
}

/// i a.
#[inline(always)]
fn turned(a: &Row) -> Row {
    [std::array::from_fn(|lane| -a[1][lane]), a[0]]
}

#[inline(always)]
fn radix_4(x: &[Row], y: &mut [Row], [len, stride]: [usize; 2], roots: &[[f64; 2]], inverse: bool) {
    let quarter = len / 4;
    let leap = stride * quarter;
    let (a, rest) = x.split_at(leap);
    let (b, rest) = rest.split_at(leap);
    let (c, d) = rest.split_at(leap);
    for p in 0..quarter {
        let [w1, w2, w3] = [1, 2, 3].map(|k| roots[k * p * stride]);
        let [a, b, c, d] = [a, b, c, d].map(|part| &part[p * stride..][..stride]);
        let out = &mut y[4 * p * stride..][..4 * stride];
        for q in 0..stride {
            let (sum, difference) = (plus(&a[q], &c[q]), minus(&a[q], &c[q]));
            let other = plus(&b[q], &d[q]);
            let across = if inverse { turned(&minus(&d[q], &b[q])) } else { turned(&minus(&b[q], &d[q])) };
            out[q] = plus(&sum, &other);
            out[stride + q] = times(&minus(&difference, &across), w1);
            out[2 * stride + q] = times(&minus(&sum, &other), w2);
            out[3 * stride + q] = times(&plus(&difference, &across), w3);
        }
    }
}

#[inline(always)]
fn radix_2(x: &[Row], y: &mut [Row]) {
    let half = x.len() / 2;
    let (a, b) = x.split_at(half);
    let (low, high) = y.split_at_mut(half);
    for q in 0..half {
        low[q] = plus(&a[q], &b[q]);
        high[q] = minus(&a[q], &b[q]);
    }
}

multiversion! {
    /// Transforms all columns of a plane of `width` columns, in place.
    pub fn columns(lines: &mut Lines, data: &mut [Complex64], width: usize) {
        for from in (0..width).step_by(LANES) {
            lines.gather(data, from, width);
            lines.transform();
            lines.scatter(data, from, width);
        }
    }

    /// Transforms columns of `data` whose rows are `stride` apart and begin at `start`, into a plane.
    pub fn columns_into(lines: &mut Lines, data: &[Complex64], start: usize, stride: usize, out: &mut [Complex64], width: usize) {
        for from in (0..width).step_by(LANES) {
            lines.gather(data, start + from, stride);
            lines.transform();
            lines.scatter(out, from, width);
        }
    }

    /// Transforms all columns of a plane times the factors of its rows and of its columns, into another.
    pub fn scaled_columns_into(lines: &mut Lines, data: &[Complex64], factors: [&[f64]; 2], out: &mut [Complex64], width: usize) {
        for from in (0..width).step_by(LANES) {
            lines.gather_scaled(data, from, width, factors);
            lines.transform();
            lines.scatter(out, from, width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<Complex64> {
        (0..len).map(|i| Complex64::new((i as f64 * 0.37).sin(), (i as f64 * 1.7).cos())).collect()
    }

    /// By the definition.
    fn naive(line: &[Complex64], sign: f64) -> Vec<Complex64> {
        let len = line.len();
        let term =
            |k: usize, j: usize| Complex64::from_polar(1.0, sign * TAU * ((k * j) % len) as f64 / len as f64);
        (0..len).map(|k| line.iter().enumerate().map(|(j, value)| value * term(k, j)).sum()).collect()
    }

    #[test]
    fn columns_and_contiguous_lines_are_transforms_by_the_definition() {
        let width = 2 * LANES;
        for len in [1, 2, 4, 8, 16, 32, 64, 128] {
            for (direction, sign) in [(FftDirection::Forward, -1.0), (FftDirection::Inverse, 1.0)] {
                let mut lines = Lines::new(len, direction);
                let before = numbers(len * width);
                let mut plane = before.clone();
                columns(&mut lines, &mut plane, width);
                for column in 0..width {
                    let line: Vec<_> = before.iter().skip(column).step_by(width).copied().collect();
                    let expected = naive(&line, sign);
                    for (row, expected) in expected.iter().enumerate() {
                        let off = (plane[row * width + column] - expected).norm();
                        assert!(off < 1e-12 * len as f64, "{len} {column} {row}: {off:e}");
                    }
                    let mut again = line;
                    lines.contiguous(&mut again);
                    for (got, expected) in again.iter().zip(&expected) {
                        assert!((got - expected).norm() < 1e-12 * len as f64, "{len} {column}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_places_and_factors() {
        let (width, len) = (LANES, 16);
        let mut lines = Lines::new(len, FftDirection::Forward);
        let data = numbers(3 * width * len);
        // Every third row, from the second on.
        let mut out = vec![Complex64::default(); width * len];
        columns_into(&mut lines, &data, width, 3 * width, &mut out, width);
        let mut expected: Vec<_> = data.chunks(width).skip(1).step_by(3).flatten().copied().collect();
        columns(&mut lines, &mut expected, width);
        assert_eq!(out, expected);

        let (rows, factors): (Vec<f64>, Vec<f64>) = ((0..len).map(|i| i as f64).collect(), vec![0.5; width]);
        let plane = &data[..width * len];
        scaled_columns_into(&mut lines, plane, [&rows, &factors], &mut out, width);
        let mut expected = plane.to_vec();
        expected.iter_mut().enumerate().for_each(|(at, value)| *value *= rows[at / width] * 0.5);
        columns(&mut lines, &mut expected, width);
        assert_eq!(out, expected);
    }
}
