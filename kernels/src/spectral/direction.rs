//! The two directions of a transform.
#![deny(clippy::arithmetic_side_effects)]

use crate::number::Real;
use rustfft::FftDirection;

/// The direction of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To frequencies, unscaled.
    Forward,
    /// Back from frequencies, divided by the number of elements transformed.
    Inverse,
}

impl Direction {
    pub(super) fn to_library(self) -> FftDirection {
        match self {
            Direction::Forward => FftDirection::Forward,
            Direction::Inverse => FftDirection::Inverse,
        }
    }

    /// What the results of lines of `len` elements are multiplied by.
    #[expect(clippy::arithmetic_side_effects, reason = "floats")]
    pub(super) fn scale<T: Real>(self, len: usize) -> T {
        match self {
            Direction::Forward => T::ONE,
            Direction::Inverse => T::ONE / T::from_f64(len as f64),
        }
    }

    pub(super) fn to_wire(self) -> u8 {
        u8::from(self == Direction::Inverse)
    }

    pub(super) fn from_wire(code: u8) -> Direction {
        if code == 1 { Direction::Inverse } else { Direction::Forward }
    }
}
