//! The vectors of a linear system that is being solved, and the passes over them: by one thread, or by a team
//! in a region.
//!
//! `r` and `p` are kept in units of a power of two; `b` and `x` are as the caller has them. All sums are
//! float64.

use super::spmv::Rows;
use crate::number::{Number, Real};
use crate::scale::power;
use ndarray::Ix1;
use phalanx::region::{RegionMut, RegionRef};
use phalanx::{RegionError, Team};
use std::convert::Infallible;
use std::ops::Range;

/// The passes of an iteration for `A x = b`. The numbers returned are the same in all members of a team.
pub(super) trait System<T> {
    type Error;
    /// `r = b - A x`. Returns the largest elements of `b` and `r`.
    fn residual(&mut self) -> Result<[f64; 2], Self::Error>;
    /// Brings `r` into the second of these units, and `p = r`. Returns the squares of the norms of `b` and
    /// `r`, each in its units.
    fn begin(&mut self, units: [i32; 2]) -> Result<[f64; 2], Self::Error>;
    /// `q = A p`. Returns `(p, q)`.
    fn product(&mut self) -> Result<f64, Self::Error>;
    /// `x += alpha_x p; r -= alpha q`. Returns `(r, r)`.
    fn advance(&mut self, alpha_x: T, alpha: T) -> Result<f64, Self::Error>;
    /// `p = r + beta p`.
    fn turn(&mut self, beta: T) -> Result<(), Self::Error>;
    /// Returns the largest elements of `b` and `x`.
    fn largest(&mut self) -> Result<[f64; 2], Self::Error>;
}

/// A system too small to hand out.
pub(super) struct Alone<'a, T> {
    a: Rows<'a, T>,
    b: &'a [T],
    x: &'a mut [T],
    r: Vec<T>,
    p: Vec<T>,
    q: Vec<T>,
}

impl<'a, T: Real> Alone<'a, T> {
    pub(super) fn new(a: Rows<'a, T>, b: &'a [T], x: &'a mut [T]) -> Self {
        let zeros = || vec![T::ZERO; b.len()];
        Alone { a, b, x, r: zeros(), p: zeros(), q: zeros() }
    }
}

impl<T: Real> System<T> for Alone<'_, T> {
    type Error = Infallible;

    fn residual(&mut self) -> Result<[f64; 2], Infallible> {
        subtract(self.a, self.b, 0..self.b.len(), self.x, &mut self.r);
        Ok([largest(self.b), largest(&self.r)])
    }

    fn begin(&mut self, units: [i32; 2]) -> Result<[f64; 2], Infallible> {
        take(&mut self.r, &mut self.p, units[1]);
        Ok([squares(self.b, units[0]), dot(&self.r, &self.r)])
    }

    fn product(&mut self) -> Result<f64, Infallible> {
        self.a.apply(0..self.b.len(), &self.p, &mut self.q, |sum, _| sum);
        Ok(dot(&self.p, &self.q))
    }

    fn advance(&mut self, alpha_x: T, alpha: T) -> Result<f64, Infallible> {
        add(self.x, &self.p, alpha_x);
        add(&mut self.r, &self.q, -alpha);
        Ok(dot(&self.r, &self.r))
    }

    fn turn(&mut self, beta: T) -> Result<(), Infallible> {
        turn(&mut self.p, &self.r, beta);
        Ok(())
    }

    fn largest(&mut self) -> Result<[f64; 2], Infallible> {
        Ok([largest(self.b), largest(self.x)])
    }
}

/// A vector that the region writes.
type Vector<'w, T> = RegionMut<'w, T, Ix1>;
/// One that it reads.
type Fixed<'w, T> = RegionRef<'w, T, Ix1>;
/// Offsets, columns, values and bounds of the parts.
type Matrix<'w, T> = (Fixed<'w, u64>, Fixed<'w, u32>, Fixed<'w, T>, Fixed<'w, u64>);

/// A system in a region, whose parts are handed out.
pub(super) struct Together<'t, 'w, T> {
    team: &'t mut Team<'w>,
    a: Rows<'w, T>,
    /// The first row of each part, and the number of rows.
    cut: Vec<usize>,
    b: &'w [T],
    x: Vector<'w, T>,
    r: Vector<'w, T>,
    p: Vector<'w, T>,
    q: Vector<'w, T>,
}

impl<'t, 'w, T: Real> Together<'t, 'w, T> {
    pub(super) fn new(
        team: &'t mut Team<'w>,
        (offsets, columns, values, bounds): Matrix<'w, T>,
        (b, x): (Fixed<'w, T>, Vector<'w, T>),
        (r, p, q): (Vector<'w, T>, Vector<'w, T>, Vector<'w, T>),
    ) -> Self {
        let a = Rows { offsets: offsets.view(), columns: columns.view(), values: values.view() };
        let cut = bounds.view().iter().map(|row| *row as usize).collect();
        Together { team, a, cut, b: b.view(), x, r, p, q }
    }

    fn parts(&self) -> Range<usize> {
        0..self.cut.len() - 1
    }
}

impl<T: Real> System<T> for Together<'_, '_, T> {
    type Error = RegionError;

    fn residual(&mut self) -> Result<[f64; 2], RegionError> {
        let (parts, a, b, cut) = (self.parts(), self.a, self.b, &self.cut);
        self.team.reduce_chunks(
            (self.r.split_at_mut(cut), self.x.whole(), parts),
            [0.0; 2],
            |(r, x, parts)| {
                let rows = rows_of(cut, parts);
                subtract(a, b, rows.clone(), x, r);
                [largest(&b[rows]), largest(r)]
            },
            |a, b| [larger(a[0], b[0]), larger(a[1], b[1])],
        )
    }

    fn begin(&mut self, units: [i32; 2]) -> Result<[f64; 2], RegionError> {
        let (parts, b, cut) = (self.parts(), self.b, &self.cut);
        self.team.reduce_chunks(
            (self.r.split_at_mut(cut), self.p.split_at_mut(cut), parts),
            [0.0; 2],
            |(r, p, parts)| {
                take(r, p, units[1]);
                [squares(&b[rows_of(cut, parts)], units[0]), dot(r, r)]
            },
            |a, b| [a[0] + b[0], a[1] + b[1]],
        )
    }

    fn product(&mut self) -> Result<f64, RegionError> {
        let (parts, a, cut) = (self.parts(), self.a, &self.cut);
        self.team.reduce_chunks(
            (self.q.split_at_mut(cut), self.p.whole(), parts),
            0.0,
            |(q, p, parts)| {
                let rows = rows_of(cut, parts);
                a.apply(rows.clone(), p, q, |sum, _| sum);
                dot(q, &p[rows])
            },
            |a, b| a + b,
        )
    }

    fn advance(&mut self, alpha_x: T, alpha: T) -> Result<f64, RegionError> {
        let cut = &self.cut;
        self.team.reduce_chunks(
            (self.x.split_at_mut(cut), self.r.split_at_mut(cut), self.p.split_at(cut), self.q.split_at(cut)),
            0.0,
            |(x, r, p, q)| {
                add(x, p, alpha_x);
                add(r, q, -alpha);
                dot(r, r)
            },
            |a, b| a + b,
        )
    }

    fn turn(&mut self, beta: T) -> Result<(), RegionError> {
        let cut = &self.cut;
        self.team.phase((self.p.split_at_mut(cut), self.r.split_at(cut)), |(p, r)| turn(p, r, beta))
    }

    fn largest(&mut self) -> Result<[f64; 2], RegionError> {
        let most = self.team.reduce_chunks(self.x.split_at(&self.cut), 0.0, largest, larger)?;
        Ok([largest(self.b), most])
    }
}

/// The rows of some parts.
fn rows_of(cut: &[usize], parts: Range<usize>) -> Range<usize> {
    cut[parts.start]..cut[parts.end]
}

/// `r = b - A x` for some rows, of which `b` is the whole.
fn subtract<T: Real>(a: Rows<'_, T>, b: &[T], rows: Range<usize>, x: &[T], r: &mut [T]) {
    a.apply(rows.clone(), x, r, |sum, _| sum);
    r.iter_mut().zip(&b[rows]).for_each(|(r, b)| *r = *b - *r);
}

/// Brings `r` into units of `2^exponent` and begins with it as direction.
fn take<T: Real>(r: &mut [T], p: &mut [T], exponent: i32) {
    let scale = power::<T>(-exponent);
    r.iter_mut().for_each(|r| *r = *r * scale);
    p.copy_from_slice(r);
}

/// `p = r + beta p`.
fn turn<T: Real>(p: &mut [T], r: &[T], beta: T) {
    p.iter_mut().zip(r).for_each(|(p, r)| *p = *r + beta * *p);
}

/// `x += factor * p`.
fn add<T: Real>(x: &mut [T], p: &[T], factor: T) {
    x.iter_mut().zip(p).for_each(|(x, p)| *x = *x + factor * *p);
}

/// The largest absolute value, or NaN.
fn largest<T: Real>(x: &[T]) -> f64 {
    x.iter().fold(0.0, |most, x| larger(most, wide(*x).abs()))
}

/// The larger of two, NaN above all.
fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// The inner product with itself in units of `2^exponent`.
fn squares<T: Real>(x: &[T], exponent: i32) -> f64 {
    let scale = power::<f64>(-exponent);
    x.iter().map(|x| (wide(*x) * scale).powi(2)).sum()
}

/// Float64 holds every value of both types. (`Float` has a `to_f64` too, which returns an option.)
#[inline(always)]
pub(super) fn wide<T: Real>(value: T) -> f64 {
    Number::to_f64(value)
}

/// The inner product in float64, in 8 running sums.
pub(super) fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, rest_a) = a.as_chunks::<8>();
    let (b, rest_b) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += wide(a[lane]) * wide(b[lane]);
        }
    }
    let tail: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| wide(*a) * wide(*b)).sum();
    let pairs = [sums[0] + sums[4], sums[1] + sums[5], sums[2] + sums[6], sums[3] + sums[7]];
    (pairs[0] + pairs[2]) + (pairs[1] + pairs[3]) + tail
}
