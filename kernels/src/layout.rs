//! An array as lines along one of its axes.

use crate::error::KernelError;

/// Line `(o, c)` of an array in row-major order holds the elements `(o * len + i) * inner + c` for `i` in
/// `0..len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Product of the lengths of the axes before.
    pub(crate) outer: usize,
    /// Length of the axis.
    pub(crate) len: usize,
    /// Product of the lengths of the axes behind.
    pub(crate) inner: usize,
}

impl Lines {
    pub(crate) fn of(shape: &[usize], axis: usize) -> Lines {
        let product = |lengths: &[usize]| lengths.iter().product();
        Lines { outer: product(&shape[..axis]), len: shape[axis], inner: product(&shape[axis + 1..]) }
    }

    /// How many lines there are.
    pub(crate) fn count(self) -> usize {
        self.outer * self.inner
    }

    /// As numbers, for a launch.
    pub(crate) fn numbers(self) -> [usize; 3] {
        [self.outer, self.len, self.inner]
    }

    pub(crate) fn from_numbers([outer, len, inner]: [usize; 3]) -> Lines {
        Lines { outer, len, inner }
    }
}

/// The axis that is meant, counted from the first or, if negative, from the last.
pub(crate) fn resolve(shape: &[usize], axis: isize) -> Result<usize, KernelError> {
    let axes = shape.len();
    let found = if axis < 0 { axes.checked_sub(axis.unsigned_abs()) } else { Some(axis.unsigned_abs()) };
    found.filter(|&axis| axis < axes).ok_or_else(|| {
        KernelError::argument("axis", format!("there is no axis {axis} in an array of shape {shape:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_both_ends() {
        assert_eq!(resolve(&[2, 3, 4], -1).unwrap(), 2);
        assert_eq!(resolve(&[2, 3, 4], -3).unwrap(), 0);
        assert_eq!(resolve(&[2, 3, 4], 1).unwrap(), 1);
        for (shape, axis) in [(&[2usize, 3][..], 2), (&[2, 3], -3), (&[], 0), (&[1], isize::MIN)] {
            assert!(matches!(resolve(shape, axis), Err(KernelError::Argument { what: "axis", .. })));
        }
        assert_eq!(Lines::of(&[2, 3, 4], 1), Lines { outer: 2, len: 3, inner: 4 });
    }
}
