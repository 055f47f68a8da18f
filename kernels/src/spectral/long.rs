//! Long lines, each cut up among all workers.
//!
//! ```text
//! n = n1 n2, j = j1 n2 + j2, k = k2 n1 + k1; w is the n-th root of unity with the sign of the direction
//! work[j2][k1] = w^(j2 k1) * sum over j1 of x[j1][j2] w^(n2 j1 k1)      lines of n1: columns of x, rows of work
//! X[k2][k1]    = sum over j2 of work[j2][k1] w^(n1 j2 k2)              lines of n2: columns of work, columns of X
//! ```
//!
//! This is the four-step method (D. H. Bailey, FFTs in external or hierarchical memory, 1990,
//! <https://doi.org/10.1007/BF00162341>), whose transposition is made while lines are gathered and scattered: two
//! passes over the memory in all. A length without a divisor between 16 and its square root is embedded in a longer
//! one (L. I. Bluestein, A linear filtering approach to the computation of discrete Fourier transform, 1970,
//! <https://doi.org/10.1109/TAU.1970.1162132>).
#![deny(clippy::arithmetic_side_effects)]

use super::direction::{Direction, Norm, Way};
use super::frequency::next_fast_len;
use super::line::{Transform, block_of, rescale};
use super::turns::{Turns, TurnsView, turned};
use crate::error::KernelError;
use crate::inline::repeatable;
use crate::lines::{gather, lend, rows, scatter};
use ndarray::{ArrayViewMut2, Ix2, Ix3, s};
use num_complex::Complex;
use phalanx::{Pool, Shape, SharedArray};
use std::f64::consts::PI;
use std::ops::Range;

/// Elements from which a line is cut up: 2 MiB of complex float64, the second-level cache of a core.
const LONG: usize = 1 << 17;
/// Lines from which each is left to one worker.
const MANY: usize = 32;
/// The least number of parts of a line.
const LEAST_PARTS: usize = 16;
/// Columns in a chunk.
const CHUNK_COLUMNS: usize = 32;

/// Whether lines of `len` elements are cut up, which their number and length alone decide.
pub(super) fn is_long(lines: usize, len: usize) -> bool {
    len >= LONG && lines < MANY
}

/// Transforms lines of `len` elements that lie one after the other.
#[expect(clippy::arithmetic_side_effects, reason = "lines of an array that has elements, in memory")]
pub(super) fn transform<T: Transform, D: Shape>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, D>,
    len: usize,
    way: Way,
) -> Result<(), KernelError> {
    let lines = a.len() / len;
    match parts(len) {
        Some((n1, n2)) => {
            let turns = Turns::new(len, way.direction)?;
            let mut work = SharedArray::zeros((n2, n1))?;
            lend(a, Ix3(lines, n2, n1), |a| {
                (0..lines).try_for_each(|line| four_steps(pool, a, line, &mut work, &turns, way))
            })
        }
        None => embedded(pool, a, len, way),
    }
}

/// The two factors of a length, the first as near to its square root as can be.
#[expect(clippy::arithmetic_side_effects, reason = "divisors from 16 on")]
fn parts(len: usize) -> Option<(usize, usize)> {
    (LEAST_PARTS..=len.isqrt()).rev().find(|part| len.is_multiple_of(*part)).map(|part| (part, len / part))
}

/// Transforms one line, which is seen as a matrix of the result's shape, `n2 x n1`.
#[expect(clippy::arithmetic_side_effects, reason = "places in an array in memory")]
fn four_steps<T: Transform>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, Ix3>,
    line: usize,
    work: &mut SharedArray<Complex<T>, Ix2>,
    turns: &Turns<T>,
    way: Way,
) -> Result<(), KernelError> {
    let (n2, n1) = work.dim();
    let numbers = [line * n1 * n2, n1, n2];
    let tables = (turns.low.whole(), turns.high.whole());
    let operands = (work.split_out(), 0..n2, a.whole_flat(), numbers, way.to_wire(), tables);
    let chunk = repeatable(pool).chunk(CHUNK_COLUMNS);
    chunk.for_each(operands, |(mut out, span, a, [first, n1, n2], way, (low, high))| {
        if let Some(out) = out.as_slice_mut() {
            let line = &a[first..first + n1 * n2];
            first_step(line, (n1, n2), span, out, TurnsView { low, high }, Way::from_wire(way).direction);
        }
    })?;
    let tiles = a.slice_mut(s![line, .., ..]).tiles_out((n2, CHUNK_COLUMNS.min(n1)));
    let operands = (tiles, work.whole_flat(), [n1], way.to_wire());
    repeatable(pool).for_each(operands, |(mut tile, work, [n1], way)| {
        second_step(&mut tile.view, &work[tile.origin.1..], n1, Way::from_wire(way));
    })?;
    Ok(())
}

/// Columns `span` of a line of `n1` rows, transformed and turned, as rows.
#[expect(clippy::arithmetic_side_effects, reason = "places in an array in memory; complex floats")]
fn first_step<T: Transform>(
    line: &[Complex<T>],
    (n1, n2): (usize, usize),
    span: Range<usize>,
    out: &mut [Complex<T>],
    turns: TurnsView<'_, T>,
    direction: Direction,
) {
    let (width, stride) = block_of::<T>(n1, span.len());
    let mut places = span.clone().zip(out.chunks_exact_mut(n1));
    T::with_lines(|lines| {
        let (plan, scratch, block) = lines.room(n1, direction, width * stride);
        for left in span.clone().step_by(width) {
            let count = width.min(span.end - left);
            gather(&rows(&line[left..], n1, count, n2), block, stride);
            for (from, (column, to)) in block.chunks_exact_mut(stride).take(count).zip(&mut places) {
                plan.process_with_scratch(&mut from[..n1], scratch);
                for (row, (to, value)) in to.iter_mut().zip(&*from).enumerate() {
                    *to = *value * turns.at(row * column);
                }
            }
        }
    });
}

/// Columns of the result, from those of `work`, whose rows are `stride` elements apart.
#[expect(clippy::arithmetic_side_effects, reason = "places in an array in memory")]
fn second_step<T: Transform>(
    out: &mut ArrayViewMut2<'_, Complex<T>>,
    work: &[Complex<T>],
    row: usize,
    way: Way,
) {
    let (len, columns) = out.dim();
    let (width, stride) = block_of::<T>(len, columns);
    T::with_lines(|lines| {
        let (plan, scratch, block) = lines.room(len, way.direction, width * stride);
        for left in (0..columns).step_by(width) {
            let count = width.min(columns - left);
            gather(&rows(&work[left..], len, count, row), block, stride);
            for line in block.chunks_exact_mut(stride).take(count) {
                plan.process_with_scratch(&mut line[..len], scratch);
                // The whole line's length, of which this one is a part.
                rescale(&mut line[..len], way.scale(len * row));
            }
            scatter(block, stride, &mut out.slice_mut(s![.., left..left + count]));
        }
    });
}

/// Transforms lines of any length, as convolutions with `w^(-j j / 2)`.
#[expect(clippy::arithmetic_side_effects, reason = "places in arrays in memory; complex floats")]
fn embedded<T: Transform, D: Shape>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, D>,
    len: usize,
    way: Way,
) -> Result<(), KernelError> {
    let longer = next_fast_len(2 * len - 1);
    let mut chirp = SharedArray::<Complex<T>>::zeros(len)?;
    let sign = way.direction.sign();
    repeatable(pool).for_each((chirp.split_out(), 0..len, len, sign), |(chirp, span, len, sign)| {
        for (to, at) in chirp.iter_mut().zip(span) {
            let square = (at as u128 * at as u128) % (2 * len as u128);
            *to = turned(sign * PI * square as f64 / len as f64);
        }
    })?;
    let mut filter = SharedArray::<Complex<T>>::zeros(longer)?;
    let operands = (filter.split_out(), 0..longer, longer, chirp.whole());
    repeatable(pool).for_each(operands, |(filter, span, longer, chirp)| {
        for (to, at) in filter.iter_mut().zip(span) {
            let distance = at.min(longer - at);
            *to = chirp.get(distance).map_or(Complex::new(T::ZERO, T::ZERO), |turn| turn.conj());
        }
    })?;
    let plain = |direction| Way { direction, norm: Norm::Backward };
    transform(pool, &mut filter, longer, plain(Direction::Forward))?;
    let mut work = SharedArray::<Complex<T>>::zeros(longer)?;
    for first in (0..a.len()).step_by(len) {
        let operands = (work.split_out(), 0..longer, a.whole_flat(), [first], chirp.whole());
        repeatable(pool).for_each(operands, |(work, span, a, [first], chirp)| {
            for (to, at) in work.iter_mut().zip(span) {
                *to = chirp.get(at).map_or(Complex::new(T::ZERO, T::ZERO), |turn| a[first + at] * turn);
            }
        })?;
        transform(pool, &mut work, longer, plain(Direction::Forward))?;
        pool.for_each((work.split_mut(), filter.split()), |(work, filter)| {
            work.iter_mut().zip(filter).for_each(|(work, filter)| *work = *work * filter);
        })?;
        transform(pool, &mut work, longer, plain(Direction::Inverse))?;
        let lines = a.len() / len;
        lend(a, Ix2(lines, len), |a| {
            let line = a.slice_mut(s![first / len, ..]);
            let scale = phalanx::Val(way.scale::<T>(len));
            let operands = (line.split_out(), work.range(..len).split(), chirp.split(), scale);
            repeatable(pool).for_each(operands, |(mut line, work, chirp, scale)| {
                for ((to, from), turn) in line.iter_mut().zip(work).zip(chirp) {
                    *to = *from * turn * scale;
                }
            })?;
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dice, pools};

    fn random(len: usize, seed: u64) -> Vec<Complex<f64>> {
        let mut dice = Dice(seed);
        (0..len).map(|_| Complex::new(dice.unit(), dice.unit())).collect()
    }

    /// One line by the library alone.
    fn library(line: &[Complex<f64>], direction: Direction) -> Vec<Complex<f64>> {
        let mut line = line.to_vec();
        rustfft::FftPlanner::new().plan_fft(line.len(), direction.to_library()).process(&mut line);
        line
    }

    #[test]
    fn lengths_are_cut_near_their_square_roots() {
        assert_eq!(parts(1 << 17), Some((256, 512)));
        assert_eq!(parts(1_000_000), Some((1000, 1000)));
        assert_eq!(parts(131_101), None);
        for least in [1000, 4097, 300_001, 10_000_019] {
            assert!(parts(next_fast_len(least)).is_some());
        }
    }

    #[test]
    fn every_length_agrees_with_the_whole_line_in_one_worker() {
        for (at, len) in
            [256, 272, 4096, 5000, 6561, 10_007, 2 * 5003, 131_072, 131_101].into_iter().enumerate()
        {
            let pool = &pools()[at % 4];
            for direction in [Direction::Forward, Direction::Inverse] {
                let start = random(2 * len, at as u64);
                let mut a = SharedArray::from_slice(&start).unwrap();
                transform(pool, &mut a, len, Way { direction, norm: Norm::Ortho }).unwrap();
                let scale = (len as f64).sqrt().recip();
                for (got, line) in a.as_slice().chunks_exact(len).zip(start.chunks_exact(len)) {
                    let want = library(line, direction);
                    let worst = got.iter().zip(want).map(|(a, b)| (a - b * scale).norm()).fold(0.0, f64::max);
                    assert!(worst < 1e-12, "length {len}, {direction:?}: {worst:e}");
                }
            }
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_workers() {
        for len in [1 << 17, 131_101] {
            let start = random(len, 5);
            let run = |pool: &Pool| {
                let mut a = SharedArray::from_slice(&start).unwrap();
                super::super::fft_1d(pool, &mut a, Direction::Forward).unwrap();
                a.to_vec()
            };
            let first = run(&pools()[0]);
            assert!(pools().iter().all(|pool| run(pool) == first), "length {len}");
        }
    }
}
