//! Roots of unity.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::Direction;
use super::line::Transform;
use crate::error::KernelError;
use crate::number::Real;
use num_complex::Complex;
use phalanx::SharedArray;
use std::f64::consts::TAU;

/// The powers of a root of unity, as products of two from short tables.
pub(super) struct Turns<T> {
    /// Powers below `2^bits`.
    pub(super) low: SharedArray<Complex<T>>,
    /// Powers that are multiples of it.
    pub(super) high: SharedArray<Complex<T>>,
}

/// What workers see of them.
#[derive(Clone, Copy)]
pub(super) struct TurnsView<'a, T> {
    pub(super) low: &'a [Complex<T>],
    pub(super) high: &'a [Complex<T>],
}

impl<T: Transform> Turns<T> {
    #[expect(clippy::arithmetic_side_effects, reason = "half of the bits of a length")]
    pub(super) fn new(len: usize, direction: Direction) -> Result<Turns<T>, KernelError> {
        let count = 1usize << (len.ilog2() / 2 + 1);
        let turn = |power: usize| turned(direction.sign() * TAU * power as f64 / len as f64);
        let high = SharedArray::from_fn(len / count + 1, |at| turn(at * count))?;
        Ok(Turns { low: SharedArray::from_fn(count, turn)?, high })
    }
}

impl<T: Transform> TurnsView<'_, T> {
    /// The root to the power `at`, which is below its order. The low table's length is a power of two.
    #[inline(always)]
    #[expect(clippy::arithmetic_side_effects, reason = "complex floats; the table has elements")]
    pub(super) fn at(self, at: usize) -> Complex<T> {
        let bits = self.low.len().trailing_zeros();
        self.high[at >> bits] * self.low[at & (self.low.len() - 1)]
    }
}

/// The unit vector at an angle.
pub(super) fn turned<T: Real>(angle: f64) -> Complex<T> {
    let (sin, cos) = angle.sin_cos();
    Complex::new(T::from_f64(cos), T::from_f64(sin))
}
