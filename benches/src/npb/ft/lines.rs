//! Discrete Fourier transforms of lines: contiguous ones, and columns of a plane side by side.
//!
//! Columns are gathered a block at a time into a buffer in which each row holds the real parts of its `LANES`
//! columns and then their imaginary parts, transformed all at once, and written back. So every operation is
//! on whole vectors, none moves numbers within one.
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

/// Transforms of one length and direction, with the buffers of one thread.
pub struct Lines {
    len: usize,
    /// Of i: -1 forward.
    sign: f64,
    /// exp(-+ 2 pi i k / len).
    roots: Vec<[f64; 2]>,
    /// [`LANES`], as a number that the compiler does not know: it makes better vectors of loops that it
    /// cannot unroll.
    lanes: usize,
    block: [[Part; 2]; 2],
    contiguous: Arc<dyn Fft<f64>>,
    scratch: Vec<Complex64>,
}

impl Lines {
    /// For lines of `len` points, a power of two.
    pub fn new(len: usize, direction: FftDirection) -> Lines {
        let sign = if direction == FftDirection::Inverse { 1.0 } else { -1.0 };
        let root = |k: usize| {
            let (sin, cos) = (sign * TAU * k as f64 / len as f64).sin_cos();
            [cos, sin]
        };
        let contiguous = FftPlanner::new().plan_fft(len, direction);
        let block = || [vec![Vector::ZERO; len], vec![Vector::ZERO; len]];
        Lines {
            len,
            sign,
            roots: (0..len).map(root).collect(),
            lanes: std::hint::black_box(LANES),
            block: [block(), block()],
            scratch: vec![Complex64::default(); contiguous.get_inplace_scratch_len()],
            contiguous,
        }
    }

    /// Transforms each of the contiguous lines of `data` in place.
    pub fn contiguous(&mut self, data: &mut [Complex64]) {
        self.contiguous.process_with_scratch(data, &mut self.scratch);
    }

    /// Takes the columns at `from` and following of `data`, whose rows begin `width` apart.
    #[inline(always)]
    fn gather(&mut self, data: &[Complex64], from: usize, width: usize) {
        let ([re, im], lanes) = (&mut self.block[0], self.lanes);
        for (index, (re, im)) in re.iter_mut().zip(im).enumerate() {
            part(&mut re.0[..lanes], &mut im.0[..lanes], &data[from + index * width..][..lanes]);
        }
    }

    /// Transforms the columns that were taken.
    #[inline(always)]
    fn transform(&mut self) {
        let [x, y] = &mut self.block;
        let (mut len, mut stride) = (self.len, 1);
        while len > 1 {
            if len >= 4 {
                radix_4(x, y, [len, stride], &self.roots, self.sign);
                (len, stride) = (len / 4, stride * 4);
            } else {
                radix_2(x, y);
                (len, stride) = (len / 2, stride * 2);
            }
            std::mem::swap(x, y);
        }
    }

    /// Writes the columns to where they were taken from.
    #[inline(always)]
    fn scatter(&self, data: &mut [Complex64], from: usize, width: usize) {
        let ([re, im], lanes) = (&self.block[0], self.lanes);
        for (index, (re, im)) in re.iter().zip(im).enumerate() {
            join(&mut data[from + index * width..][..lanes], &re.0[..lanes], &im.0[..lanes]);
        }
    }
}

/// Takes numbers apart.
#[inline(always)]
fn part(re: &mut [f64], im: &mut [f64], numbers: &[Complex64]) {
    for ((re, im), number) in re.iter_mut().zip(im).zip(numbers) {
        (*re, *im) = (number.re, number.im);
    }
}

/// Puts numbers together.
#[inline(always)]
fn join(numbers: &mut [Complex64], re: &[f64], im: &[f64]) {
    for ((number, re), im) in numbers.iter_mut().zip(re).zip(im) {
        (number.re, number.im) = (*re, *im);
    }
}

/// `LANES` numbers. Each operation is a loop over all, which the compiler makes one instruction of where
/// there are such.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Vector([f64; LANES]);

impl Vector {
    const ZERO: Vector = Vector([0.0; LANES]);
}

macro_rules! lane_wise {
    ($($trait:ident $method:ident $operator:tt),*) => { $(
        impl std::ops::$trait for Vector {
            type Output = Vector;
            #[inline(always)]
            fn $method(mut self, other: Vector) -> Vector {
                for lane in 0..LANES {
                    self.0[lane] $operator other.0[lane];
                }
                self
            }
        }
    )* };
}
lane_wise!(Add add +=, Sub sub -=, Mul mul *=);

/// Real or imaginary parts of a block of columns, row by row.
type Part = Vec<Vector>;

/// A root of unity for all lanes.
#[inline(always)]
fn spread([re, im]: [f64; 2]) -> [Vector; 2] {
    [Vector([re; LANES]), Vector([im; LANES])]
}

#[inline(always)]
fn times([a_re, a_im]: [Vector; 2], [re, im]: [Vector; 2]) -> [Vector; 2] {
    [a_re * re - a_im * im, a_re * im + a_im * re]
}

#[inline(always)]
fn plus(a: [Vector; 2], b: [Vector; 2]) -> [Vector; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

#[inline(always)]
fn minus(a: [Vector; 2], b: [Vector; 2]) -> [Vector; 2] {
    [a[0] - b[0], a[1] - b[1]]
}

#[inline(always)]
fn radix_4(x: &[Part; 2], y: &mut [Part; 2], [len, stride]: [usize; 2], roots: &[[f64; 2]], sign: f64) {
    let quarter = len / 4;
    let leap = stride * quarter;
    let [y_re, y_im] = y;
    let sign = Vector([sign; LANES]);
    for p in 0..quarter {
        let w = [1, 2, 3].map(|k| spread(roots[k * p * stride]));
        let (out_re, out_im) =
            (&mut y_re[4 * p * stride..][..4 * stride], &mut y_im[4 * p * stride..][..4 * stride]);
        for q in 0..stride {
            let at = |part: usize| [x[0][p * stride + q + part * leap], x[1][p * stride + q + part * leap]];
            let (a, b, c, d) = (at(0), at(1), at(2), at(3));
            let (sum, difference, other) = (plus(a, c), minus(a, c), plus(b, d));
            let rest = minus(b, d);
            // sign i (b - d)
            let across = [Vector::ZERO - sign * rest[1], sign * rest[0]];
            let out = [
                plus(sum, other),
                times(plus(difference, across), w[0]),
                times(minus(sum, other), w[1]),
                times(minus(difference, across), w[2]),
            ];
            for (part, [re, im]) in out.into_iter().enumerate() {
                out_re[part * stride + q] = re;
                out_im[part * stride + q] = im;
            }
        }
    }
}

#[inline(always)]
fn radix_2(x: &[Part; 2], y: &mut [Part; 2]) {
    for (x, y) in x.iter().zip(y) {
        let half = x.len() / 2;
        for q in 0..half {
            (y[q], y[q + half]) = (x[q] + x[q + half], x[q] - x[q + half]);
        }
    }
}

multiversion! {
    /// Transforms the first `columns` columns of a plane in place, whose rows begin `stride` apart.
    pub fn columns(lines: &mut Lines, data: &mut [Complex64], columns: usize, stride: usize) {
        for from in (0..columns).step_by(LANES) {
            lines.gather(data, from, stride);
            lines.transform();
            lines.scatter(data, from, stride);
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
        let width = 3 * LANES;
        for len in [1, 2, 4, 8, 16, 32, 64, 128] {
            for (direction, sign) in [(FftDirection::Forward, -1.0), (FftDirection::Inverse, 1.0)] {
                let mut lines = Lines::new(len, direction);
                let before = numbers(len * width);
                let mut plane = before.clone();
                columns(&mut lines, &mut plane, width - LANES, width);
                for column in 0..width - LANES {
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
}
