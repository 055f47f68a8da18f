//! The two directions of a transform, and who divides.
#![deny(clippy::arithmetic_side_effects)]

use crate::number::Real;
use rustfft::FftDirection;

/// The direction of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To frequencies.
    Forward,
    /// Back from frequencies.
    Inverse,
}

/// Which direction is divided by the number `n` of elements of a line, so that both undo each other; the names are
/// those of NumPy's `norm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Norm {
    /// The inverse is divided by `n`.
    #[default]
    Backward,
    /// Both are divided by the square root of `n`: lengths of vectors are kept.
    Ortho,
    /// The forward transform is divided by `n`.
    Forward,
}

/// A direction with its division.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) direction: Direction,
    pub(super) norm: Norm,
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Way {
        Way { direction, norm: Norm::Backward }
    }
}

impl Direction {
    pub(super) fn to_library(self) -> FftDirection {
        match self {
            Direction::Forward => FftDirection::Forward,
            Direction::Inverse => FftDirection::Inverse,
        }
    }

    /// The sign of the exponent.
    pub(super) fn sign(self) -> f64 {
        if self == Direction::Forward { -1.0 } else { 1.0 }
    }
}

impl Way {
    /// What the results of lines of `len` elements are multiplied by.
    #[expect(clippy::arithmetic_side_effects, reason = "floats")]
    pub(super) fn scale<T: Real>(self, len: usize) -> T {
        let len = len as f64;
        match (self.norm, self.direction) {
            (Norm::Ortho, _) => T::from_f64(1.0 / len.sqrt()),
            // Divided in the type itself, as one over the length.
            (Norm::Backward, Direction::Inverse) | (Norm::Forward, Direction::Forward) => {
                T::ONE / T::from_f64(len)
            }
            _ => T::ONE,
        }
    }

    /// As an operand.
    pub(super) fn to_wire(self) -> [u8; 2] {
        let norm = match self.norm {
            Norm::Backward => 0,
            Norm::Ortho => 1,
            Norm::Forward => 2,
        };
        [u8::from(self.direction == Direction::Inverse), norm]
    }

    pub(super) fn from_wire([direction, norm]: [u8; 2]) -> Way {
        Way {
            direction: if direction == 1 { Direction::Inverse } else { Direction::Forward },
            norm: [Norm::Backward, Norm::Ortho, Norm::Forward][usize::from(norm.min(2))],
        }
    }
}
